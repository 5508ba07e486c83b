// Where the training went, and the energy budget of its residual.

const kParts = [
  ["co_rotation", "co-rotation"], ["counter_rotation", "counter-rotation"], ["leakage", "leakage"],
  ["scaling", "scaling"]
];

function energyFigure(result) {
  const legend = kParts.map(([, name]) => name).concat("chance");
  const panels = (context) => {
    const over = context.state.view === "over";
    const y = over ? {type: "log", title: axisTitle("share / chance"), nticks: 6, dtick: "D2", exponentformat: "none"} :
                     {title: axisTitle("share of ‖E‖²"), range: [0, 1.001], tickformat: ".0%", dtick: 0.25};
    return typePanels(context, {x: layerAxis(result, context), y, sharedY: true, legend});
  };
  return {
    id: "energy",
    title: "Energy budget of the change: the test of eq. 8",
    read:
        "The change, beyond its common scale, split in base’s singular directions: scaling (diagonal), " +
        "co-rotation (both sides turn alike), counter-rotation (they turn against each other), leakage (out " +
        "of base’s span). Dashed: what chance gives. If eq. 8 held beyond chance, co-rotation would reach " +
        "above its dashed line.",
    choices: [
      comparisonChoice(result),
      {key: "view", label: "Show", options: [["shares", "shares"], ["over", "multiples of chance"]]}
    ],
    height: (context) => panels(context).height,
    build(context) {
      const {layout, axes} = panels(context);
      const comparison = result.comparisons[Number(context.state.comparison)];
      const over = context.state.view === "over", data = [];
      layout.barmode = "stack";
      result.types.forEach((type, t) => {
        const sites = result.sitesOf(type), x = sites.map((site) => site.layer);
        const chances = sites.map(energyChance), below = sites.map(() => 0);
        for (const [key, name] of kParts) {
          const chance = chances.map((all) => all[key] ?? 0);
          const share = sites.map((site) => comparison.value(site, `energy.${key}`));
          const common = {
            ...axes[t],
            x,
            name,
            legendgroup: key,
            showlegend: t === 0,
            customdata: chance
          };
          if (!over) {
            data.push({
              type: "bar",
              ...common,
              y: share,
              width: result.layers.length > 16 ? 1 : 0.8,
              marker: {color: context.colors.parts[key], line: {width: 0}},
              hovertemplate:
                  `${typePlot(type)}, layer %{x}<br>${name}: %{y:.2%}<br>chance: %{customdata:.2%}<extra></extra>`
            });
            chance.forEach((level, i) => { below[i] += level; });
            if (key !== "scaling" && below.some((level) => level > 0.002 && level < 0.9995))
              data.push(chanceLine(x, axes[t], below.slice(), context, "chance: up to %{y:.1%}", false));
          } else if (chance.some((level) => level > 1e-9)) {
            data.push({
              type: "scatter",
              mode: "lines+markers",
              ...common,
              y: share.map((value, i) => (isNumber(value) && chance[i] > 1e-9 ? value / chance[i] : null)),
              line: {color: context.colors.parts[key], width: 1.8},
              marker: {size: 5, symbol: kSymbols[kParts.findIndex((p) => p[0] === key)]},
              hovertemplate: `${typePlot(type)}, layer %{x}<br>${name}: %{y:.3f} of chance<extra></extra>`
            });
          }
        }
        data.push(
            over ? chanceLine(x, axes[t], x.map(() => 1), context, "chance", t === 0) :
                   {...chanceLine(x, axes[t], x.map(() => null), context, "", t === 0), meta: {helper: true}});
      });
      return {
        data,
        layout,
        note: over ? "Square matrices have no leakage." :
                     "Scaling is the thin slice on top: one diagonal among many entries."
      };
    },
  };
}

// The levels of chance of each layer: they differ where the matrices of a type do.
function chanceLine(x, axis, levels, context, text, showlegend) {
  return {
    type: "scatter",
    mode: "lines",
    ...axis,
    ...stretch({x, y: levels}),
    name: "chance",
    legendgroup: "chance",
    showlegend,
    line: {color: context.colors.reference, width: 1.3, dash: "dash"},
    hovertemplate: `${text}<extra></extra>`
  };
}

