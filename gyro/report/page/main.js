// Puts the page together. Tables and words stand at once; figures wait for plotly.js and for being looked at.

const makeFigures = (result, specs) => specs.map((spec) => makeFigure(result, spec));

const kEvaluationSection = {
  id: "evaluation",
  title: "What the constructions answer",
  parts: evaluationSection
};
const kProbeSections = [
  {id: "attention", title: "Attention", kind: "attention", parts: attentionSection},
  {id: "representations", title: "Representations", kind: "cka", parts: ckaSection},
  {id: "drifting", title: "From base to post, block by block", kind: "drift", parts: driftSection},
  {id: "shared", title: "Rotations that posts share", kind: "rotation", parts: rotationSection},
];
// In the paper's order: weights, attention (C.2), evaluation, CKA (D.2), then drift and shared rotations (G.2).
const kAskedSections = [kProbeSections[0], kEvaluationSection, ...kProbeSections.slice(1)];
const kClaimsSection = {
  id: "claims",
  title: "Claims of the paper",
  kind: "claims",
  parts: claimsSection
};
const kExpertsSection = {
  id: "experts",
  title: "Experts",
  parts: expertsSection
};
const kSections = [
  kClaimsSection,
  {id: "summary", title: "Summary", parts: summarySection},
  {
    id: "where",
    title: "Where it changed",
    parts: (result) =>
        [...makeFigures(result, [kChangeFigure].concat(hasPrincipal(result) ? [kPrincipalFigure] : [])),
         ...trajectorySection(result), quantitiesTable(result)]
  },
  {
    id: "scaling",
    title: "Singular values: scaling",
    parts: (result) =>
        [scalingTable(result), primeTable(result),
         ...makeFigures(result, [kSvsmFigure, kTurnMapFigure, kBandwidthFigure, kSpectraFigure])]
  },
  {
    id: "rotation",
    title: "Singular vectors: rotation",
    parts: (result) => makeFigures(
        result,
        [kCounterFigure, kEnergyFigure, kNfFigure, kTurnFigure].concat(
            result.cornerSites.length ? [kCornerFigure, kResidualFigure, kCompositeFigure] : []))
  },
  kExpertsSection,
  {
    id: "amount",
    title: "Size and place of the change",
    parts: (result) =>
        [...makeFigures(result, [kSizeFigure]), ...postsSection(result), ...outsideSection(result), typesTable(result),
         matricesSection(result)]
  },
  ...kAskedSections,
  {
    id: "made",
    title: "How these numbers were made",
    parts: (result) => [methodList(result), citeSection(result), flaggedTable(result)]
  },
];
const kFamilySections = [{id: "families", title: "All families", parts: familiesSection}];

// An evaluation and each kind of probe have their sections where there are such.
function sectionsOf(result) {
  if (result.results) return kFamilySections;
  const shown = ({kind}) => probesWith(result, kind).length > 0;
  const there = (section) =>
      (section === kEvaluationSection  ? result.evaluations.length > 0 :
           section === kExpertsSection ? result.experts :
           section.kind                ? shown(section) :
                                         true);
  return (result.alone ? [kClaimsSection, ...kAskedSections] : kSections).filter(there);
}

const app = {
  results: [],
  current: 0,
  ready: false
};

function themePicker() {
  const select = element("select", {"aria-label": "Theme", onchange: (event) => setTheme(event.target.value)}, [
    "auto", "light", "dark"
  ].map((choice) => element("option", {value: choice, selected: choice === themeState.choice}, `Theme: ${choice}`)));
  return select;
}

function header() {
  document.getElementById("top").replaceChildren(
      element("div", {class: "brand"}, element("span", {class: "mark", "aria-hidden": "true"}), "Gyro"),
      element("h1", {}, page.title),
      element(
          "div", {class: "head-tools"}, themePicker(),
          element("button", {type: "button", onclick: () => window.print()}, "Print")));
}

