// Singular values: heatmaps of the scaling factors (the paper's Figures 2 and 7) and their band per layer (Figure 8).

const kRanges =
    [["auto", "fitted to the posts"], ["0.005", "± 0.5 %"], ["0.02", "± 2 %"], ["0.1", "± 10 %"], ["0.5", "± 50 %"]];

// A colour range that 98 % of the related models' factors lie in.
function fittedRange(result) {
  const values = [];
  for (const comparison of related(result.posts.length ? result.posts : result.comparisons)) {
    for (const site of result.sites)
      for (const alpha of comparison.alpha(site)) values.push(Math.abs(alpha - 1));
  }
  const range = quantile(values, 0.98);
  return isNumber(range) && range > 0 ? Math.min(1, Number(range.toPrecision(2))) : 0.01;
}

function heatColumns(result, comparison, type) {
  const sites = result.layers.map((layer) => result.site(layer, type));
  const some = largestSite(sites.filter((site) => site));
  const rows = some.heat.rows;
  const columns = sites.map((site) => (site ? comparison.alpha(site) : null));
  const places = Array.from(
      {length: rows}, (_, r) => (Math.floor((r * some.n) / rows) + Math.floor(((r + 1) * some.n) / rows) + 1) / 2);
  // Layers of fewer singular values end earlier.
  const rowOf = (site, r) => (site.n === some.n ? r : Math.floor(((places[r] - 0.5) * site.heat.rows) / site.n));
  const value = (c, r) => columns[c]?.[rowOf(sites[c], r)];
  const z = Array.from(
      {length: rows}, (_, r) => columns.map((_, c) => (Number.isFinite(value(c, r)) ? value(c, r) : null)));
  return {z, y: places, n: some.n, rows};
}

const largestSite = (sites) => sites.reduce((most, site) => (site.n > most.n ? site : most));

function svsmFigure(result) {
  const fitted = lazily(() => fittedRange(result));
  const blocksOf = (context) => {
    const shown = context.state.comparison === "all" ? result.comparisons :
                                                       [result.comparisons[Number(context.state.comparison)]];
    const panels = result.types.map((type) => {
      const n = largestSite(result.sitesOf(type)).n;
      return {
        title: typePlot(type),
        type,
        x: {...layerTicks(result), title: axisTitle("layer"), showgrid: false},
        y: {
          range: [n + 0.5, 0.5],
          title: axisTitle("singular index"),
          nticks: 5,
          showgrid: false,
          tickformat: n >= 1000 ? "~s" : "d"
        },
      };
    });
    return shown.map(
        (comparison) =>
            ({title: plotName(comparison) + (comparison.role === "control" ? " (control)" : ""), comparison, panels}));
  };
  const layoutOf = (context) => panelLayout(context, blocksOf(context), {
    minWidth: context.narrow ? 120 : 105,
    maxColumns: 9,
    panelHeight: context.narrow ? 130 : 150,
    gap: 34,
    left: 52,
    right: context.narrow ? 14 : 74,
    bottom: context.narrow ? 112 : 46,
    columns: (fit, most) => (fit >= most ? most : evenColumns(Math.min(fit, 4), most)),
  });
  return {
    id: "svsm",
    title: "Scaling factors of every singular value (SVSM)",
    read:
        "One column a layer, the largest singular value on top; the colour is σ of the model over σ of the base, " +
        "white (dark at night) where it is 1. All panels share one scale. Even colour over a panel is " +
        "uniform scaling; look whether a noise control is any less even.",
    choices: [
      {...comparisonChoice(result, [["all", "all, side by side"]])},
      {key: "range", label: "Colour range", options: kRanges}
    ],
    height: (context) => layoutOf(context).height,
    build(context) {
      const blocks = blocksOf(context);
      const {layout, axes} = layoutOf(context);
      const range = context.state.range === "auto" ? fitted() : Number(context.state.range);
      const bar =
          context.narrow ? {orientation: "h", y: 0, yanchor: "top", x: 0.5, len: 0.95, thickness: 12, ypad: 46} : {
            x: 1,
            xpad: 12,
            thickness: 12,
            len: Math.min(1, 320 / layout.height),
            lenmode: "fraction",
            y: 1,
            yanchor: "top"
          };
      layout.coloraxis = {
        cmin: 1 - range,
        cmax: 1 + range,
        colorscale: diverging(),
        colorbar: {
          ...bar,
          title: {text: "α", side: "top"},
          outlinewidth: 0,
          tickfont: {size: 10.5},
          nticks: 5,
          tickformat: range < 0.03 ? ".3f" : ".2f"
        },
      };
      let at = 0;
      const data = [], binned = new Set();
      for (const {comparison, panels} of blocks) {
        for (const panel of panels) {
          const {z, y, n, rows} = heatColumns(result, comparison, panel.type);
          if (rows < n) binned.add(`${n} indices in ${rows} rows, each the mean of a bin`);
          data.push({
            type: "heatmap",
            ...axes[at++],
            name: plotName(comparison),
            z,
            y,
            x: layerPlaces(result),
            coloraxis: "coloraxis",
            hoverongaps: false,
            customdata: undefined,
            hovertemplate:
                `${typePlot(panel.type)}, layer %{x}<br>index %{y:.0f}<br>α = %{z:.5f}<extra>%{fullData.name}</extra>`,
          });
        }
      }
      const note = binned.size ? `Binned: ${[...binned].join("; ")}. All values are in arrays.safetensors. ` :
                                 "Every singular value has its own row. ";
      return {
        data,
        layout,
        note: note +
            `Colours end at ${fixed(1 - range, 3)} and ${fixed(1 + range, 3)}; what lies beyond keeps the end’s colour.`
      };
    },
  };
}

