#include <cooperative_groups.h>

#include <algorithm>
#include <mutex>

#include "gyro/linalg/cuda/reflector.cuh"
#include "gyro/linalg/linalg.h"

namespace gyro::linalg {
namespace {

namespace cg = cooperative_groups;

constexpr int kClusterBlocks = 16;  // the most that a GPU can be asked for
constexpr int kMaxThreads = 512;
constexpr int kMaxWarps = kMaxThreads / 32;
constexpr int kBandRows = 2 * kBand;  // of BandForm::band

// The rows x kBand block under the diagonal block of a panel, to be made upper triangular.
struct PanelWork {
  const double* a;
  int64_t ld;
  int rows;
  double* v[3];  // where the vectors go, column-major
  int64_t v_ld;
  double *tau, *gram;  // gram: VᵀV above its diagonal, kBand x kBand
  double* band;        // of the panel's first column
};

// What blocks send each other for a column, twice, so that the next column's may come while this one's is read.
struct Exchange {
  double dots[2][kClusterBlocks][kBand];
  double pivot[2][kBand];
};

// One cluster, a thread a row, its kBand elements in registers; the column in work is always the first of them, and the
// vectors found so far are the last. For column x one exchange is enough: with d_c = Σ x_i a_ic below the pivot and p
// the pivot's row, vᵀa_c is p_c + scale d_c, of columns and vectors alike.
__global__ void __launch_bounds__(kMaxThreads) factor_panel(PanelWork s) {
#if __CUDA_ARCH__ >= 900
  __shared__ Exchange exchange;
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
      *cluster.map_shared_rank(&exchange.dots[parity][rank][lane], to) = sum;
      if (rank == 0) *cluster.map_shared_rank(&exchange.pivot[parity][lane], to) = pivot[lane];
    }
    cluster.sync();
    double dot = 0;
    for (int k = 0; k < blocks; ++k) dot += exchange.dots[parity][k][lane];
    const double p = exchange.pivot[parity][lane];
    const Reflector h = reflector_of(__shfl_sync(0xffffffff, p, 0), __shfl_sync(0xffffffff, dot, 0));
    const double product = fma(h.scale, dot, p);
    const int before = lane - (kBand - j);  // the vector that the lane's number belongs to, if it does to one
    factor[warp][lane] = before < 0 ? h.tau * product : 0;
    if (rank == 0 && warp == 0 && before >= 0) s.gram[before + j * kBand] = product;
    __syncwarp();
    const double v = r == j ? 1 : h.scale * x;
    if (r < s.rows) {
      for (double* to : s.v) to[r + j * s.v_ld] = v;
    }
    if (r == j && r < s.rows) {  // the row of R, which lies inside the band
#pragma unroll
      for (int c = 0; c < kBand; ++c) {
        if (j + c < kBand) s.band[(j + c) * kBandRows + kBand - c] = c == 0 ? h.beta : row[c] - factor[warp][c];
      }
    }
#pragma unroll
    for (int c = 1; c < kBand; ++c) row[c - 1] = fma(-v, factor[warp][c], row[c]);
    row[kBand - 1] = v;
    __syncwarp();
    if (r == 0) s.tau[j] = h.tau;
  }
#else
  __trap();  // can_tridiagonalize says no
#endif
}

// W = A V T − ½ V (Tᵀ Vᵀ A V T), so that Qᵀ A Q = A − V Wᵀ − W Vᵀ for Q = I − V T Vᵀ.
struct Update {
  const double *v, *av;  // rows x kBand each
  int64_t ld;
  int rows;
  const double *gram, *tau;
  double* w;
};

constexpr int kUpdateThreads = 256;
constexpr int kChunk = 32;  // rows that are multiplied at a time

