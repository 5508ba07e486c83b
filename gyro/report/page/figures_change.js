// The energy budget of the change, and whether it is symmetric.

const kParts = [
  ["co_rotation", "co-rotation"], ["counter_rotation", "counter-rotation"], ["leakage", "leakage"],
  ["scaling", "scaling"]
];
const energyModels = (context) => withoutNoise(shownModels(context));

// What stands above a panel: the pooled ratio, which is what eq. 8 is about; its null is 1.
function counterText(comparison, type) {
  return `counter/co ${fixed(comparison.type(type, "counter_over_co"), 3)}<br>null 1, z ${
      fixed(comparison.type(type, "z"), 1)}`;
}

// Shares upwards and downwards, both written as what they are.
function splitAxis(context) {
  const shares = energyModels(context).flatMap(
      (comparison) => shownTypes(context).flatMap(
          (type) => comparison.result.sitesOf(type).flatMap(
              (site) => ["co_rotation", "counter_rotation"].map((key) => comparison.value(site, `energy.${key}`)))));
  const most = Math.max(0.05, ...shares.filter(isNumber)) * 1.06,
        step = most > 0.5 ? 0.3 :
      most > 0.25         ? 0.2 :
      most > 0.1          ? 0.1 :
                            0.03;
  const ticks = [-2, -1, 0, 1, 2].map((i) => i * step).filter((tick) => Math.abs(tick) <= most);
  const ticktext = ticks.map((tick) => `${Math.round(100 * Math.abs(tick))} %`);
  return {title: axisTitle("share of ‖E‖²"), range: [-most, most], tickvals: ticks, ticktext, zeroline: true};
}

function energyPanels(context) {
  const {state} = context, view = state.view;
  const y = view === "split" ? splitAxis(context) :
      view === "shares" ? {title: axisTitle("share of ‖E‖²"), range: [0, 1.001], tickformat: ".0%", dtick: 0.25} :
                          logAxis([0.7, 1.4, ...energyRatioValues(context)], axisTitle("share / chance"));
  const names = view === "split" ? kSplitNames : kParts.map(([, name]) => name);
  return typePanels(
      context, {
        x: layerAxis(context),
        y: {...y, zerolinecolor: context.colors.axis},
        sharedY: true,
        legend: names.concat("chance"),
        models: energyModels(context)
      },
      (type, comparison) => ({sub: context.narrow ? undefined : counterText(comparison, type)}));
}
const kSplitNames = ["co-rotation, upwards", "counter-rotation, downwards"];

const energyRatioValues = (context) => energyModels(context).flatMap(
    (comparison) => shownTypes(context).flatMap((type) => comparison.result.sitesOf(type).flatMap((site) => {
      const chance = energyChance(site);
      return kParts.map(([key]) => comparison.value(site, `energy.${key}`) / chance[key]).filter(Number.isFinite);
    })));

// What chance gives in each layer: it differs where the matrices of a type do.
const chancesOf = (comparison, type) => {
  const sites = comparison.result.sitesOf(type);
  return {x: sites.map((site) => site.layer), chances: sites.map(energyChance)};
};

function energyBar(context, comparison, type, axis, [key, name], {first, sign = 1, label = name}) {
  const {x, chances} = chancesOf(comparison, type), nulls = chances.map((chance) => chance[key]);
  const shares = layerLine(comparison.result, type, (site) => comparison.value(site, `energy.${key}`)).y;
  return {
    type: "bar",
    ...axis,
    x,
    y: shares.map((value) => (isNumber(value) ? sign * value : null)),
    name: label,
    legendgroup: key,
    showlegend: first,
    customdata: shares.map((value, i) => [value ?? NaN, nulls[i] ?? NaN]),
    width: comparison.result.layers.length > 16 ? 1 : 0.8,
    marker: {color: context.colors.parts[key], line: {width: 0}},
    hovertemplate: `${typePlot(type)}, layer %{x}<br>${
        name}: %{customdata[0]:.2%}<br>chance: %{customdata[1]:.2%}<extra>${plotName(comparison)}</extra>`
  };
}

