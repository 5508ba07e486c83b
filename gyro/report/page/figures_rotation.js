// Singular vectors: NF per layer (the paper's Figures 3b and 9), the similarity matrices of the leading directions
// (Figures 3a and 10 to 14), and the residual rotations (eq. 13).

const kNfKeys = {
  robust: {
    key: "nf_robust",
    null: "null.nf_robust",
    sd: "null.nf_robust_sd",
    chance: "nf_robust_chance",
    label: "robust NF"
  },
  nf: {key: "nf", null: "null.nf", sd: null, chance: "nf_chance", label: "NF"}
};
const overNull = ({state}) => state.scale === "over";

// NF of a matrix, or its multiple of the null where that holds.
function nfValue(context, comparison, site) {
  const {key, null: nullKey} = kNfKeys[context.state.measure], value = comparison.value(site, key);
  if (!overNull(context)) return value;
  const chance = comparison.value(site, nullKey);
  return comparison.value(site, "null.valid") === true && isNumber(value) && chance > 0 ? value / chance : null;
}

// Without a null a model has no place in the default view; it keeps it in the others.
const nfModels = (context) => (overNull(context) ? shownModels(context) : shownModels(context, (all) => all));

function nfPanels(context) {
  const {state} = context, {chance, label} = kNfKeys[state.measure], models = nfModels(context);
  const values = models.flatMap(
      (comparison) => comparison.result.sites.flatMap(
          (site) => [nfValue(context, comparison, site), ...(overNull(context) ? [] : [comparison.value(
                                                                                          site, chance)])]));
  const title = axisTitle(overNull(context) ? `${label} / null` : label);
  const y = {
    over: {title, nticks: 6},
    log: {...logAxis(values, title)},
    linear: {nticks: 6, rangemode: "tozero", title}
  }[state.scale];
  const names = models.map((comparison) => plotName(comparison));
  const legend = overNull(context) ? [...names, "null", "± 2 sd"] : [...names, "null of each, dotted", "chance level"];
  return typePanels(
      context, {x: layerAxis(context), sharedY: true, legend, y}, (type) => ({sub: nfText(context, type)}));
}

// "chance: 0.094", the level of two unrelated matrices.
function nfText(context, type) {
  const {result} = context, sites = result.sitesOf(type), {chance} = kNfKeys[context.state.measure];
  const level = result.comparisons[0].value(sites[0], chance);
  return context.narrow ? undefined : `unrelated: ${significant(level, 2)}`;
}

// Around 1: two standard deviations of the widest null that is shown.
function nfBand(context, models, type, axis, first) {
  const {result, colors} = context, keys = kNfKeys[context.state.measure], sites = result.sitesOf(type);
  const data = [levelLine(context, axis, 1, {name: "null", first})];
  if (!keys.sd) return data;
  const x = sites.map((site) => site.layer);
  const sd = sites.map(
      (site) => Math.max(
          ...models.map((comparison) => comparison.value(site, keys.sd) / comparison.value(site, keys.null))
              .filter(Number.isFinite),
          0));
  const look = {fillcolor: colors.strongBand, name: "± 2 sd", legendgroup: "sd", showlegend: first};
  return [band(x, x.map(() => 1), sd.map((s) => 2 * s), axis, look), ...data];
}

function nfGround(context, models, type, axis, first) {
  const {result, colors} = context, keys = kNfKeys[context.state.measure];
  const chance = plainLine(axis, {
    ...stretch(layerLine(result, type, (site) => models[0].value(site, keys.chance))),
    name: "chance level",
    group: "chance",
    first,
    line: {color: colors.reference, width: 1.2, dash: "dot"},
    hovertemplate: "chance %{y:.4f}<extra></extra>",
    meta: {helper: true}
  });
  const valid = (comparison, site) => comparison.value(site, "null.valid") === true;
  const nulls = withoutNoise(models).map(
      (comparison, i) => plainLine(axis, {
        ...layerLine(result, type, (site) => (valid(comparison, site) ? comparison.value(site, keys.null) : null)),
        name: "null of each, dotted",
        group: "null",
        first: first && i === 0,
        line: {color: lineOf(comparison).color, width: 1.3, dash: "dot"},
        hovertemplate: `null of ${plotName(comparison)}: %{y:.5f}<extra></extra>`,
        meta: {helper: true}
      }));
  return [chance, ...nulls.filter((line, i) => line.y.some(isNumber) || (first && i === 0))];
}

