// How these numbers were made: versions, precision, what fell back, every flagged value.

const kMostNamed = 16;
const kFlags = {
  unchanged: "bit for bit the base’s",
  rounding_only: "the whole change is within what rounding to the dtypes gives",
  no_residual: "no change besides a scale: nothing to split or to turn",
  rank_deficient: "some singular values vanish: α and the rotation are not defined there",
  loose_bound: "the error bound is wider than 1e-6 of the value even by direct SVD",
  degenerate_cluster: "equal singular values: single directions are not defined, norms over the cluster are",
  mirrored_direction: "base and post mirror a direction: between its two ends lies no rotation, and ΔQ leaves it out",
};

// Which rows are zero, and in which of the two; of a layer's experts which of them have such.
function zeroText({base, post, either, base_rows: ofBase, post_rows: ofPost, experts}) {
  const named = (what, count, numbers) => {
    const more = count > numbers.length ? ` and ${count - numbers.length} more` : "";
    return `${what}${count === 1 ? "" : "s"} ${numbers.join(", ")}${more}`;
  };
  if (experts)
    return `${named("expert", experts.length, experts.slice(0, kMostNamed))} ${
        experts.length === 1 ? "has" : "have"} such`;
  const said = (count, rows, where) => `${named("row", count, rows)} ${count === 1 ? "is" : "are"} zero in ${where}`;
  if (base === either && post === either) return said(base, ofBase, "base and post");
  return [base && said(base, ofBase, "the base"), post && said(post, ofPost, "the post")].filter(Boolean).join(", ");
}

function flaggedTable(result) {
  const rows = [];
  for (const comparison of result.comparisons) {
    for (const site of result.sites) {
      const flags = comparison.value(site, "flags") ?? [];
      if (comparison.value(site, "method") === "svd")
        rows.push([comparison, site, "direct SVD", "the Gram matrix’s bound was not tight enough"]);
      for (const flag of flags) rows.push([comparison, site, flag, kFlags[flag] ?? ""]);
      const zero = comparison.value(site, "zero_rows");
      const expert = site.expert === null || site.family ? "" : `expert ${site.expert}: `;
      if (zero) rows.push([comparison, site, "zero rows", expert + zeroText(zero)]);
      if (comparison.value(site, "null.valid") === false)
        rows.push([comparison, site, "null not valid", "first order does not hold: compare NF with its chance level"]);
    }
  }
  const merged = mergeSites(rows);
  if (!merged.length)
    return element(
        "section", {class: "card", id: "flagged"}, element("h3", {}, "Flagged values"),
        element("p", {}, "None: every matrix kept its bound on the fast way, and nothing is flagged."));
  const column = (label) => ({label, tex: label, heads: [label]});
  return makeTable({
    id: "flagged",
    title: "Flagged values, and what fell back",
    columns: [column("Model"), column("Types"), column("Layers"), column("Flag"), column("Meaning")],
    rows: merged.map(
        ({comparison, types, layers, flag, meaning}) =>
            [comparisonCell(comparison), typesCell(result, types),
             {show: ranges(layers), sort: layers[0], csv: [ranges(layers)], tex: texText(ranges(layers))}, flag,
             meaning]),
  });
}

// One line for all layers of a type that share a flag, and for all types that have it in the same layers.
function mergeSites(rows) {
  const byType = new Map(), merged = new Map();
  for (const [comparison, site, flag, meaning] of rows) {
    const key = `${comparison.index} ${flag} ${meaning} ${site.type}`;
    if (!byType.has(key)) byType.set(key, {comparison, types: [site.type], layers: [], flag, meaning});
    byType.get(key).layers.push(site.layer);  // a number for each expert
  }
  for (const one of byType.values()) {
    const key = `${one.comparison.index} ${one.flag} ${one.meaning} ${ranges(one.layers)}`;
    if (merged.has(key)) {
      merged.get(key).types.push(one.types[0]);
    } else {
      merged.set(key, one);
    }
  }
  return [...merged.values()];
}

const typesCell = (result, types) => {
  const all = types.length > 1 && types.length === result.types.length;
  const show = all ? "all types" : types.flatMap((type, i) => [i ? ", " : "", typeNode(type)]);
  return {show, sort: typeOrder(types[0]), csv: [types.join(" ")], tex: all ? "all" : types.map(typeTex).join(", ")};
};

// "0–3, 7"
function ranges(numbers) {
  const parts = [];
  for (const number of [...new Set(numbers)].sort((a, b) => a - b)) {
    const last = parts[parts.length - 1];
    if (last && last[1] === number - 1) {
      last[1] = number;
    } else {
      parts.push([number, number]);
    }
  }
  return parts.map(([first, last]) => (first === last ? `${first}` : `${first}–${last}`)).join(", ");
}

function largest(result, make) {
  let worst = null;
  for (const comparison of result.comparisons) {
    for (const site of result.sites) {
      const value = make(comparison, site);
      if (isNumber(value) && (worst === null || value > worst)) worst = value;
    }
  }
  return worst;
}

function methodList(result) {
  const relative = (error, value) =>
      largest(result, (comparison, site) => comparison.value(site, error) / comparison.value(site, value));
  const {options, gyro} = result;
  const counted = (key) => result.comparisons.reduce((sum, {counts}) => sum + counts[key], 0);
  const [total, svd, sampled] = ["matrices", "svd", "sampled"].map(counted);
  const seconds = (list) => (Array.isArray(list) ? list.join(", ") : list ?? kDash);
  const folders = [...new Set(result.comparisons.map((comparison) => comparison.folder))];
  const items = [
    ["Program", `Gyro ${gyro.version ?? kDash}, ${gyro.build ?? kDash}, device ${gyro.device ?? kDash}`],
    ["Result", folders.join(", ")],
    ["Arithmetic", "Stored weights are converted exactly to FP64; all of it is FP64."],
    [
      "Method",
      `${plural(total - svd, "comparison")} through Gram matrices on the short side, ${
          svd} by direct SVD, where the Gram’s bound would have been wider than 1e-6.`
    ],
    [
      "Error bounds",
      `Largest relative bound: α ${significant(relative("alpha_error", "alpha_mean"), 2)}, NF ${
          significant(
              relative("nf_error", "nf"), 2)}, robust NF ${significant(relative("nf_robust_error", "nf_robust"), 2)}.`
    ],
    [
      "Null",
      `W_p = c·W_b + E, E gaussian with the norm of the actual residual. α spread of the null: ${sampled} of ${
          total} sampled (${
          plural(
              options.null_draws ?? 0,
              "draw")} each, more of small matrices), the others in closed form; NF of the null: first order${
          options.null_nf_draws ? `, and ${plural(options.null_nf_draws, "draw")} each` : ""}.`
    ],
    ["Seed", String(options.seed ?? kDash)],
    [
      "Selection",
      `layers: ${seconds(options.layers)}; types: ${seconds(options.types)}${
          result.experts ? `; experts: ${seconds(options.experts)}` : ""}`
    ],
    [
      "Verdicts",
      "need |z| > 4 and an effect: a spread of α 5 % off its null’s and below 5 % of α; symmetric beyond chance, " +
          "1 % of what is off the diagonal. Each finding’s words name its limit."
    ],
    [
      "This page",
      "draws with plotly.js (MIT licence), loads nothing from a network, and was made from result.json and " +
          "arrays.safetensors."
    ],
  ];
  return element(
      "section", {class: "card", id: "methods"}, element("h3", {}, "Program, precision, choices"),
      element(
          "dl", {class: "facts"},
          items.flatMap(([term, text]) => [element("dt", {}, term), element("dd", {}, ...typeset(String(text)))])));
}