// Co-rotation above zero and counter-rotation below it: eq. 8 holds as far as blue is longer than orange.
function energySplit(context, comparison, type, axis, first) {
  const {x, chances} = chancesOf(comparison, type);
  const bars = kParts.slice(0, 2).map(
      (part, p) => energyBar(context, comparison, type, axis, part, {first, sign: p ? -1 : 1, label: kSplitNames[p]}));
  const lines = [1, -1].map(
      (sign) => levelLine(
          context, axis, chances.map(({co_rotation: level}) => sign * level),
          {x, text: "chance: %{y:.1%}", first: first && sign > 0}));
  return [...bars, ...lines];
}

// All parts stacked over layers, and what chance gives: a line at each boundary.
function energyShares(context, comparison, type, axis, first) {
  const {x, chances} = chancesOf(comparison, type), data = [];
  let below = chances.map(() => 0);
  for (const part of kParts) {
    const [key] = part;
    data.push(energyBar(context, comparison, type, axis, part, {first}));
    below = below.map((level, i) => level + (chances[i][key] ?? 0));
    if (key !== "scaling" && below.some((level) => level > 0.002 && level < 0.9995))
      data.push(levelLine(context, axis, below, {x, text: "chance: up to %{y:.1%}"}));
  }
  return [...data, levelLine(context, axis, null, {first})];
}

function energyRatios(context, comparison, type, axis, first) {
  const {colors} = context, {result} = comparison;
  const value = (key) => (site) => {
    const part = comparison.value(site, `energy.${key}`), chance = energyChance(site)[key];
    return isNumber(part) && chance > 1e-9 ? part / chance : null;
  };
  const lines =
      kParts.map(([key, name], p) => plainLine(axis, {
                   mode: "lines+markers",
                   ...layerLine(result, type, value(key)),
                   name,
                   group: key,
                   first,
                   line: {color: colors.parts[key], width: 1.8},
                   marker: {size: 5, symbol: kSymbols[p]},
                   hovertemplate: `${typePlot(type)}, layer %{x}<br>${name}: %{y:.3f} of chance<extra></extra>`
                 }));
  return [...lines, levelLine(context, axis, 1, {first})];
}

const kEnergyViews = {
  split: {draw: energySplit, note: ""},
  shares: {draw: energyShares, note: "Scaling is the thin slice on top: one diagonal among many entries."},
  over: {draw: energyRatios, note: "Square matrices have no leakage."}
};

const kEnergyFigure = {
  id: "energy",
  title: "Energy budget of the change: the test of eq. 8",
  read: "The change, beyond its common scale, in base’s singular directions. Upwards: co-rotation, its " +
      "symmetric part, all that a turn of both sides alike gives. Downwards: counter-rotation, the antisymmetric " +
      "part. Eq. 8 needs the upper bar longer than the lower one; chance gives both the same (dashed). The rest is " +
      "leakage out of base’s span, and scaling.",
  uses: ["model", "type"],
  choices: () => [{
    key: "view",
    label: "Show",
    options: [["split", "co- against counter-rotation"], ["shares", "all shares"], ["over", "multiples of chance"]]
  }],
  panels: energyPanels,
  build(context, {layout, axes}) {
    const {draw: marks, note} = kEnergyViews[context.state.view], types = shownTypes(context);
    layout.barmode = context.state.view === "split" ? "overlay" : "stack";
    const data = energyModels(context).flatMap(
        (comparison, c) => types.flatMap(
            (type, t) => marks(context, comparison, type, axes[c * types.length + t], c === 0 && t === 0)));
    return {data, note};
  },
};

// What the counter figure can show: its value, null and standard deviation at a site.
const kSymmetries = {
  ratio: {
    label: "counter / co",
    value: (comparison, site) => comparison.value(site, "energy.counter_over_co"),
    middle: () => 1,
    sd: (comparison, site) => counterOverCoSd(site),
    z: "energy.z"
  },
  share: {
    label: "symmetric share less its null",
    value(comparison, site) {
      const rho = comparison.value(site, "energy.symmetric_share"),
            chance = comparison.value(site, "energy.symmetric_null");
      return isNumber(rho) && isNumber(chance) ? rho - chance : null;
    },
    middle: () => 0,
    sd: (comparison, site) => comparison.value(site, "energy.symmetric_sd"),
    z: "energy.symmetric_z"
  },
};
const hasShare = (result) => result.comparisons.some(
    (comparison) => result.sites.some((site) => isNumber(comparison.value(site, "energy.symmetric_share"))));

