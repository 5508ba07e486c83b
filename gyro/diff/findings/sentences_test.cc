// Each sentence against the rows that it speaks of, on inputs that are made to mislead: whole runs of small models.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <regex>
#include <set>

#include "gyro/diff/runner.h"
#include "gyro/diff/test_util.h"

namespace gyro {
namespace {

using enum FindingId;
using V = Verdict;
using Make = TinyModel::Make;
using Verdicts = std::map<FindingId, std::set<V>>;

Matrix base_of(int64_t layer, const std::string& name, int64_t d_in, int64_t d_out) {
  return gaussian_for(layer, name, d_in, d_out, 1);
}

// σ_j as 1/(j + 1): the leading directions hold most of it.
Matrix steep(int64_t layer, const std::string& name, int64_t d_in, int64_t d_out) {
  const int64_t n = std::min(d_in, d_out);
  std::vector<double> sigma;
  for (int64_t j = 0; j < n; ++j) sigma.push_back(10.0 / static_cast<double>(j + 1));
  const uint64_t seed = mix64(static_cast<uint64_t>(layer)) ^ mix64(name.size() + static_cast<uint64_t>(name[0]));
  return compose(orthonormal(d_in, n, seed), sigma, orthonormal(d_out, n, seed + 1));
}

Make plus(double c, const Make& base, double size, uint64_t seed = 2) {
  return [=](int64_t layer, const std::string& name, int64_t d_in, int64_t d_out) {
    return combined(c, base(layer, name, d_in, d_out), size, gaussian_for(layer, name, d_in, d_out, seed));
  };
}

/// Each weight as `f` makes it of the base's, by the number of its row and column.
Make each(const Make& base, const std::function<double(double w, int64_t i, int64_t j)>& f) {
  return [=](int64_t layer, const std::string& name, int64_t d_in, int64_t d_out) {
    Matrix w = base(layer, name, d_in, d_out);
    for (int64_t j = 0; j < d_out; ++j) {
      for (int64_t i = 0; i < d_in; ++i) w(i, j) = f(w(i, j), i, j);
    }
    return w;
  };
}

// What is stored of it has rounding in all directions.
Make nearly_rank_nine(uint64_t seed) {
  return [=](int64_t layer, const std::string& name, int64_t d_in, int64_t d_out) {
    return times(gaussian_for(layer, name, d_in, 9, seed), gaussian_for(layer, name, 9, d_out, seed + 1));
  };
}

/// Gaussian in the first nine rows and columns, zero elsewhere.
Make few_rows(uint64_t seed) {
  return [=](int64_t layer, const std::string& name, int64_t d_in, int64_t d_out) {
    Matrix w = gaussian_for(layer, name, d_in, d_out, seed);
    for (int64_t j = 0; j < d_out; ++j) {
      for (int64_t i = 0; i < d_in; ++i) w(i, j) = i < 9 && j < 9 ? w(i, j) : 0;
    }
    return w;
  };
}

/// A LoRA on W_Q and W_V alone.
Matrix adapted(int64_t layer, const std::string& name, int64_t d_in, int64_t d_out) {
  const double size = name == "q_proj" || name == "v_proj" ? 0.1 : 0;
  return combined(1, base_of(layer, name, d_in, d_out), size,
                  times(gaussian_for(layer, name, d_in, 2, 5), gaussian_for(layer, name, 2, d_out, 6)));
}

struct Case {
  const char* name;
  Make base, post;
  Verdicts expected;  ///< where something is expected; one of these
  DType dtype = DType::F32;
  int64_t layers = 2;
  std::vector<MatrixType> types = {};
};

double median_of(std::vector<double> values) {
  std::erase_if(values, [](double x) { return std::isnan(x); });
  if (values.empty()) return kUndefined;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

const TypeRow& row_of(const Comparison& c, const std::string& name) {
  for (const TypeRow& type : c.types) {
    if (type_name(type.type) == name) return type;
  }
  throw std::out_of_range("the comparison has no " + name);
}

std::vector<std::string> types_in(const std::string& text) {
  std::vector<std::string> out;
  const std::regex name("W_[A-Za-z]+");
  for (std::sregex_iterator it(text.begin(), text.end(), name), end; it != end; ++it) out.push_back(it->str());
  return out;
}

// A number as it is written: with a true minus; whether `value` may be written so.
void expect_number(const std::string& written, double value, const std::string& text) {
  const bool negative = written.starts_with("−");
  const std::string digits = negative ? written.substr(std::string("−").size()) : written;
  const size_t point = digits.find('.');
  const double step = point == digits.npos ? 1 : std::pow(10.0, -static_cast<double>(digits.size() - point - 1));
  EXPECT_NEAR((negative ? -1 : 1) * std::stod(digits), value, 0.5001 * step) << text;
}

void check_form(const Finding& finding) {
  const std::string& text = finding.text;
  ASSERT_FALSE(text.empty());
  for (const char* wrong : {"nan", "inf", "e-0", "e+0", "  ", " ,", " .", "-0", "-1", "1 matrices"})
    EXPECT_EQ(text.find(wrong), text.npos) << wrong << ": " << text;
  EXPECT_TRUE(text.ends_with(".") || text.ends_with("?")) << text;
  EXPECT_EQ(finding.verdict == V::Undefined, text.find("undefined, because") != text.npos) << text;
}

void check_unrelated(const Comparison& c, const Finding& f) {
  std::vector<double> ratios;
  const auto is_same = [](const MatrixRow& row) { return row.unchanged == 1; };
  const bool none_changed = std::all_of(c.matrices.begin(), c.matrices.end(), is_same);
  for (const MatrixRow& row : c.matrices) {
    if (none_changed || !is_same(row)) ratios.push_back(row.nf / row.nf_chance);
  }
  const double middle = median_of(ratios);
  EXPECT_EQ(std::isnan(middle), std::isnan(f.value)) << f.text;
  std::smatch found;
  if (std::regex_search(f.text, found, std::regex("NF is ([0-9.]+) of"))) expect_number(found[1], middle, f.text);
  if (std::isnan(middle)) {
    EXPECT_NE(f.verdict, V::Yes) << f.text;
  }
}

// Every type is in the text with its own numbers, or within the range that is said of all.
void check_uniform_scaling(const Comparison& c, const Finding& f) {
  std::set<std::string> told;
  const std::regex item("(W_[A-Za-z]+) \\(([0-9.]+) %(; chance ([0-9.]+) %)?\\)");
  for (std::sregex_iterator it(f.text.begin(), f.text.end(), item), end; it != end; ++it) {
    const TypeRow& type = row_of(c, (*it)[1]);
    EXPECT_TRUE(told.insert((*it)[1]).second) << f.text;
    expect_number((*it)[2], 100 * type.alpha_std / type.alpha_mean, f.text);
    if ((*it)[4].matched) expect_number((*it)[4], 100 * type.null.alpha_std / type.null.alpha_mean, f.text);
  }
  for (const MatrixType name : f.types) {
    const TypeRow& type = row_of(c, std::string(type_name(name)));
    const double own = type.alpha_std / type.alpha_mean, chance = type.null.alpha_std / type.null.alpha_mean;
    const V verdict = type.verdicts.uniform_scaling;
    EXPECT_EQ(verdict, f.verdict == V::SomeTypes ? V::Yes : f.verdict) << f.text;
    if (verdict == V::Yes) {
      EXPECT_LT(own, (1 - type.margins.uniform_scaling) * chance) << f.text;
    }
    if (verdict == V::Counter) {
      EXPECT_GT(own, (1 + type.margins.uniform_scaling) * chance) << f.text;
    }
    if (verdict == V::No) {
      EXPECT_GE(own, 0.05) << f.text;
    }
  }
}

void check_common_scalar(const Comparison& c, const Finding& f) {
  for (const TypeRow& type : c.types) {
    const bool off = std::abs(type.scale_mean - f.value) > std::max(0.002, 4 * std::sqrt(2.0) * type.scale_sd);
    if (f.verdict == V::Yes) {
      EXPECT_TRUE(std::isnan(type.scale_mean) || std::abs(type.scale_mean - f.value) < 1) << f.text;
    }
    if (off && f.verdict == V::No) {
      EXPECT_NE(std::find(f.types.begin(), f.types.end(), type.type), f.types.end()) << f.text;
    }
  }
  const std::regex item("(−?[0-9.]+) in (W_[A-Za-z]+)");
  for (std::sregex_iterator it(f.text.begin(), f.text.end(), item), end; it != end; ++it)
    expect_number((*it)[1], row_of(c, (*it)[2]).scale_mean, f.text);
}

// The headline's share is that of the matrices of the types that can be told; its words go with the sign.
void check_co_rotation(const Comparison& c, const Finding& f) {
  double energy = 0, effect = 0;
  for (const MatrixRow& row : c.matrices) {
    const V verdict = row_of(c, std::string(type_name(row.type))).verdicts.co_rotation;
    if (verdict == V::Undefined || verdict == V::Rounding || std::isnan(row.energy.symmetric_sd)) continue;
    const double n = row.energy.total * (row.energy.co_rotation + row.energy.counter_rotation);
    energy += n;
    effect += n * (row.energy.symmetric_share - row.energy.symmetric_null);
  }
  std::smatch found;
  const std::regex headline("^([0-9.]+) % of the off-diagonal change is (sym|antisym)metric beyond chance");
  if (std::regex_search(f.text, found, headline)) {
    expect_number(found[1], 100 * std::abs(effect / energy), f.text);
    EXPECT_EQ(found[2] == "sym", effect > 0) << f.text;
    EXPECT_EQ(f.z<0, effect> 0) << f.text;
    EXPECT_GT(std::abs(f.z), 4) << f.text;
  } else if (f.verdict == V::AsChance) {
    EXPECT_LE(std::abs(f.z), 4) << f.text;
  }
  const std::pair<const char*, V> groups[] = {{"an effect in ", V::Yes},
                                              {"explained by rows and columns in ", V::No},
                                              {"beyond chance but below 1 % in ", V::Slight},
                                              {"antisymmetric, an effect, in ", V::Counter},
                                              {"as chance in ", V::AsChance},
                                              {"not clear of rounding in ", V::Rounding},
                                              {"undefined in ", V::Undefined}};
  for (const auto& [words, verdict] : groups) {
    const size_t at = f.text.find(words);
    if (at == f.text.npos) continue;
    for (const std::string& name : types_in(f.text.substr(at, f.text.find_first_of(";.", at) - at)))
      EXPECT_EQ(row_of(c, name).verdicts.co_rotation, verdict) << name << ": " << f.text;
  }
}

void check_update(const Comparison& c, const Finding& f) {
  std::vector<double> ranks;
  double same = 0, weights = 0;
  for (const MatrixRow& row : c.matrices) {
    if (row.unchanged == 1) continue;
    if (row.energy.total > 0) ranks.push_back(row.update_rank);
    same += row.unchanged * static_cast<double>(row.d_in * row.d_out);
    weights += static_cast<double>(row.d_in * row.d_out);
  }
  std::smatch found;
  if (f.id == LowRankUpdate && !std::isnan(f.value)) {
    EXPECT_EQ(f.value, median_of(ranks)) << f.text;
    if (std::regex_search(f.text, found, std::regex("([0-9.]+) % of a matrix")))
      expect_number(found[1], 100 * f.value, f.text);
  }
  if (f.id == SparseUpdate && !std::isnan(f.value)) {
    EXPECT_NEAR(f.value, same / weights, 1e-12) << f.text;
    if (std::regex_search(f.text, found, std::regex("^([0-9.]+) % of the weights")))
      expect_number(found[1], 100 * f.value, f.text);
  }
}

void check(const Comparison& c) {
  for (const Finding& f : c.findings) {
    check_form(f);
    if (f.verdict == V::NotAsked) continue;
    switch (f.id) {
      case Unrelated:
        check_unrelated(c, f);
        break;
      case UniformScaling:
        check_uniform_scaling(c, f);
        break;
      case CommonScalar:
        check_common_scalar(c, f);
        break;
      case CoRotation:
        check_co_rotation(c, f);
        break;
      case LowRankUpdate:
      case SparseUpdate:
        check_update(c, f);
        break;
      default:
        break;
    }
  }
}

const Verdicts kNothingAsked = {{UniformScaling, {V::NotAsked}}, {CommonScalar, {V::NotAsked}},
                                {WoAnomaly, {V::NotAsked}},      {CoRotation, {V::NotAsked}},
                                {LowRankUpdate, {V::NotAsked}},  {SparseUpdate, {V::NotAsked}}};
Verdicts nothing_asked(V lineage) {
  Verdicts out = kNothingAsked;
  out[Unrelated] = {lineage};
  return out;
}
const Verdicts kNoise = {{Unrelated, {V::No}},   {UniformScaling, {V::AsChance}}, {CommonScalar, {V::Yes}},
                         {WoAnomaly, {V::No}},   {CoRotation, {V::AsChance}},     {LowRankUpdate, {V::No}},
                         {SparseUpdate, {V::No}}};
const Verdicts kUndefinedAll = {{Unrelated, {V::Undefined}},          {UniformScaling, {V::Undefined}},
                                {CommonScalar, {V::Undefined}},       {WoAnomaly, {V::Undefined}},
                                {CoRotation, {V::Undefined}},         {LowRankUpdate, {V::Undefined}},
                                {SparseUpdate, {V::No, V::Undefined}}};

std::vector<Case> cases() {
  const Make zero = each(base_of, [](double, int64_t, int64_t) { return 0.0; });
  const Make zero_rows = each(base_of, [](double w, int64_t i, int64_t) { return i < 5 ? 0.0 : w; });
  const Make zero_block = [](int64_t layer, const std::string& name, int64_t d_in, int64_t d_out) {
    return layer == 1 ? Matrix::zeros(d_in, d_out) : base_of(layer, name, d_in, d_out);
  };
  const Make pruned = each(base_of, [](double w, int64_t, int64_t) { return std::abs(w) < 0.3 ? 0.0 : w; });
  const Make graded_w_o = [](int64_t layer, const std::string& name, int64_t d_in, int64_t d_out) {
    return name == "o_proj" ? steep(layer, name, d_in, d_out) : base_of(layer, name, d_in, d_out);
  };
  return {
      {"the same", base_of, base_of, nothing_asked(V::No)},
      {"c base",
       base_of,
       plus(0.9, base_of, 0),
       {{Unrelated, {V::No}},
        {CommonScalar, {V::Yes}},
        {WoAnomaly, {V::No}},
        {CoRotation, {V::Rounding}},
        {LowRankUpdate, {V::Rounding}},
        {UniformScaling, {V::AsChance, V::Undefined, V::Slight}}}},
      {"c base in BF16",
       base_of,
       plus(0.9, base_of, 0),
       {{Unrelated, {V::No}},
        {CommonScalar, {V::Yes}},
        {WoAnomaly, {V::No}},
        {CoRotation, {V::Rounding}},
        {LowRankUpdate, {V::Rounding}}},
       DType::BF16},
      {"the base reversed",
       base_of,
       plus(-1, base_of, 0),
       {{Unrelated, {V::No}},
        {CommonScalar, {V::Yes}},
        {UniformScaling, {V::Undefined}},
        {CoRotation, {V::Undefined}},
        {LowRankUpdate, {V::Undefined}}}},
      {"noise", base_of, plus(1, base_of, 0.05), kNoise},
      {"0.9 base and noise, steep", steep, plus(0.9, steep, 0.002), kNoise},
      {"W_O graded, much noise", graded_w_o, plus(1, graded_w_o, 0.1), {{WoAnomaly, {V::No}}}},
      {"rows of zeros",
       zero_rows,
       plus(1, zero_rows, 0.05),
       {{Unrelated, {V::No, V::Undefined}}, {SparseUpdate, {V::No}}}},
      {"rows of zeros in the post", base_of, zero_rows, {{CommonScalar, {V::Yes, V::No}}}},
      {"a block of zeros",
       zero_block,
       plus(1, zero_block, 0.05),
       {{Unrelated, {V::No}}, {CommonScalar, {V::Yes}}}},  // c of the others
      {"pruned", base_of, pruned, {{SparseUpdate, {V::Yes}}, {LowRankUpdate, {V::No}}}},
      {"one layer", base_of, plus(1, base_of, 0.05), kNoise, DType::F32, 1},
      {"one type",
       base_of,
       plus(1, base_of, 0.05),
       {{CommonScalar, {V::Undefined}}, {WoAnomaly, {V::Undefined}}},
       DType::F32,
       2,
       {MatrixType::O}},
      {"unrelated", base_of, plus(0, base_of, 1, 99), nothing_asked(V::Yes)},
      {"unrelated and rank-deficient",
       few_rows(1),
       few_rows(2),
       {{Unrelated, {V::Undefined}}, {CoRotation, {V::Undefined}}, {CommonScalar, {V::No}}}},
      {"rank-deficient, noise",
       few_rows(1),
       plus(1, few_rows(1), 0.1),
       {{Unrelated, {V::Undefined}}, {CoRotation, {V::Undefined}}, {UniformScaling, {V::Undefined}}}},
      {"nearly rank-deficient, noise",
       nearly_rank_nine(20),
       plus(1, nearly_rank_nine(20), 0.1),
       {{Unrelated, {V::No}}}},
      {"nearly rank-deficient, unrelated", nearly_rank_nine(20), nearly_rank_nine(30), nothing_asked(V::Yes)},
      {"much more noise than base", base_of, plus(1, base_of, 5), {{Unrelated, {V::No}}}},
      {"the post is zero",
       base_of,
       zero,
       {{Unrelated, {V::Undefined}}, {CommonScalar, {V::No}}, {UniformScaling, {V::Undefined}}}},
      {"the base is zero", zero, base_of, kUndefinedAll},
      {"an adapter on two types", base_of, adapted, {{LowRankUpdate, {V::Yes}}, {SparseUpdate, {V::No}}}},
      {"rows rescaled",
       base_of,
       each(base_of, [](double w, int64_t i, int64_t) { return w * (1 + 0.03 * std::sin(i + 1.0)); }),
       {{CoRotation, {V::No}}}},
  };
}

Comparison compared(const Case& one) {
  const TempDir dir;
  TinyModel model{.layers = one.layers};
  model.write(dir / "base", one.base);
  model.dtype = one.dtype;
  model.write(dir / "post", one.post);
  DiffRequest request;
  request.base = dir / "base";
  request.posts = {dir / "post"};
  request.types = one.types;
  request.run.threads = 2;
  return run_diff(request).result.value().comparisons[0];
}

TEST(Sentences, SayWhatTheRowsSay) {
  for (const Case& one : cases()) {
    SCOPED_TRACE(one.name);
    const Comparison c = compared(one);
    check(c);
    for (const Finding& finding : c.findings) {
      const auto expected = one.expected.find(finding.id);
      if (expected == one.expected.end()) continue;
      EXPECT_TRUE(expected->second.contains(finding.verdict))
          << static_cast<int>(finding.verdict) << ": " << finding.text;
    }
  }
}

}  // namespace
}  // namespace gyro
