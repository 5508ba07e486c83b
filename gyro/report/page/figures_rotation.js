// Singular vectors: NF per layer (the paper's Figures 3b and 9), the similarity matrices of the leading directions
// (Figures 3a and 10 to 14), and the residual rotations (eq. 13).

function nfFigure(result) {
  const keys = {
    nf: ["nf", "null.nf", "nf_chance", "NF"],
    robust: ["nf_robust", "null.nf_robust", "nf_robust_chance", "robust NF"]
  };
  const legend = () => result.comparisons.map(plotName).concat("null", "chance level");
  const values = (context) => [0, 2].flatMap(
      (k) => result.comparisons.flatMap(
          (comparison) => result.sites.map((site) => comparison.value(site, keys[context.state.measure][k]))));
  const panels = (context) => typePanels(context, {
    x: layerAxis(result, context),
    sharedY: true,
    legend: legend(context),
    y: {
      title: axisTitle(keys[context.state.measure][3]),
      ...(context.state.scale === "log" ? logAxis(values(context), axisTitle(keys[context.state.measure][3])) :
                                          {nticks: 6, rangemode: "tozero"})
    },
  });
  return {
    id: "nf",
    title: "NF: do both sides turn by the same rotation?",
    read:
        "‖I_orth − I‖ / n per layer: 0 if both sides of a matrix turned alike. Dotted: the chance level of two " +
        "unrelated matrices. Grey, thin: the null of each model, a structureless change of its size; a model " +
        "on its grey line turns alike no more than chance.",
    choices: [
      {key: "scale", label: "Axis", options: [["log", "logarithmic"], ["linear", "linear"]]},
      {key: "measure", label: "Measure", options: [["nf", "NF (the paper’s)"], ["robust", "robust NF (top 90 %)"]]}
    ],
    height: (context) => panels(context).height,
    build(context) {
      const {layout, axes} = panels(context);
      const [key, nullKey, chanceKey, label] = keys[context.state.measure];
      const data = [];
      result.types.forEach((type, t) => {
        const chance = layerLine(result, type, (site) => result.comparisons[0].value(site, chanceKey));
        data.push({
          type: "scatter",
          mode: "lines",
          ...axes[t],
          ...stretch(chance),
          name: "chance level",
          legendgroup: "chance",
          showlegend: t === 0,
          line: {color: context.colors.reference, width: 1.2, dash: "dot"},
          hovertemplate: "chance %{y:.4f}<extra></extra>"
        });
        result.comparisons.forEach((comparison, i) => {
          const null_ = layerLine(
              result, type,
              (site) => (comparison.value(site, "null.valid") === true ? comparison.value(site, nullKey) : null));
          if (null_.y.some(isNumber) || (t === 0 && i === 0)) {
            data.push({
              type: "scatter",
              mode: "lines",
              ...axes[t],
              ...null_,
              name: "null",
              legendgroup: "null",
              showlegend: t === 0 && i === 0,
              line: {color: context.colors.null, width: 1.3},
              hovertemplate: `null of ${plotName(comparison)}: %{y:.5f}<extra></extra>`
            });
          }
        });
        for (const comparison of result.comparisons) {
          const look = lineOf(comparison);
          data.push({
            type: "scatter",
            mode: "lines+markers",
            ...axes[t],
            ...layerLine(result, type, (site) => comparison.value(site, key)),
            name: plotName(comparison),
            legendgroup: `c${comparison.index}`,
            showlegend: t === 0,
            line: {color: look.color, width: 1.7, dash: look.dash},
            marker: {size: 5, symbol: look.symbol},
            hovertemplate: `${typePlot(type)}, layer %{x}<br>${label} = %{y:.5f}<extra>%{fullData.name}</extra>`
          });
        }
      });
      return {
        data,
        layout,
        note: context.state.measure === "nf" ?
            "In square matrices one tiny singular value can dominate NF; robust NF leaves the last tenth out." :
            ""
      };
    },
  };
}

// A level over the whole width, also where there is one layer.
function stretch({x, y}) { return {x: [x[0] - 0.5, ...x, x[x.length - 1] + 0.5], y: [y[0], ...y, y[y.length - 1]]}; }

const cornerTypes = (result) => result.types.filter((type) => result.cornerSites.some((site) => site.type === type));
const typeChoice = (result) => {
  const types = cornerTypes(result);
  return {
    key: "type",
    label: "Type",
    options: types.map((type) => [type, type]),
    value: types.includes("W_O") ? "W_O" : types[0]
  };
};

