// The top of the page: one sentence, a table of verdicts, the overview figure. All verdicts are the result's; the words
// for them are here.

// `words`: what stands for a verdict, in a cell and in the sentence. A "…" is followed by the types that it is said of.
const kClaims = [
  {
    id: "uniform_scaling",
    head: "Do singular values scale uniformly?",
    clause: "Uniform scaling",
    words: {
      yes: "more than chance",
      some_types: "more than chance in …",
      as_chance: "as chance",
      slight: "beyond chance, but slightly",
      counter: "less than chance",
      no: "no",
      unclear: "yes; null not drawn"
    }
  },
  {
    id: "co_rotation",
    head: "Is the change symmetric?",
    clause: "Symmetric change",
    words: {
      yes: "more than chance",
      some_types: "more than chance in …",
      as_chance: "as chance",
      slight: "beyond chance, but slightly",
      counter: "no: antisymmetric, beyond chance",
      no: "no: factors of rows and columns"
    }
  },
  {id: "w_o_anomaly", head: "Does W_O stand out?", clause: "W_O stands out", words: {yes: "yes", no: "no"}},
];
const kOtherWords = {
  undefined: "not defined",
  unclear: "unclear",
  rounding: "the change is rounding",
  not_asked: "not asked"
};
const kStrength = {
  yes: "found",
  some_types: "partly",
  slight: "partly",
  counter: "partly",
  as_chance: "chance",
  unclear: "chance",
  rounding: "chance",
  no: "none"
};
const kGlyph = {
  found: "●",
  partly: "◐",
  chance: "≈",
  none: "○"
};

// What is said of models that are unrelated: nothing, whatever an older result says.
const verdictOf = (comparison, finding) => (comparison.unrelated ? "not_asked" : finding.verdict);
function verdictWords(claim, verdict, types) {
  const words = claim.words[verdict] ?? kOtherWords[verdict] ?? verdict;
  return words.replace("…", types.join(", "));
}

function badge(claim, comparison, finding) {
  const verdict = verdictOf(comparison, finding), strength = kStrength[verdict] ?? "none";
  const words = verdictWords(claim, verdict, finding.types);
  return element(
      "span", {class: `badge ${strength}`}, element("span", {"aria-hidden": "true"}, kGlyph[strength] + " "),
      ...typeset(words.charAt(0).toUpperCase() + words.slice(1)));
}

// Of the types that the verdict is about, at most two, else of all.
function claimNumbers(comparison, finding) {
  const few = finding.verdict === "some_types" ? finding.types.slice(0, 2) : [];
  const more = few.length < finding.types.length && few.length ? ", …" : "";
  if (comparison.unrelated) return "unrelated to the base";
  if (!isNumber(finding.value)) return "no number";
  if (finding.id === "uniform_scaling")
    return few.length ? few.map(spreadOfType).join("; ") + more : spreadNumbers(finding);
  if (finding.id === "co_rotation")
    return few.length ? few.map((type) => turnOfType(comparison, type)).join("; ") + more : turnNumbers(finding);
  return `α ${finding.value < 0 ? "" : "+"}${fixed(finding.value, 3)} from the others’, asked ${
      fixed(finding.threshold, 1)}`;

  function spreadOfType(type) {
    const row = comparison.types.get(type), chance = row?.null;
    return `${type} ${share(row?.alpha_std / row?.alpha_mean)}, null ${share(chance?.alpha_std / chance?.alpha_mean)}`;
  }
}

const spreadNumbers = ({value, null: chance}) =>
    `α spreads ${share(value)}, null ${isNumber(chance) ? share(chance) : "not drawn"}`;

// counter/co has the null 1; the symmetric share another.
function turnNumbers({value, null: chance, z}) {
  const far = isNumber(z) ? `, z ${fixed(z, 1)}` : "";
  if (chance !== 1) return `symmetric share ${fixed(value, 4)}, null ${fixed(chance, 4)}${far}`;
  const sd = isNumber(z) && z !== 0 ? ` ± ${significant(Math.abs((value - 1) / z), 2)}` : "";
  return `counter/co ${fixed(value, 3)}, null 1${sd}${far}`;
}
function turnOfType(comparison, type) {
  const value = (key) => comparison.type(type, key);
  if (isNumber(value("symmetric_share")))
    return `${type} symmetric share ${fixed(value("symmetric_share"), 3)}, null ${
        fixed(value("symmetric_null"), 3)}, z ${fixed(value("symmetric_z"), 0)}`;
  return `${type} counter/co ${fixed(value("counter_over_co"), 3)}, null 1, z ${fixed(value("z"), 0)}`;
}

