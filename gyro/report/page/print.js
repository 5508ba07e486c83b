// The page on paper: light, every figure as wide as the paper, cut between its rows of panels where a sheet ends, with
// its choices in words; tables that are folded on the screen stand open.

// Pixels that figures are laid out in; style.css shrinks them to the paper's width, where the smallest letters are 6.5
// points high.
const kPrintWidth = 830;
const paper = {
  opened: []
};

function enterPaper() {
  if (sheetShown()) return;
  themeState.printing = true;
  paintSwatches();
  for (const figure of figures.values()) {
    draw(figure);
    figure.plot.after(...slicesOf(figure));
    figure.root.querySelector(".read").after(element("p", {class: "on-paper chosen"}, chosenText(figure)));
    figure.root.classList.add("sliced");
  }
  for (const button of document.querySelectorAll("th > .sort")) {
    const [label] = button.childNodes;
    button.after(element("span", {class: "on-paper"}, label.cloneNode(true)));
  }
  paper.opened = [...document.querySelectorAll("details.card:not(#every-matrix):not(#types):not([open])")];
  for (const details of paper.opened) details.open = true;
}

function leavePaper() {
  if (!themeState.printing) return;
  themeState.printing = false;
  paintSwatches();
  for (const node of document.querySelectorAll(".on-paper")) node.remove();
  for (const figure of figures.values()) figure.root.classList.remove("sliced");
  for (const details of paper.opened) details.open = false;
  redrawAll(true);
}

// "Axis: NF / null; Measure: robust NF (top 90 %)"
function chosenText({spec, choices}) {
  const label = ({options}, value) => options.find(([option]) => String(option) === value)[1];
  return choices.map((choice) => `${choice.label}: ${label(choice, valueOf(spec.id, choice))}`).join("; ");
}

// Copies of the plot that show a row of panels each, for the browser to put on sheets as they fit.
function slicesOf({plot}) {
  if (!plot.firstElementChild) return [];
  const cuts = [0, ...rowCuts(plot), plot._fullLayout.height];
  return cuts.slice(1).map((end, i) => {
    const copy = plot.firstElementChild.cloneNode(true);
    copy.style.marginTop = `${- cuts[i]}px`;
    const slice = element("div", {class: "on-paper slice js-plotly-plot", "aria-hidden": "true"}, copy);
    slice.style.height = `${end - cuts[i]}px`;
    return slice;
  });
}

// Where a plot can be cut between two rows of panels: in the middle of the widest strip without letters.
function rowCuts(plot) {
  const {margin: {t}, height, _size: {h}} = plot._fullLayout, top = plot.getBoundingClientRect().top;
  const axes = Object.keys(plot.layout).filter((key) => key.startsWith("yaxis")).map((key) => plot.layout[key].domain);
  const rows = [...new Map(axes.filter(Boolean).map(([low, high]) => [high, low]))].sort(([a], [b]) => b - a);
  const y = (share) => t + (1 - share) * h;
  const letters = [...plot.querySelectorAll(".main-svg text")].map((node) => node.getBoundingClientRect());
  return rows.slice(1)
      .map(([high], r) => {
        const from = y(rows[r][1]) + 1, to = y(high) - 1;
        const taken = letters.map((box) => [box.top - top, box.bottom - top]).filter(([a, b]) => b > from && a < to);
        return widestGap(taken.sort(([a], [b]) => a - b), from, to);
      })
      .filter((cut) => cut > 0 && cut < height);
}

function widestGap(intervals, from, to) {
  let widest = 0, middle = (from + to) / 2, end = from;
  for (const [a, b] of [...intervals, [to, to]]) {
    if (a - end > widest) [widest, middle] = [a - end, (a + end) / 2];
    end = Math.max(end, b);
  }
  return middle;
}
