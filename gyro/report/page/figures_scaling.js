// Singular values: heatmaps of the scaling factors (the paper's Figures 2 and 7) and their band per layer (Figure 8).

// Of a type's pooled α.
const meanOf = (comparison, type) => comparison.type(type, "alpha_mean");

// What a heatmap's cell shows: α, or how far it is from its panel's mean.
function heatValue({state}, comparison, type) {
  const mean = meanOf(comparison, type);
  return state.values === "alpha" || !(mean > 0) ? (alpha) => alpha : (alpha) => 100 * (alpha / mean - 1);
}
const isRelative = ({state}) => state.values !== "alpha";

function heatColumns(context, comparison, type) {
  const {result} = comparison, sites = result.layers.map((layer) => result.site(layer, type));
  const {n, heat: {rows}} = largestSite(sites.filter((site) => site));
  const columns = sites.map((site) => (site ? comparison.alpha(site) : null));
  const shown = heatValue(context, comparison, type);
  // A row of a coarser heatmap is the middle one of its bin; layers of fewer singular values end earlier.
  const place = (r) => Math.floor((Math.floor((r * n) / rows) + Math.floor(((r + 1) * n) / rows) - 1) / 2) + 1;
  const rowOf = (site, r) => (site.n === n ? r : Math.floor(((place(r) - 0.5) * site.heat.rows) / site.n));
  const value = (c, r) => columns[c]?.[rowOf(sites[c], r)];
  const cell = (c, r) => (Number.isFinite(value(c, r)) ? shown(value(c, r)) : null);
  const each = (make) => Array.from({length: rows}, (_, r) => make(r));
  return {z: each((r) => columns.map((_, c) => cell(c, r))), y: each(place), n, rows};
}
const largestSite = (sites) => sites.reduce((most, site) => (site.n > most.n ? site : most));

const roleName = (comparison) =>
    plotName(comparison, 60) + (comparison.role === "control" && !comparison.imitates ? " (control)" : "");

// A colour range that 98 % of a model's cells lie in, never so narrow that a panel is saturated.
function heatRange(context, comparisons) {
  const {state} = context, middle = isRelative(context) ? 0 : 1;
  if (state.range !== "own") return Number(state.range) * (isRelative(context) ? 100 : 1);
  const values = comparisons.flatMap(
      (comparison) => shownTypes(context).filter((type) => comparison.result.types.includes(type)).flatMap((type) => {
        const shown = heatValue(context, comparison, type);
        return comparison.result.sitesOf(type).flatMap(
            (site) => Array.from(comparison.alpha(site), (alpha) => Math.abs(shown(alpha) - middle)));
      }));
  const range = quantile(values, 0.98);
  return isNumber(range) && range > 0 ? Number(range.toPrecision(2)) : 0.01;
}

// A post and its noise share a range, so that one can be held against the other.
const sameRange =
    (comparison) => [comparison.imitates ?? comparison, (comparison.imitates ?? comparison).noise].filter(Boolean);

function spreadText(comparison, type) {
  const mean = meanOf(comparison, type), std = comparison.type(type, "alpha_std");
  const chance = comparison.types.get(type)?.null;
  const spread = (of, by) => (isNumber(of) && by > 0 ? share(of / by) : kDash);
  return `${fixed(mean, 4)} ± ${spread(std, mean)}<br>null ± ${spread(chance?.alpha_std, chance?.alpha_mean)}`;
}

// Heatmap columns stand side by side, whichever layers were compared.
const contiguous = ({layers}) => layers[layers.length - 1] - layers[0] === layers.length - 1;
const layerPlaces = (result) => (contiguous(result) ? result.layers : result.layers.map(String));
function layerTicks(context, result) {
  if (!contiguous(result)) return {type: "category", nticks: 8};
  const {layers} = result;
  return {range: [layers[0] - 0.5, layers[layers.length - 1] + 0.5], ...layerTickValues({narrow: true}, layers)};
}

