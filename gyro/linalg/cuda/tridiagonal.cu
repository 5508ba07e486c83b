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
constexpr int kTogether = 4;  // columns of A that a warp multiplies at once
constexpr int kMaxBlocks = 16;
constexpr int kDots = 2 * kPanel + 2;  // Vᵀv, Wᵀv, yᵀv, and one to make it whole 16 bytes

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
  uint64_t arrived[3];  // mbarriers, one for each Arrival
  double norm[kMaxBlocks];
  alignas(16) double dots[kMaxBlocks][kDots];
  alignas(16) double pivot[kDots];  // the next column's row of V and W, and its y
};

enum Arrival { kVector, kPartials, kSums };  // x and its norms; shares of y; dots and the pivot row

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

// `count` numbers (an even one, on 16 bytes) to the place in block `rank` that `to` is in ours.
__device__ void send(Mailbox& mail, Arrival what, const double* from, const double* to, int rank, int count) {
  if (count == 0) return;
  asm volatile(
      "{ .reg .b32 place, barrier;\n"
      "mapa.shared::cluster.u32 place, %0, %3;\n"
      "mapa.shared::cluster.u32 barrier, %2, %3;\n"
      "cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [place], [%1], %4, [barrier]; }" ::"r"(
          shared_address(to)),
      "r"(shared_address(from)), "r"(shared_address(&mail.arrived[what])), "r"(rank),
      "r"(count * static_cast<int>(sizeof(double)))
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

// The rows that belong to a block, numbered in order. Tiles of kTile rows are dealt to the blocks (a power of two of
// them) in layers, one each, to and fro: row r of the lower triangle has r elements, and so each block has its share.
template <int kTile>
struct Rows {
  int rank, shift;
  /// The tile of a layer that is ours.
  __device__ int tile(int layer) const {
    const int last = (1 << shift) - 1;
    return layer << shift | (layer % 2 == 0 ? rank : last - rank);
  }
  __device__ int row(int q) const { return tile(q / kTile) * kTile + q % kTile; }
  __device__ int owner(int r) const {
    const int last = (1 << shift) - 1, place = r / kTile & last;
    return (r / kTile >> shift) % 2 == 0 ? place : last - place;
  }
  __device__ int number(int r) const { return (r / kTile >> shift) * kTile + r % kTile; }
  /// The first of its layers whose tile is not above the one that holds r.
  __device__ int first_layer(int r) const {
    const int layer = r / kTile >> shift;
    return tile(layer) >= r / kTile ? layer : layer + 1;
  }
  /// The number of the first of its rows that is not above r.
  __device__ int first(int r) const { return owner(r) == rank ? number(r) : first_layer(r) * kTile; }
  /// Its layers of a matrix of n rows end here.
  __device__ int end_layer(int n) const {
    const int layer = (n - 1) / kTile >> shift;
    return tile(layer) <= (n - 1) / kTile ? layer + 1 : layer;
  }
};

// What a block knows and has. kLayers: the most tiles it can have.
template <int kTile, int kLayers>
struct Block {
  static constexpr int kStages = kTile == 32 ? 4 : kLayers == 4 ? 3 : 2;  // that are fetched ahead
  static constexpr int kRing = kStages * kTogether * kTile;               // doubles of a warp
  static_assert(kLayers * kTile <= kRing);                                // its sums take the ring's place

  const Panel& s;
  Rows<kTile> rows;
  int blocks, base_layer, end_layer, stride;
  double *v, *ring, *xs, *inbox, *y;  // v by row, y by number; xs and inbox by owner, then by number from the base

  __device__ Block(const Panel& panel, int shift, int rank, double* shared)
      : s(panel), rows{rank, shift}, blocks(1 << shift) {
    base_layer = s.begin / kTile >> rows.shift;
    end_layer = rows.end_layer(s.n);
    stride = (((s.n - 1) / kTile >> rows.shift) + 1 - base_layer) * kTile;
    ring = shared;
    xs = ring + kWarps * kRing;
    inbox = xs + blocks * stride;
    y = inbox + blocks * stride - base_layer * kTile;
    v = inbox + (blocks + 1) * stride - s.begin;
  }
  __device__ double& x(int r) const { return xs[place(rows.owner(r)) + rows.number(r)]; }
  /// Where an owner's numbers begin in xs and inbox.
  __device__ int place(int owner) const { return owner * stride - base_layer * kTile; }
  /// How many tiles of the rows from r on are block `rank`'s.
  __device__ int tiles_from(int r, int rank) const {
    const Rows<kTile> its{rank, rows.shift};
    return max(its.end_layer(s.n) - its.first_layer(r), 0);
  }
};

// kCount numbers from global to shared memory, past the registers: the number of them on the way is what keeps memory
// busy.
template <int kCount>
__device__ void send_ahead(double* to, const double* from) {
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(to));
  if constexpr (kCount == 2) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(address), "l"(from) : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 8;" ::"r"(address), "l"(from) : "memory");
  }
}