const unfused = (result) => result.sites.filter((site) => !isFused(site.type));
// "× 0.994", or "× 0.97 to 1.36" where the types differ.
function scaleText(comparison) {
  const finding = comparison.findings.get("common_scalar");
  if (finding?.verdict === "yes") return fixed(finding.value, 3);
  const scales = comparison.result.types.filter((type) => !isFused(type))
                     .map((type) => comparison.type(type, "scale_mean"))
                     .filter(isNumber);
  return scales.length ? rangeText(scales.map((c) => fixed(c, 3))) : kDash;
}
function rangeText(texts) {
  const sorted = [...new Set(texts)].sort((a, b) => parseFloat(a) - parseFloat(b));
  return sorted.length > 1 ? `${sorted[0]} to ${sorted[sorted.length - 1]}` : sorted[0];
}
const sizeText = (comparison) => share(comparison.size(unfused(comparison.result)));

const kCounts = ["no", "one", "two", "three", "four", "five", "six"];
function allOf(models) {
  if (models.length < 3) return models.length === 1 ? models[0].name : "Both posts";
  return `All ${kCounts[models.length] ?? models.length} posts`;
}

// "All three posts: base × 0.994 plus a change of 3.5 % to 3.7 % of its size."
function sizeSentence(posts, all) {
  const text = (models) =>
      `base × ${rangeText(models.map(scaleText))} plus a change of ${rangeText(models.map(sizeText))} of its size`;
  const groups = groupsOf(posts, scaleText), who = all ? allOf(posts) : names(posts);
  const ranges = [...groups.keys()].some((scale) => scale.includes(" to "));
  if (groups.size === 1 || !ranges) return `${who}: ${text(posts)}.`;
  return [...groups.values()].map((models) => `${names(models)}: ${text(models)}.`).join(" ");
}

// One sentence on the size, one on each claim.
function summarySentence(result) {
  const posts = result.posts.filter((post) => !post.unrelated),
        strangers = result.posts.filter((post) => post.unrelated);
  const sentences = posts.length ? [sizeSentence(posts, !strangers.length)] : [];
  for (const claim of kClaims) {
    const groups = groupsOf(posts, (post) => {
      const finding = post.findings.get(claim.id);
      return finding ? verdictWords(claim, finding.verdict, finding.types) : null;
    });
    if (!groups.size) continue;
    const text = [...groups].map(([words, who]) => words + (groups.size > 1 ? ` (${names(who)})` : ""));
    sentences.push(`${claim.clause}: ${text.join("; ")}.`);
  }
  if (strangers.length) sentences.push(`Unrelated to the base: ${names(strangers)}.`);
  return sentences.join(" ");
}
const names = (models) => models.map((model) => model.name).join(", ");
function groupsOf(models, keyOf) {
  const groups = new Map();
  for (const model of models) {
    const key = keyOf(model);
    if (key !== null) groups.set(key, [...(groups.get(key) ?? []), model]);
  }
  return groups;
}

function updateCell(comparison) {
  const rank = comparison.findings.get("low_rank_update"), sparse = comparison.findings.get("sparse_update");
  const asked = [rank, sparse].filter((finding) => finding && ["yes", "no"].includes(finding.verdict));
  if (comparison.unrelated || !asked.length) return {badge: kDash, numbers: ""};
  const said =
      [rank?.verdict === "yes" ? "Low rank" : null, sparse?.verdict === "yes" ? "sparse" : null].filter(Boolean);
  const strength = said.length ? "found" : "none";
  const numbers = [
    isNumber(rank?.value) ? `rank ${share(rank.value)} of full` : null,
    isNumber(sparse?.value) ? `${percent(sparse.value)} kept` : null
  ];
  return {
    badge: element(
        "span", {class: `badge ${strength}`}, element("span", {"aria-hidden": "true"}, kGlyph[strength] + " "),
        said.length ? said.join(", ") : "Neither"),
    numbers: numbers.filter(Boolean).join(", ")
  };
}

