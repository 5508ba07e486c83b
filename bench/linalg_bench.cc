// The stages of a comparison at one thread, with the flop rate of each: where the time goes and how far from gemm's
// speed.

#include <benchmark/benchmark.h>

#include "gyro/base/random.h"
#include "gyro/linalg/linalg.h"
#include "gyro/spectra/null_model.h"

namespace gyro {
namespace {

using linalg::Op;

Matrix gaussian(int64_t rows, int64_t cols) {
  Matrix a(rows, cols);
  Random(1).normals({a.data(), static_cast<size_t>(rows * cols)}, 1);
  return a;
}

Matrix gram_of(int64_t n) {
  const Matrix a = gaussian(2 * n, n);
  Matrix g(n, n);
  linalg::syrk(Op::Transpose, 1, a, 0, g);
  return g;
}

void report_flops(benchmark::State& state, double flops) {
  state.counters["flops"] = benchmark::Counter(flops, benchmark::Counter::kIsIterationInvariantRate);
}

double cube(int64_t n) {
  return static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n);
}

void gemm(benchmark::State& state) {
  const int64_t n = state.range(0);
  const Matrix a = gaussian(n, n), b = gaussian(n, n);
  Matrix c(n, n);
  for (auto _ : state) linalg::gemm(Op::Transpose, Op::None, 1, a, b, 0, c);
  report_flops(state, 2 * cube(n));
}

void syrk(benchmark::State& state) {
  const int64_t n = state.range(0);
  const Matrix a = gaussian(n, n);
  Matrix c(n, n);
  for (auto _ : state) linalg::syrk(Op::Transpose, 1, a, 0, c);
  report_flops(state, cube(n));
}

// 4/3 n³ to tridiagonal form (half of it bound by memory), about 4/3 n³ divide and conquer, 2 n³ back.
void eigh(benchmark::State& state) {
  const Matrix g = gram_of(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(linalg::eigh(g.clone()));
  report_flops(state, 14.0 / 3 * cube(state.range(0)));
}

void eigvalsh(benchmark::State& state) {
  const Matrix g = gram_of(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(linalg::eigvalsh(g.clone()));
  report_flops(state, 4.0 / 3 * cube(state.range(0)));
}

void svd(benchmark::State& state) {
  const Matrix a = gaussian(state.range(0), state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(linalg::svd(a.clone()));
}

void null_draw(benchmark::State& state) {
  const int64_t n = state.range(0);
  NullModel model{6 * n, n, n * 9 / 10, 1, 30, {}};
  for (int64_t j = 0; j < n; ++j) model.sigma.push_back(2 - static_cast<double>(j) / static_cast<double>(n));
  for (auto _ : state) benchmark::DoNotOptimize(sample_null(model, 1, 0, 1));
}

BENCHMARK(gemm)->Arg(256)->Arg(1536)->Arg(4096)->Unit(benchmark::kMillisecond);
BENCHMARK(syrk)->Arg(256)->Arg(1536)->Unit(benchmark::kMillisecond);
BENCHMARK(eigh)->Arg(256)->Arg(1536)->Unit(benchmark::kMillisecond);
BENCHMARK(eigvalsh)->Arg(256)->Arg(1536)->Unit(benchmark::kMillisecond);
BENCHMARK(svd)->Arg(256)->Arg(1536)->Unit(benchmark::kMillisecond);
BENCHMARK(null_draw)->Arg(256)->Arg(1536)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace gyro
