// A figure for paper: always light, as wide as a column, a page or a slide, with letters to match, and with a line that
// says what is shown. SVG is made of it; PNG and PDF are made of the SVG.

// drawn: pixels that the figure is laid out in; what is laid out in 12 pixels is 8 points high on paper, 15 on a slide.
const kSizes = {
  column: {label: "3.3 in", inches: 3.3, drawn: 360, dots: 300},
  page: {label: "7 in", inches: 7, drawn: 760, dots: 300},
  slide: {label: "slide", inches: 12.3, drawn: 760, dots: 200, titled: true, highest: 7},
};
const kPaperFont = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif";
const kEdge = 6;
let imageSize = "page";

// Figures that show one model or one type at a time, whatever is chosen.
const kOneAtATime = {
  residual: () => ({model: true, type: true}),
  composite: () => ({model: true}),
  corner: ({rows}) => ({model: rows === "one" || rows === "types", type: rows === "one" || rows === "models"}),
};

// What a figure shows of the choices, as far as it depends on them: {model, type, layer}.
function shownOf(context, {id, spec: {uses, subject}}) {
  const {result, state} = context, one = kOneAtATime[id]?.(state) ?? {}, chosen = (key) => state[key] !== "all";
  if (subject) {
    const {name, task} = subject(context);
    return {base: name, model: null, type: task, layer: null};
  }
  const model = one.model ? oneModel(context).name : uses.includes("model") && chosen("model") ? state.model : null;
  const type = one.type ? oneType(context) : uses.includes("type") && chosen("type") ? state.type : null;
  const layer = uses.includes("layer") ? state.layer : state.block && state.block !== "both" ? state.block : null;
  return {base: result.base?.name ?? null, model, type, layer};
}

// "base → instruct · W_O · layer 0"
function subjectOf(context, figure) {
  const {result} = context, {base, model, type, layer} = shownOf(context, figure);
  if (figure.spec.subject) return [base, type].filter((part) => part !== null).join(" · ");
  const models = model ?? result.comparisons.map((comparison) => comparison.name).join(", ");
  const subject = base ? `${base} → ${models}` : result.results.map(({label}) => label).join(", ");
  return [subject, type, layer === null ? null : `layer ${layer}`].filter((part) => part !== null).join(" · ");
}

// gyro-<base>-<model>-<figure>-<type>-<layer>: the parts that the figure depends on. The size is named unless it is the
// usual one.
function fileStem(context, figure, size = "page") {
  const {base, model, type, layer} = shownOf(context, figure);
  const parts = ["gyro", base, model, figure.id, type, layer, size === "page" ? null : size];
  return parts.filter((part) => part !== null).map(fileWord).join("-");
}
const fileWord = (text) => String(text).replace(/[^\w.-]+/g, "_").replace(/^_+|_+$/g, "").slice(0, 80);

// Where a figure is higher than fits on a slide, it is laid out wider.
function paperContext(figure, {drawn, inches, highest = Infinity}, context) {
  const paper = (width) => ({...context, width, narrow: width < 560, colors: kLight, family: kPaperFont});
  const fits = (width) => (inches * (figure.spec.panels(paper(width)).layout.height + 50)) / width <= highest;
  const widths = [1, 1.15, 1.3, 1.5].map((step) => drawn * step);
  return paper(widths.find(fits) ?? widths[widths.length - 1]);
}

// `text` in lines that fit into a width, broken between words.
function wrapped(text, width, font) {
  const pen = document.createElement("canvas").getContext("2d"), lines = [];
  pen.font = font;
  let line = "";
  for (const word of text.split(" ")) {
    const longer = line ? `${line} ${word}` : word;
    if (line && pen.measureText(longer).width > width) {
      lines.push(line);
      line = word;
    } else {
      line = longer;
    }
  }
  return [...lines, line];
}

