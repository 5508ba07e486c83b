// Attention of the last prompt row: entropies by block (the paper's Figures 4b and 15 to 18), maps (Figure 4a), and how
// far a temperature explains what changed (G.1).

const attentionOf = (context) => probeOf(context, "attention");
const kAllQuestions = "mean of all";

// Which questions are shown: one, or all.
function shownQuestions(context) {
  const {questions} = attentionOf(context), place = questions.findIndex(({name}) => name === context.state.question);
  return place < 0 ? questions.map((_, q) => q) : [place];
}
const questionText = (context) => {
  const shown = shownQuestions(context), {questions} = attentionOf(context);
  return shown.length === 1 ? questions[shown[0]].name : `mean of ${shown.length} questions`;
};

// A value a block, over the shown questions; of those where it is defined.
function overQuestions(context, get) {
  const rows = shownQuestions(context).map(get);
  return rows[0].map((_, b) => meanKnown(rows.map((row) => row[b])));
}

const entropyOf = (context, subject) =>
    overQuestions(context, (q) => (context.state.shown === "of_mean" ? subject.ofMean(q) : subject.mean(q)));
function headsOf(context, subject) {
  const {blocks} = attentionOf(context), rows = shownQuestions(context).map((q) => subject.entropy(q));
  return blocks.map((_, b) => Array.from({length: subject.heads}, (_, h) => meanKnown(rows.map((row) => row[b][h]))));
}

function entropyPanels(context) {
  const {subjects, blocks} = attentionOf(context), x = blockAxis(context, blocks);
  const others = subjects.filter(({kind}) => kind !== "original"), title = axisTitle("entropy, nats");
  const names = subjects.map((subject) => shorten(subject.name, 40));
  if (context.state.shown === "heads") {
    const shown = others.length ? others : subjects;
    return panelLayout(
        context, [{
          title: null,
          panels:
              shown.map((subject) => ({title: subjectName(subject, 34), x, y: {title, rangemode: "tozero", nticks: 6}}))
        }],
        {
          minWidth: 230,
          maxColumns: 3,
          panelHeight: 190,
          sharedY: true,
          legend: [...names, "ln n, the most there can be"]
        });
  }
  const panels = [
    {title: "entropy", x, y: {title, rangemode: "tozero", nticks: 6}},
    ...(others.length ? [{title: "less the original’s", x, y: {title: axisTitle("nats"), nticks: 6}}] : [])
  ];
  return panelLayout(context, [{title: null, panels}], {
    minWidth: 300,
    maxColumns: 2,
    panelHeight: 260,
    gap: 62,
    nameEachY: true,
    legend: [...names, "ln n, the most there can be"]
  });
}

// ln of how many keys the last row sees: the entropy of one that attends to all alike.
const uniformLine = (context, axis, first) => plainLine(axis, {
  x: attentionOf(context).blocks,
  y: overQuestions(context, attentionOf(context).logKeys),
  name: "ln n, the most there can be",
  group: "uniform",
  first,
  line: {color: context.colors.null, width: 1.4, dash: "dot"},
  hovertemplate: "uniform: %{y:.3f} nats<extra></extra>"
});

function entropyLines(context, axes) {
  const {subjects, blocks: x} = attentionOf(context), original = subjects.find(({kind}) => kind === "original");
  const reference = original && entropyOf(context, original);
  const lines = subjects.flatMap((subject) => {
    const y = entropyOf(context, subject), name = subjectName(subject);
    const rest = axes[1] && reference ?
        y.map((value, b) => (isNumber(value) && isNumber(reference[b]) ? value - reference[b] : null)) :
        null;
    const common = {subjects, subject, x};
    return [
      subjectLine(
          context, axes[0],
          {...common, y, first: true, hovertemplate: `${name}<br>block %{x}: %{y:.4f} nats<extra></extra>`}),
      ...(rest && subject !== original ?
              [subjectLine(
                  context, axes[1],
                  {...common, y: rest, hovertemplate: `${name}<br>block %{x}: %{y:+.4f} nats<extra></extra>`})] :
              [])
    ];
  });
  const level =
      axes[1] ? [levelOver(context, axes[1], x, 0, {name: "none", hoverinfo: "skip", meta: {helper: true}})] : [];
  return [uniformLine(context, axes[0], true), ...level, ...lines.reverse()];
}

