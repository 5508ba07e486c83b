// Mixtures of experts: how the members of each layer's family spread, and the one that is furthest from their median.

const kExpertKeys = {
  alpha_mean: {label: "α", option: "scaling factor α", digits: (x) => fixed(x, 4)},
  nf: {label: "NF", option: "rotation NF", digits: (x) => significant(x)},
  relative_change: {label: "‖ΔW‖ / ‖W<sub>base</sub>‖", option: "relative change", digits: (x) => significant(x)}
};
const expertKey = ({state}) => kExpertKeys[state.quantity];

const hasFamily = (result, type) => result.sitesOf(type).some((site) => site.members || site.family);
// The types that have experts: those chosen, or all where the choice is of one that has none.
function expertTypes(context) {
  const all = context.result.types.filter((type) => hasFamily(context.result, type));
  const chosen = all.filter((type) => shownTypes(context).includes(type));
  return chosen.length ? chosen : all;
}
const expertModels = (context) => withoutNoise(shownModels(context));

// [{site, spread}] of the layers that have such.
function layerSpreads({state}, comparison, type) {
  return comparison.result.sitesOf(type)
      .map((site) => ({site, spread: comparison.spread(site, state.quantity)}))
      .filter(({spread}) => spread);
}

function expertMarks(context, comparison, type, axis, first) {
  const rows = layerSpreads(context, comparison, type), look = lineOf(comparison);
  const x = rows.map(({site}) => site.layer), of = (key) => rows.map(({spread}) => spread[key]);
  const low = of("low"), high = of("high");
  const middle = low.map((value, i) => (value + high[i]) / 2), half = low.map((value, i) => (high[i] - value) / 2);
  const ground = band(
      x, middle, half, axis,
      {fillcolor: fade(look.color, 0.25), name: "10–90 % of the experts", legendgroup: "band", showlegend: first});
  const line = modelLine(comparison, axis, {
    x,
    y: of("median"),
    first,
    name: "median",
    legendgroup: "median",
    customdata: rows.map(({spread}) => [spread.low, spread.high]),
    hovertemplate: `${plotName(comparison)}, ${typePlot(type)}, layer %{x}<br>median %{y:.5~g}` +
        "<br>10–90 %: %{customdata[0]:.5~g} to %{customdata[1]:.5~g}<extra></extra>"
  });
  const furthest = {
    type: "scatter",
    mode: "markers",
    ...axis,
    x,
    y: of("furthest"),
    name: "furthest expert",
    legendgroup: "furthest",
    showlegend: first,
    legendrank: 2600,
    marker: {color: look.color, size: x.length > 40 ? 4 : 6, symbol: "x-thin", line: {color: look.color, width: 1.4}},
    customdata: of("expert"),
    hovertemplate: `${plotName(comparison)}, ${typePlot(type)}, layer %{x}, expert %{customdata}<br>%{y:.5~g}` +
        "<extra></extra>"
  };
  return [ground, line, furthest];
}

// The medians of noise of the model's size.
function expertNoise(context, comparison, type, axis, first) {
  const rows = layerSpreads(context, comparison.noise, type);
  return plainLine(axis, {
    x: rows.map(({site}) => site.layer),
    y: rows.map(({spread}) => spread.median),
    name: "median of noise",
    group: "noise",
    first,
    line: {color: context.colors.null, width: 1.3, dash: "dot"},
    hovertemplate: "noise: median %{y:.5~g}<extra></extra>",
    meta: {helper: true}
  });
}