// 25 x 25 rows of a square block.
function squareRows(values, size) {
  return Array.from({length: size}, (_, i) => Array.from(values.subarray(i * size, (i + 1) * size)));
}

function matrixPanel(title, size) {
  return {
    title,
    x: {
      range: [0.5, size + 0.5],
      dtick: 5,
      tick0: 0,
      showgrid: false,
      constrain: "domain",
      title: axisTitle("index, model")
    },
    y: {range: [size + 0.5, 0.5], dtick: 5, tick0: 0, showgrid: false, title: axisTitle("index, base")},
  };
}

function chosenCorners(context) {
  const comparison = context.result.comparisons[Number(context.state.comparison)];
  return context.result.cornerSites.filter((site) => site.type === context.state.type)
      .map((site) => ({site, corner: comparison.corner(site)}))
      .filter(({corner}) => corner);
}

const blockTitle = (site) => `${typePlot(site.type)}, layer ${placeText(site)}`;

const barOf = (title, more) =>
    ({title: {text: title, side: "top"}, outlinewidth: 0, thickness: 12, tickfont: {size: 10.5}, ...more});

// Values less the identity.
const lessIdentity = (values, size) => values.map((value, i) => value - (Math.floor(i / size) === i % size ? 1 : 0));
// The largest size among blocks, as the end of a colour scale.
function largestOf(blocks) {
  const largest = Math.max(0, ...blocks.flatMap((values) => Array.from(values, Math.abs)).filter(Number.isFinite));
  return largest > 0 ? Number(largest.toPrecision(2)) : 1;
}

const kBar = {
  orientation: "h",
  yref: "container",
  y: 0,
  yanchor: "bottom",
  ypad: 4
};

function cornerFigure(result) {
  const titles = (context) =>
      ["sim<sub>U</sub>", "sim<sub>V</sub>", "| sim<sub>U</sub> − sim<sub>V</sub> |",
       context.state.scale === "paper" ? "I<sub>orth</sub>" : "I<sub>orth</sub> − I"];
  const blocks = (context) => chosenCorners(context).map(
      ({site, corner}) =>
          ({title: blockTitle(site), panels: titles(context).map((title) => matrixPanel(title, corner.size))}));
  const layoutOf = (context) => panelLayout(context, blocks(context), {
    minWidth: 120,
    maxColumns: 4,
    panelHeight: (width) => Math.min(260, width),
    gap: 40,
    left: 50,
    bottom: 118,
    columns: (fit) =>
        (fit >= 4     ? 4 :
             fit >= 2 ? 2 :
                        1)
  });
  return {
    id: "corner",
    title: "Rotation of the leading directions, first and last block",
    read:
        "The first 25 singular directions, base down, model across (the paper’s Figures 3a and 10 to 14). A " +
        "bright diagonal: directions kept their place. An empty difference: both sides moved alike; so does " +
        "I_orth when it is the identity.",
    choices: [
      comparisonChoice(result), typeChoice(result), {
        key: "scale",
        label: "Colours",
        options: [["paper", "0 to 1, as in the paper"], ["fitted", "magnified departures"]]
      }
    ],
    height: (context) => layoutOf(context).height,
    build(context) {
      const {layout, axes} = layoutOf(context);
      const data = [], names = titles(context), paper = context.state.scale === "paper";
      const corners = chosenCorners(context).map(({corner}) => {
        const simU = corner.get("sim_u"), simV = corner.get("sim_v"), orth = corner.get("i_orth");
        return {
          size: corner.size,
          values:
              [simU, simV, simU.map((u, i) => Math.abs(u - simV[i])), paper ? orth : lessIdentity(orth, corner.size)]
        };
      });
      let at = 0;
      for (const {size, values} of corners) {
        const index = Array.from({length: size}, (_, i) => i + 1);
        values.forEach((block, q) => {
          data.push({
            type: "heatmap",
            ...axes[at++],
            name: names[q],
            x: index,
            y: index,
            z: squareRows(block, size),
            coloraxis: ["coloraxis", "coloraxis", "coloraxis2", "coloraxis3"][q],
            hovertemplate: `base %{y}, model %{x}<br>${names[q]} = %{z:.4f}<extra></extra>`
          });
        });
      }
      const difference = paper ? 1 : largestOf(corners.map(({values}) => values[2])),
            orth = paper ? 1 : largestOf(corners.map(({values}) => values[3]));
      const ticks = (range) =>
          ({tickvals: [-range, 0, range], ticktext: [significant(-range, 2), "0", significant(range, 2)]});
      layout.coloraxis = {
        cmin: 0,
        cmax: 1,
        colorscale: kCividis,
        colorbar: barOf("sim", {...kBar, len: 0.28, x: 0, xanchor: "left", dtick: 0.5})
      };
      layout.coloraxis2 = {
        cmin: 0,
        cmax: difference,
        colorscale: kCividis,
        colorbar: barOf("difference", {
          ...kBar,
          len: 0.28,
          x: 0.5,
          xanchor: "center",
          tickvals: [0, difference],
          ticktext: ["0", significant(difference, 2)]
        })
      };
      layout.coloraxis3 = {
        cmin: -orth,
        cmax: orth,
        colorscale: diverging(),
        colorbar: barOf(names[3], {...kBar, len: 0.28, x: 1, xanchor: "right", ...ticks(orth)})
      };
      return {
        data,
        layout,
        note: data.length ? "" : "The result holds neither the first nor the last block of this type."
      };
    },
  };
}

