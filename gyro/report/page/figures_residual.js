// The residual rotations (eq. 13), and the paper's composite of a model (Figures 20 to 25).

const kAngleName = "both sides", kNoiseAngle = "noise of the same size";
const kResidualNames = ["ΔQ<sub>1</sub>", "ΔQ<sub>2</sub>"];

// The chosen model's blocks; its noise is a line in their angles.
const residualBlocks = (context) => cornersOf(oneModel(context), oneType(context));

function residualPanels(context) {
  const angles = (size) => ({
    title: "angle of each direction",
    x: {range: [0, size + 1], title: axisTitle("singular index"), dtick: 5, tick0: 0},
    y: {rangemode: "tozero", ticksuffix: "°", nticks: 6},
  });
  const axes = {row: "row", column: "column"};
  const blocks = residualBlocks(context).map(
      (block) => ({
        title: blockTitle(block),
        panels: [
          matrixPanel("ΔQ<sub>1</sub> − I (input side)", block.size, axes),
          matrixPanel("ΔQ<sub>2</sub> − I (output side)", block.size, axes), angles(block.size)
        ],
      }));
  return panelLayout(context, blocks, {
    minWidth: 150,
    maxColumns: 3,
    panelHeight: (width) => Math.min(250, width),
    gap: 48,
    left: 50,
    bottom: 96,
    legend: [kAngleName, kNoiseAngle],
    columns: (fit) => (fit >= 3 ? 3 : 1)
  });
}

const angleOf = (cosine) => (Math.acos(Math.min(1, Math.max(-1, cosine))) * 180) / Math.PI;
const anglesOf = (values, size) => indexOf(size).map((_, i) => angleOf(values[i * size + i]));

function residualHeats({size, get}, axes) {
  return ["delta_q1", "delta_q2"].map(
      (key, q) => squareHeat(axes[q], lessIdentity(get(key), size), size, {
        name: `${kResidualNames[q]} − I`,
        coloraxis: "coloraxis",
        hovertemplate: `row %{y}, column %{x}<br>${kResidualNames[q]} − I = %{z:.5f}<extra></extra>`
      }));
}

// The angles, and what noise of the same size has. Both sides' are the same but where the rounding of the stored values
// shows, or a mirrored direction was left out: then both are drawn.
function residualAngles({colors}, {comparison, site, size, get}, axis, first) {
  const noise = comparison.noise?.corner(site);
  const nulls = noise ? anglesOf(noise.get("delta_q1"), size) : undefined;
  const both = ["delta_q1", "delta_q2"].map((key) => anglesOf(get(key), size));
  const alike = both[0].every((angle, i) => Math.abs(angle - both[1][i]) < 0.02);
  const lines = (alike ? both.slice(0, 1) : both).map((y, q) => plainLine(axis, {
                                                        mode: "lines+markers",
                                                        x: indexOf(size),
                                                        y,
                                                        name: alike ? kAngleName : kResidualNames[q],
                                                        first,
                                                        line: {color: colors.lines[q], width: 1.8},
                                                        marker: {size: 5, symbol: kSymbols[q]},
                                                        hovertemplate: "direction %{x}: %{y:.3f}°<extra></extra>"
                                                      }));
  const nullLine = plainLine(axis, {
    x: indexOf(size),
    y: nulls ?? indexOf(size).map(() => null),
    name: kNoiseAngle,
    first: first && nulls !== undefined,
    line: {color: colors.null, width: 2},
    hovertemplate: "direction %{x}<br>noise: %{y:.3f}°<extra></extra>",
    meta: {helper: true}
  });
  return [nullLine, ...lines];
}

const kResidualFigure = {
  id: "residual",
  title: "What is left after the common rotation (eq. 13)",
  read: "ΔQ₁ and ΔQ₂ are what each side turned beyond the rotation that both share, the mean of the two: so they are " +
      "each other’s inverse, with the same angles. Small entries and angles near 0° say that one rotation explains " +
      "both sides; as small as those of noise (grey), they say no more than that the change is small.",
  uses: ["model", "type"],
  about: (context) => `${oneModel(context).name} against ${context.result.base.name}, ${oneType(context)}`,
  panels: residualPanels,
  build(context, {layout, axes}) {
    const blocks = residualBlocks(context);
    const data = blocks.flatMap(
        (block, b) =>
            [...residualHeats(block, axes.slice(3 * b)), ...residualAngles(context, block, axes[3 * b + 2], b === 0)]);
    const range = largestOf(data.filter(({type}) => type === "heatmap").flatMap(({z}) => z));
    layout.coloraxis = {
      cmin: -range,
      cmax: range,
      colorscale: diverging(),
      colorbar: lyingBar("ΔQ − I", {len: 0.44, x: 0, xanchor: "left", ...bothEnds(range)})
    };
    return {data, note: data.length ? noNoise(oneModel(context)) : kNoCorner};
  },
};

