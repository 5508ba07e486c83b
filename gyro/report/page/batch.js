// The same files for `gyro report --export` (gyro/report/export.cc), which asks for them one item after the other.

const batch = {
  items: [],
  wishes: null,
  names: new Set(),
  leave: null,
  folder: null  // whose evaluation and probes are shown
};

// wishes: {formats, widths, choices}. Returns how many items there are.
function planExport(wishes) {
  batch.wishes = wishes;
  batch.names.clear();
  pageState.values = new Map(wishes.choices.split(";").filter((part) => part.includes("=")).map(choiceOf));
  batch.items = app.results.flatMap((_, result) => itemsOf(result));
  return batch.items.length;
}

function itemsOf(index) {
  show(index);
  const items = [...figures.values()].flatMap(
      (figure) => variantsOf(figure).map((state) => ({result: index, figure: figure.id, state})));
  return [...items, ...tableItems(index)];
}

// Tables of evaluations and probes, which have a subject of their own, come once for each of the folders that these are
// of.
function tableItems(index) {
  const {evaluations: asked = [], probes: probed = []} = app.results[index], items = new Map();
  const add = (folder) => tables.forEach(({table: {subject = ""}}, id) => {
    const key = `${id} ${subject}`;
    if (!items.has(key)) items.set(key, {result: index, table: id, folder});
  });
  const folders = Math.max(asked.length, probed.length);
  if (folders < 2) add(null);
  for (let folder = 0; folders > 1 && folder < folders; ++folder) {
    showFolder(index, folder);
    add(folder);
  }
  return [...items.values()];
}

// The page of a result, with the evaluation and the probes of one of its folders.
function showFolder(result, folder) {
  for (const key of ["evaluation", "probe"]) pageState.values.set(key, String(folder));
  batch.folder = folder;
  show(result);
}

// A figure of one model at a time comes once for each post, unless one is chosen.
function variantsOf(figure) {
  if (figure.spec.evaluated) return evaluatedVariants(figure);
  if (figure.spec.probed) return probedVariants(figure);
  const context = contextOf(figure), one = kOneAtATime[figure.id]?.(context.state) ?? {};
  if (!one.model || context.state.model !== "all") return [{}];
  return figure.result.posts.length ? figure.result.posts.map(({name}) => ({model: name})) : [{}];
}

// A figure of an evaluation comes once for each, and for each task where it shows one at a time.
function evaluatedVariants({spec, result}) {
  return result.evaluations.flatMap((_, i) => {
    const state = {evaluation: String(i)}, each = spec.states?.({result, state}) ?? [{}];
    return each.map((one) => ({...state, ...one}));
  });
}

// A figure of a probe comes once for each folder that has one, and for each of its states.
function probedVariants({spec, result}) {
  return result.probes.flatMap((probe, i) => {
    const state = {probe: String(i)};
    if (!probe[spec.probed]) return [];
    return (spec.states?.({result, state}) ?? [{}]).map((one) => ({...state, ...one}));
  });
}

// The files of an item: [{name, and text | base64 | print: an image as figureImage gives it}].
async function exportItem(number) {
  const item = batch.items[number];
  const {result, folder = null} = item, current = app.current === result;
  if (folder !== null && !(current && batch.folder === folder)) {
    showFolder(result, folder);
  } else if (!current) {
    show(result);
  }
  const files =
      item.table ? tableFiles(tables.get(item.table)) : await figureFiles(figures.get(item.figure), item.state);
  return files.map((file) => ({...file, name: freeName(file.name)}));
}

// Two results may have a base of the same name.
function freeName(name) {
  const [, stem, ending] = name.match(/^(.*)(\.\w+)$/);
  let free = name;
  for (let copy = 2; batch.names.has(free); ++copy) free = `${stem}-${copy}${ending}`;
  batch.names.add(free);
  return free;
}

const wished = (format) => batch.wishes.formats.includes(format);

async function figureFiles(figure, state) {
  const usual = contextOf(figure), context = {...usual, state: {...usual.state, ...state}}, files = [];
  if (wished("csv")) files.push({name: `${fileStem(context, figure)}.csv`, text: figureCsv(figure, context)});
  if (!["svg", "png", "pdf"].some(wished)) return files;
  for (const size of batch.wishes.widths) {
    const stem = fileStem(context, figure, size), image = await figureImage(figure, size, context);
    if (wished("svg")) files.push({name: `${stem}.svg`, text: image.svg});
    if (wished("pdf")) files.push({name: `${stem}.pdf`, print: image});
    if (wished("png"))
      files.push({name: `${stem}.png`, base64: await base64Of(await rasterized(image, kSizes[size].dots))});
  }
  return files;
}

function base64Of(blob) {
  return new Promise((done, fail) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => fail(reader.error);
    reader.readAsDataURL(blob);
  });
}

// A table's files: as CSV and in LaTeX, where it is one of the paper's also beside its null.
function tableFiles({table, latex}) {
  const result = app.results[app.current], base = table.subject ?? result.base?.name ?? "families", files = [];
  const stem = ["gyro", base, table.id].map(fileWord).join("-");
  if (wished("csv")) files.push({name: `${stem}.csv`, text: tableCsv(table)});
  if (wished("tex")) {
    for (const {name, text} of latex) files.push({name: `${stem}${name}.tex`, text: text(table)});
  }
  return files;
}

// For gyro/report/export.cc: an image alone on the page while it is printed.
function showExport(image) { batch.leave = showSheet(image, "Gyro"); }
function leaveExport() { batch.leave(); }
