// The claims against chance, and size against structure.

const kRatioPanels = [
  {title: "α spread / null", key: "alpha_std_over_null", margin: 0.05},
  {title: "robust NF / null", key: "nf_robust_mean_over_null", margin: 0.05},
  {title: "counter-rotation / co-rotation", key: "counter_over_co", margin: 0.02},
];

function overviewFigure(result) {
  const shown = result.comparisons;
  const height = (context) => overviewPanels(context).height;
  function ratioAxis(key) {
    const values = shown.flatMap((comparison) => [...comparison.types.values()].map((type) => type[key]))
                       .filter((v) => isNumber(v) && v > 0);
    const low = Math.min(0.94, ...values) / 1.015, high = Math.max(1.06, ...values) * 1.015;
    const steps = high / low > 3 ? [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20] :
        high / low > 1.5         ? [0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.4, 1.6] :
        high / low > 1.2         ? [0.8, 0.85, 0.9, 0.95, 1, 1.05, 1.1, 1.15, 1.2] :
                                   [0.92, 0.94, 0.96, 0.98, 1, 1.02, 1.04, 1.06, 1.08];
    const ticks = steps.filter((tick) => tick > low && tick < high);
    return {
      type: "log",
      range: [Math.log10(low), Math.log10(high)],
      tickvals: ticks,
      ticktext: ticks.map(String),
      title: axisTitle("multiple of chance")
    };
  }
  function overviewPanels(context) {
    const n = shown.length;
    const names = shown.map((comparison) => shorten(comparison.name, context.narrow ? 12 : 22));
    const left = 22 + 7.4 * Math.max(6, ...names.map((name) => name.length));
    const y = {
      tickvals: shown.map((_, i) => i),
      ticktext: names.map(plotText),
      range: [n - 0.5, -0.5],
      tickfont: {size: 12, color: context.colors.text},
      ticks: "",
      showgrid: false,
    };
    const panels = kRatioPanels.map(({title, key}) => ({title, x: ratioAxis(key), y}));
    return panelLayout(context, [{title: null, panels}], {
      minWidth: 250,
      panelHeight: 46 * n + 10,
      sharedY: true,
      left,
      legend: result.types.map(typePlot),
      maxColumns: 3
    });
  }
  return {
    id: "overview",
    title: "At a glance: the paper’s claims against chance",
    read:
        "Each mark is a matrix type. At 1 (the line) a change of the same size without any structure does as " +
        "much; the grey band is the margin within which no verdict is given. Left of it: scaling more " +
        "uniform than chance, sides that turn more alike than chance. A missing mark: the null does not " +
        "hold, as for unrelated models.",
    height,
    build(context) {
      const {layout, axes} = overviewPanels(context);
      const data = [];
      for (const {xaxis, yaxis} of axes) {
        for (let i = 0; i + 1 < shown.length; ++i) {
          layout.shapes.push({
            type: "line",
            xref: `${xaxis} domain`,
            yref: yaxis,
            x0: 0,
            x1: 1,
            y0: i + 0.5,
            y1: i + 0.5,
            line: {color: context.colors.grid, width: 1},
            layer: "below"
          });
        }
      }
      kRatioPanels.forEach(({key, margin}, p) => {
        const axis = axes[p], x = axis.xaxis, y = axis.yaxis;
        layout.shapes.push(
            {
              type: "rect",
              xref: x,
              yref: `${y} domain`,
              x0: 1 - margin,
              x1: 1 + margin,
              y0: 0,
              y1: 1,
              fillcolor: context.colors.band,
              line: {width: 0},
              layer: "below"
            },
            {
              type: "line",
              xref: x,
              yref: `${y} domain`,
              x0: 1,
              x1: 1,
              y0: 0,
              y1: 1,
              line: {color: context.colors.reference, width: 1.2},
              layer: "below"
            });
        result.types.forEach((name, t) => {
          const dodge = result.types.length > 1 ? (t / (result.types.length - 1) - 0.5) * 0.7 : 0;
          const having = shown.map((comparison, i) => [comparison, i, comparison.types.get(name)?.[key]])
                             .filter(([, , v]) => isNumber(v));
          data.push({
            type: "scatter",
            mode: "markers",
            ...axis,
            name: typePlot(name),
            legendgroup: name,
            showlegend: false,
            x: having.map(([, , v]) => v),
            y: having.map(([, i]) => i + dodge),
            customdata: having.map(([comparison]) => plotName(comparison)),
            marker: {
              symbol: kTypeSymbols[name],
              size: 8.5,
              color: having.map(([comparison]) => lineOf(comparison).color),
              line: {width: 1, color: context.colors.surface}
            },
            hovertemplate: `%{customdata}, ${typePlot(name)}<br>%{x:.3f} of chance<extra></extra>`,
          });
          if (p === 0)
            data.push({
              type: "scatter",
              mode: "markers",
              x: [null],
              y: [null],
              ...axis,
              name: typePlot(name),
              legendgroup: name,
              marker: {symbol: kTypeSymbols[name], size: 9, color: context.colors.muted},
              meta: {helper: true}
            });
        });
      });
      return {data, layout};
    },
  };
}

