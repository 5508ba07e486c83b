// The paper's Tables 3 and 4, and everything measured, by type and by matrix.

const comparisonCell = (comparison) => ({
  show: [
    swatch(comparison), element("span", {class: "name"}, comparison.name),
    comparison.role === "control" ? element("span", {class: "role"}, "control") : ""
  ],
  sort: comparison.index,
  csv: [comparison.name],
  tex: texText(comparison.name),
});

const ratioText = (ratio) => (isNumber(ratio) ? times(ratio) : kDash);

function scalingCell(type, key) {
  if (!type) return {show: kDash, sort: null, csv: [null, null, null, null, null, null], tex: "--"};
  const {alpha_mean: mean, alpha_std: std, alpha_mean_over_null: m, alpha_std_over_null: s} = type;
  return {
    show: [
      element("span", {class: "main"}, `${fixed(mean, 4)} ± ${fixed(std, 4)}`),
      element("span", {class: "beside", title: "mean and std, over the null's"}, `${ratioText(m)} ${ratioText(s)}`)
    ],
    sort: type[key],
    csv: [mean, std, type.null?.alpha_mean, type.null?.alpha_std, m, s],
    tex: `$${fixed(mean, 4)} \\pm ${fixed(std, 4)}$ (${texText(ratioText(s))})`.replace(/\u2212/g, "-"),
  };
}

function scalingTable(result) {
  const keys = [["alpha_mean", "mean"], ["alpha_std", "std"], ["alpha_std_over_null", "std over null"]];
  let key = "alpha_mean";
  const holder = element("div");
  const select = element(
      "select", {
        id: "table3-key",
        onchange: (event) => {
          key = event.target.value;
          build();
        }
      },
      keys.map(([value, label]) => element("option", {value}, label)));
  const choice = () =>
      element("div", {class: "choices"}, element("label", {}, element("span", {}, "Columns sort by"), select));
  function build() {
    const columns = [{label: "Model", tex: "Model", heads: ["model"]}].concat(
        result.types.map((type) => ({
                           label: typeNode(type),
                           tex: typeTex(type),
                           numeric: true,
                           heads: ["mean", "std", "null mean", "null std", "mean over null", "std over null"].map(
                               (name) => `${type} ${name}`),
                         })));
    holder.replaceChildren(makeTable({
      id: "table3",
      title: "Table 3: scaling factors, mean ± std",
      read:
          "Over the top 90 % of the singular values of all layers. Below each, the mean and the std as multiples " +
          "of what a structureless change of the same size gives: ×1.00 is chance, and a std well under ×1 " +
          "would be scaling more uniform than chance.",
      columns,
      extra: choice(),
      rows: result.comparisons.map(
          (comparison) =>
              [comparisonCell(comparison),
               ...result.types.map((type) => scalingCell(comparison.types.get(type), key))]),
      note: "In LaTeX the ratio of the std to the null's stands in brackets.",
    }));
    select.value = key;
  }
  build();
  return holder;
}

function primeCell(type) {
  if (!type) return {show: kDash, sort: null, csv: [null, null, null], tex: "--"};
  const {alpha_mean: mean, alpha_prime: prime, alpha_mean_over_null: ratio} = type;
  return {
    show: [
      element("span", {class: "main"}, `${fixed(mean, 4)} → `, element("b", {}, fixed(prime, 1))),
      element("span", {class: "beside", title: "mean over the null's"}, ratioText(ratio))
    ],
    sort: mean,
    csv: [mean, prime, ratio],
    tex: `$${fixed(mean, 4)} \\to \\mathbf{${fixed(prime, 1)}}$`.replace(/\u2212/g, "-"),
  };
}