// The page's choices, always in reach; on a narrow window the contents too.
function choiceBar(links) {
  const shown = app.results[app.current], several = app.results.length > 1;
  const family =
      {key: "result", label: "Base", options: app.results.map((result, i) => [i, result.label]), value: app.current};
  const places =
      links.flatMap(({id, title, parts}) => [[id, title], ...parts.map((part) => [part.id, `– ${part.title}`])]);
  const jump = element(
      "select", {"aria-label": "Go to", class: "jump", onchange: (event) => goTo(event.target.value)},
      places.map(([id, title]) => element("option", {value: id}, title)));
  document.getElementById("choices").replaceChildren(
      element("label", {class: "jump-label"}, element("span", {}, "Go to"), jump),
      ...(several ? [resultPicker(family)] : []), ...pageChoices(shown).map((choice) => choiceControl(choice)));
}

function resultPicker({label, options, value}) {
  const select = element(
      "select", {
        id: "result",
        onchange: (event) => {
          pageState.values.set("result", event.target.value);
          writeAddress();
          show(Number(event.target.value));
        }
      },
      options.map(([i, text]) => element("option", {value: i, selected: i === value}, text)));
  return element("label", {}, element("span", {}, label), select);
}

function show(index) {
  app.current = index;
  const result = app.results[index];
  figures.clear();
  tables.clear();
  choiceWatchers.clear();
  choiceWatchers.add(syncSelects).add(redrawFor);
  const links = [];
  const sections = sectionsOf(result).map(({id, title, parts}) => {
    const nodes = parts(result).filter(Boolean);
    links.push({id, title, parts: nodes.map(partOf).filter(Boolean)});
    const heading = element("h2", {id: `${id}-title`, class: id === "summary" ? "offscreen-text" : null}, title);
    return element("section", {class: "part", id, "aria-labelledby": `${id}-title`}, heading, nodes);
  });
  const bar = element("div", {class: "bar", id: "choices"});
  document.getElementById("content").replaceChildren(bar, ...sections);
  contents(links);
  choiceBar(links);
  if (app.ready) watchFigures();
}

// All selects of a choice show what was chosen.
function syncSelects(name) {
  for (const select of document.querySelectorAll("select[data-name]")) {
    if (select.dataset.name !== name) continue;
    const value = pageState.values.get(name), known = [...select.options].some((option) => option.value === value);
    select.value = known ? value : select.dataset.usual;
  }
}

// A short entry for each figure and table.
const kShort = {
  verdicts: "Verdicts",
  overview: "Against chance",
  findings: "Findings in words",
  models: "Models",
  words: "Words",
  table3: "Table 3",
  table4: "Table 4",
  svsm: "SVSM heatmaps",
  "turn-map": "Turn heatmaps",
  bandwidth: "Mean and spread",
  spectra: "Spectra",
  counter: "Symmetric or not",
  energy: "Energy budget",
  nf: "NF",
  turn: "Turn by index",
  corner: "Similarity matrices",
  residual: "Residual rotations",
  composite: "One model",
  size: "Against its size",
  change: "Layers and types",
  principal: "Principal directions",
  quantities: "By type, beside chance",
  "expert-spread": "Layer by layer",
  "experts-table": "Over all layers",
  posts: "Posts × posts",
  "posts-table": "Table of posts × posts",
  outside: "Outside the matrices",
  "outside-tensors": "Norms and others",
  tokens: "Tokens",
  types: "By type",
  "every-matrix": "Every matrix",
  methods: "Program, precision",
  "evaluation-words": "In words",
  accuracy: "Accuracies",
  accuracies: "Table of accuracies",
  questions: "By question",
  lengths: "Lengths, cut answers",
  examples: "Outputs (Figure 5)",
  asked: "How it was asked",
  "claims-table": "Claim by claim",
  "attention-words": "In words",
  entropy: "Entropy (Figures 4b, 15–18)",
  "attention-maps": "Maps (Figure 4a)",
  temperature: "Temperature",
  "attention-table": "Table of entropies",
  "attention-asked": "How it was probed",
  "cka-words": "In words",
  cka: "CKA (Figures 6, 19)",
  "cka-diagonal": "Diagonals",
  "cka-table": "Table of CKA",
  "cka-asked": "How it was probed",
  "drift-words": "In words",
  drift: "Behaviour and weights",
  "drift-asked": "How it was probed",
  "rotation-words": "In words",
  carry: "Carried rotations",
  "rotation-table": "By type",
  "rotation-asked": "How it was probed",
  cite: "Run again, cite",
  flagged: "Flagged values",
  "families-overview": "Against chance",
  "families-svsm": "SVSM (Figure 7)",
  "families-nf": "NF (Figure 9)"
};
function partOf(node) {
  const id = node.id || node.firstElementChild?.id;
  return kShort[id] ? {id, title: kShort[id]} : null;
}