// The block's share of VᵀAV, a thread four numbers of a row: rows [begin, end). The next chunk is on its way while one
// is multiplied.
__device__ void multiply_share(const Update& s, int begin, int end, double (&share)[kBand][kBand]) {
  __shared__ double v[kChunk][kBand + 1];
  __shared__ alignas(16) double av[kChunk][kBand + 2];
  static_assert(kUpdateThreads == kBand * kBand / 4 && kUpdateThreads % kChunk == 0);
  constexpr int kEach = kChunk * kBand / kUpdateThreads, kStep = kUpdateThreads / kChunk;
  const int thread = static_cast<int>(threadIdx.x), i = thread / 8, j = thread % 8 * 4;
  const int r_own = thread % kChunk, c_own = thread / kChunk;
  double sum[4] = {}, next_v[kEach], next_av[kEach];
  const auto fetch = [&](int row) {
#pragma unroll
    for (int k = 0; k < kEach; ++k) {
      const int64_t place = row + r_own + (c_own + k * kStep) * s.ld;
      next_v[k] = row + r_own < end ? s.v[place] : 0;
      next_av[k] = row + r_own < end ? s.av[place] : 0;
    }
  };
  fetch(begin);
  for (int row = begin; row < end; row += kChunk) {
#pragma unroll
    for (int k = 0; k < kEach; ++k) {
      v[r_own][c_own + k * kStep] = next_v[k];
      av[r_own][c_own + k * kStep] = next_av[k];
    }
    __syncthreads();
    fetch(row + kChunk);
#pragma unroll 8
    for (int r = 0; r < kChunk; ++r) {
#pragma unroll
      for (int k = 0; k < 4; ++k) sum[k] = fma(v[r][i], av[r][j + k], sum[k]);
    }
    __syncthreads();
  }
  for (int k = 0; k < 4; ++k) share[i][j + k] = sum[k];
}

// One cluster; a thread a row.
__global__ void __launch_bounds__(kUpdateThreads) form_update(Update s) {
#if __CUDA_ARCH__ >= 900
  __shared__ double share[kBand][kBand], vav[kBand][kBand], t[kBand][kBand + 1];  // vav: first the Gram matrix of V
  cg::cluster_group cluster = cg::this_cluster();
  const int blocks = static_cast<int>(cluster.num_blocks()), rank = static_cast<int>(cluster.block_rank());
  const int thread = static_cast<int>(threadIdx.x);
  const int each = (s.rows + blocks - 1) / blocks, begin = rank * each, end = min(begin + each, s.rows);
  multiply_share(s, begin, end, share);
  if (thread < kBand) {
    for (int k = 0; k < kBand; ++k) vav[k][thread] = k < thread ? s.gram[k + thread * kBand] : 0;
    __syncwarp();
    form_row_of_t<kBand>(
        thread, [](int l, int j) { return vav[l][j]; }, s.tau, t[thread]);
  }
  cluster.sync();
  // Each block sums up its part of VᵀAV and sends it to all.
  const int part = kBand * kBand / blocks;
  for (int k = thread; k < part; k += kUpdateThreads) {
    const int place = rank * part + k;
    double sum = 0;
    for (int from = 0; from < blocks; ++from) sum += cluster.map_shared_rank(&share[0][0], from)[place];
    for (int to = 0; to < blocks; ++to) cluster.map_shared_rank(&vav[0][0], to)[place] = sum;
  }
  cluster.sync();
  // −½ Tᵀ (VᵀAV) T, T being upper triangular; the first product takes the place of the shares.
  for (int k = thread; k < kBand * kBand; k += kUpdateThreads) {
    const int i = k / kBand, j = k % kBand;
    double sum = 0;
    for (int l = 0; l <= j; ++l) sum = fma(vav[i][l], t[l][j], sum);
    share[i][j] = sum;
  }
  __syncthreads();
  for (int k = thread; k < kBand * kBand; k += kUpdateThreads) {
    const int i = k / kBand, j = k % kBand;
    double sum = 0;
    for (int l = 0; l <= i; ++l) sum = fma(t[l][i], share[l][j], sum);
    vav[i][j] = -0.5 * sum;
  }
  __syncthreads();
  for (int r = begin + thread; r < end; r += kUpdateThreads) {
    double w[kBand] = {};
    for (int l = 0; l < kBand; ++l) {
      const double av = s.av[r + l * s.ld], v = s.v[r + l * s.ld];
#pragma unroll
      for (int c = 0; c < kBand; ++c) w[c] = fma(av, t[l][c], fma(v, vav[l][c], w[c]));
    }
#pragma unroll
    for (int c = 0; c < kBand; ++c) s.w[r + c * s.ld] = w[c];
  }
#else
  __trap();  // can_tridiagonalize says no
#endif
}

