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

string text_of(const Json& value) {
  return value.is_string() ? printable(value.get<string>(), 60) : "-";
}

// Last part of a path or id: what tells the models of a table apart.
string short_name(const Json& model) {
  string id = text_of(model["id"]);
  while (id.size() > 1 && id.back() == '/') id.pop_back();
  const size_t slash = id.find_last_of('/');
  return slash == string::npos ? id : id.substr(slash + 1);
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

const Json* find_type(const Json& comparison, const string& type) {
  for (const Json& item : comparison["types"]) {
    if (item["type"] == type) return &item;
  }
  return nullptr;
}

template <typename Cell>
string row(const string& name, const std::vector<string>& types, size_t width, Cell cell) {
  string line = label(name);
  for (const string& type : types) line += fmt::format("{:>{}}", cell(type), width);
  return line + "\n";
}

// Largest error bound of a type's α, for the digits shown.
double alpha_error(const Json& comparison, const string& type) {
  double worst = 0;
  for (const Json& item : comparison["matrices"]) {
    if (item["type"] == type) worst = std::max(worst, number(item, "alpha_error"));
  }
  return worst;
}

string scaling_block(const Json& document, const std::vector<string>& types) {
  constexpr size_t kWidth = 18;
  string out = row("", types, kWidth, [](const string& type) { return type; });
  for (const Json& comparison : document["comparisons"]) {
    const auto cell = [&](const string& type, auto value) {
      const Json* item = find_type(comparison, type);
      return item == nullptr ? string("-") : value(*item);
    };
    out += row(short_name(comparison["post"]), types, kWidth, [&](const string& type) {
      const double error = alpha_error(comparison, type);
      return cell(type, [&](const Json& t) {
        return decimals(number(t, "alpha_mean"), 4, error) + " ± " + decimals(number(t, "alpha_std"), 4, error);
      });
    });
    out += row("  null", types, kWidth, [&](const string& type) {
      return cell(type, [](const Json& t) {
        return decimals(number(t["null"], "alpha_mean"), 4) + " ± " + decimals(number(t["null"], "alpha_std"), 4);
      });
    });
    out += row("  ratio to null", types, kWidth, [&](const string& type) {
      return cell(type, [](const Json& t) {
        return times(number(t, "alpha_mean_over_null")) + "  " + times(number(t, "alpha_std_over_null"));
      });
    });
  }
  return out;
}

string metrics_block(const Json& comparison, const std::vector<string>& types) {
  const auto metric = [&](const char* name, auto value) {
    return row(name, types, types.size() > 8 ? 9 : 10, [&](const string& type) {
      const Json* item = find_type(comparison, type);
      return item == nullptr ? string("-") : value(*item);
    });
  };
  const auto plain = [](const char* key) { return [key](const Json& t) { return significant(number(t, key)); }; };
  const auto ratio = [](const char* key) { return [key](const Json& t) { return times(number(t, key)); }; };
  string out = metric("", [](const Json& t) { return text_of(t["type"]); });
  out += metric("α'", [](const Json& t) { return decimals(number(t, "alpha_prime"), 1); });
  out += metric("NF", plain("nf_mean"));
  out += metric("  over null", ratio("nf_mean_over_null"));
  out +=
      metric("  of chance", [](const Json& t) { return decimals(number(t, "nf_mean") / number(t, "nf_chance"), 3); });
  out += metric("robust NF", plain("nf_robust_mean"));
  out += metric("  over null", ratio("nf_robust_mean_over_null"));
  out += metric("counter/co", [](const Json& t) { return decimals(number(t, "counter_over_co"), 3); });
  out += metric("  z", [](const Json& t) { return decimals(number(t, "z"), 1); });
  out += metric("rel. change", plain("relative_change_mean"));
  out += metric("scale c", plain("scale_mean"));
  out += metric("unchanged", [](const Json& t) { return percent(number(t, "unchanged")); });
  return out;
}

string method_line(const Json& comparison) {
  size_t direct = 0;
  double error = 0;
  std::set<string> flags;
  for (const Json& item : comparison["matrices"]) {
    direct += item["method"] == "svd" ? 1 : 0;
    const double relative = number(item, "alpha_error") / number(item, "alpha_mean");
    error = std::isnan(relative) ? error : std::max(error, relative);
    for (const Json& flag : item["flags"]) flags.insert(flag.get<string>());
  }
  string line = fmt::format("{} matrices in FP64; α is right to {:.0e} relative", comparison["matrices"].size(), error);
  if (direct > 0) line += fmt::format("; {} by direct SVD", direct);
  if (!flags.empty()) line += fmt::format("; flagged: {}", fmt::join(flags, ", "));
  return line + "\n";
}

std::vector<string> types_of(const Json& document, bool fused) {
  std::vector<string> out;
  for (const Json& item : document["comparisons"][0]["types"]) {
    if (item["fused"] == fused) out.push_back(item["type"].get<string>());
  }
  return out;
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

string findings_block(const Json& comparison) {
  string out;
  for (const Json& finding : comparison["findings"]) {
    out += "  - " + wrapped(finding["text"].get<string>(), 94, "    ");
  }
  return out;
}

}  // namespace

string diff_table(const Json& document) {
  std::vector<string> types = types_of(document, false);
  string out = fmt::format("Base {} ({}, {} layers)\n\n", text_of(document["base"]["id"]),
                           text_of(document["base"]["model_type"]), document["base"]["layers"].get<int64_t>());
  out += "Scaling of the top 90 % singular values, α mean ± std over layers (the paper's Table 3)\n";
  const std::vector<string> all = [&] {
    auto joined = types;
    for (const string& type : types_of(document, true)) joined.push_back(type);
    return joined;
  }();
  for (size_t begin = 0; begin < all.size(); begin += 4) {
    const std::vector<string> part(all.begin() + static_cast<std::ptrdiff_t>(begin),
                                   all.begin() + static_cast<std::ptrdiff_t>(std::min(begin + 4, all.size())));
    out += scaling_block(document, part) + "\n";
  }
  for (const Json& comparison : document["comparisons"]) {
    out += fmt::format("{} {} (null: a structureless change of the same size)\n",
                       comparison["role"] == "control" ? "Control" : "Post", text_of(comparison["post"]["id"]));
    out += metrics_block(comparison, all);
    out += method_line(comparison) + findings_block(comparison) + "\n";
  }
  out.pop_back();
  return out;
}

}  // namespace gyro
