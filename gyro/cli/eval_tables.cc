#include "gyro/cli/eval_tables.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace gyro {
namespace {

std::string percent(double share) {
  return fmt::format("{:.1f}", 100 * share);
}

std::string interval(const Interval& of) {
  return fmt::format("[{:.1f}, {:.1f}]", 100 * of.low, 100 * of.high);
}

// "†" where the limit of tokens has cut too many answers.
std::string marked(const EvalCell& cell, const std::string& text) {
  return cell.truncated > kMuchTruncated ? text + "†" : text;
}

std::string p_value(double p) {
  const std::string text = fmt::format("{:.3f}", p);
  return p < 0.001 ? "<.001" : text.starts_with('0') ? text.substr(1) : text;
}

std::vector<std::string> distinct(const std::vector<EvalCell>& cells, std::string EvalCell::*name) {
  std::vector<std::string> out;
  for (const EvalCell& cell : cells) {
    if (std::ranges::find(out, cell.*name) == out.end()) out.push_back(cell.*name);
  }
  return out;
}

// A row a variant, a column a task.
template <typename Format>
Table by_task(const std::vector<EvalCell>& cells, std::string title, const Format& format) {
  Table table{std::move(title), distinct(cells, &EvalCell::task), {}};
  for (const std::string& variant : distinct(cells, &EvalCell::variant)) {
    Table::Row row{variant, {}};
    for (const EvalCell& cell : cells) {
      if (cell.variant == variant) row.cells.push_back(format(cell));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

std::string with_noise(double value, double noise, int digits) {
  if (std::isnan(value)) return "?";  // a length that nobody has said
  return std::isnan(noise) ? fmt::format("{:.{}f}", value, digits)
                           : fmt::format("{:.{}f} ± {:.{}f}", value, digits, noise, digits);
}

}  // namespace

Table task_table(const std::vector<EvalCell>& cells, const std::string& task) {
  const bool repeated = cells.front().repeats > 1;
  const bool compared = std::ranges::any_of(cells, [](const EvalCell& cell) { return cell.against.has_value(); });
  Table table{task, {"accuracy %", "95 %"}, {}};
  if (repeated) table.columns.emplace_back("± repeats");
  for (const char* column : {"flexible %", "tokens", "cut %", "no answer %"}) table.columns.emplace_back(column);
  if (compared) table.columns.insert(table.columns.end(), {"difference", "95 %", "p (Holm)", "least seen"});
  for (const EvalCell& cell : cells) {
    if (cell.task != task) continue;
    Table::Row row{cell.variant,
                   {marked(cell, cell.collapsed ? "-" : percent(cell.strict.mean)), interval(cell.strict.interval)}};
    if (repeated) row.cells.push_back(percent(cell.decoding_noise));
    row.cells.insert(row.cells.end(), {percent(cell.flexible.mean), with_noise(cell.tokens, std::nan(""), 1),
                                       percent(cell.truncated), percent(cell.no_answer)});
    if (cell.against) {
      row.cells.insert(
          row.cells.end(),
          {fmt::format("{:+.1f}", 100 * cell.against->difference), interval(cell.against->interval),
           p_value(cell.p_adjusted), std::isnan(cell.against->detectable) ? "–" : percent(cell.against->detectable)});
    }
    row.cells.resize(table.columns.size());
    table.rows.push_back(std::move(row));
  }
  return table;
}

Table accuracy_table(const std::vector<EvalCell>& cells) {
  return by_task(cells, "Accuracy in %, ± its standard deviation over repeats", [](const EvalCell& cell) {
    if (cell.collapsed) return std::string("-");
    return marked(cell, with_noise(100 * cell.strict.mean, 100 * cell.decoding_noise, 2));
  });
}

Table length_table(const std::vector<EvalCell>& cells) {
  return by_task(cells, "Mean length of answers in tokens, ± its standard deviation over repeats",
                 [](const EvalCell& cell) { return with_noise(cell.tokens, cell.tokens_noise, 2); });
}

std::vector<std::string> table_notes(const std::vector<EvalCell>& cells) {
  const EvalCell& first = cells.front();
  std::vector<std::string> notes = {
      "accuracy: the share of questions answered right, in the form that was asked for; flexible: in any form. The "
      "unit is the question: its interval is over questions (Wilson), repeats narrow nothing."};
  if (first.repeats > 1) {
    notes.emplace_back(
        "± repeats: standard deviation of the accuracy over repeats. It is decoding noise, no error of "
        "the accuracy.");
  }
  if (std::ranges::any_of(cells, [](const EvalCell& cell) { return cell.strict.clusters > 0; })) {
    notes.emplace_back(
        "Intervals of accuracies allow for questions of a subject being alike; differences take them as independent.");
  }
  if (std::ranges::any_of(cells, [](const EvalCell& cell) { return cell.against.has_value(); })) {
    notes.push_back(fmt::format(
        "difference: to {}, over the same questions ({}); p is adjusted for the number of variants (Holm); least seen: "
        "the smallest difference that such a test, so adjusted, finds in four runs of five.",
        first.variant,
        std::ranges::any_of(
            cells,
            [](const EvalCell& cell) { return cell.against && cell.against->test == std::string_view("sign-flip"); })
            ? "sign-flip test over questions, which is McNemar's where all repeats agree"
            : "McNemar's exact test"));
  }
  if (std::ranges::any_of(cells, [](const EvalCell& cell) { return cell.collapsed; })) {
    notes.emplace_back("-: collapse, no answer in the form that was asked for in at least 99 % of outputs.");
  }
  if (std::ranges::any_of(cells, [](const EvalCell& cell) { return cell.truncated > kMuchTruncated; })) {
    notes.emplace_back(
        "†: more than 2 % of answers were cut at the limit of tokens: the accuracy says something of "
        "the limit.");
  }
  if (std::ranges::any_of(cells, [](const EvalCell& cell) { return std::isnan(cell.tokens); })) {
    notes.emplace_back("?: not known, since the server did not say of every answer how many tokens it has.");
  }
  return notes;
}

}  // namespace gyro
