// How far base and post part, block by block, above what the weights did there; and how well one post's rotation
// carries into another (G.2).

const driftOf = (context) => probeOf(context, "drift");
const memberAt = (object, path) => path.split(".").reduce((part, key) => part?.[key], object) ?? null;

// Above behaviour, each beside the noise control's; below weights, beside what stands for no more than chance.
const kBehaviour = [
  {key: "relative_difference", title: "states: relative difference", axis: "‖h′ − h‖ / ‖h‖", unit: "share of |h|"},
  {key: "cosine.mean", title: "states: cosine", axis: "cosine", unit: "cosine", spread: "cosine.sd"},
  {key: "norm_ratio", title: "states: ratio of norms", axis: "‖h′‖ / ‖h‖", unit: "ratio"},
  {key: "lens_kl.mean", title: "next token, seen from here: KL", axis: "nats", unit: "nats", spread: "lens_kl.se"},
  {key: "lens_top1_agreement", title: "the same first choice", axis: "share", unit: "share of questions"},
];
const kDriftWeights = [
  {key: "nf_over_null", title: "weights: NF / null", axis: "ratio", unit: "ratio", level: 1},
  {key: "alpha_mean", title: "weights: α", axis: "α, mean", unit: "ratio", level: 1},
  {key: "relative_change", title: "weights: relative change", axis: "‖ΔW‖ / ‖W‖", unit: "share of |W|"},
];
const isDrawn = (context, get) => driftOf(context).blocks.some((row) => isNumber(get(row)));
const shownBehaviour = (context) => kBehaviour.filter(({key}) => isDrawn(context, (row) => memberAt(row, key)));
const shownWeights = (context) =>
    kDriftWeights.filter(({key}) => isDrawn(context, (row) => memberAt(row.weights, key)));

function driftPanels(context) {
  const x = blockAxis(context, driftOf(context).blocks.map(({block}) => block));
  const panel = ({title, axis}) => ({title, x, y: {title: axisTitle(axis), nticks: 5}});
  const block = (title, some) => ({title, panels: some.map(panel)});
  const blocks =
      [block("What the model does", shownBehaviour(context)), block("What its weights did", shownWeights(context))];
  return panelLayout(context, blocks.filter(({panels}) => panels.length), {
    minWidth: 210,
    maxColumns: 3,
    panelHeight: 150,
    gap: 62,
    nameEachY: true,
    columns: (fit) => fit,
    legend: ["base against post", "noise of the same size against base", "of the block’s weights"]
  });
}

function driftLine(context, axis, {get, spread, name, group, look, first}) {
  const {blocks} = driftOf(context), y = blocks.map(get);
  const known = y.some(isNumber);
  return {
    type: "scatter",
    mode: "lines+markers",
    ...axis,
    x: blocks.map(({block}) => block),
    y,
    name,
    legendgroup: group,
    showlegend: first,
    line: {color: look.color, width: 1.6, dash: look.dash},
    marker: {size: blocks.length > 40 ? 3 : 5, symbol: look.symbol, color: look.color},
    ...(spread ? {
      error_y: {type: "data", array: blocks.map((row) => spread(row) ?? 0), color: look.color, thickness: 0.8, width: 0}
    } :
                 {}),
    hovertemplate: `${name}<br>block %{x}: %{y:.5~g}<extra></extra>`,
    ...(known ? {} : {meta: {helper: true}})
  };
}

function driftData(context, axes) {
  const {colors} = context, behaviour = shownBehaviour(context), weights = shownWeights(context);
  const own = {color: colors.lines[0], symbol: "circle", dash: "solid"};
  const noise = {color: colors.controls[0], symbol: "diamond-open", dash: "dash"};
  const below = {color: colors.lines[1], symbol: "square", dash: "solid"};
  const blocks = driftOf(context).blocks.map(({block}) => block);
  const above = behaviour.flatMap(({key, spread}, i) => {
    const line = (from, more) =>
        driftLine(context, axes[i], {get: (row) => memberAt(from(row), key), first: i === 0, ...more});
    return [
      line((row) => row.noise, {name: "noise of the same size against base", group: "noise", look: noise}),
      line(
          (row) => row,
          {name: "base against post", group: "own", look: own, spread: spread && ((row) => memberAt(row, spread))})
    ];
  });
  const under = weights.flatMap(({key, level}, i) => {
    const axis = axes[behaviour.length + i];
    const none = level === undefined ?
        [] :
        [levelOver(context, axis, blocks, level, {name: "none", hoverinfo: "skip", meta: {helper: true}})];
    return [
      ...none, driftLine(context, axis, {
        get: (row) => memberAt(row.weights, key),
        name: "of the block’s weights",
        group: "weights",
        look: below,
        first: i === 0
      })
    ];
  });
  return [...above, ...under];
}

