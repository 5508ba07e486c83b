// Small multiples: panels in rows, as many to a row as the width allows, all of one size.

const kRowGap = 44;

// blocks: [{title, panels: [{title, sub, x, y}], height}], x and y being Plotly's axis settings, `sub` a second line of
// the title. options: sharedY (true: one axis for all; "row": one a row), legend (the names in it), columns, sizes.
// Returns the layout, how to address each panel's axes, and the grid.
function panelLayout(context, blocks, options) {
  const grid = panelGrid(context, blocks, options);
  const layout = emptyLayout(grid, options);
  const axes = [];
  let y = 0;
  grid.rows.forEach((row, r) => {
    // The axis's name stands once in each column, below its last panel.
    const lowest = (column) => grid.rows.slice(r + 1).every((other) => other.panels.length <= column);
    const first = axes.length + 1;
    if (r > 0) y += gapAbove(grid.rows, r);
    if (row.title) {
      const place = {yshift: subRoom(row) + 21, font: {size: 13}};
      layout.annotations.push(caption(`<b>${row.title}</b>`, 0, 1 - y / grid.plotHeight, place));
    }
    row.panels.forEach((panel, column) => {
      axes.push(placePanel(context, layout, grid, options, {panel, row, column, y, number: axes.length + 1, first}));
      if (!lowest(column)) layout[axisKey("x", axes.length)].title = undefined;
    });
    y += row.height;
  });
  return {layout, axes, ...grid};
}

// How many panels stand in a row, how large they are, and the rows: [{title, panels, height}].
function panelGrid(context, blocks, options) {
  const {minWidth = 200, panelHeight = 170, maxColumns = 4, gap = 18, legend = [], left = 62, right = 14} = options;
  const inner = context.width - left - right;
  const most = Math.max(1, ...blocks.map((block) => block.panels.length));
  const fit = Math.max(1, Math.min(maxColumns, most, Math.floor((inner + gap) / (minWidth + gap))));
  const columns = options.columns?.(fit, most) ?? evenColumns(fit, most);
  const panelWidth = (inner - gap * (columns - 1)) / columns;
  const tall = typeof panelHeight === "function" ? panelHeight(panelWidth) : panelHeight;
  const rows = [];
  for (const {title, panels, height} of blocks) {
    for (let i = 0; i < panels.length; i += columns)
      rows.push({title: i === 0 ? title : null, panels: panels.slice(i, i + columns), height: height ?? tall});
  }
  const plotHeight = rows.reduce((sum, row, r) => sum + row.height + (r ? gapAbove(rows, r) : 0), 0);
  const legendRoom = legendHeight(context, legend, left + right);
  return {rows, columns, inner, gap, panelWidth, panelHeight: tall, plotHeight, legendRoom};
}

const subRoom = (row) => 16 * Math.max(0, ...row.panels.map(({sub}) => (sub ? sub.split("<br>").length : 0)));
// Room for the axis's name where a shorter row follows.
const gapAbove = (rows, r) => kRowGap + (rows[r].title ? 24 : 0) + subRoom(rows[r]) +
    (rows[r].panels.length < rows[r - 1].panels.length ? 14 : 0);