function svsmPanel(context, comparison, type) {
  const {result} = comparison;
  if (!result.types.includes(type)) return emptyPanel(typePlot(type));
  const {n} = largestSite(result.sitesOf(type)), tickformat = n >= 1000 ? "~s" : "d";
  return {
    title: typePlot(type),
    sub: context.narrow ? undefined : spreadText(comparison, type),
    x: {...layerTicks(context, result), title: axisTitle("layer"), showgrid: false},
    y: {range: [n + 0.5, 0.5], title: axisTitle("singular index"), nticks: 5, showgrid: false, tickformat},
  };
}
const emptyPanel = (title) => ({title, x: {visible: false}, y: {visible: false}});

const svsmModels = (context) => shownModels(context, (all) => all);

function svsmPanels(context) {
  const {narrow} = context, types = shownTypes(context), models = svsmModels(context), few = models.length < 3;
  const blocks = models.map(
      (comparison) =>
          ({title: roleName(comparison), panels: types.map((type) => svsmPanel(context, comparison, type))}));
  return panelLayout(context, blocks, {
    minWidth: narrow ? 120 : 105,
    maxColumns: 9,
    panelHeight: types.length === 1 ? 320 :
        narrow                      ? 130 :
        few                         ? 230 :
                                      150,
    gap: 34,
    left: 52,
    right: narrow ? 14 : 74,
    bottom: narrow ? 40 + 52 * svsmBars(context).length : 42,
    columns: (fit, most) => (few && fit < 9 && most > 4 ? Math.min(fit, 4) : oneRowOrEven(fit, most)),
  });
}

// The colour axes: [{range, models}], one for each post with its noise, and for each other control.
function svsmBars(context) {
  const models = svsmModels(context);
  if (context.state.range !== "own") return [{range: heatRange(context, models), models}];
  const bars = [];
  for (const comparison of models) {
    const known = bars.find((bar) => bar.models.some((other) => sameRange(other).includes(comparison)));
    if (known) {
      known.models.push(comparison);
    } else {
      bars.push({range: heatRange(context, sameRange(comparison)), models: [comparison]});
    }
  }
  return bars;
}

// Beside the rows that it is for; below all of them on a narrow window.
function svsmColorBar(context, layout, axis, {range, models}, b) {
  const relative = isRelative(context), middle = relative ? 0 : 1, top = layout[`yaxis${axis.slice(1)}`].domain[1];
  const beside = {x: 1, xpad: 12, len: 120, lenmode: "pixels", y: top, yanchor: "top"};
  const below = {orientation: "h", yref: "container", y: 0, yanchor: "bottom", x: 0.5, len: 0.9, ypad: 6 + 52 * b};
  const text = (value) => (relative ? significant(value, 2) + " %" : fixed(value, range < 0.03 ? 3 : 2));
  const ends = [middle - range, middle, middle + range];
  const name = context.narrow ? models.map((comparison) => plotName(comparison, 18)).join(", ") : relative ? "" : "α";
  return {
    cmin: middle - range,
    cmax: middle + range,
    colorscale: diverging(),
    colorbar: barOf(name, {...(context.narrow ? below : beside), tickvals: ends, ticktext: ends.map(text)})
  };
}

function svsmHeat(context, comparison, type, axis, coloraxis) {
  const {z, y} = heatColumns(context, comparison, type), relative = isRelative(context);
  const value = relative ? "%{z:+.3f} % of the panel’s mean" : "α = %{z:.5f}";
  return {
    type: "heatmap",
    ...axis,
    name: plotName(comparison),
    z,
    y,
    x: layerPlaces(comparison.result),
    coloraxis,
    hoverongaps: false,
    hovertemplate: `${typePlot(type)}, layer %{x}<br>index %{y:.0f}<br>${value}<extra>%{fullData.name}</extra>`
  };
}

