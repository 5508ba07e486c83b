#include "gyro/edit/adapter.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "gyro/linalg/linalg.h"

namespace gyro {
namespace {

using linalg::Op;

// A S for some columns S.
Matrix image(const TallWeight& a, ConstMatrixView s) {
  Matrix y(a.m, s.cols);
  for_each_panel(a, [&](const Panel& panel) { apply(panel, s, y.view().block(panel.begin, 0, panel.count, s.cols)); });
  return y;
}

// A ≈ Y Sᵀ with Y = A S and r columns S, each column pair scaled to equal length: as PEFT's B and A, divided by
// √scaling each.
LoraPair split(const TallWeight& a, ConstMatrixView columns, const std::vector<double>& sigma, double scaling) {
  const Matrix y = moved_to(Space::Host, image(a, columns)), s = Matrix::copy_of(columns, Space::Host);
  LoraPair pair{y.cols(), a.weight->cols, a.weight->rows, scaling, {}, {}};
  pair.lora_a.resize(static_cast<size_t>(pair.rank * pair.d_in));
  pair.lora_b.resize(static_cast<size_t>(pair.rank * pair.d_out));
  for (int64_t j = 0; j < pair.rank; ++j) {
    const double root = std::sqrt(sigma[static_cast<size_t>(j)]);
    const double long_factor = root > 0 ? 1 / (root * std::sqrt(scaling)) : 0, short_factor = root / std::sqrt(scaling);
    for (int64_t i = 0; i < pair.d_in; ++i) {  // d_in is the long side of W, the short one of Wᵀ
      pair.lora_a[static_cast<size_t>(j * pair.d_in + i)] =
          a.transposed ? s(i, j) * short_factor : y(i, j) * long_factor;
    }
    for (int64_t i = 0; i < pair.d_out; ++i) {
      pair.lora_b[static_cast<size_t>(i * pair.rank + j)] =
          a.transposed ? y(i, j) * long_factor : s(i, j) * short_factor;
    }
  }
  return pair;
}

}  // namespace

LoraPair component_band(const Factors& f, int64_t first, int64_t rank, double scaling) {
  const ConstMatrixView s = f.svd.short_vectors.view().block(0, first, f.a.n, rank);
  const auto begin = f.svd.sigma.begin() + static_cast<std::ptrdiff_t>(first);
  return split(f.a, s, {begin, begin + static_cast<std::ptrdiff_t>(rank)}, scaling);
}

Matrix residual(const Weight& weight, const LoraPair& pair) {
  Matrix out = linalg::widen(weight);
  // Row-major rank x d_in and d_out x rank, read column-major: d_in x rank and rank x d_out.
  const Matrix a = Matrix::copy_of({pair.lora_a.data(), pair.d_in, pair.rank, pair.d_in}, weight.space);
  const Matrix b = Matrix::copy_of({pair.lora_b.data(), pair.rank, pair.d_out, pair.rank}, weight.space);
  linalg::gemm(Op::None, Op::None, -pair.scaling, a, b, 1, out);
  return out;
}

int64_t LowRankChange::rank_for(double share) const {
  double sum = 0;
  const double wanted = share * change * change;
  for (size_t j = 0; j < sigma.size(); ++j) {
    if (sum >= wanted) return static_cast<int64_t>(j);
    sum += sigma[j] * sigma[j];
  }
  return static_cast<int64_t>(sigma.size());
}

LowRankChange low_rank_change(const Weight& base, const Weight& post, int64_t rank, double scaling) {
  // The change as a weight of its own, in the stored layout.
  Matrix delta = linalg::widen(post);
  linalg::add(-1, linalg::widen(base), delta);
  const Weight change = as_weight(delta, post.name + " − base");
  LowRankChange out;
  out.change = linalg::norm(delta);
  check_finite(change, out.change);
  const TallWeight a = as_tall(change);
  Matrix gram = Matrix::zeros(a.n, a.n);
  for_each_panel(a, [&](const Panel& panel) { add_gram(panel, gram); });
  linalg::Eigh e = linalg::eigh(std::move(gram));
  for (const double value : e.values) out.sigma.push_back(std::sqrt(std::max(value, 0.0)));
  const ConstMatrixView s = e.vectors.view().block(0, 0, a.n, std::min(rank, a.n));
  out.pair = split(a, s, out.sigma, scaling);
  out.error = linalg::norm(residual(change, out.pair));
  return out;
}

int64_t widest_turn(const std::vector<double>& turn, int64_t rank) {
  double sum = std::accumulate(turn.begin(), turn.begin() + static_cast<std::ptrdiff_t>(rank), 0.0);
  double best = sum;
  int64_t start = 0;
  for (size_t j = static_cast<size_t>(rank); j < turn.size(); ++j) {
    sum += turn[j] - turn[j - static_cast<size_t>(rank)];
    if (sum <= best) continue;
    best = sum;
    start = static_cast<int64_t>(j) - rank + 1;
  }
  return start;
}

}  // namespace gyro