// `plot`: an element of SVG, whose namespace the new one has.
function svgElement(plot, tag, attributes, ...children) {
  const node = document.createElementNS(plot.namespaceURI, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// The lines above the plot: on a slide the title, everywhere what is shown.
function headLines(figure, context, {titled}) {
  const width = context.width - 2 * kEdge, lines = [];
  const add = (text, size, weight, color) => {
    const font = `${weight} ${size}px ${kPaperFont}`;
    for (const line of wrapped(text, width, font)) lines.push({line, size, weight, color});
  };
  if (titled) add(figure.spec.title, 14, 600, kLight.text);
  add(subjectOf(context, figure), 11, 400, kLight.muted);
  return lines;
}

// Plotly's drawing of the figure, as an svg element, and its height.
async function plotSvg(figure, context) {
  const div = element("div", {class: "offscreen"});
  document.body.append(div);
  try {
    themeState.paper = true;
    const {height, done} = plotFigure(figure, div, context);
    themeState.paper = false;
    await done;
    // Plotly puts the name of a colour bar so near that its lower lengths, and indices, lie on the bar.
    for (const name of div.querySelectorAll(".cbtitle")) name.setAttribute("transform", "translate(0,-6)");
    const text = window.Plotly.Snapshot.toSVG(div, "svg");
    return {height, plot: new DOMParser().parseFromString(text, "image/svg+xml").documentElement};
  } finally {
    themeState.paper = false;
    window.Plotly.purge(div);
    div.remove();
  }
}

// {svg: its text, width, height: in inches}
async function figureImage(figure, sizeName, of = contextOf(figure)) {
  const size = kSizes[sizeName], context = paperContext(figure, size, of), head = headLines(figure, context, size);
  const {height, plot} = await plotSvg(figure, context);
  const above = head.reduce((sum, {size: letters}) => sum + letters + 4, kEdge + 2), tall = height + above + kEdge;
  const wide = Math.min(size.inches, ((size.highest ?? Infinity) * context.width) / tall);
  const inches = {width: Number(wide.toFixed(3)), height: Number(((wide * tall) / context.width).toFixed(3))};
  let y = kEdge;
  const texts = head.map(({line, size: letters, weight, color}) => {
    y += letters + 4;
    const look = {x: kEdge, y: y - 4, fill: color, "font-size": letters, "font-weight": weight};
    return svgElement(plot, "text", {...look, "font-family": kPaperFont, class: "head"}, line);
  });
  plot.setAttribute("x", 0);
  plot.setAttribute("y", above);
  const root = svgElement(
      plot, "svg", {
        width: `${inches.width}in`,
        height: `${inches.height}in`,
        viewBox: `0 0 ${context.width} ${tall}`,
      },
      svgElement(plot, "title", {}, figure.spec.title),
      svgElement(plot, "desc", {}, `${subjectOf(context, figure)}. ${madeBy(context)}`),
      svgElement(plot, "rect", {width: context.width, height: tall, fill: kLight.surface}), ...texts, plot);
  return {svg: new XMLSerializer().serializeToString(root), ...inches};
}

const madeBy = ({result}) => `Gyro ${(result.results?.[0] ?? result).gyro.version ?? ""}`.trim();

// The pieces of a PNG that tells how large it is on paper: its dots a metre (pHYs) come after the first chunk.
function withDensity(png, dots) {
  const first = 33, chunk = new DataView(new ArrayBuffer(21)), metre = Math.round(dots / 0.0254);
  chunk.setUint32(0, 9);
  [..."pHYs"].forEach((letter, i) => chunk.setUint8(4 + i, letter.charCodeAt(0)));
  chunk.setUint32(8, metre);
  chunk.setUint32(12, metre);
  chunk.setUint8(16, 1);
  chunk.setUint32(17, crc32(new Uint8Array(chunk.buffer, 4, 13)));
  return [png.subarray(0, first), chunk, png.subarray(first)];
}

function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; ++bit) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

// A PNG of an SVG, as a Blob.
async function rasterized({svg, width, height}, dots) {
  const url = URL.createObjectURL(new Blob([svg], {type: "image/svg+xml"}));
  try {
    const image = new Image();
    image.src = url;
    await image.decode();
    const canvas = element("canvas", {width: Math.round(width * dots), height: Math.round(height * dots)});
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    const png = await new Promise((done) => canvas.toBlob(done, "image/png"));
    return new Blob(withDensity(new Uint8Array(await png.arrayBuffer()), dots), {type: "image/png"});
  } finally {
    URL.revokeObjectURL(url);
  }
}

async function saveImage(figure, format) {
  const size = kSizes[imageSize], image = await figureImage(figure, imageSize);
  const content = format === "png" ? await rasterized(image, size.dots) : image.svg;
  const name = `${fileStem(contextOf(figure), figure, imageSize)}.${format}`;
  download(name, content, format === "png" ? "image/png" : "image/svg+xml");
  say(`${name} saved`);
}

// Puts one image alone on the printed page, which is as large as the image; returns how to take it away again.
function showSheet({svg, width, height}, title) {
  const page = element("style", {}, `@page { size: ${width}in ${height}in; margin: 0; }`);
  const sheet = element("div", {id: "sheet"});
  sheet.append(document.importNode(new DOMParser().parseFromString(svg, "image/svg+xml").documentElement, true));
  const usual = document.title;
  document.head.append(page);
  document.body.append(sheet);
  document.documentElement.classList.add("one-sheet");
  document.title = title;
  return () => {
    page.remove();
    sheet.remove();
    document.documentElement.classList.remove("one-sheet");
    document.title = usual;
  };
}
const sheetShown = () => document.documentElement.classList.contains("one-sheet");

// The browser's own printing makes the PDF.
async function printFigure(figure) {
  const name = fileStem(contextOf(figure), figure, imageSize);
  const leave = showSheet(await figureImage(figure, imageSize), name);
  window.addEventListener("afterprint", leave, {once: true});
  window.print();
}

function figureTools(figure) {
  const tool = (label, title, act) => element("button", {type: "button", title, onclick: act}, label);
  return element(
      "div", {class: "tools"}, sizeSelect(), tool("PNG", "Download as an image", () => saveImage(figure, "png")),
      tool("SVG", "Download as vector graphics", () => saveImage(figure, "svg")),
      tool("PDF", "Print this figure alone: choose “Save as PDF”", () => printFigure(figure)),
      tool("CSV", "Download every value of the figure beside its null", () => saveValues(figure)));
}

// One size for all figures.
function sizeSelect() {
  const select = element(
      "select", {
        class: "image-size",
        title: "Size of images: a column, a page, a slide",
        "aria-label": "Size of images",
        onchange: () => {
          imageSize = select.value;
          for (const other of document.querySelectorAll(".image-size")) other.value = imageSize;
        }
      },
      Object.entries(kSizes).map(
          ([value, {label}]) => element("option", {value, selected: value === imageSize}, label)));
  return select;
}
