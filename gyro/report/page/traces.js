// The marks that figures share: one function a kind of mark, from values to a Plotly trace. What is only there to be
// looked at says so (meta.helper): the keys pass it by.

// A comparison's line over layers or indices. `first`: it stands in the legend.
function modelLine(comparison, axis, {x, y, first = false, ...more}) {
  const look = lineOf(comparison), place = comparison.result.posts.indexOf(comparison);
  // Posts that coincide show: each is wider than the one that is drawn over it.
  const halo = place < 0 ? 0 : 1.3 * Math.min(place, 3);
  return {
    type: "scatter",
    mode: "lines+markers",
    ...axis,
    x,
    y,
    name: plotName(comparison),
    legendgroup: `c${comparison.index}`,
    showlegend: first,
    legendrank: 1000 + comparison.index,
    line: {color: look.color, width: 1.6 + halo, dash: look.dash},
    marker: {size: (x.length > 40 ? 2.5 : 5) + halo, symbol: look.symbol},
    ...more
  };
}

// A plain line that belongs to no comparison.
function plainLine(axis, {x, y, name, group = name, first = false, line, ...more}) {
  return {
    type: "scatter",
    mode: "lines",
    ...axis,
    x,
    y,
    name,
    legendgroup: group,
    showlegend: first,
    legendrank: 2000,
    line,
    ...more
  };
}

// A level over the whole panel, or one for each of some layers; one of null keeps the name in the legend.
function levelLine(context, axis, level, {name = "chance", text = name, first = false, dash = "dash", x}) {
  const {layers} = context.result, places = x ?? [layers[0], layers[layers.length - 1]];
  return plainLine(axis, {
    ...stretch({x: places, y: Array.isArray(level) ? level : places.map(() => level)}),
    name,
    first,
    line: {color: context.colors.reference, width: 1.3, dash},
    hovertemplate: `${text}<extra></extra>`,
    meta: level === null ? {helper: true} : undefined
  });
}

// What stands in the legend without a mark in a panel.
function legendMark(axis, name, group, look) {
  const mode = look.line ? "lines" : "markers";
  return {
    type: "scatter",
    mode,
    ...axis,
    x: [null],
    y: [null],
    name,
    legendgroup: group,
    ...look,
    legendrank: 3000,
    meta: {helper: true}
  };
}

// The band mean ± std over x.
function band(x, mean, std, axis, look) {
  const low = mean.map((m, i) => (isNumber(m) && isNumber(std[i]) ? m - std[i] : null));
  const high = mean.map((m, i) => (isNumber(m) && isNumber(std[i]) ? m + std[i] : null));
  const known = x.map((_, i) => i).filter((i) => low[i] !== null);
  const places = known.map((i) => x[i]);
  if (known.length === 1) {  // one layer: a band as wide as a mark
    known.push(known[0]);
    places.splice(0, 1, places[0] - 0.2, places[0] + 0.2);
  }
  const back = [...known].reverse();
  return {
    type: "scatter",
    mode: "lines",
    ...axis,
    x: [...places, ...[...places].reverse()],
    y: [...known.map((i) => high[i]), ...back.map((i) => low[i])],
    fill: "toself",
    line: {width: 0},
    hoverinfo: "skip",
    showlegend: false,
    legendrank: 2500,
    meta: {helper: true},
    ...look,
  };
}

// One line of the values of each layer.
function layerLine(result, type, value) {
  const sites = result.sitesOf(type);
  return {x: sites.map((site) => site.layer), y: sites.map(value)};
}

// A level over the whole width, also where there is one layer.
function stretch({x, y}) { return {x: [x[0] - 0.5, ...x, x[x.length - 1] + 0.5], y: [y[0], ...y, y[y.length - 1]]}; }

const indexOf = (size) => Array.from({length: size}, (_, i) => i + 1);

// A square block as a heatmap, rows down.
function squareHeat(axis, values, size, {name, coloraxis, hovertemplate, ...more}) {
  const z = Array.from({length: size}, (_, i) => Array.from(values.subarray(i * size, (i + 1) * size)));
  return {type: "heatmap", ...axis, name, x: indexOf(size), y: indexOf(size), z, coloraxis, hovertemplate, ...more};
}

// Values less the identity.
const lessIdentity = (values, size) => values.map((value, i) => value - (Math.floor(i / size) === i % size ? 1 : 0));

// The largest size among blocks, as the end of a colour scale.
function largestOf(blocks) {
  const largest = Math.max(0, ...blocks.flatMap((values) => Array.from(values, Math.abs)).filter(Number.isFinite));
  return largest > 0 ? Number(largest.toPrecision(2)) : 1;
}

// A colour bar: upright beside the panels, or lying below them at the figure's lower end.
const barOf = (title, more) =>
    ({title: {text: title, side: "top"}, outlinewidth: 0, thickness: 12, tickfont: {size: 10.5}, ...more});
const lyingBar = (title, more) =>
    barOf(title, {orientation: "h", yref: "container", y: 0, yanchor: "bottom", ypad: 4, ...more});
const bothEnds = (range) =>
    ({tickvals: [-range, 0, range], ticktext: [significant(-range, 2), "0", significant(range, 2)]});

function ruler(xref, yref, [x0, x1], [y0, y1], color, width) {
  return {type: "line", xref, yref, x0, x1, y0, y1, line: {color, width}, layer: "below"};
}