// All heads of a block as points, and their mean as a line.
function headPoints(context, axis, subject, shift, first) {
  const {subjects, blocks} = attentionOf(context), {color, symbol} = subjectLook(context, subjects, subject);
  const heads = headsOf(context, subject), name = subjectName(subject);
  const points =
      heads.flatMap((row, b) => row.map((value, h) => ({x: blocks[b] + shift, y: value, h, block: blocks[b]})));
  return [
    {
      type: "scatter",
      mode: "markers",
      ...axis,
      x: points.map(({x}) => x),
      y: points.map(({y}) => y),
      name: `${name}, heads`,
      legendgroup: `s${subject.index}`,
      showlegend: false,
      marker: {color: fade(color, 0.5), size: context.narrow ? 3 : 4},
      text: points.map(({h, block}) => `block ${block}, head ${h}`),
      hovertemplate: `${name}<br>%{text}: %{y:.4f} nats<extra></extra>`
    },
    {
      ...subjectLine(
          context, axis, {subjects, subject, x: blocks.map((block) => block + shift), y: heads.map(meanKnown), first}),
      marker: {size: 6, symbol, color},
      hovertemplate: `${name}, mean<br>%{y:.4f} nats<extra></extra>`
    }
  ];
}

function entropyHeads(context, axes) {
  const {subjects, blocks} = attentionOf(context), original = subjects.find(({kind}) => kind === "original");
  const others = subjects.filter((subject) => subject !== original), shown = others.length ? others : [original];
  const step = blocks.length > 1 ? Math.min(...blocks.slice(1).map((block, b) => block - blocks[b])) : 1;
  return shown.flatMap((subject, i) => {
    const both = subject === original ? [subject] : [original, subject].filter(Boolean);
    return [
      uniformLine(context, axes[i], i === 0),
      ...both.flatMap(
          (one, k) => headPoints(
              context, axes[i], one, both.length > 1 ? (k ? 0.16 : -0.16) * step : 0, one !== original || i === 0))
    ];
  });
}

const kAttentionHeads =
    ["task", "question", "subject", "kind", "block", "head", "quantity", "value", "original", "unit"];
function entropyRows(context) {
  const {subjects, blocks, questions, logKeys} = attentionOf(context);
  const original = subjects.find(({kind}) => kind === "original");
  return shownQuestions(context).flatMap((q) => {
    const {task, id} = questions[q], uniform = logKeys(q);
    const most =
        blocks.map((block, b) => [task, id, null, null, block, null, "log_keys", shortened(uniform[b]), null, "nats"]);
    const own = subjects.flatMap((subject) => {
      const {name, kind} = subject;
      const line = (b, head, quantity, value, reference) =>
          [task, id, name, kind, blocks[b], head, quantity, shortened(value), shortened(reference), "nats"];
      const heads = subject.entropy?.(q), others = original?.entropy?.(q);
      return blocks.flatMap(
          (_, b) =>
              [line(b, null, "entropy_mean", subject.mean(q)[b], original?.mean(q)[b]),
               line(b, null, "entropy_of_mean", subject.ofMean(q)[b], original?.ofMean(q)[b]),
               ...(heads ? heads[b].map((value, h) => line(b, h, "entropy", value, others?.[b][h])) : [])]);
    });
    return [...most, ...own];
  });
}

