// Singular vectors: NF per layer (the paper's Figures 3b and 9), the similarity matrices of the leading directions
// (Figures 3a and 10 to 14), and the residual rotations (eq. 13).

const kNfKeys = {
  nf: {key: "nf", null: "null.nf", chance: "nf_chance", label: "NF"},
  robust: {key: "nf_robust", null: "null.nf_robust", chance: "nf_robust_chance", label: "robust NF"}
};

function nfPanels(context) {
  const {result, state} = context, {key, chance, label} = kNfKeys[state.measure];
  const values = [key, chance].flatMap((k) => everyValue(result, k)), title = axisTitle(label);
  const y = state.scale === "log" ? logAxis(values, title) : {nticks: 6, rangemode: "tozero", title};
  const legend = result.comparisons.map(plotName).concat("null", "chance level");
  return typePanels(context, {x: layerAxis(context), sharedY: true, legend, y});
}

function nfGround({result, colors}, type, axis, keys, first) {
  const chance = plainLine(axis, {
    ...stretch(layerLine(result, type, (site) => result.comparisons[0].value(site, keys.chance))),
    name: "chance level",
    group: "chance",
    first,
    line: {color: colors.reference, width: 1.2, dash: "dot"},
    hovertemplate: "chance %{y:.4f}<extra></extra>"
  });
  const valid = (comparison, site) => comparison.value(site, "null.valid") === true;
  const nulls = result.comparisons.map(
      (comparison, i) => plainLine(axis, {
        ...layerLine(result, type, (site) => (valid(comparison, site) ? comparison.value(site, keys.null) : null)),
        name: "null",
        first: first && i === 0,
        line: {color: colors.null, width: 1.3},
        hovertemplate: `null of ${plotName(comparison)}: %{y:.5f}<extra></extra>`
      }));
  return [chance, ...nulls.filter((line, i) => line.y.some(isNumber) || (first && i === 0))];
}

const kNfFigure = {
  id: "nf",
  title: "NF: do both sides turn by the same rotation?",
  read: "‖I_orth − I‖ / n per layer: 0 if both sides of a matrix turned alike. Dotted: the chance level of two " +
      "unrelated matrices. Grey, thin: the null of each model, a structureless change of its size; a model " +
      "on its grey line turns alike no more than chance.",
  choices: () =>
      [{key: "scale", label: "Axis", options: [["log", "logarithmic"], ["linear", "linear"]]},
       {key: "measure", label: "Measure", options: [["nf", "NF (the paper’s)"], ["robust", "robust NF (top 90 %)"]]}],
  panels: nfPanels,
  build(context, {axes}) {
    const {result, state} = context, keys = kNfKeys[state.measure];
    const data = result.types.flatMap((type, t) => {
      const lines = result.comparisons.map(
          (comparison) => modelLine(comparison, axes[t], {
            ...layerLine(result, type, (site) => comparison.value(site, keys.key)),
            first: t === 0,
            hovertemplate: `${typePlot(type)}, layer %{x}<br>${keys.label} = %{y:.5f}<extra>%{fullData.name}</extra>`
          }));
      return [...nfGround(context, type, axes[t], keys, t === 0), ...lines];
    });
    const note = "In square matrices one tiny singular value can dominate NF; robust NF leaves the last tenth out.";
    return {data, note: state.measure === "nf" ? note : ""};
  },
};

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

function matrixPanel(title, size) {
  const axis = {dtick: 5, tick0: 0, showgrid: false};
  return {
    title,
    x: {...axis, range: [0.5, size + 0.5], constrain: "domain", title: axisTitle("index, model")},
    y: {...axis, range: [size + 0.5, 0.5], title: axisTitle("index, base")},
  };
}

// The blocks of the chosen type: [{site, size, get}].
function chosenCorners(context) {
  const comparison = chosenOne(context);
  return context.result.cornerSites.filter((site) => site.type === context.state.type)
      .map((site) => ({site, ...comparison.corner(site)}))
      .filter(({get}) => get);
}

const blockTitle = (site) => `${typePlot(site.type)}, layer ${site.layer}`;
const kNoCorner = "The result holds neither the first nor the last block of this type.";

const cornerTitles = ({state}) =>
    ["sim<sub>U</sub>", "sim<sub>V</sub>", "| sim<sub>U</sub> − sim<sub>V</sub> |",
     state.scale === "paper" ? "I<sub>orth</sub>" : "I<sub>orth</sub> − I"];

