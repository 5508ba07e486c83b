// Curves over singular indices: spectra, and how far each direction turned.

const curveNote = (result) => {
  const binned = [...new Set(result.sites.filter((site) => site.curve.points < site.n)
                                 .map((site) => `${site.n} values in ${site.curve.points} points`))];
  return binned.length ?
      `Binned, log-spaced: ${binned.join("; ")}, each the mean of a bin; all values are in arrays.safetensors.` :
      "Every singular value is drawn.";
};

const chosenSite = ({result, state}, type) => result.site(Number(state.layer), type);

function spectraPanels(context) {
  const {result, state, narrow} = context, ratio = state.measure === "alpha";
  const y = (type) => {
    const site = chosenSite(context, type);
    return ratio || !site ? {title: axisTitle("σ / σ of base"), nticks: 5} :
                            logAxis([...result.baseSigma(site)], axisTitle("σ"));
  };
  const panels = result.types.map((type) => ({title: typePlot(type), x: indexAxis(), y: y(type)}));
  return panelLayout(context, [{title: null, panels}], {
    minWidth: narrow ? 110 : 124,
    legend: (ratio ? [] : [plotText(result.base.name)]).concat(result.comparisons.map(plotName)),
    gap: 46,
    panelHeight: narrow ? 140 : 185
  });
}

function spectraLines({result, state, colors}, type, site, axis, first) {
  const ratio = state.measure === "alpha", x = site.curve.places, base = Array.from(result.baseSigma(site));
  const hovertemplate = `${typePlot(type)}, index %{x:.0f}<br>${
      ratio ? "ratio %{y:.4f}" : "σ = %{y:.5g}"}<extra>%{fullData.name}</extra>`;
  const lines = result.comparisons.map((comparison) => {
    const sigma = Array.from(comparison.sigma(site)), {color, dash} = lineOf(comparison);
    const y = ratio ? sigma.map((s, i) => (base[i] > 0 ? s / base[i] : null)) : sigma;
    return modelLine(comparison, axis, {x, y, first, mode: "lines", line: {color, width: 1.5, dash}, hovertemplate});
  });
  if (ratio) return lines;
  const baseLine = plainLine(axis, {
    x,
    y: base,
    name: plotText(result.base.name),
    group: "base",
    first,
    line: {color: colors.null, width: 5},
    opacity: 0.55,
    hovertemplate
  });
  return [baseLine, ...lines];
}

const kSpectraFigure = {
  id: "spectra",
  title: "Spectra of base and post",
  read: "Singular values against their index, both logarithmic. The curves of a model that only scales lie " +
      "parallel; the ratio shows the difference that the spectra are too alike to show.",
  choices: (result) =>
      [layerChoice(result), {key: "measure", label: "Show", options: [["sigma", "σ"], ["alpha", "ratio to base"]]}],
  panels: spectraPanels,
  build(context, {axes}) {
    const {result} = context;
    const data = result.types.flatMap((type, t) => {
      const site = chosenSite(context, type);
      return site ? spectraLines(context, type, site, axes[t], t === 0) : [];
    });
    return {data, note: curveNote(result)};
  },
};

// Single turns scatter: means of log-spaced bins show their course. Points that are means already are weighted.
const kPooled = 40;
function pooled(context, site, values) {
  const {points, edges, places} = site.curve;
  const positive = (value) => (value > 0 ? value : null);
  if (context.state.detail === "all") return {x: places, y: Array.from(values, positive)};
  const step = Math.log(site.n + 1) / kPooled;
  const bins = new Map();
  for (let i = 0; i < points; ++i) {
    if (!Number.isFinite(values[i])) continue;
    const number = Math.floor(Math.log((edges[i] + edges[i + 1] + 1) / 2) / step), weight = edges[i + 1] - edges[i];
    const bin = bins.get(number) ?? {sum: 0, weight: 0, first: edges[i] + 1, last: 0};
    bin.sum += weight * values[i];
    bin.weight += weight;
    bin.last = edges[i + 1];
    bins.set(number, bin);
  }
  const all = [...bins.values()];
  return {x: all.map((bin) => Math.sqrt(bin.first * bin.last)), y: all.map((bin) => positive(bin.sum / bin.weight))};
}