const kDriftFigure = probeFigure("drift", {
  id: "drift",
  title: "How far base and post part, and where their weights do",
  read:
      "Above: hidden states of base and post after each block on the same prompts, and the next token as it would be read from " +
      "there; dashed, open: the same of the base with noise of the size of the post’s change. Below, over the same blocks: what " +
      "their weights did. Bars are one standard deviation of cosines, one standard error of KL.",
  panels: driftPanels,
  build: (context, {axes}) => ({data: driftData(context, axes)}),
  tidy: {
    heads: ["block", "quantity", "value", "spread", "noise control", "unit"],
    rows: (context) => driftOf(context).blocks.flatMap(
        (row) =>
            [...kBehaviour.map(
                 ({key, spread, unit}) =>
                     [row.block, key, memberAt(row, key), spread ? memberAt(row, spread) : null,
                      memberAt(row.noise, key), unit]),
             ...kDriftWeights.map(
                 ({key, unit}) => [row.block, `weights.${key}`, memberAt(row.weights, key), null, null, unit])])
  }
});

const rotationOf = (context) => probeOf(context, "rotation");
const pairOf = (context) => named(rotationOf(context).pairs, context.state.pair);
// Beside each quantity what noise of the other post's size gives, and what else it is held against.
const kCarried = {
  carry_error: {
    title: "error of carrying",
    beside: ["carry_error_kept", "by the rotation alone"],
    unit: "share of what parts the posts"
  },
  explained: {
    title: "explained by carrying",
    beside: ["explained_by_chance", "if the sides turn independently"],
    unit: "share of what parts the posts, squared"
  },
  distance:
      {title: "distance of the rotations", beside: ["identity_distance", "from no turn at all"], unit: "over sqrt(n)"},
  turn_correlation:
      {title: "correlation of the turns", beside: ["change_correlation", "of the whole changes"], unit: "correlation"},
};
const shownCarried = ({state}) => ({key: state.quantity, ...kCarried[state.quantity]});
const carriedTypes = (pair) => kTypeOrder.filter((type) => pair.matrices.some((row) => row.type === type));

// A value a layer; of a layer's experts the median.
function carriedLine({matrices}, type, key) {
  const rows = matrices.filter((row) => row.type === type);
  const x = [...new Set(rows.map(({layer}) => layer))].sort((a, b) => a - b);
  return {x, y: x.map((layer) => median(rows.filter((row) => row.layer === layer).map((row) => row[key] ?? NaN)))};
}

const kNullName = "noise of the other’s size";
function carryPanels(context) {
  const pair = pairOf(context), {title, beside} = shownCarried(context);
  const layers = [...new Set(pair.matrices.map(({layer}) => layer))].sort((a, b) => a - b);
  return panelLayout(
      context, [{
        title: null,
        panels: carriedTypes(pair).map(
            (type) => ({title: typePlot(type), x: layerAxis(context, layers), y: {title: axisTitle(title), nticks: 6}}))
      }],
      {
        minWidth: context.narrow ? 130 : 150,
        panelHeight: context.narrow ? 140 : 170,
        sharedY: true,
        legend: [plotText(pair.name), kNullName, beside[1]]
      });
}

function carryTraces(context, axis, type, first) {
  const {key, title, beside} = shownCarried(context), pair = pairOf(context), {colors} = context;
  const line = (of, name, look) => plainLine(axis, {
    ...carriedLine(pair, type, of),
    name,
    group: of,
    first,
    mode: "lines+markers",
    marker: {symbol: look.symbol, size: 5, color: look.color},
    line: {color: look.color, width: 1.6, dash: look.dash},
    hovertemplate: `${typePlot(type)}, layer %{x}<br>${name}<br>${title} %{y:.4f}<extra></extra>`
  });
  return [
    line(beside[0], beside[1], {color: colors.null, symbol: "square-open", dash: "dot"}),
    line(`${key}_null`, kNullName, {color: colors.controls[0], symbol: "diamond-open", dash: "dash"}),
    line(key, plotText(pair.name), {color: colors.lines[0], symbol: "circle", dash: "solid"})
  ];
}

const kCarryFigure = probeFigure("rotation", {
  id: "carry",
  title: "Is one post’s rotation another’s?",
  read:
      "Error of carrying (eq. 23): what is left of the difference of the two posts when one is carried into the other by the " +
      "rotation that parts theirs; at 1 it does no better than the post as it is. Dashed, open: the same where noise of the " +
      "other’s size stands in its place, which shares nothing. Or how far the two rotations are from each other, and how their " +
      "turns correlate, beside what whole changes have in common.",
  choices: (result) =>
      [{key: "pair", label: "Pair", options: namesOver(result, "rotation", ({pairs}) => pairs.map(({name}) => name))},
       {key: "quantity", label: "Shown", options: Object.entries(kCarried).map(([key, {title}]) => [key, title])}],
  about: (context) => pairOf(context).name,
  subject: (context) => ({name: rotationOf(context).name, task: pairOf(context).name.replace(" → ", "-")}),
  panels: carryPanels,
  build: (context, {axes}) =>
      ({data: carriedTypes(pairOf(context)).flatMap((type, t) => carryTraces(context, axes[t], type, t === 0))}),
  tidy: {
    heads: ["pair", "type", "layer", "quantity", "value", "null", "beside", "unit"],
    rows(context) {
      const {name, matrices} = pairOf(context);
      return matrices.flatMap(
          (row) => Object.entries(kCarried).map(
              ([
                key, {beside, unit}
              ]) => [name, row.type, row.layer, key, row[key], row[`${key}_null`], row[beside[0]], unit]));
    }
  },
  states: (context) => rotationOf(context).pairs.map(({name}) => ({pair: name}))
});
