// Curves over singular indices: spectra, and how far each direction turned.

const curveNote = (result) => {
  const binned = [...new Set(result.sites.filter((site) => site.curve.points < site.n)
                                 .map((site) => `${site.n} values in ${site.curve.points} points`))];
  return binned.length ?
      `Binned, log-spaced: ${binned.join("; ")}, each the mean of a bin; all values are in arrays.safetensors.` :
      "Every singular value is drawn.";
};

function spectraFigure(result) {
  const legend = (context) =>
      (context.state.measure === "sigma" ? [plotText(result.base.name)] : []).concat(result.comparisons.map(plotName));
  const panels = (context) => {
    const ratio = context.state.measure === "alpha";
    const y = (type) => {
      const site = result.site(Number(context.state.layer), type);
      return ratio || !site ? {title: axisTitle("σ / σ of base"), nticks: 5} :
                              logAxis([...result.baseSigma(site)], axisTitle("σ"));
    };
    const types = result.types.map((type) => ({title: typePlot(type), x: indexAxis(), y: y(type)}));
    return panelLayout(context, [{title: null, panels: types}], {
      minWidth: context.narrow ? 110 : 124,
      legend: legend(context),
      gap: 46,
      panelHeight: context.narrow ? 140 : 185
    });
  };
  return {
    id: "spectra",
    title: "Spectra of base and post",
    read:
        "Singular values against their index, both logarithmic. The curves of a model that only scales lie " +
        "parallel; the ratio shows the difference that the spectra are too alike to show.",
    choices:
        [layerChoice(result), {key: "measure", label: "Show", options: [["sigma", "σ"], ["alpha", "ratio to base"]]}],
    height: (context) => panels(context).height,
    build(context) {
      const {layout, axes} = panels(context);
      const data = [], layer = Number(context.state.layer), ratio = context.state.measure === "alpha";
      result.types.forEach((type, t) => {
        const site = result.site(layer, type);
        if (!site) return;
        const x = site.curve.places, base = Array.from(result.baseSigma(site));
        const hover = `${typePlot(type)}, index %{x:.0f}<br>${
            ratio ? "ratio %{y:.4f}" : "σ = %{y:.5g}"}<extra>%{fullData.name}</extra>`;
        if (!ratio)
          data.push({
            type: "scatter",
            mode: "lines",
            ...axes[t],
            x,
            y: base,
            name: plotText(result.base.name),
            legendgroup: "base",
            showlegend: t === 0,
            line: {color: context.colors.null, width: 5},
            opacity: 0.55,
            hovertemplate: hover
          });
        for (const comparison of result.comparisons) {
          const look = lineOf(comparison), sigma = Array.from(comparison.sigma(site));
          data.push({
            type: "scatter",
            mode: "lines",
            ...axes[t],
            x,
            y: ratio ? sigma.map((s, i) => (base[i] > 0 ? s / base[i] : null)) : sigma,
            name: plotName(comparison),
            legendgroup: `c${comparison.index}`,
            showlegend: t === 0,
            line: {color: look.color, width: 1.5, dash: look.dash},
            hovertemplate: hover
          });
        }
      });
      return {data, layout, note: curveNote(result)};
    },
  };
}

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

function turnFigure(result) {
  const names = ["input side (U)", "output side (V)", "null, first order"];
  const panels = (context) => typePanels(context, {
    x: indexAxis(),
    y: {type: "log", title: axisTitle("turn"), exponentformat: "power", dtick: 1, range: turnRange(context)},
    sharedY: true,
    legend: names,
    panelHeight: context.narrow ? 140 : 185,
  });
  function turnRange(context) {
    const comparison = result.comparisons[Number(context.state.comparison)];
    const values = result.types.flatMap((type) => {
      const site = result.site(Number(context.state.layer), type);
      if (!site) return [];
      const take = (curve) => pooled(context, site, curve).y.filter((x) => x > 0);
      return [
        comparison.turnU(site), comparison.turnV(site), comparison.turnNull(site, "u"), comparison.turnNull(site, "v")
      ].flatMap(take);
    });
    return [Math.max(-14, Math.log10(Math.min(1e-2, ...values)) - 0.1), 0.2];
  }
  return {
    id: "turn",
    title: "How far each singular direction turned",
    read:
        "1 − (u of base · u of model)² against the singular index: 0 is not at all, 1 a quarter turn. The " +
        "paper’s App. F sees the top directions turn least; so does a structureless change (grey), because " +
        "their singular values lie far apart. What counts is the distance to the grey line.",
    choices: [
      comparisonChoice(result), layerChoice(result),
      {key: "detail", label: "Detail", options: [["pooled", "means of about 40 bins"], ["all", "every point"]]}
    ],
    height: (context) => panels(context).height,
    build(context) {
      const {layout, axes} = panels(context);
      const comparison = result.comparisons[Number(context.state.comparison)];
      const data = [];
      result.types.forEach((type, t) => {
        const site = result.site(Number(context.state.layer), type);
        if (!site) return;
        const curve = (values) => pooled(context, site, values);
        const sides = [
          ["u", comparison.turnU(site), context.colors.lines[0], names[0], "solid"],
          ["v", comparison.turnV(site), context.colors.lines[1], names[1], "dot"]
        ];
        const long = site.d_in >= site.d_out ? "u" : "v";
        for (const side of site.d_in === site.d_out ? ["u"] : ["u", "v"]) {
          const {x, y} = curve(comparison.turnNull(site, side));
          if (!y.some((value) => value !== null)) continue;
          data.push({
            type: "scatter",
            mode: "lines",
            ...axes[t],
            x,
            y,
            name: names[2],
            legendgroup: "null",
            showlegend: false,
            line: {color: context.colors.null, width: side === long && site.d_in !== site.d_out ? 1.5 : 3.2},
            hovertemplate: `${typePlot(type)}, index %{x:.0f}<br>null ${side}: %{y:.2e}<extra></extra>`
          });
        }
        if (t === 0)
          data.push({
            type: "scatter",
            mode: "lines",
            ...axes[t],
            x: [null],
            y: [null],
            name: names[2],
            legendgroup: "null",
            line: {color: context.colors.null, width: 3.2},
            meta: {helper: true}
          });
        for (const [side, values, color, name, dash] of sides) {
          data.push({
            type: "scatter",
            mode: "lines",
            ...axes[t],
            ...curve(values),
            name,
            legendgroup: side,
            showlegend: t === 0,
            line: {color, width: 1.7, dash},
            hovertemplate: `${typePlot(type)}, index %{x:.0f}<br>turn of ${side}: %{y:.3g}<extra></extra>`
          });
        }
      });
      const holds = result.types.some((type) => {
        const site = result.site(Number(context.state.layer), type);
        return site && comparison.value(site, "null.valid") === true;
      });
      const how = holds ?
          "The null is first order in each pair of directions and saturates at one half where noise mixes the " +
          "pair wholly." :
          "No null is drawn: for a change as large as this, first order does not hold.";
      return {data, layout, note: `${how} ${curveNote(result)}`};
    },
  };
}