const kEntropyFigure = probeFigure("attention", {
  id: "entropy",
  title: "How widely the last position attends",
  read:
      "Entropy of the attention of the last row of the prompt, the one that the first token of the answer is made of, in nats. " +
      "0: all on one key; ln n, dotted: on all keys alike. Thick, squares: the post as it is; the others are constructions of " +
      "it, and controls (dashed, open) of noise or a fake base. A change counts where a control of its size does not make it.",
  choices: (result) =>
      [{
        key: "question",
        label: "Question",
        options: [
          [kAllQuestions, kAllQuestions],
          ...namesOver(result, "attention", ({questions}) => questions.map(({name}) => name))
        ]
      },
       {
         key: "shown",
         label: "Shown",
         options: [
           ["mean", "mean over heads"], ["of_mean", "of the heads’ mean attention"],
           ...(probesWith(result, "attention")
                       .every(({attention}) => attention.subjects.every(({entropy}) => entropy)) ?
                   [["heads", "each head"]] :
                   [])
         ]
       }],
  about: (context) => `${attentionOf(context).name}, ${questionText(context)}`,
  subject: (context) => ({name: attentionOf(context).name, task: questionText(context)}),
  panels: entropyPanels,
  build: (context, {axes}) =>
      ({data: context.state.shown === "heads" ? entropyHeads(context, axes) : entropyLines(context, axes)}),
  tidy: {heads: kAttentionHeads, rows: entropyRows},
  states:
      (context) => [{question: kAllQuestions}, ...attentionOf(context).questions.map(({name}) => ({question: name}))]
});

const mapOf = (context) => {
  const probe = attentionOf(context),
        {maps} = probe.maps.length ?
      probe :
      probesWith(context.result, "attention").find(({attention}) => attention.maps.length).attention;
  return named(maps, context.state.map);
};
// What a map is shown of: the original, and one that it is held against, where there is one.
function mapSubjects(context) {
  const {subjects} = mapOf(context), original = subjects.find(({kind}) => kind === "original") ?? subjects[0];
  const others = subjects.filter((subject) => subject !== original);
  return [original, named(others, context.state.subject)].filter(Boolean);
}

// Logarithmic between these, since most weights are small.
const kLeastWeight = 1e-4;
const shade = (value) => (isNumber(value) ? Math.log10(Math.max(value, kLeastWeight)) : null);

function mapPanels(context) {
  const {positions} = mapOf(context), shown = mapSubjects(context);
  const axis = {range: [0.5, positions + 0.5], showgrid: false, nticks: 5, constrain: "domain"};
  const panel = (title) => ({
    title,
    x: {...axis, title: axisTitle("key")},
    y: {...axis, range: [positions + 0.5, 0.5], title: axisTitle("query")}
  });
  const titles = [...shown.map((subject) => subjectName(subject, 30)), ...(shown.length > 1 ? ["difference"] : [])];
  return panelLayout(
      context, [{title: null, panels: titles.map(panel)}],
      {minWidth: 200, maxColumns: 3, panelHeight: (width) => Math.min(width, 380), gap: 44, left: 52, bottom: 96});
}

// Full rows of the cells below the diagonal, the others empty.
const fullRows = (rows) => rows.map((row) => [...row, ...Array(rows.length - row.length).fill(null)]);

function mapHeat(context, axis, rows, {z, coloraxis, name}) {
  const {edges, tokens, positions, size} = mapOf(context);
  const places = Array.from({length: size}, (_, i) => (edges[i] + edges[i + 1] + 1) / 2);
  const text =
      tokens && rows.map((row, i) => row.map((_, j) => `<br>“${plotText(tokens[i])}” to “${plotText(tokens[j])}”`));
  return {
    type: "heatmap",
    ...axis,
    x: places,
    y: places,
    z: fullRows(z),
    customdata: fullRows(rows),
    ...(text ? {text: fullRows(text)} : {}),
    coloraxis,
    hoverongaps: false,
    hovertemplate: `${name}<br>query %{y}, key %{x}${text ? "%{text}" : ""}<br>%{customdata:.4~g}<extra></extra>`,
    ...(size < positions ? {meta: {binned: true}} : {})
  };
}

const differenceRows = (rows, other) => rows.map((row, i) => row.map((value, j) => other[i][j] - value));
// Colours reach this far: all but one cell of 200 are within.
function differenceRange(rows) {
  const sizes = rows.flat().filter(isNumber).map(Math.abs).sort((a, b) => a - b);
  const most = sizes[Math.floor(0.995 * (sizes.length - 1))];
  return most > 0 ? Number(most.toPrecision(2)) : (sizes[sizes.length - 1] || 1);
}

