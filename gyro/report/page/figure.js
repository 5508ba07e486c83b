// A figure: title, how to read it, choices, the plot, what was done to its data, downloads. It is drawn when it comes
// near the window, and again when the window, a choice or the theme changes.

const figures = new Map();
let observer = null;

// spec: id, title, read (how to read it), choices(result) → [{key, label, options: [[value, label]], value}],
// panels(context) → what panelLayout gives, build(context, panels) → {data, note}, which may add to panels.layout.
// context: {result, state, width, narrow, colors}; a figure is a function of it and of nothing else.
function makeFigure(result, spec) {
  const state = {}, choices = spec.choices?.(result) ?? [];
  for (const choice of choices) state[choice.key] = String(choice.value ?? choice.options[0][0]);
  const plot = element("div", {class: "plot", role: "img", id: `plot-${spec.id}`});
  const note = element("p", {class: "note"});
  const figure = {id: spec.id, spec, result, state, plot, note, drawn: false, wanted: false};
  const controls = choices.filter((choice) => choice.options.length > 1).map((choice) => choiceControl(figure, choice));
  const heading = `heading-${spec.id}`;
  figure.root = element(
      "section", {class: "card figure", id: spec.id, "aria-labelledby": heading},
      element("div", {class: "card-head"}, element("h3", {id: heading}, spec.title), figureTools(figure)),
      element("p", {class: "read"}, ...typeset(spec.read)),
      controls.length ? element("div", {class: "choices"}, controls) : null, plot, note);
  plot.setAttribute("aria-label", `${spec.title}. ${spec.read}`);
  figures.set(spec.id, figure);
  return figure.root;
}

function figureTools(figure) {
  const tool = (label, title, act) => element("button", {type: "button", title, onclick: act}, label);
  return element(
      "div", {class: "tools"}, tool("PNG", "Download as an image", () => saveImage(figure, "png")),
      tool("SVG", "Download as vector graphics", () => saveImage(figure, "svg")),
      tool("CSV", "Download the values that are drawn", () => saveValues(figure)));
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
  const panels = figure.spec.panels(context), {layout} = panels;
  const {data, note} = figure.spec.build(context, panels);
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
  if (context.width >= 50) figure.plot.style.minHeight = `${figure.spec.panels(context).layout.height}px`;
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
