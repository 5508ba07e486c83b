// Where the change went: of each matrix how much, and how it lies to the base's leading directions and spectrum.

// What noise of a matrix's shape has as its stable rank, ‖G‖_F² / ‖G‖_2².
const noiseRank = ({m, n}) => (m * n) / (Math.sqrt(m) + Math.sqrt(n)) ** 2;

const kLevels = [["q10", "10 %"], ["q01", "1 %"], ["q50", "50 %"]];
const levelText = ({state}) => kLevels.find(([key]) => key === state.level)[1];
const kSideNames = {
  u: "input side",
  v: "output side",
  uv: "both sides"
};

// The share of ‖E‖² on the leading directions of a side.
const shareMeasure = (side) => ({
  option: `principal share, ${kSideNames[side]}`,
  label: (context) => `‖E‖² on the top ${levelText(context)}, ${kSideNames[side]}`,
  path: ({state}) => `quantities.principal_share.${state.level}.${side}`,
  axis: {tickformat: ".1~%", rangemode: "tozero"},
  show: (x) => percent(x),
  ratio: true
});
// What the base's leading subspace lacks of the post's: overlaps themselves are all near 1.
const overlapMeasure = (side) => ({
  option: `subspace left, ${kSideNames[side]}`,
  label: (context) => `1 − overlap of the top ${levelText(context)}, ${kSideNames[side]}`,
  path: ({state}) => `quantities.subspace_overlap.${state.level}.${side}`,
  of: (x) => (isNumber(x) ? Math.max(0, 1 - x) : null),
  sign: -1,
  log: true,
  show: (x) => significant(x),
  ratio: true
});

// `path(context)`: the figure of result.json that it is, with null and z, seen through `of`; or `value` and `chance` of
// (comparison, site), else the row's own member of the measure's name. `ratio`: a map shows multiples of chance.
// `same`: noise has the post's own value by construction.
const kMeasures = {
  relative_change: {
    option: "relative change",
    label: "‖ΔW‖ / ‖W<sub>base</sub>‖",
    hover: "relative change ",
    axis: {rangemode: "tozero"},
    same: true
  },
  share_u: shareMeasure("u"),
  share_v: shareMeasure("v"),
  share_uv: shareMeasure("uv"),
  overlap_u: overlapMeasure("u"),
  overlap_v: overlapMeasure("v"),
  nss_c: {
    option: "shift of the spectrum",
    label: "‖σ<sub>post</sub> − cσ<sub>base</sub>‖ / ‖cσ<sub>base</sub>‖",
    path: () => "quantities.spectrum.nss_c",
    axis: {rangemode: "tozero"},
    ratio: true
  },
  size: {
    option: "change beside the scale, s",
    label: "s = ‖E‖ / (|c| ‖W<sub>base</sub>‖)",
    hover: "s = ",
    axis: {rangemode: "tozero"},
    value: (comparison, site) => comparison.size([site]),
    same: true
  },
  scale: {
    option: "scale c",
    label: "c",
    hover: "c = ",
    chance: () => 1,
    ratio: true,
    same: true,
    show: (x) => fixed(x, 5)
  },
  unchanged: {
    option: "unchanged weights",
    label: "unchanged weights",
    axis: {tickformat: ".1~%", rangemode: "tozero"},
    chance: (comparison, site) => comparison.value(site, "sparse_expected"),
    show: (x) => percent(x, 2)
  },
  stable_rank: {
    option: "stable rank",
    label: "stable rank",
    log: true,
    chance: (comparison, site) => noiseRank(site),
    ratio: true
  },
  update_rank: {
    option: "directions above rounding",
    label: "directions above rounding",
    axis: {tickformat: ".0%", rangemode: "tozero"},
    show: (x) => percent(x)
  },
  cosine: {
    option: "1 − cosine",
    label: "1 − cosine",
    log: true,
    same: true,
    value(comparison, site) {
      const c = comparison.value(site, "cosine");
      return isNumber(c) && c < 1 ? 1 - c : null;
    }
  }
};
const plainly = (x) => x;

