#include <cooperative_groups.h>

#include <algorithm>
#include <mutex>
#include <stdexcept>

#include "gyro/linalg/cuda/tridiagonal.h"
#include "gyro/linalg/linalg.h"

namespace gyro::linalg {
namespace {

namespace cg = cooperative_groups;

constexpr int kThreads = 512;
constexpr int kWarps = kThreads / 32;
constexpr int kPanel = 32;    // columns of a panel: one lane each
constexpr int kTogether = 4;  // columns of A that a warp multiplies at once; rows are dealt to blocks in such groups
constexpr int kMaxBlocks = 16;
constexpr int kRing = kWarps * kTogether * 64;  // doubles of one stage that the block fetches ahead
constexpr int kDots = 2 * kPanel + 2;           // Vᵀv, Wᵀv, yᵀv, and one to make it whole 16 bytes

// A panel of columns [begin, end). P = [V W] and Q = [W V] are n x 2 kPanel, so that the trailing update is −P Qᵀ;
// by_row holds [V W] again row by row.
struct Panel {
  const double* a;
  int64_t ld;
  int n, begin, end;
  double *p, *q, *by_row;
  double *reflectors, *diagonal, *off_diagonal, *tau;
};

// What the other blocks of the cluster write into a block's shared memory. Whatever comes counts its bytes on a
// barrier, so that nobody waits for more than the numbers themselves. A block sends of a column only what it could
// compute once everybody had read the column before: one place for each is enough.
struct Mailbox {
  uint64_t arrived[2];  // mbarriers: x and its norms have come; dots and the pivot row have
  double norm[kMaxBlocks];
  alignas(16) double dots[kMaxBlocks][kDots];
  alignas(16) double pivot[kDots];  // the next column's row of V and W, and its y
};

enum Arrival { kVector, kSums };

#if __CUDA_ARCH__ >= 900
__device__ unsigned shared_address(const void* p) {
  return static_cast<unsigned>(__cvta_generic_to_shared(p));
}

__device__ void expect(Mailbox& mail, Arrival what, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(&mail.arrived[what])),
               "r"(bytes)
               : "memory");
}

// What the block wrote to shared memory may be sent by copies.
__device__ void ready_to_send() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
  __syncthreads();
}

// `count` numbers (an even one, on 16 bytes) to the same place of block `rank`, whose shared memory is laid out as
// ours.
__device__ void send(Mailbox& mail, Arrival what, const double* place, int rank, int count) {
  if (count == 0) return;
  asm volatile(
      "{ .reg .b32 place, barrier;\n"
      "mapa.shared::cluster.u32 place, %0, %2;\n"
      "mapa.shared::cluster.u32 barrier, %1, %2;\n"
      "cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [place], [%0], %3, [barrier]; }" ::"r"(
          shared_address(place)),
      "r"(shared_address(&mail.arrived[what])), "r"(rank), "r"(count * static_cast<int>(sizeof(double)))
      : "memory");
}

// `value` into *place of block `rank`.
__device__ void post(Mailbox& mail, Arrival what, const double* place, int rank, double value) {
  asm volatile(
      "{ .reg .b32 place, barrier;\n"
      "mapa.shared::cluster.u32 place, %0, %2;\n"
      "mapa.shared::cluster.u32 barrier, %1, %2;\n"
      "st.async.shared::cluster.mbarrier::complete_tx::bytes.f64 [place], %3, [barrier]; }" ::"r"(
          shared_address(place)),
      "r"(shared_address(&mail.arrived[what])), "r"(rank), "d"(value)
      : "memory");
}

__device__ void await(Mailbox& mail, Arrival what, int parity) {
  unsigned done = 0;
  while (done == 0) {
    asm volatile(
        "{ .reg .pred p;\n"
        "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
        "selp.u32 %0, 1, 0, p; }"
        : "=r"(done)
        : "r"(shared_address(&mail.arrived[what])), "r"(parity)
        : "memory");
  }
}
#endif

struct Local {
  double scratch[kWarps];
  double partial[kWarps][kDots];
  double dots[kDots];
  double pivot[2 * kPanel];  // row j of V and W
};

__device__ double sum_of_warp(double value) {
  for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffff, value, step);
  return value;
}

__host__ __device__ constexpr int even(int n) {
  return (n + 1) / 2 * 2;
}

struct Reflector {
  double beta, tau, scale;
};

__device__ Reflector reflector_of(double alpha, double rest_squared) {
  if (rest_squared == 0) return {alpha, 0, 0};
  const double beta = -copysign(sqrt(fma(alpha, alpha, rest_squared)), alpha);
  return {beta, (beta - alpha) / beta, 1 / (alpha - beta)};
}