// What a warp fetches ahead: kTogether columns of each of the block's tiles, group of columns after group. A lane
// fetches what it will read itself, so that a warp waits for nobody.
template <int kTile, int kLayers>
struct Stream {
  const Block<kTile, kLayers>& b;
  double* ring;  // of the lane
  int lane_row, layer, group, slot;

  __device__ void enter(int next_group) {
    group = next_group;
    layer = b.rows.first_layer(group * kTogether);
  }
  /// The next tile, if there is one; a stage in any case.
  __device__ void fetch() {
    constexpr int kOwn = kTile / 32;
    const Panel& s = b.s;
    while (layer >= b.end_layer && group * kTogether < s.n) enter(group + kWarps);
    if (group * kTogether < s.n) {
      const int row = b.rows.tile(layer++) * kTile + lane_row;
      double* to = ring + slot * kTogether * kTile;
      if (row < s.n) {
#pragma unroll
        for (int k = 0; k < kTogether; ++k) {
          send_ahead<kOwn>(to + k * kTile, s.a + row + min(group * kTogether + k, s.n - 1) * s.ld);
        }
      }
    }
    asm volatile("cp.async.commit_group;" ::: "memory");
    slot = slot + 1 == Block<kTile, kLayers>::kStages ? 0 : slot + 1;
  }
};

// Each lane's sum of one of four: lane 8 i has that of value i.
__device__ double sums_of_warp(const double (&value)[4], int lane) {
  const bool high = lane & 16, middle = lane & 8;
  const double a = (high ? value[2] : value[0]) + __shfl_xor_sync(0xffffffff, high ? value[0] : value[2], 16);
  const double b = (high ? value[3] : value[1]) + __shfl_xor_sync(0xffffffff, high ? value[1] : value[3], 16);
  double sum = (middle ? b : a) + __shfl_xor_sync(0xffffffff, middle ? a : b, 8);
  for (int step = 4; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffff, sum, step);
  return sum;
}

// What kTogether columns of a tile are to y(k) and y(r). Row 0 of the lane is `row` below column 0; rows from `end` on
// and columns before `begin` are not the matrix's.
template <int kTile, bool kWhole>
__device__ __forceinline__ void use_tile(const double* from, int row, int end, int begin, const double (&v)[kTile / 32],
                                         const double (&factor)[kTogether], double (&of_columns)[kTogether],
                                         double (&of_rows)[kTile / 32]) {
#pragma unroll
  for (int k = 0; k < kTogether; ++k) {
#pragma unroll
    for (int i = 0; i < kTile / 32; ++i) {
      const double a = from[k * kTile + i];
      const bool inside = kWhole || (row + i >= k && i < end && k >= begin);
      of_columns[k] = fma(inside ? a : 0, v[i], of_columns[k]);
      of_rows[i] = fma(inside && (kWhole || row + i > k) ? a : 0, factor[k], of_rows[i]);
    }
  }
}