function nfNote(context, models) {
  const without =
      models.filter((comparison) => !comparison.result.sites.some((site) => comparison.value(site, "null.valid")));
  const hidden =
      context.result.comparisons.filter((comparison) => comparison.unrelated && !models.includes(comparison));
  const names = [...new Set([...without, ...hidden])].map((comparison) => comparison.name).join(", ");
  return (names && overNull(context) ? `Without such a null, and not drawn: ${names}. ` : "") +
      (context.state.measure === "nf" ?
           "In square matrices one tiny singular value can dominate NF; robust NF leaves the " +
               "last tenth out." :
           "");
}

const kNfFigure = {
  id: "nf",
  title: "NF: do both sides turn by the same rotation?",
  read: "‖I_orth − I‖ / n per layer is 0 if both sides of a matrix turned alike. Shown as a multiple of what a " +
      "structureless change of the model’s own size gives: at 1 a model turns alike no more than chance. The " +
      "absolute values have the null of each model, and the chance level of two unrelated matrices.",
  uses: ["model", "type"],
  choices: () =>
      [{
        key: "scale",
        label: "Axis",
        options: [["over", "NF / null"], ["log", "NF, logarithmic"], ["linear", "NF, linear"]]
      },
       {key: "measure", label: "Measure", options: [["robust", "robust NF (top 90 %)"], ["nf", "NF (the paper’s)"]]}],
  panels: nfPanels,
  build(context, {axes}) {
    const {result, state} = context, keys = kNfKeys[state.measure], over = overNull(context),
                   models = nfModels(context);
    const ground = over ? nfBand : nfGround;
    const data = shownTypes(context).flatMap((type, t) => {
      const sites = result.sitesOf(type);
      const lines = drawOrder(models).map((comparison) => {
        const value = (key) => sites.map((site) => comparison.value(site, key) ?? NaN), nulls = value(keys.null);
        const values = value(keys.key);
        return modelLine(comparison, axes[t], {
          ...layerLine(result, type, (site) => nfValue(context, comparison, site)),
          first: t === 0,
          customdata: sites.map((_, i) => [values[i], nulls[i]]),
          hovertemplate: `${typePlot(type)}, layer %{x}<br>${keys.label} = %{customdata[0]:.5f}<br>null = ` +
              `%{customdata[1]:.5f}<extra>%{fullData.name}</extra>`
        });
      });
      return [...ground(context, models, type, axes[t], t === 0), ...lines];
    });
    return {data, note: nfNote(context, models)};
  },
};

const cornerTypes = (result) => result.types.filter((type) => result.cornerSites.some((site) => site.type === type));

function matrixPanel(title, size, {row = "index, base", column = "index, model", sub} = {}) {
  const axis = {dtick: size > 12 ? 10 : 5, tick0: 0, showgrid: false};
  return {
    title,
    sub,
    x: {...axis, range: [0.5, size + 0.5], constrain: "domain", title: axisTitle(column)},
    y: {...axis, range: [size + 0.5, 0.5], title: axisTitle(row)},
  };
}
const kNoCorner = "The result holds neither the first nor the last block of this type.";

// The blocks of one comparison and type: [{comparison, site, size, get}].
const cornersOf = (comparison, type) => comparison.result.cornerSites.filter((site) => site.type === type)
                                            .map((site) => ({comparison, site, ...comparison.corner(site)}))
                                            .filter(({get}) => get);
const cornerLayers = (result) => [...new Set(result.cornerSites.map((site) => site.layer))];
// The type of a figure that shows one: the chosen one, else W_O, else the first.
function oneType(context) {
  const types = cornerTypes(context.result), {type} = context.state;
  return types.includes(type) ? type : types.includes("W_O") ? "W_O" : types[0];
}

