// The top of the page: who was compared, what was found, each claim of the paper against chance.

const kClaims = [
  {
    id: "uniform_scaling",
    question: "Do singular values scale uniformly?",
    words:
        {
          yes: "Yes, more than chance",
          some_types: "More than chance in some types:",
          as_chance: "As uniform as chance",
          no: "No",
          unclear: "Uniform; null not drawn"
        }
  },
  {
    id: "co_rotation",
    question: "Do both sides turn together beyond chance?",
    words: {yes: "Yes", some_types: "In some types", as_chance: "As chance", no: "No"}
  },
  {id: "w_o_anomaly", question: "Does W_O stand out, as in reasoning models?", words: {yes: "Yes", no: "No"}},
];
const kStrength = {
  yes: "found",
  some_types: "partly",
  as_chance: "chance",
  no: "none",
  unclear: "chance",
  undefined: "none"
};
const kOtherWords = {
  undefined: "Not defined",
  unclear: "Unclear"
};
const kGlyph = {
  found: "●",
  partly: "◐",
  chance: "≈",
  none: "○"
};

function badge(claim, finding) {
  const strength = kStrength[finding.verdict] ?? "none";
  return element(
      "span", {class: `badge ${strength}`}, element("span", {"aria-hidden": "true"}, kGlyph[strength] + " "),
      claim.words[finding.verdict] ?? kOtherWords[finding.verdict] ?? finding.verdict);
}

function claimNumbers(finding) {
  const {id, value, null: chance, z} = finding;
  if (!isNumber(value)) return "no number";
  if (id === "uniform_scaling")
    return `α spreads by ${percent(value, 2)} of its mean; null ${isNumber(chance) ? percent(chance, 2) : "not drawn"}`;
  if (id === "co_rotation") {
    const sd = isNumber(z) && z !== 0 ? Math.abs((value - 1) / z) : null;
    return `counter/co = ${fixed(value, 3)}; null 1${sd ? " ± " + significant(sd, 2) : ""}${
        isNumber(z) ? `, z = ${fixed(z, 1)}` : ""}`;
  }
  return `α of W_O is ${value < 0 ? "" : "+"}${fixed(value, 4)} from the others; null ${fixed(chance, 0)}, threshold ${
      fixed(finding.threshold, 1)}`;
}

function claimLine(comparison, claim) {
  const finding = comparison.findings.get(claim.id);
  if (!finding) return null;
  const types =
      finding.verdict === "some_types" ? finding.types.flatMap((type, i) => [i ? ", " : " ", typeNode(type)]) : [];
  return element(
      "div", {class: "claim", "data-claim": claim.id}, element("dt", {}, ...typeset(claim.question)),
      element(
          "dd", {}, badge(claim, finding), ...types,
          element("div", {class: "numbers"}, ...typeset(claimNumbers(finding)))));
}

function comparisonCard(comparison) {
  const claims = new Set(kClaims.map((claim) => claim.id));
  const others = [...comparison.findings.values()].filter((finding) => !claims.has(finding.id));
  return element(
      "article", {class: `card comparison ${comparison.role}`},
      element(
          "h3", {}, swatch(comparison), element("span", {class: "name"}, comparison.name),
          element("span", {class: "role"}, comparison.role)),
      element("dl", {class: "claims"}, kClaims.map((claim) => claimLine(comparison, claim))),
      element("ul", {class: "findings"}, others.map((finding) => element("li", {}, ...typeset(finding.text)))));
}

function swatch(comparison) {
  const node = element("span", {class: "swatch", "aria-hidden": "true", "data-index": comparison.index});
  node.style.background = lineOf(comparison).color;
  return node;
}
function paintSwatches() {
  for (const node of document.querySelectorAll(".swatch"))
    node.style.background = colors().lines[node.dataset.index % colors().lines.length];
}

function modelsTable(result) {
  const row = (role, model) =>
      [{
        show: element("span", {class: "name"}, model.name ?? kDash),
        sort: model.name,
        csv: [model.name],
        tex: texText(model.name ?? "")
      },
       role,
       model.id,
       model.revision,
       model.architecture ?? model.model_type,
       numberCell(model.layers, String(model.layers ?? kDash)),
       numberCell(model.parameters, count(model.parameters)),
       {
         show: (model.dtypes ?? []).join(", ") || kDash,
         sort: (model.dtypes ?? []).join(" "),
         csv: [(model.dtypes ?? []).join(" ")],
         tex: texText((model.dtypes ?? []).join(", "))
       },
       {
         show: model.sha256 ? element("code", {title: model.sha256}, model.sha256.slice(0, 12)) : kDash,
         sort: model.sha256,
         csv: [model.sha256],
         tex: texText((model.sha256 ?? "").slice(0, 12))
       },
  ];
  const plain = (label, numeric = false) => ({label, tex: label, heads: [label], numeric});
  return makeTable({
    id: "models",
    title: "Who was compared",
    columns: [
      plain("Model"), plain("Role"), plain("Id"), plain("Revision"), plain("Architecture"), plain("Layers", true),
      plain("Parameters", true), plain("Dtypes"), plain("Layout hash")
    ],
    rows: [row("base", result.base), ...result.comparisons.map((comparison) => row(comparison.role, comparison.post))],
    note: "The hash is of the safetensors headers and sizes: models of one layout share it.",
  });
}

function summarySection(result) {
  const posts = plural(result.posts.length, "post"), controls = result.comparisons.length - result.posts.length;
  const intro = `Each number stands beside what a structureless change of the same size gives (the null). ` +
      `${posts}${controls ? ` and ${plural(controls, "control")}` : ""}, ${
                    plural(result.sites.length, "matrix", "matrices")} each.` +
      (result.experts ? " Figures by layer show the median over a layer’s experts; the table of every matrix has each." :
                        "");
  return [
    element("p", {class: "lead"}, intro),
    element("div", {class: "cards"}, result.comparisons.map(comparisonCard)),
    makeFigure(result, overviewFigure(result)),
    modelsTable(result),
  ];
}