// The rows that belong to a block, numbered in order: groups of kTogether in turn over the blocks (a power of two of
// them), so that each has its share however far the reduction has come.
struct Rows {
  int rank, shift;
  __device__ int row(int q) const { return (q / kTogether << shift | rank) * kTogether + q % kTogether; }
  __device__ int owner(int r) const { return r / kTogether & ((1 << shift) - 1); }
  __device__ int number(int r) const { return (r / kTogether >> shift) * kTogether + r % kTogether; }
  /// The first of its rows that is not above r.
  __device__ int first(int r) const {
    if (owner(r) == rank) return number(r);
    return ((r / kTogether >> shift) + (owner(r) > rank ? 1 : 0)) * kTogether;
  }
};

// 16 bytes from global to shared memory, past the registers: the number of them on the way is what keeps memory busy.
__device__ void send_ahead(double* to, const double* from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(static_cast<unsigned>(__cvta_generic_to_shared(to))),
               "l"(from));
}

// What a warp fetches ahead: kTogether columns of A, 64 rows at a time, group of columns after group.
template <int kStages>
struct Stream {
  const Panel& s;
  const Rows& rows;
  double* ring;  // of the lane
  int top, group, row, slot;
  const double* column[kTogether];

  __device__ void enter_group() {
    const int c = rows.row(group * kTogether);
    if (c >= s.n) return;
#pragma unroll
    for (int k = 0; k < kTogether; ++k) column[k] = s.a + min(c + k, s.n - 1) * s.ld;
    row = top;
  }
  __device__ void fetch() {
    if (row < s.n) {
      double* to = ring + slot * kTogether * 64;
#pragma unroll
      for (int k = 0; k < kTogether; ++k) send_ahead(to + k * 64, column[k] + row);
    }
    asm volatile("cp.async.commit_group;");
    slot = slot + 1 == kStages ? 0 : slot + 1;
  }
};

// y(q) = Σ_r A(r, row(q)) v(r) for the block's own rows from `first` on (and some that nobody reads). Each lane sums
// what it fetched itself, so that a warp waits for nobody.
template <int kStages>
__device__ void multiply(const Panel& s, const Rows& rows, const double* v, int first, double* ring, double* y) {
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int top = first / 2 * 2 + 2 * lane, pieces = (s.n - first / 2 * 2 + 63) / 64;
  const int begin = rows.first(first) / kTogether + warp;  // groups: begin, begin + kWarps, ...
  Stream<kStages> stream{s, rows, ring + (warp * kStages * kTogether * 32 + lane) * 2, top, begin, s.n, 0, {}};
  stream.enter_group();
  int left = pieces;  // of the group that is being fetched
  const auto advance = [&] {
    stream.fetch();
    stream.row += 64;
    if (--left > 0) return;
    left = pieces;
    stream.group += kWarps;
    stream.row = s.n;
    stream.enter_group();
  };
  for (int ahead = 1; ahead < kStages; ++ahead) advance();
  int slot = 0;
  for (int group = begin; rows.row(group * kTogether) < s.n; group += kWarps) {
    double sum[kTogether] = {};
    int r = top;
    for (int piece = 0; piece < pieces; ++piece, r += 64) {
      advance();
      asm volatile("cp.async.wait_group %0;" ::"n"(kStages - 1) : "memory");
      if (r < s.n) {
        const double2 x = *reinterpret_cast<const double2*>(v + r);
        const double* from = stream.ring + slot * kTogether * 64;
#pragma unroll
        for (int k = 0; k < kTogether; ++k) {
          const double2 a = *reinterpret_cast<const double2*>(from + k * 64);
          sum[k] = fma(a.y, x.y, fma(a.x, x.x, sum[k]));
        }
      }
      slot = slot + 1 == kStages ? 0 : slot + 1;
    }
#pragma unroll
    for (int k = 0; k < kTogether; ++k) {
      const double result = sum_of_warp(sum[k]);
      if (lane == 0) y[group * kTogether + k] = result;
    }
  }
  asm volatile("cp.async.wait_group 0;" ::: "memory");
}