// The composite: one model, its types across; scaling factors, NF over its null, I_orth of the first and last block.
const compositeContext = (context) => ({
  ...context,
  state: {...context.state, values: "relative", range: "own", measure: "robust", scale: "over", matrix: "3"}
});

// I_orth of a block in numbers, and noise's: the same ones, without their names, which a narrow panel has no room for.
function besideNoise({comparison, site, size, get}) {
  const text = (values) => cornerText(values, 3, size), noise = comparison.noise?.corner(site);
  return text(get("i_orth")) + (noise ? `<br>noise: ${text(noise.get("i_orth")).replace(/max |NF /g, "")}` : "");
}

function compositeRows(outer) {
  const context = compositeContext(outer), comparison = oneModel(context), types = context.result.types;
  const y = {title: axisTitle("NF / null"), nticks: 5};
  const nf = types.map((type) => ({title: typePlot(type), x: layerAxis(context), y}));
  const orth = cornerLayers(context.result).map((layer) => {
    const cells = types.map((type) => cornersOf(comparison, type).find(({site}) => site.layer === layer));
    const panel = (cell, t) =>
        (cell ? matrixPanel(typePlot(types[t]), cell.size, {sub: besideNoise(cell)}) : emptyPanel(typePlot(types[t])));
    return {title: `(c) I<sub>orth</sub> − I, layer ${layer}`, panels: cells.map(panel), cells};
  });
  return [
    {title: "(a) α, % of its panel’s mean", panels: types.map((type) => svsmPanel(context, comparison, type))},
    {title: "(b) robust NF over its null", panels: nf}, ...orth
  ];
}

const kCompositeFigure = {
  id: "composite",
  title: "One model at a glance",
  read: "The paper’s Figures 20 to 25 for one model: (a) the scaling factors of every singular value, (b) NF per " +
      "layer over its null, and that of noise, (c) I_orth of the leading directions less the identity, first and " +
      "last block.",
  uses: ["model"],
  about: (context) => `${oneModel(context).name} against ${context.result.base.name}`,
  panels: (context) => panelLayout(context, compositeRows(context), {
    minWidth: context.narrow ? 120 : 105,
    maxColumns: 9,
    panelHeight: 118,
    gap: 34,
    left: 52,
    bottom: 96,
    columns: oneRowOrEven
  }),
  build(outer, {layout, axes}) {
    const context = compositeContext(outer), comparison = oneModel(context), {types} = context.result;
    const across = types.length, rows = compositeRows(outer).slice(2);
    const nfModelsHere = [comparison.noise, comparison].filter(Boolean);
    const data = types.flatMap((type, t) => {
      const axis = axes[across + t];
      const line = (one) =>
          modelLine(one, axis, {...layerLine(context.result, type, (site) => nfValue(context, one, site))});
      return [
        svsmHeat(context, comparison, type, axes[t], "coloraxis4"), ...nfBand(context, nfModelsHere, type, axis, false),
        ...nfModelsHere.map(line)
      ];
    });
    rows.forEach(({cells}, r) => cells.forEach((cell, t) => {
      if (cell)
        data.push(
            cornerHeat({...context, state: {...context.state, scale: "fitted"}}, cell, 3, axes[(2 + r) * across + t]));
    }));
    const range = heatRange(context, sameRange(comparison)),
          heats = data.filter((trace) => trace.coloraxis === "coloraxis3");
    const orth = largestOf(heats.flatMap(({z}) => z));
    const scale = (title, end, place) => ({
      cmin: -end,
      cmax: end,
      colorscale: diverging(),
      colorbar: lyingBar(title, {len: 0.4, ...place, ...bothEnds(end)})
    });
    layout.coloraxis4 = scale("(a) % of the panel’s mean", range, {x: 0, xanchor: "left"});
    layout.coloraxis3 = scale("(c) I<sub>orth</sub> − I", orth, {x: 1, xanchor: "right"});
    return {data, note: noNoise(comparison)};
  },
};
