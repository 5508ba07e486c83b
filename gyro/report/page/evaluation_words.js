// What an evaluation comes to, in words that follow from its numbers.

const kBeyondChance = 0.05;
const againstOf = (cell) =>
    (isNumber(cell.against?.p_adjusted) && isNumber(cell.against.difference) ? cell.against : null);
const differs = (cell) => (againstOf(cell)?.p_adjusted ?? 1) < kBeyondChance;
const fallsBelow = (cell) => differs(cell) && cell.against.difference < 0;
const risesAbove = (cell) => differs(cell) && cell.against.difference > 0;

const signed = (value) => (isNumber(value) ? (value > 0 ? "+" : "") + fixed(100 * value, 1) : kDash);
const dropText = ({name, cell}) => `${name}, ${signed(cell.against.difference)} points [${signed(cell.against.low)}, ${
    signed(cell.against.high)}]${cell.collapsed ? ", which collapsed" : ""}`;
const largestDrop = (some) =>
    some.filter(({cell}) => fallsBelow(cell)).sort((a, b) => a.cell.against.difference - b.cell.against.difference)[0];

// "7 of 10 variants differ from the original (100.0 % of 100 questions) beyond chance: 6 lower, 1 higher; 4 collapsed."
function countText(some, noun, rest) {
  const known = some.filter(({cell}) => againstOf(cell)), unknown = some.length - known.length;
  const lower = known.filter(({cell}) => fallsBelow(cell)).length,
        higher = known.filter(({cell}) => risesAbove(cell)).length;
  const all = lower + higher, collapsed = some.filter(({cell}) => cell.collapsed).length;
  const which = lower && higher ? `: ${lower} lower, ${higher} higher` :
      all < 2 ? (lower      ? ": lower" :
                     higher ? ": higher" :
                              "") :
                `, all ${lower ? "lower" : "higher"}`;
  const more = [
    collapsed ? `${collapsed} collapsed` : null,
    unknown ? `of ${unknown} the difference is not defined` : null,
  ].filter(Boolean);
  return [
    `${all || "None"} of ${plural(some.length, noun)} ${all > 1 ? "differ" : "differs"}${rest}${which}`, ...more
  ].join("; ") +
      ".";
}

// Whether two differences may be one: their intervals overlap.
const mayBeAlike = (a, b) => a.low <= b.high && b.low <= a.high;

// Of each variant that falls: whether its control with a fake base falls as far, less far, or not beyond chance.
function fakeText(fallen, controls) {
  const groups = {same: [], less: [], not: [], none: []};
  for (const one of fallen) {
    const fake = controls.find(({name}) => name === `${one.name}-fake`);
    const as = !fake || !againstOf(fake.cell) ? "none" :
        !fallsBelow(fake.cell)                ? "not" :
        mayBeAlike(fake.cell.against, one.cell.against) || fake.cell.against.difference < one.cell.against.difference ?
                                 "same" :
                                 "less";
    groups[as].push({...one, fake});
  }
  const list = (some) => some.map(({name}) => name).join(", ");
  const pairs = (some) =>
      some.map(
              ({name, cell, fake}) =>
                  `${name} (${signed(cell.against.difference)}, with the fake ${signed(fake.cell.against.difference)})`)
          .join(", ");
  return [
    groups.same.length ? `A fake base does the same: ${pairs(groups.same)}; such a drop says nothing of the base.` :
                         null,
    groups.less.length ? `A fake base takes less: ${pairs(groups.less)}.` : null,
    groups.not.length ? `A fake base does not do it beyond chance: ${pairs(groups.not)}.` : null,
    groups.none.length ? `No fake base was run beside ${list(groups.none)}.` : null,
  ].filter(Boolean);
}

// The sentences on one task.
function taskSentences({rows}, {cells, questions}) {
  const original = cells[0], where = `${percent(original.accuracy.mean)} of ${plural(questions, "question")}`;
  const of = (kind) => rows.filter((row) => row.kind === kind).map(({name, index}) => ({name, cell: cells[index]}));
  const variants = of("variant"), controls = of("control");
  if (!variants.length && !controls.length)
    return [`The original alone was asked: ${where} right [${percent(original.accuracy.low)}, ${
        percent(original.accuracy.high)}]${
        original.collapsed ? "; it collapsed" : ""}. There is nothing to compare it with.`];
  if (original.collapsed) return ["The original itself collapsed: what a variant does to its answers is not defined."];
  const worst = largestDrop(variants), bad = largestDrop(controls);
  const beyond = ` from the original (${where}) beyond chance (adjusted p < ${kBeyondChance})`;
  return [
    variants.length ? countText(variants, "variant", beyond) : "None of the paper’s variants was asked.",
    worst ? `The largest drop: ${dropText(worst)}.` : null,
    controls.length ?
        `Controls: ${countText(controls, "control", variants.length ? " as well" : beyond).replace(/^None/, "none")}` :
        "No controls were run: whether noise or a fake base does the same is not known (--variants controls).",
    bad ? `The largest drop among them: ${dropText(bad)}.` : null,
    ...(controls.length ? fakeText(variants.filter(({cell}) => fallsBelow(cell)), controls) : []),
  ].filter(Boolean);
}

function evaluationWords(evaluation) {
  const several = evaluation.tasks.length > 1;
  const lines = evaluation.tasks.map((task) => {
    const [first, ...rest] = taskSentences(evaluation, task);
    return element(
        "li", {}, several ? element("b", {}, `${task.name}: `) : null, first, " ",
        element("span", {class: "rest"}, rest.join(" ")));
  });
  return element("ul", {class: "sentence words", id: "evaluation-words"}, lines);
}
