// What others ask of an update, by type, each figure beside what chance gives.

const kFar = 4;  // standard deviations beyond which a figure stands out

// A figure {value, null, z}: the value, and below it its null and how far it is from that.
function besideCell({value, null: chance, z}, show, ratio = false) {
  if (!isNumber(value)) return {show: kDash, sort: null, csv: [null, null, null], tex: "--"};
  const far = Math.abs(z) > kFar && isNumber(z), over = ratio && chance > 0 ? times(value / chance) : null;
  const text = over ?? show(value), beside = over ? `${show(value)}, chance ${show(chance)}` : `chance ${show(chance)}`;
  return {
    show: [
      element("span", {class: far ? "main far" : "main"}, text), element("span", {class: "beside"}, beside),
      isNumber(z) ? element("span", {class: "beside"}, `z ${fixed(z, 1)}`) : null
    ].filter(Boolean),
    sort: over ? value / chance : value,
    csv: [value, chance, z],
    tex: texText(`${text}${far ? "*" : ""} (${isNumber(z) ? `z ${fixed(z, 1)}` : `chance ${show(chance)}`})`)
  };
}

// Outside of 2 to 6 its reader is warned: a tail so heavy or so light is no sign of a well trained matrix.
const tailFlag = (alpha) => (alpha < 2 ? "<2" : alpha > 6 ? ">6" : "");
const flagged = (alpha) => `${fixed(alpha, 2)}${isNumber(alpha) && tailFlag(alpha) ? ` (${tailFlag(alpha)})` : ""}`;
// Base and post.
function baseAndPostCell(base, post, show) {
  if (!isNumber(base) && !isNumber(post)) return {show: kDash, sort: null, csv: [null, null], tex: "--"};
  const text = `${show(base)} → ${show(post)}`;
  return {show: text, sort: post, csv: [base, post], tex: texText(text).replace("→", "$\\to$")};
}

// How many vectors of how many, on both sides, and how many in a draw of noise.
function intruderCell({of, u, v, u_null: uNull, v_null: vNull}) {
  if (!isNumber(of)) return {show: kDash, sort: null, csv: [null, null, null, null, null], tex: "--"};
  const drawn = isNumber(uNull) && isNumber(vNull), text = `${u} + ${v} of ${2 * of}`;
  return {
    show: [
      element("span", {class: "main"}, text),
      drawn ? element("span", {class: "beside"}, `chance ${significant(uNull, 2)} + ${significant(vNull, 2)}`) : null
    ].filter(Boolean),
    sort: u + v,
    csv: [of, u, v, uNull, vNull],
    tex: texText(text)
  };
}

function untouchedCell({untouched: count, layers}) {
  if (!isNumber(count)) return numberCell(null, kDash);
  const text = count === layers ? "● all" : count ? `● ${count} of ${layers}` : "0";
  return {show: text, sort: count, csv: [count], tex: texText(text.replace("● ", ""))};
}

