// A table that sorts by any column (keyboard too), and goes to the clipboard as CSV or LaTeX.

// columns: [{label: node or text, tex, heads: CSV headings, numeric, sortable, width: in LaTeX, of long texts}]; rows:
// [[cell]], a cell being {show: node(s) or text, sort, csv: values for the column's heads, tex}. Plain values are cells
// of themselves. `folded`: closed until opened; `filter`: a field that keeps the rows with its words; `sorted`,
// `onsort`: the order that it has at first, and who wants to know of another; `caption`: of the LaTeX table; `latex`:
// other forms of that:
// [{name: "" or what a file's name has at its end, label, title, text(table)}].
// `subject`: what its files are named by where that is not the base.
const tables = new Map();
const kLatex = [{name: "", label: "LaTeX", title: "Copy as a LaTeX table", text: tableTex}];
function makeTable(
    {id, title, read, columns, rows, note, extra, folded, filter, sorted, onsort, caption, latex, subject}) {
  const cellOf = (value) => (value !== null && typeof value === "object" && "show" in value ? value : plainCell(value));
  const cells = rows.map((row) => row.map(cellOf));
  const table = {columns, cells, column: -1, descending: false, ...sorted, words: [], caption, id, onsort, subject};
  const body = element("tbody"), heads = tableHeads(table, body), heading = `heading-${id}`;
  fillTable(table, body, heads);
  const forms = latex ?? kLatex;
  if (columns.length && !id.startsWith("values-")) tables.set(id, {table, latex: forms});
  const copy = (what, text, kind, how) => element(
      "button", {type: "button", onclick: () => copyText(text(table), what), "data-copy": kind, title: how},
      `Copy ${what}`);
  const tools = element(
      "div", {class: "tools"}, filter ? filterField(table, body, heads) : null,
      copy("CSV", tableCsv, "csv", "Copy as comma-separated values"),
      forms.map(({name, label, title: how, text}) => copy(label, text, `latex${name}`, how)));
  const content = [
    read ? element("p", {class: "read"}, ...typeset(read)) : null, extra ?? null,
    element(
        "div", {class: "scroll", tabindex: "0", role: "region", "aria-labelledby": heading},
        element("table", {}, element("thead", {}, element("tr", {}, heads)), body)),
    note ? element("p", {class: "note"}, note) : null
  ];
  if (!folded)
    return element(
        "section", {class: "card", id, "aria-labelledby": heading},
        element("div", {class: "card-head"}, element("h3", {id: heading}, title), tools), content);
  return element(
      "details", {class: "card", id}, element("summary", {}, element("h3", {id: heading}, title)), tools, content);
}

// Keeps the rows in which each word stands.
function filterField(table, body, heads) {
  const field = element("input", {
    type: "search",
    placeholder: "Filter rows",
    "aria-label": "Filter rows",
    oninput: () => {
      table.words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      fillTable(table, body, heads);
    }
  });
  return field;
}

// The column heads: buttons that sort, but where a column does not.
function tableHeads(table, body) {
  const heads = table.columns.map((column, i) => {
    const numeric = column.numeric ? "numeric" : null;
    if (column.sortable === false) return element("th", {scope: "col", class: numeric}, column.label);
    const sort = () => {
      sortTable(table, i);
      table.onsort?.({column: table.column, descending: table.descending});
      fillTable(table, body, heads);
    };
    const button = element(
        "button", {type: "button", class: "sort", onclick: sort}, column.label,
        element("span", {class: "arrow", "aria-hidden": "true"}));
    return element("th", {scope: "col", class: numeric, "aria-sort": "none"}, button);
  });
  return heads;
}

// By column i: first up, then down, the third time as it was.
function sortTable(table, i) {
  const third = table.column === i && table.descending;
  table.descending = !third && table.column === i;
  table.column = third ? -1 : i;
}

function tableOrder({cells, column, descending, words}) {
  const text = (i) => cells[i].slice(0, 3).flatMap((cell) => cell.csv).join(" ").toLowerCase();
  const order = cells.map((_, i) => i).filter((i) => words.every((word) => text(i).includes(word)));
  if (column < 0) return order;
  const key = (i) => cells[i][column].sort;
  return order.sort((a, b) => compareKeys(key(a), key(b), descending) || a - b);
}

function fillTable(table, body, heads) {
  const cellNode = (cell, i) => element(
      i === 0 ? "th" : "td", {scope: i === 0 ? "row" : null, class: table.columns[i].numeric ? "numeric" : null},
      cell.show);
  body.replaceChildren(...tableOrder(table).map((r) => element("tr", {}, table.cells[r].map(cellNode))));
  heads.forEach((head, i) => {
    if (!head.hasAttribute("aria-sort")) return;
    head.setAttribute("aria-sort", i !== table.column ? "none" : table.descending ? "descending" : "ascending");
  });
}

function tableCsv(table) {
  const head = table.columns.flatMap((column) => column.heads ?? [column.tex ?? ""]);
  const lines = tableOrder(table).map((r) => table.cells[r].flatMap((cell) => cell.csv));
  return [head, ...lines].map((line) => line.map(csvField).join(",")).join("\n") + "\n";
}

// With booktabs.
function tableTex(table) {
  const {columns, cells, caption, id} = table;
  const lines = tableOrder(table).map((r) => "    " + cells[r].map((cell) => cell.tex).join(" & ") + " \\\\");
  const heads = "    " + columns.map((column) => column.tex ?? "").join(" & ") + " \\\\";
  const form = columns.map(({width, numeric}) => (width ? `p{${width}\\linewidth}` : numeric ? "r" : "l")).join("");
  const body = [
    `  \\begin{tabular}{${form}}`, "    \\toprule", heads, "    \\midrule", ...lines, "    \\bottomrule",
    "  \\end{tabular}"
  ];
  if (!caption) return [...body, ""].map((line) => line.replace(/^ {2}/, "")).join("\n");
  const around = ["\\begin{table}", "  \\centering", `  \\caption{${caption}}`, `  \\label{tab:${id}}`];
  return [...around, ...body, "\\end{table}", ""].join("\n");
}

function plainCell(value) {
  const show = value === null || value === undefined ? kDash : String(value);
  return {show, sort: value, csv: [value], tex: texText(show)};
}

// A number shown as `text`.
const numberCell = (value, text, tex) => ({show: text, sort: value, csv: [value], tex: tex ?? texText(text)});

// Numbers before text, what is missing last.
function compareKeys(a, b, descending) {
  const missing = (value) => value === null || value === undefined || Number.isNaN(value);
  if (missing(a) || missing(b)) return Number(missing(a)) - Number(missing(b));
  const order = typeof a === "number" && typeof b === "number" ?
      a - b :
      String(a).localeCompare(String(b), "en", {numeric: true});
  return descending ? -order : order;
}
