// The page's data, as the figures want them. The numbers of a matrix are columns of `rows`; curves over singular
// indices and heatmap columns are Float32 blocks, decoded when first drawn.

const page = JSON.parse(document.getElementById("gyro-data").textContent);

function decodeFloats(text) {
  const bytes = atob(text);
  const buffer = new Uint8Array(bytes.length);
  for (let i = 0; i < bytes.length; ++i) buffer[i] = bytes.charCodeAt(i);
  return new Float32Array(buffer.buffer);
}

// An object whose every name is known: to ask for another is a mistake of the page, not a number that is missing.
function strict(object) {
  if (object === null || typeof object !== "object" || Array.isArray(object)) return object;
  for (const [key, value] of Object.entries(object)) object[key] = strict(value);
  return new Proxy(object, {
    get(target, key) {
      if (typeof key === "string" && !(key in target)) throw new Error(`The result has no "${key}"`);
      return target[key];
    }
  });
}

function lazily(make) {
  let value;
  return () => (value ??= make());
}

const isFused = (type) => type === "W_QKV" || type === "W_gate_up";

// Where each matrix's values stand in the blocks: points of its curves, rows of its heatmap column.
function openSites(raw) {
  const count = raw.sites.layer.length;
  const sites = [];
  let curve = 0, heat = 0, nulls = 0, shares = 0;
  for (let i = 0; i < count; ++i) {
    const site = {index: i};
    for (const key of Object.keys(raw.sites)) site[key] = raw.sites[key][i];
    site.family = raw.family[i];
    site.m = Math.max(site.d_in, site.d_out);
    const edges = raw.curve_bins[site.n];
    const points = edges.length - 1;
    // A bin's place on the axis: its own index, or the geometric middle of the indices in it, counted from 1.
    const places = Array.from({length: points}, (_, b) => Math.sqrt((edges[b] + 1) * edges[b + 1]));
    const rows = raw.heat_rows[site.n];
    site.curve = {at: curve, points, edges, places};
    site.heat = {at: heat, rows};
    site.nulls = {at: nulls};
    // The numbers of directions that the shares are of.
    const ends = raw.share_bins[site.n].slice(1);
    site.shares = {at: shares, ends};
    shares += ends.length;
    curve += points;
    heat += rows;
    nulls += points * (site.d_in === site.d_out ? 1 : 2);
    sites.push(site);
  }
  return sites;
}

// What figures by layer show of a type: its matrix, or where the layer has experts a place that stands for all of them,
// whose values are the medians over its members. Of many experts (`family`: how many) the page has such places alone.
function layerSites(sites) {
  const places = new Map();
  for (const site of sites) {
    const key = `${site.layer} ${site.type}`;
    if (site.expert === null) {
      places.set(key, site);
    } else if (places.has(key)) {
      places.get(key).members.push(site);
    } else {
      places.set(key, {...site, index: null, expert: null, members: [site]});
    }
  }
  return places;
}

function median(values) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b), half = sorted.length >> 1;
  if (!sorted.length) return null;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

// The same quantiles as result.json's: linear between neighbours.
function quantileOf(sorted, share) {
  const place = share * (sorted.length - 1), below = Math.floor(place), above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}

// How a place's experts spread: {median, low, high, furthest, expert}; null where it is of no experts, or has no value.
function spreadOf(rows, spreads, site, key) {
  if (site.family) {
    const {low, high, furthest, expert} = spreads[key], at = site.index;
    return low[at] === null ?
        null :
        {median: rows[key][at], low: low[at], high: high[at], furthest: furthest[at], expert: expert[at]};
  }
  const known = (site.members ?? []).filter((member) => isNumber(rows[key][member.index]));
  if (!known.length) return null;
  const sorted = known.map((member) => rows[key][member.index]).sort((a, b) => a - b), median = quantileOf(sorted, 0.5);
  const away = (member) => Math.abs(rows[key][member.index] - median);
  const worst = known.reduce((most, member) => (away(member) > away(most) ? member : most));
  const [low, high] = [quantileOf(sorted, 0.1), quantileOf(sorted, 0.9)];
  return {median, low, high, furthest: rows[key][worst.index], expert: worst.expert};
}

