// Several bases: the paper's tables and figures across families, from one result that has the posts of all.

function joinedResult(results) {
  const comparisons = results.flatMap((result) => result.comparisons);
  const known = new Set(results.flatMap((result) => result.types));
  const types = kTypeOrder.filter((type) => known.has(type) && !isFused(type));
  return {results, comparisons, posts: comparisons.filter(({role}) => role === "post"), types};
}

const familyName = (comparison) => `${comparison.result.label}: ${comparison.name}`;

// A row of a table: the family in a column of its own.
const familyCell = (comparison) => ({
  show: comparison.result.label,
  sort: comparison.result.label,
  csv: [comparison.result.label],
  tex: texText(comparison.result.label)
});

// Figures over families: each model a row, with the layers of its own base.
const familyModels = ({result}) => result.posts.filter((post) => !post.unrelated);
const familyTitle = (comparison) => plotText(familyName(comparison));

const kFamilySvsm = {
  ...kSvsmFigure,
  id: "families-svsm",
  title: "Scaling factors across families (Figure 7)",
  uses: ["type"],
  about: () => "",
  panels(context) {
    const types = shownTypes(context), {narrow} = context;
    const blocks = familyModels(context).map(
        (comparison) =>
            ({title: familyTitle(comparison), panels: types.map((type) => svsmPanel(context, comparison, type))}));
    return panelLayout(context, blocks, {
      minWidth: narrow ? 120 : 105,
      maxColumns: 9,
      panelHeight: narrow ? 130 : 150,
      gap: 34,
      left: 52,
      right: narrow ? 14 : 74,
      columns: oneRowOrEven
    });
  },
  build(context, {layout, axes}) {
    const types = shownTypes(context);
    const data = familyModels(context).flatMap((comparison, c) => {
      const coloraxis = `coloraxis${c ? c + 1 : ""}`,
            bar = {range: heatRange(context, [comparison]), models: [comparison]};
      layout[coloraxis] = svsmColorBar({...context, narrow: false}, layout, axes[c * types.length].yaxis, bar, c);
      if (context.narrow) layout[coloraxis].showscale = false;
      return types.flatMap(
          (type, t) => comparison.result.types.includes(type) ?
              [svsmHeat(context, comparison, type, axes[c * types.length + t], coloraxis)] :
              []);
    });
    return {data, note: "Each model has its own range of colours."};
  }
};

const kFamilyNf = {
  id: "families-nf",
  title: "NF across families (Figure 9)",
  read: "‖I_orth − I‖ / n of the leading 90 % of the directions, per layer of each model’s own depth, over what a " +
      "structureless change of the same size gives: at 1 the two sides’ turns are as unlike as chance has them.",
  uses: ["type"],
  about: () => "",
  choices: kNfFigure.choices,
  panels: (context) => typePanels(
      context, {
        x: {},
        y: {
          title: axisTitle(overNull(context) ? "NF / null" : kNfKeys[context.state.measure].label),
          nticks: 5,
          ...(context.state.scale === "log" ? {type: "log"} : {})
        },
        sharedY: "row",
        left: 66,
        models: familyModels(context)
      },
      (type, comparison) => ({x: layerAxis(context, comparison.result.layers)})),
  build(context, {axes}) {
    const types = shownTypes(context);
    const data = familyModels(context).flatMap((comparison, c) => types.flatMap((type, t) => {
      if (!comparison.result.types.includes(type)) return [];
      const axis = axes[c * types.length + t], inFamily = {...context, result: comparison.result};
      const models = [comparison.noise, comparison].filter(Boolean);
      const ground = overNull(context) ? nfBand(inFamily, models, type, axis, false) :
                                         nfGround(inFamily, models, type, axis, false);
      return [
        ...ground,
        ...models.map((one) => modelLine(one, axis, {
                        ...layerLine(one.result, type, (site) => nfValue(context, one, site)),
                        hovertemplate: `${typePlot(type)}, layer %{x}<br>%{y:.4f}<extra>${familyTitle(one)}</extra>`
                      }))
      ];
    }));
    return {data, note: "Pale and dotted: noise of the size of the model’s change."};
  }
};

// The spread of α against its null, by type: one row a model.
const kFamilyOverview = {
  ...kOverviewFigure,
  id: "families-overview",
  title: "The paper’s claims against chance, all families"
};

function familiesSection(joined) {
  const sentences = joined.results.map(
      (result) => element("li", {}, element("b", {}, `${result.label}: `), ...typeset(summarySentence(result))));
  return [
    element("ul", {class: "sentence"}, sentences), ...makeFigures(joined, [kFamilyOverview]), scalingTable(joined),
    primeTable(joined), ...makeFigures(joined, [kFamilySvsm, kFamilyNf])
  ];
}
