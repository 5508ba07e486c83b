// A figure's values as lines of a table: every quantity that it is about, by the names of result.json, beside its null.
// They are taken from the result, not from what is drawn: whatever the axis, the numbers are the same.

const kTidyHeads = ["model", "role", "type", "layer", "expert", "index", "quantity", "value", "null", "unit"];
const hasExperts = (result) => (result.results ?? [result]).some(({experts}) => experts);
const tidyHeads = ({result, spec}) =>
    spec.tidy?.heads ?? kTidyHeads.filter((head) => head !== "expert" || hasExperts(result));

const nullAt = (key) => (comparison, site) => comparison.value(site, key);
// First order, where it holds.
const validAt = (key) => (comparison, site) =>
    (comparison.value(site, "null.valid") === true ? comparison.value(site, key) : null);
const chanceOf = (part) => (comparison, site) => energyChance(site)[part];

// What is known of a matrix: its null, its unit, and how it is had where it does not stand in the result.
const kQuantities = {
  alpha_mean: {null: nullAt("null.alpha_mean"), unit: "ratio"},
  alpha_std: {null: nullAt("null.alpha_std"), unit: "ratio"},
  nf: {null: validAt("null.nf"), unit: "norm / n"},
  nf_robust: {null: validAt("null.nf_robust"), unit: "norm / k"},
  "null.nf_robust_sd": {unit: "norm / k"},
  nf_chance: {unit: "norm / n"},
  nf_robust_chance: {unit: "norm / k"},
  "energy.co_rotation": {null: chanceOf("co_rotation"), unit: "share of |E|^2"},
  "energy.counter_rotation": {null: chanceOf("counter_rotation"), unit: "share of |E|^2"},
  "energy.leakage": {null: chanceOf("leakage"), unit: "share of |E|^2"},
  "energy.scaling": {null: chanceOf("scaling"), unit: "share of |E|^2"},
  "energy.counter_over_co": {null: () => 1, unit: "ratio"},
  "energy.counter_over_co_sd": {value: (comparison, site) => counterOverCoSd(site), unit: "ratio"},
  "energy.z": {null: () => 0, unit: "sd"},
  "energy.symmetric_share": {null: nullAt("energy.symmetric_null"), unit: "share of N"},
  "energy.symmetric_sd": {unit: "share of N"},
  "energy.symmetric_z": {null: () => 0, unit: "sd"},
  size: {value: (comparison, site) => comparison.size([site]), unit: "share of |c W_base|"},
  relative_change: {unit: "share of |W_base|"},
  scale: {null: () => 1, unit: "ratio"},
  unchanged: {null: nullAt("sparse_expected"), unit: "share of weights"},
  stable_rank: {null: (comparison, site) => noiseRank(site), unit: "directions"},
  update_rank: {unit: "share of directions"},
  cosine: {null: () => 1, unit: "cosine"},
};
// Those that stand in the result beside their null, and how far from it they are.
function addQuantity(name, unit) {
  const value = `quantities.${name}.value`, z = `quantities.${name}.z`;
  kQuantities[value] = {null: nullAt(`quantities.${name}.null`), unit};
  kQuantities[z] = {null: () => 0, unit: "sd"};
  return [value, z];
}
const kBesideChance = kLevels.flatMap(
    ([level]) =>
        [...["u", "v", "uv"].flatMap((side) => addQuantity(`principal_share.${level}.${side}`, "share of |E|^2")),
         ...["u", "v"].flatMap((side) => addQuantity(`subspace_overlap.${level}.${side}`, "share of k"))]);
kBesideChance.push(...addQuantity("spectrum.nss_c", "share of |c sigma_base|"));

// The same of a type, over all layers: [quantity, its null's name or number, unit].
const kTypeQuantities = [
  ["alpha_mean", "null.alpha_mean", "ratio"], ["alpha_std", "null.alpha_std", "ratio"],
  ["alpha_std_over_null", 1, "ratio"], ["nf_robust_mean", "null.nf_robust_mean", "norm / k"],
  ["nf_robust_mean_over_null", 1, "ratio"], ["counter_over_co", 1, "ratio"], ["counter_over_co_sd", null, "ratio"],
  ["z", 0, "sd"], ["symmetric_share", "symmetric_null", "share of N"], ["symmetric_sd", null, "share of N"],
  ["symmetric_z", 0, "sd"]
];

const kAlpha = ["alpha_mean", "alpha_std"];
const kTurning = ["energy.counter_over_co", "energy.counter_over_co_sd", "energy.z"];
const kSymmetry = ["energy.symmetric_share", "energy.symmetric_sd", "energy.symmetric_z"];
const kRobust = ["nf_robust", "null.nf_robust_sd", "nf_robust_chance"];