// The curves of a site; of a layer's experts the median at each point.
const curveOf = (get) => (site, ...more) => {
  if (!site.members) return get(site, ...more);
  const curves = site.members.map((member) => get(member, ...more));
  return curves[0].map((_, i) => median(curves.map((curve) => curve[i])) ?? NaN);
};

function siteValue(rows, site, key) {
  if (rows[key] === null) return null;  // which no row has
  if (!site.members) return rows[key][site.index];
  const values = site.members.map((member) => rows[key][member.index]);
  return typeof values[0] === "boolean" ? values.every(Boolean) : median(values);
}

function openComparison(raw, index, result) {
  const blocks = {}, rows = strict(raw.rows);
  for (const key of ["sigma", "turn_u", "turn_v", "turn_null", "alpha", "principal_u", "principal_v"])
    blocks[key] = lazily(() => decodeFloats(raw[key]));
  const curve = (key) => curveOf((site) => blocks[key]().subarray(site.curve.at, site.curve.at + site.curve.points));
  const types = new Map(raw.types.map((type) => [type.type, strict(type)]));
  const findings = new Map(raw.findings.map((finding) => [finding.id, strict(finding)]));
  const value = (site, key) => siteValue(rows, site, key);
  return {
    index,
    result,
    name: raw.post.name,
    role: raw.role,
    post: strict(raw.post),
    noiseOf: raw.noise_of,
    folder: raw.folder,
    run: raw.run,
    types,
    findings,
    // Whether the two models have nothing in common: their null does not hold and they dwarf the rest.
    unrelated: findings.get("unrelated")?.verdict === "yes",
    value,
    type: (name, key) => types.get(name)?.[key] ?? null,
    // s = ‖E‖ / (|c| ‖W_b‖), the size of what is not scale; per matrix, or over some of them.
    size: (sites) => changeSize(result, value, sites, raw.sums),
    spread: (site, key) => spreadOf(rows, raw.spreads, site, key),
    counts: raw.counts,
    outside: raw.outside,
    sigma: curve("sigma"),
    turnU: curve("turn_u"),
    turnV: curve("turn_v"),
    turnNull: curveOf((site, side) => {
      const long = site.d_in !== site.d_out && (side === "u") === site.d_in > site.d_out;
      const at = site.nulls.at + (long ? site.curve.points : 0);
      return blocks.turn_null().subarray(at, at + site.curve.points);
    }),
    alpha: curveOf((site) => blocks.alpha().subarray(site.heat.at, site.heat.at + site.heat.rows)),
    hasPrincipal: raw.principal_u !== "",
    // ‖E‖²’s share on the first directions of a side, at each of site.shares.ends; none in older results.
    principal: curveOf(
        (site, side) =>
            blocks[`principal_${side}`]().subarray(site.shares.at, site.shares.at + site.shares.ends.length)),
    corner: (site) => {
      const corner = raw.corners[site.index];
      if (!corner) return null;
      return {size: corner.size, get: (key) => decodeFloats(corner[key])};
    },
  };
}

function changeSize(result, value, sites, sums) {
  let rest = 0, scaled = 0;
  for (const site of sites.flatMap((place) => place.members ?? [place])) {
    if (site.family) {
      rest += sums.rest[site.index];
      scaled += sums.scaled[site.index];
      continue;
    }
    const total = value(site, "energy.total"), c = value(site, "scale");
    if (!isNumber(total) || !isNumber(c)) continue;
    rest += total;
    scaled += (c * result.norms[site.index]) ** 2;
  }
  return scaled > 0 ? Math.sqrt(rest / scaled) : null;
}

