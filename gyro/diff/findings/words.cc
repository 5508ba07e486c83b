#include "gyro/diff/findings/words.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace gyro::findings {

Names names_of(const Types& types) {
  Names names;
  for (const TypeRow& type : types) names.push_back(type.type);
  return names;
}

std::string listed(const Names& names) {
  std::string out;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0) out += i + 1 == names.size() ? " and " : ", ";
    out += type_name(names[i]);
  }
  return out;
}

std::string counted(int64_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

std::string fixed(double value, int decimals) {
  const std::string digits = fmt::format("{:.{}f}", std::abs(value), decimals);
  const bool zero = digits.find_first_not_of("0.") == digits.npos;
  return (value < 0 && !zero ? "−" : "") + digits;
}

std::string distance(double value) {
  return value < 5e-5 ? "less than 0.0001" : fixed(value, 4);
}

std::string percent(double share, int digits) {
  const double value = std::abs(100 * share);
  if (!std::isfinite(value)) return "an undefined share";
  if (value == 0) return "0 %";
  if (value < 1e-4) return "less than 0.0001 %";
  const int decimals = std::max(0, digits - 1 - static_cast<int>(std::floor(std::log10(value))));
  return fixed(100 * share, decimals) + " %";
}

std::string percent_range(double low, double high) {
  const std::string first = percent(low), last = percent(high);
  return first == last ? first : first + " to " + last;
}

std::string z_words(double z) {
  return "z = " + fixed(z, std::abs(z) < 10 ? 1 : 0);
}

std::string_view is_or_are(const Names& names) {
  return names.size() == 1 ? "is" : "are";
}

}  // namespace gyro::findings