const kExpertFigure = {
  id: "expert-spread",
  title: "Experts of each layer: median, deciles, the furthest",
  read: "Line: the median over a layer’s experts; band: from 10 to 90 % of them; cross: the expert furthest from the " +
      "median, which the label names. Dotted: the median of noise of the size of each expert’s change.",
  uses: ["model", "type"],
  choices: () => [{
    key: "quantity",
    label: "Quantity",
    options: Object.entries(kExpertKeys).map(([key, {option}]) => [key, option])
  }],
  panels(context) {
    const types = expertTypes(context), models = expertModels(context);
    const y = {title: axisTitle(expertKey(context).label), nticks: 5, tickformat: "~r"};
    const panels = (comparison) =>
        types.map((type) => ({title: typePlot(type), x: layerAxis(context, comparison.result.layers), y}));
    const names = ["median", "10–90 % of the experts", "furthest expert", "median of noise"];
    const blocks = models.map((comparison) => ({title: plotName(comparison, 60), panels: panels(comparison)}));
    return panelLayout(context, blocks, {minWidth: 180, panelHeight: 190, legend: names, left: 70, gap: 58});
  },
  build(context, {axes}) {
    const types = expertTypes(context);
    const data = expertModels(context).flatMap((comparison, c) => types.flatMap((type, t) => {
      const axis = axes[c * types.length + t], first = c === 0 && t === 0;
      const noise = comparison.noise ? [expertNoise(context, comparison, type, axis, first)] : [];
      return [...noise, ...expertMarks(context, comparison, type, axis, first)];
    }));
    return {data};
  },
  tidy: {
    heads: ["model", "role", "type", "layer", "quantity", "median", "low", "high", "furthest", "expert"],
    rows: (context) =>
        shownModels(context, (all) => all)
            .flatMap(
                (comparison) => expertTypes(context).flatMap((type) => Object.keys(kExpertKeys).flatMap((quantity) => {
                  const inside = {...context, state: {...context.state, quantity}};
                  return layerSpreads(inside, comparison, type)
                      .map(
                          ({site, spread}) =>
                              [modelName(comparison), comparison.role, type, site.layer, quantity,
                               shortened(spread.median), shortened(spread.low), shortened(spread.high),
                               shortened(spread.furthest), spread.expert]);
                })))
  }
};

// Median and deciles, and below them the furthest and where it is.
function expertCell(family, key) {
  const {median: middle, low, high, furthest, layer, expert} = family[key], show = kExpertKeys[key].digits;
  if (!isNumber(middle)) return {show: kDash, sort: null, csv: [null, null, null, null, null, null], tex: "--"};
  return {
    show: [
      element("span", {class: "main"}, show(middle)),
      element("span", {class: "beside"}, `${show(low)} to ${show(high)}`),
      element("span", {class: "beside"}, `${show(furthest)}: layer ${layer}, expert ${expert}`)
    ],
    sort: middle,
    csv: [middle, low, high, furthest, layer, expert],
    tex: texText(`${show(middle)} (${show(low)} to ${show(high)})`)
  };
}

function expertsTable(result) {
  const keys = Object.keys(kExpertKeys), heads = ["median", "10 %", "90 %", "furthest", "layer", "expert"];
  const labels = {alpha_mean: "α", nf: "NF", relative_change: "relative change"};
  const rows = result.comparisons.flatMap((comparison) => result.types.map((type) => ({
                                                                             comparison,
                                                                             type,
                                                                             family: comparison.type(type, "experts"),
                                                                           })));
  return makeTable({
    id: "experts-table",
    title: "Experts over all layers",
    read:
        "The median over all experts of a type; below it from 10 to 90 % of them, and the one furthest from the median.",
    columns: [
      plainColumn("Model", false), plainColumn("Type", false), plainColumn("Experts"),
      ...keys.map((key) => ({
                    label: labels[key],
                    tex: texText(labels[key]),
                    numeric: true,
                    heads: heads.map((head) => `${key} ${head}`)
                  }))
    ],
    rows: rows.filter(({family}) => family)
              .map(
                  ({comparison, type, family}) =>
                      [comparisonCell(comparison), typeCell(type), numberCell(family.matrices, String(family.matrices)),
                       ...keys.map((key) => expertCell(family, key))])
  });
}

// Older results have no families by type.
function expertsSection(result) {
  const known = result.comparisons.some(({types}) => [...types.values()].some(({experts}) => experts));
  return [makeFigure(result, kExpertFigure), known ? expertsTable(result) : null];
}
