// The paper’s claims as gyro study judged them, at the head of its page.

// How verdicts look: as those of the summary.
const kClaimStrength = {
  supported: "found",
  unclear: "partly",
  "as its control": "chance",
  "not supported": "none",
  "not tested": "none"
};

function claimBadge(verdict) {
  const strength = kClaimStrength[verdict] ?? "partly";
  const glyph = verdict === "not tested" ? kDash : kGlyph[strength];
  return element("span", {class: `badge ${strength}`}, element("span", {"aria-hidden": "true"}, glyph + " "), verdict);
}

const claimTex = (text) =>
    typesetTex(text).replace(/α/g, "$\\alpha$").replace(/±/g, "$\\pm$").replace(/≈/g, "$\\approx$");

// What a text is in a narrow window, where columns have no heads; one that is empty is not shown there.
const claimHead = (head) => element("span", {class: "head"}, head);
const besideClaim = (text) => element("span", {class: "beside"}, ...typeset(text));
function claimText(head, text) {
  const show = text ? [claimHead(head), ...typeset(text)] : element("span", {class: "missing"}, kDash);
  return {show, sort: text, csv: [text], tex: text ? claimTex(text) : "--"};
}

const claimRow = ({id, claim, where, evidence, figure, control, verdict, why}) =>
    [{
      show: [...typeset(claim), besideClaim(`${where}: ${evidence}`)],
      sort: claim,
      csv: [id, claim, where, evidence],
      tex: claimTex(`${claim} (${where}: ${evidence})`)
    },
     {
       show: [claimBadge(verdict), besideClaim(why)],
       sort: verdict,
       csv: [verdict, why],
       tex: claimTex(why ? `${verdict}: ${why}` : verdict)
     },
     claimText("Here", figure), claimText("Its control", control)];

const kClaimColumns = [
  {
    label: "The paper’s claim, and its evidence",
    tex: "claim, and its evidence",
    heads: ["id", "claim", "where", "evidence"],
    width: 0.26
  },
  {label: "Verdict", tex: "verdict", heads: ["verdict", "why"], width: 0.16},
  {label: "Here", tex: "here", heads: ["figure"], width: 0.28},
  {label: "Its control", tex: "its control", heads: ["control"], width: 0.16}
].map((column) => ({...column, sortable: false}));

// A table of each post; names that are alike as words of an address get a number.
function claimsOf({post, claims}, i, posts) {
  const word = ({post: name}) => `claims-${name.replace(/[^A-Za-z0-9_-]+/g, "-")}`;
  const id = word(posts[i]), again = posts.findIndex((other) => word(other) === id) < i;
  return makeTable({
    id: again ? `${id}-${i + 1}` : id,
    title: post,
    caption: texText(`The paper’s claims of ${post}, as judged here.`).replace(/→/g, "$\\to$"),
    columns: kClaimColumns,
    rows: claims.map(claimRow)
  });
}

const kClaimsNote =
    "Supported: it is there, and the control does not have it. As its control: the control has it as well, so that it is no " +
    "evidence of the paper’s reading. Which bounds decide: docs/reproduce.md.";
const claimsSection = (result) => [ofProbe(
    result, "claims",
    ({posts}) => element(
        "div", {id: "claims-table", class: "claims"}, element("p", {class: "read"}, kClaimsNote),
        posts.map(claimsOf)))];