// One cluster of blocks reduces a panel; two barriers a column. Each block has its rows of V and W, x and y, and a copy
// of v; vectors and sums travel through shared memory.
template <int kStages>
__global__ void __launch_bounds__(kThreads) reduce_panel(Panel s) {
#if __CUDA_ARCH__ >= 900
  extern __shared__ __align__(16) double dynamic[];
  __shared__ Mailbox mail;
  __shared__ Local local;
  cg::cluster_group cluster = cg::this_cluster();
  const int blocks = static_cast<int>(cluster.num_blocks());
  const Rows rows{static_cast<int>(cluster.block_rank()), __ffs(blocks) - 1};
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  const int height = even(s.n - s.begin), base = rows.number(s.begin),
            stride = rows.number(s.n - 1) / kTogether * kTogether + kTogether - base;
  double* const v = dynamic - s.begin;  // by row
  double* const ring = dynamic + height;
  double* const xs = ring + kStages * kRing;      // x: by owner, then by number of the row from `base`
  double* const y = xs + blocks * stride - base;  // by number
  const int last_group = (s.n - 1) / kTogether;
  const int own_end = last_group < rows.rank ? 0 : (last_group - rows.rank >> rows.shift) + 1;
  if (thread == 0) {
    for (const uint64_t& barrier : mail.arrived) {
      asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(shared_address(&barrier)) : "memory");
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  cluster.sync();
  for (int j = s.begin; j < s.end; ++j) {
    const int i = j - s.begin, parity = i % 2, first = j + 1;
    const int own_begin = rows.first(j) / kTogether, own_groups = max(own_end - own_begin, 0);
    if (thread == 0) {
      const int groups = last_group - j / kTogether + 1 - own_groups;
      expect(mail, kVector, (groups * kTogether + blocks) * static_cast<int>(sizeof(double)));
      const int sums = blocks - 1 + (rows.owner(first) == rows.rank ? 0 : 1);
      expect(mail, kSums, sums * kDots * static_cast<int>(sizeof(double)));
    }
    // x = A(:, j) − V W(j, :)ᵀ − W V(j, :)ᵀ, sent to every block.
    double* const own_x = xs + rows.rank * stride - base;
    __syncthreads();
    double rest = 0;
#pragma unroll 4
    for (int q = rows.first(j) + warp; rows.row(q) < s.n; q += kWarps) {
      const int r = rows.row(q);
      double correction = 0;
      if (lane < i) {
        const double* row = s.by_row + int64_t{r} * 2 * kPanel;
        correction = fma(row[lane], local.pivot[kPanel + lane], row[kPanel + lane] * local.pivot[lane]);
      }
      const double value = s.a[r + j * s.ld] - sum_of_warp(correction);
      if (lane == 0) own_x[q] = value;
      if (r > j + 1) rest = fma(value, value, rest);
    }
    if (lane == 0) local.scratch[warp] = rest;
    ready_to_send();
    if (thread < blocks) {
      if (thread != rows.rank) send(mail, kVector, own_x + own_begin * kTogether, thread, own_groups * kTogether);
      double sum = 0;
      for (int k = 0; k < kWarps; ++k) sum += local.scratch[k];
      post(mail, kVector, &mail.norm[rows.rank], thread, sum);
    }
    await(mail, kVector, parity);

    const auto x = [&](int r) { return xs[rows.owner(r) * stride + rows.number(r) - base]; };
    if (rows.rank == 0 && thread == 0) s.diagonal[j] = x(j);
    if (first == s.n) break;
    double norm = 0;
    for (int k = 0; k < blocks; ++k) norm += mail.norm[k];
    const Reflector h = reflector_of(x(first), norm);
    if (rows.rank == 0 && thread == 0) {
      s.off_diagonal[j] = h.beta;
      s.tau[j] = h.tau;
    }
    // Zero beside the ends, where multiply's pairs of rows reach over them.
    if (thread == 0) v[j] = 0;
    if (thread == 1 && s.n % 2 == 1) v[s.n] = 0;
    for (int r = first + thread; r < s.n; r += kThreads) v[r] = r == first ? 1 : h.scale * x(r);
    __syncthreads();
    for (int q = rows.first(first) + thread; rows.row(q) < s.n; q += kThreads) {
      const int r = rows.row(q);
      s.reflectors[r + int64_t{j} * s.n] = v[r];
      s.by_row[int64_t{r} * 2 * kPanel + i] = v[r];
      s.p[r + int64_t{i} * s.n] = v[r];
      s.q[r + int64_t{kPanel + i} * s.n] = v[r];
    }
    multiply<kStages>(s, rows, v, first, ring, y);
    __syncthreads();
    const int begin_q = rows.first(first);
    double of_v = 0, of_w = 0, inner = 0;
#pragma unroll 4
    for (int q = begin_q + warp; rows.row(q) < s.n; q += kWarps) {
      const int r = rows.row(q);
      const double value = v[r];
      if (lane < i) {
        const double* row = s.by_row + int64_t{r} * 2 * kPanel;
        of_v = fma(row[lane], value, of_v);
        of_w = fma(row[kPanel + lane], value, of_w);
      }
      inner = fma(y[q], value, inner);
    }
    local.partial[warp][lane] = of_v;
    local.partial[warp][kPanel + lane] = of_w;
    if (lane < kDots - 2 * kPanel) local.partial[warp][2 * kPanel + lane] = lane == 0 ? inner : 0;
    __syncthreads();
    for (int t = thread; t < kDots; t += kThreads) {
      double sum = 0;
      for (int k = 0; k < kWarps; ++k) sum += local.partial[k][t];
      mail.dots[rows.rank][t] = sum;
    }
    const bool owner = rows.owner(first) == rows.rank;
    if (owner) {
      for (int t = thread; t < kDots; t += kThreads) {
        mail.pivot[t] = t < 2 * kPanel ? s.by_row[int64_t{first} * 2 * kPanel + t] : y[rows.number(first)];
      }
    }
    ready_to_send();
    if (thread < blocks && thread != rows.rank) {
      send(mail, kSums, mail.dots[rows.rank], thread, kDots);
      if (owner) send(mail, kSums, mail.pivot, thread, kDots);
    }
    await(mail, kSums, parity);

    // w = tau (y − V (Wᵀv) − W (Vᵀv)) − ½ tau (wᵀv) v
    if (thread < kDots) {
      double sum = 0;
      for (int k = 0; k < blocks; ++k) sum += mail.dots[k][thread];
      local.dots[thread] = sum;
    }
    __syncthreads();
    of_v = lane < i ? local.dots[lane] : 0;
    of_w = lane < i ? local.dots[kPanel + lane] : 0;
    const double half = 0.5 * h.tau * h.tau * (local.dots[2 * kPanel] - 2 * sum_of_warp(of_v * of_w));
    const auto w_of = [&](double v_l, double w_l, double y_r, double v_r) {
      return fma(-half, v_r, h.tau * (y_r - sum_of_warp(lane < i ? fma(v_l, of_w, w_l * of_v) : 0)));
    };
#pragma unroll 4
    for (int q = begin_q + warp; rows.row(q) < s.n; q += kWarps) {
      const int r = rows.row(q);
      double* row = s.by_row + int64_t{r} * 2 * kPanel;
      const double w = w_of(row[lane], row[kPanel + lane], y[q], v[r]);
      if (lane != 0) continue;
      row[kPanel + i] = w;
      s.p[r + int64_t{kPanel + i} * s.n] = w;
      s.q[r + int64_t{i} * s.n] = w;
    }
    if (warp == 0) {
      const double v_l = mail.pivot[lane], w_l = mail.pivot[kPanel + lane];
      const double w = w_of(v_l, w_l, mail.pivot[2 * kPanel], 1);
      local.pivot[lane] = v_l;
      local.pivot[kPanel + lane] = lane == i ? w : w_l;
    }
  }
  cluster.sync();  // nobody leaves while another block's copy of its numbers is on the way
#else
  __trap();  // can_tridiagonalize says no
#endif
}

// Few blocks where a column has little work, so that many matrices find room beside each other.
int blocks_for(int64_t n) {
  return n <= 512 ? 4 : n <= 1024 ? 8 : kMaxBlocks;
}

// v, the ring, x by owners, and y.
int shared_bytes(int height, int blocks, int stages) {
  const int own = (height / kTogether / blocks + 3) * kTogether;
  return static_cast<int>(sizeof(double)) * (even(height) + stages * kRing + blocks * own + own);
}

constexpr int kStaticShared = sizeof(Mailbox) + sizeof(Local) + 256;

int attribute(cudaDeviceAttr which) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, which, device::gpu()), "device attribute");
  return value;
}