// The null of a type grows in proportion to the change: a line through the null's own values (geometric mean of their
// ratio).
function nullSlope(result, type, key) {
  let sum = 0, number = 0;
  for (const comparison of result.comparisons) {
    for (const site of result.sites) {
      if (site.type !== type) continue;
      const change = comparison.value(site, "relative_change"), value = comparison.value(site, key);
      if (comparison.value(site, "null.valid") !== true || !(change > 0) || !(value > 0)) continue;
      sum += Math.log(value / change);
      ++number;
    }
  }
  return number ? Math.exp(sum / number) : null;
}

const kSizePanels = [
  {title: "robust NF", key: "nf_robust", null: "null.nf_robust", chance: "nf_robust_chance"},
  {title: "α spread (std)", key: "alpha_std", null: "null.alpha_std", chance: null},
];

function sizeFigure(result) {
  const legend = (context) =>
      context.result.comparisons.map(plotName).concat("null, by type", "chance level", result.types.map(typePlot));
  const values = (key) =>
      result.comparisons.flatMap((comparison) => result.sites.map((site) => comparison.value(site, key)));
  const panels = (context) => {
    const x = logAxis(values("relative_change"), axisTitle("relative change ‖ΔW‖ / ‖W<sub>base</sub>‖"));
    return panelLayout(
        context, [{
          title: null,
          panels: kSizePanels.map(({title, key}) => ({title, x, y: logAxis(values(key), axisTitle(title))}))
        }],
        {
          minWidth: 300,
          panelHeight: context.narrow ? 260 : 340,
          gap: 72,
          maxColumns: 2,
          nameEachY: true,
          legend: legend(context)
        });
  };
  return {
    id: "size",
    title: "More consistent, or just less? Structure against the size of the change",
    read:
        "Each mark is a matrix (the shape tells its type). The grey lines are what a structureless change gives, " +
        "one line a type: marks on the lines differ only in how much changed, marks below them changed more " +
        "consistently than chance. Chance level: two unrelated matrices.",
    height: (context) => panels(context).height,
    build(context) {
      const {layout, axes} = panels(context);
      const data = [], all = values("relative_change").filter((x) => x > 0);
      const span = [Math.min(...all) / 1.4, Math.max(...all) * 1.4];
      kSizePanels.forEach((panel, p) => {
        result.types.forEach((type, t) => {
          const slope = nullSlope(result, type, panel.null);
          if (slope === null) return;
          // First order holds up to 0.3 of chance.
          const chance = panel.chance ? result.comparisons[0].value(result.sitesOf(type)[0], panel.chance) : null;
          const end = chance ? Math.min(span[1], (0.3 * chance) / slope) : Math.min(span[1], 0.3);
          if (end <= span[0]) return;
          data.push({
            type: "scatter",
            mode: "lines",
            ...axes[p],
            x: [span[0], end],
            y: [slope * span[0], slope * end],
            name: "null, by type",
            legendgroup: "null",
            showlegend: p === 0 && t === 0,
            line: {color: context.colors.null, width: 1.2},
            hovertemplate: `null of ${typePlot(type)}: %{y:.2e}<extra></extra>`,
            opacity: 0.75
          });
        });
        if (panel.chance) {
          const levels = [...new Set(result.sites.map((site) => result.comparisons[0].value(site, panel.chance)))];
          levels.forEach((level, i) => data.push({
            type: "scatter",
            mode: "lines",
            ...axes[p],
            x: span,
            y: [level, level],
            name: "chance level",
            legendgroup: "chance",
            showlegend: i === 0,
            line: {color: context.colors.reference, width: 1.2, dash: "dot"},
            hovertemplate: "chance: %{y:.3f}<extra></extra>"
          }));
        }
        for (const comparison of result.comparisons) {
          const sites = result.sites.filter(
              (site) => comparison.value(site, "relative_change") > 0 && comparison.value(site, panel.key) > 0);
          const look = lineOf(comparison);
          data.push({
            type: "scatter",
            mode: "markers",
            ...axes[p],
            name: plotName(comparison),
            legendgroup: `c${comparison.index}`,
            showlegend: p === 0,
            x: sites.map((site) => comparison.value(site, "relative_change")),
            y: sites.map((site) => comparison.value(site, panel.key)),
            customdata: sites.map(
                (site) => [typePlot(site.type), placeText(site), comparison.value(site, panel.null)].map(
                    (v) => (isNumber(v) || typeof v === "string" ? v : NaN))),
            marker: {
              symbol: sites.map((site) => kTypeSymbols[site.type]),
              size: 6.5,
              color: fade(look.color, 0.75),
              line: {width: 0.5, color: context.colors.surface}
            },
            hovertemplate: "%{customdata[0]}, layer %{customdata[1]}<br>change %{x:.3g}<br>" + panel.title +
                " %{y:.3g}<br>null %{customdata[2]:.3g}<extra>%{fullData.name}</extra>",
          });
        }
      });
      for (const type of result.types)
        data.push({
          type: "scatter",
          mode: "markers",
          x: [null],
          y: [null],
          ...axes[0],
          name: typePlot(type),
          legendgroup: type,
          marker: {symbol: kTypeSymbols[type], size: 8, color: context.colors.muted},
          meta: {helper: true}
        });
      return {
        data,
        layout,
        note:
            "A null line is drawn as far as first order holds: up to 0.3 of the chance level for NF, to a change " +
            "of 0.3 for α."
      };
    },
  };
}
