// A figure: title, how to read it, choices, the plot, what was done to its data, downloads. It is drawn when it comes
// near the window, and again when the window, a choice or the theme changes.

const figures = new Map();
let observer = null;

// spec: id, title, read (a sentence, or a function of the state), choices ([{key, label, options: [[value, label]]}]),
// height(context), build(context) → {data, layout, note}. context: {result, state, width, narrow, colors}.
function makeFigure(result, spec) {
  const state = {};
  for (const choice of spec.choices ?? []) state[choice.key] = String(choice.value ?? choice.options[0][0]);
  const plot = element("div", {class: "plot", role: "img", id: `plot-${spec.id}`});
  const note = element("p", {class: "note"});
  const figure = {id: spec.id, spec, result, state, plot, note, drawn: false, wanted: false};
  const controls =
      (spec.choices ?? []).filter((choice) => choice.options.length > 1).map((choice) => choiceControl(figure, choice));
  const heading = `heading-${spec.id}`;
  figure.root = element(
      "section", {class: "card figure", id: spec.id, "aria-labelledby": heading},
      element(
          "div", {class: "card-head"}, element("h3", {id: heading}, spec.title),
          element(
              "div", {class: "tools"},
              element(
                  "button", {type: "button", title: "Download as an image", onclick: () => saveImage(figure, "png")},
                  "PNG"),
              element(
                  "button",
                  {type: "button", title: "Download as vector graphics", onclick: () => saveImage(figure, "svg")},
                  "SVG"),
              element(
                  "button",
                  {type: "button", title: "Download the values that are drawn", onclick: () => saveValues(figure)},
                  "CSV"))),
      element("p", {class: "read"}, ...typeset(spec.read)),
      controls.length ? element("div", {class: "choices"}, controls) : null, plot, note);
  plot.setAttribute("aria-label", `${spec.title}. ${spec.read}`);
  figures.set(spec.id, figure);
  return figure.root;
}

function choiceControl(figure, choice) {
  const select = element("select", {
    "data-choice": choice.key,
    onchange: (event) => {
      figure.state[choice.key] = event.target.value;
      draw(figure);
    },
  });
  for (const [value, label] of choice.options) {
    select.append(element("option", {value, selected: String(value) === figure.state[choice.key]}, label));
  }
  return element("label", {}, element("span", {}, choice.label), select);
}

function contextOf(figure) {
  const width = themeState.printing ? kPrintWidth : Math.floor(figure.plot.getBoundingClientRect().width);
  return {result: figure.result, state: figure.state, width, narrow: width < 560, colors: colors()};
}

// On paper figures are drawn as on a laptop and shrunk (style.css, @media print).
const kPrintWidth = 1120;
const plotConfig = {
  displayModeBar: false,
  displaylogo: false,
  responsive: false,
  doubleClick: "reset"
};
const coarsePointer = window.matchMedia("(pointer: coarse)");

function draw(figure) {
  if (!window.Plotly || !figure.root.isConnected) {
    figure.wanted = true;
    return;
  }
  const context = contextOf(figure);
  if (context.width < 50) return;
  const {data, layout, note} = figure.spec.build(context);
  const c = context.colors;
  const full = {
    ...layout,
    width: context.width,
    paper_bgcolor: c.surface,
    plot_bgcolor: c.surface,
    font: {
      family: "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif",
      size: context.narrow ? 11 : 12,
      color: c.text
    },
    hoverlabel: {font: {size: 12}, align: "left", namelength: -1},
    hovermode: layout.hovermode ?? "closest",
    // On a touch screen a drag scrolls the page.
    dragmode: coarsePointer.matches ? false : "zoom",
  };
  figure.plot.style.minHeight = `${full.height}px`;
  window.Plotly.react(figure.plot, data, full, plotConfig);
  widenForLegend(figure, data, full);
  figure.note.textContent = note ?? "";
  figure.note.hidden = !note;
  figure.drawn = true;
  figure.width = context.width;
}

// The room for the legend is estimated; where its text is wider than that, it is drawn again with the room it needs.
function widenForLegend(figure, data, full) {
  const legend = figure.plot._fullLayout.legend;
  const missing = (full.showlegend ? legend?._height ?? 0 : 0) - (full.meta?.legendRoom ?? 0);
  if (!(missing > 2)) return;
  full.height += missing;
  full.margin = {...full.margin, t: full.margin.t + missing};
  figure.plot.style.minHeight = `${full.height}px`;
  window.Plotly.react(figure.plot, data, full, plotConfig);
}

function redrawAll(force) {
  for (const figure of figures.values()) {
    if (!figure.drawn) {
      reserve(figure);
    } else if (force || Math.abs(contextOf(figure).width - figure.width) > 2) {
      draw(figure);
    }
  }
}

// Keeps the place of a figure that is not drawn yet, so that the page does not jump.
function reserve(figure) {
  const context = contextOf(figure);
  if (context.width >= 50) figure.plot.style.minHeight = `${figure.spec.height(context)}px`;
}

function watchFigures() {
  observer?.disconnect();
  observer = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      observer.unobserve(entry.target);
      draw(figures.get(entry.target.id));
    }
  }, {rootMargin: "400px 0px"});
  for (const figure of figures.values()) {
    reserve(figure);
    observer.observe(figure.root);
  }
}

// Everything at once, for paper and for those who ask.
function drawAll() {
  for (const figure of figures.values()) draw(figure);
}

function watchPage() {
  let timer = 0;
  new ResizeObserver(() => {
    clearTimeout(timer);
    timer = setTimeout(() => redrawAll(false), 120);
  }).observe(document.getElementById("content"));
  window.addEventListener("beforeprint", () => {
    themeState.printing = true;
    paintSwatches();
    drawAll();
  });
  window.addEventListener("afterprint", () => {
    themeState.printing = false;
    paintSwatches();
    redrawAll(true);
  });
}

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