function svsmNote(context, bars) {
  const sites = context.result.comparisons[0].result.sites;
  const coarse =
      [...new Set(sites.filter((site) => site.heat.rows < site.n).map((site) => `${site.heat.rows} of ${site.n}`))];
  const drawn = coarse.length ? `Drawn are ${coarse.join("; ")} singular values, evenly taken; all are in ` +
          "arrays.safetensors. " :
                                "";
  const own = context.state.range === "own" && bars.length > 1;
  return drawn + (own ? "Each post and its noise have one range of colours: the bar beside them. " : "") +
      "What lies beyond the bar’s ends, at most 2 % of a fitted range, has the end’s colour.";
}

const kSvsmFigure = {
  id: "svsm",
  title: "Scaling factors of every singular value (SVSM)",
  read: "One column a layer, the largest singular value on top; α is σ of the model over σ of the base. Shown is how " +
      "far α is from its panel’s mean: an even panel is uniform scaling. Above each panel: mean ± std in % of it, " +
      "and that std under the null. Judge evenness against the noise below, in the same colours.",
  uses: ["model", "type"],
  choices: () =>
      [{
        key: "values",
        label: "Values",
        options: [["relative", "% of the panel’s mean"], ["alpha", "α, as in the paper"]]
      },
       {
         key: "range",
         label: "Colour range",
         options: [
           ["own", "fitted to each model"], ["0.005", "± 0.5 %"], ["0.02", "± 2 %"], ["0.1", "± 10 %"],
           ["0.5", "± 50 %"]
         ]
       }],
  panels: svsmPanels,
  build(context, {layout, axes}) {
    const bars = svsmBars(context), types = shownTypes(context), data = [];
    svsmModels(context).forEach((comparison, c) => {
      const b = bars.findIndex((bar) => bar.models.includes(comparison)), coloraxis = `coloraxis${b ? b + 1 : ""}`;
      layout[coloraxis] ??= svsmColorBar(context, layout, axes[c * types.length].yaxis, bars[b], b);
      types.forEach((type, t) => {
        if (comparison.result.types.includes(type))
          data.push(svsmHeat(context, comparison, type, axes[c * types.length + t], coloraxis));
      });
    });
    return {data, note: svsmNote(context, bars)};
  },
};

const kBandAxes = {
  percent: {title: "α, % of its mean", tickformat: "~r"},
  free: {title: "α", tickformat: "~r"},
  one: {title: "α", tickformat: "~r"}
};

// α as it is drawn: in % from the type's mean, or as it is.
function bandValue({state}, comparison, type) {
  const mean = meanOf(comparison, type);
  return state.axis === "percent" && mean > 0 ? {of: (x) => 100 * (x / mean - 1), scale: 100 / mean} :
                                                {of: (x) => x, scale: 1};
}

const bandModels = (context) => withoutNoise(shownModels(context));

function bandwidthPanels(context) {
  const {state} = context, {title, tickformat} = kBandAxes[state.axis], overlay = state.layout === "overlay";
  const y = {title: axisTitle(title), nticks: 5, tickformat};
  const models = bandModels(context), names = ["null (mean ± std)"];
  return typePanels(
      context, {
        x: layerAxis(context),
        y,
        sharedY: state.axis === "one" ? true :
            state.axis === "percent"  ? "row" :
                                        false,
        nameEachY: false,
        left: 66,
        gap: state.axis === "free" ? 44 : 12,
        models: overlay ? undefined : models,
        legend: overlay ? models.map((comparison) => plotName(comparison)).concat("null ± std, dotted") :
                          ["mean ± std", ...names],
      },
      (type, comparison) => ({
        sub: comparison && !context.narrow ? spreadText(comparison, type) : undefined,
        x: comparison ? layerAxis(context, comparison.result.layers) : {}
      }));
}

