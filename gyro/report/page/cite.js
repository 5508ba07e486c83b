// Where the result is from, to be run again and to be cited: the command, when and how long it ran, BibTeX.

const kPaperTex = `@misc{he2025understanding,
  title         = {Understanding Post-Training Structural Changes in Large Language Models},
  author        = {He, Xinyu and Cao, Xianghui},
  year          = {2025},
  eprint        = {2509.17866},
  archivePrefix = {arXiv}
}
`;

const gyroTex = (version) => `@software{gyro,
  title   = {Gyro: what post-training did to a language model's weights, and what of it is more than chance},
  version = {${texText(version ?? "")}},
  note    = {Computes the analysis of arXiv:2509.17866 with a null model and error bounds}
}
`;

// The runs that the comparisons are from; older results do not tell.
function runsOf(result) {
  const runs = new Map(result.comparisons.map(({run}) => [JSON.stringify(run), run]));
  return [...runs.values()].filter(({command}) => command);
}

function took(seconds) {
  if (!isNumber(seconds)) return null;
  if (seconds < 90) return `${significant(seconds, 2)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

// A text to be taken along: shown as it is, with a button that copies it.
const quoted = (text, what) => element(
    "div", {class: "quoted"}, element("pre", {}, text),
    element("button", {type: "button", title: `Copy the ${what}`, onclick: () => copyText(text, what)}, "Copy"));

function runFacts({command, date, seconds, commit}) {
  const facts = [
    ["Command", quoted(command, "command")], ["Date", date ? date.replace("T", " ").replace("Z", " UTC") : null],
    ["Took", took(seconds)], ["Commit", commit || null]
  ];
  return facts.filter(([, fact]) => fact !== null);
}

function citeSection(result) {
  const facts = [
    ...runsOf(result).flatMap(runFacts), ["Cite Gyro", quoted(gyroTex(result.gyro.version), "BibTeX of Gyro")],
    ["Cite the paper", quoted(kPaperTex, "BibTeX of the paper")]
  ];
  return element(
      "section", {class: "card", id: "cite"}, element("h3", {}, "Run it again, cite it"),
      element(
          "dl", {class: "facts"}, facts.flatMap(([term, fact]) => [element("dt", {}, term), element("dd", {}, fact)])));
}