const kVerdictHeads = ["Model", "Base × c + change", ...kClaims.map(({head}) => head), "Low-rank or sparse update?"];

function verdictRow(comparison) {
  const cells = [];
  const cell = (first, numbers, claim) => cells.push(element(
      "td", {"data-claim": claim},
      element("span", {class: "head", "aria-hidden": "true"}, ...typeset(kVerdictHeads[cells.length + 1])), first,
      numbers ? element("div", {class: "numbers"}, ...typeset(numbers)) : null));
  const amount = comparison.unrelated ? kDash : `× ${scaleText(comparison)} + ${sizeText(comparison)}`;
  cell(element("span", {class: "main"}, amount));
  for (const claim of kClaims) {
    const finding = comparison.findings.get(claim.id);
    cell(finding ? badge(claim, comparison, finding) : kDash, finding && claimNumbers(comparison, finding), claim.id);
  }
  const update = updateCell(comparison);
  cell(update.badge, update.numbers);
  return element("tr", {class: comparison.role}, element("th", {scope: "row"}, comparisonCell(comparison).show), cells);
}

// Posts, then controls, but noise, which has its place in the figures.
function verdictTable(result) {
  const shown = withoutNoise(result.comparisons), noise = result.comparisons.filter((one) => !shown.includes(one));
  const heads = kVerdictHeads.map((head) => element("th", {scope: "col"}, ...typeset(head)));
  const hint = element(
      "p", {class: "note"}, "No noise control was run; it shows in every figure what chance looks like: ",
      element("code", {}, "gyro diff … --control noise"));
  return element(
      "section", {class: "card", id: "verdicts", "aria-labelledby": "heading-verdicts"},
      element("h3", {id: "heading-verdicts", class: "offscreen-text"}, "Verdicts"),
      element(
          "div", {class: "scroll", tabindex: "0", role: "region", "aria-labelledby": "heading-verdicts"},
          element(
              "table", {}, element("thead", {}, element("tr", {}, heads)),
              element("tbody", {}, shown.map(verdictRow)))),
      noise.length ? null : hint);
}

// Everything that was found on a model, in the result's words.
function comparisonCard(comparison) {
  return element(
      "article", {class: `comparison ${comparison.role}`},
      element(
          "h4", {}, swatch(comparison), element("span", {class: "name"}, comparison.name),
          element("span", {class: "role"}, comparison.imitates ? "noise" : comparison.role)),
      element(
          "ul", {class: "findings"},
          [...comparison.findings.values()].map((finding) => element("li", {}, ...typeset(finding.text)))));
}

function findingsSection(result) {
  return element(
      "details", {class: "card", id: "findings"},
      element("summary", {}, "Everything that was found, in words, for each model"),
      element("div", {class: "cards"}, result.comparisons.map(comparisonCard)));
}

const kWords = [
  [
    "base, post, control",
    "What was trained on; what training made of it; what is compared to see what chance does: noise " +
        "of the size of a post’s change, or another model."
  ],
  [
    "null",
    "What a structureless change of the same size gives: W_p = c·W_base + E, E gaussian with the norm of the actual " +
        "rest. A claim counts only beyond it."
  ],
  ["c, s", "The best common scale of a matrix, and the size of what is left: s = ‖E‖ / (|c| ‖W_base‖)."],
  ["α, α′", "A singular value of the model over the base’s; α′ is the mean of a type, rounded to one decimal."],
  ["SVSM", "The paper’s singular value scaling matrix: α of every singular value, a column a layer."],
  [
    "I_orth, NF",
    "How the turn of the input side differs from that of the output side, and the norm of that over n. Robust " +
        "NF: without the last tenth of the directions."
  ],
  [
    "co-, counter-rotation",
    "The symmetric and the antisymmetric part of E in base’s singular directions: where both sides turn alike, and " +
        "against each other. A stretch of one side is symmetric too, a turn of one side mostly antisymmetric. " +
        "counter/co is their ratio, 1 under chance."
  ],
  ["eq. 8", "The paper’s claim that both sides turn by one rotation."],
  ["leakage", "What of E points out of the base’s span."],
  ["z", "The distance from the null in its standard deviations."],
  ["W_QKV, W_gate+up (fused)", "A tensor that a model stores in one piece, as a whole; its parts stand beside it."]
];
const glossary = () => element(
    "details", {class: "card", id: "words"}, element("summary", {}, "Words used on this page"),
    element(
        "dl", {class: "facts"},
        kWords.flatMap(([word, text]) => [element("dt", {}, ...typeset(word)), element("dd", {}, ...typeset(text))])));