function openResult(raw) {
  const sites = openSites(raw);
  const sigma = lazily(() => decodeFloats(raw.sigma));
  const places = layerSites(sites);
  const result = {
    gyro: strict(raw.gyro),
    options: strict(raw.options),
    base: strict(raw.base),
    norms: raw.norms,
    sites,
    layers: [...new Set(sites.map((site) => site.layer))].sort((a, b) => a - b),
    types: [...new Set(sites.map((site) => site.type))].sort((a, b) => typeOrder(a) - typeOrder(b)),
    site: (layer, type) => places.get(`${layer} ${type}`),
    sitesOf: (type) => [...places.values()].filter((site) => site.type === type),
    matricesOf: (type) => sites.filter((site) => site.type === type),
    experts: sites.some(isExpert),
    families: sites.some((site) => site.family),
    matrices: sites.reduce((sum, site) => sum + countOf(site), 0),
    leftOut: raw.left_out,
    trajectory: raw.trajectory ?? null,
    baseSigma: curveOf((site) => sigma().subarray(site.curve.at, site.curve.at + site.curve.points)),
  };
  result.comparisons = raw.comparisons.map((comparison, i) => openComparison(comparison, i, result));
  const posts = result.comparisons;
  result.pairs = raw.pairs.map((pair) => ({...pair, a: posts[pair.a], b: posts[pair.b]}));
  findNoise(result.comparisons);
  result.comparisons = besideTheirPosts(result.comparisons);
  result.comparisons.forEach((comparison, i) => (comparison.index = i));
  result.posts = result.comparisons.filter((comparison) => comparison.role === "post");
  result.cornerSites = sites.filter((site) => result.comparisons.some((comparison) => comparison.corner(site)));
  return result;
}

// Which post a noise control imitates: the one that the result names, in older ones the first of its folder.
function findNoise(comparisons) {
  for (const one of comparisons) {
    const posts = comparisons.filter((other) => other.role === "post" && other.folder === one.folder);
    const older = one.role === "control" && one.post.id === "noise" && one.post.path === null;
    const named = one.role === "control" && one.noiseOf;
    one.imitates = named ? posts.find((post) => post.post.id === one.noiseOf) : older ? posts[0] : undefined;
    if (one.imitates && one.name === "noise") one.name = `noise (${one.imitates.name})`;
    if (one.imitates) one.imitates.noise ??= one;
  }
}

// Each post with its noise after it, then the other controls.
function besideTheirPosts(comparisons) {
  const posts = comparisons.filter((comparison) => comparison.role === "post");
  const paired = posts.flatMap((post) => (post.noise ? [post, post.noise] : [post]));
  return [...paired, ...comparisons.filter((comparison) => !paired.includes(comparison))];
}

const isExpert = (site) => site.expert !== null || Boolean(site.family);
// Matrices that a site stands for.
const countOf = (site) => site.family ?? 1;

// "3", "3, expert 17" or "3, median of 128 experts"
const placeText = (site) => String(site.layer) +
    (site.family ? `, median of ${site.family} experts` :
         site.expert === null ? "" :
                                `, expert ${site.expert}`);

const kTypeOrder = [
  "W_Q", "W_K", "W_V", "W_O", "W_gate", "W_up", "W_down", "W_QKV", "W_gate_up", "W_DQ", "W_UQ", "W_DKV", "W_UKV",
  "W_router", "W_shared_gate", "W_shared_up", "W_shared_down"
];
const typeOrder = (type) => kTypeOrder.indexOf(type);

// Those that a common scale serves: without models that are unrelated to the base, unless there are no others.
function related(comparisons) {
  const some = comparisons.filter((comparison) => !comparison.unrelated);
  return some.length ? some : comparisons;
}

// Chance (design: gaussian E of any size): the shares of ‖E‖², and the spread of counter over co.
function energyChance(site) {
  const n = site.n, all = site.m * n - 1;
  if (!(all > 0)) return {scaling: null, co_rotation: null, counter_rotation: null, leakage: null};
  const scaling = (n - 1) / all, rotation = (n * (n - 1)) / 2 / all;
  return {scaling, co_rotation: rotation, counter_rotation: rotation, leakage: Math.max(0, 1 - scaling - 2 * rotation)};
}
const counterOverCoSd = (site) => Math.sqrt(8 / (site.n * (site.n - 1)));

function quantile(values, share) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] : NaN;
}