// Heatmap columns stand side by side, whichever layers were compared.
const contiguous = (result) => result.layers[result.layers.length - 1] - result.layers[0] === result.layers.length - 1;
const layerPlaces = (result) => (contiguous(result) ? result.layers : result.layers.map(String));
function layerTicks(result) {
  if (!contiguous(result)) return {type: "category", nticks: 8};
  const first = result.layers[0], last = result.layers[result.layers.length - 1];
  return {range: [first - 0.5, last + 0.5], dtick: niceStep(1.6 * (last - first)), tick0: 0, tickformat: "d"};
}

function band(x, mean, std, axis, look) {
  const low = mean.map((m, i) => (isNumber(m) && isNumber(std[i]) ? m - std[i] : null));
  const high = mean.map((m, i) => (isNumber(m) && isNumber(std[i]) ? m + std[i] : null));
  const known = x.map((_, i) => i).filter((i) => low[i] !== null);
  const places = known.map((i) => x[i]);
  if (known.length === 1) {  // one layer: a band as wide as a mark
    known.push(known[0]);
    places.splice(0, 1, places[0] - 0.2, places[0] + 0.2);
  }
  const back = [...known].reverse();
  return {
    type: "scatter",
    mode: "lines",
    ...axis,
    x: [...places, ...[...places].reverse()],
    y: [...known.map((i) => high[i]), ...back.map((i) => low[i])],
    fill: "toself",
    line: {width: 0},
    hoverinfo: "skip",
    showlegend: false,
    ...look,
  };
}

function bandwidthFigure(result) {
  const some = related(result.comparisons);
  const more = [
    ["rows", some.length < result.comparisons.length ? "related models, in rows" : "all, in rows"],
    ["overlay", "all, in one panel"]
  ];
  const shownIn = (context) => {
    const which = context.state.comparison;
    return which === "overlay" ? result.comparisons : which === "rows" ? some : [result.comparisons[Number(which)]];
  };
  const panels = (context) => {
    const overlay = context.state.comparison === "overlay", shown = shownIn(context);
    const one = () => result.types.map((type) => ({
                                         title: typePlot(type),
                                         x: layerAxis(result, context),
                                         y: {title: axisTitle("α"), nticks: 5, tickformat: "~r"}
                                       }));
    if (overlay)
      return panelLayout(context, [{title: null, panels: one()}], {
        minWidth: context.narrow ? 118 : 148,
        sharedY: true,
        left: 66,
        legend: shown.map(plotName).concat("null (mean ± std)")
      });
    return panelLayout(context, shown.map((comparison) => ({title: plotName(comparison), panels: one()})), {
      minWidth: context.narrow ? 118 : 108,
      maxColumns: 9,
      panelHeight: 118,
      gap: 12,
      sharedY: true,
      left: 66,
      legend: ["mean ± std", "null (mean ± std)"],
      columns: (fit, most) => (fit >= most ? most : evenColumns(Math.min(fit, 4), most)),
    });
  };
  return {
    id: "bandwidth",
    title: "Scaling factors per layer: mean and spread",
    read:
        "Line and coloured band: mean ± std of α over the top 90 % of a layer’s singular values (the paper’s " +
        "Figure 8). Grey band: the same of a structureless change of the same size. A coloured band as wide " +
        "as the grey one is no more uniform than chance.",
    choices: [comparisonChoice(result, more)],
    height: (context) => panels(context).height,
    build(context) {
      const {layout, axes} = panels(context);
      const overlay = context.state.comparison === "overlay", data = [];
      shownIn(context).forEach((comparison, c) => {
        const look = lineOf(comparison), legendgroup = overlay ? `c${comparison.index}` : "model";
        result.types.forEach((type, t) => {
          const axis = axes[overlay ? t : c * result.types.length + t];
          const values = (key) => layerLine(result, type, (site) => comparison.value(site, key)).y;
          const x = result.sitesOf(type).map((site) => site.layer), mean = values("alpha_mean"),
                std = values("alpha_std");
          const nullStd = values("null.alpha_std");
          const first = c === 0 && t === 0;
          data.push(band(x, values("null.alpha_mean"), nullStd, axis, {
            fillcolor: overlay ? context.colors.band : context.colors.strongBand,
            name: "null (mean ± std)",
            legendgroup: "null",
            showlegend: first,
            meta: {helper: true}
          }));
          data.push(band(x, mean, std, axis, {
            fillcolor: fade(look.color, overlay ? 0.14 : 0.3),
            name: plotName(comparison),
            legendgroup,
            meta: {helper: true}
          }));
          data.push({
            type: "scatter",
            mode: "lines+markers",
            ...axis,
            x,
            y: mean,
            name: overlay ? plotName(comparison) : "mean ± std",
            legendgroup,
            showlegend: overlay ? t === 0 : first,
            line: {color: look.color, width: 1.8, dash: look.dash},
            marker: {size: result.layers.length > 20 ? 3 : 4.5, symbol: look.symbol},
            customdata: x.map((_, i) => [std[i] ?? NaN, nullStd[i] ?? NaN]),
            hovertemplate: `${plotName(comparison)}, ${typePlot(type)}, layer %{x}<br>` +
                "α = %{y:.4f} ± %{customdata[0]:.4f}<br>null ± %{customdata[1]:.4f}<extra></extra>",
          });
        });
      });
      return {data, layout};
    },
  };
}
