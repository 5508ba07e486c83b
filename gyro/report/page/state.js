// What was chosen: model, type and layer for the whole page, the rest by figure. It stands in the address behind '#',
// after the place that the reader went to, so that a link shows what its sender saw: "#nf;model=instruct;nf.scale=log".

const kShared = ["model", "type", "layer", "evaluation", "probe"];
const pageState = {
  place: "",
  values: new Map()
};

const choiceName = (id, key) => (kShared.includes(key) ? key : `${id}.${key}`);

// Whoever wants to know when a choice was made: called with its name.
const choiceWatchers = new Set();

function choose(name, value, usual) {
  if (String(value) === String(usual)) {
    pageState.values.delete(name);
  } else {
    pageState.values.set(name, String(value));
  }
  writeAddress();
  for (const watcher of choiceWatchers) watcher(name);
}

// What holds for a choice: what was chosen if there is such an option, else what is usual.
function valueOf(id, {key, options, value}) {
  const known = pageState.values.get(choiceName(id, key));
  const usual = String(value ?? options[0][0]);
  return options.some(([option]) => String(option) === known) ? known : usual;
}

function writeAddress() {
  const parts =
      [...pageState.values].map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`);
  const address = "#" + [pageState.place, ...parts].join(";");
  try {
    history.replaceState(null, "", address === "#" ? location.pathname + location.search : address);
  } catch { /* a frame without an address of its own */
  }
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// "nf.scale=log" → ["nf.scale", "log"]
const choiceOf = (part) => part.split("=").map(decoded);

function readAddress() {
  const [place, ...parts] = location.hash.slice(1).split(";");
  pageState.place = decoded(place);
  pageState.values = new Map(parts.map(choiceOf).filter(([name]) => name));
}

function goTo(place) {
  pageState.place = place;
  writeAddress();
  document.getElementById(place)?.scrollIntoView();
}

// A select for a choice; `id` is the figure's, nothing for the page's.
function choiceControl(choice, id = "") {
  const name = choiceName(id, choice.key), usual = choice.value ?? choice.options[0][0];
  const select = element("select", {
    "data-choice": choice.key,
    "data-name": name,
    "data-usual": usual,
    onchange: (event) => choose(name, event.target.value, usual)
  });
  const now = valueOf(id, choice);
  for (const [value, label] of choice.options)
    select.append(element("option", {value, selected: String(value) === now}, label));
  return element("label", {}, element("span", {}, choice.label), select);
}

// The page's own choices; of all families together, the type alone.
function pageChoices(result) {
  const several = [evaluationChoice(result), probeChoice(result)].filter(({options}) => options.length > 1);
  return [...(result.alone ? [] : weightChoices(result)), ...several];
}

function weightChoices(result) {
  const type = {
    key: "type",
    label: "Type",
    options: [["all", "all types"], ...result.types.map((name) => [name, name])]
  };
  if (result.results) return [type];
  const role = (comparison) => (comparison.role === "control" && !comparison.imitates ? " (control)" : "");
  const models = result.comparisons.map((comparison) => [comparison.name, comparison.name + role(comparison)]);
  // On a phone one post, which is long enough.
  const value = window.innerWidth < 600 ? (result.posts[0] ?? result.comparisons[0]).name : "all";
  return [
    {key: "model", label: "Model", options: [["all", "all models"], ...models], value}, type,
    {key: "layer", label: "Layer", options: result.layers.map((layer) => [layer, String(layer)])}
  ];
}

// What figures show, by the page's choices. A chosen post stands beside its noise, which is its null.
function shownModels({result: {comparisons}, state: {model}}, all = related) {
  const one = comparisons.find((comparison) => comparison.name === model);
  return one ? [one, one.noise].filter(Boolean) : all(comparisons);
}
const withoutNoise = (comparisons) => {
  const some = comparisons.filter((comparison) => !comparison.imitates);
  return some.length ? some : comparisons;
};
// Controls first, so that posts are drawn over them.
const drawOrder = (comparisons) => [...comparisons].reverse().sort((a, b) => (a.role === "post") - (b.role === "post"));
const shownTypes = ({result: {types}, state: {type}}) => (types.includes(type) ? [type] : types);
// Of a figure that shows one model: the chosen one, else the first post.
const oneModel = ({result, state}) => result.comparisons.find((comparison) => comparison.name === state.model) ??
    result.posts[0] ?? result.comparisons[0];

// What a figure shows of the choices, in words: "instruct against base, W_O, layer 0".
function aboutChoices(context, uses) {
  const {result, state} = context, parts = [];
  const one = result.comparisons.find((comparison) => comparison.name === state.model);
  if (uses.includes("model")) parts.push(one ? `${one.name} against ${result.base.name}` : "all models");
  if (uses.includes("type")) parts.push(state.type === "all" ? "all types" : state.type);
  if (uses.includes("layer")) parts.push(`layer ${state.layer}`);
  return parts.join(", ");
}