// The figure's blocks in its order: rows of models or types, each with its layers.
function cornerBlocks(context) {
  const {rows, block} = context.state, all = withoutNoise(related(context.result.comparisons));
  const models = rows === "models" ? all : [oneModel(context)];
  const types = rows === "types" ? cornerTypes(context.result) : [oneType(context)];
  const withNoise = models.flatMap((comparison) => [comparison, comparison.noise].filter(Boolean));
  return types.flatMap((type) => withNoise.flatMap((comparison) => cornersOf(comparison, type)))
      .filter(({site}) => block === "both" || site.layer === Number(block))
      .sort((one, other) => (rows === "one" ? one.site.layer - other.site.layer : 0));
}

const cornerTitles = ({state}) =>
    ["sim<sub>U</sub>", "sim<sub>V</sub>", "| sim<sub>U</sub> − sim<sub>V</sub> |",
     state.scale === "paper" ? "I<sub>orth</sub>" : "I<sub>orth</sub> − I"];
const blockTitle = ({comparison, site}) =>
    `${plotName(comparison, 60)}: ${typePlot(site.type)}, layer ${placeText(site)}`;

// What a panel is in numbers: the mean of the diagonal, the largest departure, and NF of the block that is shown.
function cornerText(values, q, size) {
  if (q < 2) {
    let sum = 0;
    for (let i = 0; i < size; ++i) sum += values[i * size + i];
    return `diagonal ${fixed(sum / size, 3)}`;
  }
  const rest = q === 2 ? values : lessIdentity(values, size);
  const norm = Math.sqrt(rest.reduce((sum, value) => sum + value * value, 0)) / size;
  return `max ${significant(Math.max(...rest.map(Math.abs)), 2)}${q === 3 ? `, NF ${significant(norm, 2)}` : ""}`;
}

// sim_U, sim_V, their difference, and I_orth, as they are stored.
function cornerMatrices({get}) {
  const simU = get("sim_u"), simV = get("sim_v");
  return [simU, simV, simU.map((u, i) => Math.abs(u - simV[i])), get("i_orth")];
}

function cornerPanels(context) {
  if (context.state.rows === "grid") return cornerGridPanels(context);
  const blocks = cornerBlocks(context).map((block) => {
    const values = cornerMatrices(block), titles = cornerTitles(context);
    const panel = (title, q) => matrixPanel(title, block.size, {sub: cornerText(values[q], q, block.size)});
    return {title: blockTitle(block), panels: titles.map(panel)};
  });
  return panelLayout(context, blocks, {
    minWidth: 120,
    maxColumns: 4,
    panelHeight: (width) => Math.min(blocks.length > 4 ? 170 : 220, width),
    gap: 40,
    left: 50,
    bottom: 96,
    columns: (fit) =>
        (fit >= 4     ? 4 :
             fit >= 2 ? 2 :
                        1)
  });
}

// All models down, all types across, one matrix each.
function cornerGrid(context) {
  const types = shownTypes(context), layer = Number(context.state.block) || cornerLayers(context.result)[0];
  return shownModels(context).map(
      (comparison) => ({
        comparison,
        cells: types.map((type) => cornersOf(comparison, type).find(({site}) => site.layer === layer))
      }));
}

function cornerGridPanels(context) {
  const types = shownTypes(context), q = Number(context.state.matrix);
  const blocks = cornerGrid(context).map(
      ({comparison, cells}) => ({
        title: plotName(comparison, 60),
        panels: cells.map(
            (cell, t) => cell ?
                matrixPanel(typePlot(types[t]), cell.size, {sub: cornerText(cornerMatrices(cell)[q], q, cell.size)}) :
                emptyPanel(typePlot(types[t])))
      }));
  return panelLayout(context, blocks, {
    minWidth: context.narrow ? 120 : 105,
    maxColumns: 9,
    panelHeight: (width) => Math.min(220, width),
    gap: 34,
    left: 50,
    bottom: 96,
    columns: oneRowOrEven
  });
}

const kCornerAxes = ["coloraxis", "coloraxis", "coloraxis2", "coloraxis3"];
const kCornerKeys = ["sim_u", "sim_v", "sim_diff", "i_orth"];

function cornerHeat(context, block, q, axis) {
  const {size} = block, name = cornerTitles(context)[q], raw = cornerMatrices(block)[q];
  const values = q === 3 && context.state.scale === "fitted" ? lessIdentity(raw, size) : raw;
  return squareHeat(axis, values, size, {
    name,
    coloraxis: kCornerAxes[q],
    hovertemplate: `${blockTitle(block)}<br>base %{y}, model %{x}<br>${name} = %{z:.4f}<extra></extra>`
  });
}

