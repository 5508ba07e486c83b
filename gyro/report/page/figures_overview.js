// The claims against chance, and size against structure.

const kRatioPanels = [
  {title: "α spread / null", key: "alpha_std_over_null", margin: 0.05},
  {title: "robust NF / null", key: "nf_robust_mean_over_null", margin: 0.05},
  {title: "counter-rotation / co-rotation", key: "counter_over_co", margin: 0.02},
];

function ratioAxis(result, key) {
  const values = result.comparisons.flatMap((comparison) => [...comparison.types.values()].map((type) => type[key]))
                     .filter((v) => isNumber(v) && v > 0);
  const low = Math.min(0.94, ...values) / 1.015, high = Math.max(1.06, ...values) * 1.015;
  const steps = high / low > 3 ? [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20] :
      high / low > 1.5         ? [0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.4, 1.6] :
      high / low > 1.2         ? [0.8, 0.85, 0.9, 0.95, 1, 1.05, 1.1, 1.15, 1.2] :
                                 [0.92, 0.94, 0.96, 0.98, 1, 1.02, 1.04, 1.06, 1.08];
  const ticks = steps.filter((tick) => tick > low && tick < high);
  return {
    type: "log",
    range: [Math.log10(low), Math.log10(high)],
    tickvals: ticks,
    ticktext: ticks.map(String),
    title: axisTitle("multiple of chance")
  };
}

function overviewPanels(context) {
  const {result} = context, shown = result.comparisons, n = shown.length;
  const names = shown.map((comparison) => shorten(comparison.name, context.narrow ? 12 : 22));
  const y = {
    tickvals: shown.map((_, i) => i),
    ticktext: names.map(plotText),
    range: [n - 0.5, -0.5],
    tickfont: {size: 12, color: context.colors.text},
    ticks: "",
    showgrid: false,
  };
  const panels = kRatioPanels.map(({title, key}) => ({title, x: ratioAxis(result, key), y}));
  return panelLayout(context, [{title: null, panels}], {
    minWidth: 250,
    panelHeight: 46 * n + 10,
    sharedY: true,
    left: 22 + 7.4 * Math.max(6, ...names.map((name) => name.length)),
    legend: result.types.map(typePlot),
    maxColumns: 3
  });
}

// Lines between the models' rows, the margin and the line of chance.
function overviewGround({result, colors}, {xaxis, yaxis}, margin) {
  const rows = result.comparisons.slice(1).map(
      (_, i) => ruler(`${xaxis} domain`, yaxis, [0, 1], [i + 0.5, i + 0.5], colors.grid, 1));
  return [
    ...rows, rectangle(xaxis, `${yaxis} domain`, [1 - margin, 1 + margin], [0, 1], colors.band),
    ruler(xaxis, `${yaxis} domain`, [1, 1], [0, 1], colors.reference, 1.2)
  ];
}

function overviewMarks({result, colors}, axis, name, t, key) {
  const dodge = result.types.length > 1 ? (t / (result.types.length - 1) - 0.5) * 0.7 : 0;
  const having = result.comparisons.map((comparison, i) => [comparison, i, comparison.types.get(name)?.[key]])
                     .filter(([, , v]) => isNumber(v));
  return {
    type: "scatter",
    mode: "markers",
    ...axis,
    name: typePlot(name),
    legendgroup: name,
    showlegend: false,
    x: having.map(([, , v]) => v),
    y: having.map(([, i]) => i + dodge),
    customdata: having.map(([comparison]) => plotName(comparison)),
    marker: {
      symbol: kTypeSymbols[name],
      size: 8.5,
      color: having.map(([comparison]) => lineOf(comparison).color),
      line: {width: 1, color: colors.surface}
    },
    hovertemplate: `%{customdata}, ${typePlot(name)}<br>%{x:.3f} of chance<extra></extra>`,
  };
}

const typeMark = (context, axis, type, size) =>
    legendMark(axis, typePlot(type), type, {marker: {symbol: kTypeSymbols[type], size, color: context.colors.muted}});

const kOverviewFigure = {
  id: "overview",
  title: "At a glance: the paper’s claims against chance",
  read: "Each mark is a matrix type. At 1 (the line) a change of the same size without any structure does as " +
      "much; the grey band is the margin within which no verdict is given. Left of it: scaling more " +
      "uniform than chance, sides that turn more alike than chance. A missing mark: the null does not " +
      "hold, as for unrelated models.",
  panels: overviewPanels,
  build(context, {layout, axes}) {
    const {types} = context.result;
    const data = kRatioPanels.flatMap(({key, margin}, p) => {
      layout.shapes.push(...overviewGround(context, axes[p], margin));
      return types.map((name, t) => overviewMarks(context, axes[p], name, t, key));
    });
    return {data: [...data, ...types.map((type) => typeMark(context, axes[0], type, 9))]};
  },
};

