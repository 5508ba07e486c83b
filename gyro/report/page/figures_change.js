// Where the training went, and the energy budget of its residual.

const kParts = [
  ["co_rotation", "co-rotation"], ["counter_rotation", "counter-rotation"], ["leakage", "leakage"],
  ["scaling", "scaling"]
];

function energyPanels(context) {
  const over = context.state.view === "over";
  const y = over ? {type: "log", title: axisTitle("share / chance"), nticks: 6, dtick: "D2", exponentformat: "none"} :
                   {title: axisTitle("share of ‖E‖²"), range: [0, 1.001], tickformat: ".0%", dtick: 0.25};
  const legend = kParts.map(([, name]) => name).concat("chance");
  return typePanels(context, {x: layerAxis(context), y, sharedY: true, legend});
}

// The parts of one type stacked over layers, and what chance gives: a line at each boundary.
function energyShares(context, comparison, type, axis, first) {
  const {colors, result} = context, sites = result.sitesOf(type), chance = energyChance(sites[0]);
  const data = [];
  let below = 0;
  for (const [key, name] of kParts) {
    const share = sites.map((site) => comparison.value(site, `energy.${key}`));
    data.push({
      type: "bar",
      ...axis,
      x: sites.map((site) => site.layer),
      y: share,
      name,
      legendgroup: key,
      showlegend: first,
      customdata: share.map(() => chance[key] ?? NaN),
      width: result.layers.length > 16 ? 1 : 0.8,
      marker: {color: colors.parts[key], line: {width: 0}},
      hovertemplate: `${typePlot(type)}, layer %{x}<br>${name}: %{y:.2%}<br>chance: %{customdata:.2%}<extra></extra>`
    });
    below += chance[key] ?? 0;
    if (key !== "scaling" && below > 0.002 && below < 0.9995)
      data.push(levelLine(context, axis, below, {text: `chance: up to ${(100 * below).toFixed(1)} %`}));
  }
  return [...data, levelLine(context, axis, null, {first})];
}

function energyRatios(context, comparison, type, axis, first) {
  const {colors, result} = context, sites = result.sitesOf(type), chance = energyChance(sites[0]);
  const lines = kParts.filter(([key]) => chance[key] > 1e-9)
                    .map(([key, name], p) => plainLine(axis, {
                           mode: "lines+markers",
                           ...layerLine(
                               result, type,
                               (site) => {
                                 const share = comparison.value(site, `energy.${key}`);
                                 return isNumber(share) ? share / chance[key] : null;
                               }),
                           name,
                           group: key,
                           first,
                           line: {color: colors.parts[key], width: 1.8},
                           marker: {size: 5, symbol: kSymbols[p]},
                           hovertemplate: `${typePlot(type)}, layer %{x}<br>${name}: %{y:.3f} of chance<extra></extra>`
                         }));
  return [...lines, levelLine(context, axis, 1, {first})];
}

const kEnergyFigure = {
  id: "energy",
  title: "Energy budget of the change: the test of eq. 8",
  read: "The change, beyond its common scale, split in base’s singular directions: scaling (diagonal), " +
      "co-rotation (both sides turn alike), counter-rotation (they turn against each other), leakage (out " +
      "of base’s span). Dashed: what chance gives. If eq. 8 held beyond chance, co-rotation would reach " +
      "above its dashed line.",
  choices: (result) =>
      [comparisonChoice(result),
       {key: "view", label: "Show", options: [["shares", "shares"], ["over", "multiples of chance"]]}],
  panels: energyPanels,
  build(context, {layout, axes}) {
    const comparison = chosenOne(context), over = context.state.view === "over";
    const draw = over ? energyRatios : energyShares;
    layout.barmode = "stack";
    return {
      data: context.result.types.flatMap((type, t) => draw(context, comparison, type, axes[t], t === 0)),
      note: over ? "Square matrices have no leakage." :
                   "Scaling is the thin slice on top: one diagonal among many entries."
    };
  },
};

// One and two standard deviations of chance around 1.
function counterBands({colors}, sites, axis, first) {
  const x = sites.map((site) => site.layer), wide = [x[0] - 0.5, ...x, x[x.length - 1] + 0.5];
  const sds = sites.map(counterOverCoSd), sd = [sds[0], ...sds, sds[sds.length - 1]];
  const bands = [4, 2].map((width) => band(wide, wide.map(() => 1), sd.map((s) => width * s), axis, {
                             fillcolor: colors.band,
                             name: `null ± ${width} sd`,
                             legendgroup: `null${width}`,
                             showlegend: first,
                           }));
  const one = plainLine(axis, {
    x: [wide[0], wide[wide.length - 1]],
    y: [1, 1],
    line: {color: colors.reference, width: 1},
    hoverinfo: "skip",
    name: "null",
    meta: {helper: true}
  });
  return [...bands, one];
}