function emptyLayout({rows, plotHeight, legendRoom}, {legend = [], left = 62, right = 14, bottom = 42}) {
  const top = legendRoom + 24 + (rows.length && rows[0].title ? 22 : 0) + (rows.length ? subRoom(rows[0]) : 0);
  return {
    height: plotHeight + top + bottom,
    margin: {l: left, r: right, t: top, b: bottom},
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
}

const axisKey = (letter, number) => `${letter}axis${number === 1 ? "" : number}`;

// Puts one panel into the layout; returns how its axes are called.
function placePanel(context, layout, grid, options, {panel, row, column, y, number, first}) {
  const x0 = (column * (grid.panelWidth + grid.gap)) / grid.inner, suffix = number === 1 ? "" : String(number);
  const domainX = [x0, Math.min(1, x0 + grid.panelWidth / grid.inner)];
  const domainY = [Math.max(0, 1 - (y + row.height) / grid.plotHeight), 1 - y / grid.plotHeight];
  const xaxis = {...axisLook(context), ...panel.x, domain: domainX, anchor: `y${suffix}`};
  const yaxis = {...axisLook(context), ...panel.y, domain: domainY, anchor: `x${suffix}`};
  if (column > 0 && options.sharedY) {
    Object.assign(yaxis, {showticklabels: false, title: undefined});
  } else if (column > 0 && !options.nameEachY) {
    yaxis.title = undefined;
  }
  const lead = options.sharedY === "row" ? first : 1;
  if (options.sharedY && number > lead) yaxis.matches = `y${lead === 1 ? "" : lead}`;
  layout[axisKey("x", number)] = xaxis;
  layout[axisKey("y", number)] = yaxis;
  const sub = panel.sub ? `<br><span style="font-size:10.5px">${panel.sub}</span>` : "";
  layout.annotations.push(caption(panel.title + sub, domainX[0], domainY[1], {yshift: 2}));
  layout.meta.panels.push((row.title ? row.title + " " : "") + panel.title.replace(/<[^>]*>/g, ""));
  return {xaxis: `x${suffix}`, yaxis: `y${suffix}`};
}

// Seven panels in rows of four and three, not of five and two.
function evenColumns(fit, count) { return Math.ceil(count / Math.ceil(count / fit)); }
const oneRowOrEven = (fit, most) => (fit >= most ? most : evenColumns(Math.min(fit, 4), most));

const caption = (text, x, y, more = {}) => ({
  text,
  x,
  y,
  xref: "paper",
  yref: "paper",
  xanchor: "left",
  yanchor: "bottom",
  showarrow: false,
  align: "left",
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

// The panels that most figures have: one a type, in one block, or in a block for each model that is shown.
function typePanels(context, options, panel = () => ({})) {
  const {narrow} = context, types = shownTypes(context), big = types.length === 1;
  const panels = (comparison) => types.map((type) => {
    const {x, y, sub} = panel(type, comparison);
    return {title: typePlot(type), sub, x: {...options.x, ...x}, y: {...options.y, ...y}};
  });
  const size = {minWidth: narrow ? 118 : 138, panelHeight: big ? 300 : narrow ? 130 : 170, ...options};
  if (!options.models) return panelLayout(context, [{title: null, panels: panels()}], size);
  const blocks = options.models.map((comparison) => ({title: plotName(comparison, 60), panels: panels(comparison)}));
  const rows = {minWidth: narrow ? 118 : 104, maxColumns: 9, panelHeight: big ? 220 : 118, gap: 12};
  return panelLayout(context, blocks, {columns: oneRowOrEven, ...rows, ...options});
}

// Axis of layers: whole numbers, the last one among them.
function layerAxis(context, layers = context.result.layers) {
  const first = layers[0], last = layers[layers.length - 1];
  return {title: axisTitle("layer"), range: [first - 0.5, last + 0.5], ...layerTickValues(context, layers)};
}

function layerTickValues({narrow}, layers) {
  const first = layers[0], last = layers[layers.length - 1];
  const step = niceStep((last - first) * (narrow ? 2 : 1.4));
  const ticks = [];
  for (let tick = Math.ceil(first / step) * step; tick <= last - 0.6 * step; tick += step) ticks.push(tick);
  ticks.push(last);
  return {tickvals: ticks, ticktext: ticks.map(String)};
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
  if (span > 3.2) return {type: "log", title, ...decades(low, high)};
  const ticks = span > 0.7 ? stepTicks(
                                 low, high,
                                 span > 1.7     ? [1, 3] :
                                     span > 0.8 ? [1, 2, 5] :
                                                  [1, 1.5, 2, 3, 5, 7]) :
                             evenTicks(low, high);
  const text = (tick) => (tick >= 1e-4 && tick < 1e6 ? String(tick) : tick.toExponential().replace("e-", "e−"));
  return {type: "log", title, tickvals: ticks, ticktext: ticks.map(text)};
}

function stepTicks(low, high, steps) {
  const ticks = [];
  for (let decade = Math.floor(Math.log10(low)) - 1; decade <= Math.log10(high) + 1; ++decade)
    for (const step of steps) ticks.push(Number((step * 10 ** decade).toPrecision(6)));
  return ticks;
}

// About six, where the axis is hardly a logarithmic one.
function evenTicks(low, high) {
  const rough = ((high - low) / 5 || low / 10) * 0.999, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const first = Math.floor(low / step) - 1, last = Math.ceil(high / step) + 1;
  return Array.from({length: last - first + 1}, (_, i) => Number(((first + i) * step).toPrecision(6)))
      .filter((tick) => tick > 0);
}

// A tick for each power of ten, in the size of all other ticks.
function decades(low, high) {
  const first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high)), step = Math.ceil((last - first) / 6);
  const powers = Array.from({length: Math.floor((last - first) / step) + 1}, (_, i) => first + i * step);
  return {tickvals: powers.map((power) => 10 ** power), ticktext: powers.map((power) => "10" + superscript(power))};
}

// Indices counted from 1 on a logarithmic axis.
const indexAxis = () => ({title: axisTitle("singular index"), type: "log", dtick: 1});
