// Colours: Okabe and Ito's for posts (told apart with any colour vision, and each has its own marker), noise like its
// post but pale and dotted, other controls from hues of their own and dashed; cividis and a blue–orange diverging scale
// for heatmaps. Light, dark, and paper.

const kLight = {
  surface: "#ffffff",
  text: "#1b2430",
  muted: "#56616f",
  grid: "#e6eaef",
  axis: "#b9c2cc",
  null: "#7d8793",
  band: "rgba(120,130,145,0.22)",
  strongBand: "rgba(110,120,135,0.38)",
  reference: "#1b2430",
  lines: ["#0072B2", "#D55E00", "#009E73", "#C48A00", "#3A9BD9", "#8C2D04"],
  controls: ["#B8558F", "#6A51A3", "#7A5230"],
  parts: {scaling: "#1b2430", co_rotation: "#0072B2", counter_rotation: "#E69F00", leakage: "#B9C2CC"},
  middle: "#f4f4f2",
};
const kDark = {
  surface: "#161c24",
  text: "#e6ebf1",
  muted: "#9fabb9",
  grid: "#28313c",
  axis: "#46525f",
  null: "#8f9ba9",
  band: "rgba(160,172,188,0.22)",
  strongBand: "rgba(165,177,193,0.38)",
  reference: "#e6ebf1",
  lines: ["#4FB0EA", "#FF8A4C", "#2CC59A", "#F2BE4A", "#8BCBF5", "#E3A27A"],
  controls: ["#E79CC8", "#B4A0E5", "#C9A27E"],
  parts: {scaling: "#f4f6f8", co_rotation: "#3E9BD6", counter_rotation: "#E9AE3C", leakage: "#4A5563"},
  middle: "#20262e",
};
const kSymbols = ["circle", "square", "diamond", "triangle-up", "cross", "x", "star", "hexagon"];
const kTypeSymbols = {
  W_Q: "circle",
  W_K: "square",
  W_V: "diamond",
  W_O: "cross",
  W_gate: "triangle-up",
  W_up: "triangle-down",
  W_down: "x",
  W_QKV: "star",
  W_gate_up: "hexagon",
  W_DQ: "pentagon",
  W_UQ: "hexagon2",
  W_DKV: "star-square",
  W_UKV: "star-diamond",
  W_router: "hourglass",
  W_shared_gate: "star-triangle-up",
  W_shared_up: "star-triangle-down",
  W_shared_down: "bowtie",
};
// Those that look smaller than they are drawn larger.
const kTypeSizes = {
  W_Q: 8,
  W_K: 7.5,
  W_V: 9,
  W_O: 9,
  W_gate: 9.5,
  W_up: 9.5,
  W_down: 8.5,
  W_QKV: 10,
  W_gate_up: 9,
  W_DQ: 9,
  W_UQ: 9,
  W_DKV: 9,
  W_UKV: 9,
  W_router: 9,
  W_shared_gate: 9.5,
  W_shared_up: 9.5,
  W_shared_down: 9
};
const kCividis = [
  [0, "#00224e"],
  [0.1, "#123570"],
  [0.2, "#3b496c"],
  [0.3, "#575d6d"],
  [0.4, "#707173"],
  [0.5, "#8a8678"],
  [0.6, "#a59c74"],
  [0.7, "#c3b369"],
  [0.8, "#e1cc55"],
  [0.9, "#f3db4b"],
  [1, "#fee838"],
];

const themeState = {
  choice: "auto",
  printing: false,
  paper: false  // figures are drawn for a file
};
const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  if (themeState.printing || themeState.paper) return false;
  return themeState.choice === "auto" ? prefersDark.matches : themeState.choice === "dark";
}
const colors = () => (isDark() ? kDark : kLight);

const diverging = () => isDark() ?
    [
      [0, "#9bd3ff"], [0.2, "#3f97d8"], [0.4, "#1f5683"], [0.5, kDark.middle], [0.6, "#8a4a14"], [0.8, "#e0842c"],
      [1, "#ffd29a"]
    ] :
    [
      [0, "#08306b"], [0.2, "#2f7fbc"], [0.4, "#a9cde4"], [0.5, kLight.middle], [0.6, "#fbc58f"], [0.8, "#d9701c"],
      [1, "#7f2704"]
    ];

function setTheme(choice) {
  themeState.choice = choice;
  if (choice === "auto") {
    delete document.documentElement.dataset.theme;
  } else {
    document.documentElement.dataset.theme = choice;
  }
  try {
    localStorage.setItem("gyro-theme", choice);
  } catch { /* a page from file:// may have no storage */
  }
  themeChanged();
}

function restoreTheme() {
  try {
    const choice = localStorage.getItem("gyro-theme");
    if (choice === "light" || choice === "dark") {
      themeState.choice = choice;
      document.documentElement.dataset.theme = choice;
    }
  } catch { /* as above */
  }
  prefersDark.addEventListener("change", themeChanged);
}

function themeChanged() {
  paintSwatches();
  redrawAll(true);
}

// How a comparison is drawn, everywhere the same.
function lineOf(comparison) {
  const {lines, controls, surface} = colors(), {result, imitates} = comparison;
  if (imitates) {
    const post = lineOf(imitates);
    return {color: mix(post.color, surface, 0.45), symbol: `${post.symbol}-open`, dash: "dot"};
  }
  if (comparison.role === "post") {
    const i = result.posts.indexOf(comparison);
    return {color: lines[i % lines.length], symbol: kSymbols[i % kSymbols.length], dash: "solid"};
  }
  const others = result.comparisons.filter((other) => other.role !== "post" && !other.imitates);
  const i = others.indexOf(comparison);
  return {color: controls[i % controls.length], symbol: kSymbols[(i + 4) % kSymbols.length], dash: "dash"};
}

const channels = (color) => [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
function mix(color, other, share) {
  const parts = channels(other).map((value, i) => Math.round(value * share + channels(color)[i] * (1 - share)));
  return "#" + parts.map((value) => value.toString(16).padStart(2, "0")).join("");
}

function fade(color, alpha) { return `rgba(${channels(color).join(",")},${alpha})`; }
