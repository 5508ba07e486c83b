#include "gyro/diff/between.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "gyro/base/clones.h"
#include "gyro/base/random.h"
#include "gyro/diff/lanes.h"
#include "gyro/linalg/linalg.h"

namespace gyro {
namespace {

constexpr int64_t kPanelValues = int64_t{1} << 13;  // of each model at once
constexpr double kLeft = 0.05;                      // of the sum's norm beside the leading vectors

size_t pairs_of(size_t posts) {
  return posts < 2 ? 0 : posts * (posts - 1) / 2;
}

size_t count_posts(const DiffPlan& plan) {
  return static_cast<size_t>(std::count_if(plan.others.begin(), plan.others.end(),
                                           [](const PlannedModel& other) { return other.role == Role::Post; }));
}

struct ChangeLanes {
  LaneSums square{}, changed{};
};
struct PairLanes {
  LaneSums product{}, both{}, same_sign{};
};

// post −= base. `count` is a multiple of kLanes.
GYRO_CLONES void take_change(const double* base, double* post, size_t count, ChangeLanes& sums) {
  for (size_t i = 0; i < count; i += kLanes) {
    for (size_t l = 0; l < kLanes; ++l) {
      const double change = post[i + l] - base[i + l];
      post[i + l] = change;
      sums.square[l] += change * change;
      sums.changed[l] += change != 0 ? 1.0 : 0.0;
    }
  }
}

GYRO_CLONES void add_pair(const double* a, const double* b, size_t count, PairLanes& sums) {
  for (size_t i = 0; i < count; i += kLanes) {
    for (size_t l = 0; l < kLanes; ++l) {
      const double x = a[i + l], y = b[i + l];
      const bool both = x != 0 && y != 0;
      sums.product[l] += x * y;
      sums.both[l] += both ? 1.0 : 0.0;
      sums.same_sign[l] += both && (x > 0) == (y > 0) ? 1.0 : 0.0;
    }
  }
}

// By the exponent of the base's entries: how many they are, and of each post how many it changed and its share of ‖Δ‖².
// Where places are coarse a small change is not stored, so that two unrelated posts change the same small weights.
struct Strata {
  std::vector<double> count = std::vector<double>(linalg::kExponents);
  std::vector<std::vector<double>> changed, square;

  explicit Strata(size_t posts) : changed(posts, count), square(posts, count) {}

