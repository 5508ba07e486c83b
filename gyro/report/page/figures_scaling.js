// Singular values: heatmaps of the scaling factors (the paper's Figures 2 and 7) and their band per layer (Figure 8).

const kRanges =
    [["auto", "fitted to the posts"], ["0.005", "± 0.5 %"], ["0.02", "± 2 %"], ["0.1", "± 10 %"], ["0.5", "± 50 %"]];

// A colour range that 98 % of the related models' factors lie in.
const fittedRange = remembered((result) => {
  const values = [];
  for (const comparison of related(result.posts.length ? result.posts : result.comparisons)) {
    for (const site of result.sites)
      for (const alpha of comparison.alpha(site)) values.push(Math.abs(alpha - 1));
  }
  const range = quantile(values, 0.98);
  return isNumber(range) && range > 0 ? Math.min(1, Number(range.toPrecision(2))) : 0.01;
});

function heatColumns(result, comparison, type) {
  const sites = result.layers.map((layer) => result.site(layer, type));
  const {n, heat: {rows}} = sites.find((site) => site);
  const columns = sites.map((site) => (site ? comparison.alpha(site) : null));
  const value = (column, r) => (column && Number.isFinite(column[r]) ? column[r] : null);
  const place = (r) => (Math.floor((r * n) / rows) + Math.floor(((r + 1) * n) / rows) + 1) / 2;
  const each = (make) => Array.from({length: rows}, (_, r) => make(r));
  return {z: each((r) => columns.map((column) => value(column, r))), y: each(place), n, rows};
}

const roleName = (comparison) => plotName(comparison) + (comparison.role === "control" ? " (control)" : "");

function svsmPanels(context) {
  const {result, narrow} = context;
  const panels = result.types.map((type) => {
    const n = result.sitesOf(type)[0].n, tickformat = n >= 1000 ? "~s" : "d";
    return {
      title: typePlot(type),
      x: {...layerTicks(result), title: axisTitle("layer"), showgrid: false},
      y: {range: [n + 0.5, 0.5], title: axisTitle("singular index"), nticks: 5, showgrid: false, tickformat},
    };
  });
  const blocks = chosen(context).map((comparison) => ({title: roleName(comparison), panels}));
  return panelLayout(context, blocks, {
    minWidth: narrow ? 120 : 105,
    maxColumns: 9,
    panelHeight: narrow ? 130 : 150,
    gap: 34,
    left: 52,
    right: narrow ? 14 : 74,
    bottom: narrow ? 112 : 46,
    columns: oneRowOrEven,
  });
}

function svsmColors({narrow}, layout, range) {
  const beside = {x: 1, xpad: 12, len: Math.min(1, 320 / layout.height), lenmode: "fraction", y: 1, yanchor: "top"};
  const below = {orientation: "h", y: 0, yanchor: "top", x: 0.5, len: 0.95, ypad: 46};
  layout.coloraxis = {
    cmin: 1 - range,
    cmax: 1 + range,
    colorscale: diverging(),
    colorbar: barOf("α", {...(narrow ? below : beside), nticks: 5, tickformat: range < 0.03 ? ".3f" : ".2f"})
  };
}

const kSvsmFigure = {
  id: "svsm",
  title: "Scaling factors of every singular value (SVSM)",
  read: "One column a layer, the largest singular value on top; the colour is σ of the model over σ of the base, " +
      "white (dark at night) where it is 1. All panels share one scale. Even colour over a panel is " +
      "uniform scaling; look whether a noise control is any less even.",
  choices: (result) =>
      [comparisonChoice(result, [["all", "all, side by side"]]),
       {key: "range", label: "Colour range", options: kRanges}],
  panels: svsmPanels,
  build(context, {layout, axes}) {
    const {result, state} = context, binned = new Set(), data = [];
    const range = state.range === "auto" ? fittedRange(result) : Number(state.range);
    svsmColors(context, layout, range);
    for (const comparison of chosen(context)) {
      for (const type of result.types) {
        const {z, y, n, rows} = heatColumns(result, comparison, type);
        if (rows < n) binned.add(`${n} indices in ${rows} rows, each the mean of a bin`);
        data.push({
          type: "heatmap",
          ...axes[data.length],
          name: plotName(comparison),
          z,
          y,
          x: layerPlaces(result),
          coloraxis: "coloraxis",
          hoverongaps: false,
          hovertemplate:
              `${typePlot(type)}, layer %{x}<br>index %{y:.0f}<br>α = %{z:.5f}<extra>%{fullData.name}</extra>`,
        });
      }
    }
    const note = binned.size ? `Binned: ${[...binned].join("; ")}. All values are in arrays.safetensors. ` :
                               "Every singular value has its own row. ";
    const ends = `Colours end at ${fixed(1 - range, 3)} and ${fixed(1 + range, 3)}; what lies beyond keeps the ` +
        "end’s colour.";
    return {data, note: note + ends};
  },
};