// The block's share of y = A v from the lower triangle of its rows, `first` and below: A(r, k) serves y(r), summed in
// registers and left at the warp's place in the ring (by layer from the base), and y(k), left by owner: the others' in
// xs, from where they are sent, its own in the inbox.
template <int kTile, int kLayers>
__device__ void multiply(const Block<kTile, kLayers>& b, int first) {
  using B = Block<kTile, kLayers>;
  constexpr int kOwn = kTile / 32;  // rows of a lane in each tile
  const Panel& s = b.s;
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int lane_row = lane * kOwn, begin = first / kTogether + warp;
  double v[kLayers][kOwn], of_rows[kLayers][kOwn] = {};
#pragma unroll
  for (int t = 0; t < kLayers; ++t) {
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      const int r = b.rows.tile(b.base_layer + t) * kTile + lane_row + i;
      v[t][i] = r >= first && r < s.n ? b.v[r] : 0;
    }
  }
  double* const own = b.ring + warp * B::kRing;
  Stream<kTile, kLayers> stream{b, own + lane_row, lane_row, 0, 0, 0};
  stream.enter(begin);
  for (int ahead = 1; ahead < B::kStages; ++ahead) stream.fetch();
  int slot = 0;
  for (int group = begin; group * kTogether < s.n; group += kWarps) {
    const int column = group * kTogether, top = b.rows.first_layer(column) - b.base_layer;
    double of_columns[kTogether] = {}, factor[kTogether];
#pragma unroll
    for (int k = 0; k < kTogether; ++k) factor[k] = column + k >= first && column + k < s.n ? b.v[column + k] : 0;
#pragma unroll
    for (int t = 0; t < kLayers; ++t) {
      if (t < top || b.base_layer + t >= b.end_layer) continue;
      stream.fetch();
      asm volatile("cp.async.wait_group %0;" ::"n"(B::kStages - 1) : "memory");
      const int row = b.rows.tile(b.base_layer + t) * kTile;
      const bool whole = row >= column + kTogether && row + kTile <= s.n && column >= first;
      const double* from = stream.ring + slot * kTogether * kTile;
      if (whole) {
        use_tile<kTile, true>(from, row + lane_row - column, 0, 0, v[t], factor, of_columns, of_rows[t]);
      } else {
        use_tile<kTile, false>(from, row + lane_row - column, s.n - row - lane_row, first - column, v[t], factor,
                               of_columns, of_rows[t]);
      }
      slot = slot + 1 == B::kStages ? 0 : slot + 1;
    }
    const double sum = sums_of_warp(of_columns, lane);
    const int c = column + lane / 8, owner = b.rows.owner(c);
    // Our own share must not go where our x may still be on its way from.
    double* const shares = owner == b.rows.rank ? b.inbox : b.xs;
    if (lane % 8 == 0) shares[b.place(owner) + b.rows.number(c)] = sum;
  }
  asm volatile("cp.async.wait_group 0;" ::: "memory");
  __syncwarp();
#pragma unroll
  for (int t = 0; t < kLayers; ++t) {
#pragma unroll
    for (int i = 0; i < kOwn; ++i) own[t * kTile + lane_row + i] = of_rows[t][i];
  }
}

#if __CUDA_ARCH__ >= 900
// What the block has of the others' rows of y, to each its own.
template <int kTile, int kLayers>
__device__ void send_product(const Block<kTile, kLayers>& b, Mailbox& mail, int first) {
  const int thread = static_cast<int>(threadIdx.x), rank = b.rows.rank;
  ready_to_send();
  if (thread >= b.blocks || thread == rank) return;
  const int begin = Rows<kTile>{thread, b.rows.shift}.first_layer(first) * kTile;
  send(mail, kPartials, b.xs + b.place(thread) + begin, b.inbox + b.place(rank) + begin, thread,
       b.tiles_from(first, thread) * kTile);
}

