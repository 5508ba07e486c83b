#include <cooperative_groups.h>

#include <algorithm>
#include <mutex>
#include <stdexcept>

#include "gyro/linalg/cuda/tridiagonal.h"
#include "gyro/linalg/linalg.h"

namespace gyro::linalg {
namespace {

namespace cg = cooperative_groups;

constexpr int kMaxThreads = 512;
constexpr int kMaxWarps = kMaxThreads / 32;
constexpr int kMaxBlocks = 16;
constexpr int kBandRows = 2 * kBand;  // of BandForm::band

// The rows x kBand block under the diagonal block of a panel, to be made upper triangular.
struct Panel {
  const double* a;
  int64_t ld;
  int rows;
  double* v[3];  // where the vectors go, column-major
  int64_t v_ld[3];
  double* tau;
  double* band;  // of the panel's first column
};

// What blocks send each other for a column, twice, so that the next column's may come while this one's is read.
struct Mail {
  double dots[2][kMaxBlocks][kBand];
  double pivot[2][kBand];
};

// One cluster, a thread a row, its kBand elements in registers; the column in work is always the first of them. For
// column x one exchange is enough: with d_c = Σ x_i a_ic below the pivot and p the pivot's row, vᵀa_c is
// p_c + scale d_c.
__global__ void __launch_bounds__(kMaxThreads) factor_panel(Panel s) {
#if __CUDA_ARCH__ >= 900
  __shared__ Mail mail;
  __shared__ double part[kMaxWarps][kBand];
  __shared__ double pivot[kBand];
  __shared__ alignas(16) double factor[kMaxWarps][kBand];
  cg::cluster_group cluster = cg::this_cluster();
  const int blocks = static_cast<int>(cluster.num_blocks()), rank = static_cast<int>(cluster.block_rank());
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  const int warps = static_cast<int>(blockDim.x) / 32;
  const int r = rank * static_cast<int>(blockDim.x) + thread;
  double row[kBand];
#pragma unroll
  for (int c = 0; c < kBand; ++c) row[c] = r < s.rows ? s.a[r + c * s.ld] : 0;
  cluster.sync();  // everybody is there to be written to
  for (int j = 0; j < kBand; ++j) {
    const int parity = j % 2;
    const double x = r > j ? row[0] : 0;
    part[warp][lane] = sums_of_warp(lane, [&](int c) { return x * row[c]; });
    if (r == j) {
#pragma unroll
      for (int c = 0; c < kBand; ++c) pivot[c] = row[c];
    }
    __syncthreads();
    double sum = 0;
    for (int w = 0; w < warps; ++w) sum += part[w][lane];
    for (int to = warp; to < blocks; to += warps) {
      *cluster.map_shared_rank(&mail.dots[parity][rank][lane], to) = sum;
      if (rank == 0) *cluster.map_shared_rank(&mail.pivot[parity][lane], to) = pivot[lane];
    }
    cluster.sync();
    double dot = 0;
    for (int k = 0; k < blocks; ++k) dot += mail.dots[parity][k][lane];
    const double p = mail.pivot[parity][lane];
    const Reflector h = reflector_of(__shfl_sync(0xffffffff, p, 0), __shfl_sync(0xffffffff, dot, 0));
    factor[warp][lane] = h.tau * fma(h.scale, dot, p);
    __syncwarp();
    const double v = r == j ? 1 : h.scale * x;
    if (r < s.rows) {
      for (int copy = 0; copy < 3; ++copy) s.v[copy][r + j * s.v_ld[copy]] = v;
    }
    if (r == j && r < s.rows) {  // the row of R, which lies inside the band
#pragma unroll
      for (int c = 0; c < kBand; ++c) {
        if (j + c < kBand) s.band[(j + c) * kBandRows + kBand - c] = c == 0 ? h.beta : row[c] - factor[warp][c];
      }
    }
#pragma unroll
    for (int c = 1; c < kBand; ++c) row[c - 1] = fma(-v, factor[warp][c], row[c]);
    row[kBand - 1] = 0;
    __syncwarp();
    if (r == 0) s.tau[j] = h.tau;
  }
#else
  __trap();  // can_tridiagonalize says no
#endif
}

// W = A V T − ½ V (Tᵀ Vᵀ A V T), so that Qᵀ A Q = A − V Wᵀ − W Vᵀ for Q = I − V T Vᵀ.
struct Update {
  const double *v, *av, *products;  // rows x kBand each; kBand x 2 kBand: VᵀV and VᵀAV
  const double* tau;
  int64_t ld;
  int rows;
  double* w[2];
};

constexpr int kUpdateThreads = 128;

__global__ void __launch_bounds__(kUpdateThreads) form_update(Update s) {
  __shared__ double t[kBand][kBand], k[kBand][kBand], temporary[kBand][kBand], gram[kBand][kBand + 1];
  const int thread = static_cast<int>(threadIdx.x);
  for (int i = thread; i < kBand * kBand; i += kUpdateThreads) {
    gram[i % kBand][i / kBand] = s.products[i];
    t[i % kBand][i / kBand] = 0;
  }
  __syncthreads();
  if (thread < kBand) {  // a row of T each
    for (int j = thread; j < kBand; ++j) {
      double sum = 0;
      for (int l = thread; l < j; ++l) sum = fma(t[thread][l], gram[l][j], sum);
      t[thread][j] = j == thread ? s.tau[j] : -s.tau[j] * sum;
    }
  }
  __syncthreads();
  const double* vav = s.products + kBand * kBand;
  for (int i = thread; i < kBand * kBand; i += kUpdateThreads) {
    const int row = i % kBand, column = i / kBand;
    double sum = 0;
    for (int l = 0; l <= column; ++l) sum = fma(vav[row + l * kBand], t[l][column], sum);
    temporary[row][column] = sum;
  }
  __syncthreads();
  for (int i = thread; i < kBand * kBand; i += kUpdateThreads) {
    const int row = i / kBand, column = i % kBand;
    double sum = 0;
    for (int l = 0; l <= row; ++l) sum = fma(t[l][row], temporary[l][column], sum);
    k[row][column] = -0.5 * sum;
  }
  __syncthreads();
  const int r = static_cast<int>(blockIdx.x) * kUpdateThreads + thread;
  if (r >= s.rows) return;
  double w[kBand] = {};
  for (int l = 0; l < kBand; ++l) {
    const double av = s.av[r + l * s.ld], v = s.v[r + l * s.ld];
#pragma unroll
    for (int c = 0; c < kBand; ++c) w[c] = fma(av, t[l][c], fma(v, k[l][c], w[c]));
  }
#pragma unroll
  for (int c = 0; c < kBand; ++c) {
    for (double* to : s.w) to[r + c * s.ld] = w[c];
  }
}

// What no panel's factorisation wrote of the band: the triangles on the diagonal, and all of the last columns.
__global__ void copy_diagonal(const double* a, int64_t ld, int n, int reduced, double* band) {
  const int j = static_cast<int>(blockIdx.x), i = j + static_cast<int>(threadIdx.x);
  const int end = j < reduced ? j / kBand * kBand + kBand : n;
  if (i < min(end, n)) band[j * kBandRows + i - j] = a[i + j * ld];
}

int attribute(cudaDeviceAttr which) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, which, device::gpu()), "device attribute");
  return value;
}

