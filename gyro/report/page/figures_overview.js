// The claims against chance, and size against structure.

// Two standard deviations of what chance gives, of a type's ratio. Of α's spread: both it and its null are deviations
// of about Σk samples, right to a relative 1/√(2Σk) each. Of NF: as its null's draws spread, over all layers.
function spreadOfAlpha(comparison, type) {
  const margin = comparison.types.get(type)?.margins.uniform_scaling;
  if (margin > 0.05) return margin / 2;  // where it is four standard deviations, not the least that is called an effect
  const samples = comparison.result.matricesOf(type).reduce((sum, site) => sum + site.k * countOf(site), 0);
  return samples > 0 ? 2 / Math.sqrt(samples) : null;
}
function spreadOfNf(comparison, type) {
  let variance = 0, sum = 0;
  for (const site of comparison.result.matricesOf(type)) {
    if (comparison.value(site, "nf") === null) continue;  // as in the type's own mean
    variance += countOf(site) * (comparison.value(site, "null.nf_robust_sd") ?? NaN) ** 2;
    sum += countOf(site) * (comparison.value(site, "null.nf_robust") ?? NaN);
  }
  return sum > 0 ? (2 * Math.sqrt(variance)) / sum : null;
}
const twice = (sd) => (isNumber(sd) ? 2 * sd : null);

// `claim`: the finding that gives verdicts on it; `middle`: what chance gives.
const kRatioPanels = [
  {
    title: "spread of α / null’s",
    claim: "uniform_scaling",
    middle: 1,
    value: (comparison, type) => comparison.type(type, "alpha_std_over_null"),
    spread: spreadOfAlpha
  },
  {
    title: "robust NF / null’s",
    claim: null,
    middle: 1,
    value: (comparison, type) => comparison.type(type, "nf_robust_mean_over_null"),
    spread: spreadOfNf
  },
];
const kCounterPanel = {
  title: "counter- / co-rotation",
  claim: "co_rotation",
  middle: 1,
  value: (comparison, type) => comparison.type(type, "counter_over_co"),
  spread: (comparison, type) => twice(comparison.type(type, "counter_over_co_sd"))
};
// In its place where the result has it: a symmetric change lies to the left of its null, as in the other.
const kSharePanel = {
  title: "null − symmetric share",
  claim: "co_rotation",
  middle: 0,
  value(comparison, type) {
    const rho = comparison.type(type, "symmetric_share"), chance = comparison.type(type, "symmetric_null");
    return isNumber(rho) && isNumber(chance) ? chance - rho : null;
  },
  spread: (comparison, type) => twice(comparison.type(type, "symmetric_sd"))
};
const overviewKinds = ({comparisons}) =>
    [...kRatioPanels,
     comparisons.some(({types}) => [...types.values()].some((row) => isNumber(row.symmetric_share))) ? kSharePanel :
                                                                                                       kCounterPanel];

// Whether the result gives a verdict beyond chance on this type: the type's own where it has one, else the finding's.
const kBeyond = ["yes", "some_types", "slight", "counter"];
function verdictOn(comparison, claim, type) {
  const own = comparison.types.get(type)?.verdicts[claim];
  if (own) return own;
  const finding = comparison.findings.get(claim);
  if (!finding || !kBeyond.includes(finding.verdict)) return finding?.verdict ?? null;
  return finding.types.includes(type) ? "yes" : "as_chance";
}

// In this order from the top; what is unrelated to the base has no marks.
const overviewModels = ({result}) => result.comparisons;

// Of ratios to a null, and of differences from it.
function overviewAxis(result, {value, middle, spread}) {
  const values = related(result.comparisons).flatMap((comparison) => result.types.flatMap((type) => {
    const x = value(comparison, type), width = spread(comparison, type) ?? 0;
    return isNumber(x) ? [x, Math.max(x - width, middle === 1 ? 0.8 * x : -Infinity), x + width] : [];
  }));
  if (middle === 0) return {range: padded(Math.min(-0.01, ...values), Math.max(0.01, ...values)), nticks: 7};
  const low = Math.min(0.94, ...values) / 1.015, high = Math.max(1.06, ...values) * 1.015;
  const ticks = evenTicks(low, high).filter((tick) => tick > low && tick < high);
  return {type: "log", range: [Math.log10(low), Math.log10(high)], tickvals: ticks, ticktext: ticks.map(String)};
}
const padded = (low, high) => [low - 0.04 * (high - low), high + 0.04 * (high - low)];

