// The paper's Tables 3 and 4, and everything measured, by type and by matrix.

const comparisonCell = (comparison) => ({
  show: [
    swatch(comparison), element("span", {class: "name"}, comparison.name),
    comparison.role === "control" && !comparison.imitates ? element("span", {class: "role"}, "control") : ""
  ],
  sort: comparison.index,
  csv: [comparison.name],
  tex: texText(comparison.name),
});

const ratioText = (ratio) => (isNumber(ratio) ? times(ratio) : kDash);

// The first columns of a row: in a table over families, the family too.
const kModelColumn = {
  label: "Model",
  tex: "Model",
  heads: ["model"]
};
const nameColumns = (result) =>
    (result.results ? [{label: "Base", tex: "Base", heads: ["base"]}, kModelColumn] : [kModelColumn]);
const nameCells = (result, comparison) =>
    (result.results ? [familyCell(comparison), comparisonCell(comparison)] : [comparisonCell(comparison)]);

// Mean ± std, and below them the null's; `key`: what the column is sorted by.
function scalingCell(type, key) {
  if (!type) return {show: kDash, sort: null, csv: [null, null, null, null, null, null], tex: "--"};
  if (type.unchanged === 1)
    return {show: "unchanged", sort: null, csv: [1, 0, null, null, null, null], tex: "unchanged"};
  const {alpha_mean: mean, alpha_std: std, alpha_mean_over_null: m, alpha_std_over_null: s, null: chance} = type;
  const pair = (a, b) => `${fixed(a, 4)} ± ${fixed(b, 4)}`;
  return {
    show: [
      element("span", {class: "main"}, pair(mean, std)),
      element("span", {class: "beside"}, `null ${pair(chance.alpha_mean, chance.alpha_std)}`),
      element("span", {class: "beside", title: "the std as a multiple of the null’s"}, `std ${ratioText(s)}`)
    ],
    sort: type[key],
    csv: [mean, std, chance.alpha_mean, chance.alpha_std, m, s],
    tex: isNumber(mean) ? `$${mean.toFixed(4)} \\pm ${isNumber(std) ? std.toFixed(4) : "?"}$` : "--",
  };
}

const kScalingKeys = [["alpha_mean", "mean"], ["alpha_std", "std"], ["alpha_std_over_null", "std over null"]];

function scalingTable(result) {
  const holder = element("div");
  let sorted = null;
  const select = element(
      "select", {
        id: "table3-key",
        onchange: () => {
          sorted ??= {column: nameColumns(result).length, descending: true};
          build();
        }
      },
      kScalingKeys.map(([value, label]) => element("option", {value}, label)));
  const extra =
      element("div", {class: "choices"}, element("label", {}, element("span", {}, "Columns sort by"), select));
  const heads = ["mean", "std", "null mean", "null std", "mean over null", "std over null"];
  function build() {
    const columns = result.types.map(
        (type) => (
            {label: typeNode(type), tex: typeTex(type), numeric: true, heads: heads.map((name) => `${type} ${name}`)}));
    holder.replaceChildren(makeTable({
      id: "table3",
      title: "Table 3: scaling factors, mean ± std",
      read: "Over the top 90 % of the singular values of all layers. Below: the null’s, and the std as a multiple of " +
          "it; ×1.00 is chance, well under ×1 is scaling more uniform than chance.",
      columns: [...nameColumns(result), ...columns],
      extra,
      sorted,
      onsort: (order) => (sorted = order),
      latex: paperForms((nulls) => table3Tex(result, nulls)),
      rows: result.comparisons.map(
          (comparison) =>
              [...nameCells(result, comparison),
               ...result.types.map((type) => scalingCell(comparison.types.get(type), select.value))]),
      note: "LaTeX (booktabs) is the paper’s table, with or without the nulls; CSV has both."
    }));
  }
  build();
  return holder;
}