const kTurnNames = {
  u: "input side (U)",
  v: "output side (V)",
  null: "null, first order"
};

function turnRange(context) {
  const comparison = chosenOne(context);
  const values = context.result.types.flatMap((type) => {
    const site = chosenSite(context, type);
    if (!site) return [];
    const curves = [
      comparison.turnU(site), comparison.turnV(site), comparison.turnNull(site, "u"), comparison.turnNull(site, "v")
    ];
    return curves.flatMap((curve) => pooled(context, site, curve).y.filter((x) => x > 0));
  });
  return [Math.max(-14, Math.log10(Math.min(1e-2, ...values)) - 0.1), 0.2];
}

function turnNulls(context, comparison, type, site, axis) {
  const square = site.d_in === site.d_out, long = site.d_in >= site.d_out ? "u" : "v";
  const lines = (square ? ["u"] : [
                  "u", "v"
                ]).map((side) => plainLine(axis, {
                         ...pooled(context, site, comparison.turnNull(site, side)),
                         name: kTurnNames.null,
                         group: "null",
                         line: {color: context.colors.null, width: side === long && !square ? 1.5 : 3.2},
                         hovertemplate: `${typePlot(type)}, index %{x:.0f}<br>null ${side}: %{y:.2e}<extra></extra>`
                       }));
  return lines.filter(({y}) => y.some((value) => value !== null));
}

function turnSides(context, comparison, type, site, axis, first) {
  const sides = [["u", comparison.turnU(site), "solid"], ["v", comparison.turnV(site), "dot"]];
  return sides.map(([side, values, dash], i) => plainLine(axis, {
                     ...pooled(context, site, values),
                     name: kTurnNames[side],
                     group: side,
                     first,
                     line: {color: context.colors.lines[i], width: 1.7, dash},
                     hovertemplate: `${typePlot(type)}, index %{x:.0f}<br>turn of ${side}: %{y:.3g}<extra></extra>`
                   }));
}

function turnNote(context, comparison) {
  const holds = context.result.types.some((type) => {
    const site = chosenSite(context, type);
    return site && comparison.value(site, "null.valid") === true;
  });
  const how = holds ?
      "The null is first order in each pair of directions and saturates at one half where noise mixes the " +
          "pair wholly." :
      "No null is drawn: for a change as large as this, first order does not hold.";
  return `${how} ${curveNote(context.result)}`;
}

const kTurnFigure = {
  id: "turn",
  title: "How far each singular direction turned",
  read: "1 − (u of base · u of model)² against the singular index: 0 is not at all, 1 a quarter turn. The " +
      "paper’s App. F sees the top directions turn least; so does a structureless change (grey), because " +
      "their singular values lie far apart. What counts is the distance to the grey line.",
  choices: (result) =>
      [comparisonChoice(result), layerChoice(result),
       {key: "detail", label: "Detail", options: [["pooled", "means of about 40 bins"], ["all", "every point"]]}],
  panels: (context) => typePanels(context, {
    x: indexAxis(),
    y: {type: "log", title: axisTitle("turn"), exponentformat: "power", dtick: 1, range: turnRange(context)},
    sharedY: true,
    legend: Object.values(kTurnNames),
    panelHeight: context.narrow ? 140 : 185,
  }),
  build(context, {axes}) {
    const comparison = chosenOne(context), line = {color: context.colors.null, width: 3.2};
    const data = context.result.types.flatMap((type, t) => {
      const site = chosenSite(context, type);
      if (!site) return [];
      return [
        ...turnNulls(context, comparison, type, site, axes[t]),
        ...turnSides(context, comparison, type, site, axes[t], t === 0)
      ];
    });
    return {data: [legendMark(axes[0], kTurnNames.null, "null", {line}), ...data], note: turnNote(context, comparison)};
  },
};
