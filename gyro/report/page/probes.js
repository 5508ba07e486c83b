// Probes of gyro probe (the page's third data block), as the figures want them, and their sections.

const kProbes = JSON.parse(document.getElementById("gyro-probes").textContent);
const kProbeKinds = ["attention", "cka", "drift", "rotation", "claims"];

const openSubject = (raw, index) => ({...raw, index, name: visible(raw.name), description: visible(raw.description)});

// What all documents have: their questions by names, and how a probe is called.
const openQuestions = (questions) => questions.map(
    (one) => ({...one, name: visible(`${one.task} ${one.id}`), task: visible(one.task), id: visible(one.id)}));

// `entropy(subject, q)`: rows of heads by block, null where the page has none; the others: a value a block.
function openAttention(raw) {
  const {blocks} = raw, count = blocks.length;
  const rows = (text) => {
    const values = lazily(() => decodeFloats(text));
    return (q) => Array.from(values().subarray(q * count, (q + 1) * count));
  };
  const byHead = (text, heads) => {
    const values = lazily(() => decodeFloats(text));
    return (place) => Array.from(values().subarray(place * heads, (place + 1) * heads));
  };
  const subjects = raw.subjects.map((subject, i) => {
    const of = subject.entropy === null ? null : byHead(subject.entropy, subject.heads);
    return {
      ...openSubject(subject, i),
      entropy: of && ((q) => blocks.map((_, b) => of(q * count + b))),
      mean: rows(subject.entropy_mean),
      ofMean: rows(subject.entropy_of_mean)
    };
  });
  const comparisons = raw.comparisons.map((one) => {
    const of = one.heads &&
        Object.fromEntries(
            Object.entries(one.heads).map(([key, text]) => [key, byHead(text, subjects[one.subject].heads)]));
    return {...one, subject: subjects[one.subject], reference: subjects[one.reference], heads: of};
  });
  const maps = raw.maps.map((map) => openMap(map, raw.questions, subjects));
  return {...raw, subjects, comparisons, maps, logKeys: rows(raw.log_keys)};
}

// `get(subject)`: rows of the cells on and below the diagonal.
function openMap(raw, questions, subjects) {
  const question = questions[raw.question], size = raw.edges.length - 1;
  const head = raw.head === "mean" ? "mean of heads" : `head ${raw.head}`;
  const of =
      new Map(raw.arrays.map(({subject, values}) => [subjects[subject], lazily(() => {
                                                       const all = decodeFloats(values);
                                                       const start = (i) => (i * (i + 1)) / 2;
                                                       return Array.from(
                                                           {length: size},
                                                           (_, i) => Array.from(all.subarray(start(i), start(i + 1))));
                                                     })]));
  return {
    ...raw,
    size,
    name: visible(`${question.task} ${question.id}`) + `, block ${raw.block}, ${head}`,
    tokens: raw.tokens?.map(visible) ?? null,
    subjects: [...of.keys()],
    get: (subject) => of.get(subject)()
  };
}

// `get(subject, reading)`: rows of an L × L matrix, null where it is not defined.
function openCka(raw) {
  const size = raw.layers,
        readings =
            raw.readings.map(({name, description}) => ({name: visible(name), description: visible(description)}));
  const subjects = raw.subjects.map((subject, i) => {
    const matrices = subject.cka.map(
        (text) => text && lazily(() => {
                    const all = decodeFloats(text);
                    return Array.from({length: size}, (_, r) => Array.from(all.subarray(r * size, (r + 1) * size)));
                  }));
    return {...openSubject(subject, i), get: (reading) => matrices[reading]?.() ?? null};
  });
  return {...raw, readings, subjects};
}

const openRotation = (raw) =>
    ({...raw, pairs: raw.pairs.map((pair) => ({...pair, name: `${visible(pair.post)} → ${visible(pair.other)}`}))});

const openClaims = (raw) => ({
  ...raw,
  posts: raw.posts.map(
      ({post, claims}) => ({
        post: visible(post),
        claims:
            claims.map((claim) => Object.fromEntries(Object.entries(claim).map(([key, text]) => [key, visible(text)])))
      }))
});

const kOpenProbe = {
  attention: openAttention,
  cka: openCka,
  drift: (raw) => raw,
  rotation: openRotation,
  claims: openClaims
};

function openProbe(raw) {
  const name = visible(raw.name), label = `${name} (${visible(raw.folder)})`;
  const open = (kind) => {
    const {questions, sentences, name: own} = raw[kind];
    const document = {...raw[kind], questions: openQuestions(questions), sentences: sentences.map(visible)};
    return {...kOpenProbe[kind](document), name: visible(own), version: raw.version, notes: raw.notes};
  };
  const documents = kProbeKinds.map((kind) => [kind, raw[kind] && open(kind)]);
  return {...Object.fromEntries(documents), result: raw.result, name, label, version: raw.version};
}

const probes = kProbes.map(openProbe);

const probesWith = (result, kind) => (result.probes ?? []).filter((probe) => probe[kind]);
// The document that is shown: the chosen folder's, or where that has none of this kind, the first there is.
function probeOf({result, state}, kind) {
  const chosen = result.probes[Number(state.probe ?? 0)];
  return (chosen?.[kind] ? chosen : probesWith(result, kind)[0])[kind];
}

// The choice of a folder, where several have probes of one result.
const probeChoice = ({probes: some}) => ({
  key: "probe",
  label: "Probe",
  options: (some ?? []).map(({label}, i) => [i, label]),
});

