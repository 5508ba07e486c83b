// How the figures of each type go with the checkpoints of a series (--trajectory).

const kTrajectoryFigures = {
  relative_change: "relative change ‖ΔW‖ / ‖W‖",
  to_base_u: "overlap with the base’s leading tenth, input side",
  to_base_v: "overlap with the base’s leading tenth, output side",
  to_last_u: "overlap with the last checkpoint’s leading tenth, input side",
  to_last_v: "overlap with the last checkpoint’s leading tenth, output side",
  principal_share_u: "energy on the leading tenth, input side",
  principal_share_v: "energy on the leading tenth, output side",
  alpha_mean: "α mean",
  alpha_std: "α std",
  scale: "scale c",
  nf_robust: "robust NF",
  nss_c: "spectrum’s shift beside one scale",
  erank: "effective rank",
  ww_alpha: "tail exponent (WeightWatcher)",
};
const trajectoryLine = ({result, state}, type) =>
    result.trajectory.lines.find((line) => line.type === type && line.figure === state.trajectory);
// The base stands before the first step.
const trajectoryX = (line) => [0, ...line.values.map((_, i) => i + 1)];
const trajectoryY = (line) => [line.at_base, ...line.values];

function halfWayTrace(line, type, axis, steps) {
  const at = line.half_way;
  if (!isNumber(at)) return [];
  return [{
    type: "scatter",
    mode: "markers",
    ...axis,
    x: [at + 1],
    y: [line.values[at]],
    marker: {size: 12, symbol: "circle-open", color: colors().text, line: {width: 2}},
    showlegend: false,
    hovertemplate: `${typePlot(type)}: half of its way by ${steps[at]}<extra></extra>`
  }];
}

const kTrajectoryFigure = {
  id: "trajectory",
  title: "With the checkpoints",
  read:
      "One figure of each type, pooled over layers, at the base and at each checkpoint in the order given. The ring is the first " +
      "checkpoint at which it has gone half of its way from the base to the last one. The long side of a matrix that is not square " +
      "has no overlap with the last checkpoint, nor has the base a share of energy.",
  uses: ["type"],
  choices: ({trajectory}) => {
    const known = ([key]) => trajectory.lines.some(({figure, values}) => figure === key && values.some(isNumber));
    return [{key: "trajectory", label: "Figure", options: Object.entries(kTrajectoryFigures).filter(known)}];
  },
  panels(context) {
    const count = context.result.trajectory.steps.length + 1, every = Math.ceil(count / (context.narrow ? 5 : 9));
    const shown = [...Array(count).keys()].filter((i) => i % every === 0);
    const x = {tickvals: shown, ticktext: shown.map((i) => (i ? String(i) : "base")), range: [-0.3, count - 0.7]};
    const panels = shownTypes(context).map((type) => ({title: typePlot(type), x, y: {nticks: 5}}));
    return panelLayout(
        context, [{title: null, panels}], {minWidth: context.narrow ? 130 : 170, maxColumns: 4, gap: 52});
  },
  build(context, {axes}) {
    const {steps} = context.result.trajectory;
    const data = shownTypes(context).flatMap((type, t) => {
      const line = trajectoryLine(context, type);
      if (!line) return [];
      return [
        {
          type: "scatter",
          mode: "lines+markers",
          ...axes[t],
          x: trajectoryX(line),
          y: trajectoryY(line),
          text: ["base", ...steps],
          line: {color: colors().lines[0], width: 2},
          marker: {size: 6},
          showlegend: false,
          hovertemplate: `${typePlot(type)}, %{text}: %{y:.5~g}<extra></extra>`
        },
        ...halfWayTrace(line, type, axes[t], steps)
      ];
    });
    const names = steps.map((name, i) => `${i + 1} ${shorten(name, 24)}`);
    return {data, note: `Checkpoints: ${names.slice(0, 12).join(", ")}${names.length > 12 ? ", …" : ""}.`};
  },
  tidy: {
    heads: ["type", "figure", "step", "value", "half_way"],
    rows: ({result: {trajectory: {lines, steps}}}) => lines.flatMap(
        ({type, figure, at_base: atBase, values, half_way: at}) => [atBase, ...values].map(
            (value, i) => [type, figure, ["base", ...steps][i], shortened(value), isNumber(at) ? steps[at] : null]))
  },
  states: ({trajectory}) => [...new Set(trajectory.lines.map(({figure}) => figure))].map(
      (figure) => ({trajectory: figure})),
};

const trajectorySection = (result) => (result.trajectory ? [makeFigure(result, kTrajectoryFigure)] : []);