// Of each figure: the quantities of its matrices, and its lines besides.
const kTidy = {
  overview: {rows: typeRows},
  "families-overview": {rows: typeRows},
  svsm: {matrix: kAlpha, rows: (context) => ofLayers(context, alphaRows)},
  "families-svsm": {matrix: kAlpha, rows: (context) => ofLayers(context, alphaRows)},
  bandwidth: {matrix: kAlpha},
  spectra: {matrix: kAlpha, rows: (context) => [...baseRows(context), ...ofLayers(context, sigmaRows)]},
  counter: {matrix: [...kTurning, ...kSymmetry]},
  energy: {
    matrix: ["energy.co_rotation", "energy.counter_rotation", "energy.leakage", "energy.scaling", ...kTurning],
  },
  nf: {matrix: ["nf", "nf_chance", ...kRobust]},
  "families-nf": {matrix: ["nf", "nf_chance", ...kRobust]},
  turn: {rows: (context) => ofLayers(context, turnRows)},
  "turn-map": {rows: (context) => ofLayers(context, turnRows)},
  corner: {rows: (context) => cornersShown(context).flatMap(cornerRows)},
  residual: {rows: (context) => residualBlocks(context).flatMap(residualRows)},
  composite: {
    matrix: [...kAlpha, ...kRobust],
    models: (context) => [oneModel(context), oneModel(context).noise].filter(Boolean),
    types: ({result}) => result.types,
    rows: (context) => [...ofLayers(context, alphaRows), ...compositeCorners(context)]
  },
  size: {matrix: ["size", "nf_robust", "null.nf_robust_sd", "alpha_std"]},
  change: {
    matrix: ["relative_change", ...kBesideChance, "size", "scale", "unchanged", "stable_rank", "update_rank", "cosine"]
  },
  principal: {rows: (context) => ofLayers(context, principalRows)},
};

// All models, or the chosen one and its noise; the chosen types; the chosen layer, if the figure is of one.
function tidyModels(context) { return context.tidy.models?.(context) ?? shownModels(context, (all) => all); }
const tidyTypes = (context) => context.tidy.types?.(context) ?? shownTypes(context);
const inLayer = (context, sites) =>
    (context.ofLayer ? sites.filter(({layer}) => layer === Number(context.state.layer)) : sites);

// Lines of every matrix; or of what figures show of a layer, which is the median over its experts if it has such.
function ofMatrices(context, make, get) {
  return tidyModels(context).flatMap((comparison) => {
    const sites = tidyTypes(context).flatMap(comparison.result[get]);
    return inLayer(context, sites).flatMap((site) => make(comparison, site));
  });
}
const ofLayers = (context, make) => ofMatrices(context, make, "sitesOf");

// A line; numbers that the page has as Float32 with as many digits as those have.
const shortened = (value) => (isNumber(value) ? Number(value.toPrecision(7)) : null);
const modelName = (comparison) => (app.results[app.current]?.results ? familyName(comparison) : comparison.name);
function tidyLine(comparison, site, index, quantity, value, chance, unit) {
  const {type, layer = null, expert = null} = site, which = site.members || site.family ? "median" : expert;
  return [
    modelName(comparison), comparison.role, type, layer, which, index, quantity, shortened(value), shortened(chance),
    unit
  ];
}

function matrixRows(comparison, site, keys) {
  return keys.map((key) => {
    const {value, null: chance, unit} = kQuantities[key];
    return tidyLine(
        comparison, site, null, key, value ? value(comparison, site) : comparison.value(site, key),
        chance?.(comparison, site), unit);
  });
}

function typeRows(context) {
  const member = (row, key) => (typeof key === "string" ? memberOf(row, key) : key);
  return tidyModels(context).flatMap((comparison) => tidyTypes(context).flatMap((type) => {
    const row = comparison.types.get(type);
    if (!row) return [];
    return kTypeQuantities.map(
        ([key, chance, unit]) => tidyLine(comparison, {type}, null, key, member(row, key), member(row, chance), unit));
  }));
}

// The null is taken over the top 90 % of the singular values.
const alphaNull = (comparison, site, index) => (index <= site.k ? comparison.value(site, "null.alpha_mean") : null);

function alphaRows(comparison, site) {
  const {n, heat: {rows}} = site;
  const place = (r) => Math.floor((Math.floor((r * n) / rows) + Math.floor(((r + 1) * n) / rows) - 1) / 2) + 1;
  return Array.from(
      comparison.alpha(site),
      (alpha, r) =>
          tidyLine(comparison, site, place(r), "alpha", alpha, alphaNull(comparison, site, place(r)), "ratio"));
}

// Points that stand for several values have their place between them.
const curvePlaces = (site) => site.curve.places.map((place) => Number(place.toFixed(1)));

