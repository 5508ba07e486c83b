#include "gyro/cli/parse.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "gyro/cli/names.h"

namespace gyro {
namespace {

// What a list of numbers counts.
struct Counted {
  std::string option, one, many;
};

int64_t parse_place(const std::string& text, const Counted& of) {
  int64_t place = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), place);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw CLI::ValidationError(of.option, fmt::format("'{}' is not {} number", text, of.one));
  }
  return place;
}

std::vector<int64_t> parse_places(const std::vector<std::string>& pieces, const Counted& of) {
  std::vector<int64_t> places;
  for (const std::string& text : pieces) {
    const size_t dash = text.find('-', 1);  // one at the start is a minus sign
    if (dash == std::string::npos) {
      places.push_back(parse_place(text, of));
      continue;
    }
    const int64_t first = parse_place(text.substr(0, dash), of), last = parse_place(text.substr(dash + 1), of);
    if (first < 0 || last < first || last - first > 100000) {
      throw CLI::ValidationError(of.option, fmt::format("'{}' is not a range of {}", text, of.many));
    }
    for (int64_t place = first; place <= last; ++place) places.push_back(place);
  }
  return places;
}

// The whole of `text` as a number, or nothing.
template <typename Number>
std::optional<Number> number_in(const std::string& text) {
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

CLI::Validator number_check(double least, double most, const std::string& what) {
  const auto check = [=](const std::string& text) {
    const auto value = number_in<double>(text);
    return value && *value >= least && *value <= most ? "" : fmt::format("'{}' is not {}", text, what);
  };
  return CLI::Validator(check, "");
}

}  // namespace

std::vector<int64_t> parse_layers(const std::vector<std::string>& pieces, const std::string& option) {
  return parse_places(pieces, {option, "a layer", "layers"});
}

std::vector<int64_t> parse_experts(const std::vector<std::string>& pieces) {
  return parse_places(pieces, {"--experts", "an expert", "experts"});
}

namespace {

std::vector<std::string_view> all_type_names() {
  std::vector<std::string_view> names;
  for (const MatrixType type : kAllMatrixTypes) names.push_back(type_name(type));
  return names;
}

}  // namespace

std::vector<MatrixType> parse_types(const std::vector<std::string>& names, const std::string& option) {
  std::vector<MatrixType> types;
  for (const std::string& name : names) {
    const auto type = type_from_name(name);
    if (!type) {
      throw CLI::ValidationError(option,
                                 fmt::format("'{}' is not a matrix type ({})", name, fmt::join(all_type_names(), " ")));
    }
    types.push_back(*type);
  }
  return types;
}

double parse_number(const std::string& option, const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    throw CLI::ValidationError(option, "'" + text + "' is not a number");
  }
  return value;
}

uint64_t parse_size(const std::string& option, const std::string& text) {
  const size_t digits = text.find_first_not_of("0123456789.");
  const std::string unit = digits == std::string::npos ? "" : text.substr(digits);
  const std::pair<const char*, double> units[] = {{"", 1},         {"B", 1},       {"KB", 1e3},     {"MB", 1e6},
                                                  {"GB", 1e9},     {"TB", 1e12},   {"KiB", 0x1p10}, {"MiB", 0x1p20},
                                                  {"GiB", 0x1p30}, {"TiB", 0x1p40}};
  for (const auto& [name, factor] : units) {
    if (unit != name) continue;
    const double size = parse_number(option, text.substr(0, digits)) * factor;
    if (size >= 1 && size < 0x1p62) return static_cast<uint64_t>(size);
  }
  throw CLI::ValidationError(option, "'" + text + "' is not a size such as 5GB or 500MB");
}

std::optional<DType> parse_dtype(const std::string& text) {
  if (text == "keep") return std::nullopt;
  if (text == "f32") return DType::F32;
  if (text == "bf16") return DType::BF16;
  if (text == "f16") return DType::F16;
  throw CLI::ValidationError("--dtype", "'" + text + "' is not one of keep, f32, bf16, f16");
}

CLI::Validator one_of(const std::vector<std::string>& choices) {
  const auto check = [choices](const std::string& text) -> std::string {
    if (std::find(choices.begin(), choices.end(), text) != choices.end()) return "";
    const std::string meant = did_you_mean(text, choices);
    return fmt::format("'{}' is none of {}{}", text, fmt::join(choices, ", "),
                       meant.empty() ? "" : fmt::format("; did you mean '{}'?", meant));
  };
  return CLI::Validator(check, fmt::format("{{{}}}", fmt::join(choices, ",")));
}

CLI::Validator whole_number_from(int64_t least, int64_t most) {
  const auto check = [=](const std::string& text) {
    const auto value = number_in<int64_t>(text);
    if (value && *value >= least && *value <= most) return std::string();
    return fmt::format("'{}' is not a whole number from {} to {}", text, least, most);
  };
  return CLI::Validator(check, "");
}

CLI::Validator number_from(double least, double most) {
  return number_check(least, most, fmt::format("a number from {} to {}", least, most));
}

CLI::Validator positive_number() {
  return number_check(std::numeric_limits<double>::min(), std::numeric_limits<double>::max(), "a positive number");
}

}  // namespace gyro
