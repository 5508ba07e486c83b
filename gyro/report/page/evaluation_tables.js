// The table of an evaluation: docs/evaluation.md says what its columns are.

const intervalText = ({low, high}) => `[${fixed(100 * low, 1)}, ${fixed(100 * high, 1)}]`;
const share100 = (value) => numberCell(value, isNumber(value) ? fixed(100 * value, 1) : kDash);
const pText = (p) => (!isNumber(p) ? kDash : p < 0.001 ? "<.001" : p.toFixed(3).replace(/^0/, ""));

const variantCell = ({name, kind, index}) => ({
  show: [element("span", {class: "name"}, name), kind === "control" ? element("span", {class: "role"}, "control") : ""],
  sort: index,
  csv: [name],
  tex: texText(name),
});

function accuracyCell(cell) {
  const {mean} = cell.accuracy, dagger = cell.truncated > kMuchTruncated ? "†" : "";
  const text = (cell.collapsed ? "-" : fixed(100 * mean, 1)) + dagger;
  return {show: text, sort: mean, csv: [mean, marksOf(cell)], tex: text.replace("†", "$^\\dagger$")};
}

const intervalCell = (of) => ({
  show: of && isNumber(of.low) ? intervalText(of) : kDash,
  sort: of?.low ?? null,
  csv: [of?.low ?? null, of?.high ?? null],
  tex: of && isNumber(of.low) ? `$${intervalText(of).replace(/\u2212/g, "-")}$` : "--",
});

// [head, heads of CSV, title, the cell, whether it is there]
const kAccuracyColumns = [
  ["accuracy %", ["accuracy", "mark"], "answered right in the form that was asked for", accuracyCell],
  ["95 %", ["low", "high"], "of the accuracy, over questions (Wilson)", (cell) => intervalCell(cell.accuracy)],
  [
    "± repeats", ["decoding noise"], "standard deviation over repeats: decoding noise, no error of the accuracy",
    (cell) => share100(cell.decoding_noise), ({cells}) => cells[0].repeats > 1
  ],
  ["flexible %", ["flexible"], "answered right in any form", (cell) => share100(cell.accuracy_flexible.mean)],
  ["tokens", ["tokens"], "mean length of an answer", (cell) => numberCell(cell.tokens, fixed(cell.tokens, 1))],
  ["cut %", ["cut"], "answers cut at the limit of tokens", (cell) => share100(cell.truncated)],
  [
    "no answer %", ["no answer"], "outputs without an answer in the form that was asked for",
    (cell) => share100(cell.no_answer)
  ],
];
const kAgainstColumns = [
  [
    "difference", ["difference"], "to the original, over the same questions, in points",
    (cell) => numberCell(cell.against?.difference ?? null, signed(cell.against?.difference))
  ],
  ["95 %", ["difference low", "difference high"], "of the difference", (cell) => intervalCell(cell.against)],
  [
    "p (Holm)", ["p adjusted"], "adjusted for the number of variants",
    (cell) => numberCell(
        cell.against?.p_adjusted ?? null, pText(cell.against?.p_adjusted),
        pText(cell.against?.p_adjusted).replace("<", "$<$").replace(kDash, "--"))
  ],
  [
    "least seen", ["least seen"],
    "the smallest difference that such a test, adjusted for the number of variants, finds in four runs of five",
    (cell) => share100(cell.against?.detectable ?? null)
  ],
];

function accuracyTable(evaluation) {
  const {tasks, rows, variants} = evaluation, several = tasks.length > 1;
  const compared = variants.length > 1 ? kAgainstColumns : [];
  const columns = [...kAccuracyColumns, ...compared].filter(([, , , , there]) => !there || tasks.some(there));
  const heads = columns.map(
      ([label, names, title]) =>
          ({label: element("span", {title}, label), tex: texText(label), heads: names, numeric: true}));
  return makeTable({
    id: "accuracies",
    title: "Accuracies, lengths, differences",
    subject: evaluation.name,
    caption: texText(`Accuracies of ${evaluation.name} and its constructions, in percent.`).replace(/→/g, "$\\to$"),
    filter: rows.length * tasks.length > 12,
    read: "In percent; the unit is the question, so that repeats narrow no interval. The difference is to the " +
        "original over the same questions; p is adjusted for the number of variants; where a difference is smaller " +
        "than what is least seen, its absence says little.",
    columns: [plainColumn("Variant", false), ...(several ? [plainColumn("Task", false)] : []), ...heads],
    rows: tasks.flatMap(
        (task) => rows.map(
            (row) =>
                [variantCell(row), ...(several ? [task.name] : []),
                 ...columns.map(([, , , make]) => make(task.cells[row.index]))])),
    note: kMarksNote
  });
}