function overviewPanels(context) {
  const {result, narrow} = context, shown = overviewModels(context), n = shown.length;
  const label = (comparison) =>
      (result.results ? shorten(familyName(comparison), narrow ? 18 : 34) : labelOf(comparison, narrow ? 14 : 26));
  const names = shown.map(label);
  const y = {
    tickvals: shown.map((_, i) => i),
    ticktext: names.map(plotText),
    range: [n - 0.5, -0.5],
    tickfont: {size: 12, color: context.colors.text},
    ticks: "",
    showgrid: false,
  };
  const panels = overviewKinds(result).map((kind) => {
    const title = axisTitle(kind.middle === 1 ? "1: as chance" : "0: as chance");
    return {title: kind.title, x: {...overviewAxis(result, kind), title}, y};
  });
  return panelLayout(context, [{title: null, panels}], {
    minWidth: 250,
    panelHeight: Math.max(26, 12 + 3 * result.types.length) * n + 6,
    sharedY: true,
    left: 18 + 7.2 * Math.max(6, ...names.map((name) => name.length)),
    legend: result.types.map(typePlot).concat("beyond chance", "not"),
    maxColumns: 3
  });
}

// Lines between the models' rows, the line of chance, and what is not asked.
function overviewGround(context, layout, {xaxis, yaxis}, middle) {
  const {colors} = context, shown = overviewModels(context);
  const rows =
      shown.slice(1).map((_, i) => ruler(`${xaxis} domain`, yaxis, [0, 1], [i + 0.5, i + 0.5], colors.grid, 1));
  layout.shapes.push(...rows, ruler(xaxis, `${yaxis} domain`, [middle, middle], [0, 1], colors.reference, 1.2));
  shown.forEach((comparison, i) => {
    if (!comparison.unrelated) return;
    const place = {xref: `${xaxis} domain`, yref: yaxis, yanchor: "middle", font: {size: 11, color: colors.muted}};
    layout.annotations.push(caption("unrelated to the base: not asked", 0.02, i, place));
  });
}

function overviewMarks(context, axis, type, {value, claim, spread, middle}) {
  const {result} = context, shown = overviewModels(context), t = result.types.indexOf(type);
  const dodge = result.types.length > 1 ? (t / (result.types.length - 1) - 0.5) * 0.72 : 0;
  const having = shown.map((comparison, i) => ({comparison, i, value: value(comparison, type)}))
                     .filter((one) => isNumber(one.value) && !one.comparison.unrelated);
  const beyond = ({comparison}) => claim !== null && kBeyond.includes(verdictOn(comparison, claim, type));
  return having.map((one) => {
    const {color} = lineOf(one.comparison), width = spread(one.comparison, type);
    return {
      type: "scatter",
      mode: "markers",
      ...axis,
      name: plotName(one.comparison),
      legendgroup: type,
      showlegend: false,
      x: [one.value],
      y: [one.i + dodge],
      error_x: {type: "data", array: [width ?? 0], visible: isNumber(width), thickness: 1, width: 0, color},
      marker: {
        symbol: kTypeSymbols[type] + (beyond(one) ? "" : "-open"),
        size: kTypeSizes[type] ?? 8,
        color,
        line: {width: beyond(one) ? 0 : 1.4, color}
      },
      hovertemplate: `${plotName(one.comparison)}, ${typePlot(type)}<br>%{x:.3f} (chance: ${middle} ± ${
          isNumber(width) ? significant(width, 2) : "?"}, 2 sd)<extra></extra>`
    };
  });
}

const typeMark = (context, axis, type) => legendMark(
    axis, typePlot(type), type,
    {marker: {symbol: kTypeSymbols[type], size: kTypeSizes[type] ?? 8, color: context.colors.muted}});

const kOverviewFigure = {
  id: "overview",
  title: "The paper’s claims against chance",
  read: "Each mark is a matrix type over all layers, its whisker two standard deviations of chance. On the line a " +
      "change of the same size without any structure does as much; left of it scaling is more uniform, the two " +
      "sides’ turns are closer, the change is more symmetric. Filled: the verdict is beyond chance.",
  uses: [],
  about: () => "",
  panels: overviewPanels,
  build(context, {layout, axes}) {
    const {result: {types}, colors} = context;
    const data = overviewKinds(context.result).flatMap((panel, p) => {
      overviewGround(context, layout, axes[p], panel.middle);
      return types.flatMap((type) => overviewMarks(context, axes[p], type, panel));
    });
    const mark = (name, symbol) => legendMark(axes[0], name, name, {marker: {symbol, size: 8, color: colors.muted}});
    const legend = [
      ...types.map((type) => typeMark(context, axes[0], type)), mark("beyond chance", "circle"),
      mark("not", "circle-open")
    ];
    return {data: [...data, ...legend]};
  },
};