// What no panel's factorisation wrote of the band: the triangles on the diagonal, and all of the last columns.
__global__ void copy_diagonal(const double* a, int64_t ld, int n, int reduced, double* band) {
  const int j = static_cast<int>(blockIdx.x), i = j + static_cast<int>(threadIdx.x);
  const int end = j < reduced ? j / kBand * kBand + kBand : n;
  if (i < min(end, n)) band[j * kBandRows + i - j] = a[i + j * ld];
}

// Blocks of a cluster for so many rows: of up to 256 while there are enough, which find room beside other kernels.
int blocks_for(int rows) {
  int blocks = 1;
  while (blocks < kClusterBlocks && blocks * 256 < rows) blocks *= 2;
  return blocks;
}

// Whether the build has code for clusters; what is compiled for older GPUs runs on newer ones too, but has none.
constexpr bool built_for_clusters() {
  for (const int architecture : {__CUDA_ARCH_LIST__}) {
    if (architecture >= 900) return true;
  }
  return false;
}

// How a kernel is asked for as a cluster of `blocks`, a power of two up to kClusterBlocks.
struct ClusterLaunch {
  ClusterLaunch(int blocks, int threads) {
    attribute.id = cudaLaunchAttributeClusterDimension;
    attribute.val.clusterDim = {static_cast<unsigned>(blocks), 1, 1};
    config.gridDim = dim3(static_cast<unsigned>(blocks));
    config.blockDim = dim3(static_cast<unsigned>(threads));
    config.stream = device::stream();
    config.attrs = &attribute;
    config.numAttrs = 1;
  }
  ClusterLaunch(const ClusterLaunch&) = delete;
  ClusterLaunch& operator=(const ClusterLaunch&) = delete;
  cudaLaunchAttribute attribute{};
  cudaLaunchConfig_t config{};
};

// Runs a kernel as a cluster in the thread's stream.
template <typename Argument>
void launch_cluster(void (*kernel)(Argument), const Argument& argument, int blocks, int threads) {
  static std::once_flag allowed[64];  // by GPU
  std::call_once(allowed[device::gpu() % 64], [&] {
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeNonPortableClusterSizeAllowed, 1), "cluster size");
  });
  const ClusterLaunch launch(blocks, threads);
  check(cudaLaunchKernelEx(&launch.config, kernel, argument), "cluster of blocks");
}

// Whether the thread's GPU has room for the largest cluster of a kernel, and the build has code for it. A part of a GPU
// may lack as many neighbouring multiprocessors; some GPUs have no clusters of this size, which CUDA calls an error.
template <typename Argument>
bool has_room_for_cluster(void (*kernel)(Argument), int threads) {
  int major = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device::gpu()), "device attribute");
  if (!built_for_clusters() || major < 9) return false;
  const ClusterLaunch launch(kClusterBlocks, threads);
  int clusters = 0;
  const bool known = cudaFuncSetAttribute(kernel, cudaFuncAttributeNonPortableClusterSizeAllowed, 1) == cudaSuccess &&
                     cudaOccupancyMaxActiveClusters(&clusters, kernel, &launch.config) == cudaSuccess;
  if (!known) cudaGetLastError();
  return known && clusters > 0;
}

