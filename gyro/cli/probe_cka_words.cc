#include "gyro/cli/probe_cka_words.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "gyro/edit/variants.h"

namespace gyro {
namespace {

using Subjects = std::vector<const CkaSubject*>;

constexpr size_t at(CkaReading reading) {
  return static_cast<size_t>(reading);
}

// The reading that constructions are judged by: the one that chance does not raise, where it is defined.
CkaReading judged_by(const std::vector<CkaSubject>& subjects) {
  const auto undefined = [](const CkaSubject& s) {
    return std::isnan(s.distance[at(CkaReading::QuestionMeanUnbiased)]);
  };
  return std::ranges::any_of(subjects, undefined) ? CkaReading::QuestionMean : CkaReading::QuestionMeanUnbiased;
}

// Whether one construction shows what the other would do if nothing of the base were in it.
bool is_control_of(const std::string& control, const std::string& name) {
  if (name.starts_with("replace")) {
    const bool is_of_it = control == "noise" || control == "replace-noise" || control == "replace-fake";
    return is_of_it && !is_control_variant(name);
  }
  if (control == name + "-aligned" || control == name + "-fake") return true;
  const size_t sibling = name.rfind("-sibling");
  if (sibling != name.npos) return control == name.substr(0, sibling) + "-fake";
  return name.starts_with("base-") && control == "noise-" + name.substr(5);
}

Subjects controls_of(const std::vector<CkaSubject>& subjects, const CkaSubject& of) {
  Subjects out;
  for (const CkaSubject& subject : subjects) {
    if (is_control_of(subject.subject.name, of.subject.name)) out.push_back(&subject);
  }
  return out;
}

// Without the original: those that are no other's control, the nearest first.
Subjects in_order(const std::vector<CkaSubject>& subjects) {
  Subjects out;
  for (size_t i = 1; i < subjects.size(); ++i) {
    const std::string& name = subjects[i].subject.name;
    const auto has_it = [&](const CkaSubject& other) { return is_control_of(name, other.subject.name); };
    if (std::ranges::none_of(subjects, has_it)) out.push_back(&subjects[i]);
  }
  const size_t reading = at(judged_by(subjects));
  const auto distance = [&](const CkaSubject* s) {
    return std::isnan(s->distance[reading]) ? INFINITY : s->distance[reading];
  };
  std::ranges::stable_sort(out, {}, distance);
  return out;
}

std::string figure(double value) {
  return std::isnan(value) ? "–" : fmt::format("{:.3f}", value);
}

Table::Row row_of(const CkaSubject& subject, bool detail) {
  Table::Row row{subject.subject.name, {}, detail};
  for (const double value : subject.diagonal) row.cells.push_back(figure(value));
  for (const double value : subject.distance) row.cells.push_back(figure(value));
  return row;
}

bool keeps(const CkaSubject& subject, CkaReading reading) {
  return subject.distance[at(reading)] < kKeptDistance;
}

// "restore-mlp-in (0.012; control restore-mlp-in-fake 0.013)".
std::string beside_controls(const CkaSubject& of, const Subjects& controls, CkaReading reading) {
  std::string text = fmt::format("{} ({}", of.subject.name, figure(of.distance[at(reading)]));
  for (const CkaSubject* control : controls) {
    text += fmt::format("; {} {}", control->subject.name, figure(control->distance[at(reading)]));
  }
  return text + ")";
}

void say_sides(const std::vector<CkaSubject>& subjects, CkaReading reading, std::vector<std::string>& out) {
  std::vector<std::string> kept, lost, alike, alone;
  for (const CkaSubject* subject : in_order(subjects)) {
    const Subjects controls = controls_of(subjects, *subject);
    const bool keeps_it = keeps(*subject, reading);
    (keeps_it ? kept : lost).push_back(beside_controls(*subject, controls, reading));
    const auto same = [&](const CkaSubject* control) { return keeps(*control, reading) == keeps_it; };
    if (std::ranges::any_of(controls, same)) alike.push_back(subject->subject.name);
    if (controls.empty() && subject->subject.kind == "variant") alone.push_back(subject->subject.name);
  }
  const std::string map =
      fmt::format("the original's heat map ({}, mean difference; controls behind it)", reading_name(reading));
  if (!kept.empty()) out.push_back(fmt::format("Within {} of {}: {}.", kKeptDistance, map, fmt::join(kept, ", ")));
  if (!lost.empty())
    out.push_back(fmt::format("Farther than {} from {}: {}.", kKeptDistance, map, fmt::join(lost, ", ")));
  if (!alike.empty()) {
    out.push_back(fmt::format("A control is on the same side, so that these say nothing of the base: {}.",
                              fmt::join(alike, ", ")));
  }
  if (!alone.empty()) {
    out.push_back(fmt::format("No control is beside {}: name it among the variants.", fmt::join(alone, ", ")));
  }
}

void say_bias(const char* rows, CkaReading reading, int64_t n, int64_t width, bool instead,
              std::vector<std::string>& out) {
  if (n >= width) return;
  out.push_back(
      fmt::format("{} has {} {} and {} columns: biased CKA of independent gaussian data would be about {:.2f} there{}.",
                  reading_name(reading), n, rows, width, chance_of_biased_cka(n, width),
                  instead ? ", which question_mean_unbiased is free of" : ""));
}

}  // namespace

Table cka_table(const std::vector<CkaSubject>& subjects) {
  Table table{"CKA with the original's blocks",
              {"diag. A", "B", "unb.", "dist. A", "B", "unb."},
              {row_of(subjects.front(), false)}};
  for (const CkaSubject* subject : in_order(subjects)) {
    table.rows.push_back(row_of(*subject, false));
    for (const CkaSubject* control : controls_of(subjects, *subject)) table.rows.push_back(row_of(*control, true));
  }
  return table;
}

std::vector<std::string> cka_sentences(const std::vector<CkaSubject>& subjects, int64_t questions, int64_t positions,
                                       int64_t width) {
  std::vector<std::string> out;
  const CkaReading reading = judged_by(subjects);
  if (subjects.size() > 1) say_sides(subjects, reading, out);
  if (reading != CkaReading::QuestionMeanUnbiased) {
    out.push_back(fmt::format(
        "question_mean_unbiased is not defined of all blocks: it takes {} questions or more, of which means differ.",
        kLeastBatch));
  }
  const bool instead = reading == CkaReading::QuestionMeanUnbiased;
  say_bias("questions", CkaReading::QuestionMean, questions, width, instead, out);
  say_bias("positions", CkaReading::PositionMean, positions, width, false, out);
  return out;
}

}  // namespace gyro