function primeTable(result) {
  return makeTable({
    id: "table4",
    title: "Table 4: α′, the factor of Construction 9",
    read:
        "The mean scaling factor of each type, rounded to one decimal; below it the mean as a multiple of the null's.",
    columns: [{label: "Model", tex: "Model", heads: ["model"]}].concat(
        result.types.map((type) => ({
                           label: typeNode(type),
                           tex: typeTex(type),
                           numeric: true,
                           heads: [`${type} mean`, `${type} alpha_prime`, `${type} mean over null`],
                         }))),
    rows: result.comparisons.map(
        (comparison) =>
            [comparisonCell(comparison), ...result.types.map((type) => primeCell(comparison.types.get(type)))]),
  });
}

const kTypeColumns = [
  ["NF", "nf_mean", (x) => significant(x)],
  ["NF / null", "nf_mean_over_null", ratioText],
  ["robust NF", "nf_robust_mean", (x) => significant(x)],
  ["robust NF / null", "nf_robust_mean_over_null", ratioText],
  ["counter/co", "counter_over_co", (x) => fixed(x, 3)],
  ["z", "z", (x) => fixed(x, 1)],
  ["scale c", "scale_mean", (x) => fixed(x, 4)],
  ["relative change", "relative_change_mean", (x) => significant(x)],
  ["unchanged", "unchanged", (x) => percent(x)],
];

function typesTable(result) {
  const rows = [];
  for (const comparison of result.comparisons) {
    for (const name of result.types) {
      const type = comparison.types.get(name);
      if (!type) continue;
      rows.push([
        comparisonCell(comparison), {show: typeNode(name), sort: typeOrder(name), csv: [name], tex: typeTex(name)},
        ...kTypeColumns.map(([, key, show]) => numberCell(type[key], show(type[key])))
      ]);
    }
  }
  const column = (label, numeric = true) => ({label, tex: texText(label), heads: [label], numeric});
  return makeTable({
    id: "types",
    title: "Everything measured, by type",
    read:
        "Means over layers; counter/co is the ratio of the energies summed over layers, z its distance from 1 in " +
        "standard deviations of chance. A dash: not defined, or the first-order null does not hold.",
    columns: [column("Model", false), column("Type", false), ...kTypeColumns.map(([label]) => column(label))],
    rows,
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
  ["stable rank of ΔW", "stable_rank", (x) => significant(x)],
  ["unchanged", "unchanged", (x) => percent(x)],
];

function matrixTable(result, comparison) {
  const column = (label, numeric = true) => ({label, tex: texText(label), heads: [label], numeric});
  return makeTable({
    id: "matrices",
    title: `Every matrix of ${comparison.name}`,
    columns: [
      column("Layer"), ...(result.experts ? [column("Expert")] : []), column("Type", false), column("d_in × d_out"), ...kMatrixColumns.map(([label]) => column(label))
    ],
    rows: result.sites.map(
        (site) =>
            [numberCell(site.layer, String(site.layer)),
             ...(result.experts ? [numberCell(site.expert, String(site.expert ?? kDash))] : []),
             {
               show: element("span", {title: site.tensor}, typeNode(site.type)),
               sort: typeOrder(site.type),
               csv: [site.type],
               tex: typeTex(site.type)
             },
             numberCell(site.d_in * site.d_out, `${site.d_in} × ${site.d_out}`),
             ...kMatrixColumns.map(([, key, show]) => {
               const value = comparison.value(site, key);
               return key === "cosine" ? numberCell(isNumber(value) ? 1 - value : null, show(value)) :
                                         numberCell(value, show(value));
             }),
  ]),
  });
}

// Hundreds of rows: built when opened.
function matricesSection(result) {
  const holder = element("div");
  const select = element(
      "select", {onchange: () => build()},
      comparisonChoice(result).options.map(([value, label]) => element("option", {value}, label)));
  const build = () => holder.replaceChildren(matrixTable(result, result.comparisons[Number(select.value)]));
  return element(
      "details", {
        class: "card",
        id: "every-matrix",
        ontoggle: (event) => {
          if (event.target.open && !holder.firstChild) build();
        }
      },
      element("summary", {}, `Every matrix: a table of ${plural(result.sites.length, "row")} for each model`),
      element("div", {class: "choices"}, element("label", {}, element("span", {}, "Model"), select)), holder);
}