function mapBars(context, layout, range) {
  const ticks = context.narrow ? [-4, -2, 0] : [-4, -3, -2, -1, 0];
  const texts = ticks.map((tick) => (tick === -4 ? "≤ 10⁻⁴" : tick === 0 ? "1" : `10${superscript(tick)}`));
  const alone = range === null, wide = context.narrow ? 0.46 : 0.4;
  layout.coloraxis = {
    colorscale: kCividis,
    cmin: -4,
    cmax: 0,
    colorbar: lyingBar(
        "attention weight",
        {tickvals: ticks, ticktext: texts, tickangle: 0, len: alone ? 0.6 : wide, x: 0, xanchor: "left"})
  };
  if (alone) return;
  layout.coloraxis2 = {
    colorscale: diverging(),
    cmin: -range,
    cmax: range,
    colorbar: lyingBar("difference", {...bothEnds(range), len: wide, x: 1, xanchor: "right"})
  };
}

function buildMaps(context, {layout, axes}) {
  const map = mapOf(context), shown = mapSubjects(context), rows = shown.map(map.get);
  const data = rows.map(
      (values, i) => mapHeat(
          context, axes[i], values,
          {z: values.map((row) => row.map(shade)), coloraxis: "coloraxis", name: subjectName(shown[i])}));
  if (shown.length < 2) {
    mapBars(context, layout, null);
    return {data};
  }
  const rest = differenceRows(...rows), range = differenceRange(rest);
  mapBars(context, layout, range);
  data.push(mapHeat(context, axes[2], rest, {z: rest, coloraxis: "coloraxis2", name: "difference"}));
  const largest = Math.max(0, ...rest.flat().filter(isNumber).map(Math.abs));
  const mean = meanKnown(rest.map((row) => row.reduce((sum, value) => sum + Math.abs(value), 0) / 2));
  const note = map.size < map.positions ?
      ` Binned: a cell is the mean over ${significant(map.positions / map.size, 2)} positions a side.` :
      ` A query moves ${percent(mean)} of its attention on average.`;
  return {
    data,
    note: `Difference: ${shown[1].name} less ${shown[0].name}. Its colours end at ±${
        significant(range, 2)}; the largest is ${significant(largest, 2)}.${note}`
  };
}

const kMapsFigure = probeFigure("attention", {
  id: "attention-maps",
  title: "Where each position attends",
  read:
      "Rows are queries, columns the keys that they see, which are none after them. Colours of weights are logarithmic; of the " +
      "difference linear, about zero. One head, or the mean of the heads of a block. Compare the difference with that of a control.",
  choices: (result) =>
      [{key: "map", label: "Map", options: namesOver(result, "attention", ({maps}) => maps.map(({name}) => name))}, {
        key: "subject",
        label: "Against",
        options: namesOver(
            result, "attention",
            ({maps}) =>
                maps.flatMap(({subjects}) => subjects.filter(({kind}) => kind !== "original").map(({name}) => name)))
      }],
  about: (context) => `${attentionOf(context).name}, ${mapOf(context).name}`,
  subject: (context) => ({
    name: attentionOf(context).name,
    task: [mapOf(context).name, ...mapSubjects(context).slice(1).map(({name}) => name)].join(" ")
  }),
  panels: mapPanels,
  build: buildMaps,
  tidy: {
    heads: ["map", "subject", "query", "key", "quantity", "value", "original", "unit"],
    rows(context) {
      const map = mapOf(context), shown = mapSubjects(context), rows = shown.map(map.get);
      const place = (i) => (map.edges[i] + map.edges[i + 1] + 1) / 2;
      return shown.flatMap(
          (subject, s) => rows[s].flatMap(
              (row, i) => row.map(
                  (value, j) =>
                      [map.name, subject.name, place(i), place(j), "attention", shortened(value),
                       shortened(rows[0][i][j]), "weight"])));
    }
  },
  states: (context) => attentionOf(context).maps.flatMap(({name, subjects}) => {
    const others = subjects.filter(({kind}) => kind !== "original");
    return others.length ? others.map((subject) => ({map: name, subject: subject.name})) : [{map: name}];
  })
});

