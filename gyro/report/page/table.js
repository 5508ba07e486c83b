// A table that sorts by any column (keyboard too), and goes to the clipboard as CSV or LaTeX.

// columns: [{label: node or text, tex, heads: CSV headings, numeric, sortable}]; rows: [[cell]], a cell being
// {show: node(s) or text, sort, csv: values for the column's heads, tex}. Plain values are cells of themselves.
function makeTable({id, title, read, columns, rows, note, extra}) {
  const body = element("tbody");
  const state = {column: -1, descending: false};
  const cellOf = (value) => (value !== null && typeof value === "object" && "show" in value ? value : plainCell(value));
  const cells = rows.map((row) => row.map(cellOf));

  const buttons = columns.map(
      (column, i) => column.sortable === false ?
          null :
          element(
              "button", {type: "button", class: "sort", onclick: () => sortBy(i)}, column.label,
              element("span", {class: "arrow", "aria-hidden": "true"})));
  const heads = columns.map(
      (column, i) => element(
          "th", {scope: "col", class: column.numeric ? "numeric" : null, "aria-sort": buttons[i] ? "none" : null},
          buttons[i] ?? column.label));

  function fill() {
    const order = cells.map((_, i) => i);
    if (state.column >= 0) {
      const key = (i) => cells[i][state.column].sort;
      order.sort((a, b) => compareKeys(key(a), key(b), state.descending) || a - b);
    }
    body.replaceChildren(...order.map(
        (r) => element(
            "tr", {},
            cells[r].map(
                (cell, i) => element(
                    i === 0 ? "th" : "td",
                    {scope: i === 0 ? "row" : null, class: columns[i].numeric ? "numeric" : null}, cell.show)))));
    heads.forEach((head, i) => {
      if (!buttons[i]) return;
      head.setAttribute("aria-sort", i !== state.column ? "none" : state.descending ? "descending" : "ascending");
    });
    return order;
  }

  function sortBy(i) {
    if (state.column === i && state.descending) {
      state.column = -1;  // third time: as it was
    } else {
      state.descending = state.column === i;
      state.column = i;
    }
    fill();
  }

  const asCsv = () => {
    const head = columns.flatMap((column) => column.heads ?? [column.tex ?? ""]);
    const lines = fill().map((r) => cells[r].flatMap((cell) => cell.csv));
    return [head, ...lines].map((line) => line.map(csvField).join(",")).join("\n") + "\n";
  };
  const asTex = () => {
    const lines = fill().map((r) => "  " + cells[r].map((cell) => cell.tex).join(" & ") + " \\\\");
    return [
      "\\begin{tabular}{" + columns.map((column) => (column.numeric ? "r" : "l")).join("") + "}", "  \\hline",
      "  " + columns.map((column) => column.tex ?? "").join(" & ") + " \\\\", "  \\hline", ...lines, "  \\hline",
      "\\end{tabular}", ""
    ].join("\n");
  };

  fill();
  const heading = `heading-${id}`;
  return element(
      "section", {class: "card", id, "aria-labelledby": heading},
      element(
          "div", {class: "card-head"}, element("h3", {id: heading}, title),
          element(
              "div", {class: "tools"},
              element(
                  "button", {
                    type: "button",
                    onclick: () => copyText(asCsv(), "CSV"),
                    "data-copy": "csv",
                    title: "Copy as comma-separated values"
                  },
                  "Copy CSV"),
              element(
                  "button", {
                    type: "button",
                    onclick: () => copyText(asTex(), "LaTeX"),
                    "data-copy": "latex",
                    title: "Copy as a LaTeX tabular"
                  },
                  "Copy LaTeX"))),
      read ? element("p", {class: "read"}, ...typeset(read)) : null, extra ?? null,
      element(
          "div", {class: "scroll", tabindex: "0", role: "region", "aria-labelledby": heading},
          element("table", {}, element("thead", {}, element("tr", {}, heads)), body)),
      note ? element("p", {class: "note"}, note) : null);
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
