// A figure: title, how to read it, choices, the plot, what was done to its data, downloads. It is drawn when it comes
// near the window, and again when the window, a choice or the theme changes.

const figures = new Map();
let observer = null;

// spec: id, title, read (how to read it), uses (which of the page's choices: "model", "type", "layer"),
// choices(result) → its own: [{key, label, options: [[value, label]], value}], about(context) → what is shown, in
// words, subject(context) → what images are of, where that is no model of the result, tidy: its values, where they are
// not those of tidy.js, panels(context) → what panelLayout gives, build(context, panels) → {data, note}, which may add
// to panels.layout. context: {result, state, width, narrow, colors}; a figure is a function of it and of nothing else.
function makeFigure(result, spec) {
  const plot = element("div", {class: "plot", role: "group", tabindex: "0", id: `plot-${spec.id}`});
  const note = element("p", {class: "note"}), about = element("span", {class: "about"});
  const choices = (spec.choices?.(result) ?? []).filter((choice) => choice.options.length > 1);
  const figure = {id: spec.id, spec, result, choices, plot, note, about, drawn: false, wanted: false};
  const heading = `heading-${spec.id}`;
  figure.root = element(
      "section", {class: "card figure", id: spec.id, "aria-labelledby": heading},
      element("div", {class: "card-head"}, element("h3", {id: heading}, spec.title, " ", about), figureTools(figure)),
      element("p", {class: "read"}, ...typeset(spec.read)),
      choices.length ? element("div", {class: "choices"}, choices.map((choice) => choiceControl(choice, spec.id))) :
                       null,
      plot, note, valuesSection(figure));
  plot.setAttribute("aria-label", `${spec.title}. ${spec.read} Arrow keys read the values.`);
  plot.addEventListener("keydown", (event) => readByKey(figure, event));
  figures.set(spec.id, figure);
  return figure.root;
}

// Everything that a figure shows depends on, by name.
function stateOf({spec, result, choices}) {
  const own = choices.map((choice) => [choice.key, valueOf(spec.id, choice)]);
  const shared = pageChoices(result).map((choice) => [choice.key, valueOf("", choice)]);
  return Object.fromEntries([...shared, ...own]);
}

function contextOf(figure) {
  const width = themeState.printing ? kPrintWidth : Math.floor(figure.plot.getBoundingClientRect().width);
  return {result: figure.result, state: stateOf(figure), width, narrow: width < 560, colors: colors()};
}

// A choice was made: whatever depends on it is drawn again.
function redrawFor(name) {
  for (const figure of figures.values()) {
    const depends = kShared.includes(name) ? figure.spec.uses.includes(name) : name.startsWith(figure.id + ".");
    if (!depends) continue;
    if (figure.drawn) {
      draw(figure);
    } else {
      reserve(figure);
    }
  }
}

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
  const {note, height} = plotFigure(figure, figure.plot, context);
  figure.plot.style.minHeight = `${height}px`;
  figure.note.textContent = note ?? "";
  figure.note.hidden = !note;
  figure.about.textContent = figure.spec.about?.(context) ?? aboutChoices(context, figure.spec.uses);
  figure.cursor = null;
  figure.drawn = true;
  figure.width = context.width;
  figure.refreshValues();
}

const kScreenFont = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";

// Draws a figure into an element as the context says. Returns its height in pixels, the note to it, and when all is
// done.
function plotFigure(figure, div, context) {
  const panels = figure.spec.panels(context), {layout} = panels;
  const {data, note} = figure.spec.build(context, panels);
  const c = context.colors;
  const full = {
    ...layout,
    width: context.width,
    paper_bgcolor: c.surface,
    plot_bgcolor: c.surface,
    font: {family: context.family ?? kScreenFont, size: context.narrow ? 11 : 12, color: c.text},
    hoverlabel: {font: {size: 12}, align: "left", namelength: -1},
    hovermode: layout.hovermode ?? "closest",
    // On a touch screen a drag scrolls the page.
    dragmode: coarsePointer.matches ? false : "zoom",
  };
  const drawn = window.Plotly.react(div, data, full, plotConfig);
  const again = widenForLegend(div, data, full);
  return {note, height: full.height, done: Promise.all([drawn, again])};
}

// The room for the legend is estimated; where its text is wider than that, it is drawn again with the room it needs.
function widenForLegend(div, data, full) {
  const legend = div._fullLayout.legend;
  const missing = (full.showlegend ? legend?._height ?? 0 : 0) - (full.meta?.legendRoom ?? 0);
  if (!(missing > 2)) return null;
  full.height += missing;
  full.margin = {...full.margin, t: full.margin.t + missing};
  return window.Plotly.react(div, data, full, plotConfig);
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
      const figure = figures.get(entry.target.id);
      if (!figure.drawn) draw(figure);
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
  window.addEventListener("beforeprint", enterPaper);
  window.addEventListener("afterprint", leavePaper);
}