function swatch(comparison) {
  const node = element("span", {class: "swatch", "aria-hidden": "true"});
  node.comparison = comparison;
  node.style.background = lineOf(comparison).color;
  return node;
}
function paintSwatches() {
  for (const node of document.querySelectorAll(".swatch")) node.style.background = lineOf(node.comparison).color;
}

// The last two parts of a local path: where it lay on the machine is nobody's business.
const shortId = (model) => {
  const id = String(model.id ?? kDash), parts = id.split("/");
  return parts.length > 2 ? "…/" + parts.slice(-2).join("/") : id;
};

function modelsTable(result) {
  const text = (value) => ({show: value || kDash, sort: value, csv: [value], tex: texText(value || kDash)});
  const row = (role, model, comparison) =>
      [comparison ? comparisonCell(comparison) : text(model.name), role, text(shortId(model)), model.revision,
       model.architecture ?? model.model_type, numberCell(model.layers, String(model.layers ?? kDash)),
       numberCell(model.parameters, count(model.parameters)), text((model.dtypes ?? []).join(" ")),
       {...text((model.sha256 ?? "").slice(0, 12)), csv: [model.sha256]}];
  const roleOf = (comparison) =>
      comparison.imitates ? `noise of the size of ${comparison.imitates.name}` : comparison.role;
  const plain = (label, numeric = false) => ({label, tex: label, heads: [label], numeric});
  return makeTable({
    id: "models",
    title: "Who was compared",
    folded: true,
    columns: [
      plain("Model"), plain("Role"), plain("Id"), plain("Revision"), plain("Architecture"), plain("Layers", true),
      plain("Parameters", true), plain("Dtypes"), plain("SHA-256 of layout and samples")
    ],
    rows: [
      row("base", result.base),
      ...result.comparisons.map((comparison) => row(roleOf(comparison), comparison.post, comparison))
    ]
  });
}

function expertsHint({experts, families}) {
  if (families)
    return " The experts are too many for a page to have each: it has the median of each layer’s, their deciles and " +
        "the one furthest from the median; result.json beside it has every expert.";
  return experts ? " Figures by layer show the median over a layer’s experts; the table of every matrix has each." : "";
}
function leftOutHint({leftOut}) {
  if (!leftOut.length) return "";
  const names =
      leftOut.length > 4 ? `${leftOut.slice(0, 3).join(", ")} and ${leftOut.length - 3} more` : leftOut.join(", ");
  return ` The page has no room for ${plural(leftOut.length, "model")}: ${names}; result.json beside it has all.`;
}

function summarySection(result) {
  const controls = result.comparisons.length - result.posts.length;
  const counts = `${plural(result.posts.length, "post")}${controls ? ` and ${plural(controls, "control")}` : ""}, ${
      plural(result.matrices, "matrix", "matrices")} each.`;
  return [
    element("p", {class: "sentence"}, ...typeset(summarySentence(result))),
    verdictTable(result),
    makeFigure(result, kOverviewFigure),
    findingsSection(result),
    modelsTable(result),
    glossary(),
    element(
        "p", {class: "hint"},
        counts + expertsHint(result) + leftOutHint(result) +
            " Every number stands beside what a structureless change of the same size gives (the null). In the " +
            "figures: drag to zoom, double-click to go back, click a name to hide it, arrow keys read the values. " +
            "The address of this page keeps what you chose."),
  ];
}