function cornerPanels(context) {
  const blocks = chosenCorners(context).map(
      ({site, size}) =>
          ({title: blockTitle(site), panels: cornerTitles(context).map((title) => matrixPanel(title, size))}));
  return panelLayout(context, blocks, {
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
}

// What the four panels of a block show.
function cornerValues({state}, {size, get}) {
  const simU = get("sim_u"), simV = get("sim_v"), orth = get("i_orth");
  return [
    simU, simV, simU.map((u, i) => Math.abs(u - simV[i])), state.scale === "paper" ? orth : lessIdentity(orth, size)
  ];
}

function cornerColors(layout, difference, orth, orthName) {
  layout.coloraxis = {
    cmin: 0,
    cmax: 1,
    colorscale: kCividis,
    colorbar: lyingBar("sim", {len: 0.28, x: 0, xanchor: "left", dtick: 0.5})
  };
  const ends = {tickvals: [0, difference], ticktext: ["0", significant(difference, 2)]};
  layout.coloraxis2 = {
    cmin: 0,
    cmax: difference,
    colorscale: kCividis,
    colorbar: lyingBar("difference", {len: 0.28, x: 0.5, xanchor: "center", ...ends})
  };
  layout.coloraxis3 = {
    cmin: -orth,
    cmax: orth,
    colorscale: diverging(),
    colorbar: lyingBar(orthName, {len: 0.28, x: 1, xanchor: "right", ...bothEnds(orth)})
  };
}

const kCornerFigure = {
  id: "corner",
  title: "Rotation of the leading directions, first and last block",
  read: "The first 25 singular directions, base down, model across (the paper’s Figures 3a and 10 to 14). A " +
      "bright diagonal: directions kept their place. An empty difference: both sides moved alike; so does " +
      "I_orth when it is the identity.",
  choices: (result) => [comparisonChoice(result), typeChoice(result), {
    key: "scale",
    label: "Colours",
    options: [["paper", "0 to 1, as in the paper"], ["fitted", "magnified departures"]]
  }],
  panels: cornerPanels,
  build(context, {layout, axes}) {
    const names = cornerTitles(context), fitted = context.state.scale === "fitted";
    const blocks = chosenCorners(context).map((block) => ({size: block.size, values: cornerValues(context, block)}));
    const data = blocks.flatMap(
        ({size, values}, b) =>
            values.map((block, q) => squareHeat(axes[4 * b + q], block, size, {
                         name: names[q],
                         coloraxis: ["coloraxis", "coloraxis", "coloraxis2", "coloraxis3"][q],
                         hovertemplate: `base %{y}, model %{x}<br>${names[q]} = %{z:.4f}<extra></extra>`
                       })));
    const range = (q) => (fitted ? largestOf(blocks.map(({values}) => values[q])) : 1);
    cornerColors(layout, range(2), range(3), names[3]);
    return {data, note: data.length ? "" : kNoCorner};
  },
};

const kResidualNames = ["ΔQ<sub>1</sub>", "ΔQ<sub>2</sub>"];

function residualPanels(context) {
  const angles = (size) => ({
    title: "angle of each direction",
    x: {range: [0, size + 1], title: axisTitle("singular index"), dtick: 5, tick0: 0},
    y: {rangemode: "tozero", ticksuffix: "°", nticks: 6},
  });
  const blocks = chosenCorners(context).map(({site, size}) => ({
                                              title: blockTitle(site),
                                              panels: [
                                                matrixPanel("ΔQ<sub>1</sub> − I (input side)", size),
                                                matrixPanel("ΔQ<sub>2</sub> − I (output side)", size), angles(size)
                                              ],
                                            }));
  return panelLayout(context, blocks, {
    minWidth: 150,
    maxColumns: 3,
    panelHeight: (width) => Math.min(330, width),
    gap: 48,
    left: 50,
    bottom: 112,
    legend: kResidualNames,
    columns: (fit) => (fit >= 3 ? 3 : 1)
  });
}

function residualBlock({colors}, {size, get}, axes, first) {
  const rotations = [get("delta_q1"), get("delta_q2")];
  const heats =
      rotations.map((values, q) => squareHeat(axes[q], lessIdentity(values, size), size, {
                      name: `${kResidualNames[q]} − I`,
                      coloraxis: "coloraxis",
                      hovertemplate: `row %{y}, column %{x}<br>${kResidualNames[q]} − I = %{z:.5f}<extra></extra>`
                    }));
  const angle = (cosine) => (Math.acos(Math.min(1, Math.max(-1, cosine))) * 180) / Math.PI;
  const lines = rotations.map((values, q) => plainLine(axes[2], {
                                mode: "lines+markers",
                                x: indexOf(size),
                                y: indexOf(size).map((_, i) => angle(values[i * size + i])),
                                name: kResidualNames[q],
                                first,
                                line: {color: colors.lines[q], width: q ? 1.3 : 2.6, dash: q ? "dot" : "solid"},
                                marker: {size: q ? 5 : 8, symbol: kSymbols[q]},
                                hovertemplate: `direction %{x}<br>${kResidualNames[q]}: %{y:.3f}°<extra></extra>`
                              }));
  return [...heats, ...lines];
}

const kResidualFigure = {
  id: "residual",
  title: "What is left after the common rotation (eq. 13)",
  read: "ΔQ₁ and ΔQ₂ are what each side turned beyond the rotation that both share; their departure from the " +
      "identity is drawn. Small entries, and angles near 0°, say that one rotation explains both sides. " +
      "The two are each other’s inverse where the shared rotation is the mean of both.",
  choices: (result) => [comparisonChoice(result), typeChoice(result)],
  panels: residualPanels,
  build(context, {layout, axes}) {
    const blocks = chosenCorners(context);
    const data = blocks.flatMap((block, b) => residualBlock(context, block, axes.slice(3 * b, 3 * b + 3), b === 0));
    const range = largestOf(data.filter(({type}) => type === "heatmap").flatMap(({z}) => z));
    layout.coloraxis = {
      cmin: -range,
      cmax: range,
      colorscale: diverging(),
      colorbar: lyingBar("ΔQ − I", {len: 0.44, x: 0, xanchor: "left", ...bothEnds(range)})
    };
    return {data, note: data.length ? "" : kNoCorner};
  },
};
