// Tables of probes.

// Of a subject, by block: the change of the entropy, the mean over questions.
function entropyChanges({blocks, questions, subjects}, subject) {
  const original = subjects.find(({kind}) => kind === "original");
  if (!original) return [];
  const mean = (one, b) => meanKnown(questions.map((_, q) => one.mean(q)[b]));
  return blocks.map((_, b) => [mean(subject, b), mean(original, b)])
      .filter((both) => both.every(isNumber))
      .map(([own, other]) => own - other);
}

const signedNats = (value) => (value > 0 ? "+" : "") + significant(value, 2);

function comparisonOf({comparisons}, subject) { return comparisons.find((one) => one.subject === subject) ?? null; }
const medianOf = (comparison, key) => (comparison ? median(comparison.blocks.map((row) => row[key] ?? NaN)) : null);
// Over all blocks in which it is defined.
function pooledExplained(comparison) {
  const known = (comparison?.blocks ?? []).filter(({explained}) => isNumber(explained));
  const sum = (key) => known.reduce((all, row) => all + row[key], 0);
  return sum("kl") > 0 ? 1 - sum("kl_fitted") / sum("kl") : null;
}

const natsCell = (value) => numberCell(value, isNumber(value) ? signedNats(value) : kDash);
const shareCell = (value) => numberCell(value, percent(value));
const plainNumber = (value, digits = 3) => numberCell(value, significant(value, digits));

function attentionTable(probe) {
  const others = probe.subjects.filter(({kind}) => kind !== "original");
  if (!others.length) return element("div");
  return makeTable({
    id: "attention-table",
    title: "Entropies and temperatures",
    subject: probe.name,
    caption: texText(`Attention of ${probe.name}: constructions and controls against the original.`)
                 .replace(/→/g, "$\\to$"),
    read:
        "Entropy: change to the original, in nats: mean over blocks, and mean of its size. T and KL: medians over blocks; " +
        "explained: of the sum over blocks.",
    columns: [
      plainColumn("Subject", false),
      ...["Δ entropy", "mean size", "T", "KL", "with T", "explained"].map(
          (label) => ({
            label,
            tex: texText(label).replace("Δ", "$\\Delta$"),
            heads: [label.replace("Δ", "change of")],
            numeric: true
          }))
    ],
    rows: others.map((subject) => {
      const changes = entropyChanges(probe, subject), comparison = comparisonOf(probe, subject);
      return [
        variantCell(subject), natsCell(meanKnown(changes)), plainNumber(meanKnown(changes.map(Math.abs)), 2),
        ...["temperature", "kl", "kl_fitted"].map((key) => plainNumber(medianOf(comparison, key))),
        shareCell(pooledExplained(comparison))
      ];
    })
  });
}

function ckaTable(probe) {
  const columns = probe.readings.map(({name, description}) => {
    const label = name.replaceAll("_", " ");
    return [
      {
        label: element("span", {title: description}, `${label}: off by`),
        tex: texText(`${label}: off by`),
        heads: [`${name} distance`],
        numeric: true
      },
      {label: "diagonal", tex: "diagonal", heads: [`${name} diagonal`], numeric: true}
    ];
  });
  return makeTable({
    id: "cka-table",
    title: "CKA to the original",
    subject: probe.name,
    caption: texText(`CKA of ${probe.name} and its constructions.`).replace(/→/g, "$\\to$"),
    read: "Of each reading: the mean size of what parts the matrix from the original’s, and the mean of its diagonal.",
    columns: [plainColumn("Subject", false), ...columns.flat()],
    rows: probe.subjects.map(
        (subject) =>
            [variantCell(subject),
             ...probe.readings.flatMap(
                 (_, r) =>
                     [plainNumber(ckaDistance(probe, subject, r), 2),
                      plainNumber(meanKnown(diagonalOf(subject.get(r))), 4)])])
  });
}

const kRotationColumns = [
  ["rotations apart", "distance"], ["noise", "distance_null"], ["from no turn", "identity_distance"],
  ["the other", "other_identity_distance"], ["turns", "turn_correlation"], ["noise", "turn_correlation_null"],
  ["changes", "change_correlation"], ["carried %", "explained"], ["noise %", "explained_null"],
  ["chance %", "explained_by_chance"]
];
const pairCell = ({name}) => ({show: name, sort: name, csv: [name], tex: texText(name).replace(/→/g, "$\\to$")});

function carryTable({pairs, name}) {
  const cell = (row, label, key) =>
      (label.includes("%") ? share100(row[key]) : numberCell(row[key], fixed(row[key], 3)));
  const several = pairs.length > 1;
  return makeTable({
    id: "rotation-table",
    title: "Shared rotations by type",
    subject: name,
    caption: texText("Rotations that posts share, by type, beside noise of the other post’s size."),
    read:
        "Distances are over √n: of the two rotations, and of each from no turn. Turns: correlation of what the rotations do " +
        "to the base’s weights; changes: of the whole changes. Carried: what the shared rotation explains of the difference; " +
        "chance: what it does if the two sides turn independently.",
    columns: [
      ...(several ? [plainColumn("Pair", false)] : []), plainColumn("Type", false),
      ...kRotationColumns.map(([label, key]) => ({label, tex: texText(label), heads: [key], numeric: true}))
    ],
    rows: pairs.flatMap(
        (pair) => pair.types.map(
            (row) =>
                [...(several ? [pairCell(pair)] : []),
                 {show: typeNode(row.type), sort: typeOrder(row.type), csv: [row.type], tex: typeTex(row.type)},
                 ...kRotationColumns.map(([label, key]) => cell(row, label, key))]))
  });
}
