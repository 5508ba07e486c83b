#include <mutex>

#include "gyro/linalg/cuda/reflector.cuh"

namespace gyro::linalg {
namespace {

// The reflectors H(s, t) of kBand sweeps s at one t make a block I − V T Vᵀ, V with kBand columns of kBand numbers,
// each a row below the one before: 2 kBand rows in tiles of 8 x 8, of which some are empty.
constexpr int kTile = 8, kRows = 2 * kBand / kTile, kColumns = kBand / kTile;
constexpr int kTileSize = kTile * kTile;

__host__ __device__ constexpr bool in_v(int i, int j) {
  return i >= j && i <= j + kColumns;
}
__host__ __device__ constexpr bool in_vt(int i, int j) {
  return i <= j + kColumns;
}
// The number of a tile that is not empty, column by column.
__host__ __device__ constexpr int tile_of_v(int i, int j) {
  return j * (kColumns + 1) + i - j;
}
__host__ __device__ constexpr int tile_of_vt(int i, int j) {
  return j * (kColumns + 1) + j * (j - 1) / 2 + i;
}
constexpr int kTilesOfV = tile_of_v(kColumns, kColumns), kTilesOfVt = tile_of_vt(0, kColumns);
constexpr int kBlockSize = (kTilesOfV + kTilesOfVt) * kTileSize;  // doubles

// Groups of kBand sweeps, and blocks of group g: one fewer than of the group before.
__host__ __device__ constexpr int groups_of(int n) {
  return (n - 1 + kBand - 1) / kBand;
}
__host__ __device__ constexpr int64_t block_of(int groups, int group, int step) {
  return int64_t{group} * groups - int64_t{group} * (group - 1) / 2 + step;
}

// The place of a lane's two numbers in a tile's columns 2 t and 2 t + 1 of row g, lane = 4 g + t: the B operand of
// mma.m16n8k8 with its rows taken in the order 0 2 4 6 1 3 5 7, in which the accumulator of the product before holds
// its columns.
__device__ int place_of(int g, int k) {
  return (g * 4 + k / 2) * 2 + k % 2;
}

constexpr int kPackThreads = 128;

// V, and −V T, tile by tile as the lanes of a warp read them.
__global__ void __launch_bounds__(kPackThreads)
    pack(const double* reflectors, const double* tau, int n, int steps, double* blocks) {
  __shared__ double v[2 * kBand][kBand + 1], s[kBand][kBand + 1], t[kBand][kBand + 1], taus[kBand];
  const int group = static_cast<int>(blockIdx.y), step = static_cast<int>(blockIdx.x), groups = groups_of(n);
  if (step >= groups - group) return;
  const int thread = static_cast<int>(threadIdx.x), sweep = group * kBand, top = sweep + 1 + step * kBand;
  for (int k = thread; k < 2 * kBand * kBand; k += kPackThreads) {
    const int r = k % (2 * kBand), q = k / (2 * kBand);
    const bool inside = r >= q && r < q + kBand && top + r < n && sweep + q < n;
    v[r][q] = inside ? reflectors[top + r + int64_t{sweep + q} * n] : 0;
  }
  if (thread < kBand) taus[thread] = sweep + thread < n ? tau[step + int64_t{sweep + thread} * steps] : 0;
  __syncthreads();
  for (int k = thread; k < kBand * kBand; k += kPackThreads) {
    const int i = k % kBand, j = k / kBand;
    double sum = 0;
    for (int r = j; r < i + kBand; ++r) sum = fma(v[r][i], v[r][j], sum);  // i ≤ j is what counts
    s[i][j] = sum;
  }
  __syncthreads();
  if (thread < kBand)
    form_row_of_t<kBand>(
        thread, [](int l, int j) { return s[l][j]; }, taus, t[thread]);
  __syncthreads();
  double* out = blocks + block_of(groups, group, step) * kBlockSize;
  for (int k = thread; k < 2 * kBand * kBand; k += kPackThreads) {
    const int r = k % (2 * kBand), q = k / (2 * kBand), i = r / kTile, j = q / kTile;
    if (in_v(i, j)) out[tile_of_v(i, j) * kTileSize + place_of(q % kTile, r % kTile)] = v[r][q];
    if (!in_vt(i, j)) continue;
    double sum = 0;
    for (int l = 0; l <= q; ++l) sum = fma(v[r][l], t[l][q], sum);
    out[(kTilesOfV + tile_of_vt(i, j)) * kTileSize + place_of(r % kTile, q % kTile)] = -sum;
  }
}

#if __CUDA_ARCH__ >= 900
// c += a b: 16 x 8, 16 x 8 and 8 x 8 of a warp, b as place_of has it and a as an accumulator holds it.
__device__ __forceinline__ void multiply_add(double (&c)[4], const double (&a)[4], double2 b) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f64.f64.f64.f64 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, "
      "%3};"
      : "+d"(c[0]), "+d"(c[1]), "+d"(c[2]), "+d"(c[3])
      : "d"(a[0]), "d"(a[2]), "d"(a[1]), "d"(a[3]), "d"(b.x), "d"(b.y));
}