function sigmaRows(comparison, site) {
  const base = comparison.result.baseSigma(site), sigma = comparison.sigma(site);
  return curvePlaces(site).flatMap((index, i) => {
    const alpha = base[i] > 0 ? sigma[i] / base[i] : null;
    return [
      tidyLine(comparison, site, index, "sigma", sigma[i], null, "norm"),
      tidyLine(comparison, site, index, "alpha", alpha, alphaNull(comparison, site, index), "ratio")
    ];
  });
}

function baseRows(context) {
  const {result} = context, base = {name: result.base.name, role: "base"};
  return inLayer(context, tidyTypes(context).flatMap(result.sitesOf)).flatMap((site) => {
    const sigma = result.baseSigma(site);
    return curvePlaces(site).map((index, i) => tidyLine(base, site, index, "sigma", sigma[i], null, "norm"));
  });
}

function turnRows(comparison, site) {
  return [["turn_u", "turnU", "u"], ["turn_v", "turnV", "v"]].flatMap(([quantity, get, side]) => {
    const turn = comparison[get](site), chance = comparison.turnNull(site, side);
    return curvePlaces(site).map(
        (index, i) => tidyLine(comparison, site, index, quantity, turn[i], chance[i], "1 - cos^2"));
  });
}

function principalRows(comparison, site) {
  return ["u", "v"].flatMap((side) => {
    const chance = shareChance(site, side);
    return Array.from(
        comparison.principal(site, side),
        (share, i) =>
            tidyLine(comparison, site, site.shares.ends[i], `principal_${side}`, share, chance[i], "share of |E|^2"));
  });
}

// The cells of a block, "row:column"; their null is the same of noise of the model's size, where there is such.
function blockRows({comparison, site, size}, quantity, values, nulls, unit = "cosine") {
  return Array.from(values, (value, i) => {
    const index = `${Math.floor(i / size) + 1}:${(i % size) + 1}`;
    return tidyLine(comparison, site, index, quantity, value, nulls?.[i], unit);
  });
}
const noiseBlock = ({comparison, site}) => comparison.noise?.corner(site);

function cornersShown(context) {
  if (context.state.rows !== "grid") return cornerBlocks(context);
  return cornerGrid(context).flatMap(({cells}) => cells.filter(Boolean));
}
function cornerRows(block) {
  const values = cornerMatrices(block), noise = noiseBlock(block), nulls = noise ? cornerMatrices(noise) : [];
  return kCornerKeys.flatMap((key, q) => blockRows(block, key, values[q], nulls[q]));
}

function residualRows(block) {
  const noise = noiseBlock(block);
  return ["delta_q1", "delta_q2"].flatMap((key) => {
    const values = block.get(key), nulls = noise?.get(key);
    const angles = anglesOf(values, block.size), chance = nulls ? anglesOf(nulls, block.size) : [];
    return [
      ...blockRows(block, key, values, nulls),
      ...angles.map(
          (angle, i) => tidyLine(block.comparison, block.site, i + 1, `angle of ${key}`, angle, chance[i], "degrees"))
    ];
  });
}

function compositeCorners(context) {
  return context.result.types.flatMap((type) => cornersOf(oneModel(context), type)).flatMap((block) => {
    return blockRows(block, "i_orth", block.get("i_orth"), noiseBlock(block)?.get("i_orth"));
  });
}

// A value that is not defined is an empty one beside its null; a quantity that no model has is left out: older results
// have not measured it.
function tidyRows(figure, context = contextOf(figure)) {
  if (figure.spec.tidy) return figure.spec.tidy.rows(context);
  const tidy = kTidy[figure.id], ofLayer = figure.spec.uses.includes("layer"), inside = {...context, tidy, ofLayer};
  const ofMatrix = (comparison, site) => matrixRows(comparison, site, tidy.matrix ?? []);
  const rows = [...ofMatrices(inside, ofMatrix, "matricesOf"), ...(tidy.rows?.(inside) ?? [])];
  const at = (head) => kTidyHeads.indexOf(head), quantity = at("quantity"), value = at("value");
  const measured = new Set(rows.filter((row) => row[value] !== null).map((row) => row[quantity]));
  const known = rows.filter((row) => measured.has(row[quantity]));
  return hasExperts(figure.result) ? known : known.map((row) => row.filter((_, i) => i !== at("expert")));
}

function figureCsv(figure, context) {
  return [tidyHeads(figure), ...tidyRows(figure, context)].map((line) => line.map(csvField).join(",")).join("\n") +
      "\n";
}

function saveValues(figure) {
  const name = `${fileStem(contextOf(figure), figure)}.csv`;
  download(name, figureCsv(figure), "text/csv");
  say(`${name} saved`);
}