const kCounterFigure = {
  id: "counter",
  title: "Counter-rotation over co-rotation, per layer",
  read: "Below 1, both sides turn together more than chance; at 1, as chance does, whatever the spectrum and the " +
      "size of the change. Grey: two and four standard deviations of chance. A verdict needs more than " +
      "four, and 2 %.",
  choices: (result) => [whichChoice(result)],
  panels: (context) => typePanels(context, {
    x: layerAxis(context),
    y: {title: axisTitle("counter / co"), nticks: 6},
    sharedY: true,
    legend: chosen(context).map(plotName).concat("null ± 2 sd", "null ± 4 sd")
  }),
  build(context, {axes}) {
    const {result} = context;
    const data = result.types.flatMap((type, t) => {
      const sites = result.sitesOf(type);
      const lines =
          chosen(context).map((comparison) => modelLine(comparison, axes[t], {
                                ...layerLine(result, type, (site) => comparison.value(site, "energy.counter_over_co")),
                                first: t === 0,
                                customdata: sites.map((site) => comparison.value(site, "energy.z") ?? NaN),
                                hovertemplate: `${typePlot(type)}, layer %{x}<br>counter/co = %{y:.4f}<br>` +
                                    "z = %{customdata:.1f}<extra>%{fullData.name}</extra>",
                              }));
      return [...counterBands(context, sites, axes[t], t === 0), ...lines];
    });
    return {data};
  },
};

// Lines of one measure over layers, one panel a type. measure(state): label, hover, value(comparison, site), and `log`
// or the axis.
function layerFigure({measure, choices = [], ...spec}) {
  return {
    ...spec,
    choices: (result) => [...choices, whichChoice(result)],
    panels(context) {
      const {axis, label, log, value} = measure(context.state);
      const values = () =>
          chosen(context).flatMap((comparison) => context.result.sites.map((site) => value(comparison, site)));
      return typePanels(context, {
        x: layerAxis(context),
        y: log ? logAxis(values(), axisTitle(label)) : {title: axisTitle(label), nticks: 6, ...axis},
        sharedY: true,
        legend: chosen(context).map(plotName),
        left: 66
      });
    },
    build(context, {axes}) {
      const {value, hover} = measure(context.state);
      const line = (comparison, type, t) => modelLine(comparison, axes[t], {
        ...layerLine(context.result, type, (site) => value(comparison, site)),
        first: t === 0,
        hovertemplate: `${typePlot(type)}, layer %{x}<br>${hover}<extra>%{fullData.name}</extra>`
      });
      return {
        data: context.result.types.flatMap((type, t) => chosen(context).map((comparison) => line(comparison, type, t)))
      };
    },
  };
}

const kMeasures = {
  relative_change: {
    label: "‖ΔW‖ / ‖W<sub>base</sub>‖",
    hover: "relative change %{y:.4g}",
    axis: {rangemode: "tozero"},
  },
  scale: {label: "c", hover: "c = %{y:.5f}", axis: {}},
  unchanged: {
    label: "unchanged weights",
    hover: "unchanged %{y:.2%}",
    axis: {tickformat: ".1~%", rangemode: "tozero"},
  },
  stable_rank: {label: "stable rank of ΔW", hover: "stable rank %{y:.3g}", log: true},
};

const kChangeFigure = layerFigure({
  id: "change",
  title: "Where the training went: relative change",
  read: "How large the change of each matrix is, as a share of the base’s norm. Other measures of the same: the " +
      "best common scale c, the share of weights left bit for bit as they were, the stable rank of the " +
      "change (a LoRA shows itself).",
  choices: [{
    key: "measure",
    label: "Measure",
    options: [
      ["relative_change", "relative change"], ["scale", "scale c"], ["unchanged", "unchanged weights"],
      ["stable_rank", "stable rank of ΔW"]
    ]
  }],
  measure: ({measure}) => ({...kMeasures[measure], value: (comparison, site) => comparison.value(site, measure)}),
});

const kCosineFigure = layerFigure({
  id: "cosine",
  title: "Where the training went: direction",
  read: "1 − cosine between base’s and model’s matrix, taken as vectors: 0 is the same direction, 1 is at right " +
      "angles, as unrelated models are.",
  measure: () => ({
    label: "1 − cosine",
    hover: "1 − cosine = %{y:.3g}",
    log: true,
    value: (comparison, site) => {
      const c = comparison.value(site, "cosine");
      return isNumber(c) && c < 1 ? 1 - c : null;
    }
  }),
});
