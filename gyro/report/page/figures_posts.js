// What the changes of several posts have in common: each two of them a cell.

const kOverlaps = {
  cosine:
      {label: "cosine", option: "cosine of the changes", null: ({cosine}) => cosine.null, sd: ({cosine}) => cosine.sd},
  sign_agreement: {
    label: "same sign",
    option: "same sign, of entries that both changed",
    null: (overlap) => overlap.sign_agreement.null,
    sd: (overlap) => overlap.sign_agreement.sd
  },
  jaccard: {
    label: "Jaccard",
    option: "Jaccard index of the changed entries",
    null: ({jaccard_chance: chance}) => chance,
    sd: () => null
  },
};
const overlapValue = (overlap, key) => (key === "jaccard" ? overlap.jaccard : overlap[key].value);
const pairedPosts = (result) => result.posts.filter((post) => result.pairs.some(({a, b}) => a === post || b === post));

// What is drawn: all matrices together, then each type.
const overlapPanels = ({result, ...context}) =>
    [{title: "all matrices", of: (pair) => (pair.pooled ? pair.overlap : null)},
     ...shownTypes({result, ...context})
         .map((type) => ({title: typePlot(type), of: ({types}) => types[type] ?? null}))];

// What of(overlap) is for each two; a post with itself has none.
const overlapGrid = ({result}, posts, panel, of) => posts.map((row) => posts.map((column) => {
  const pair = result.pairs.find(({a, b}) => (a === row && b === column) || (b === row && a === column));
  const overlap = pair && panel.of(pair);
  return overlap ? of(overlap) : null;
}));

function overlapColors(context, layout, values) {
  const known = finite(values), {label} = kOverlaps[context.state.overlap];
  if (context.state.overlap !== "cosine") {
    layout.coloraxis = {colorscale: kCividis, cmin: 0, cmax: 1, colorbar: lyingBar(label, {len: 0.6})};
    return;
  }
  const range = Math.max(largestOf([known]), 0.01);
  layout.coloraxis =
      {colorscale: diverging(), cmin: -range, cmax: range, colorbar: lyingBar(label, {...bothEnds(range), len: 0.6})};
}

const kPostsFigure = {
  id: "posts",
  title: "Posts × posts",
  read:
      "What the changes of two posts have in common, over all matrices and by type. Unrelated changes have the cosine 0 and the " +
      "same sign in half of the entries; two sets of entries drawn by chance have the Jaccard index that the label tells.",
  uses: ["type"],
  choices: () =>
      [{key: "overlap", label: "Show", options: Object.entries(kOverlaps).map(([key, {option}]) => [key, option])}],
  panels(context) {
    const posts = pairedPosts(context.result), names = posts.map((post) => plotName(post, context.narrow ? 8 : 14));
    const axis = {
      range: [-0.5, posts.length - 0.5],
      tickvals: posts.map((_, i) => i),
      ticktext: names,
      showgrid: false,
      constrain: "domain"
    };
    const panels = overlapPanels(context).map(({title}) => ({title, x: axis, y: {...axis, tickangle: -90}}));
    return panelLayout(context, [{title: null, panels}], {
      minWidth: context.narrow ? 112 : 145,
      maxColumns: 4,
      panelHeight: (width) => Math.min(width, 240),
      gap: 34,
      left: 40,
      bottom: 96
    });
  },
  build(context, {layout, axes}) {
    const posts = pairedPosts(context.result), places = posts.map((_, i) => i), key = context.state.overlap;
    const {label, null: chance, sd} = kOverlaps[key];
    const chanceText = (overlap) =>
        `chance: ${fixed(chance(overlap), 3)}${isNumber(sd(overlap)) ? ` ± ${significant(sd(overlap), 2)}` : ""}`;
    const grid = (panel, of) => overlapGrid(context, posts, panel, of);
    const panels = overlapPanels(context);
    const values = panels.map((panel) => grid(panel, (overlap) => overlapValue(overlap, key)));
    overlapColors(context, layout, values.flat(2));
    const data = panels.map((panel, i) => ({
                              type: "heatmap",
                              ...axes[i],
                              x: places,
                              y: places,
                              z: values[i],
                              text: posts.map((row) => posts.map((column) => `${plotName(row)} × ${plotName(column)}`)),
                              customdata: grid(panel, chanceText),
                              coloraxis: "coloraxis",
                              hoverongaps: false,
                              hovertemplate: `%{text}<br>${label}: %{z:.4f}<br>%{customdata}<extra></extra>`
                            }));
    return {data};
  },
  tidy: {
    heads: ["a", "b", "type", "quantity", "value", "null", "sd"],
    rows: (context) => context.result.pairs.flatMap((pair) => {
      const scopes = [["all", pair.pooled ? pair.overlap : null], ...Object.entries(pair.types)];
      return scopes.filter(([, overlap]) => overlap)
          .flatMap(
              ([type, overlap]) => Object.entries(kOverlaps).map(
                  ([key, what]) =>
                      [modelName(pair.a), modelName(pair.b), type, key, shortened(overlapValue(overlap, key)),
                       shortened(what.null(overlap)), shortened(what.sd(overlap))]));
    })
  },
  states: () => Object.keys(kOverlaps).map((overlap) => ({overlap}))
};

// Each two over all matrices.
function postsTable(result) {
  const figure = ({value, null: chance, sd, z}, digits) => ({
    show: [
      element("span", {class: "main"}, fixed(value, digits)),
      element("span", {class: "beside"}, `chance ${fixed(chance, 1)} ± ${significant(sd, 2)}, z ${fixed(z, 1)}`)
    ],
    sort: value,
    csv: [value, chance, sd, z],
    tex: texText(`${fixed(value, digits)} (z ${fixed(z, 1)})`)
  });
  const wide = (label, key) =>
      ({label, tex: texText(label), numeric: true, heads: ["", " null", " sd", " z"].map((end) => key + end)});
  return makeTable({
    id: "posts-table",
    title: "Posts × posts over all matrices",
    columns: [
      plainColumn("Post", false), plainColumn("and", false), wide("cosine", "cosine"),
      wide("same sign", "sign_agreement"), plainColumn("Jaccard"), plainColumn("by chance")
    ],
    rows: result.pairs.filter(({pooled}) => pooled)
              .map(
                  ({a, b, overlap}) =>
                      [comparisonCell(a), comparisonCell(b), figure(overlap.cosine, 4),
                       figure(overlap.sign_agreement, 4), numberCell(overlap.jaccard, fixed(overlap.jaccard, 3)),
                       numberCell(overlap.jaccard_chance, fixed(overlap.jaccard_chance, 3))]),
    note: "Jaccard: entries that both changed over those that either did; by chance pq/(p + q − pq) for shares p and q."
  });
}

const postsSection = (result) => (result.pairs.length ? [makeFigure(result, kPostsFigure), postsTable(result)] : []);
