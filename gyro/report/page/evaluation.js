// Evaluations of gyro eval (the page's second data block), as the figures want them.

const kEvaluations = JSON.parse(document.getElementById("gyro-evaluations").textContent);

// Names and outputs are of whom ever: characters that are not seen, or turn the direction of what follows, are shown by
// their codes.
const kUnseen =
    /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const codeOf = (c) => `⟨U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`;
const visible = (text) => String(text).replace(kUnseen, codeOf);

// Controls by their names, as is_control_variant (gyro/edit/variants.h) knows them.
const isControl = (name) => /-(aligned|fake|noise)$/.test(name) || /^(noise|base)(-|$)/.test(name);

// What stands beside an accuracy: "-" of a collapse, "†" where more than 2 % of the answers were cut.
const kMuchTruncated = 0.02;
const marksOf = (cell) => (cell.collapsed ? "-" : "") + (cell.truncated > kMuchTruncated ? "†" : "");

// `rows`: the variants as figures have them from the top: the original, the paper's, then the controls.
function openEvaluation(raw) {
  const variants = raw.variants.map(({name, description}, index) => {
    const kind = index === 0 ? "original" : isControl(name) ? "control" : "variant";
    return {index, kind, name: visible(name), description: visible(description ?? "")};
  });
  const of = (kind) => variants.filter((variant) => variant.kind === kind);
  const tasks = raw.tasks.map((task, index) => ({
                                ...task,
                                index,
                                name: visible(task.name),
                                cells: raw.cells[index].map(strict),
                                matrix: raw.matrix[index],
                                lengths: raw.lengths?.[index] ?? null,
                              }));
  const label = `${visible(raw.name)} (${visible(raw.folder)})`;
  const rows = [...of("original"), ...of("variant"), ...of("control")];
  return {...raw, name: visible(raw.name), label, variants, rows, tasks};
}

const evaluations = kEvaluations.map(openEvaluation);

// What the page shows of evaluations and probes that no result is beside: those of a folder together.
function viewsOf(someEvaluations, someProbes) {
  const labels = new Set([...someEvaluations, ...someProbes].map(({label}) => label));
  return [...labels].map((label) => {
    const own = (list) => list.filter((one) => one.label === label),
          first = [...own(someEvaluations), ...own(someProbes)][0];
    return {
      label,
      alone: true,
      evaluations: own(someEvaluations),
      probes: own(someProbes),
      comparisons: [],
      posts: [],
      types: [],
      layers: [],
      gyro: strict({version: first.version}),
    };
  });
}

const evaluationOf = ({result, state}) => result.evaluations[Number(state.evaluation ?? 0)] ?? result.evaluations[0];
const taskOf = (context) => {
  const {tasks} = evaluationOf(context);
  return tasks.find(({name}) => name === context.state.task) ?? tasks[0];
};

// The choice of an evaluation, where several are of one result.
const evaluationChoice = ({evaluations: some}) => ({
  key: "evaluation",
  label: "Evaluation",
  options: (some ?? []).map(({label}, i) => [i, label]),
});
function shownEvaluation(result) {
  const choice = evaluationChoice(result);
  return evaluationOf({result, state: {evaluation: valueOf("", choice)}});
}

// A part of the section that is built again when another evaluation is chosen.
function ofEvaluation(result, build) {
  const holder = element("div", {}, build(shownEvaluation(result)));
  choiceWatchers.add((name) => {
    if (holder.isConnected && name === "evaluation") holder.replaceChildren(build(shownEvaluation(result)));
  });
  return holder;
}

function evaluationSection(result) {
  return [
    ofEvaluation(result, evaluationWords),
    ...makeFigures(result, [kAccuracyFigure]),
    ofEvaluation(result, accuracyTable),
    ...makeFigures(result, [kQuestionsFigure, kLengthsFigure]),
    ofEvaluation(result, examplesCard),
    ofEvaluation(result, askedList),
  ];
}

// How the questions were asked.
function askedList(evaluation) {
  const {options, models, tasks, settings, variants} = evaluation;
  const model = ({role, name}) => `${role}: ${visible(name)}`;
  const task = ({name, questions, form, policy, system}) => `${name}: ${plural(questions, "question")}, read as ${
      form}, graded by ${policy}, system prompt “${visible(system)}”`;
  const items = [
    ["Program", `Gyro ${evaluation.version ?? kDash}, weights in ${options.dtype ?? kDash}`],
    ["Models", models.map(model).join("; ")],
    ["Tasks", tasks.map(task).join("; ")],
    ["Examples", options.few_shot ? `${options.few_shot} before each question` : "none before a question"],
    ...settings.map((line, i) => [i ? "" : "Settings", visible(line)]),
    ...variants.filter(({description}) => description).map(({name, description}) => [name, description]),
  ];
  return element(
      "details", {class: "card", id: "asked"},
      element("summary", {}, element("h3", {}, "How the questions were asked")),
      element(
          "dl", {class: "facts"}, items.flatMap(([term, text]) => [element("dt", {}, term), element("dd", {}, text)])));
}
