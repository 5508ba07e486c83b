#include "gyro/cli/diff_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "gyro/base/error.h"
#include "gyro/base/utf8.h"

namespace gyro {
namespace {

using std::string;

constexpr size_t kLabel = 16;

string cut(const string& text) {
  return printable(text, 60);
}

// A label column cut to its width, in code points.
string label(string text) {
  if (code_points(text) > kLabel) text = string(first_code_points(text, kLabel - 2)) + "..";
  return text + string(kLabel - code_points(text), ' ');
}

/// `digits` decimals, fewer where the error bound does not carry them.
string decimals(double value, int digits, double error = 0) {
  if (std::isnan(value)) return "-";
  while (digits > 0 && error > 0.5 * std::pow(10.0, -digits)) --digits;
  return fmt::format("{:.{}f}", value, digits);
}

string significant(double value) {
  if (std::isnan(value)) return "-";
  if (value != 0 && std::abs(value) < 1e-3) return fmt::format("{:.2e}", value);
  return fmt::format("{:.4f}", value);
}

string times(double ratio) {
  return std::isnan(ratio) ? "-" : fmt::format("x{:.2f}", ratio);
}
string percent(double share) {
  return std::isnan(share) ? "-" : fmt::format("{:.1f} %", 100 * share);
}

using Names = std::vector<MatrixType>;

// A line of the table: what `cell` makes of each type, or a dash where the comparison has no such type.
template <typename Cell>
string row(const string& name, const Comparison& comparison, const Names& types, size_t width, Cell cell) {
  const auto text_of = [&](MatrixType type) -> string {
    for (const TypeRow& one : comparison.types) {
      if (one.type == type) return cell(one);
    }
    return "-";
  };
  string line = label(name);
  for (const MatrixType type : types) line += fmt::format("{:>{}}", text_of(type), width);
  return line + "\n";
}

string heading(const Names& types, size_t width) {
  string line = label("");
  for (const MatrixType type : types) line += fmt::format("{:>{}}", type_name(type), width);
  return line + "\n";
}

// Largest error bound of a type's α, for the digits shown.
double alpha_error(const Comparison& comparison, MatrixType type) {
  double worst = 0;
  for (const MatrixRow& item : comparison.matrices) {
    if (item.type == type) worst = std::max(worst, item.alpha_error);
  }
  return worst;
}

string scaling_block(const DiffResult& result, const Names& types) {
  constexpr size_t kWidth = 18;
  string out = heading(types, kWidth);
  for (const Comparison& comparison : result.comparisons) {
    const auto line = [&](const string& name, auto cell) { return row(name, comparison, types, kWidth, cell); };
    out += line(short_name(cut(comparison.post.id)), [&](const TypeRow& t) {
      const double error = alpha_error(comparison, t.type);
      return decimals(t.alpha_mean, 4, error) + " ± " + decimals(t.alpha_std, 4, error);
    });
    out += line("  null", [](const TypeRow& t) {
      return decimals(t.null.alpha_mean, 4) + " ± " + decimals(t.null.alpha_std, 4);
    });
    out += line("  ratio to null",
                [](const TypeRow& t) { return times(t.alpha_mean_over_null) + "  " + times(t.alpha_std_over_null); });
  }
  return out;
}

string metrics_block(const Comparison& comparison, const Names& types) {
  const size_t width = types.size() > 8 ? 9 : 10;
  const auto line = [&](const char* name, auto cell) { return row(name, comparison, types, width, cell); };
  string out = heading(types, width);
  out += line("α'", [](const TypeRow& t) { return decimals(t.alpha_prime, 1); });
  out += line("NF", [](const TypeRow& t) { return significant(t.nf_mean); });
  out += line("  over null", [](const TypeRow& t) { return times(t.nf_mean_over_null); });
  out += line("  of chance", [](const TypeRow& t) { return decimals(t.nf_mean / t.nf_chance, 3); });
  out += line("robust NF", [](const TypeRow& t) { return significant(t.nf_robust_mean); });
  out += line("  over null", [](const TypeRow& t) { return times(t.nf_robust_mean_over_null); });
  out += line("counter/co", [](const TypeRow& t) { return decimals(t.counter_over_co, 3); });
  out += line("  z", [](const TypeRow& t) { return decimals(t.z, 1); });
  out += line("rel. change", [](const TypeRow& t) { return significant(t.relative_change_mean); });
  out += line("scale c", [](const TypeRow& t) { return significant(t.scale_mean); });
  out += line("unchanged", [](const TypeRow& t) { return percent(t.unchanged); });
  return out;
}

string method_line(const Comparison& comparison) {
  size_t direct = 0;
  double error = 0;
  std::set<string> flags;
  for (const MatrixRow& item : comparison.matrices) {
    direct += item.method == Method::Svd ? 1 : 0;
    const double relative = item.alpha_error / item.alpha_mean;
    error = std::isnan(relative) ? error : std::max(error, relative);
    flags.insert(item.flags.begin(), item.flags.end());
  }
  string line = fmt::format("{} matrices in FP64; α is right to {:.0e} relative", comparison.matrices.size(), error);
  if (direct > 0) line += fmt::format("; {} by direct SVD", direct);
  if (!flags.empty()) line += fmt::format("; flagged: {}", fmt::join(flags, ", "));
  return line + "\n";
}

// The types of the table: fused ones last.
Names types_of(const DiffResult& result) {
  Names names;
  for (const TypeRow& item : result.comparisons.front().types) names.push_back(item.type);
  std::stable_partition(names.begin(), names.end(), [](MatrixType type) { return !type_is_fused(type); });
  return names;
}

// Breaks a sentence at spaces; lines after the first are indented.
string wrapped(const string& text, size_t width, const string& indent) {
  string out, line;
  size_t filled = 0, at = 0;
  while (at < text.size()) {
    const size_t end = std::min(text.find(' ', at), text.size());
    const string word = text.substr(at, end - at);
    const size_t length = code_points(word);
    if (!line.empty() && filled + 1 + length > width) {
      out += line + "\n" + indent;
      line = word;
      filled = length;
    } else {
      filled += length + (line.empty() ? 0 : 1);
      line += (line.empty() ? "" : " ") + word;
    }
    at = end + 1;
  }
  return out + line + "\n";
}

// What is not asked has one text, which is said once.
string findings_block(const Comparison& comparison) {
  string out;
  std::set<string> said;
  for (const Finding& finding : comparison.findings) {
    if (said.insert(finding.text).second) out += "  - " + wrapped(finding.text, 94, "    ");
  }
  return out;
}

}  // namespace

string diff_table(const DiffResult& result) {
  string out =
      fmt::format("Base {} ({}, {} layers)\n\n", cut(result.base.id), cut(result.base.model_type), result.base.layers);
  out += "Scaling of the top 90 % singular values, α mean ± std over layers (the paper's Table 3)\n";
  const Names all = types_of(result);
  for (size_t begin = 0; begin < all.size(); begin += 4) {
    const Names part(all.begin() + static_cast<std::ptrdiff_t>(begin),
                     all.begin() + static_cast<std::ptrdiff_t>(std::min(begin + 4, all.size())));
    out += scaling_block(result, part) + "\n";
  }
  for (const Comparison& comparison : result.comparisons) {
    out += fmt::format("{} {} (null: a structureless change of the same size)\n",
                       comparison.role == Role::Control ? "Control" : "Post", cut(comparison.post.id));
    out += metrics_block(comparison, all);
    out += method_line(comparison) + findings_block(comparison) + "\n";
  }
  out.pop_back();
  return out;
}

}  // namespace gyro
