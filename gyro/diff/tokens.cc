#include "gyro/diff/tokens.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <set>

#include "gyro/checkpoint/token_texts.h"
#include "gyro/diff/outside_words.h"

namespace gyro {
namespace {

constexpr size_t kMost = 20;     // tokens that are told
constexpr size_t kBins = 512;    // of norms, evenly in their logarithm
constexpr int kIntervals = 128;  // of the integral, an even number
constexpr double kTail = 1e-7;   // of the largest's distribution, left out at each end
constexpr int kBisections = 60;

// Rows of about the same norm.
struct Bin {
  double count = 0, inverse = 0;  // and Σ 1/norm, then its mean
};

std::vector<Bin> bins_of(const std::vector<double>& norms) {
  const auto [least, most] = std::minmax_element(norms.begin(), norms.end());
  const double low = std::log(*least), width = std::max(std::log(*most) - low, 1e-9) / static_cast<double>(kBins);
  std::vector<Bin> bins(kBins);
  for (const double norm : norms) {
    Bin& bin = bins[std::min(static_cast<size_t>((std::log(norm) - low) / width), kBins - 1)];
    bin.count += 1;
    bin.inverse += 1 / norm;
  }
  std::erase_if(bins, [](const Bin& bin) { return bin.count == 0; });
  for (Bin& bin : bins) bin.inverse /= bin.count;
  return bins;
}

// ln P(no row changes by more than x), for noise of standard deviation 1.
double log_none_beyond(const std::vector<Bin>& bins, double values, double x) {
  const double spread = 2 / (9 * values);
  double sum = 0;
  for (const Bin& bin : bins) {
    const double square = x / bin.inverse * (x / bin.inverse) / values;
    const double z = (std::cbrt(square) - (1 - spread)) / std::sqrt(spread);
    sum += bin.count * std::log1p(-0.5 * std::erfc(z / std::numbers::sqrt2));
  }
  return sum;
}

// E χ_d.
double mean_norm(double values) {
  return std::numbers::sqrt2 * std::exp(std::lgamma((values + 1) / 2) - std::lgamma(values / 2));
}

// How a row is sorted, and its place.
struct Ranked {
  double by = 0;
  size_t row = 0;
};

std::vector<Ranked> ranked(const std::vector<ValueSums>& rows, double typical) {
  std::vector<Ranked> out;
  for (size_t i = 0; i < rows.size(); ++i) {
    const double norm = rows[i].base > 0 ? std::sqrt(rows[i].base) : typical;
    if (rows[i].differs() && rows[i].defined()) out.push_back({std::sqrt(rows[i].change) / norm, i});
  }
  std::sort(out.begin(), out.end(),
            [](const Ranked& a, const Ranked& b) { return a.by != b.by ? a.by > b.by : a.row < b.row; });
  return out;
}

double finite(double value) {
  return std::isfinite(value) ? value : kUndefined;
}

}  // namespace

double expected_largest(const std::vector<double>& norms, int64_t values, double sd) {
  const std::vector<Bin> bins = bins_of(norms);
  const auto d = static_cast<double>(values);
  const auto none_beyond = [&](double x) { return log_none_beyond(bins, d, x); };
  const double inverse = 1 / *std::min_element(norms.begin(), norms.end());
  const double bound =
      inverse * (std::sqrt(d) + std::sqrt(2 * std::log(static_cast<double>(norms.size()) / kTail)) + 1);
  // Where the logarithm reaches `level`.
  const auto where = [&](double level) {
    double low = 0, high = bound;
    for (int i = 0; i < kBisections; ++i) {
      const double middle = (low + high) / 2;
      (none_beyond(middle) < level ? low : high) = middle;
    }
    return low;
  };
  const double from = where(std::log(kTail)), to = where(-kTail), step = (to - from) / kIntervals;
  double integral = 0;  // Simpson's
  for (int i = 0; i <= kIntervals; ++i) {
    const double weight = i == 0 || i == kIntervals ? 1 : i % 2 == 1 ? 4 : 2;
    integral -= weight * std::expm1(none_beyond(from + i * step));
  }
  return sd * (from + integral * step / 3);
}

TokenRows token_rows(OutsideKind kind, const std::vector<ValueSums>& rows) {
  TokenRows out{.kind = kind, .rows = static_cast<int64_t>(rows.size())};
  ValueSums all;
  int64_t defined = 0;
  for (const ValueSums& row : rows) {
    if (row.defined()) all.add(row);
    defined += row.defined() ? 1 : 0;
    out.rows_undefined += row.differs() && !row.defined() ? 1 : 0;
  }
  const double typical = std::sqrt(all.base / static_cast<double>(defined));
  const std::vector<Ranked> order = ranked(rows, typical);
  out.rows_unchanged = out.rows - std::ssize(order) - out.rows_undefined;
  const double sd = std::sqrt(all.change / static_cast<double>(all.values));
  std::vector<double> norms;
  double inverses = 0;
  for (const ValueSums& row : rows) {
    norms.push_back(row.base > 0 && row.defined() ? std::sqrt(row.base) : typical);
    inverses += 1 / norms.back();
  }
  const auto even = [&](double inverse) { return sd * mean_norm(static_cast<double>(rows.front().values)) * inverse; };
  if (sd > 0 && std::isfinite(sd) && std::isfinite(inverses)) {
    out.even = even(inverses / static_cast<double>(rows.size()));
    out.largest = expected_largest(norms, rows.front().values, sd);
    out.rows_beyond = std::count_if(order.begin(), order.end(), [&](const Ranked& r) { return r.by > out.largest; });
  }
  for (size_t i = 0; i < std::min(kMost, order.size()); ++i) {
    const ValueSums& row = rows[order[i].row];
    out.most.push_back({.id = static_cast<int64_t>(order[i].row),
                        .relative_change = row.relative_change(),
                        .even = finite(even(1 / norms[order[i].row])),
                        .change = finite(std::sqrt(row.change)),
                        .cosine = row.cosine()});
  }
  return out;
}

void complete_tokens(const TensorSource& base, const std::vector<TokenRows*>& all) {
  std::set<int64_t> ids;
  for (const TokenRows* one : all) {
    for (const TokenRow& row : one->most) ids.insert(row.id);
  }
  const std::map<int64_t, std::string> texts = token_texts(base, ids);
  for (TokenRows* one : all) {
    for (TokenRow& row : one->most) {
      if (const auto text = texts.find(row.id); text != texts.end()) row.token = text->second;
    }
    one->text = token_words(*one);
  }
}

}  // namespace gyro
