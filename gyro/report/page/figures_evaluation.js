// Accuracies beside the original's, the matrix of questions, lengths of answers: rows are variants.

const kMarksNote =
    "-: collapse, no answer in the form that was asked for in at least 99 % of outputs. †: more than 2 % of " +
    "the answers were cut at the limit of tokens, so that the accuracy says something of the limit.";
const kRowHeight = 19;

// How a kind of row is drawn: colour, and a symbol that tells it apart without.
function kindLook({colors}, kind) {
  if (kind === "original") return {color: colors.reference, symbol: "square"};
  return kind === "control" ? {color: colors.lines[1], symbol: "diamond"} : {color: colors.lines[0], symbol: "circle"};
}
const kKinds = {
  original: "original",
  variant: "variant",
  control: "control"
};

// The axis of variants, and the room that its names need.
function variantAxis(context, {rows}) {
  const letters = context.narrow ? 9.5 : 11.5;
  const names = rows.map(({name}) => shorten(name, context.narrow ? 30 : 44));
  const colored = (i) => {
    const text = plotText(names[i]);
    return rows[i].kind === "control" ? `<span style="color:${kindLook(context, "control").color}">${text}</span>` :
                                        text;
  };
  const axis = {
    tickvals: rows.map((_, i) => i),
    ticktext: rows.map((_, i) => colored(i)),
    range: [rows.length - 0.5, -0.5],
    tickfont: {size: letters, color: context.colors.text},
    ticks: "",
    showgrid: false,
  };
  return {axis, left: 16 + 0.585 * letters * Math.max(6, ...names.map((name) => name.length))};
}

// A line between the paper's variants and the controls, in each panel.
function partControls(context, {rows}, layout, axes) {
  const first = rows.findIndex(({kind}) => kind === "control");
  if (first < 1) return;
  for (const {xaxis, yaxis} of axes)
    layout.shapes.push(ruler(`${xaxis} domain`, yaxis, [0, 1], [first - 0.5, first - 0.5], context.colors.axis, 1));
}

const shareAxis = (title, range) => ({title: axisTitle(title), tickformat: ".0%", range, nticks: 6});

const pointsText = (cell) =>
    (cell.against ? `<br>difference ${signed(cell.against.difference)} points, adjusted p ${
                        plotText(pText(cell.against.p_adjusted))}` :
                    "");

function dotTraces(context, axis, {rows}, task, first) {
  const forms = [["accuracy", "", 0], ["accuracy_flexible", "-open", 0.27]];
  return Object.keys(kKinds).flatMap((kind) => forms.flatMap(([key, open, below]) => {
    const some = rows.map((row, i) => [row, i]).filter(([row]) => row.kind === kind);
    const cells = some.map(([row]) => task.cells[row.index]), {color, symbol} = kindLook(context, kind);
    if (!some.length) return [];
    const side = (end, sign) => cells.map((cell) => sign * (cell[key][end] - cell[key].mean));
    return [{
      type: "scatter",
      mode: "markers",
      ...axis,
      x: cells.map((cell) => cell[key].mean),
      y: some.map(([, i]) => i + below),
      name: kKinds[kind] + (open ? ", in any form" : ""),
      legendgroup: kind + open,
      showlegend: first,
      marker: {color, symbol: symbol + open, size: open ? 5.5 : 7.5, line: {width: open ? 1.2 : 0, color}},
      error_x: {
        type: "data",
        array: side("high", 1),
        arrayminus: side("low", -1),
        color,
        thickness: open ? 0.8 : 1.5,
        width: 0
      },
      text: some.map(
          ([row], i) => `${plotText(row.name)}${open ? ", in any form" : ""}<br>${percent(cells[i][key].mean)} ${
              plotText(intervalText(cells[i][key]))} ${marksOf(cells[i])}${open ? "" : pointsText(cells[i])}`),
      hovertemplate: "%{text}<extra></extra>",
    }];
  }));
}

// The original as a line with its band.
function originalLine(context, axis, {rows}, task, first) {
  const {mean, low, high} = task.cells[0].accuracy, {colors} = context, ends = [-0.5, rows.length - 0.5];
  const helper = {type: "scatter", mode: "lines", ...axis, hoverinfo: "skip", meta: {helper: true}};
  return [
    {
      ...helper,
      x: [low, high, high, low],
      y: [ends[0], ends[0], ends[1], ends[1]],
      fill: "toself",
      fillcolor: colors.band,
      line: {width: 0},
      showlegend: false
    },
    {
      ...helper,
      x: [mean, mean],
      y: ends,
      line: {color: colors.reference, width: 1.2, dash: "dash"},
      name: "the original’s accuracy and 95 %",
      showlegend: first
    }
  ];
}