// The chosen measure, its functions made whole: value, chance (or undefined) and z of (comparison, site).
function measureOf(context) {
  const key = context.state.measure, measure = kMeasures[key], {path, of = plainly, sign = 1} = measure;
  const label = typeof measure.label === "function" ? measure.label(context) : measure.label;
  const common = {show: (x) => significant(x, 4), hover: `${measure.option} `, ...measure, label};
  if (!path) return {value: (comparison, site) => comparison.value(site, key), ...common};
  const at = (name) => (comparison, site) => comparison.value(site, `${path(context)}.${name}`);
  const z = (comparison, site) => {
    const far = at("z")(comparison, site);
    return isNumber(far) ? sign * far : null;
  };
  return {
    ...common,
    value: (comparison, site) => of(at("value")(comparison, site)),
    chance: (comparison, site) => of(at("null")(comparison, site)),
    z
  };
}
const changeModels = (context) => (measureOf(context).same ? withoutNoise(shownModels(context)) : shownModels(context));

// Whether a matrix is the base's bit for bit; of experts all of a layer's.
function untouched(comparison, site) {
  if (!site.family) return (site.members ?? [site]).every((one) => comparison.value(one, "unchanged") === 1);
  const spread = comparison.spread(site, "relative_change");
  return spread?.median === 0 && spread.furthest === 0;
}

// What a map shows of a matrix: the measure, or the logarithm of how many times chance's it is; null where undefined.
function placeValue(measure, comparison, site) {
  const value = measure.value(comparison, site);
  if (!isNumber(value) || untouched(comparison, site)) return null;
  if (!measure.ratio) return measure.log ? (value > 0 ? Math.log10(value) : null) : value;
  const chance = measure.chance(comparison, site);
  return chance > 0 ? Math.log2(Math.max(value / chance, 1 / 64)) : null;
}

function placeHover(measure, comparison, site) {
  if (untouched(comparison, site)) return "untouched: bit for bit the base";
  const value = measure.value(comparison, site), chance = measure.chance?.(comparison, site);
  const z = measure.z?.(comparison, site);
  const lines = [`${measure.hover}${measure.show(value)}`];
  if (measure.chance) lines.push(`chance ${measure.show(chance)}${isNumber(z) ? `, z = ${fixed(z, 1)}` : ""}`);
  if (measure.ratio && isNumber(value) && chance > 0) lines.push(`${times(value / chance)} chance`);
  return lines.join("<br>");
}

// The matrices of a comparison: a row a type, a column a layer.
const placeSites = (context, {result}) =>
    shownTypes(context).map((type) => result.layers.map((layer) => result.site(layer, type)));

function placePanels(context) {
  const types = shownTypes(context), {narrow} = context;
  const y = {
    tickvals: types.map((_, i) => i),
    ticktext: types.map(typePlot),
    range: [types.length - 0.5, -0.5],
    showgrid: false,
    ticks: ""
  };
  const panels = changeModels(context).map(
      (comparison) => ({
        title: plotName(comparison, 40),
        x: {...layerTicks(context, comparison.result), title: axisTitle("layer"), showgrid: false},
        y: {...y, title: axisTitle("type")}
      }));
  return panelLayout(context, [{title: null, panels}], {
    minWidth: narrow ? 220 : 300,
    maxColumns: 3,
    panelHeight: 40 + (narrow ? 20 : 24) * types.length,
    gap: 26,
    left: 92,
    bottom: 108,
    sharedY: true
  });
}

