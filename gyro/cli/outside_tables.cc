#include "gyro/cli/outside_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "gyro/base/error.h"
#include "gyro/cli/diff_tables.h"
#include "gyro/diff/result_names.h"
#include "gyro/diff/spread.h"

namespace gyro {
namespace {

using std::string;

string percent(double share) {
  if (std::isnan(share)) return "-";
  return std::abs(share) < 0.001 && share != 0 ? fmt::format("{:.4f} %", 100 * share)
                                               : fmt::format("{:.2f} %", 100 * share);
}

// Digits enough that a small change shows.
string cosine(double value) {
  if (std::isnan(value)) return "-";
  return 1 - value < 1e-4 && value < 1 ? fmt::format("1 − {:.1e}", 1 - value) : fmt::format("{:.4f}", value);
}

// "input_layernorm" of "layers.3.input_layernorm.weight".
string name_in_layer(const OutsideTensor& tensor) {
  string name = tensor.place;
  if (tensor.layer) {
    const string number = fmt::format("{}.", *tensor.layer);
    if (name.starts_with(number)) {
      name.erase(0, number.size());
    } else if (const size_t at = name.find("." + number); at != name.npos) {
      name.erase(0, at + 1 + number.size());
    }
  }
  if (name.ends_with(".weight")) name.resize(name.size() - string(".weight").size());
  return printable(name, 60);
}

// What a figure is of, where it is not of all.
string of_some(int64_t some, int64_t all) {
  return some < all && some > 0 ? fmt::format(" (of {})", some) : "";
}

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

}  // namespace

Table outside_table(const Outside& outside) {
  Table table{"", {}, {}};
  for (const OutsideGroup& group : outside.groups) {
    if (group.changed == 0 || !group.cosine || !group.unchanged) continue;
    const int64_t defined = group.defined.value_or(group.tensors);
    table.rows.push_back({string(name_of(group.kind)),
                          {fmt::format("{} of {}", group.changed, group.tensors),
                           percent(group.relative_change) + of_some(defined, group.tensors), cosine(*group.cosine),
                           percent(*group.unchanged)}});
  }
  if (!table.rows.empty()) table.columns = {"changed", "rel. change", "cosine", "unchanged"};
  return table;
}

Table norms_table(const Outside& outside) {
  Table table{"", {}, {}};
  if (!outside.tensors) return table;
  std::map<string, std::vector<const OutsideTensor*>> by_name;
  for (const OutsideTensor& tensor : *outside.tensors) {
    const bool shown = tensor.kind == OutsideKind::Norms || tensor.kind == OutsideKind::Biases;
    if (shown) by_name[name_in_layer(tensor)].push_back(&tensor);
  }
  for (const auto& [name, tensors] : by_name) {
    std::vector<double> changes;
    for (const OutsideTensor* tensor : tensors) changes.push_back(tensor->relative_change);
    const std::optional<Spread> spread = spread_of(changes);
    // The list is sorted: the most changed is first, but for what was zero.
    const auto most = std::find_if(tensors.begin(), tensors.end(),
                                   [](const OutsideTensor* one) { return !std::isnan(one->relative_change); });
    const auto defined =
        std::count_if(changes.begin(), changes.end(), [](double change) { return !std::isnan(change); });
    const bool known = spread && most != tensors.end();
    table.rows.push_back({name,
                          {std::to_string(tensors.size()),
                           known ? percent(spread->median) + of_some(defined, std::ssize(tensors)) : "undefined",
                           known ? percent((*most)->relative_change) : "-",
                           known && (*most)->layer ? std::to_string(*(*most)->layer) : "-"}});
  }
  if (!table.rows.empty()) table.columns = {"changed", "median", "largest", "in layer"};
  return table;
}

std::vector<string> token_lines(const Outside& outside) {
  std::vector<string> lines;
  if (!outside.tokens) return lines;
  for (const TokenRows& tokens : *outside.tokens) lines.push_back(tokens.text);
  return lines;
}

Table posts_table(const DiffResult& result) {
  Table table{"Posts × posts: what their changes have in common, over all matrices", {}, {}};
  if (!result.posts) return table;
  const std::vector<string> names = model_names(result);
  const auto name = [&](int64_t post) { return names.at(static_cast<size_t>(post)); };
  const auto number = [](double value, int digits) {
    return std::isnan(value) ? string("-") : fmt::format("{:.{}f}", value, digits);
  };
  for (const PostPair& pair : result.posts->pairs) {
    if (pair.pooled == 0) continue;
    const Against cosine = pair.overlap.cosine(), sign = pair.overlap.sign_agreement();
    table.rows.push_back({fmt::format("{} × {}", name(pair.a), name(pair.b)),
                          {fmt::format("{} ± {}", number(cosine.value, 4), number(cosine.sd, 4)), number(cosine.z(), 1),
                           percent(sign.value), number(sign.z(), 1), number(pair.overlap.jaccard(), 3),
                           number(pair.overlap.jaccard_chance(), 3)}});
  }
  if (!table.rows.empty()) table.columns = {"cosine", "z", "same sign", "z", "Jaccard", "by chance"};
  return table;
}

std::vector<string> interference_lines(const DiffResult& result) {
  if (!result.posts || !result.posts->interference) return {};
  std::vector<double> real, null;
  std::vector<std::vector<double>> alignment, alignment_null;
  for (const MatrixInterference& matrix : *result.posts->interference) {
    const Interference& one = matrix.interference;
    if (std::isnan(one.singular_task) || !type_counts(matrix.type)) continue;
    real.push_back(one.singular_task);
    null.push_back(one.singular_task_null);
    alignment.resize(one.alignment.size());
    alignment_null.resize(one.alignment_null.size());
    for (size_t t = 0; t < one.alignment.size(); ++t) {
      alignment[t].push_back(one.alignment[t]);
      alignment_null[t].push_back(one.alignment_null.at(t));
    }
  }
  if (real.empty()) return {"Interference of the updates is undefined: in each matrix one of them is zero."};
  const std::vector<string> names = model_names(result);
  std::vector<string> posts;
  for (size_t t = 0; t < alignment.size(); ++t)
    posts.push_back(fmt::format("{} {:.3f} ({:.3f})", names.at(t), mean_of(alignment[t]), mean_of(alignment_null[t])));
  return {
      fmt::format("Singular task interference {:.4g}, of gaussian updates as large {:.4g}; alignment with their sum: "
                  "{} (means over {} matrices).",
                  mean_of(real), mean_of(null), fmt::join(posts, ", "), real.size())};
}

}  // namespace gyro
