// The paper's claims as gyro study judged them, at the head of its page.

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

function claimRow({claim, where, evidence, figure, control, verdict, why}) {
  const cell = (text) => element("td", {}, text ? typeset(text) : kDash);
  const beside = (text) => element("span", {class: "beside"}, typeset(text));
  return element(
      "tr", {}, element("th", {scope: "row"}, typeset(claim), beside(`${where}: ${evidence}`)),
      element("td", {}, claimBadge(verdict), beside(why)), cell(figure), cell(control));
}

function claimsOf({post, claims}) {
  const id = `heading-claims-${post.replace(/[^A-Za-z0-9_-]+/g, "-")}`;
  const heads = ["The paper's claim, and its evidence", "Verdict", "Here", "Its control"];
  return element(
      "section", {class: "card claims", "aria-labelledby": id}, element("h3", {id}, post),
      element(
          "div", {class: "scroll", tabindex: "0", role: "region", "aria-labelledby": id},
          element(
              "table", {},
              element("thead", {}, element("tr", {}, heads.map((head) => element("th", {scope: "col"}, head)))),
              element("tbody", {}, claims.map(claimRow)))));
}

const kClaimsNote =
    "Supported: it is there, and the control does not have it. As its control: the control has it as well, so that it is no " +
    "evidence of the paper's reading. Which bounds decide: docs/reproduce.md.";
const claimsSection = (result) => [ofProbe(
    result, "claims",
    ({posts}) =>
        element("div", {id: "claims-table"}, posts.map(claimsOf), element("p", {class: "note"}, kClaimsNote)))];
