#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "gyro/diff/findings.h"
#include "gyro/diff/findings/parts.h"

namespace gyro {
namespace findings {
namespace {

double finite(double value) {
  return std::isfinite(value) ? value : kUndefined;
}

template <typename Row>
std::vector<Row> those_that_count(std::vector<Row> rows) {
  std::erase_if(rows, [](const Row& row) { return !type_counts(row.type); });
  return rows;
}

}  // namespace

Finding make(FindingId id, Verdict verdict, double value, double null, double threshold, double z, Names types,
             std::string text) {
  return {id, verdict, finite(value), finite(null), threshold, finite(z), std::move(types), std::move(text)};
}

Finding undefined(FindingId id, double null, double threshold, Names types, std::string text) {
  return make(id, Verdict::Undefined, kUndefined, null, threshold, kUndefined, std::move(types), std::move(text));
}

namespace {

// Whose noise it is, by its id: "instruct" of "noise (instruct)".
std::optional<std::string> named_in(const std::string& id) {
  const size_t open = id.find('(');
  if (open == id.npos || !id.ends_with(')')) return std::nullopt;
  return id.substr(open + 1, id.size() - open - 2);
}

// What a comparison is not asked, in one sentence; empty where everything is asked.
std::string why_not_asked(const Comparison& comparison, const Finding& lineage, const Rows& rows) {
  if (comparison.noise_of) {
    return fmt::format(
        "Gaussian noise in place of the change of {}, as large in every matrix: what chance looks like. No question is "
        "asked of it.",
        named_in(comparison.post.id).value_or(short_name(*comparison.noise_of)));
  }
  if (same_weights(rows)) return "Not asked, because the two checkpoints hold the same weights.";
  if (const auto rounding = rounding_only(rows, {}); rounding && rounding->verdict == Verdict::Yes)
    return "Not asked, because the whole change is what storing rounds.";
  if (lineage.verdict == Verdict::Yes)
    return "Not asked, because nothing of the base is to be seen in the other model.";
  if (comparison.role == Role::Control) return "Not asked of a control.";
  return "";
}

// What findings speak of: the matrices that have changed, and their types; all of them where none has.
struct Asked {
  Rows rows;
  Types types;
};

Asked asked_of(const Rows& rows, const Types& types) {
  Asked asked{rows, types};
  std::erase_if(asked.rows, [](const MatrixRow& row) { return row.unchanged == 1; });
  if (asked.rows.empty() || asked.rows.size() == rows.size()) return {rows, types};
  const auto count = [](const Rows& some, MatrixType type) {
    return std::count_if(some.begin(), some.end(), [&](const MatrixRow& row) { return row.type == type; });
  };
  std::erase_if(asked.types, [&](const TypeRow& type) { return count(asked.rows, type.type) == 0; });
  const Types pooled = pool_types(asked.rows);  // of the same types, in the same order
  for (size_t i = 0; i < asked.types.size(); ++i) {
    const MatrixType type = asked.types[i].type;
    if (count(asked.rows, type) < count(rows, type)) asked.types[i] = pooled[i];
  }
  return asked;
}

// Untouched types have a scale too, 1: where the others have another, there is no common one.
Finding scalar_of(const Types& all_types, const Types& changed) {
  Finding finding = common_scalar(all_types);
  const bool ask_changed = finding.verdict != Verdict::No && changed.size() > 1;
  return ask_changed ? common_scalar(changed) : finding;
}

// W_O is held against all others, if it changed.
std::optional<Finding> w_o_of(const Types& all_types, const Types& changed) {
  const bool has =
      std::any_of(changed.begin(), changed.end(), [](const TypeRow& t) { return t.type == MatrixType::O; });
  return has ? w_o_anomaly(all_types) : std::nullopt;
}

// Routers are no matrices of which more is asked than whether they changed at all.
template <typename Row>
std::vector<Row> with_routers(std::vector<Row> rows) {
  std::erase_if(rows, [](const Row& row) { return type_is_fused(row.type); });
  return rows;
}

std::vector<Finding> all_findings(const ModelInfo& base, const Comparison& comparison, const Rows& all_rows,
                                  const Types& all_types, const Asked& asked) {
  const auto& [rows, types] = asked;
  std::vector<Finding> findings;
  for (std::optional<Finding> f :
       {std::optional(unrelated(rows, types)), std::optional(uniform_scaling(rows, types)),
        std::optional(scalar_of(all_types, types)), w_o_of(all_types, types), std::optional(co_rotation(rows, types)),
        std::optional(low_rank_update(rows, types)), std::optional(sparse_update(all_rows, all_types)),
        principal_update(rows, types), intruder_dimensions(rows, types),
        untouched_types(with_routers(comparison.matrices), with_routers(comparison.types)), rounding_only(rows, types),
        order(short_name(base.id), short_name(comparison.post.id), types)}) {
    if (f) findings.push_back(std::move(*f));
  }
  return findings;
}

void leave_unasked(const Comparison& comparison, const std::string& why, std::vector<Finding>& findings) {
  std::erase_if(findings, [](const Finding& finding) { return finding.id == FindingId::Order; });
  for (Finding& finding : findings) {
    // Whether it is another model is what a control that is one is for.
    if (finding.id == FindingId::Unrelated && !comparison.noise_of) continue;
    if (finding.id == FindingId::RoundingOnly && comparison.role == Role::Post) continue;
    finding.verdict = Verdict::NotAsked;
    finding.text = why;
  }
}

}  // namespace
}  // namespace findings

void judge(const ModelInfo& base, Comparison& comparison) {
  const findings::Rows rows = findings::those_that_count(comparison.matrices);
  const findings::Types types = findings::those_that_count(comparison.types);
  const findings::Asked asked = findings::asked_of(rows, types);
  comparison.findings.clear();
  std::string why;
  if (!rows.empty()) {
    comparison.findings = findings::all_findings(base, comparison, rows, types, asked);
    why = findings::why_not_asked(comparison, comparison.findings.front(), rows);
    if (!why.empty()) findings::leave_unasked(comparison, why, comparison.findings);
  }
  for (TypeRow& type : comparison.types) {
    type.margins.uniform_scaling = findings::uniform_scaling_margin(type);
    type.verdicts = {Verdict::NotAsked, Verdict::NotAsked};
    if (!why.empty()) continue;
    const auto changed = std::find_if(asked.types.begin(), asked.types.end(),
                                      [&](const TypeRow& other) { return other.type == type.type; });
    const TypeRow& pooled = changed == asked.types.end() ? type : *changed;
    type.verdicts = {findings::judge_uniform_scaling(comparison.matrices, pooled), findings::judge_co_rotation(pooled)};
  }
}

}  // namespace gyro