// y of the block's own rows from what its warps and all blocks have of them; the thread's share of yᵀv.
template <int kTile, int kLayers>
__device__ double gather_product(const Block<kTile, kLayers>& b, int first) {
  double inner = 0;
  for (int q = b.rows.first(first) + static_cast<int>(threadIdx.x); b.rows.row(q) < b.s.n; q += kThreads) {
    double sum = 0;
    for (int k = 0; k < b.blocks; ++k) sum += b.inbox[b.place(k) + q];
    const double* of_warp = b.ring + q - b.base_layer * kTile;
    for (int w = 0; w < kWarps; ++w) sum += of_warp[w * Block<kTile, kLayers>::kRing];
    b.y[q] = sum;
    inner = fma(sum, b.v[b.rows.row(q)], inner);
  }
  return inner;
}
#endif

// One cluster of blocks reduces a panel. Each block has its rows of V and W, x and y, and a copy of v; vectors and sums
// travel through shared memory.
template <int kTile, int kLayers>
__global__ void __launch_bounds__(kThreads) reduce_panel(Panel s) {
#if __CUDA_ARCH__ >= 900
  extern __shared__ __align__(16) double dynamic[];
  __shared__ Mailbox mail;
  __shared__ Local local;
  cg::cluster_group cluster = cg::this_cluster();
  const int blocks = static_cast<int>(cluster.num_blocks());
  const Block<kTile, kLayers> b(s, __ffs(blocks) - 1, static_cast<int>(cluster.block_rank()), dynamic);
  const Rows<kTile>& rows = b.rows;
  double *const v = b.v, *const y = b.y;
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  if (thread == 0) {
    for (const uint64_t& barrier : mail.arrived) {
      asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(shared_address(&barrier)) : "memory");
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  cluster.sync();
  for (int j = s.begin; j < s.end; ++j) {
    const int i = j - s.begin, parity = i % 2, first = j + 1;
    const int own_tiles = b.tiles_from(j, rows.rank);
    if (thread == 0) {
      const int tiles = (s.n - 1) / kTile - j / kTile + 1 - own_tiles;
      expect(mail, kVector, (tiles * kTile + blocks) * static_cast<int>(sizeof(double)));
      if (first < s.n) {
        const int of_all = (blocks - 1) * b.tiles_from(first, rows.rank);
        expect(mail, kPartials, of_all * kTile * static_cast<int>(sizeof(double)));
        const int sums = blocks - 1 + (rows.owner(first) == rows.rank ? 0 : 1);
        expect(mail, kSums, sums * kDots * static_cast<int>(sizeof(double)));
      }
    }
    // x = A(:, j) − V W(j, :)ᵀ − W V(j, :)ᵀ, sent to every block.
    double* const own_x = b.xs + b.place(rows.rank);
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
      const double* from = own_x + rows.first_layer(j) * kTile;
      if (thread != rows.rank) send(mail, kVector, from, from, thread, own_tiles * kTile);
      double sum = 0;
      for (int k = 0; k < kWarps; ++k) sum += local.scratch[k];
      post(mail, kVector, &mail.norm[rows.rank], thread, sum);
    }
    await(mail, kVector, parity);

    if (rows.rank == 0 && thread == 0) s.diagonal[j] = b.x(j);
    if (first == s.n) break;
    double norm = 0;
    for (int k = 0; k < blocks; ++k) norm += mail.norm[k];
    const Reflector h = reflector_of(b.x(first), norm);
    if (rows.rank == 0 && thread == 0) {
      s.off_diagonal[j] = h.beta;
      s.tau[j] = h.tau;
    }
    for (int r = first + thread; r < s.n; r += kThreads) v[r] = r == first ? 1 : h.scale * b.x(r);
    __syncthreads();
    for (int q = rows.first(first) + thread; rows.row(q) < s.n; q += kThreads) {
      const int r = rows.row(q);
      s.reflectors[r + int64_t{j} * s.n] = v[r];
      s.by_row[int64_t{r} * 2 * kPanel + i] = v[r];
      s.p[r + int64_t{i} * s.n] = v[r];
      s.q[r + int64_t{kPanel + i} * s.n] = v[r];
    }
    multiply(b, first);
    send_product(b, mail, first);
    const int begin_q = rows.first(first);
    double of_v = 0, of_w = 0;
#pragma unroll 4
    for (int q = begin_q + warp; rows.row(q) < s.n; q += kWarps) {
      const int r = rows.row(q);
      const double value = v[r];
      if (lane < i) {
        const double* row = s.by_row + int64_t{r} * 2 * kPanel;
        of_v = fma(row[lane], value, of_v);
        of_w = fma(row[kPanel + lane], value, of_w);
      }
    }
    await(mail, kPartials, parity);
    const double inner = sum_of_warp(gather_product(b, first));
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
      send(mail, kSums, mail.dots[rows.rank], mail.dots[rows.rank], thread, kDots);
      if (owner) send(mail, kSums, mail.pivot, mail.pivot, thread, kDots);
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

// The ring, x and partial sums by owners, y, and v.
template <int kTile, int kLayers>
int shared_bytes(int n, int begin, int blocks) {
  const int stride = ((n - 1) / kTile / blocks + 1 - begin / kTile / blocks) * kTile;
  return static_cast<int>(sizeof(double)) *
         (kWarps * Block<kTile, kLayers>::kRing + (2 * blocks + 1) * stride + even(n - begin));
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

template <int kTile, int kLayers>
void launch(const Panel& s, int blocks) {
  const auto kernel = reduce_panel<kTile, kLayers>;
  static std::once_flag allowed[64];  // by GPU
  std::call_once(allowed[device::gpu() % 64], [&] {
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, most_shared()), "shared memory");
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeNonPortableClusterSizeAllowed, 1), "cluster size");
  });
  cudaLaunchAttribute cluster{};
  cluster.id = cudaLaunchAttributeClusterDimension;
  cluster.val.clusterDim = {static_cast<unsigned>(blocks), 1, 1};
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(blocks));
  config.blockDim = dim3(kThreads);
  config.dynamicSmemBytes = static_cast<size_t>(shared_bytes<kTile, kLayers>(s.n, s.begin, blocks));
  config.stream = device::stream();
  config.attrs = &cluster;
  config.numAttrs = 1;
  check(cudaLaunchKernelEx(&config, kernel, s), "tridiagonalisation kernel");
}