// A −= V Wᵀ + W Vᵀ for V and W of `rows` rows, kBand columns each, of which [V W V] is n x 3 kBand. The lower triangle,
// or both.
void update(const Matrix& vwv, int64_t rows, bool both, MatrixView a) {
  const ConstMatrixView v_w = vwv.view().block(0, 0, rows, 2 * kBand),
                        w_v = vwv.view().block(0, kBand, rows, 2 * kBand);
  if (both) {
    gemm(Op::None, Op::Transpose, -1, v_w, w_v, 1, a);
    return;
  }
  const double one = 1, minus_one = -1;
  check(cublas().dsyr2k(blas(), CUBLAS_FILL_MODE_LOWER, CUBLAS_OP_N, static_cast<int>(rows), kBand, &minus_one,
                        v_w.data, static_cast<int>(v_w.ld), w_v.data, static_cast<int>(w_v.ld), &one, a.data,
                        static_cast<int>(a.ld)),
        "cublasDsyr2k");
}

}  // namespace

bool has_clusters() {
  static std::once_flag asked[64];  // by GPU
  static bool has[64];
  const int gpu = device::gpu() % 64;
  std::call_once(asked[gpu], [&] { has[gpu] = has_room_for_cluster(factor_panel, kMaxThreads); });
  return has[gpu];
}

bool can_tridiagonalize(int64_t n) {
  return n > kBand && n <= kClusterBlocks * kMaxThreads && has_clusters();
}

BandForm::BandForm(int64_t n)
    : band(Matrix::zeros(kBandRows, n)),
      reflectors(Matrix::zeros(n, (n + kGroup - 1) / kGroup * kGroup)),
      tau(reflectors.cols()) {
  device::clear(tau.get(), sizeof(double) * static_cast<size_t>(reflectors.cols()));
}

BandForm reduce_to_band(MatrixView a) {
  constexpr int64_t kWhole = 896;  // up to here cuBLAS is faster with both triangles
  const int64_t n = a.rows;
  BandForm out(n);
  Matrix vwv(n, 3 * kBand), av(n, kBand), gram(kBand, kBand);
  double *const v = vwv.data(), *const w = vwv.col(kBand), *const v_again = vwv.col(2 * kBand);
  bool both = false;
  int64_t begin = 0;
  for (; n - begin - kBand >= 2; begin += kBand) {
    const int64_t first = begin + kBand, rest = n - first;
    const auto rows = static_cast<int>(rest);
    const MatrixView trailing = a.block(first, first, rest, rest), product = av.view().block(0, 0, rest, kBand);
    if (!both && rest <= kWhole) {
      mirror(trailing, 1, trailing);
      both = true;
    }
    double* const tau = out.tau.get() + begin;
    const int blocks = blocks_for(rows), each = (rows + blocks - 1) / blocks;
    launch_cluster(factor_panel,
                   PanelWork{&a(first, begin),
                             a.ld,
                             rows,
                             {v, v_again, &out.reflectors(first, begin)},
                             n,
                             tau,
                             gram.data(),
                             out.band.col(begin)},
                   blocks, std::max(kBand, (each + 31) / 32 * 32));
    const ConstMatrixView vectors = vwv.view().block(0, 0, rest, kBand);
    if (both) {
      gemm(Op::None, Op::None, 1, trailing, vectors, 0, product);
    } else {
      symm(trailing, vectors, 0, product);
    }
    launch_cluster(form_update, Update{v, av.data(), n, rows, gram.data(), tau, w}, blocks, kUpdateThreads);
    update(vwv, rest, both, trailing);
  }
  copy_diagonal<<<static_cast<unsigned>(n), 2 * kBand, 0, device::stream()>>>(a.data, a.ld, static_cast<int>(n),
                                                                              static_cast<int>(begin), out.band.data());
  check(cudaGetLastError(), "band kernel");
  return out;
}

}  // namespace gyro::linalg