function primeCell(type) {
  if (!type) return {show: kDash, sort: null, csv: [null, null, null], tex: "--"};
  if (type.unchanged === 1) return {show: "unchanged", sort: null, csv: [1, 1, null], tex: "unchanged"};
  const {alpha_mean: mean, alpha_prime: prime, null: chance} = type;
  return {
    show: [
      element("span", {class: "main"}, `${fixed(mean, 4)} → `, element("b", {}, fixed(prime, 1))),
      element("span", {class: "beside", title: "the null’s mean"}, `null ${fixed(chance.alpha_mean, 4)}`)
    ],
    sort: prime,
    csv: [mean, prime, chance.alpha_mean],
    tex: `$${fixed(prime, 1)}$`.replace(/\u2212/g, "-"),
  };
}

function primeTable(result) {
  const columns = result.types.map((type) => ({
                                     label: typeNode(type),
                                     tex: typeTex(type),
                                     numeric: true,
                                     heads: [`${type} mean`, `${type} alpha_prime`, `${type} null mean`]
                                   }));
  return makeTable({
    id: "table4",
    title: "Table 4: the scaling factor α′ that stands for a type",
    folded: true,
    read: "The mean of Table 3, rounded to one decimal; below it what a structureless change of the same size gives.",
    columns: [...nameColumns(result), ...columns],
    latex: paperForms((nulls) => table4Tex(result, nulls)),
    rows: result.comparisons.map(
        (comparison) =>
            [...nameCells(result, comparison), ...result.types.map((type) => primeCell(comparison.types.get(type)))]),
  });
}

// [head, key, shown how]; a key with a dot is of an object of the row.
const kTypeColumns = [
  ["α mean", "alpha_mean", (x) => fixed(x, 4)],
  ["α std", "alpha_std", (x) => fixed(x, 4)],
  ["std / null", "alpha_std_over_null", ratioText],
  ["NF", "nf_mean", (x) => significant(x)],
  ["NF, largest", "nf_max", (x) => significant(x)],
  ["matrices with NF", "nf_layers", String],
  ["NF of unrelated", "nf_chance", (x) => significant(x)],
  ["NF / null", "nf_mean_over_null", ratioText],
  ["robust NF", "nf_robust_mean", (x) => significant(x)],
  ["robust NF / null", "nf_robust_mean_over_null", ratioText],
  ["counter/co", "counter_over_co", (x) => fixed(x, 3)],
  ["sd of chance", "counter_over_co_sd", (x) => significant(x, 2)],
  ["z", "z", (x) => fixed(x, 1)],
  ["symmetric share", "symmetric_share", (x) => fixed(x, 4)],
  ["its null", "symmetric_null", (x) => fixed(x, 4)],
  ["its z", "symmetric_z", (x) => fixed(x, 1)],
  ["z, rescaled", "rescaled.symmetric_z", (x) => fixed(x, 1)],
  ["input side", "side.input", (x) => fixed(x, 4)],
  ["co-rotation", "energy.co_rotation", (x) => percent(x)],
  ["counter-rotation", "energy.counter_rotation", (x) => percent(x)],
  ["leakage", "energy.leakage", (x) => percent(x)],
  ["scaling", "energy.scaling", (x) => percent(x, 2)],
  ["scale c", "scale_mean", (x) => fixed(x, 4)],
  ["its sd", "scale_sd", (x) => significant(x, 2)],
  ["relative change", "relative_change_mean", (x) => significant(x)],
  ["unchanged", "unchanged", (x) => percent(x, 2)],
  ["unchanged, null", "sparse_expected", (x) => percent(x, 2)],
  ["above rounding", "update_rank", (x) => percent(x)],
  ["over rounding", "rounding_ratio", (x) => significant(x)],
];
const memberOf = (row, key) => key.split(".").reduce((object, name) => object[name], row);
const plainColumn = (label, numeric = true) => ({label, tex: texText(label), heads: [label], numeric});

const typeCell = (type, title) =>
    ({show: element("span", {title}, typeNode(type)), sort: typeOrder(type), csv: [type], tex: typeTex(type)});

// What did not change has no figures but that.
function typeNumber(row, key, show) {
  if (row.unchanged === 1 && key !== "unchanged") return numberCell(null, kDash);
  return numberCell(memberOf(row, key), show(memberOf(row, key)));
}