function counterFigure(result) {
  const legend = (context) => chosen(context).map(plotName).concat("null ± 2 sd", "null ± 4 sd");
  const panels = (context) => typePanels(context, {
    x: layerAxis(result, context),
    y: {title: axisTitle("counter / co"), nticks: 6},
    sharedY: true,
    legend: legend(context)
  });
  return {
    id: "counter",
    title: "Counter-rotation over co-rotation, per layer",
    read:
        "Below 1, both sides turn together more than chance; at 1, as chance does, whatever the spectrum and the " +
        "size of the change. Grey: two and four standard deviations of chance. A verdict needs more than " +
        "four, and 2 %.",
    choices: [whichChoice(result)],
    height: (context) => panels(context).height,
    build(context) {
      const {layout, axes} = panels(context);
      const data = [];
      result.types.forEach((type, t) => {
        const sites = result.sitesOf(type), x = sites.map((site) => site.layer);
        const wide = [x[0] - 0.5, ...x, x[x.length - 1] + 0.5];
        const sds = sites.map(counterOverCoSd), sd = [sds[0], ...sds, sds[sds.length - 1]];
        for (const width of [4, 2]) {
          data.push(band(wide, wide.map(() => 1), sd.map((s) => width * s), axes[t], {
            fillcolor: context.colors.band,
            name: `null ± ${width} sd`,
            legendgroup: `null${width}`,
            showlegend: t === 0,
            meta: {helper: true}
          }));
        }
        data.push({
          type: "scatter",
          mode: "lines",
          ...axes[t],
          x: [wide[0], wide[wide.length - 1]],
          y: [1, 1],
          showlegend: false,
          line: {color: context.colors.reference, width: 1},
          hoverinfo: "skip",
          name: "null",
          meta: {helper: true}
        });
        for (const comparison of chosen(context)) {
          const look = lineOf(comparison);
          data.push({
            type: "scatter",
            mode: "lines+markers",
            ...axes[t],
            x,
            y: sites.map((site) => comparison.value(site, "energy.counter_over_co")),
            name: plotName(comparison),
            legendgroup: `c${comparison.index}`,
            showlegend: t === 0,
            customdata: sites.map((site) => comparison.value(site, "energy.z") ?? NaN),
            line: {color: look.color, width: 1.7, dash: look.dash},
            marker: {size: 5, symbol: look.symbol},
            hovertemplate: `${typePlot(type)}, layer %{x}<br>counter/co = %{y:.4f}<br>` +
                "z = %{customdata:.1f}<extra>%{fullData.name}</extra>",
          });
        }
      });
      return {data, layout};
    },
  };
}

// Lines of one measure over layers, one panel a type.
function layerFigure(result, {id, title, read, choices = [], measure}) {
  const legend = (context) => chosen(context).map(plotName);
  const panels = (context) => {
    const {axis, label, log, value} = measure(context.state);
    const values = () => chosen(context).flatMap((comparison) => result.sites.map((site) => value(comparison, site)));
    return typePanels(context, {
      x: layerAxis(result, context),
      y: log ? logAxis(values(), axisTitle(label)) : {title: axisTitle(label), nticks: 6, ...axis},
      sharedY: true,
      legend: legend(context),
      left: 66
    });
  };
  return {
    id,
    title,
    read,
    choices: [...choices, whichChoice(result)],
    height: (context) => panels(context).height,
    build(context) {
      const {layout, axes} = panels(context);
      const {value, hover} = measure(context.state);
      const data = [];
      result.types.forEach((type, t) => {
        for (const comparison of chosen(context)) {
          const look = lineOf(comparison);
          data.push({
            type: "scatter",
            mode: "lines+markers",
            ...axes[t],
            ...layerLine(result, type, (site) => value(comparison, site)),
            name: plotName(comparison),
            legendgroup: `c${comparison.index}`,
            showlegend: t === 0,
            line: {color: look.color, width: 1.7, dash: look.dash},
            marker: {size: 5, symbol: look.symbol},
            hovertemplate: `${typePlot(type)}, layer %{x}<br>${hover}<extra>%{fullData.name}</extra>`
          });
        }
      });
      return {data, layout};
    },
  };
}

const kMeasures = {
  relative_change: {
    label: "‖ΔW‖ / ‖W<sub>base</sub>‖",
    hover: "relative change %{y:.4g}",
    axis: {rangemode: "tozero"},
    key: "relative_change"
  },
  scale: {label: "c", hover: "c = %{y:.5f}", axis: {}, key: "scale"},
  unchanged: {
    label: "unchanged weights",
    hover: "unchanged %{y:.2%}",
    axis: {tickformat: ".1~%", rangemode: "tozero"},
    key: "unchanged"
  },
  stable_rank: {label: "stable rank of ΔW", hover: "stable rank %{y:.3g}", log: true, key: "stable_rank"},
};

function changeFigure(result) {
  return layerFigure(result, {
    id: "change",
    title: "Where the training went: relative change",
    read:
        "How large the change of each matrix is, as a share of the base’s norm. Other measures of the same: the " +
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
    measure: (state) => ({
      ...kMeasures[state.measure],
      value: (comparison, site) => comparison.value(site, kMeasures[state.measure].key)
    }),
  });
}

function cosineFigure(result) {
  return layerFigure(result, {
    id: "cosine",
    title: "Where the training went: direction",
    read:
        "1 − cosine between base’s and model’s matrix, taken as vectors: 0 is the same direction, 1 is at right " +
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
}