const kBesideHeads = ["", " null", " z"];
const percents = (x) => percent(x);
// A figure of a type's quantities: [head, what it is, path, shown how, whether as a multiple of chance].
const kBesideColumns = [
  [
    "energy, in", "share of ‖E‖² on the base’s 10 % leading directions of the input side", "principal_share.q10.u",
    percents, true
  ],
  ["energy, out", "the same of the output side", "principal_share.q10.v", percents, true],
  ["energy, both", "the same on both sides at once", "principal_share.q10.uv", percents, true],
  [
    "overlap, in", "of the 10 % leading directions: how much of the base’s span the post’s covers, input side",
    "subspace_overlap.q10.u", (x) => fixed(x, 4)
  ],
  ["overlap, out", "the same of the output side", "subspace_overlap.q10.v", (x) => fixed(x, 4)],
  [
    "spectrum", "‖σ_post − cσ_base‖ / ‖cσ_base‖: the shift of the spectrum beside one scale", "spectrum.nss_c",
    (x) => significant(x)
  ],
];
const kAskedColumns = [
  ["rank of E", "effective rank of the change", "update_spectrum.erank", (x) => fixed(x, 1)],
  ["90 % of E", "singular values that hold 90 % of ‖E‖²", "update_spectrum.rank_90", (x) => fixed(x, 1)],
  ["99 % of E", "singular values that hold 99 % of ‖E‖²", "update_spectrum.rank_99", (x) => fixed(x, 1)],
  ["first of E", "share of ‖E‖² that the first singular value holds", "update_spectrum.top1", percents],
  ["16 of E", "share of ‖E‖² that the first sixteen hold", "update_spectrum.top16", percents],
  [
    "above noise", "singular values of the change above the bulk of noise", "update_spectrum.spikes", (x) => fixed(x, 1)
  ],
  ["low weights", "of the weights that changed, the share among the base’s 30 % smallest", "masks.low", percents],
  [
    "principal weights", "of the weights that changed, the share among the 30 % largest of the base’s best low rank",
    "masks.principal", percents
  ],
];
const besideColumn = ([head, title, path, show, ratio]) => ({
  head,
  title,
  heads: kBesideHeads.map((end) => path + end),
  cell: ({quantities}) => besideCell(memberOf(quantities, path), show, ratio)
});
const kOtherColumns = [
  {
    head: "effective rank",
    title: "exp(−Σ p ln p), p = σ/Σσ, of base and post",
    heads: ["erank_base", "erank_post"],
    cell: ({quantities: {spectrum}}) => baseAndPostCell(spectrum.erank_base, spectrum.erank_post, (x) => fixed(x, 1))
  },
  {
    head: "tail exponent",
    title: "power law of the tail of σ², as WeightWatcher fits it, of base and post; marked below 2 and above 6",
    heads: ["ww_alpha_base", "ww_alpha_post"],
    cell: ({quantities: {spectrum}}) =>
        baseAndPostCell(spectrum.ww_alpha_base.alpha, spectrum.ww_alpha_post.alpha, flagged)
  },
  {
    head: "intruders",
    title: "leading vectors of the post whose cosine with every vector of the base is below ½: input + output side",
    heads: ["intruders of", "intruders u", "intruders v", "intruders u null", "intruders v null"],
    cell: ({quantities: {intruders}}) => intruderCell(intruders)
  }
];
const kAmountColumns = [
  {head: "untouched", title: "matrices that are the base’s bit for bit", heads: ["untouched"], cell: untouchedCell}, {
    head: "relative change",
    title: "‖ΔW‖ / ‖W_base‖, mean over matrices",
    heads: ["relative_change_mean"],
    cell: ({relative_change_mean: change}) => numberCell(change, significant(change))
  }
];
// Nothing where no model has such figures: an older result.
function quantitiesTable(result) {
  const rows = result.comparisons.flatMap(
      (comparison) => result.types.filter((name) => comparison.types.has(name))
                          .map((name) => ({comparison, name, row: comparison.types.get(name)})));
  const filled = ({cell}) => rows.some(({row}) => cell(row).csv.some(isNumber));
  const measured =
      [...kBesideColumns.map(besideColumn), ...kOtherColumns, ...kAskedColumns.map(besideColumn)].filter(filled);
  if (!measured.length) return null;
  const columns = [...kAmountColumns, ...measured];
  const head = ({head, title, heads}) =>
      ({label: element("span", {title}, head), tex: texText(head), heads, numeric: true});
  return makeTable({
    id: "quantities",
    title: "What changed where, beside chance",
    filter: true,
    read: "Over all layers of a type. Energy as a multiple of chance. Chance is a structureless change of the same " +
        `size; z is the distance from it in standard deviations, bold where it is more than ${kFar}. A dash: not ` +
        "defined, not measured, or nothing changed.",
    columns: [plainColumn("Model", false), plainColumn("Type", false), ...columns.map(head)],
    rows: rows.map(({comparison,
                     name,
                     row}) => [comparisonCell(comparison), typeCell(name), ...columns.map(({cell}) => cell(row))]),
    note: columns.map(({head: name, title}) => `${name}: ${title}`).join(". ") + "."
  });
}
