// Downloads of a figure: an image as it is drawn, and the values that are drawn.

const fileName = (figure, ending) => `gyro-${figure.result.base.name}-${figure.id}.${ending}`.replace(/[^\w.-]+/g, "_");

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

// The drawn values: one line for each point, or for each cell of a heatmap.
function valuesOf(figure) {
  const lines = [["panel", "trace", "x", "y", "value"]];
  const titles = figure.plot.layout.meta?.panels ?? [];
  for (const trace of figure.plot.data) {
    if (trace.meta?.helper) continue;
    const panel = titles[Number((trace.xaxis ?? "x").slice(1) || 1) - 1] ?? "";
    if (trace.type === "heatmap") {
      trace.z.forEach(
          (row, i) => row.forEach((z, j) => lines.push([panel, trace.name ?? "", trace.x[j], trace.y[i], z])));
    } else {
      Array.from(trace.x).forEach((x, i) => lines.push([panel, trace.name ?? "", x, trace.y[i], null]));
    }
  }
  return lines;
}

function saveValues(figure) {
  if (!figure.drawn) draw(figure);
  const text = valuesOf(figure).map((line) => line.map(csvField).join(",")).join("\n") + "\n";
  download(fileName(figure, "csv"), text, "text/csv");
  say("CSV saved");
}