// Heatmap columns stand side by side, whichever layers were compared.
const contiguous = (result) => result.layers[result.layers.length - 1] - result.layers[0] === result.layers.length - 1;
const layerPlaces = (result) => (contiguous(result) ? result.layers : result.layers.map(String));
function layerTicks(result) {
  if (!contiguous(result)) return {type: "category", nticks: 8};
  const first = result.layers[0], last = result.layers[result.layers.length - 1];
  return {range: [first - 0.5, last + 0.5], dtick: niceStep(1.6 * (last - first)), tick0: 0, tickformat: "d"};
}

function bandwidthPanels(context) {
  const {result, state, narrow} = context, shown = chosen(context);
  const y = {title: axisTitle("α"), nticks: 5, tickformat: "~r"};
  const panels = result.types.map((type) => ({title: typePlot(type), x: layerAxis(context), y}));
  if (state.comparison === "overlay")
    return panelLayout(context, [{title: null, panels}], {
      minWidth: narrow ? 118 : 148,
      sharedY: true,
      left: 66,
      legend: shown.map(plotName).concat("null (mean ± std)")
    });
  return panelLayout(context, shown.map((comparison) => ({title: plotName(comparison), panels})), {
    minWidth: narrow ? 118 : 108,
    maxColumns: 9,
    panelHeight: 118,
    gap: 12,
    sharedY: true,
    left: 66,
    legend: ["mean ± std", "null (mean ± std)"],
    columns: oneRowOrEven,
  });
}

// The null's band, the model's band and its mean.
function bandwidthMarks({result, state, colors}, comparison, type, axis, {first, firstOfModel}) {
  const overlay = state.comparison === "overlay", look = lineOf(comparison), sites = result.sitesOf(type);
  const values = (key) => sites.map((site) => comparison.value(site, key));
  const x = sites.map((site) => site.layer), std = values("alpha_std"), nullStd = values("null.alpha_std");
  const nullBand = band(x, values("null.alpha_mean"), nullStd, axis, {
    fillcolor: overlay ? colors.band : colors.strongBand,
    name: "null (mean ± std)",
    legendgroup: "null",
    showlegend: first,
  });
  const legendgroup = overlay ? `c${comparison.index}` : "model";
  const modelBand = band(x, values("alpha_mean"), std, axis, {
    fillcolor: fade(look.color, overlay ? 0.14 : 0.3),
    name: plotName(comparison),
    legendgroup,
  });
  const mean = modelLine(comparison, axis, {
    x,
    y: values("alpha_mean"),
    name: overlay ? plotName(comparison) : "mean ± std",
    legendgroup,
    first: overlay ? firstOfModel : first,
    line: {color: look.color, width: 1.8, dash: look.dash},
    marker: {size: result.layers.length > 20 ? 3 : 4.5, symbol: look.symbol},
    customdata: x.map((_, i) => [std[i] ?? NaN, nullStd[i] ?? NaN]),
    hovertemplate: `${plotName(comparison)}, ${typePlot(type)}, layer %{x}<br>` +
        "α = %{y:.4f} ± %{customdata[0]:.4f}<br>null ± %{customdata[1]:.4f}<extra></extra>",
  });
  return [nullBand, modelBand, mean];
}

const kBandwidthFigure = {
  id: "bandwidth",
  title: "Scaling factors per layer: mean and spread",
  read: "Line and coloured band: mean ± std of α over the top 90 % of a layer’s singular values (the paper’s " +
      "Figure 8). Grey band: the same of a structureless change of the same size. A coloured band as wide " +
      "as the grey one is no more uniform than chance.",
  choices(result) {
    const all = related(result.comparisons).length === result.comparisons.length;
    return [comparisonChoice(
        result, [["related", all ? "all, in rows" : "related models, in rows"], ["overlay", "all, in one panel"]])];
  },
  panels: bandwidthPanels,
  build(context, {axes}) {
    const {types} = context.result, overlay = context.state.comparison === "overlay";
    const data = chosen(context).flatMap(
        (comparison, c) => types.flatMap(
            (type, t) => bandwidthMarks(
                context, comparison, type, axes[overlay ? t : c * types.length + t],
                {first: c === 0 && t === 0, firstOfModel: t === 0})));
    return {data};
  },
};
