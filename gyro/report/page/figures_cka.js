// CKA between blocks (the paper's Figures 6 and 19): a heatmap a subject, their diagonals, how far each is from the
// original's.

const ckaOf = (context) => probeOf(context, "cka");
function shownReading(context) {
  const {readings} = ckaOf(context);
  return Math.max(0, readings.findIndex(({name}) => name === context.state.reading));
}
const readingChoice = (result) => ({
  key: "reading",
  label: "Reading",
  options: namesOver(result, "cka", ({readings}) => readings.map(({name}) => name))
               .map(([value, text]) => [value, text.replaceAll("_", " ")])
});
const originalOf = ({subjects}) => subjects.find(({kind}) => kind === "original") ?? subjects[0];

// What is drawn of a subject: its matrix, or how far it is from the original's; null where one is not defined.
function ckaRows(context, subject) {
  const reading = shownReading(context), own = subject.get(reading), other = originalOf(ckaOf(context)).get(reading);
  if (context.state.values !== "difference") return own;
  return own && other && differenceRows(other, own);
}
const ckaShown = (context) => {
  const {subjects} = ckaOf(context), original = originalOf(ckaOf(context));
  const others = subjects.filter((subject) => subject !== original);
  return context.state.values === "difference" && others.length ? others : [original, ...others];
};

// The mean size of what parts two matrices, and where it is largest.
function ckaDistance(probe, subject, reading) {
  const own = subject.get(reading), other = originalOf(probe).get(reading);
  if (!own || !other) return null;
  return meanKnown(differenceRows(other, own).flat().filter(isNumber).map(Math.abs));
}
const distanceText = (probe, subject, reading) => {
  if (subject === originalOf(probe)) return "against itself";
  const distance = ckaDistance(probe, subject, reading);
  return isNumber(distance) ? `off by ${significant(distance, 2)}` : "not defined";
};

function ckaPanels(context) {
  const probe = ckaOf(context), reading = shownReading(context), size = probe.layers;
  const axis = {range: [-0.5, size - 0.5], showgrid: false, constrain: "domain", nticks: 6, tick0: 0};
  const panels =
      ckaShown(context).map((subject) => ({
                              title: subjectName(subject, context.narrow ? 20 : 34),
                              sub: subject.kind === "control" ? `control, ${distanceText(probe, subject, reading)}` :
                                                                distanceText(probe, subject, reading),
                              x: {...axis, title: axisTitle("block of the subject")},
                              y: {...axis, title: axisTitle("block of the original")}
                            }));
  return panelLayout(context, [{title: null, panels}], {
    minWidth: context.narrow ? 112 : 145,
    maxColumns: 4,
    panelHeight: (width) => Math.min(width, 300),
    gap: 34,
    left: 52,
    bottom: 96
  });
}

function ckaColors(context, layout, values) {
  const known = finite(values), difference = context.state.values === "difference";
  const range = difference ? largestOf([known]) : 1;
  const low = context.state.scale === "whole" || !known.length ? 0 : Math.floor(20 * Math.min(...known)) / 20;
  const ends = {tickvals: [low, (low + 1) / 2, 1], ticktext: [low, (low + 1) / 2, 1].map((tick) => fixed(tick, 2))};
  layout.coloraxis = difference ?
      {
        colorscale: diverging(),
        cmin: -range,
        cmax: range,
        colorbar: lyingBar("difference", {...bothEnds(range), len: 0.6})
      } :
      {colorscale: kCividis, cmin: low, cmax: 1, colorbar: lyingBar("CKA", {...ends, len: 0.6})};
}