const markTexts = (context, axis, {rows}, {cells}) => ({
  type: "scatter",
  mode: "text",
  ...axis,
  x: rows.map(() => (context.narrow ? 1.12 : 1.065)),
  y: rows.map((_, i) => i),
  text: rows.map(({index}) => marksOf(cells[index])),
  textfont: {size: 13, color: context.colors.text},
  hoverinfo: "skip",
  showlegend: false,
  meta: {helper: true}
});

const kEvaluationHeads =
    ["task", "variant", "role", "question", "quantity", "value", "low", "high", "original", "unit"];
// `make(cell, original, add)` adds the lines of a variant's answers to a task: quantity, value, low, high, original,
// unit.
function cellRows(context, make) {
  const {tasks, rows} = evaluationOf(context);
  return tasks.flatMap((task) => rows.flatMap(({name, kind, index}) => {
    const lines = [];
    make({cell: task.cells[index], original: task.cells[0], task, index}, (...line) => {
      lines.push([task.name, name, kind, null, ...line]);
    });
    return lines;
  }));
}

const kAccuracyFigure = {
  id: "accuracy",
  title: "How many questions are answered right",
  read:
      "Filled: in the form that was asked for; hollow, below: in any form. Lines are 95 % intervals over questions. " +
      "Dashed, with its band: the original. Circles are the paper’s variants; diamonds, below the line, are controls: an " +
      "aligned or a fake base, noise, or the base’s own matrices. A variant whose control falls as far says nothing of the base. " +
      kMarksNote,
  uses: ["evaluation"],
  evaluated: true,
  about: (context) => evaluationOf(context).name,
  subject: (context) => ({name: evaluationOf(context).name, task: null}),
  panels(context) {
    const evaluation = evaluationOf(context), {axis: y, left} = variantAxis(context, evaluation);
    const panels = evaluation.tasks.map(
        (task) => ({
          title: plotText(shorten(task.name, 40)),
          sub: `${plural(task.cells[0].questions, "question")} × ${plural(task.cells[0].repeats, "repeat")}`,
          x: {
            ...shareAxis("answered right", context.narrow ? [-0.04, 1.2] : [-0.03, 1.11]),
            tickvals: [0, 0.25, 0.5, 0.75, 1]
          },
          y
        }));
    return panelLayout(context, [{title: null, panels}], {
      minWidth: 210,
      maxColumns: 3,
      panelHeight: kRowHeight * evaluation.rows.length + 8,
      sharedY: true,
      left,
      legend: [...new Set(evaluation.rows.map(({kind}) => kind))]
                  .flatMap((kind) => [kKinds[kind], `${kind}, in any form`])
                  .concat("the original’s accuracy and 95 %")
    });
  },
  build(context, {layout, axes}) {
    const evaluation = evaluationOf(context);
    partControls(context, evaluation, layout, axes);
    const data = evaluation.tasks.flatMap(
        (task, t) =>
            [...originalLine(context, axes[t], evaluation, task, t === 0),
             ...dotTraces(context, axes[t], evaluation, task, t === 0), markTexts(context, axes[t], evaluation, task)]);
    return {data};
  },
  tidy: {
    heads: kEvaluationHeads,
    rows: (context) => cellRows(
        context,
        ({cell, original}, add) => {
          for (const key of ["accuracy", "accuracy_flexible"])
            add(key, cell[key].mean, cell[key].low, cell[key].high, original[key].mean, "share of questions");
          add("decoding_noise", cell.decoding_noise, null, null, original.decoding_noise, "share of questions");
          add("no_answer", cell.no_answer, null, null, original.no_answer, "share of answers");
          add("collapsed", Number(cell.collapsed), null, null, Number(original.collapsed), "1: yes");
          if (!cell.against) return;
          const {difference, low, high, p_adjusted: p, detectable} = cell.against;
          add("difference", difference, low, high, 0, "share of questions");
          add("p_adjusted", p, null, null, null, "probability");
          add("detectable", detectable, null, null, null, "share of questions");
        })
  },
};

// Places of a task's questions: those first that the original answers, among them those that most variants answer.
function questionOrder({matrix: {ids, right}}) {
  const answered = ids.map((_, q) => right.reduce((sum, row) => sum + (row[q] >= 0.5), 0));
  return ids.map((_, q) => q).sort((a, b) => right[0][b] - right[0][a] || answered[b] - answered[a] || a - b);
}

const taskNames =
    (result) => [...new Set((result.evaluations ?? []).flatMap(({tasks}) => tasks.map(({name}) => name)))];