// Enough blocks of about 256 threads, which find room beside other kernels, to give each row a thread.
void launch(const Panel& s) {
  int blocks = 1;
  while (blocks < kMaxBlocks && blocks * 256 < s.rows) blocks *= 2;
  const int each = (s.rows + blocks - 1) / blocks;
  static std::once_flag allowed[64];  // by GPU
  std::call_once(allowed[device::gpu() % 64], [&] {
    check(cudaFuncSetAttribute(factor_panel, cudaFuncAttributeNonPortableClusterSizeAllowed, 1), "cluster size");
  });
  cudaLaunchAttribute cluster{};
  cluster.id = cudaLaunchAttributeClusterDimension;
  cluster.val.clusterDim = {static_cast<unsigned>(blocks), 1, 1};
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(blocks));
  config.blockDim = dim3(static_cast<unsigned>(std::max(kBand, (each + 31) / 32 * 32)));
  config.stream = device::stream();
  config.attrs = &cluster;
  config.numAttrs = 1;
  check(cudaLaunchKernelEx(&config, factor_panel, s), "panel kernel");
}

}  // namespace

bool can_tridiagonalize(int64_t n) {
  return n > kBand && n <= kMaxBlocks * kMaxThreads && attribute(cudaDevAttrComputeCapabilityMajor) >= 9;
}

BandForm::BandForm(int64_t n) : band(Matrix::zeros(kBandRows, n)), reflectors(Matrix::zeros(n, n)), tau(n + kBand) {
  device::clear(tau.get(), sizeof(double) * static_cast<size_t>(n + kBand));
}

BandForm reduce_to_band(MatrixView a) {
  const int64_t n = a.rows;
  BandForm out(n);
  // [W V AV] and [V W]: what the gemms take stands side by side.
  Matrix left(n, 3 * kBand), right(n, 2 * kBand), products(kBand, 2 * kBand);
  int64_t begin = 0;
  for (; n - begin - kBand >= 2; begin += kBand) {
    const int64_t first = begin + kBand, rows = n - first;
    const MatrixView rest = a.block(first, first, rows, rows);
    double *const w = left.data(), *const v = left.col(kBand), *const av = left.col(2 * kBand);
    launch({&a(first, begin),
            a.ld,
            static_cast<int>(rows),
            {v, right.data(), &out.reflectors(first, begin)},
            {n, n, n},
            out.tau.get() + begin,
            out.band.col(begin)});
    const ConstMatrixView vectors = left.view().block(0, kBand, rows, kBand);
    gemm(Op::None, Op::None, 1, rest, vectors, 0, left.view().block(0, 2 * kBand, rows, kBand));
    gemm(Op::Transpose, Op::None, 1, vectors, left.view().block(0, kBand, rows, 2 * kBand), 0, products);
    const Update update{v, av, products.data(), out.tau.get() + begin, n, static_cast<int>(rows),
                        {w, right.col(kBand)}};
    form_update<<<static_cast<unsigned>((rows + kUpdateThreads - 1) / kUpdateThreads), kUpdateThreads, 0,
                  device::stream()>>>(update);
    check(cudaGetLastError(), "update kernel");
    gemm(Op::None, Op::Transpose, -1, right.view().block(0, 0, rows, 2 * kBand),
         left.view().block(0, 0, rows, 2 * kBand), 1, rest);
  }
  copy_diagonal<<<static_cast<unsigned>(n), 2 * kBand, 0, device::stream()>>>(
      a.data, a.ld, static_cast<int>(n), static_cast<int>(begin), out.band.data());
  check(cudaGetLastError(), "band kernel");
  return out;
}

}  // namespace gyro::linalg