// A range that 98 % of the cells lie in, about chance or from the least to the largest.
function placeColors({layout, plotHeight}, measure, cells) {
  const known = cells.filter(isNumber), title = measure.ratio ? `${measure.option}, over chance` : measure.option;
  // Below the panels by their own height: a place in the container would have the title over the bar in a low figure.
  const below = {yref: "paper", y: -46 / plotHeight, yanchor: "top", ypad: 0, len: 0.7};
  const bar = (more) => lyingBar(title, {...below, ...more});
  if (measure.ratio) {
    const range = Math.max(0.01, quantile(known.map(Math.abs), 0.98) || 0), ends = [-range, 0, range];
    const text = (end) => `×${significant(2 ** end, 3)}`;
    layout.coloraxis =
        {colorscale: diverging(), cmin: -range, cmax: range, colorbar: bar({tickvals: ends, ticktext: ends.map(text)})};
    return;
  }
  const least = known.length ? Math.min(...known) : 0, low = measure.log ? least : Math.min(0, least);
  const high = Math.max(low + 1e-12, quantile(known, 0.99) || 0), ends = [low, (low + high) / 2, high];
  const text = (end) => measure.show(measure.log ? 10 ** end : end);
  layout.coloraxis =
      {colorscale: kCividis, cmin: low, cmax: high, colorbar: bar({tickvals: ends, ticktext: ends.map(text)})};
}

// Grey cells with a dot: told from what is not defined, which is empty, without colours.
function untouchedMarks(context, comparison, axis, sites) {
  const {colors} = context, places = layerPlaces(comparison.result);
  const is = (site) => site && untouched(comparison, site);
  const dots = sites.flatMap((row, r) => row.flatMap((site, c) => (is(site) ? [[places[c], r]] : [])));
  if (!dots.length) return [];
  const grey = {
    type: "heatmap",
    ...axis,
    x: places,
    y: sites.map((_, r) => r),
    z: sites.map((row) => row.map((site) => (is(site) ? 0 : null))),
    colorscale: [[0, colors.grid], [1, colors.grid]],
    showscale: false,
    hoverinfo: "skip",
    meta: {helper: true}
  };
  const dot = {
    type: "scatter",
    mode: "markers",
    ...axis,
    x: dots.map(([x]) => x),
    y: dots.map(([, y]) => y),
    showlegend: false,
    hovertemplate: "layer %{x}<br>untouched: bit for bit the base<extra></extra>",
    marker: {color: colors.text, size: comparison.result.layers.length > 40 ? 3.5 : 6, symbol: "circle"},
    meta: {helper: true}
  };
  return [grey, dot];
}

function buildMap(context, panels) {
  const measure = measureOf(context), types = shownTypes(context);
  const data = changeModels(context).flatMap((comparison, c) => {
    const sites = placeSites(context, comparison);
    const each = (make) => sites.map((row) => row.map((site) => (site ? make(site) : null)));
    const heat = {
      type: "heatmap",
      ...panels.axes[c],
      name: plotName(comparison),
      x: layerPlaces(comparison.result),
      y: types.map((_, r) => r),
      z: each((site) => placeValue(measure, comparison, site)),
      text: each((site) => `${typePlot(site.type)}, layer ${site.layer}<br>${placeHover(measure, comparison, site)}`),
      coloraxis: "coloraxis",
      hoverongaps: false,
      xgap: 1,
      ygap: 1,
      hovertemplate: "%{text}<extra>%{fullData.name}</extra>"
    };
    return [heat, ...untouchedMarks(context, comparison, panels.axes[c], sites)];
  });
  placeColors(panels, measure, data.filter((trace) => trace.coloraxis).flatMap(({z}) => z.flat()));
  const dots = data.some(({mode}) => mode === "markers") ? "● untouched: bit for bit the base. " : "";
  return {data, note: `${dots}Empty: not defined${measure.ratio ? ", or chance is not" : ""}.`};
}

function linePanels(context) {
  const {label, axis, log, value, chance} = measureOf(context), shown = changeModels(context);
  const values = () => shown.flatMap(
      (comparison) => shownTypes(context)
                          .flatMap((type) => context.result.sitesOf(type))
                          .flatMap((site) => [value(comparison, site), chance?.(comparison, site)]));
  return typePanels(context, {
    x: layerAxis(context),
    y: log ? logAxis(values(), axisTitle(label)) : {title: axisTitle(label), nticks: 6, ...axis},
    sharedY: true,
    legend: shown.map((comparison) => plotName(comparison)).concat(chance ? ["null"] : []),
    left: 66
  });
}

