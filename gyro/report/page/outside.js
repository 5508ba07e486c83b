// What lies outside the matrices: embeddings, head, norms, biases.

const kOutsideKinds = {
  embeddings: "embeddings",
  head: "head",
  norms: "norms",
  biases: "biases",
  other: "other tensors"
};

const kindCell = (kind) => ({show: kOutsideKinds[kind], sort: kind, csv: [kind], tex: texText(kOutsideKinds[kind])});
const partCell = (value) => (isNumber(value) ? numberCell(value, share(value)) : numberCell(null, kDash));
// Next to 1 what is missing of it.
const cosineCell = (value) => numberCell(
    isNumber(value) ? value : null,
    isNumber(value) && value < 1 && 1 - value < 1e-4 ? `1 − ${significant(1 - value, 2)}` : fixed(value, 4));

// A card where some model has been looked at: older results have nothing of it, and noise has no such tensors.
function outsideTable(result) {
  const known = result.comparisons.filter(({outside}) => outside);
  if (!known.length) return null;
  const number = (value) => numberCell(value, String(value));
  const comparedCell = ({tensors, defined}) => numberCell(
      tensors, isNumber(defined) && defined < tensors ? `${tensors} (figures of ${defined})` : String(tensors));
  const changeCell = ({tensors, relative_change: change}) =>
      (tensors && isNumber(change) ? numberCell(change, share(change)) : numberCell(null, kDash));
  return makeTable({
    id: "outside",
    title: "Outside the matrices",
    read:
        known.map((comparison) => (known.length > 1 ? `${comparison.name}: ` : "") + comparison.outside.text).join(" "),
    columns: [
      plainColumn("Model", false), plainColumn("Kind", false), plainColumn("compared"), plainColumn("changed"),
      plainColumn("relative change"), plainColumn("cosine"), plainColumn("unchanged"), plainColumn("of another shape"),
      plainColumn("base alone"), plainColumn("post alone")
    ],
    rows: known.flatMap(
        (comparison) => comparison.outside.groups.map(
            (group) =>
                [comparisonCell(comparison), kindCell(group.kind), comparedCell(group), number(group.changed),
                 changeCell(group), cosineCell(group.cosine), partCell(group.unchanged), number(group.reshaped),
                 number(group.missing), number(group.added)])),
    note:
        "By place in the model, whatever stands before the names, and by value, whatever the dtype. Relative change: " +
        "‖post − base‖ over ‖base‖, of all that were compared and are numbers. A head that one of the two models lacks is its embeddings."
  });
}

// One tensor a row: norms by layer, biases, embeddings and head.
function outsideTensorsTable(result) {
  const known = result.comparisons.filter(({outside}) => outside?.tensors?.length);
  if (!known.length) return null;
  const left = known.filter(({outside}) => outside.tensors_left_out)
                   .map(({name, outside}) => `${name}: ${outside.tensors_left_out} more changed.`);
  return makeTable({
    id: "outside-tensors",
    title: "Norms, biases and others that changed",
    read:
        "What changed outside the matrices, the most changed first; a dash is a tensor that was zero in the base, or " +
        "has values that are no numbers.",
    columns: [
      plainColumn("Model", false), plainColumn("Tensor", false), plainColumn("Kind", false), plainColumn("layer"),
      plainColumn("relative change"), plainColumn("cosine"), plainColumn("unchanged")
    ],
    rows: known.flatMap(
        (comparison) => comparison.outside.tensors.map(
            ({place, kind, layer, relative_change: change, cosine, unchanged}) =>
                [comparisonCell(comparison), place, kindCell(kind), layer, partCell(change), cosineCell(cosine),
                 partCell(unchanged)])),
    note: left.join(" "),
    filter: true,
    folded: true
  });
}

const overCell = (value, least) => {
  const over = isNumber(value) && isNumber(least) ? value / least : null;
  return numberCell(over, times(over));
};

// White space is shown by its name, as in a string of JSON, and bytes as the result has them.
const tokenText = (token) => (token === null ? kDash : JSON.stringify(token).replace(/\\\\(?=x[0-9A-F]{2})/g, "\\"));

function tokensTable(result) {
  const lists = result.comparisons.flatMap(
      (comparison) => (comparison.outside?.tokens ?? []).map((tokens) => ({comparison, tokens})));
  const rows = lists.flatMap(
      ({comparison, tokens}) => tokens.most.map(
          (row) =>
              [comparisonCell(comparison), kindCell(tokens.kind),
               {
                 show: element("code", {}, tokenText(row.token)),
                 sort: row.token,
                 csv: [row.token],
                 tex: texText(tokenText(row.token))
               },
               row.id, partCell(row.relative_change), partCell(row.even), overCell(row.relative_change, tokens.largest),
               cosineCell(row.cosine)]));
  if (!rows.length) return null;
  const several = lists.length > 1;
  return makeTable({
    id: "tokens",
    title: "Tokens changed most",
    read: lists.map(({comparison, tokens}) => (several ? `${comparison.name}: ` : "") + tokens.text).join(" "),
    columns: [
      plainColumn("Model", false), plainColumn("Of", false), plainColumn("Token", false), plainColumn("id"),
      plainColumn("relative change"), plainColumn("even spread"), plainColumn("over the largest by chance"),
      plainColumn("cosine")
    ],
    rows,
    note:
        "Rows of the embeddings and of the head. Even spread: what the row’s norm makes of a change that is spread evenly " +
        "over all rows; the largest by chance is what the most changed of all rows would then have. A dash: a row that " +
        "was zero, or a token that the tokenizer does not tell."
  });
}

const outsideSection = (result) => [outsideTable(result), outsideTensorsTable(result), tokensTable(result)];