// Small tiles where there are few rows, so that every block has some.
constexpr int64_t kSmallTiles = 2048, kFourLayers = 4096, kEightLayers = 8192;

int shared_bytes(int n, int blocks) {
  if (n <= kSmallTiles) return shared_bytes<32, 4>(n, 0, blocks);
  return n <= kFourLayers ? shared_bytes<64, 4>(n, 0, blocks) : shared_bytes<64, 8>(n, 0, blocks);
}

void launch(const Panel& s, int blocks) {
  if (s.n <= kSmallTiles) return launch<32, 4>(s, blocks);
  s.n <= kFourLayers ? launch<64, 4>(s, blocks) : launch<64, 8>(s, blocks);
}

}  // namespace

bool can_tridiagonalize(int64_t n) {
  return n <= kEightLayers && attribute(cudaDevAttrComputeCapabilityMajor) >= 9 &&
         shared_bytes(static_cast<int>(n), blocks_for(n)) <= most_shared();
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
    launch(s, blocks);
    const int64_t rest = n - s.end;
    if (rest == 0) break;
    gemm(Op::None, Op::Transpose, -1, p.view().block(s.end, 0, rest, 2 * kPanel),
         q.view().block(s.end, 0, rest, 2 * kPanel), 1, a.block(s.end, s.end, rest, rest));
  }
  return t;
}

}  // namespace gyro::linalg
