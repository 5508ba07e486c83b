#include "gyro/cli/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "gyro/base/utf8.h"
#include "gyro/cli/names.h"

namespace gyro {
namespace {

using std::string;
using std::string_view;

constexpr size_t kGap = 2;

string aligned(const string& text, size_t width, bool right) {
  const string space(width - std::min(width, columns_of(text)), ' ');
  return right ? space + text : text + space;
}

constexpr size_t kShortLabel = 16;  // that is never cut

// Labels so short that the widest column fits beside them, if they can be.
void fit_labels(Table& table, const std::vector<size_t>& widths, size_t width) {
  const size_t widest = widths.empty() ? 0 : *std::max_element(widths.begin(), widths.end());
  const size_t limit = std::max(kShortLabel, width - std::min(width, widest));
  std::vector<string> labels;
  for (const Table::Row& row : table.rows) labels.push_back(row.label);
  labels = cut_names(labels, limit);
  for (size_t i = 0; i < labels.size(); ++i) {
    if (!table.rows[i].detail) table.rows[i].label = labels[i];
  }
}

size_t label_width(const Table& table) {
  size_t width = 0;
  for (const Table::Row& row : table.rows) width = std::max(width, columns_of(row.label) + (row.detail ? 2 : 0));
  return width;
}

size_t column_width(const Table& table, size_t column) {
  size_t width = columns_of(table.columns[column]);
  for (const Table::Row& row : table.rows) width = std::max(width, columns_of(row.cells[column]));
  return width + kGap;
}

// How many columns from `first` on fit into `width`: at least one.
size_t columns_that_fit(const std::vector<size_t>& widths, size_t first, size_t label, size_t width) {
  size_t end = first, used = label;
  while (end < widths.size() && (end == first || used + widths[end] <= width)) used += widths[end++];
  return end - first;
}

string replaced(string text, string_view what, string_view by) {
  for (size_t at = text.find(what); at != string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
  return text;
}

string markdown_cell(const string& text) {
  return replaced(text, "|", "\\|");
}

string markdown_row(const string& label, const std::vector<string>& cells) {
  string line = fmt::format("| {} |", markdown_cell(label));
  for (const string& cell : cells) line += fmt::format(" {} |", markdown_cell(cell));
  return line + "\n";
}

// Names of types, as W_gate, and signs are set as mathematics.
string latex_cell(const string& text) {
  string out;
  for (const char c : text) {
    if (string_view("&%$#_{}").find(c) != string_view::npos) out += '\\';
    out += c == '~' || c == '^' || c == '\\' ? string(1, ' ') : string(1, c);
  }
  if (text.starts_with("W_") && text.find_first_of("&%$#{}") == string::npos)
    out = fmt::format("$W_{{\\mathrm{{{}}}}}$", replaced(text.substr(2), "_", "\\_"));
  const std::pair<const char*, const char*> signs[] = {{"±", "$\\pm$"},
                                                       {"−", "$-$"},
                                                       {"×", "$\\times$"},
                                                       {"α", "$\\alpha$"},
                                                       {"‖", "$\\|$"},
                                                       {"∞", "$\\infty$"},
                                                       {"†", "\\textsuperscript{\\dag}"}};
  for (const auto& [sign, by] : signs) out = replaced(out, sign, by);
  return out;
}

string latex_row(const string& label, const std::vector<string>& cells, bool detail = false) {
  string line = fmt::format("{}{}", detail ? "\\quad " : "", latex_cell(label));
  for (const string& cell : cells) line += fmt::format(" & {}", latex_cell(cell));
  return line + " \\\\\n";
}

}  // namespace

string text_table(Table table, size_t width) {
  std::vector<size_t> widths;
  for (size_t i = 0; i < table.columns.size(); ++i) widths.push_back(column_width(table, i));
  fit_labels(table, widths, width);
  const size_t label = label_width(table);
  string out = table.title.empty() ? "" : table.title + "\n";
  for (size_t first = 0; first < widths.size();) {
    const size_t end = first + columns_that_fit(widths, first, label, width);
    const auto line = [&](const string& name, const std::vector<string>& cells) {
      string text = aligned(name, label, false);
      for (size_t i = first; i < end; ++i) text += aligned(cells[i], widths[i], true);
      out += text.substr(0, text.find_last_not_of(' ') + 1) + "\n";
    };
    if (first > 0) out += "\n";
    line("", table.columns);
    for (const Table::Row& row : table.rows) line(fmt::format("{}{}", row.detail ? "  " : "", row.label), row.cells);
    first = end;
  }
  return out;
}

string markdown_table(const Table& table) {
  string out = table.title.empty() ? "" : fmt::format("**{}**\n\n", table.title);
  out += markdown_row("", table.columns) + "|:---|";
  for (size_t i = 0; i < table.columns.size(); ++i) out += "---:|";
  out += "\n";
  for (const Table::Row& row : table.rows) out += markdown_row(row.label, row.cells);
  return out;
}

string latex_table(const Table& table) {
  string out = "% \\usepackage{booktabs}\n\\begin{table}\n\\centering\n";
  if (!table.title.empty()) out += fmt::format("\\caption{{{}}}\n", latex_cell(table.title));
  out += fmt::format("\\begin{{tabular}}{{l{}}}\n\\toprule\n", string(table.columns.size(), 'r'));
  out += latex_row("", table.columns) + "\\midrule\n";
  for (const Table::Row& row : table.rows) out += latex_row(row.label, row.cells, row.detail);
  return out + "\\bottomrule\n\\end{tabular}\n\\end{table}\n";
}

}  // namespace gyro
