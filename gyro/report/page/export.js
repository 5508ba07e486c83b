// A figure's values: as lines that say what each of them is (to download, and as a table), by the arrow keys, and as an
// image.

const fileName = (figure, ending) =>
    `gyro-${figure.result.base?.name ?? "families"}-${figure.id}.${ending}`.replace(/[^\w.-]+/g, "_");

async function saveImage(figure, format) {
  if (!figure.drawn) draw(figure);
  const {width, height} = figure.plot._fullLayout;
  const layout = {
    ...figure.plot.layout,
    title: {text: plotText(figure.spec.title), x: 0.01, y: 1, yanchor: "top", pad: {t: 12}, font: {size: 15}}
  };
  layout.margin = {...layout.margin, t: (layout.margin?.t ?? 40) + 30};
  const image = await window.Plotly.toImage(
      {data: figure.plot.data, layout: {...layout, height: height + 30}, config: plotConfig},
      {format, width, height: height + 30, scale: format === "png" ? 2 : 1});
  const link = element("a", {href: image, download: fileName(figure, format)});
  link.click();
  say(`${format.toUpperCase()} saved`);
}

// The values that a figure shows, one a line, under these heads.
const kTidyHeads = ["model", "role", "type", "layer", "index", "quantity", "value", "null", "unit"];

function tidyRows(figure) {
  const rows = figure.tidy.flatMap((tidy, i) => (tidy ? tidyOfTrace(figure.plot.data[i], tidy) : []));
  return rows.filter((row) => isNumber(row[6]));
}

function tidyOfTrace(trace, tidy) {
  const {comparison, quantity, unit = "", along = "layer", nulls} = tidy;
  const model = comparison?.name ?? tidy.model, role = comparison?.role ?? "base";
  const line = (value, i, {layer = tidy.layer ?? tidy.layers?.[i], index = null}) =>
      [model, role, tidy.type ?? tidy.types?.[i], layer, index, quantity, value,
       Array.isArray(nulls) ? nulls[i] : nulls, unit];
  if (trace.z) {
    const place = (i, j) =>
        (tidy.pairs ? {index: `${trace.y[i]}:${trace.x[j]}`} : {index: trace.y[i], layer: trace.x[j]});
    return trace.z.flatMap((cells, i) => cells.map((value, j) => line(value, 0, place(i, j))));
  }
  const xs = Array.from(tidy.x ?? trace.x);
  const values = tidy.of === "x" ? xs : Array.from(tidy.values ?? trace.y);
  return values.map((value, i) => line(value, i, tidy.of === "x" || along === "s" ? {} : {[along]: xs[i]}));
}

function saveValues(figure) {
  if (!figure.drawn) draw(figure);
  const text = [kTidyHeads, ...tidyRows(figure)].map((line) => line.map(csvField).join(",")).join("\n") + "\n";
  download(fileName(figure, "csv"), text, "text/csv");
  say("CSV saved");
}

// The same as a table, made when opened.
const kMostValues = 400;
function valuesSection(figure) {
  const holder = element("div");
  const fill = () => {
    if (!figure.drawn) draw(figure);
    const rows = tidyRows(figure), numeric = new Set(["layer", "index", "value", "null"]);
    const shown =
        rows.slice(0, kMostValues)
            .map((row) => row.map((value) => (isNumber(value) ? numberCell(value, significant(value, 5)) : value)));
    const more = rows.length > shown.length ? `The first ${shown.length} of ${rows.length} values; CSV has all.` : "";
    holder.replaceChildren(makeTable({
      id: `values-${figure.id}`,
      title: "Values",
      columns: kTidyHeads.map((head) => ({label: head, tex: head, heads: [head], numeric: numeric.has(head)})),
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
    if (!figure.tidy[i] || trace.meta?.helper) return {points: []};
    const points = trace.z ? trace.z.flatMap((row, r) => row.map((value, c) => (isNumber(value) ? [r, c] : null))) :
                             Array.from(trace.y, (value, k) => (isNumber(value) ? k : null));
    return {trace, i, points: points.filter((point) => point !== null)};
  });
  return places.filter(({points}) => points.length);
}
