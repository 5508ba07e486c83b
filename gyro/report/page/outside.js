// What lies outside the matrices: embeddings, head, norms, biases.

const kOutsideKinds = {
  embeddings: "embeddings",
  head: "head",
  norms: "norms",
  biases: "biases",
  other: "other tensors"
};

// A card where some model has been looked at: older results have nothing of it, and noise has no such tensors.
function outsideTable(result) {
  const known = result.comparisons.filter(({outside}) => outside);
  if (!known.length) return null;
  const number = (value) => numberCell(value, String(value));
  const kindCell = (kind) => ({show: kOutsideKinds[kind], sort: kind, csv: [kind], tex: texText(kOutsideKinds[kind])});
  const changeCell = ({tensors, relative_change: change}) =>
      (tensors && isNumber(change) ? numberCell(change, share(change)) : numberCell(null, kDash));
  return makeTable({
    id: "outside",
    title: "Outside the matrices",
    read:
        known.map((comparison) => (known.length > 1 ? `${comparison.name}: ` : "") + comparison.outside.text).join(" "),
    columns: [
      plainColumn("Model", false), plainColumn("Kind", false), plainColumn("compared"), plainColumn("changed"),
      plainColumn("relative change"), plainColumn("of another shape"), plainColumn("base alone"),
      plainColumn("post alone")
    ],
    rows: known.flatMap(
        (comparison) => comparison.outside.groups.map(
            (group) =>
                [comparisonCell(comparison), kindCell(group.kind), number(group.tensors), number(group.changed),
                 changeCell(group), number(group.reshaped), number(group.missing), number(group.added)])),
    note:
        "By place in the model, whatever stands before the names, and by value, whatever the dtype. Relative change: " +
        "‖post − base‖ over ‖base‖, of all that were compared. A head that one of the two models lacks is its embeddings."
  });
}
