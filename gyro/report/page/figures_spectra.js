// Curves over singular indices: spectra, and how far each direction turned.

const curveNote = (result) => {
  const binned = [...new Set(result.sites.filter((site) => site.curve.points < site.n)
                                 .map((site) => `${site.n} values in ${site.curve.points} points`))];
  return binned.length ?
      `Binned, log-spaced: ${binned.join("; ")}, each the mean of a bin; all values are in arrays.safetensors.` :
      "Every singular value is drawn.";
};

const chosenSite = ({result, state}, type) => result.site(Number(state.layer), type);

const ratioTo = (base, sigma) => sigma.map((s, i) => (base[i] > 0 ? s / base[i] : null));

// The middle 98 % of the ratios, the first eight values whatever they are, and the null's band.
function ratioSpan(context, site) {
  const base = Array.from(context.result.baseSigma(site));
  const curves = shownModels(context).map((comparison) => ratioTo(base, Array.from(comparison.sigma(site))));
  const nulls = withoutNoise(shownModels(context)).flatMap((comparison) => {
    const mean = comparison.value(site, "null.alpha_mean"), std = comparison.value(site, "null.alpha_std");
    return isNumber(mean) && isNumber(std) ? [mean - std, mean + std] : [];
  });
  const values = curves.flat().filter(isNumber);
  const kept = [...curves.flatMap((curve) => curve.slice(0, 8)).filter(isNumber), ...nulls];
  const low = Math.min(quantile(values, 0.01), ...kept), high = Math.max(quantile(values, 0.99), ...kept);
  const room = 0.06 * (high - low) || 0.01;
  return Number.isFinite(low) && Number.isFinite(high) ? [low - room, high + room] : undefined;
}

function spectraPanels(context) {
  const {result, state, narrow} = context, ratio = state.measure === "alpha";
  const y = (type) => {
    const site = chosenSite(context, type);
    if (!site || !ratio) return site ? logAxis([...result.baseSigma(site)], axisTitle("σ")) : {};
    return {title: axisTitle("σ / σ of base"), nticks: 5, range: ratioSpan(context, site)};
  };
  const names = shownModels(context).map((comparison) => plotName(comparison));
  return typePanels(
      context, {
        x: indexAxis(),
        legend: ratio ? [...names, "null of each (mean ± std)"] : [plotText(result.base.name), ...names],
        gap: 46,
        minWidth: narrow ? 110 : 124,
        ...(shownTypes(context).length > 1 ? {panelHeight: narrow ? 140 : 185} : {})
      },
      (type) => ({y: y(type)}));
}