// Colours of what is drawn: similarities from 0 to 1; the others too, or as far as they reach.
function cornerColors(context, layout, data) {
  const fitted = context.state.scale === "fitted",
        drawn = kCornerAxes.map((name) => data.filter((t) => t.coloraxis === name));
  const range = (q) => (fitted ? largestOf(drawn[q].flatMap(({z}) => z)) : 1), difference = range(2), orth = range(3);
  const alone = drawn.filter((traces) => traces.length).length === 1;
  const bar = (title, x, xanchor, more) =>
      lyingBar(title, alone ? {len: 0.4, x: 0, xanchor: "left", ...more} : {len: 0.28, x, xanchor, ...more});
  const grey = {cmin: 0, colorscale: kCividis};
  if (drawn[0].length) layout.coloraxis = {...grey, cmax: 1, colorbar: bar("sim", 0, "left", {dtick: 0.5})};
  const ends = {tickvals: [0, difference], ticktext: ["0", significant(difference, 2)]};
  if (drawn[2].length)
    layout.coloraxis2 = {...grey, cmax: difference, colorbar: bar("difference", 0.5, "center", ends)};
  if (drawn[3].length) {
    const colorbar = bar(cornerTitles(context)[3], 1, "right", bothEnds(orth));
    layout.coloraxis3 = {cmin: -orth, cmax: orth, colorscale: diverging(), colorbar};
  }
}

const noNoise = (comparison) => comparison.imitates || comparison.noise ?
    "" :
    `No noise of the size of ${comparison.name} was ` +
        "run, which would show what chance gives here: gyro diff … --control noise. ";

const kCornerFigure = {
  id: "corner",
  title: "Rotation of the leading directions",
  read: "The first 25 singular directions, base down, model across (the paper’s Figures 3a and 10 to 14). A bright " +
      "diagonal: directions kept their place. Where the difference is empty, and I_orth is the identity, both sides " +
      "moved alike. Each model stands beside noise of its size: what noise shows as well is no structure.",
  uses: ["model", "type"],
  choices(result) {
    const layers = cornerLayers(result);
    return [
      {
        key: "rows",
        label: "Show",
        options: [
          ["one", "one model, one type"], ["types", "all types of a model"], ["models", "all models, one type"],
          ["grid", "all models and types, one matrix"]
        ]
      },
      {
        key: "matrix",
        label: "Matrix (of all models and types)",
        options: [["3", "I_orth"], ["0", "sim_U"], ["1", "sim_V"], ["2", "difference"]]
      },
      {
        key: "block",
        label: "Layer",
        options: [["both", "first and last"], ...layers.map((layer) => [String(layer), String(layer)])]
      },
      {
        key: "scale",
        label: "Colours",
        options: [["fitted", "magnified departures"], ["paper", "0 to 1, as in the paper"]]
      }
    ];
  },
  about(context) {
    const {rows, block} = context.state, model = `${oneModel(context).name} against ${context.result.base.name}`;
    const type = oneType(context), layer = Number(block) || cornerLayers(context.result)[0];
    const grid =
        `${["sim_U", "sim_V", "difference", "I_orth"][Number(context.state.matrix)]} of all models, layer ${layer}`;
    return {one: `${model}, ${type}`, types: `${model}, all types`, models: `all models, ${type}`, grid}[rows];
  },
  panels: cornerPanels,
  build(context, {layout, axes}) {
    const types = shownTypes(context), q = Number(context.state.matrix);
    const data = context.state.rows === "grid" ?
        cornerGrid(context).flatMap(
            ({cells}, r) =>
                cells.flatMap((cell, t) => (cell ? [cornerHeat(context, cell, q, axes[r * types.length + t])] : []))) :
        cornerBlocks(context).flatMap(
            (block, b) => kCornerKeys.map((_, at) => cornerHeat(context, block, at, axes[4 * b + at])));
    cornerColors(context, layout, data);
    return {data, note: data.length ? noNoise(oneModel(context)) : kNoCorner};
  },
};
