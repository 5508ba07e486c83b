#include "gyro/cli/diff_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "gyro/base/error.h"
#include "gyro/cli/diff_tables.h"
#include "gyro/cli/outside_tables.h"
#include "gyro/cli/trajectory_table.h"
#include "gyro/diff/result_json.h"

namespace gyro {
namespace {

using std::string;

constexpr const char* kMarks =
    "✓ beyond chance, ≈ beyond chance but small, ○ as chance or not there, – undefined or not asked";

string role_of(const Comparison& comparison) {
  return comparison.role == Role::Control ? "Control" : "Post";
}

string base_line(const DiffResult& result) {
  const ModelInfo& base = result.base;
  return fmt::format("Base {} ({}, {} {})", printable(base.id), printable(base.model_type, 60), base.layers,
                     base.layers == 1 ? "layer" : "layers");
}

string measures_title(const Comparison& comparison, const string& name) {
  return fmt::format("{} {} (null: a structureless change of the same size)", role_of(comparison), name);
}

// What the rows of where_table are, since their names are short.
constexpr const char* kWhere =
    "energy: share of the change on the base's 10 % leading directions, input and output side, over chance; overlap: "
    "of "
    "these subspaces of base and post; spectrum: ‖σ_p − cσ_b‖ over ‖cσ_b‖; † more than 4 standard deviations from "
    "chance";

string where_title(const Comparison& comparison, const string& name) {
  return fmt::format("What changed where: {}{}", comparison.role == Role::Control ? "control " : "", name);
}

// Whether there are quantities to explain.
bool has_quantities(const Comparison& comparison) {
  return std::any_of(comparison.types.begin(), comparison.types.end(),
                     [](const TypeRow& type) { return type.quantities.has_value(); });
}

// The tables that stand before all others, one a comparison that has it, with their titles.
std::vector<Table> where_tables(const DiffResult& result, const std::vector<string>& names) {
  std::vector<Table> tables;
  for (size_t i = 0; i < names.size(); ++i) {
    const Comparison& comparison = result.comparisons[i];
    if (!has_where_table(comparison)) continue;
    Table table = where_table(comparison);
    if (table.rows.empty()) continue;
    tables.push_back(std::move(table));
    tables.back().title = where_title(comparison, names[i]);
  }
  if (result.trajectory) tables.push_back(trajectory_table(result));
  return tables;
}

bool explains_where(const DiffResult& result) {
  return std::any_of(result.comparisons.begin(), result.comparisons.end(), [](const Comparison& comparison) {
    return has_where_table(comparison) && has_quantities(comparison);
  });
}

// What stands between a comparison's measures and its notes.
std::vector<Table> more_tables(const Comparison& comparison) {
  std::vector<Table> tables = {update_spectrum_table(comparison), masks_table(comparison), experts_table(comparison)};
  if (comparison.outside) {
    tables.push_back(outside_table(*comparison.outside));
    tables.back().title = "Outside the matrices";
    tables.push_back(norms_table(*comparison.outside));
    tables.back().title = "Norms and biases that changed, over layers";
  }
  std::erase_if(tables, [](const Table& table) { return table.columns.empty() || table.rows.empty(); });
  return tables;
}

// What stands below a comparison's tables.
std::vector<string> notes_of(const Comparison& comparison) {
  std::vector<string> notes = lacking_lines(comparison);
  if (comparison.outside) {
    notes.push_back(comparison.outside->text);
    for (const string& line : token_lines(*comparison.outside)) notes.push_back(line);
  }
  notes.push_back(precision_line(comparison));
  return notes;
}

// Marks in their colours; they stand in no other text than verdicts.
string painted(string text, const Terminal& terminal) {
  for (const auto& [mark, colour] : {std::pair{"✓", Colour::Green}, {"≈", Colour::Yellow}, {"○", Colour::Dim}}) {
    const string by = terminal.paint(colour, mark);
    for (size_t at = text.find(mark); at != string::npos; at = text.find(mark, at + by.size()))
      text.replace(at, string(mark).size(), by);
  }
  return text;
}

// A heading, its line break outside of the colour.
string heading(const string& text, const Terminal& terminal) {
  string lines = wrapped(text, terminal.width, "  ");
  lines.pop_back();
  return terminal.paint(Colour::Bold, lines) + "\n";
}

string titled(Table table, const Terminal& terminal) {
  const string title = heading(table.title, terminal);
  table.title.clear();
  return title + text_table(table, terminal.width);
}

// What is not asked has one text for all findings.
std::vector<Finding> said_once(const Comparison& comparison) {
  std::vector<Finding> findings;
  std::set<string> said;
  for (const Finding& finding : comparison.findings) {
    if (said.insert(finding.text).second) findings.push_back(finding);
  }
  return findings;
}

string finding_line(const Finding& finding, const Terminal& terminal) {
  const size_t width = terminal.width - 2;
  return "  " + painted(verdict_mark(finding.verdict), terminal) + " " + wrapped(finding.text, width - 2, "    ");
}

string findings_text(const DiffResult& result, const std::vector<string>& names, const Terminal& terminal) {
  string out = heading("Findings", terminal);
  out += painted(text_table(verdict_table(result), terminal.width), terminal);
  out += painted(wrapped(kMarks, terminal.width, ""), terminal);
  for (size_t i = 0; i < names.size(); ++i) {
    const Comparison& comparison = result.comparisons[i];
    out += "\n" + heading(fmt::format("{} {}", role_of(comparison), names[i]), terminal);
    for (const Finding& finding : said_once(comparison)) out += finding_line(finding, terminal);
  }
  return out;
}

// Numbers as JSON has them, which is as precise as they are; lists with spaces.
string csv_cell(const Json& value) {
  if (value.is_null()) return "";
  string text;
  if (value.is_string()) {
    text = value.get<string>();
  } else if (value.is_array()) {
    for (const Json& item : value) text += (text.empty() ? "" : " ") + csv_cell(item);
  } else {
    text = value.dump();
  }
  if (text.find_first_of("\",\n\r") == string::npos) return text;
  string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? string("\"\"") : string(1, c);
  return quoted + "\"";
}

using Cells = std::vector<std::pair<string, string>>;

void flatten(const Json& object, const string& prefix, Cells& cells) {
  for (const auto& [key, value] : object.items()) {
    if (value.is_object()) {
      flatten(value, prefix + key + ".", cells);
    } else {
      cells.emplace_back(prefix + key, csv_cell(value));
    }
  }
}

string joined(const std::vector<string>& cells) {
  return fmt::format("{}\n", fmt::join(cells, ","));
}

}  // namespace

string diff_text(const DiffResult& result, const Terminal& terminal) {
  const std::vector<string> names = model_names(result);
  string out = wrapped(base_line(result), terminal.width, "  ") + "\n";
  for (const Table& table : where_tables(result, names)) out += fmt::format("{}\n", titled(table, terminal));
  if (explains_where(result)) out += fmt::format("{}\n", wrapped(kWhere, terminal.width, "  "));
  out += titled(scaling_table(result), terminal);
  for (size_t i = 0; i < names.size(); ++i) {
    const Comparison& comparison = result.comparisons[i];
    out += "\n" + heading(measures_title(comparison, names[i]), terminal);
    out += text_table(measures_table(comparison), terminal.width);
    for (const Table& table : more_tables(comparison)) out += titled(table, terminal);
    for (const string& line : notes_of(comparison)) out += wrapped(line, terminal.width, "  ");
  }
  if (const Table posts = posts_table(result); !posts.columns.empty()) out += "\n" + titled(posts, terminal);
  for (const string& line : interference_lines(result)) out += wrapped(line, terminal.width, "  ");
  return out + "\n" + findings_text(result, names, terminal);
}

string diff_markdown(const DiffResult& result) {
  const std::vector<string> names = model_names(result);
  string out = base_line(result) + "\n\n";
  for (const Table& table : where_tables(result, names)) out += fmt::format("{}\n", markdown_table(table));
  if (explains_where(result)) out += fmt::format("{}\n\n", kWhere);
  out += markdown_table(scaling_table(result));
  for (size_t i = 0; i < names.size(); ++i) {
    const Comparison& comparison = result.comparisons[i];
    Table table = measures_table(comparison);
    table.title = measures_title(comparison, names[i]);
    out += "\n" + markdown_table(table);
    for (const Table& more : more_tables(comparison)) out += fmt::format("\n{}", markdown_table(more));
    for (const string& line : notes_of(comparison)) out += "\n" + line + "\n";
  }
  if (const Table posts = posts_table(result); !posts.columns.empty())
    out += fmt::format("\n{}", markdown_table(posts));
  for (const string& line : interference_lines(result)) out += "\n" + line + "\n";
  Table verdicts = verdict_table(result);
  verdicts.title = "Findings";
  out += "\n" + markdown_table(verdicts) + "\n" + kMarks + "\n";
  for (size_t i = 0; i < names.size(); ++i) {
    out += fmt::format("\n{} {}\n\n", role_of(result.comparisons[i]), names[i]);
    for (const Finding& finding : said_once(result.comparisons[i]))
      out += fmt::format("- {} {}\n", verdict_mark(finding.verdict), finding.text);
  }
  return out;
}

string diff_latex(const DiffResult& result) {
  const std::vector<string> names = model_names(result);
  string out;
  for (const Table& table : where_tables(result, names)) out += fmt::format("{}\n", latex_table(table));
  out += latex_table(scaling_table(result));
  for (size_t i = 0; i < names.size(); ++i) {
    Table table = measures_table(result.comparisons[i]);
    table.title = measures_title(result.comparisons[i], names[i]);
    out += "\n" + latex_table(table);
    for (const Table& more : more_tables(result.comparisons[i])) out += fmt::format("\n{}", latex_table(more));
  }
  if (const Table posts = posts_table(result); !posts.columns.empty()) out += fmt::format("\n{}", latex_table(posts));
  return out;
}

string diff_csv(const DiffResult& result) {
  std::vector<string> heads = {"model", "role"};
  std::vector<Cells> lines;
  for (const Comparison& comparison : result.comparisons) {
    for (const MatrixRow& row : comparison.matrices) {
      Cells& cells = lines.emplace_back();
      cells = {{"model", csv_cell(comparison.post.id)}, {"role", comparison.role == Role::Post ? "post" : "control"}};
      flatten(to_json(row), "", cells);
      for (const auto& [head, cell] : cells) {
        if (std::find(heads.begin(), heads.end(), head) == heads.end()) heads.push_back(head);
      }
    }
  }
  string out = joined(heads);
  for (const Cells& line : lines) {
    std::vector<string> cells(heads.size());
    for (const auto& [head, cell] : line)
      cells[static_cast<size_t>(std::find(heads.begin(), heads.end(), head) - heads.begin())] = cell;
    out += joined(cells);
  }
  return out;
}

}  // namespace gyro
