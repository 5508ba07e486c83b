// Small multiples: panels in rows, as many to a row as the width allows, all of one size.

const kRowGap = 44;

// blocks: [{title, panels: [{title, x, y}]}], x and y being Plotly's axis settings. Returns the layout, how to address
// each panel's axes, and the height.
function panelLayout(context, blocks, options) {
  const {minWidth = 200, panelHeight = 170, maxColumns = 4, gap = 18, legend = [], left = 62, right = 14, bottom = 50} =
      options;
  const inner = context.width - left - right;
  const most = Math.max(...blocks.map((block) => block.panels.length));
  const fit = Math.max(1, Math.min(maxColumns, most, Math.floor((inner + gap) / (minWidth + gap))));
  const columns = options.columns?.(fit, most) ?? evenColumns(fit, most);
  const panelWidth = (inner - gap * (columns - 1)) / columns;
  const tall = typeof panelHeight === "function" ? panelHeight(panelWidth) : panelHeight;
  const legendRoom = legendHeight(context, legend, left + right);
  const top = legendRoom + 26;

  const rows = [];
  for (const block of blocks) {
    for (let i = 0; i < block.panels.length; i += columns) {
      rows.push({title: i === 0 ? block.title : null, panels: block.panels.slice(i, i + columns)});
    }
  }
  const blockTitles = rows.filter((row) => row.title).length;
  // Room for the axis's name where a shorter row follows.
  const gapAbove = (r) =>
      kRowGap + (rows[r].title ? 26 : 0) + (rows[r].panels.length < rows[r - 1].panels.length ? 14 : 0);
  const plotHeight = rows.reduce((sum, _, r) => sum + tall + (r ? gapAbove(r) : 0), 0);
  const margin = {l: left, r: right, t: top + (blockTitles ? 24 : 0), b: bottom};
  const layout = {
    height: plotHeight + margin.t + margin.b,
    margin,
    annotations: [],
    shapes: [],
    showlegend: legend.length > 0,
    legend: {
      orientation: "h",
      x: 0,
      xanchor: "left",
      xref: "container",
      yref: "container",
      y: 1,
      yanchor: "top",
      tracegroupgap: 0,
      font: {size: 12}
    },
    meta: {panels: [], legendRoom},
  };
  const axes = [];
  let y = 0, number = 0;
  rows.forEach((row, r) => {
    // The axis's name stands once in each column, below its last panel.
    const lowest = (column) => rows.slice(r + 1).every((other) => other.panels.length <= column);
    if (r > 0) y += gapAbove(r);
    if (row.title) {
      layout.annotations.push(caption(`<b>${row.title}</b>`, 0, 1 - y / plotHeight, {yshift: 22, font: {size: 13}}));
    }
    row.panels.forEach((panel, column) => {
      ++number;
      const suffix = number === 1 ? "" : String(number);
      const x0 = (column * (panelWidth + gap)) / inner;
      const domainX = [x0, Math.min(1, x0 + panelWidth / inner)];
      const domainY = [Math.max(0, 1 - (y + tall) / plotHeight), 1 - y / plotHeight];
      layout[`xaxis${suffix}`] = {...axisLook(context), ...panel.x, domain: domainX, anchor: `y${suffix}`};
      layout[`yaxis${suffix}`] = {...axisLook(context), ...panel.y, domain: domainY, anchor: `x${suffix}`};
      if (column > 0 && options.sharedY) {
        Object.assign(layout[`yaxis${suffix}`], {showticklabels: false, title: undefined});
      } else if (column > 0 && !options.nameEachY) {
        layout[`yaxis${suffix}`].title = undefined;
      }
      if (!lowest(column)) layout[`xaxis${suffix}`].title = undefined;
      if (options.sharedY && number > 1) layout[`yaxis${suffix}`].matches = "y";
      if (options.sharedX && number > 1) layout[`xaxis${suffix}`].matches = "x";
      layout.annotations.push(caption(panel.title, domainX[0], domainY[1], {yshift: 2}));
      layout.meta.panels.push((row.title ? row.title + " " : "") + panel.title.replace(/<[^>]*>/g, ""));
      axes.push({xaxis: `x${suffix}`, yaxis: `y${suffix}`});
    });
    y += tall;
  });
  return {layout, axes, height: layout.height, columns, panelWidth, panelHeight: tall};
}

// Seven panels in rows of four and three, not of five and two.
function evenColumns(fit, count) { return Math.ceil(count / Math.ceil(count / fit)); }