const kQuestionsFigure = {
  id: "questions",
  title: "Which questions are answered right, by which variant",
  read:
      "A column a question: first those that the original answers in most of its repeats, among them those that most " +
      "variants answer. The colour is the share of repeats answered right, in the form that was asked for. Variants of " +
      "equal accuracy may answer the same questions, or others.",
  uses: ["evaluation"],
  evaluated: true,
  choices: (result) => [{key: "task", label: "Task", options: taskNames(result).map((name) => [name, name])}],
  about: (context) => `${evaluationOf(context).name}, ${taskOf(context).name}`,
  subject: (context) => ({name: evaluationOf(context).name, task: taskOf(context).name}),
  panels(context) {
    const evaluation = evaluationOf(context), task = taskOf(context),
          {axis: y, left} = variantAxis(context, evaluation);
    const n = task.matrix.ids.length;
    const x = {
      title: axisTitle(context.narrow ? "questions" : "questions, the original’s right ones first"),
      range: [0.5, n + 0.5],
      nticks: 8,
      showgrid: false
    };
    return panelLayout(
        context, [{title: null, panels: [{title: plotText(shorten(task.name, 40)), x, y}]}],
        {panelHeight: kRowHeight * evaluation.rows.length + 8, left, bottom: 96});
  },
  build(context, {layout, axes: [axis]}) {
    const evaluation = evaluationOf(context), task = taskOf(context), order = questionOrder(task);
    const {ids, texts, right} = task.matrix;
    layout.coloraxis = {
      colorscale: kCividis,
      cmin: 0,
      cmax: 1,
      colorbar: lyingBar(
          context.narrow ? "share right" : "share of repeats answered right",
          {tickvals: [0, 0.5, 1], ticktext: ["0", "½", "all"], len: 0.6})
    };
    const text = order.map((q) => plotText(`${visible(ids[q])}: ${shorten(visible(texts[q] ?? ""), 90)}`));
    return {
      data: [{
        type: "heatmap",
        ...axis,
        x: order.map((_, i) => i + 1),
        y: evaluation.rows.map((_, i) => i),
        z: evaluation.rows.map(({index}) => order.map((q) => right[index][q])),
        text: evaluation.rows.map(() => text),
        coloraxis: "coloraxis",
        xgap: order.length <= 120 && !context.narrow ? 0.5 : 0,
        ygap: 1,
        hovertemplate: "question %{text}<br>%{y}: right in %{z:.0%} of repeats<extra></extra>",
      }]
    };
  },
  tidy: {
    heads: kEvaluationHeads,
    rows(context) {
      const {rows} = evaluationOf(context), task = taskOf(context), {ids, right} = task.matrix;
      return rows.flatMap(
          ({name, kind, index}) => questionOrder(task).map(
              (q) =>
                  [task.name, name, kind, visible(ids[q]), "right", right[index][q], null, null, right[0][q],
                   "share of repeats"]));
    }
  },
  states: (context) => evaluationOf(context).tasks.map(({name}) => ({task: name})),
};

// Of lengths: from one quantile to another, about the median. `known`: [{row, i, of: the quantiles}].
const lengthSpread = (axis, known, [low, high], {color, thickness, ...more}) => ({
  type: "scatter",
  mode: "markers",
  ...axis,
  x: known.map(({of}) => of[2]),
  y: known.map(({i}) => i),
  error_x: {
    type: "data",
    array: known.map(({of}) => of[high] - of[2]),
    arrayminus: known.map(({of}) => of[2] - of[low]),
    color,
    thickness,
    width: 0
  },
  text: known.map(
      ({row, of}) =>
          `${plotText(row.name)}<br>median ${of[2]}, half ${of[1]} to ${of[3]}, nine tenths ${of[0]} to ${of[4]}`),
  hovertemplate: "%{text}<extra></extra>",
  ...more
});

const meanLengths = (context, axis, some) => ({
  type: "scatter",
  mode: "markers",
  ...axis,
  x: some.map(({mean}) => mean),
  y: some.map(({i}) => i),
  name: "mean",
  legendgroup: "mean",
  marker: {symbol: "line-ns-open", size: 11, line: {width: 2, color: context.colors.text}, color: context.colors.text},
  hovertemplate: "mean %{x:.1f} tokens<extra></extra>"
});

function lengthTraces(context, axis, {rows}, task, first) {
  return Object.keys(kKinds).flatMap((kind) => {
    const {color, symbol} = kindLook(context, kind);
    const some =
        rows.map((row, i) => ({row, i, of: task.lengths?.[row.index]?.quantiles, mean: task.cells[row.index].tokens}))
            .filter(({row}) => row.kind === kind);
    const known = some.filter(({of}) => of);
    if (!some.length) return [];
    const hidden = {marker: {opacity: 0, size: 1}, showlegend: false, hoverinfo: "skip", hovertemplate: null};
    const marker = {color: context.colors.surface, symbol, size: 6.5, line: {width: 1.5, color}};
    const name = `${kKinds[kind]}: median, half, nine tenths`;
    const spreads = [
      lengthSpread(axis, known, [1, 3], {color, thickness: 6, ...hidden, meta: {helper: true}}),
      lengthSpread(axis, known, [0, 4], {color, thickness: 1.2, name, legendgroup: kind, showlegend: first, marker})
    ];
    const means = {...meanLengths(context, axis, some), showlegend: first && kind === "original"};
    return known.length ? [...spreads, means] : [means];
  });
}

