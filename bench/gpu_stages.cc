// What each stage of a comparison takes on a GPU, alone; and eigenproblems side by side, as a run has them.
//   gpu_stages [n ...]     default: the shapes of Qwen2.5-1.5B and Llama-3.1-8B

#include <fmt/format.h>

#include <barrier>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <thread>
#include <vector>

#include "gyro/linalg/lanczos.h"
#include "gyro/spectra/pair.h"
#include "gyro/tensor/narrow.h"

namespace gyro {
namespace {

using linalg::Op;
using Clock = std::chrono::steady_clock;

double milliseconds(Clock::time_point since) {
  return 1e3 * std::chrono::duration<double>(Clock::now() - since).count();
}

void wait_for_gpu() {
  const Matrix last(1, 1);
  Matrix::copy_of(last, Space::Host);
}

void time_stage(const char* name, double flops, const std::function<void()>& stage) {
  constexpr int kRounds = 3;
  stage();
  wait_for_gpu();
  const auto start = Clock::now();
  for (int i = 0; i < kRounds; ++i) stage();
  wait_for_gpu();
  const double each = milliseconds(start) / kRounds;
  fmt::print("  {:<34}{:>9.2f} ms{}\n", name, each, flops > 0 ? fmt::format("{:>8.1f} TF/s", flops / each * 1e-9) : "");
  std::fflush(stdout);
}

// BF16 bytes of `values`.
std::vector<std::byte> stored(const Matrix& values) {
  const auto count = static_cast<size_t>(values.rows() * values.cols());
  std::vector<std::byte> bytes(2 * count);
  narrow(DType::BF16, Matrix::copy_of(values, Space::Host).data(), count, bytes.data());
  return bytes;
}

void time_pair(int64_t m, int64_t n) {
  fmt::print("{} x {}, BF16\n", m, n);
  Matrix base(n, m), post(n, m);
  linalg::fill_normal(base, 0.02, 1, 0, 0);
  linalg::fill_normal(post, 0.0006, 2, 0, 0);
  linalg::add(0.995, base, post);
  const std::vector<std::byte> base_bytes = stored(base), post_bytes = stored(post);
  const Weight b{.name = "b", .dtype = DType::BF16, .data = base_bytes.data(), .rows = m, .cols = n, .scale = {}};
  Weight p = b;
  p.data = post_bytes.data();
  const ResidentWeight resident(b);
  Matrix gram(n, n), cross(n, n);
  const auto dm = static_cast<double>(m), dn = static_cast<double>(n);
  time_stage("upload", 0, [&] { const ResidentWeight sent(b); });
  time_stage("widen", 0, [&] { linalg::widen(resident.weight(), 0, m, 0, n, base); });
  time_stage("subtract", 0, [&] { linalg::subtract(base, post); });
  time_stage("cross product (gemm)", 2 * dm * dn * dn,
             [&] { linalg::gemm(Op::None, Op::Transpose, 1, base, post, 0, cross); });
  time_stage("Gram matrix (syrk)", dm * dn * dn, [&] { linalg::syrk(Op::None, 1, base, 0, gram); });
  time_stage("rotation product (gemm)", 2 * dn * dn * dn,
             [&] { linalg::gemm(Op::None, Op::None, 1, gram, gram, 0, cross); });
  time_stage("null draw", 0, [&] { linalg::fill_normal(cross, 1, 3, 0, 0); });
  time_stage("largest eigenvalue", 0, [&] { linalg::largest_eigenvalue(gram, 1e-8); });
  time_stage("eigvalsh", 0, [&] { linalg::eigvalsh(gram.clone()); });
  time_stage("eigh", 0, [&] { linalg::eigh(gram.clone()); });
  time_stage("base, whole", 0, [&] { const BaseMatrix whole(b); });
  BaseMatrix whole(b);
  time_stage("post, whole, no null draw", 0, [&] { whole.compare(p, {0, 0, 1, 0}); });
  time_stage("post, whole, one null draw", 0, [&] { whole.compare(p, {1, 0, 1, 0}); });
}

// Gram matrices of size n, `workers` at a time.
void time_side_by_side(int64_t n, int workers, bool vectors) {
  std::barrier together(workers);
  std::vector<std::thread> threads;
  for (int worker = 0; worker < workers; ++worker) {
    threads.emplace_back([&, worker] {
      const device::Scope scope(0);
      Matrix a(n + n / 2, n), gram(n, n);
      linalg::fill_normal(a, 1, static_cast<uint64_t>(worker), 0, 0);
      linalg::syrk(Op::Transpose, 1, a, 0, gram);
      const auto solve = [&] {
        if (vectors) {
          linalg::eigh(gram.clone());
        } else {
          linalg::eigvalsh(gram.clone());
        }
      };
      solve();
      together.arrive_and_wait();
      const auto start = Clock::now();
      together.arrive_and_wait();
      solve();
      solve();
      together.arrive_and_wait();
      if (worker == 0)
        fmt::print("n = {:<6}{:<10}{:>3} at a time: {:>8.2f} ms each\n", n, vectors ? "eigh" : "eigvalsh", workers,
                   milliseconds(start) / (2 * workers));
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace gyro

int main(int count, char** arguments) {
  if (gyro::device::gpus().empty()) {
    fmt::print(stderr, "gpu_stages: {}\n", gyro::device::why_none());
    return 1;
  }
  std::vector<int64_t> sizes;
  for (int i = 1; i < count; ++i) sizes.push_back(std::atoll(arguments[i]));
  if (sizes.empty()) {
    const gyro::device::Scope scope(0);
    gyro::time_pair(8960, 1536);
    gyro::time_pair(14336, 4096);
    sizes = {256, 1024, 1536, 4096};
  }
  for (const int64_t n : sizes) {
    for (const int workers : {1, 4, 8, 12}) {
      for (const bool vectors : {true, false}) gyro::time_side_by_side(n, workers, vectors);
    }
  }
}