// The null as dotted edges in the model's colour, where several models share a panel.
function nullEdges(comparison, axis, x, mean, std) {
  return [-1, 1].map((side) => plainLine(axis, {
                       x,
                       y: mean.map((m, i) => (isNumber(m) && isNumber(std[i]) ? m + side * std[i] : null)),
                       name: "null",
                       line: {color: lineOf(comparison).color, width: 1, dash: "dot"},
                       hoverinfo: "skip",
                       meta: {helper: true}
                     }));
}

// The null's band, the model's band and its mean.
function bandwidthMarks(context, comparison, type, axis, {first, firstOfModel}) {
  const {state, colors} = context, overlay = state.layout === "overlay", look = lineOf(comparison);
  const sites = comparison.result.sitesOf(type), x = sites.map((site) => site.layer);
  const {of, scale} = bandValue(context, comparison, type);
  const values = (key, make) => sites.map((site) => {
    const value = comparison.value(site, key);
    return isNumber(value) ? make(value) : null;
  });
  const mean = values("alpha_mean", of), std = values("alpha_std", (v) => v * scale);
  const nullMean = values("null.alpha_mean", of), nullStd = values("null.alpha_std", (v) => v * scale);
  const legendgroup = overlay ? `c${comparison.index}` : "model";
  const nulls = overlay ? nullEdges(comparison, axis, x, nullMean, nullStd) : [band(x, nullMean, nullStd, axis, {
    fillcolor: colors.strongBand,
    name: "null (mean ± std)",
    legendgroup: "null",
    showlegend: first,
  })];
  const modelBand = band(x, mean, std, axis, {
    fillcolor: fade(look.color, overlay ? 0.16 : 0.3),
    name: plotName(comparison),
    legendgroup,
  });
  const line = modelLine(comparison, axis, {
    x,
    y: mean,
    name: overlay ? plotName(comparison) : "mean ± std",
    legendgroup,
    first: overlay ? firstOfModel : first,
    line: {color: look.color, width: 1.8, dash: look.dash},
    marker: {size: x.length > 20 ? 3 : 4.5, symbol: look.symbol},
    customdata: x.map((_, i) => [std[i] ?? NaN, nullStd[i] ?? NaN]),
    hovertemplate: `${plotName(comparison)}, ${typePlot(type)}, layer %{x}<br>` +
        "%{y:.4f} ± %{customdata[0]:.4f}<br>null ± %{customdata[1]:.4f}<extra></extra>"
  });
  return [...nulls, modelBand, line];
}

const kBandwidthFigure = {
  id: "bandwidth",
  title: "Scaling factors per layer: mean and spread",
  read: "Line and coloured band: mean ± std of α over the top 90 % of a layer’s singular values (the paper’s Figure " +
      "8), in % from the type’s mean, which stands above each panel with its spread. Grey band: the same of a " +
      "structureless change of the same size. A coloured band as wide as the grey one is no more uniform than " +
      "chance.",
  uses: ["model", "type"],
  choices: () =>
      [{
        key: "axis",
        label: "Axis",
        options: [["percent", "% of each mean"], ["free", "α, free"], ["one", "α, one axis as in the paper"]]
      },
       {key: "layout", label: "Models", options: [["rows", "in rows"], ["overlay", "in one panel"]]}],
  panels: bandwidthPanels,
  build(context, {axes}) {
    const types = shownTypes(context), overlay = context.state.layout === "overlay", models = bandModels(context);
    const order = overlay ? drawOrder(models) : models;
    const data = order.flatMap((comparison, c) => types.flatMap((type, t) => {
      const axis = axes[overlay ? t : c * types.length + t], first = {first: c === 0 && t === 0, firstOfModel: t === 0};
      return comparison.result.types.includes(type) ? bandwidthMarks(context, comparison, type, axis, first) : [];
    }));
    if (overlay)
      data.push(legendMark(axes[0], "null ± std, dotted", "null", {line: {color: context.colors.null, dash: "dot"}}));
    return {data};
  },
};
