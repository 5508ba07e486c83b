// Example outputs side by side (Figure 5). They are texts of models, of whom ever: text nodes, with what is not seen
// shown by its code, each isolated from the direction of what is around it.

const kFoldedFrom = 420;  // letters; what is longer is folded

const kVerdicts = {
  correct: {words: "right", look: "found", glyph: "●"},
  wrong: {words: "wrong", look: "none", glyph: "○"},
  "N/A": {words: "no answer", look: "partly", glyph: "–"},
};

const cutNote = (left) => element("em", {class: "gap"}, ` … ${plural(left, "byte")} left out … `);
function outputText({begin, end, left_out: left}) {
  const text = (part) => element("span", {}, visible(part));
  const whole = element("div", {class: "output", dir: "auto"}, text(begin), left ? [cutNote(left), text(end)] : []);
  if (!begin && !end) return element("div", {class: "output empty"}, "(nothing)");
  if (begin.length + end.length <= kFoldedFrom) return whole;
  const first = visible([...begin].slice(0, kFoldedFrom / 2).join(""));
  return element(
      "details", {class: "long"},
      element(
          "summary", {}, element("span", {class: "output", dir: "auto"}, first + " …"),
          element("span", {class: "more"}, ` whole output`)),
      whole);
}

function exampleRow(row, answer) {
  const name = element(
      "th", {scope: "row"}, element("span", {class: "name"}, row.name),
      row.kind === "control" ? element("span", {class: "role"}, "control") : null);
  if (!answer) return element("tr", {class: row.kind}, name, element("td", {colspan: "2"}, "not in samples.jsonl"));
  const verdict = (name) => kVerdicts[name] ?? {words: visible(name), look: "none", glyph: "?"};
  const strictly = verdict(answer.verdict), flexible = verdict(answer.verdict_flexible);
  const facts = [
    `rule ${visible(answer.rule)}`, isNumber(answer.tokens) ? plural(answer.tokens, "token") : null,
    answer.extracted ? `read as ${visible(answer.extracted)}` : null,
    flexible.words === strictly.words ? null : `in any form: ${flexible.words}`
  ];
  return element(
      "tr", {class: row.kind}, name,
      element(
          "td", {class: "verdict"},
          element("span", {class: `badge ${strictly.look}`}, `${strictly.glyph} ${strictly.words}`),
          answer.cut ? element("span", {class: "badge partly", title: "cut at the limit of tokens"}, "✂ cut") : null,
          element("div", {class: "numbers"}, facts.filter(Boolean).join(", "))),
      element("td", {}, outputText(answer)));
}

function exampleLabel({tasks}, {task, question, parted}) {
  const id = visible(tasks[task].matrix.ids[question]);
  return `${tasks.length > 1 ? `${tasks[task].name}, ` : ""}question ${id}: ${parted ? "variants part" : "all agree"}`;
}

function exampleTable(evaluation, example) {
  const rows = evaluation.rows.map((row) => exampleRow(row, example.answers[row.index]));
  return [
    element("p", {class: "question", dir: "auto"}, visible(example.text) || "(its text is not in samples.jsonl)"),
    element(
        "div", {class: "scroll", tabindex: "0", role: "region", "aria-labelledby": "heading-examples"},
        element(
            "table", {},
            element(
                "thead", {},
                element("tr", {}, ["Variant", "Verdict", "Output"].map((head) => element("th", {scope: "col"}, head)))),
            element("tbody", {}, rows)))
  ];
}

function examplesCard(evaluation) {
  const {examples} = evaluation, heading = element("h3", {id: "heading-examples"}, "Outputs side by side (Figure 5)");
  if (!examples.length)
    return element(
        "section", {class: "card", id: "examples"}, heading,
        element("p", {class: "note"}, "There are no outputs to show: samples.jsonl is not beside eval.json."));
  const holder = element("div", {class: "shown"}),
        show = (i) => holder.replaceChildren(...exampleTable(evaluation, examples[i]));
  const select = element(
      "select", {id: "example", onchange: () => show(Number(select.value))},
      examples.map((example, i) => element("option", {value: i}, exampleLabel(evaluation, example))));
  show(0);
  return element(
      "section", {class: "card", id: "examples", "aria-labelledby": "heading-examples"}, heading,
      element(
          "p", {class: "read"},
          "Questions chosen by rule: those over which the variants part most evenly, then of each kind the first in the " +
              "task’s order that all variants which have not collapsed answer right, and wrong. Of the repeats the first " +
              "is shown; right is judged in the form that was asked for."),
      element("div", {class: "choices"}, element("label", {}, element("span", {}, "Question"), select)), holder);
}
