// Tables 3 and 4 in LaTeX as the paper prints them (booktabs): attention above, MLP below, models by their base; beside
// each number, if wished, its null.

const kTexBlocks = [
  ["W_Q", "W_DQ", "W_UQ", "W_K", "W_V", "W_DKV", "W_UKV", "W_O", "W_QKV"],
  ["W_up", "W_gate", "W_down", "W_gate_up", "W_router", "W_shared_up", "W_shared_gate", "W_shared_down"]
];
const modelTex = (name) => `$\\mathcal{M}_{\\text{${texText(name)}}}$`;
const texNumber = (value, digits) => (isNumber(value) ? value.toFixed(digits) : "\\text{--}");
const meanStdTex = (mean, std) => (isNumber(mean) ? `$${texNumber(mean, 4)} \\pm ${texNumber(std, 4)}$` : "--");

// make(type of a comparison) → its cell; makeNull the same for the line below, where there is one.
function paperTex(result, {id, caption, corner, make, makeNull}) {
  const columns = Math.max(...kTexBlocks.map((block) => block.filter((type) => result.types.includes(type)).length));
  const lines = kTexBlocks.flatMap((block) => {
    const types = block.filter((type) => result.types.includes(type));
    if (!types.length) return [];
    const row = (cells) => `    ${[...cells, ...Array(columns + 2 - cells.length).fill("")].join(" & ")} \\\\`;
    const cells = (comparison, cell) => types.map((type) => {
      const found = comparison.types.get(type);
      return found ? cell(found) : "--";
    });
    const rows = result.comparisons.flatMap((comparison, i) => {
      const before = result.comparisons[i - 1]?.result, family = comparison.result === before ? "" : comparison.result;
      const line =
          row([family ? texText(family.base.name) : "", modelTex(comparison.name), ...cells(comparison, make)]);
      const below = makeNull ? [row(["", "\\quad null", ...cells(comparison, makeNull)])] : [];
      return [...(family && i ? ["    \\addlinespace"] : []), line, ...below];
    });
    return ["    \\midrule", row([corner, "", ...types.map(typeTex)]), "    \\midrule", ...rows];
  });
  return [
    `% ${madeBy({result})}; needs booktabs and amsmath`, "\\begin{table}", "  \\centering", `  \\caption{${caption}}`,
    `  \\label{tab:${id}}`, `  \\begin{tabular}{ll${"c".repeat(columns)}}`, "    \\toprule", ...lines.slice(1),
    "    \\bottomrule", "  \\end{tabular}", "\\end{table}", ""
  ].join("\n");
}

const kNullTex = " Below each model: the same of a structureless change of its size.";

function table3Tex(result, nulls) {
  return paperTex(result, {
    id: "scaling",
    caption: "Global layer statistics of the scaling of the top 90\\,\\% singular values ($mean \\pm std$)." +
        (nulls ? kNullTex : ""),
    corner: "$SVSM(\\frac{\\cdot}{\\mathcal{M}_{\\text{base}}})$",
    make: (type) => meanStdTex(type.alpha_mean, type.alpha_std),
    makeNull: nulls ? (type) => meanStdTex(type.null.alpha_mean, type.null.alpha_std) : null
  });
}

function table4Tex(result, nulls) {
  return paperTex(result, {
    id: "alpha",
    caption: "The scaling factor $\\alpha'$ of Construction 9." + (nulls ? kNullTex : ""),
    corner: "$\\alpha'$",
    make: (type) => `$${texNumber(type.alpha_prime, 1)}$`,
    makeNull: nulls ? (type) => `$${texNumber(type.null.alpha_mean, 4)}$` : null
  });
}

// The two forms of a table of the paper (makeTable's `latex`).
const paperForms =
    (make) => [{name: "", label: "LaTeX", title: "Copy as the paper’s table, in LaTeX", text: () => make(false)}, {
      name: "-nulls",
      label: "LaTeX + nulls",
      title: "Copy as the paper’s table with the nulls, in LaTeX",
      text: () => make(true)
    }];