function spectraLines(context, type, site, axis, first) {
  const {result, state, colors} = context, ratio = state.measure === "alpha", x = site.curve.places;
  const base = Array.from(result.baseSigma(site));
  const hovertemplate = `${typePlot(type)}, index %{x:.0f}<br>${
      ratio ? "ratio %{y:.4f}" : "σ = %{y:.5g}"}<extra>%{fullData.name}</extra>`;
  const lines = drawOrder(shownModels(context)).map((comparison) => {
    const sigma = Array.from(comparison.sigma(site)), {color, dash} = lineOf(comparison);
    const y = ratio ? ratioTo(base, sigma) : sigma;
    const line = {color, width: comparison.role === "post" ? 1.7 : 1.2, dash};
    return modelLine(comparison, axis, {x, y, first, mode: "lines", line, hovertemplate});
  });
  if (ratio) return [...spectraNulls(context, site, axis, first), ...lines];
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

// What a structureless change gives: the null's mean ± std, over the principal values that it is taken over.
function spectraNulls(context, site, axis, first) {
  const last = Math.max(site.k, site.curve.places[0] + 0.5);
  return withoutNoise(shownModels(context)).map((comparison, c) => {
    const mean = comparison.value(site, "null.alpha_mean"), std = comparison.value(site, "null.alpha_std");
    return band([0.9, last], [mean, mean], [std, std], axis, {
      fillcolor: fade(lineOf(comparison).color, 0.22),
      name: "null of each (mean ± std)",
      legendgroup: "null",
      showlegend: first && c === 0
    });
  });
}

const kSpectraFigure = {
  id: "spectra",
  title: "Spectra of one layer",
  read: "Singular values of the models over the base’s, against their index: a level line is uniform scaling. Bands: " +
      "what a structureless change of each model’s size gives over the top 90 %. The axis leaves out the outermost " +
      "2 % of the values.",
  uses: ["model", "type", "layer"],
  choices: () => [{key: "measure", label: "Show", options: [["alpha", "ratio to base"], ["sigma", "σ"]]}],
  panels: spectraPanels,
  build(context, {axes}) {
    const data = shownTypes(context).flatMap((type, t) => {
      const site = chosenSite(context, type);
      return site ? spectraLines(context, type, site, axes[t], t === 0) : [];
    });
    return {data, note: curveNote(context.result)};
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
const turnModels = (context) => withoutNoise(shownModels(context));

function turnRange(context) {
  const values = turnModels(context).flatMap((comparison) => shownTypes(context).flatMap((type) => {
    const site = chosenSite(context, type);
    if (!site) return [];
    const curves = [
      comparison.turnU(site), comparison.turnV(site), comparison.turnNull(site, "u"), comparison.turnNull(site, "v")
    ];
    return curves.flatMap((curve) => pooled(context, site, curve).y.filter((x) => x > 0));
  }));
  const low = Math.max(1e-14, Math.min(1e-2, ...values));
  return {range: [Math.log10(low) - 0.1, 0.2], ...decades(low, 1)};
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

const detailNote = ({state, result}) =>
    state.detail === "all" ? curveNote(result) : "Means of about 40 log-spaced bins.";
function turnNote(context) {
  const without = turnModels(context).filter((comparison) => !shownTypes(context).some((type) => {
    const site = chosenSite(context, type);
    return site && comparison.value(site, "null.valid") === true;
  }));
  const missing = without.map((comparison) => comparison.name).join(", ");
  const detail = detailNote(context);
  const how =
      "The null is first order in each pair of directions and saturates at one half where noise mixes the pair " +
      "wholly. ";
  return how + (missing ? `None for ${missing}: for so large a change first order does not hold. ` : "") + detail;
}

const kTurnDetail = {
  key: "detail",
  label: "Detail",
  options: [["pooled", "means of bins"], ["all", "every point"]]
};
const kTurnFigure = {
  id: "turn",
  title: "How far each singular direction turned",
  read: "1 − (u of base · u of model)² against the singular index: 0 is not at all, 1 a quarter turn. The " +
      "paper’s App. F sees the top directions turn least; so does a structureless change (grey), because " +
      "their singular values lie far apart. What counts is the distance to the grey line.",
  uses: ["model", "type", "layer"],
  choices: () => [kTurnDetail],
  panels: (context) => typePanels(context, {
    x: indexAxis(),
    y: {type: "log", title: axisTitle("turn"), ...turnRange(context)},
    sharedY: true,
    legend: Object.values(kTurnNames),
    models: turnModels(context)
  }),
  build(context, {axes}) {
    const types = shownTypes(context), line = {color: context.colors.null, width: 3.2};
    const data = turnModels(context).flatMap((comparison, c) => types.flatMap((type, t) => {
      const site = chosenSite(context, type), axis = axes[c * types.length + t];
      if (!site) return [];
      return [
        ...turnNulls(context, comparison, type, site, axis),
        ...turnSides(context, comparison, type, site, axis, c === 0 && t === 0)
      ];
    }));
    return {data: [legendMark(axes[0], kTurnNames.null, "null", {line}), ...data], note: turnNote(context)};
  },
};

// Rows of a heatmap of turns: every point of the curves, or about 40 log-spaced bins of them, [first point, end).
function turnBins({state}, {curve: {edges, points}, n}) {
  if (state.detail === "all") return Array.from({length: points}, (_, i) => [i, i + 1]);
  const step = Math.log(n + 1) / kPooled, bins = [];
  let last = null;
  for (let i = 0; i < points; ++i) {
    const number = Math.floor(Math.log((edges[i] + edges[i + 1] + 1) / 2) / step);
    if (number === last) {
      bins[bins.length - 1][1] = i + 1;
    } else {
      bins.push([i, i + 1]);
    }
    last = number;
  }
  return bins;
}

// A layer's turn in each bin, or how many times the null's it is: decimal logarithms of ratios of means. A layer of
// fewer singular values than `tallest` ends earlier.
function turnColumn(context, comparison, site, tallest, bins) {
  const {side, values} = context.state, {edges} = site.curve;
  const turn = comparison[side === "u" ? "turnU" : "turnV"](site), chance = comparison.turnNull(site, side);
  const mean = (of, low, high) => {
    let sum = 0, weight = 0;
    for (let i = 0; i < of.length; ++i) {
      const middle = (edges[i] + edges[i + 1]) / 2;
      if (middle <= low || middle > high || !Number.isFinite(of[i])) continue;
      sum += (edges[i + 1] - edges[i]) * of[i];
      weight += edges[i + 1] - edges[i];
    }
    return weight ? sum / weight : NaN;
  };
  return bins.map(([first, end]) => {
    const low = tallest.curve.edges[first], high = tallest.curve.edges[end], value = mean(turn, low, high);
    const shown = values === "turn" ? value : value / mean(chance, low, high);
    return shown > 0 && Number.isFinite(shown) ? Math.log10(shown) : null;
  });
}

function turnHeat(context, comparison, type, axis) {
  const {result} = comparison, sites = result.layers.map((layer) => result.site(layer, type));
  const tallest = largestSite(sites.filter((site) => site)), {edges} = tallest.curve;
  const bins = turnBins(context, tallest), over = context.state.values !== "turn";
  const columns = sites.map((site) => site && turnColumn(context, comparison, site, tallest, bins));
  const z = bins.map((_, r) => columns.map((column) => column?.[r] ?? null));
  const place = ([first, end]) =>
      edges[end] - edges[first] === 1 ? `index ${edges[end]}` : `indices ${edges[first] + 1} to ${edges[end]}`;
  return {
    type: "heatmap",
    ...axis,
    name: plotName(comparison),
    x: layerPlaces(result),
    y: [0.5, ...bins.map(([, end]) => edges[end] + 0.5)],
    z,
    text: z.map(
        (row, r) => row.map(
            (value) =>
                `${place(bins[r])}<br>${over ? "×" : "turn "}${isNumber(value) ? significant(10 ** value) : kDash}`)),
    coloraxis: "coloraxis",
    hoverongaps: false,
    hovertemplate: `${typePlot(type)}, layer %{x}<br>%{text}${over ? " the null’s turn" : ""}` +
        "<extra>%{fullData.name}</extra>"
  };
}

function turnMapPanel(context, comparison, type) {
  const {result} = comparison;
  if (!result.types.includes(type)) return emptyPanel(typePlot(type));
  const {n} = largestSite(result.sitesOf(type)), range = [Math.log10(n + 0.5), Math.log10(0.5)];
  return {
    title: typePlot(type),
    x: {...layerTicks(context, result), title: axisTitle("layer"), showgrid: false},
    y: {type: "log", range, dtick: 1, title: axisTitle("singular index"), showgrid: false}
  };
}

// Colours about the null, or from the least turn to a quarter turn.
function turnColors(context, layout, data) {
  const known = data.flatMap(({z}) => z.flat()).filter(isNumber), over = context.state.values !== "turn";
  const range = Math.max(0.05, quantile(known.map(Math.abs), 0.98) || 0);
  const low = over ? -range : Math.min(-0.5, quantile(known, 0.02) || -1), high = over ? range : 0;
  const ends = [low, (low + high) / 2, high], mark = over ? "×" : "";
  layout.coloraxis = {
    colorscale: over ? diverging() : kCividis,
    cmin: low,
    cmax: high,
    colorbar: lyingBar(
        over ? "turn / null’s" : "turn",
        {len: 0.6, tickvals: ends, ticktext: ends.map((end) => mark + significant(10 ** end, 2))})
  };
}

const kTurnMapFigure = {
  id: "turn-map",
  title: "Turn by layer and singular index",
  read: "One column a layer, the largest singular value on top, as in the heatmaps of α: 1 − (u of base · u of " +
      "model)², over what a structureless change of the same size turns that direction by. Blue turned less than " +
      "chance, orange more. Empty: no null, for first order does not hold, or nothing turned.",
  uses: ["model", "type"],
  choices: () =>
      [{key: "values", label: "Values", options: [["over", "multiples of the null"], ["turn", "turn"]]},
       {key: "side", label: "Side", options: [["u", kTurnNames.u], ["v", kTurnNames.v]]}, kTurnDetail],
  panels(context) {
    const {narrow} = context, types = shownTypes(context), models = svsmModels(context), few = models.length < 3;
    const blocks = models.map(
        (comparison) =>
            ({title: roleName(comparison), panels: types.map((type) => turnMapPanel(context, comparison, type))}));
    return panelLayout(context, blocks, {
      minWidth: narrow ? 120 : 105,
      maxColumns: 9,
      panelHeight: types.length === 1 ? 320 :
          narrow                      ? 130 :
          few                         ? 200 :
                                        150,
      gap: 34,
      left: 52,
      bottom: 108,
      columns: (fit, most) => (few && fit < 9 && most > 4 ? Math.min(fit, 4) : oneRowOrEven(fit, most))
    });
  },
  build(context, {layout, axes}) {
    const types = shownTypes(context);
    const data = svsmModels(context).flatMap(
        (comparison, c) => types.flatMap(
            (type, t) => comparison.result.types.includes(type) ?
                [turnHeat(context, comparison, type, axes[c * types.length + t])] :
                []));
    turnColors(context, layout, data);
    return {data, note: detailNote(context)};
  }
};