function changeNulls(context, type, axis, first) {
  const {chance} = measureOf(context);
  if (!chance) return [];
  const {result, colors} = context, line = {color: colors.null, width: 1.3, dash: "dot"};
  const lines =
      withoutNoise(changeModels(context)).map((comparison, c) => plainLine(axis, {
                                                ...stretch(layerLine(result, type, (site) => chance(comparison, site))),
                                                name: "null",
                                                first: first && c === 0,
                                                line,
                                                hovertemplate:
                                                    `null of ${plotName(comparison)}: %{y:.4g}<extra></extra>`,
                                                meta: {helper: true}
                                              }));
  const same = (one, other) => one.y.every((y, i) => y === other.y[i]);
  return lines.filter((one, i) => lines.findIndex((other) => same(one, other)) === i);
}

function buildLines(context, {axes}) {
  const measure = measureOf(context), {result} = context;
  const line = (comparison, type, t) => modelLine(comparison, axes[t], {
    ...layerLine(result, type, (site) => measure.value(comparison, site)),
    first: t === 0,
    text: result.sitesOf(type).map((site) => placeHover(measure, comparison, site)),
    hovertemplate: `${typePlot(type)}, layer %{x}<br>%{text}<extra>%{fullData.name}</extra>`
  });
  const data = shownTypes(context).flatMap(
      (type, t) =>
          [...changeNulls(context, type, axes[t], t === 0),
           ...drawOrder(changeModels(context)).map((comparison) => line(comparison, type, t))]);
  return {data};
}

const hasValue = (result, key) =>
    result.comparisons.some((comparison) => result.sites.some((site) => isNumber(comparison.value(site, key))));
const hasQuantities = (result) => hasValue(result, "quantities.principal_share.q10.u.value");

const kChangeFigure = {
  id: "change",
  title: "Which layers and types changed",
  read: "Of each matrix: how large the change is, as a share of the base’s norm; the share of its energy ‖E‖² on the " +
      "base’s leading directions; how much of the base’s leading subspace the post’s left; how far the spectrum " +
      "shifted beyond one scale; c, the best common scale (1 if nothing scaled); the share of weights left bit for " +
      "bit; the stable rank. A map shows multiples of what a structureless change of the same size gives, where " +
      "there is such a null; lines have it dotted. What noise has of its post by construction is left out of it.",
  uses: ["model", "type"],
  choices(result) {
    const asked = hasQuantities(result), rank = hasValue(result, "update_rank");
    const known = ([key, {path}]) => (path ? asked : key !== "update_rank" || rank);
    return [
      {
        key: "measure",
        label: "Measure",
        options: Object.entries(kMeasures).filter(known).map(([key, {option}]) => [key, option])
      },
      {key: "view", label: "Show", options: [["map", "map of layers and types"], ["lines", "lines by layer"]]},
      {key: "level", label: "Directions", options: asked ? kLevels : [kLevels[0]]}
    ];
  },
  panels: (context) => (context.state.view === "map" ? placePanels(context) : linePanels(context)),
  build: (context, panels) => (context.state.view === "map" ? buildMap : buildLines)(context, panels),
};

// The share of ‖E‖² on the k first directions of a side, over what chance gives.
const shareChance = (site, side) => {
  const d = side === "u" ? site.d_in : site.d_out;
  return site.shares.ends.map((k) => k / d);
};
// Of Beta(p N/2, (1 − p) N/2), N numbers in all.
const shareSd = ({d_in, d_out}, p) => Math.sqrt((2 * Math.max(0, p * (1 - p))) / (d_in * d_out + 2));
const isOver = ({state}) => state.measure === "over";
const principalModels = (context) => withoutNoise(shownModels(context)).filter(({hasPrincipal}) => hasPrincipal);