  void count_bases(const double* base, size_t size) {
    for (size_t i = 0; i < size; ++i) ++count[bin(base[i])];
  }
  void add(size_t post, const double* base, const double* change, size_t size) {
    for (size_t i = 0; i < size; ++i) {
      const size_t at = bin(base[i]);
      changed[post][at] += change[i] != 0 ? 1 : 0;
      square[post][at] += change[i] * change[i];
    }
  }
  /// Σ x y / n over the strata.
  double by_chance(const std::vector<double>& x, const std::vector<double>& y) const {
    double sum = 0;
    for (size_t e = 0; e < count.size(); ++e) sum += count[e] > 0 ? x[e] * y[e] / count[e] : 0;
    return sum;
  }
  static size_t bin(double value) { return std::bit_cast<uint64_t>(value) >> 52 & 0x7ff; }
};

int64_t whole(const LaneSums& lanes) {
  return static_cast<int64_t>(total(lanes));
}

ChangeOverlap overlap_of(const ChangeLanes& a, const ChangeLanes& b, const PairLanes& pair, int64_t values) {
  ChangeOverlap out{.values = values,
                    .changed_a = whole(a.changed),
                    .changed_b = whole(b.changed),
                    .changed_both = whole(pair.both),
                    .same_sign = whole(pair.same_sign),
                    .norm_a = std::sqrt(total(a.square)),
                    .norm_b = std::sqrt(total(b.square)),
                    .product = total(pair.product)};
  return out;
}

double absolute_sum(Matrix&& x) {
  const Matrix host = moved_to(Space::Host, std::move(x));
  double sum = 0;
  for (int64_t i = 0; i < host.rows() * host.cols(); ++i) sum += std::abs(host.data()[i]);
  return sum;
}

// XᵀX − I.
Matrix off_orthogonal(const Matrix& x) {
  Matrix gram = linalg::product(linalg::Op::Transpose, linalg::Op::None, x, x);
  linalg::add_to_diagonal(gram, std::vector<double>(static_cast<size_t>(gram.rows()), -1.0));
  return gram;
}

struct InterferenceFigures {
  double singular_task = 0;
  int64_t rank = 0;
  std::vector<double> alignment;
};

// An update as a tall matrix, and whether its rows are the output side then.
struct TallUpdate {
  Matrix a;
  bool output_is_long = false;
};

TallUpdate tall(Matrix&& update) {
  if (update.rows() >= update.cols()) return {std::move(update), false};
  return {linalg::transposed(update), true};
}

// ‖ΠΔ‖/‖Δ‖, Π onto the first `rank` of the sum's output vectors.
double alignment_of(const TallUpdate& update, const linalg::Svd& sum, int64_t rank) {
  const double norm = linalg::norm(update.a);
  const ConstMatrixView vectors = update.output_is_long ? sum.u.view() : sum.v.view();
  const ConstMatrixView leading = vectors.block(0, 0, vectors.rows, rank);
  const Matrix projected = update.output_is_long
                               ? linalg::product(linalg::Op::Transpose, linalg::Op::None, leading, update.a)
                               : linalg::product(linalg::Op::None, linalg::Op::None, update.a, leading);
  return linalg::norm(projected) / norm;
}

int64_t leading_rank(const std::vector<double>& values) {
  double all = 0;
  for (const double value : values) all += value * value;
  double left = all;
  size_t rank = 0;
  while (rank < values.size() && left > kLeft * kLeft * all) {
    left -= values[rank] * values[rank];
    ++rank;
  }
  return static_cast<int64_t>(rank);
}

InterferenceFigures figures_of(size_t posts, const std::function<Matrix(size_t)>& update, int64_t k) {
  Matrix sum, u, v;
  std::vector<double> sigma;
  for (size_t t = 0; t < posts; ++t) {
    TallUpdate one = tall(update(t));
    const int64_t m = one.a.rows(), n = one.a.cols(), at = static_cast<int64_t>(t) * k;
    if (t == 0) {
      sum = Matrix::zeros(m, n);
      u = Matrix(m, k * static_cast<int64_t>(posts));
      v = Matrix(n, k * static_cast<int64_t>(posts));
    }
    linalg::add(1, one.a, sum);
    const linalg::Svd svd = linalg::svd(std::move(one.a));
    copy(svd.u.view().block(0, 0, m, k), u.view().block(0, at, m, k));
    copy(svd.v.view().block(0, 0, n, k), v.view().block(0, at, n, k));
    sigma.insert(sigma.end(), svd.values.begin(), svd.values.begin() + k);
  }
  Matrix left = off_orthogonal(u);
  const Matrix right = off_orthogonal(v);
  linalg::multiply_columns(left, sigma);
  InterferenceFigures out;
  out.singular_task = absolute_sum(linalg::product(linalg::Op::None, linalg::Op::None, left, right));
  const linalg::Svd merged = linalg::svd(std::move(sum));
  out.rank = leading_rank(merged.values);
  for (size_t t = 0; t < posts; ++t) out.alignment.push_back(alignment_of(tall(update(t)), merged, out.rank));
  return out;
}

}  // namespace

std::vector<ChangeOverlap> overlaps_of(const Weight& base, const std::vector<Weight>& posts) {
  const int64_t cols = base.cols, panel = std::max<int64_t>(1, kPanelValues / std::max<int64_t>(1, cols));
  const auto most = static_cast<size_t>(std::min(panel, base.rows) * cols);
  const size_t room = (most + kLanes - 1) / kLanes * kLanes;
  std::vector<double> from(room);
  std::vector<std::vector<double>> to(posts.size(), std::vector<double>(room));
  std::vector<ChangeLanes> changes(posts.size());
  std::vector<PairLanes> pairs(pairs_of(posts.size()));
  Strata strata(posts.size());
  for (int64_t row = 0; row < base.rows; row += panel) {
    const int64_t end = std::min(row + panel, base.rows);
    const auto count = static_cast<size_t>((end - row) * cols), padded = (count + kLanes - 1) / kLanes * kLanes;
    widen(base, row, end, 0, cols, from.data(), cols);
    std::fill(from.begin() + static_cast<std::ptrdiff_t>(count), from.end(), 0.0);
    for (size_t t = 0; t < posts.size(); ++t) {
      widen(posts[t], row, end, 0, cols, to[t].data(), cols);
      std::fill(to[t].begin() + static_cast<std::ptrdiff_t>(count), to[t].end(), 0.0);
      take_change(from.data(), to[t].data(), padded, changes[t]);
      strata.add(t, from.data(), to[t].data(), count);
    }
    strata.count_bases(from.data(), count);
    auto pair = pairs.begin();
    for (size_t a = 0; a < posts.size(); ++a) {
      for (size_t b = a + 1; b < posts.size(); ++b) add_pair(to[a].data(), to[b].data(), padded, *pair++);
    }
  }
  std::vector<ChangeOverlap> out;
  for (size_t a = 0; a < posts.size(); ++a) {
    for (size_t b = a + 1; b < posts.size(); ++b) {
      ChangeOverlap overlap = overlap_of(changes[a], changes[b], pairs[out.size()], base.rows * cols);
      overlap.both_expected = strata.by_chance(strata.changed[a], strata.changed[b]);
      overlap.product_sd = std::sqrt(strata.by_chance(strata.square[a], strata.square[b]));
      out.push_back(overlap);
    }
  }
  return out;
}

Interference interference_of(size_t posts, const std::function<Matrix(size_t)>& update, uint64_t seed) {
  std::vector<double> norms;
  int64_t d_in = 0, d_out = 0;
  for (size_t t = 0; t < posts; ++t) {
    const Matrix one = update(t);
    norms.push_back(linalg::norm(one));
    d_in = one.rows();
    d_out = one.cols();
  }
  Interference out{.k = std::min(d_in, d_out) / static_cast<int64_t>(posts)};
  const bool any_zero = std::any_of(norms.begin(), norms.end(), [](double norm) { return !(norm > 0); });
  if (out.k == 0 || any_zero) {
    out.alignment = out.alignment_null = std::vector<double>(posts, kUndefined);
    return out;
  }
  const InterferenceFigures real = figures_of(posts, update, out.k);
  const auto noise = [&](size_t t) {
    Matrix draw(d_in, d_out);
    linalg::fill_normal(draw, 1, mix64(seed + t), 0, 0);
    const double factor = norms[t] / linalg::norm(draw);
    linalg::multiply_columns(draw, std::vector<double>(static_cast<size_t>(d_out), factor));
    return draw;
  };
  const InterferenceFigures null = figures_of(posts, noise, out.k);
  out.singular_task = real.singular_task;
  out.singular_task_null = null.singular_task;
  out.rank = real.rank;
  out.alignment = real.alignment;
  out.alignment_null = null.alignment;
  return out;
}

void measure_between(const DiffPlan& plan, const MatrixSite& site, const Weight& base, UnitResult& result) {
  std::vector<Weight> posts;
  for (const PlannedModel& other : plan.others) {
    if (other.role == Role::Post) posts.push_back(load_weight(*other.checkpoint, same_site(other.map, site)));
  }
  if (posts.size() < 2) return;
  result.overlaps = overlaps_of(base, posts);
  const std::vector<Measure>& asked = *plan.head.options.measures;
  if (std::find(asked.begin(), asked.end(), Measure::Interference) == asked.end()) return;
  const ResidentWeight from(base);
  const auto update = [&](size_t t) {
    const ResidentWeight to(posts[t]);
    Matrix change = linalg::widen(to.weight());
    linalg::add(-1, linalg::widen(from.weight()), change);
    return change;
  };
  result.interference = interference_of(posts.size(), update, matrix_seed(plan.head.options.seed, site.key()));
}

size_t count_pairs(const DiffPlan& plan) {
  return pairs_of(count_posts(plan));
}

namespace {

PostPair pair_of(const DiffPlan& plan, const std::map<int64_t, UnitResult>& units, size_t pair) {
  PostPair out;
  std::map<MatrixType, TypeOverlap> types;
  for (const auto& [unit, measured] : units) {
    const MatrixSite& site = plan.unit(unit);
    const ChangeOverlap& overlap = measured.overlaps[pair];
    MatrixOverlap& matrix =
        out.matrices.emplace_back(MatrixOverlap{.layer = site.layer, .type = site.type, .overlap = overlap});
    if (site.expert >= 0) matrix.expert = site.expert;
    TypeOverlap& type = types[site.type];
    type.type = site.type;
    ++type.matrices;
    type.overlap.add(overlap);
  }
  for (const auto& [name, type] : types) {
    out.types.push_back(type);
    if (!type_counts(name)) continue;
    out.pooled += type.matrices;
    out.overlap.add(type.overlap);
  }
  return out;
}

}  // namespace

std::optional<PostsTogether> posts_together(const DiffPlan& plan, const std::map<int64_t, UnitResult>& units) {
  const size_t posts = count_posts(plan);
  if (posts < 2) return std::nullopt;
  PostsTogether out;
  for (size_t a = 0; a < posts; ++a) {
    for (size_t b = a + 1; b < posts; ++b) {
      PostPair pair = pair_of(plan, units, out.pairs.size());
      pair.a = static_cast<int64_t>(a);
      pair.b = static_cast<int64_t>(b);
      out.pairs.push_back(std::move(pair));
    }
  }
  for (const auto& [unit, measured] : units) {
    if (!measured.interference) continue;
    const MatrixSite& site = plan.unit(unit);
    if (!out.interference) out.interference.emplace();
    MatrixInterference& matrix = out.interference->emplace_back(
        MatrixInterference{.layer = site.layer, .type = site.type, .interference = *measured.interference});
    if (site.expert >= 0) matrix.expert = site.expert;
  }
  return out;
}

}  // namespace gyro