const kOneAndNinetyFive = 1.96;
function temperaturePanels(context) {
  const {comparisons, blocks, alpha} = attentionOf(context), x = blockAxis(context, blocks);
  const names = comparisons.map(({subject}) => shorten(subject.name, 40));
  return panelLayout(
      context, [{
        title: null,
        panels: [
          {title: "fitted temperature, 95 %", x, y: {title: axisTitle("T"), nticks: 6}},
          {title: "explained by it", x, y: {title: axisTitle("share of the divergence"), tickformat: ".0%", nticks: 6}}
        ]
      }],
      {
        minWidth: 300,
        maxColumns: 2,
        panelHeight: 250,
        gap: 66,
        nameEachY: true,
        legend: [...names, ...(alpha.length ? ["1 / (α<sub>Q</sub> α<sub>K</sub>)"] : [])]
      });
}

// Of a comparison a value a block, in the order of its rows.
const columnOf = ({blocks}, key) => blocks.map((row) => row[key]);

function temperatureTraces(context, axes, comparison) {
  const {comparisons} = attentionOf(context), {subject, blocks} = comparison, name = subjectName(subject);
  const subjects = comparisons.map((one) => one.subject), {color} = subjectLook(context, subjects, subject);
  // Beside each other, where they have a block in common.
  const step = blocks.length > 1 ? Math.min(...blocks.slice(1).map(({block}, b) => block - blocks[b].block)) : 1;
  const shift =
      comparisons.length > 1 ? (comparisons.indexOf(comparison) / (comparisons.length - 1) - 0.5) * 0.36 * step : 0;
  const x = blocks.map(({block}) => block + shift);
  const error = columnOf(comparison, "temperature_se").map((se) => (isNumber(se) ? kOneAndNinetyFive * se : 0));
  const text = blocks.map(
      ({block, kl, kl_fitted: fitted}) =>
          `block ${block}<br>KL ${significant(kl)}, with T ${significant(fitted)} nats`);
  const line = (axis, key, more) =>
      subjectLine(context, axis, {subjects, subject, x, y: columnOf(comparison, key), text, ...more});
  return [
    line(axes[0], "temperature", {
      mode: "markers",
      first: true,
      error_y: {type: "data", array: error, color, thickness: 1.3, width: 0},
      hovertemplate: `${name}<br>T = %{y:.4f}<br>%{text}<extra></extra>`
    }),
    line(axes[1], "explained", {hovertemplate: `${name}<br>%{y:.1%}<br>%{text}<extra></extra>`}),
    ...(context.state.shown === "heads" && comparison.heads ?
            ["temperature", "explained"].map((key, i) => headDots(axes[i], comparison, {key, x, color, name})) :
            [])
  ];
}

function headDots(axis, {blocks, heads}, {key, x, color, name}) {
  const points =
      blocks.flatMap(({block}, b) => heads[key](b).map((y, h) => ({x: x[b], y, text: `block ${block}, head ${h}`})));
  return {
    type: "scatter",
    mode: "markers",
    ...axis,
    x: points.map((point) => point.x),
    y: points.map(({y}) => y),
    text: points.map(({text}) => text),
    name: `${name}, heads`,
    showlegend: false,
    marker: {color: fade(color, 0.4), size: 3.5},
    hovertemplate: `${name}<br>%{text}: %{y:.4f}<extra></extra>`
  };
}