function contents(links) {
  const link = (id, title) => element(
      "a", {
        href: `#${id}`,
        "data-place": id,
        onclick: (event) => {
          event.preventDefault();
          goTo(id);
        }
      },
      title);
  const part = ({id, title}) => element("li", {}, link(id, title));
  document.getElementById("contents")
      .replaceChildren(element(
          "ul", {},
          links.map(({id, title, parts}) => element("li", {}, link(id, title), element("ul", {}, parts.map(part))))));
  watchPlace(links.flatMap(({parts}) => parts.map(({id}) => id)));
}

// Marks in the contents where the reader is.
let placeWatcher = null;
function watchPlace(ids) {
  placeWatcher?.disconnect();
  const mark = () => {
    const above = ids.filter((id) => (document.getElementById(id)?.getBoundingClientRect().top ?? Infinity) < 160);
    const now = above[above.length - 1] ?? ids[0];
    for (const link of document.querySelectorAll("[data-place]")) {
      if (link.dataset.place === now) {
        link.setAttribute("aria-current", "location");
      } else {
        link.removeAttribute("aria-current");
      }
    }
    const jump = document.querySelector("select.jump");
    if (jump) jump.value = now;
  };
  placeWatcher = new IntersectionObserver(mark, {rootMargin: "-150px 0px -60% 0px"});
  for (const id of ids) {
    const node = document.getElementById(id);
    if (node) placeWatcher.observe(node);
  }
}

// Results of several bases by names that tell them apart, and one that joins them.
function openResults() {
  const results = page.results.map(openResult);
  const of = (list, i) => list.filter(({result}) => result === i);
  results.forEach((result, i) => Object.assign(result, {evaluations: of(evaluations, i), probes: of(probes, i)}));
  for (const result of results) {
    const alike = results.some((other) => other !== result && other.base.name === result.base.name);
    const parts = String(result.base.id ?? "").split("/").filter(Boolean);
    result.label = alike && parts.length > 1 ? parts.slice(-2).join("/") : result.base.name;
  }
  const alone = viewsOf(of(evaluations, null), of(probes, null));
  const joined = results.length > 1 ? [Object.assign(joinedResult(results), {label: "all families"})] : [];
  return [...joined, ...results, ...alone];
}

function start() {
  restoreTheme();
  app.results = openResults();
  readAddress();
  const wanted = Number(pageState.values.get("result") ?? 0);
  header();
  show(wanted in app.results ? wanted : 0);
  window.addEventListener("hashchange", () => {
    readAddress();
    const index = Number(pageState.values.get("result") ?? 0);
    show(index in app.results ? index : 0);
    document.getElementById(pageState.place)?.scrollIntoView();
  });
  return {
    app,
    figures,
    figureImage,
    figureCsv,
    fileName: (id) => fileStem(contextOf(figures.get(id)), figures.get(id)),
    planExport,
    exportItem,
    showExport,
    leaveExport,
    tidyRows,
    drawAll,
    drawFigure: draw,
    draw: drawFigures
  };
}

// Called once plotly.js is there.
function drawFigures() {
  app.ready = true;
  watchPage();
  watchFigures();
  document.getElementById(pageState.place)?.scrollIntoView();
}