// One block, at a lane's place, for the rows that tiles kFirst, kFirst + 1, ... of the window hold.
template <int kFirst, int kWindow>
__device__ __forceinline__ void apply_block(const double2* block, double (&window)[kWindow][4]) {
  double y[kColumns][4] = {};
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
#pragma unroll
    for (int j = 0; j < kColumns; ++j) {
      if (in_v(i, j)) multiply_add(y[j], window[kFirst + i], block[tile_of_v(i, j) * kTileSize / 2]);
    }
  }
  block += kTilesOfV * kTileSize / 2;
#pragma unroll
  for (int j = 0; j < kColumns; ++j) {
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      if (in_vt(i, j)) multiply_add(window[kFirst + i], y[j], block[tile_of_vt(i, j) * kTileSize / 2]);
    }
  }
}
#endif

constexpr int kApplyWarps = 4, kWarpColumns = 16, kApplyColumns = kApplyWarps * kWarpColumns;
constexpr int kApplyThreads = 32 * kApplyWarps;
constexpr int kShared = 4 * kBlockSize * static_cast<int>(sizeof(double));  // two blocks, and the next two

// A warp has its 16 columns of Z, of which the rows in work are in registers, transposed, as tiles of accumulators. The
// blocks of a group go down Z by kBand rows each. Two groups go together, the lower one's block (the one of the later
// sweeps) just ahead: Z is read and written once for both.
__global__ void __launch_bounds__(kApplyThreads)
    apply_blocks(const double* blocks, int n, double* z, int64_t ld, int columns) {
#if __CUDA_ARCH__ >= 900
  extern __shared__ __align__(16) double stages[];
  constexpr int kWindow = kRows + kColumns;
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  const int g = lane / 4, k = lane % 4 * 2, groups = groups_of(n);
  const int column = static_cast<int>(blockIdx.x) * kApplyColumns + warp * kWarpColumns + g;
  const auto fetch_block = [&](int64_t block, int place) {
    const double* from = blocks + block * kBlockSize;
    const unsigned to = static_cast<unsigned>(__cvta_generic_to_shared(stages + place * kBlockSize));
    for (int i = thread; i < kBlockSize / 2; i += kApplyThreads) {
      asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to + i * 16), "l"(from + 2 * i) : "memory");
    }
  };
  // Block `step` of groups low and low + 1, where there are such.
  const auto fetch = [&](int low, int step, int stage) {
    if (low >= 0) fetch_block(block_of(groups, low, step), 2 * stage);
    if (low >= 0 && step < groups - low - 1) fetch_block(block_of(groups, low + 1, step), 2 * stage + 1);
    asm volatile("cp.async.commit_group;" ::: "memory");
  };
  // Element m of a lane's part of a tile whose first row is `row`.
  const auto element = [&](int row, int m) { return z + row + k + m % 2 + (column + m / 2 * 8) * ld; };
  const auto exists = [&](int row, int m) { return row + k + m % 2 < n && column + m / 2 * 8 < columns; };
  const auto load = [&](double(&tile)[4], int row) {
#pragma unroll
    for (int m = 0; m < 4; ++m) {  // at once, and not where the compiler would rather have it
      asm volatile("{ .reg .pred p; setp.ne.s32 p, %2, 0; mov.f64 %0, 0d0000000000000000; @p ld.global.f64 %0, [%1]; }"
                   : "=d"(tile[m])
                   : "l"(element(row, m)), "r"(static_cast<int>(exists(row, m)))
                   : "memory");
    }
  };
  const auto store = [&](const double(&tile)[4], int row) {
#pragma unroll
    for (int m = 0; m < 4; ++m) {
      if (exists(row, m)) *element(row, m) = tile[m];
    }
  };
  double window[kWindow][4];
  int stage = 0, low = groups % 2 == 1 ? groups - 1 : groups - 2;
  fetch(low, 0, stage);
  for (; low >= 0; low -= 2) {
    const int steps = groups - low;
    int top = low * kBand + 1;
#pragma unroll
    for (int i = 0; i < kWindow; ++i) load(window[i], top + i * kTile);
    for (int step = 0; step < steps; ++step, top += kBand) {
      const bool last = step + 1 == steps;
      fetch(last ? low - 2 : low, last ? 0 : step + 1, stage ^ 1);
      double coming[kColumns][4];
#pragma unroll
      for (int i = 0; i < kColumns; ++i) load(coming[i], top + (kWindow + i) * kTile);
      asm volatile("cp.async.wait_group 1;" ::: "memory");
      __syncthreads();
      const double2* block = reinterpret_cast<const double2*>(stages + 2 * stage * kBlockSize) + lane;
      if (!last) apply_block<kColumns>(block + kBlockSize / 2, window);
      apply_block<0>(block, window);
#pragma unroll
      for (int i = 0; i < kColumns; ++i) store(window[i], top + i * kTile);
#pragma unroll
      for (int i = 0; i < kWindow; ++i) {
#pragma unroll
        for (int m = 0; m < 4; ++m) {
          window[i][m] = i < kRows ? window[i < kRows ? i + kColumns : 0][m] : coming[i < kRows ? 0 : i - kRows][m];
        }
      }
      __syncthreads();
      stage ^= 1;
    }
  }
#else
  __trap();  // can_tridiagonalize says no
#endif
}

}  // namespace

void apply_reflectors(const Tridiagonal& t, MatrixView z) {
  const int n = static_cast<int>(t.n), groups = groups_of(n);
  Scratch<double> blocks(block_of(groups, groups, 0) * kBlockSize);
  const dim3 grid(static_cast<unsigned>(groups), static_cast<unsigned>(groups));
  pack<<<grid, kPackThreads, 0, device::stream()>>>(t.reflectors.data(), t.tau.get(), n, static_cast<int>(t.steps),
                                                    blocks.get());
  static std::once_flag allowed[64];  // by GPU
  std::call_once(allowed[device::gpu() % 64], [] {
    check(cudaFuncSetAttribute(apply_blocks, cudaFuncAttributeMaxDynamicSharedMemorySize, kShared), "shared memory");
  });
  const auto columns = static_cast<int>(z.cols);
  apply_blocks<<<static_cast<unsigned>((columns + kApplyColumns - 1) / kApplyColumns), kApplyThreads, kShared,
                 device::stream()>>>(blocks.get(), n, z.data, z.ld, columns);
  check(cudaGetLastError(), "reflector kernel");
}

}  // namespace gyro::linalg
