// Text: numbers, names, elements. Names come from outside: they reach the page as text nodes and Plotly as escaped
// text.

const kDash = "–";
const kMinus = "\u2212";
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const minus = (text) => text.replace("-", kMinus);

// What rounds to zero has no sign.
const rounded = (value, digits) => value.toFixed(digits).replace(/^-(?=[0.]*$)/, "");
const fixed = (value, digits) => (isNumber(value) ? minus(rounded(value, digits)) : kDash);
function percent(value, digits = 1) {
  if (!isNumber(value)) return kDash;
  const least = 10 ** -digits;
  if (value > 0 && 100 * value < least / 2) return `<\u202f${least.toFixed(digits)}\u202f%`;
  return minus((100 * value).toFixed(digits)) + "\u202f%";
}
// A share with so many digits that it tells something.
const share = (value, digits = 2) => (isNumber(value) ? significant(100 * value, digits) + "\u202f%" : kDash);
const times = (value) => (isNumber(value) ? "×" + value.toFixed(2) : kDash);

function significant(value, digits = 3) {
  if (!isNumber(value)) return kDash;
  if (value === 0) return "0";
  const size = Math.floor(Math.log10(Math.abs(value)));
  if (size < -4 || size >= 7) {
    const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
    return minus(mantissa) + "·10" + superscript(Number(exponent));
  }
  return minus(value.toFixed(Math.max(0, digits - 1 - size)));
}

const superscript = (number) => [...String(number)].map((c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(c)])).join("");

function count(value) {
  if (!isNumber(value)) return kDash;
  for (const [size, name] of [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]]) {
    if (value >= size) return significant(value / size, 3) + "\u202f" + name;
  }
  return String(value);
}

const plural = (n, one, many = one + "s") => `${n} ${n === 1 ? one : many}`;

// "W_gate_up" with its index below, "W_shared_up" likewise: for elements, and for Plotly's little HTML.
const typeParts = (type) => [type.slice(0, 1), type.slice(2).replace("gate_up", "gate+up").replace("_", " ")];
function typeNode(type) {
  const [letter, index] = typeParts(type);
  return element("span", {class: "type"}, letter, element("sub", {}, index));
}
const typePlot = (type) => `W<sub>${typeParts(type)[1]}</sub>${isFused(type) ? " (fused)" : ""}`;
const typeTex = (type) => `$W_{\\mathrm{${typeParts(type)[1].replace(" ", "\\ ")}}}$`;

// For Plotly, which reads tags and entities in any text, and %{...} in templates.
const plotText = (text) => String(text)
                               .replace(/&/g, "&amp;")
                               .replace(/</g, "&lt;")
                               .replace(/>/g, "&gt;")
                               .replace(/%\{/g, "%\u200b{")
                               .replace(/[\u0000-\u001f]+/g, " ");
// Cut in the middle: names of models differ at their ends.
function shorten(text, limit) {
  if (text.length <= limit) return text;
  const tail = Math.ceil((limit - 1) * 0.6);
  return text.slice(0, limit - 1 - tail) + "…" + text.slice(-tail);
}
// A comparison's name in about `limit` letters: more where two would be alike.
function labelOf(comparison, limit) {
  const others = comparison.result.comparisons.filter((other) => other !== comparison);
  let room = limit;
  const alike = (other) => shorten(other.name, room) === shorten(comparison.name, room);
  while (room < comparison.name.length && others.some(alike)) room += 4;
  return shorten(comparison.name, room);
}
const plotName = (comparison, limit = 28) => plotText(labelOf(comparison, limit));

function csvField(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return Number.isFinite(value) ? String(value) : "";
  // A spreadsheet would run text that begins like a formula.
  const text = /^[=+\-@\t\r]/.test(value) ? "'" + value : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, "\"\"")}"` : text;
}

const kTex = {
  "\\": "\\textbackslash{}",
  "~": "\\textasciitilde{}",
  "^": "\\textasciicircum{}"
};
const texText = (text) => String(text)
                              .replace(/[\\~^&%$#_{}]/g, (c) => kTex[c] ?? "\\" + c)
                              .replace(/\s+/g, " ")
                              .replace(new RegExp(kDash, "g"), "--")
                              .replace(/\u202f/g, "\\,")
                              .replace(/×/g, "$\\times$")
                              .replace(/\u2212/g, "$-$");

// An element with attributes, listeners (on...) and children; strings become text.
function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) {
      node.addEventListener(name.slice(2), value);
    } else {
      node.setAttribute(name, value === true ? "" : value);
    }
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

// Text in which W_Q, W_base, I_orth, d_in, Q_1, α_Q ... become typeset.
const kTypeset = /(\b[WId]_(?:gate_up|QKV|gate|up|down|[QKVO]|post|base|p|b|orth|in|out)|Q_[12cp]|α_[QK])\b/;
const typeset = (text) => text.split(kTypeset).map((part, i) => (i % 2 ? typeNode(part) : part));

const symbolTex = ([letter, index]) => `$${letter === "α" ? "\\alpha" : letter}_{\\mathrm{${index}}}$`;
const typesetTex = (text) =>
    text.split(kTypeset).map((part, i) => (i % 2 ? symbolTex(typeParts(part)) : texText(part))).join("");

function say(text) {
  const status = document.getElementById("status");
  status.textContent = text;
  status.classList.add("shown");
  clearTimeout(say.timer);
  say.timer = setTimeout(() => status.classList.remove("shown"), 2500);
}

async function copyText(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = element("textarea", {class: "offscreen", "aria-hidden": "true"});
    area.value = text;
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    if (!copied) return say(`${what}: the browser does not allow copying here`);
  }
  say(`${what} copied`);
}

function download(name, text, kind) {
  const url = URL.createObjectURL(new Blob([text], {type: kind}));
  const link = element("a", {href: url, download: name});
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