function typesTable(result) {
  const rows = result.comparisons.flatMap(
      (comparison) => result.types.filter((name) => comparison.types.has(name))
                          .map((name) => ({comparison, name, row: comparison.types.get(name)})));
  // What no model has, older results have not measured.
  const columns = kTypeColumns.filter(([, key]) => rows.some(({row}) => isNumber(memberOf(row, key))));
  return makeTable({
    id: "types",
    title: "Everything measured, by type",
    folded: true,
    filter: true,
    read: "Means over layers; counter/co is the ratio of the energies summed over layers, z its distance from 1 in " +
        "standard deviations of chance. A dash: not defined, or the first-order null does not hold.",
    columns: [plainColumn("Model", false), plainColumn("Type", false), ...columns.map(([label]) => plainColumn(label))],
    rows: rows.map(
        ({comparison, name, row}) =>
            [comparisonCell(comparison), typeCell(name), ...columns.map(([, key, show]) => typeNumber(row, key, show))])
  });
}

const kMatrixColumns = [
  ["α mean", "alpha_mean", (x) => fixed(x, 4)],
  ["α std", "alpha_std", (x) => fixed(x, 4)],
  ["null α std", "null.alpha_std", (x) => fixed(x, 4)],
  ["NF", "nf", (x) => significant(x)],
  ["null NF", "null.nf", (x) => significant(x)],
  ["robust NF", "nf_robust", (x) => significant(x)],
  ["null robust NF", "null.nf_robust", (x) => significant(x)],
  ["counter/co", "energy.counter_over_co", (x) => fixed(x, 3)],
  ["z", "energy.z", (x) => fixed(x, 1)],
  ["c", "scale", (x) => fixed(x, 4)],
  ["relative change", "relative_change", (x) => significant(x)],
  ["1 − cosine", "cosine", (x) => significant(isNumber(x) ? 1 - x : null)],
  ["stable rank of E", "stable_rank", (x) => significant(x)],
  ["unchanged", "unchanged", (x) => percent(x)],
];

const expertText = (site) => (site.family ? `median of ${site.family}` : String(site.expert ?? kDash));

function matrixRow(comparison, site) {
  const numbers = kMatrixColumns.map(([, key, show]) => {
    const value = comparison.value(site, key);
    return key === "cosine" ? numberCell(isNumber(value) ? 1 - value : null, show(value)) :
                              numberCell(value, show(value));
  });
  return [
    comparisonCell(comparison), numberCell(site.layer, String(site.layer)),
    ...(comparison.result.experts ? [numberCell(site.expert, expertText(site))] : []), typeCell(site.type, site.tensor),
    numberCell(site.d_in * site.d_out, `${site.d_in} × ${site.d_out}`), ...numbers
  ];
}

function matrixTable(result, comparisons, type) {
  const sites = result.sites.filter((site) => type === "all" || site.type === type);
  return makeTable({
    id: "matrices",
    title: "Every matrix",
    filter: true,
    columns: [
      plainColumn("Model", false), plainColumn("Layer"), ...(result.experts ? [plainColumn("Expert")] : []),
      plainColumn("Type", false), plainColumn("d_in × d_out"), ...kMatrixColumns.map(([label]) => plainColumn(label))
    ],
    rows: comparisons.flatMap((comparison) => sites.map((site) => matrixRow(comparison, site)))
  });
}

// Hundreds of rows: built when opened, of what the page's choices say.
function matricesSection(result) {
  const holder = element("div");
  const build = () => {
    const [model, type] = pageChoices(result).map((choice) => valueOf("", choice));
    const one = result.comparisons.find((comparison) => comparison.name === model);
    holder.replaceChildren(matrixTable(result, one ? [one] : result.comparisons, type));
  };
  const details = element(
      "details", {class: "card", id: "every-matrix", ontoggle: () => details.open && !holder.firstChild && build()},
      element("summary", {}, `Every matrix: ${plural(result.sites.length, "row")} for each model`), holder);
  choiceWatchers.add((name) => {
    if (details.isConnected && holder.firstChild && ["model", "type"].includes(name)) build();
  });
  return details;
}