const kSizePanels = [
  {title: "robust NF / its null", key: "nf_robust", null: "null.nf_robust"},
  {title: "spread of α / its null", key: "alpha_std", null: "null.alpha_std"},
];

// The matrices of a comparison that have a null: [{site, size, value, nullValue, ratio}].
function sizePoints(context, comparison, panel) {
  return shownTypes(context)
      .flatMap((type) => comparison.result.matricesOf(type))
      .map((site) => {
        const value = comparison.value(site, panel.key), nullValue = comparison.value(site, panel.null);
        const holds = comparison.value(site, "null.valid") === true;
        return {site, size: comparison.size([site]), value, nullValue, ratio: holds ? value / nullValue : null};
      })
      .filter(({size, ratio}) => size > 0 && ratio > 0);
}

function sizePanels(context) {
  const {narrow} = context, shown = shownModels(context);
  const points = (panel) => shown.flatMap((comparison) => sizePoints(context, comparison, panel));
  const x = logAxis(kSizePanels.flatMap(points).map(({size}) => size), axisTitle("s = ‖E‖ / (|c| ‖W<sub>base</sub>‖)"));
  const panels = kSizePanels.map((panel) => {
    const ratios = points(panel).map(({ratio}) => ratio);
    return {title: panel.title, x, y: logAxis([0.95, 1.05, ...ratios], axisTitle("multiple of its own null"))};
  });
  return panelLayout(context, [{title: null, panels}], {
    minWidth: 300,
    panelHeight: narrow ? 240 : 300,
    gap: 72,
    maxColumns: 2,
    legend: shown.map((comparison) => plotName(comparison)).concat("null", shownTypes(context).map(typePlot))
  });
}

function sizeMarks(context, comparison, panel, axis, first) {
  const points = sizePoints(context, comparison, panel);
  return modelLine(comparison, axis, {
    mode: "markers",
    first,
    x: points.map(({size}) => size),
    y: points.map(({ratio}) => ratio),
    customdata: points.map(({site, value, nullValue}) => [typePlot(site.type), placeText(site), value, nullValue]),
    marker: {
      symbol: points.map(({site}) => kTypeSymbols[site.type] + (comparison.imitates ? "-open" : "")),
      size: points.map(({site}) => 0.8 * (kTypeSizes[site.type] ?? 8)),
      color: fade(lineOf(comparison).color, 0.75),
      line: {width: comparison.imitates ? 1 : 0.5, color: comparison.imitates ? undefined : context.colors.surface}
    },
    hovertemplate: "%{customdata[0]}, layer %{customdata[1]}<br>s = %{x:.3g}<br>%{y:.3f} of its null" +
        "<br>%{customdata[2]:.3g}, null %{customdata[3]:.3g}<extra>%{fullData.name}</extra>"
  });
}

const kSizeFigure = {
  id: "size",
  title: "More consistent than chance, or just smaller?",
  read: "Each mark is a matrix: its rotation and the spread of its scaling, as multiples of what a structureless " +
      "change of just its own size gives, against that size s (what is left of the change beside a common scale). " +
      "On the line at 1 a matrix differs from chance in nothing but size; noise lies there whatever its size.",
  uses: ["model", "type"],
  panels: sizePanels,
  build(context, {axes}) {
    const shown = drawOrder(shownModels(context)), {colors} = context;
    const data = kSizePanels.flatMap((panel, p) => {
      const marks = shown.map((comparison) => sizeMarks(context, comparison, panel, axes[p], p === 0));
      const xs = marks.flatMap(({x}) => x), line = {color: colors.reference, width: 1.3, dash: "dash"};
      const ends = [Math.min(...xs) / 1.2, Math.max(...xs) * 1.2];
      return [
        plainLine(axes[p], {x: ends, y: [1, 1], name: "null", first: p === 0, line, meta: {helper: true}}), ...marks
      ];
    });
    const left = related(context.result.comparisons).length < context.result.comparisons.length;
    return {
      data: [...data, ...shownTypes(context).map((type) => typeMark(context, axes[0], type))],
      note: left ? "Models unrelated to the base have no such null, and no mark." : ""
    };
  },
};