const cutTraces = (context, axis, {rows}, {cells}) => Object.keys(kKinds).flatMap((kind) => {
  const some = rows.map((row, i) => [row, i]).filter(([row]) => row.kind === kind),
        {color, symbol} = kindLook(context, kind);
  return some.length ? [{
    type: "scatter",
    mode: "markers",
    ...axis,
    x: some.map(([{index}]) => cells[index].truncated),
    y: some.map(([, i]) => i),
    name: `${kKinds[kind]}, cut`,
    showlegend: false,
    marker: {color, symbol, size: 8},
    text: some.map(([{name}]) => plotText(name)),
    hovertemplate: "%{text}<br>%{x:.1%} cut<extra></extra>"
  }] :
                       [];
});

const kLengthsFigure = {
  id: "lengths",
  title: "How long answers are, and how many were cut",
  read:
      "The median, the middle half (thick) and the middle nine tenths (thin) of the lengths of all answers in tokens; a " +
      "stroke: their mean. Right: the share of answers that were cut at the limit; beyond 2 % (dashed) the accuracy says " +
      "something of the limit.",
  uses: ["evaluation"],
  evaluated: true,
  about: (context) => evaluationOf(context).name,
  subject: (context) => ({name: evaluationOf(context).name, task: null}),
  panels(context) {
    const evaluation = evaluationOf(context), {axis: y, left} = variantAxis(context, evaluation);
    const blocks = evaluation.tasks.map(
        (task) => ({
          title: evaluation.tasks.length > 1 ? plotText(shorten(task.name, 40)) : null,
          panels: [
            {
              title: "length",
              x: {title: axisTitle("tokens"), rangemode: "tozero", nticks: context.narrow ? 3 : 6, tickangle: 0},
              y
            },
            {
              title: context.narrow ? "cut" : "cut at the limit",
              x: {...shareAxis("share", [-0.05, 1.05]), tickangle: 0, nticks: context.narrow ? 3 : 6},
              y
            }
          ]
        }));
    const kinds = [...new Set(evaluation.rows.map(({kind}) => kind))];
    return panelLayout(context, blocks, {
      minWidth: context.narrow ? 60 : 180,
      maxColumns: 2,
      panelHeight: kRowHeight * evaluation.rows.length + 8,
      sharedY: true,
      nameEachY: true,
      left,
      legend: kinds.map((kind) => `${kKinds[kind]}: median, half, nine tenths`).concat("mean")
    });
  },
  build(context, {layout, axes}) {
    const evaluation = evaluationOf(context), limit = evaluation.options.max_tokens;
    partControls(context, evaluation, layout, axes);
    const ends = [-0.5, evaluation.rows.length - 0.5];
    axes.forEach(({xaxis, yaxis}, i) => {
      if (i % 2)
        layout.shapes.push({
          ...ruler(xaxis, yaxis, [kMuchTruncated, kMuchTruncated], ends, context.colors.reference, 1.2),
          line: {color: context.colors.reference, width: 1.2, dash: "dash"}
        });
    });
    const data = evaluation.tasks.flatMap(
        (task, t) =>
            [...lengthTraces(context, axes[2 * t], evaluation, task, t === 0),
             ...cutTraces(context, axes[2 * t + 1], evaluation, task)]);
    const known = evaluation.tasks.some(({lengths}) => lengths);
    return {
      data,
      note: `${isNumber(limit) ? `The limit was ${plural(limit, "token")}.` : ""}${
          known ? "" : " samples.jsonl is not beside eval.json: means alone are known."}`
    };
  },
  tidy: {
    heads: kEvaluationHeads,
    rows: (context) => cellRows(
        context,
        ({cell, original, task, index}, add) => {
          add("tokens", cell.tokens, null, null, original.tokens, "tokens, mean");
          const own = task.lengths?.[index]?.quantiles, other = task.lengths?.[0]?.quantiles;
          ["5", "25", "50", "75", "95"].forEach((name, i) => {
            if (own) add(`tokens_q${name}`, own[i], null, null, other?.[i] ?? null, "tokens");
          });
          add("truncated", cell.truncated, null, null, original.truncated, "share of answers");
        })
  },
};