int most_shared() {
  return attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin) - kStaticShared;
}

template <int kStages>
void launch(const Panel& s, int blocks) {
  static std::once_flag allowed[64];  // by GPU
  std::call_once(allowed[device::gpu() % 64], [] {
    check(cudaFuncSetAttribute(reduce_panel<kStages>, cudaFuncAttributeMaxDynamicSharedMemorySize, most_shared()),
          "shared memory");
    check(cudaFuncSetAttribute(reduce_panel<kStages>, cudaFuncAttributeNonPortableClusterSizeAllowed, 1),
          "cluster size");
  });
  cudaLaunchAttribute cluster{};
  cluster.id = cudaLaunchAttributeClusterDimension;
  cluster.val.clusterDim = {static_cast<unsigned>(blocks), 1, 1};
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(blocks));
  config.blockDim = dim3(kThreads);
  config.dynamicSmemBytes = static_cast<size_t>(shared_bytes(s.n - s.begin, blocks, kStages));
  config.stream = device::stream();
  config.attrs = &cluster;
  config.numAttrs = 1;
  check(cudaLaunchKernelEx(&config, reduce_panel<kStages>, s), "tridiagonalisation kernel");
}

// strict upper triangle of s = VᵀV, 1/tau on the diagonal: the inverse of the compact WY form's T. A reflector that
// does nothing is given weight 1 and, below, an empty column.
__global__ void inverse_of_t(MatrixView s, const double* tau) {
  for (int64_t j = blockIdx.x; j < s.cols; j += gridDim.x) {
    for (int64_t i = threadIdx.x; i < s.rows; i += blockDim.x) {
      const bool empty = tau[i] == 0 || tau[j] == 0;
      if (i == j) s.data[i + j * s.ld] = empty ? 1 : 1 / tau[i];
      if (i < j && empty) s.data[i + j * s.ld] = 0;
    }
  }
}