// The null of a type grows in proportion to the change: a line through the null's own values (geometric mean of their
// ratio).
function nullSlope(result, type, key) {
  let sum = 0, number = 0;
  for (const comparison of result.comparisons) {
    for (const site of result.sitesOf(type)) {
      const change = comparison.value(site, "relative_change"), value = comparison.value(site, key);
      if (comparison.value(site, "null.valid") !== true || !(change > 0) || !(value > 0)) continue;
      sum += Math.log(value / change);
      ++number;
    }
  }
  return number ? Math.exp(sum / number) : null;
}

const kSizePanels = [
  {title: "robust NF", key: "nf_robust", null: "null.nf_robust", chance: "nf_robust_chance"},
  {title: "α spread (std)", key: "alpha_std", null: "null.alpha_std", chance: null},
];

const everyValue = (result, key) =>
    result.comparisons.flatMap((comparison) => result.sites.map((site) => comparison.value(site, key)));

function sizePanels(context) {
  const {result} = context;
  const legend = result.comparisons.map(plotName).concat("null, by type", "chance level", result.types.map(typePlot));
  const x = logAxis(everyValue(result, "relative_change"), axisTitle("relative change ‖ΔW‖ / ‖W<sub>base</sub>‖"));
  const panels = kSizePanels.map(({title, key}) => ({title, x, y: logAxis(everyValue(result, key), axisTitle(title))}));
  return panelLayout(
      context, [{title: null, panels}],
      {minWidth: 300, panelHeight: context.narrow ? 260 : 340, gap: 72, maxColumns: 2, nameEachY: true, legend});
}

function sizeNulls({result, colors}, panel, axis, span) {
  const lines = [];
  for (const type of result.types) {
    const slope = nullSlope(result, type, panel.null);
    if (slope === null) continue;
    // First order holds up to 0.3 of chance.
    const chance = panel.chance ? result.comparisons[0].value(result.sitesOf(type)[0], panel.chance) : null;
    const end = chance ? Math.min(span[1], (0.3 * chance) / slope) : Math.min(span[1], 0.3);
    if (end <= span[0]) continue;
    lines.push(plainLine(axis, {
      x: [span[0], end],
      y: [slope * span[0], slope * end],
      name: "null, by type",
      group: "null",
      first: panel.chance !== null && lines.length === 0,
      line: {color: colors.null, width: 1.2},
      hovertemplate: `null of ${typePlot(type)}: %{y:.2e}<extra></extra>`,
      opacity: 0.75
    }));
  }
  return lines;
}

function sizeLevels({result, colors}, panel, axis, span) {
  if (!panel.chance) return [];
  const levels = [...new Set(result.sites.map((site) => result.comparisons[0].value(site, panel.chance)))];
  return levels.map((level, i) => plainLine(axis, {
                      x: span,
                      y: [level, level],
                      name: "chance level",
                      group: "chance",
                      first: i === 0,
                      line: {color: colors.reference, width: 1.2, dash: "dot"},
                      hovertemplate: "chance: %{y:.3f}<extra></extra>"
                    }));
}

function sizeMarks({result, colors}, comparison, panel, axis, first) {
  const sites = result.sites.filter(
      (site) => comparison.value(site, "relative_change") > 0 && comparison.value(site, panel.key) > 0);
  const asShown = (value) => (isNumber(value) || typeof value === "string" ? value : NaN);
  return modelLine(comparison, axis, {
    mode: "markers",
    first,
    x: sites.map((site) => comparison.value(site, "relative_change")),
    y: sites.map((site) => comparison.value(site, panel.key)),
    customdata: sites.map((site) => [typePlot(site.type), site.layer, comparison.value(site, panel.null)].map(asShown)),
    marker: {
      symbol: sites.map((site) => kTypeSymbols[site.type]),
      size: 6.5,
      color: fade(lineOf(comparison).color, 0.75),
      line: {width: 0.5, color: colors.surface}
    },
    hovertemplate: "%{customdata[0]}, layer %{customdata[1]}<br>change %{x:.3g}<br>" + panel.title +
        " %{y:.3g}<br>null %{customdata[2]:.3g}<extra>%{fullData.name}</extra>",
  });
}

const kSizeFigure = {
  id: "size",
  title: "More consistent, or just less? Structure against the size of the change",
  read: "Each mark is a matrix (the shape tells its type). The grey lines are what a structureless change gives, " +
      "one line a type: marks on the lines differ only in how much changed, marks below them changed more " +
      "consistently than chance. Chance level: two unrelated matrices.",
  panels: sizePanels,
  build(context, {axes}) {
    const {result} = context, all = everyValue(result, "relative_change").filter((x) => x > 0);
    const span = [Math.min(...all) / 1.4, Math.max(...all) * 1.4];
    const data = kSizePanels.flatMap(
        (panel, p) =>
            [...sizeNulls(context, panel, axes[p], span), ...sizeLevels(context, panel, axes[p], span),
             ...result.comparisons.map((comparison) => sizeMarks(context, comparison, panel, axes[p], p === 0))]);
    const note = "A null line is drawn as far as first order holds: up to 0.3 of the chance level for NF, to a " +
        "change of 0.3 for α.";
    return {data: [...data, ...result.types.map((type) => typeMark(context, axes[0], type, 8))], note};
  },
};