const caption = (text, x, y, more = {}) => ({
  text,
  x,
  y,
  xref: "paper",
  yref: "paper",
  xanchor: "left",
  yanchor: "bottom",
  showarrow: false,
  font: {size: 12.5},
  ...more,
});

const axisLook = (context) => ({
  gridcolor: context.colors.grid,
  linecolor: context.colors.axis,
  showline: true,
  zeroline: false,
  ticks: "outside",
  ticklen: 3,
  tickcolor: context.colors.axis,
  tickfont: {size: 10.5, color: context.colors.muted},
  title: {font: {size: 11.5}, standoff: 6},
  automargin: false,
});

const axisTitle = (text) => ({text, font: {size: 11.5}, standoff: 5});

// The lines that Plotly will need for a horizontal legend: about 6.8 px a letter besides the sample and the gaps.
function legendHeight(context, names, margins) {
  if (!names.length) return 0;
  let lines = 1, used = 0;
  for (const name of names) {
    const width = 46 + 6.8 * name.replace(/<[^>]*>/g, "").replace(/&\w+;/g, "·").length;
    if (used > 0 && used + width > context.width - margins) {
      ++lines;
      used = 0;
    }
    used += width;
  }
  return 20 * lines + 8;
}

// The panels that most figures have: one a type.
function typePanels(context, options) {
  const panels = context.result.types.map((type) => ({title: typePlot(type), x: {...options.x}, y: {...options.y}}));
  return panelLayout(
      context, [{title: null, panels}],
      {minWidth: context.narrow ? 118 : 148, panelHeight: context.narrow ? 130 : 170, ...options});
}

// Axis of layers: whole numbers.
function layerAxis(result, context) {
  const first = result.layers[0], last = result.layers[result.layers.length - 1];
  return {
    title: axisTitle("layer"),
    range: [first - 0.5, last + 0.5],
    tickformat: "d",
    dtick: niceStep((last - first) * (context.narrow ? 2 : 1)),
    tick0: 0,
  };
}

function niceStep(span) {
  for (const step of [1, 2, 4, 5, 8, 10, 16, 20, 32, 50])
    if (span / step <= 8) return step;
  return Math.ceil(span / 8);
}

// A logarithmic axis for these values, its ticks written out where there are few decades (Plotly would shorten 0.05 to
// 5).
function logAxis(values, title) {
  const known = values.filter((value) => value > 0);
  if (!known.length) return {type: "log", title};
  const low = Math.min(...known), high = Math.max(...known), span = Math.log10(high / low);
  if (span > 3.2) return {type: "log", title, dtick: 1, exponentformat: "power"};
  const steps = span > 1.7 ? [1, 3] :
      span > 0.8           ? [1, 2, 5] :
      span > 0.3           ? [1, 1.5, 2, 3, 5, 7] :
                             [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8];
  const ticks = [];
  for (let decade = Math.floor(Math.log10(low)) - 1; decade <= Math.log10(high) + 1; ++decade) {
    for (const step of steps) ticks.push(Number((step * 10 ** decade).toPrecision(6)));
  }
  return {
    type: "log",
    title,
    tickvals: ticks,
    ticktext:
        ticks.map((tick) => (tick >= 1e-4 && tick < 1e6 ? String(tick) : tick.toExponential().replace("e-", "e−")))
  };
}

// Indices counted from 1 on a logarithmic axis.
const indexAxis = () => ({title: axisTitle("singular index"), type: "log", dtick: 1, minor: {ticks: ""}});

// One line of the values of each layer.
function layerLine(result, type, value) {
  const sites = result.sitesOf(type);
  return {x: sites.map((site) => site.layer), y: sites.map(value)};
}

// On a phone, figures begin with one model instead of all.
const narrowWindow = () => window.innerWidth < 600;

// The choices that many figures share.
const comparisonChoice = (result, more = []) => ({
  key: "comparison",
  label: "Model",
  options: [
    ...more,
    ...result.comparisons.map(
        (comparison) => [comparison.index, comparison.name + (comparison.role === "control" ? " (control)" : "")])
  ],
  value: more.length && !narrowWindow() ? more[0][0] : (result.posts[0] ?? result.comparisons[0]).index,
});
const layerChoice = (result) => ({
  key: "layer",
  label: "Layer",
  options: result.layers.map((layer) => [layer, String(layer)]),
  value: result.layers[0],
});
function whichChoice(result) {
  const some = related(result.comparisons);
  const options = [["all", "all models"]];
  if (some.length < result.comparisons.length) options.unshift(["related", "models related to the base"]);
  return {key: "which", label: "Show", options};
}
const chosen = (context) =>
    (context.state.which === "related" ? related(context.result.comparisons) : context.result.comparisons);