function residualFigure(result) {
  const titles = ["ΔQ<sub>1</sub> − I (input side)", "ΔQ<sub>2</sub> − I (output side)", "angle of each direction"];
  const names = ["ΔQ<sub>1</sub>", "ΔQ<sub>2</sub>"];
  const blocks = (context) => chosenCorners(context).map(
      ({site, corner}) => ({
        title: blockTitle(site),
        panels: [
          matrixPanel(titles[0], corner.size), matrixPanel(titles[1], corner.size), {
            title: titles[2],
            x: {range: [0, corner.size + 1], title: axisTitle("singular index"), dtick: 5, tick0: 0},
            y: {rangemode: "tozero", ticksuffix: "°", nticks: 6},
          }
        ],
      }));
  const layoutOf = (context) => panelLayout(context, blocks(context), {
    minWidth: 150,
    maxColumns: 3,
    panelHeight: (width) => Math.min(330, width),
    gap: 48,
    left: 50,
    bottom: 112,
    legend: names,
    columns: (fit) => (fit >= 3 ? 3 : 1)
  });
  return {
    id: "residual",
    title: "What is left after the common rotation (eq. 13)",
    read:
        "ΔQ₁ and ΔQ₂ are what each side turned beyond the rotation that both share; their departure from the " +
        "identity is drawn. Small entries, and angles near 0°, say that one rotation explains both sides. " +
        "The two are each other’s inverse where the shared rotation is the mean of both.",
    choices: [comparisonChoice(result), typeChoice(result)],
    height: (context) => layoutOf(context).height,
    build(context) {
      const {layout, axes} = layoutOf(context);
      const data = [];
      const corners = chosenCorners(context).map(({corner}) => {
        const rotations = [corner.get("delta_q1"), corner.get("delta_q2")];
        return {size: corner.size, rotations, rests: rotations.map((values) => lessIdentity(values, corner.size))};
      });
      const range = largestOf(corners.flatMap(({rests}) => rests));
      let at = 0;
      corners.forEach(({size, rotations, rests}, b) => {
        const index = Array.from({length: size}, (_, i) => i + 1);
        rests.forEach((values, q) => {
          data.push({
            type: "heatmap",
            ...axes[at++],
            name: `${names[q]} − I`,
            x: index,
            y: index,
            z: squareRows(values, size),
            coloraxis: "coloraxis",
            hovertemplate: `row %{y}, column %{x}<br>${names[q]} − I = %{z:.5f}<extra></extra>`
          });
        });
        rotations.forEach((values, q) => {
          const angles =
              index.map((_, i) => (Math.acos(Math.min(1, Math.max(-1, values[i * size + i]))) * 180) / Math.PI);
          data.push({
            type: "scatter",
            mode: "lines+markers",
            ...axes[at],
            x: index,
            y: angles,
            name: names[q],
            legendgroup: names[q],
            showlegend: b === 0,
            line: {color: context.colors.lines[q], width: q ? 1.3 : 2.6, dash: q ? "dot" : "solid"},
            marker: {size: q ? 5 : 8, symbol: kSymbols[q]},
            hovertemplate: `direction %{x}<br>${names[q]}: %{y:.3f}°<extra></extra>`
          });
        });
        ++at;
      });
      layout.coloraxis = {
        cmin: -range,
        cmax: range,
        colorscale: diverging(),
        colorbar: barOf("ΔQ − I", {
          ...kBar,
          len: 0.44,
          x: 0,
          xanchor: "left",
          tickvals: [-range, 0, range],
          ticktext: [significant(-range, 2), "0", significant(range, 2)]
        })
      };
      return {
        data,
        layout,
        note: data.length ? "" : "The result holds neither the first nor the last block of this type."
      };
    },
  };
}