const kCkaFigure = probeFigure("cka", {
  id: "cka",
  title: "Representations, block by block",
  read:
      "Linear CKA of hidden states over questions: 1 where two blocks hold the same up to a turn and a scale. Up, blocks of the " +
      "post as it is; across, blocks of the subject; the first panel is the post against itself. All share one range of colours. " +
      "“Off by” is the mean size of what parts a matrix from the original’s: compare it with that of controls.",
  choices: (result) =>
      [readingChoice(result),
       {key: "values", label: "Values", options: [["cka", "CKA"], ["difference", "less the original’s"]]},
       {key: "scale", label: "Colours", options: [["fitted", "from the least value"], ["whole", "from 0 to 1"]]}],
  subject: (context) => ({
    name: ckaOf(context).name,
    task: ckaOf(context).readings[shownReading(context)].name +
        (context.state.values === "difference" ? "-difference" : "")
  }),
  panels: ckaPanels,
  build(context, {layout, axes}) {
    const shown = ckaShown(context), blocks = Array.from({length: ckaOf(context).layers}, (_, i) => i);
    const rows = shown.map((subject) => ckaRows(context, subject));
    ckaColors(context, layout, rows.flatMap((values) => values?.flat() ?? []));
    const data =
        shown.map((subject, s) => ({
                    type: "heatmap",
                    ...axes[s],
                    x: blocks,
                    y: blocks,
                    z: rows[s] ?? blocks.map(() => blocks.map(() => null)),
                    coloraxis: "coloraxis",
                    hoverongaps: false,
                    hovertemplate: `${subjectName(subject)}<br>original %{y}, subject %{x}<br>%{z:.4f}<extra></extra>`
                  }));
    const without = shown.filter((_, s) => !rows[s]).map(({name}) => name);
    const {description} = ckaOf(context).readings[shownReading(context)];
    return {
      data,
      note: `${description}${without.length ? `${description ? ". " : ""}Not defined: ${without.join(", ")}.` : ""}`
    };
  },
  tidy: {
    heads: ["subject", "kind", "reading", "block", "of subject", "quantity", "value", "original", "unit"],
    rows(context) {
      const probe = ckaOf(context), reading = shownReading(context), {name} = probe.readings[reading];
      const original = originalOf(probe).get(reading);
      return probe.subjects.flatMap(
          (subject) => (subject.get(reading) ?? [])
                           .flatMap(
                               (row, i) => row.map(
                                   (value, j) =>
                                       [subject.name, subject.kind, name, i, j, "cka", shortened(value),
                                        shortened(original?.[i][j]), "CKA"])));
    }
  },
  states: (context) => ckaOf(context).readings.flatMap(
      ({name}) =>
          [{reading: name, values: "cka"},
           ...(ckaOf(context).subjects.length > 1 ? [{reading: name, values: "difference"}] : [])])
});

const diagonalOf = (rows) => rows?.map((row, i) => row[i]) ?? [];

const kCkaDiagonalFigure = probeFigure("cka", {
  id: "cka-diagonal",
  title: "The same block in both",
  read:
      "The diagonals of those matrices: CKA of a block’s hidden states in the post as it is and in the subject. 1: the block still " +
      "holds the same, up to a turn and a scale. Controls are dashed, open.",
  choices: (result) => [readingChoice(result)],
  subject: (context) => ({name: ckaOf(context).name, task: ckaOf(context).readings[shownReading(context)].name}),
  panels(context) {
    const {subjects, layers} = ckaOf(context), blocks = Array.from({length: layers}, (_, i) => i);
    return panelLayout(
        context,
        [{title: null, panels: [{title: "", x: blockAxis(context, blocks), y: {title: axisTitle("CKA"), nticks: 6}}]}],
        {panelHeight: 260, legend: subjects.map(({name}) => shorten(name, 40))});
  },
  build(context, {axes: [axis]}) {
    const {subjects, layers} = ckaOf(context), x = Array.from({length: layers}, (_, i) => i),
                     reading = shownReading(context);
    const data = subjects.map((subject) => subjectLine(context, axis, {
                                subjects,
                                subject,
                                x,
                                y: subject.get(reading) ? diagonalOf(subject.get(reading)) : x.map(() => null),
                                first: true,
                                hovertemplate: `${subjectName(subject)}<br>block %{x}: %{y:.4f}<extra></extra>`
                              }));
    return {data: data.reverse()};
  },
  tidy: {
    heads: ["subject", "kind", "reading", "block", "quantity", "value", "original", "unit"],
    rows(context) {
      const probe = ckaOf(context), reading = shownReading(context), {name} = probe.readings[reading];
      const original = diagonalOf(originalOf(probe).get(reading));
      return probe.subjects.flatMap(
          (subject) => diagonalOf(subject.get(reading))
                           .map(
                               (value, i) =>
                                   [subject.name, subject.kind, name, i, "cka diagonal", shortened(value),
                                    shortened(original[i]), "CKA"]));
    }
  },
  states: (context) => ckaOf(context).readings.map(({name}) => ({reading: name}))
});