const principalRatios = (context) =>
    principalModels(context).flatMap((comparison) => shownTypes(context).flatMap((type) => {
      const site = chosenSite(context, type);
      if (!site) return [];
      return ["u", "v"].flatMap((side) => {
        const chance = shareChance(site, side);
        return Array.from(comparison.principal(site, side), (share, i) => share / chance[i]).filter(Number.isFinite);
      });
    }));

function principalSide(context, comparison, type, site, axis, first) {
  return ["u", "v"].flatMap((side, i) => {
    const chance = shareChance(site, side), over = isOver(context), x = site.shares.ends.map((k) => k / site.n);
    const values = Array.from(comparison.principal(site, side), (share) => (Number.isFinite(share) ? share : null));
    const shown = (share, j) => (share === null ? null : over ? share / chance[j] : share);
    const line = plainLine(axis, {
      x,
      y: values.map(shown),
      name: kTurnNames[side],
      group: side,
      first,
      line: {color: context.colors.lines[i], width: 1.8, dash: i ? "dot" : "solid"},
      text: values.map(
          (share, j) => `${percent(share, 2)} of ‖E‖² on ${site.shares.ends[j]} of ${site.n}<br>chance ${
              percent(chance[j], 2)}, ${times(share === null ? null : share / chance[j])}`),
      hovertemplate: `${typePlot(type)}, ${kSideNames[side]}<br>%{text}<extra>${plotName(comparison)}</extra>`
    });
    const middle = over ? chance.map(() => 1) : chance;
    const sd = chance.map((p) => shareSd(site, p) / (over ? p : 1));
    const one = !site.members && !site.family;
    const wide = sd.map((s, j) => Math.min(2 * s, 0.9 * middle[j]));  // which a logarithmic axis can show
    const ground = band(x, middle, wide, axis, {
      fillcolor: fade(context.colors.lines[i], 0.2),
      name: "chance ± 2 sd",
      legendgroup: "chance",
    });
    const level = plainLine(axis, {
      x,
      y: middle,
      name: "chance",
      line: {color: context.colors.null, width: 1.2, dash: "dash"},
      hoverinfo: "skip",
      first: first && i === 0,
      meta: {helper: true}
    });
    return [...(one ? [ground] : []), level, line];
  });
}

const hasPrincipal = (result) => result.comparisons.some((comparison) => comparison.hasPrincipal);
const kPrincipalFigure = {
  id: "principal",
  title: "On which directions of the base the change lies",
  read: "The share of the change’s energy ‖E‖² on the base’s k leading singular directions, of the input side and of " +
      "the output side, against k / n. A structureless change has k / d_in and k / d_out (dashed; band: two standard " +
      "deviations). Above chance at the left: the change lies on principal directions; below: it stays off them.",
  uses: ["model", "type", "layer"],
  choices: () => [{key: "measure", label: "Show", options: [["over", "multiples of chance"], ["share", "shares"]]}],
  panels: (context) => typePanels(context, {
    x: {title: axisTitle("k / n"), ...(isOver(context) ? {type: "log", dtick: 1} : {range: [0, 1], nticks: 4})},
    y: isOver(context) ? logAxis([0.8, 1.25, ...principalRatios(context)], axisTitle("share / chance")) :
                         {title: axisTitle("share of ‖E‖²"), tickformat: ".0%", nticks: 5, rangemode: "tozero"},
    sharedY: true,
    legend: [kTurnNames.u, kTurnNames.v, "chance"],
    models: principalModels(context)
  }),
  build(context, {axes}) {
    const types = shownTypes(context);
    const data = principalModels(context).flatMap((comparison, c) => types.flatMap((type, t) => {
      const site = chosenSite(context, type), axis = axes[c * types.length + t];
      return site ? principalSide(context, comparison, type, site, axis, c === 0 && t === 0) : [];
    }));
    return {data, note: "Of a matrix that has not changed there is no line."};
  }
};