function expectedLine(context, axis) {
  const {alpha} = attentionOf(context);
  return alpha.length ? [plainLine(axis, {
    x: alpha.map(({block}) => block),
    y: alpha.map(({expected}) => expected),
    name: "1 / (α<sub>Q</sub> α<sub>K</sub>)",
    group: "expected",
    first: true,
    mode: "lines+markers",
    marker: {
      symbol: "line-ew-open",
      size: 10,
      line: {width: 2, color: context.colors.reference},
      color: context.colors.reference
    },
    line: {color: context.colors.reference, width: 1.2, dash: "dash"},
    hovertemplate: "block %{x}<br>1 / (α<sub>Q</sub> α<sub>K</sub>) = %{y:.4f}<extra></extra>"
  })] :
                        [];
}

// Where what T should be is not defined, and what else is to be known of it.
function expectedNote(alpha) {
  const parts = [false, true].map((defined) => {
    const some = alpha.filter(({expected}) => isNumber(expected) === defined);
    const why = [...new Set(some.map((row) => row.why).filter(Boolean))].map(visible).join("; ");
    const where =
        defined ? "" : `not defined in ${plural(some.length, "block")} (${ranges(some.map(({block}) => block))})`;
    const text = [where, why].filter(Boolean).join(": ");
    return some.length && text ? `What T should be: ${text}.` : null;
  });
  return parts.filter(Boolean).join(" ");
}

function temperatureRows(context) {
  const {comparisons, alpha} = attentionOf(context), heads = ["temperature", "explained", "kl"];
  const unit = {
    temperature: "ratio",
    temperature_se: "ratio",
    explained: "share of KL",
    kl: "nats",
    kl_fitted: "nats",
    entropy_difference: "nats"
  };
  const expected = new Map(alpha.map((row) => [row.block, row.expected]));
  const beside = (key, block) => (key === "temperature" ? shortened(expected.get(block)) : null);
  const own = comparisons.flatMap((comparison) => comparison.blocks.flatMap((row, b) => {
    const {subject} = comparison, at = [subject.name, subject.kind, comparison.reference.name, row.block];
    return [
      ...Object.keys(unit).map((key) => [...at, null, key, shortened(row[key]), beside(key, row.block), unit[key]]),
      ...(comparison.heads ?
              heads.flatMap(
                  (key) => comparison.heads[key](b).map(
                      (value, h) => [...at, h, key, shortened(value), beside(key, row.block), unit[key]])) :
              [])
    ];
  }));
  const scales = alpha.flatMap(
      (row) => ["alpha_q", "alpha_k"].map(
          (key) => [null, null, null, row.block, null, key, shortened(row[key]), null, "ratio"]));
  return [...own, ...scales];
}

const kTemperatureFigure = probeFigure("attention", {
  id: "temperature",
  title: "Does a temperature explain what changed?",
  read:
      "In each block T is fitted so that the subject’s attention, softmax(logits / T), comes nearest to the original’s (G.1). If " +
      "the singular values of W_Q and W_K were scaled and nothing else, T would be 1 / (α_Q α_K), dashed. Right: the share of the " +
      "divergence (KL) that T takes away, 1 being all of it; of a control, dashed and open, it says what a fit takes away by itself.",
  choices: (result) => [{
    key: "shown",
    label: "Shown",
    options: [
      ["blocks", "blocks"],
      ...(probesWith(result, "attention").some(({attention}) => attention.comparisons.some(({heads}) => heads)) ?
              [["heads", "blocks and their heads"]] :
              [])
    ]
  }],
  panels: temperaturePanels,
  build(context, {axes}) {
    const {comparisons, blocks, alpha} = attentionOf(context);
    const none = levelOver(context, axes[0], blocks, 1, {name: "no change", hoverinfo: "skip", meta: {helper: true}});
    const zero = levelOver(context, axes[1], blocks, 0, {name: "nothing", hoverinfo: "skip", meta: {helper: true}});
    return {
      data: [
        none, zero, ...comparisons.flatMap((one) => temperatureTraces(context, axes, one)),
        ...expectedLine(context, axes[0])
      ],
      note: expectedNote(alpha)
    };
  },
  tidy: {
    heads: ["subject", "kind", "reference", "block", "head", "quantity", "value", "expected", "unit"],
    rows: temperatureRows
  }
});