// Two and four standard deviations of chance: one band where all models share it, else a whisker at each mark.
function counterBands({colors}, measure, comparison, sites, axis, first) {
  const x = sites.map((site) => site.layer), wide = [x[0] - 0.5, ...x, x[x.length - 1] + 0.5];
  const sds = sites.map((site) => measure.sd(comparison, site)), sd = [sds[0], ...sds, sds[sds.length - 1]];
  const middle = wide.map(() => measure.middle());
  const bands = [[4, colors.band], [2, colors.strongBand]].map(
      ([width, fillcolor]) => band(wide, middle, sd.map((s) => width * s), axis, {
        fillcolor,
        name: `null ± ${width} sd`,
        legendgroup: `null${width}`,
        showlegend: first,
      }));
  const line = {color: colors.reference, width: 1};
  return [
    ...bands, plainLine(axis, {
      x: [wide[0], wide[wide.length - 1]],
      y: [middle[0], middle[0]],
      line,
      hoverinfo: "skip",
      name: "null",
      meta: {helper: true}
    })
  ];
}

function counterLine(context, measure, comparison, type, axis, first) {
  const {result} = comparison, sites = result.sitesOf(type), {color} = lineOf(comparison);
  const own = context.state.measure === "share";
  const sd = sites.map((site) => measure.sd(comparison, site) ?? NaN);
  return modelLine(comparison, axis, {
    ...layerLine(result, type, (site) => measure.value(comparison, site)),
    first,
    customdata: sites.map((site, i) => [comparison.value(site, measure.z) ?? NaN, sd[i]]),
    ...(own ? {error_y: {type: "data", array: sd.map((s) => 2 * s), thickness: 1, width: 0, color}} : {}),
    hovertemplate: `${typePlot(type)}, layer %{x}<br>${measure.label} = %{y:.4f}<br>null ${measure.middle()} ± ` +
        "%{customdata[1]:.2g}, z = %{customdata[0]:.1f}<extra>%{fullData.name}</extra>"
  });
}

const kCounterFigure = {
  id: "counter",
  title: "Is the change symmetric? Layer by layer",
  read: "The antisymmetric part of the change over the symmetric one (counter- over co-rotation): below 1 where both " +
      "sides turn alike or one is stretched, at 1 as chance has it, whatever the spectrum and the size of the " +
      "change. Grey: two and four standard deviations of chance. The symmetric share less its null, where the result has it, is " +
      "above 0 there, and allows for rows and columns of different size; its whiskers are two standard " +
      "deviations.",
  uses: ["model", "type"],
  choices: (result) => [{
    key: "measure",
    label: "Measure",
    options: [...(hasShare(result) ? [["share", "symmetric share"]] : []), ["ratio", "counter/co"]]
  }],
  panels: (context) => typePanels(context, {
    x: layerAxis(context),
    y: {title: axisTitle(kSymmetries[context.state.measure ?? "ratio"].label), nticks: 6},
    sharedY: true,
    legend: shownModels(context).map((comparison) => plotName(comparison)).concat("null ± 2 sd", "null ± 4 sd")
  }),
  build(context, {axes}) {
    const which = context.state.measure ?? "ratio", measure = kSymmetries[which],
          shown = drawOrder(shownModels(context));
    const data = shownTypes(context).flatMap((type, t) => {
      const sites = context.result.sitesOf(type), first = t === 0;
      const ground = which === "ratio" ? counterBands(context, measure, shown[0], sites, axes[t], first) :
                                         [levelLine(context, axes[t], 0, {name: "null", first, dash: "solid"})];
      return [...ground, ...shown.map((comparison) => counterLine(context, measure, comparison, type, axes[t], first))];
    });
    return {data};
  },
};
