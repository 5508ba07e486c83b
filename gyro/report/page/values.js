// A figure's values to be read in the page: as a table, and by the arrow keys.

// The same as a table, made when opened.
const kMostValues = 400;
function valuesSection(figure) {
  const holder = element("div");
  const fill = () => {
    if (!figure.drawn) draw(figure);
    const heads = tidyHeads(figure), rows = tidyRows(figure);
    const numeric = new Set(["layer", "index", "value", "null", "low", "high", "original"]);
    const shown =
        rows.slice(0, kMostValues)
            .map((row) => row.map((value) => (isNumber(value) ? numberCell(value, significant(value, 5)) : value)));
    const more = rows.length > shown.length ? `The first ${shown.length} of ${rows.length} values; CSV has all.` : "";
    holder.replaceChildren(makeTable({
      id: `values-${figure.id}`,
      title: "Values",
      columns: heads.map((head) => ({label: head, tex: head, heads: [head], numeric: numeric.has(head)})),
      rows: shown,
      note: more
    }));
  };
  const details = element(
      "details", {class: "values", ontoggle: () => details.open && fill()}, element("summary", {}, "Values as a table"),
      holder);
  figure.refreshValues = () => details.open && fill();
  return details;
}

// Left and right go along a trace, up and down from trace to trace; the label is shown and said.
function readByKey(figure, event) {
  const step = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]}[event.key];
  if (!step || !figure.drawn || event.target !== figure.plot) return;
  event.preventDefault();
  const places = readPlaces(figure);
  if (!places.length) return;
  const wrap = (value, size) => ((value % size) + size) % size;
  const cursor = figure.cursor ?? {at: 0, point: -step[1]};
  const at = wrap(cursor.at + step[0], places.length), {trace, i, points} = places[at];
  const point = wrap(Math.min(cursor.point, points.length - 1) + step[1], points.length);
  figure.cursor = {at, point};
  const subplot = (trace.xaxis ?? "x") + (trace.yaxis ?? "y");
  window.Plotly.Fx.hover(figure.plot, [{curveNumber: i, pointNumber: points[point]}], subplot);
  const panel = figure.plot.layout.meta.panels[Number((trace.xaxis ?? "x").slice(1) || 1) - 1];
  // Plotly shows at most one label in 50 ms.
  clearTimeout(figure.reading);
  figure.reading = setTimeout(() => {
    const label = [...figure.plot.querySelectorAll(".hoverlayer text")].map((node) => node.textContent).join(" ");
    say(`${panel}: ${label}`);
  }, 80);
}

// Where the keys can go: [{trace, i, points}], without values that are missing.
function readPlaces(figure) {
  const places = figure.plot.data.map((trace, i) => {
    if (trace.meta?.helper || trace.hoverinfo === "skip") return {points: []};
    const points = trace.z ? trace.z.flatMap((row, r) => row.map((value, c) => (isNumber(value) ? [r, c] : null))) :
                             Array.from(trace.y, (value, k) => (isNumber(value) ? k : null));
    return {trace, i, points: points.filter((point) => point !== null)};
  });
  return places.filter(({points}) => points.length);
}