// A part of a section that is built again when another folder is chosen.
function ofProbe(result, kind, build) {
  const shown = () => build(probeOf({result, state: {probe: valueOf("", probeChoice(result))}}, kind));
  const holder = element("div", {}, shown());
  choiceWatchers.add((name) => {
    if (holder.isConnected && name === "probe") holder.replaceChildren(shown());
  });
  return holder;
}

// The union of what the shown documents offer, by name: a figure's choice.
function namesOver(result, kind, get) {
  return [...new Set(probesWith(result, kind).flatMap((probe) => get(probe[kind])))].map((name) => [name, name]);
}
const named = (list, name) => list.find((one) => one.name === name) ?? list[0];

// How a subject is drawn, everywhere the same: the original as the reference, variants and other models in the colours
// of posts, controls in their own, dashed.
function subjectLook({colors}, subjects, subject) {
  if (subject.kind === "original") return {color: colors.reference, symbol: "square", dash: "solid", width: 2.4};
  const control = subject.kind === "control";
  const i = subjects.filter((one) => (one.kind === "control") === control && one.kind !== "original").indexOf(subject);
  const hues = control ? colors.controls : colors.lines;
  const symbol = kSymbols[(control ? i + 4 : i) % kSymbols.length] + (control ? "-open" : "");
  return {
    color: hues[i % hues.length],
    symbol,
    dash: control       ? "dash" :
        i < hues.length ? "solid" :
                          "dashdot",
    width: 1.6
  };
}
const subjectName = (subject, limit = 40) => plotText(shorten(subject.name, limit));

// A subject's line over blocks.
function subjectLine(context, axis, {subjects, subject, x, y, first = false, ...more}) {
  const {color, symbol, dash, width} = subjectLook(context, subjects, subject);
  return {
    type: "scatter",
    mode: "lines+markers",
    ...axis,
    x,
    y,
    name: subjectName(subject),
    legendgroup: `s${subject.index}`,
    legendrank: 1000 + subject.index,
    showlegend: first,
    line: {color, width, dash},
    marker: {size: x.length > 40 ? 3 : 6, symbol, color},
    ...more
  };
}

const blockAxis = (context, blocks) => ({...layerAxis(context, blocks), title: axisTitle("block")});
// Over the whole panel, at one height.
const levelOver = (context, axis, blocks, y, more) => plainLine(axis, {
  x: [blocks[0] - 0.5, blocks[blocks.length - 1] + 0.5],
  y: [y, y],
  line: {color: context.colors.reference, width: 1.2, dash: "dot"},
  ...more
});

const finite = (values) => values.filter(isNumber);
const meanKnown = (values) => {
  const known = finite(values);
  return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
};
// What figures of probes share: `probed`, whose documents they show.
const probeFigure = (kind, spec) => ({
  uses: ["probe"],
  probed: kind,
  about: (context) => probeOf(context, kind).name,
  subject: (context) => ({name: probeOf(context, kind).name, task: null}),
  ...spec
});

// How a probe was run.
function probedList(kind, {asked, version, questions, notes}) {
  const {models, tasks, options} = asked;
  const tokens = finite(questions.map((one) => one.tokens));
  const prompts = tokens.length ? `, ${Math.min(...tokens)} to ${Math.max(...tokens)} tokens` : "";
  const value = (one) => (typeof one === "boolean" ? (one ? "yes" : "no") : visible(one ?? kDash));
  const items = [
    ["Program", `Gyro ${version ?? kDash}, gyro probe ${kind}`],
    ["Models", models.map(({role, name}) => `${visible(role)}: ${visible(name)}`).join("; ")],
    ...(questions.length ? [["Questions", `${questions.length}${prompts}`]] : []),
    ...tasks.map(({name, system}) => [visible(name), system ? `system prompt “${visible(system)}”` : kDash]),
    ["Options", Object.entries(options).map(([key, one]) => `${visible(key)} ${value(one)}`).join(", ") || kDash],
    ...notes.map((note) => ["This page", note])
  ];
  return element(
      "details", {class: "card", id: `${kind}-asked`}, element("summary", {}, element("h3", {}, "How it was probed")),
      element(
          "dl", {class: "facts"}, items.flatMap(([term, text]) => [element("dt", {}, term), element("dd", {}, text)])));
}

// What gyro probe says of the numbers.
const wordsOf = (result, kind) => ofProbe(
    result, kind,
    ({sentences}) => element(
        "ul", {class: "sentence words", id: `${kind}-words`},
        sentences.map((sentence) => element("li", {}, typeset(sentence)))));

function attentionSection(result) {
  const has = (get) => probesWith(result, "attention").some(({attention}) => get(attention).length);
  return [
    wordsOf(result, "attention"),
    ...makeFigures(
        result,
        [
          kEntropyFigure, ...(has(({maps}) => maps) ? [kMapsFigure] : []),
          ...(has(({comparisons}) => comparisons) ? [kTemperatureFigure] : [])
        ]),
    ofProbe(result, "attention", attentionTable),
    ofProbe(result, "attention", (probe) => probedList("attention", probe)),
  ];
}
const ckaSection = (result) =>
    [wordsOf(result, "cka"), ...makeFigures(result, [kCkaFigure, kCkaDiagonalFigure]), ofProbe(result, "cka", ckaTable),
     ofProbe(result, "cka", (probe) => probedList("cka", probe))];
const driftSection = (result) =>
    [wordsOf(result, "drift"), ...makeFigures(result, [kDriftFigure]),
     ofProbe(result, "drift", (probe) => probedList("drift", probe))];
const rotationSection = (result) =>
    [wordsOf(result, "rotation"), ...makeFigures(result, [kCarryFigure]), ofProbe(result, "rotation", carryTable),
     ofProbe(result, "rotation", (probe) => probedList("rotation", probe))];