__global__ void empty_rows(MatrixView x, const double* tau) {
  for (int64_t j = blockIdx.x; j < x.cols; j += gridDim.x) {
    for (int64_t i = threadIdx.x; i < x.rows; i += blockDim.x) {
      if (tau[i] == 0) x.data[i + j * x.ld] = 0;
    }
  }
}

}  // namespace

bool can_tridiagonalize(int64_t n) {
  return n < (1 << 20) && attribute(cudaDevAttrComputeCapabilityMajor) >= 9 &&
         shared_bytes(static_cast<int>(n), blocks_for(n), 2) <= most_shared();
}

Tridiagonal tridiagonalize(MatrixView a) {
  const int64_t n = a.rows;
  if (a.ld % 2 == 1) throw std::logic_error("tridiagonalize: columns are not aligned to pairs");
  Tridiagonal t(n);
  device::clear(t.reflectors.data(), sizeof(double) * static_cast<size_t>(n * n));
  Matrix p(n, 2 * kPanel), q(n, 2 * kPanel), by_row(2 * kPanel, n);
  Panel s{a.data,
          a.ld,
          static_cast<int>(n),
          0,
          0,
          p.data(),
          q.data(),
          by_row.data(),
          t.reflectors.data(),
          t.diagonal.get(),
          t.off_diagonal.get(),
          t.tau.get()};
  const int blocks = blocks_for(n);
  for (; s.begin < n; s.begin = s.end) {
    s.end = std::min(s.begin + kPanel, s.n);
    const bool room = shared_bytes(s.n - s.begin, blocks, 4) <= most_shared();
    room ? launch<4>(s, blocks) : launch<2>(s, blocks);
    const int64_t rest = n - s.end;
    if (rest == 0) break;
    gemm(Op::None, Op::Transpose, -1, p.view().block(s.end, 0, rest, 2 * kPanel),
         q.view().block(s.end, 0, rest, 2 * kPanel), 1, a.block(s.end, s.end, rest, rest));
  }
  return t;
}

void apply_reflectors(const Tridiagonal& t, MatrixView z) {
  constexpr int64_t kBlock = 128;
  const int64_t n = z.rows, count = n - 1;
  if (count <= 0) return;
  Matrix s(kBlock, kBlock), w(kBlock, z.cols);
  const double one = 1;
  for (int64_t begin = (count - 1) / kBlock * kBlock; begin >= 0; begin -= kBlock) {
    const int64_t k = std::min(kBlock, count - begin), rows = n - begin - 1;
    const ConstMatrixView v = t.reflectors.view().block(begin + 1, begin, rows, k);
    const MatrixView part = z.block(begin + 1, 0, rows, z.cols), product = w.view().block(0, 0, k, z.cols),
                     inverse = s.view().block(0, 0, k, k);
    gemm(Op::Transpose, Op::None, 1, v, v, 0, inverse);
    inverse_of_t<<<static_cast<unsigned>(k), kBlock, 0, device::stream()>>>(inverse, t.tau.get() + begin);
    gemm(Op::Transpose, Op::None, 1, v, part, 0, product);
    empty_rows<<<512, kBlock, 0, device::stream()>>>(product, t.tau.get() + begin);
    check(cudaGetLastError(), "reflector kernel");
    check(cublas().dtrsm(blas(), CUBLAS_SIDE_LEFT, CUBLAS_FILL_MODE_UPPER, CUBLAS_OP_N, CUBLAS_DIAG_NON_UNIT,
                      static_cast<int>(k), static_cast<int>(z.cols), &one, inverse.data, static_cast<int>(inverse.ld),
                      product.data, static_cast<int>(product.ld)),
          "cublasDtrsm");
    gemm(Op::None, Op::None, -1, v, product, 1, part);
  }
}

}  // namespace gyro::linalg
