// Puts the page together. Tables and words stand at once; figures wait for plotly.js and for being looked at.

const kSections = [
  {id: "summary", title: "Summary", parts: summarySection},
  {
    id: "scaling",
    title: "Singular values: scaling",
    parts: (result) =>
        [scalingTable(result), primeTable(result),
         ...makeFigures(result, [kSvsmFigure, kBandwidthFigure, kSpectraFigure])]
  },
  {
    id: "rotation",
    title: "Singular vectors: rotation",
    parts: (result) => makeFigures(
        result,
        [kEnergyFigure, kCounterFigure, kNfFigure, kTurnFigure].concat(
            result.cornerSites.length ? [kCornerFigure, kResidualFigure] : []))
  },
  {
    id: "amount",
    title: "Size and place of the change",
    parts: (result) =>
        [...makeFigures(result, [kSizeFigure, kChangeFigure, kCosineFigure]), typesTable(result),
         matricesSection(result)]
  },
  {id: "made", title: "How these numbers were made", parts: (result) => [methodList(result), flaggedTable(result)]},
];
const makeFigures = (result, specs) => specs.map((spec) => makeFigure(result, spec));

const app = {
  results: [],
  current: 0,
  ready: false
};

function resultLabel(result) {
  return `${result.base.name} → ${result.comparisons.map((comparison) => comparison.name).join(", ")}`;
}

function header() {
  const themeButton = element("button", {
    type: "button",
    class: "theme",
    onclick: () => {
      setTheme({auto: "light", light: "dark", dark: "auto"}[themeState.choice]);
      label();
    }
  });
  const label = () => (themeButton.textContent = `Theme: ${themeState.choice}`);
  label();
  const tools = [themeButton, element("button", {type: "button", onclick: () => window.print()}, "Print")];
  if (app.results.length > 1) {
    tools.unshift(element(
        "label", {class: "pick"}, element("span", {}, "Result"),
        element(
            "select", {id: "result", onchange: (event) => show(Number(event.target.value))},
            app.results.map((result, i) => element("option", {value: i}, resultLabel(result))))));
  }
  document.getElementById("top").replaceChildren(
      element("div", {class: "brand"}, element("span", {class: "mark", "aria-hidden": "true"}), "Gyro"),
      element("h1", {}, page.title),
      element("p", {class: "tagline"}, "What post-training did to the weights, and what of it is more than chance"),
      element("div", {class: "head-tools"}, tools));
}

function show(index) {
  app.current = index;
  const result = app.results[index];
  figures.clear();
  const links = [];
  const sections = kSections.map(({id, title, parts}) => {
    const nodes = parts(result).filter(Boolean);
    links.push(
        element("li", {}, element("a", {href: `#${id}`}, title), element("ul", {}, nodes.map(linkOf).filter(Boolean))));
    return element(
        "section", {class: "part", id, "aria-labelledby": `${id}-title`}, element("h2", {id: `${id}-title`}, title),
        nodes);
  });
  document.getElementById("content").replaceChildren(...sections);
  document.getElementById("contents").replaceChildren(element("ul", {}, links));
  if (app.ready) watchFigures();
}

// A short entry for each figure and table.
const kShort = {
  overview: "At a glance",
  models: "Models",
  table3: "Table 3",
  table4: "Table 4",
  svsm: "SVSM heatmaps",
  bandwidth: "Bandwidth",
  spectra: "Spectra",
  energy: "Energy budget",
  counter: "Counter over co",
  nf: "NF",
  turn: "Turn by index",
  corner: "Similarity matrices",
  residual: "Residual rotations",
  size: "Structure against size",
  change: "Relative change",
  cosine: "Cosine",
  types: "By type",
  "every-matrix": "Every matrix",
  methods: "Program, precision",
  flagged: "Flagged values",
};
function linkOf(node) {
  const id = node.id || node.firstElementChild?.id;
  return kShort[id] ? element("li", {}, element("a", {href: `#${id}`}, kShort[id])) : null;
}

function start() {
  restoreTheme();
  app.results = page.results.map(openResult);
  header();
  show(0);
  return {app, figures, valuesOf, drawAll, drawFigure: draw, draw: drawFigures};
}

// Called once plotly.js is there.
function drawFigures() {
  app.ready = true;
  watchPage();
  watchFigures();
}
