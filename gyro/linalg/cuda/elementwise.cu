#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

#include <algorithm>
#include <array>

#include "gyro/linalg/cuda/cuda.h"
#include "gyro/linalg/cuda/handles.h"
#include "gyro/linalg/random_tile.h"

namespace gyro::linalg {
namespace {

constexpr int kThreads = 256;
constexpr int kBlocks = 1024;  // also the number of partial sums: fixed, so that sums do not depend on the GPU

unsigned blocks_for(int64_t items) {
  return static_cast<unsigned>(std::clamp<int64_t>(items, 1, kBlocks));
}

// f(i, j) for every element.
template <typename F>
__global__ void visit(int64_t rows, int64_t cols, F f) {
  for (int64_t j = blockIdx.x; j < cols; j += gridDim.x) {
    for (int64_t i = threadIdx.x; i < rows; i += kThreads) f(i, j);
  }
}

template <typename F>
void for_each_element(int64_t rows, int64_t cols, F f) {
  if (rows == 0 || cols == 0) return;
  visit<<<blocks_for(cols), kThreads, 0, device::stream()>>>(rows, cols, f);
  check(cudaGetLastError(), "elementwise kernel");
}

template <int K>
struct Sums {
  double value[K] = {};
};

template <int K>
__device__ void sum_block(Sums<K>& sums, Sums<K>* out) {
  __shared__ double part[K][kThreads];
  for (int k = 0; k < K; ++k) part[k][threadIdx.x] = sums.value[k];
  __syncthreads();
  for (int step = kThreads / 2; step > 0; step /= 2) {
    if (threadIdx.x < step) {
      for (int k = 0; k < K; ++k) part[k][threadIdx.x] += part[k][threadIdx.x + step];
    }
    __syncthreads();
  }
  if (threadIdx.x == 0) {
    for (int k = 0; k < K; ++k) out->value[k] = part[k][0];
  }
}

template <int K, typename F>
__global__ void sum_elements(int64_t rows, int64_t cols, F f, Sums<K>* partial) {
  Sums<K> sums;
  for (int64_t j = blockIdx.x; j < cols; j += gridDim.x) {
    for (int64_t i = threadIdx.x; i < rows; i += kThreads) f(i, j, sums.value);
  }
  sum_block(sums, partial + blockIdx.x);
}

template <int K>
__global__ void sum_partial(const Sums<K>* partial, int count, Sums<K>* out) {
  Sums<K> sums;
  for (int i = threadIdx.x; i < count; i += kThreads) {
    for (int k = 0; k < K; ++k) sums.value[k] += partial[i].value[k];
  }
  sum_block(sums, out);
}

// Σ over all elements of what f(i, j, sums) adds to the K sums.
template <int K, typename F>
std::array<double, K> sum_over(int64_t rows, int64_t cols, F f) {
  std::array<double, K> out = {};
  if (rows == 0 || cols == 0) return out;
  const unsigned blocks = blocks_for(cols);
  Scratch<Sums<K>> partial(blocks + 1);
  sum_elements<K><<<blocks, kThreads, 0, device::stream()>>>(rows, cols, f, partial.get());
  sum_partial<K><<<1, kThreads, 0, device::stream()>>>(partial.get(), static_cast<int>(blocks), partial.get() + blocks);
  check(cudaGetLastError(), "summation kernel");
  copy_to_host(out.data(), partial.get() + blocks, sizeof out);
  return out;
}

// Host values for a kernel.
class DeviceCopy {
 public:
  explicit DeviceCopy(const std::vector<double>& values) : memory_(static_cast<int64_t>(values.size())) {
    const size_t bytes = sizeof(double) * values.size();
    device::copy(memory_.get(), Space::Device, bytes, values.data(), Space::Host, bytes, bytes, 1);
  }
  const double* get() const { return memory_.get(); }

 private:
  Scratch<double> memory_;
};

// A block a line: out[line] = its four sums, the line's places being `step` apart.
__global__ void sum_lines(const double* base, const double* post, int64_t base_line, int64_t base_step,
                          int64_t post_line, int64_t post_step, int64_t lines, int64_t places, double c,
                          const double* weights, Sums<4>* out) {
  for (int64_t line = blockIdx.x; line < lines; line += gridDim.x) {
    Sums<4> sums;
    for (int64_t i = threadIdx.x; i < places; i += kThreads) {
      const double b = base[line * base_line + i * base_step], e = post[line * post_line + i * post_step] - c * b;
      sums.value[0] += e * e;
      sums.value[1] += b * b;
      sums.value[2] += b * e;
      sums.value[3] += weights[i] * (b * b);
    }
    sum_block(sums, out + line);
    __syncthreads();
  }
}

// Whole numbers: the order of adding does not show.
__global__ void count_exponents(ConstMatrixView x, Grid grid, unsigned long long* out) {
  __shared__ unsigned counts[kExponents];
  for (size_t e = threadIdx.x; e < kExponents; e += kThreads) counts[e] = 0;
  __syncthreads();
  for (int64_t j = blockIdx.x; j < x.cols; j += gridDim.x) {
    for (int64_t i = threadIdx.x; i < x.rows; i += kThreads) {
      const auto bits = static_cast<uint64_t>(__double_as_longlong(x.data[i + j * x.ld]));
      if (is_on(grid, bits)) atomicAdd(&counts[bits >> 52 & (kExponents - 1)], 1U);
    }
  }
  __syncthreads();
  for (size_t e = threadIdx.x; e < kExponents; e += kThreads) {
    if (counts[e] > 0) atomicAdd(out + e, static_cast<unsigned long long>(counts[e]));
  }
}

__global__ void transpose_tiles(ConstMatrixView x, MatrixView out) {
  __shared__ double tile[32][33];
  const int64_t i0 = int64_t{blockIdx.x} * 32, j0 = int64_t{blockIdx.y} * 32;
  for (int k = threadIdx.y; k < 32; k += 8) {
    const int64_t i = i0 + threadIdx.x, j = j0 + k;
    if (i < x.rows && j < x.cols) tile[k][threadIdx.x] = x.data[i + j * x.ld];
  }
  __syncthreads();
  for (int k = threadIdx.y; k < 32; k += 8) {
    const int64_t i = i0 + k, j = j0 + threadIdx.x;
    if (i < x.rows && j < x.cols) out.data[j + i * out.ld] = tile[threadIdx.x][k];
  }
}

// Negates columns whose entry of largest magnitude (the first of equal ones) is negative; a block a column.
__global__ void orient(MatrixView s, MatrixView other) {
  __shared__ double magnitude[kThreads];
  __shared__ int64_t place[kThreads];
  const int64_t j = blockIdx.x;
  double* column = s.data + j * s.ld;
  double best = -1;
  int64_t at = 0;
  for (int64_t i = threadIdx.x; i < s.rows; i += kThreads) {
    if (fabs(column[i]) > best) {
      best = fabs(column[i]);
      at = i;
    }
  }
  magnitude[threadIdx.x] = best;
  place[threadIdx.x] = at;
  __syncthreads();
  for (int step = kThreads / 2; step > 0; step /= 2) {
    if (threadIdx.x < step) {
      const int o = threadIdx.x + step;
      const bool larger = magnitude[o] > magnitude[threadIdx.x] ||
                          (magnitude[o] == magnitude[threadIdx.x] && place[o] < place[threadIdx.x]);
      if (larger) {
        magnitude[threadIdx.x] = magnitude[o];
        place[threadIdx.x] = place[o];
      }
    }
    __syncthreads();
  }
  const bool flip = column[place[0]] < 0;
  __syncthreads();
  if (!flip) return;
  for (int64_t i = threadIdx.x; i < s.rows; i += kThreads) column[i] = -column[i];
  for (int64_t i = threadIdx.x; i < other.rows; i += kThreads)
    other.data[i + j * other.ld] = -other.data[i + j * other.ld];
}

constexpr int kWide = 1024;

// What follows y = A v in a Lanczos step, by one block: y −= β previous + α v, then previous, v = v, y / ‖y‖.
__global__ void lanczos_step(int64_t n, const double* y, double* previous, double* v, LanczosStep* steps) {
  __shared__ double sums[kWide / 32];
  const auto total = [&](double value) {
    for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffff, value, step);
    __syncthreads();
    if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = value;
    __syncthreads();
    double sum = 0;
    for (int i = 0; i < kWide / 32; ++i) sum += sums[i];
    return sum;
  };
  const double last = steps[-1].beta;
  double product = 0;
  for (int64_t i = threadIdx.x; i < n; i += kWide) product += v[i] * (y[i] - last * previous[i]);
  const double alpha = total(product);
  double square = 0;
  for (int64_t i = threadIdx.x; i < n; i += kWide) {
    const double next = y[i] - last * previous[i] - alpha * v[i];
    square += next * next;
  }
  const double beta = sqrt(total(square));
  for (int64_t i = threadIdx.x; i < n; i += kWide) {
    const double next = y[i] - last * previous[i] - alpha * v[i];
    previous[i] = v[i];
    v[i] = beta > 0 ? next / beta : 0;
  }
  if (threadIdx.x == 0) *steps = {alpha, beta};
}

__device__ double stored_value(DType dtype, const std::byte* data, int64_t index) {
  switch (dtype) {
    case DType::F64:
      return reinterpret_cast<const double*>(data)[index];
    case DType::F32:
      return reinterpret_cast<const float*>(data)[index];
    case DType::F16:
      return __half2float(reinterpret_cast<const __half*>(data)[index]);
    case DType::BF16:
      return __bfloat162float(reinterpret_cast<const __nv_bfloat16*>(data)[index]);
    case DType::F8_E4M3:
      return __half2float(
          __half(__nv_cvt_fp8_to_halfraw(reinterpret_cast<const __nv_fp8_storage_t*>(data)[index], __NV_E4M3)));
    case DType::F8_E5M2:
      return __half2float(
          __half(__nv_cvt_fp8_to_halfraw(reinterpret_cast<const __nv_fp8_storage_t*>(data)[index], __NV_E5M2)));
    default:
      return nan("");
  }
}

// What a kernel may know of a Weight.
struct StoredWeight {
  DType dtype;
  const std::byte* data;
  int64_t cols;
  BlockScale scale;
  int64_t first_row;

  __device__ double at(int64_t row, int64_t col) const {
    const double value = stored_value(dtype, data, row * cols + col);
    if (scale.data == nullptr) return value;
    return value * stored_value(scale.dtype, scale.data,
                                (first_row + row) / scale.block_rows * scale.cols + col / scale.block_cols);
  }
};

}  // namespace

void reverse_columns(ConstMatrixView from, MatrixView to) {
  for_each_element(from.rows, from.cols, [=] __device__(int64_t i, int64_t j) {
    to.data[i + j * to.ld] = from.data[i + (from.cols - 1 - j) * from.ld];
  });
}

void mirror(ConstMatrixView from, double factor, MatrixView to) {
  const Matrix flipped = transposed(from);
  const ConstMatrixView t = flipped.view();
  for_each_element(to.rows, to.cols, [=] __device__(int64_t i, int64_t j) {
    to.data[i + j * to.ld] = factor * (i >= j ? from.data[i + j * from.ld] : t.data[i + j * t.ld]);
  });
}

void divide_by_sums(MatrixView x, const std::vector<double>& values) {
  const DeviceCopy copied(values);
  const double* v = copied.get();
  for_each_element(x.rows, x.cols, [=] __device__(int64_t i, int64_t j) { x.data[i + j * x.ld] /= v[i] + v[j]; });
}

void Cuda::scale_rows(MatrixView x, const std::vector<double>& factors, bool divide) const {
  const DeviceCopy copied(factors);
  const double* f = copied.get();
  for_each_element(x.rows, x.cols, [=] __device__(int64_t i, int64_t j) {
    double& value = x.data[i + j * x.ld];
    value = divide ? value / f[i] : value * f[i];
  });
}

void Cuda::scale_columns(MatrixView x, const std::vector<double>& factors, bool divide) const {
  const DeviceCopy copied(factors);
  const double* f = copied.get();
  for_each_element(x.rows, x.cols, [=] __device__(int64_t i, int64_t j) {
    double& value = x.data[i + j * x.ld];
    value = divide ? value / f[j] : value * f[j];
  });
}

void Cuda::add(double alpha, ConstMatrixView x, MatrixView y) const {
  for_each_element(x.rows, x.cols,
                   [=] __device__(int64_t i, int64_t j) { y.data[i + j * y.ld] += alpha * x.data[i + j * x.ld]; });
}

double Cuda::dot(ConstMatrixView x, ConstMatrixView y) const {
  return sum_over<1>(x.rows, x.cols, [=] __device__(int64_t i, int64_t j, double* sums) {
    sums[0] += x.data[i + j * x.ld] * y.data[i + j * y.ld];
  })[0];
}

double Cuda::symmetric_square(ConstMatrixView a) const {
  return sum_over<1>(a.rows, a.cols, [=] __device__(int64_t i, int64_t j, double* sums) {
    if (i < j) return;
    const double value = a.data[i + j * a.ld];
    sums[0] += (i == j ? 1 : 2) * value * value;
  })[0];
}

std::vector<double> Cuda::diagonal(ConstMatrixView x) const {
  std::vector<double> values(static_cast<size_t>(x.rows));
  Scratch<double> gathered(x.rows);
  double* to = gathered.get();
  for_each_element(x.rows, 1, [=] __device__(int64_t i, int64_t) { to[i] = x.data[i + i * x.ld]; });
  copy_to_host(values.data(), to, sizeof(double) * values.size());
  return values;
}

void Cuda::add_to_diagonal(MatrixView x, const std::vector<double>& values) const {
  const DeviceCopy copied(values);
  const double* v = copied.get();
  for_each_element(x.rows, 1, [=] __device__(int64_t i, int64_t) { x.data[i + i * x.ld] += v[i]; });
}

void Cuda::add_with_transpose(ConstMatrixView b, ConstMatrixView c, MatrixView g) const {
  const Matrix flipped = transposed(c);
  const ConstMatrixView t = flipped.view();
  for_each_element(g.rows, g.cols, [=] __device__(int64_t i, int64_t j) {
    if (i >= j) g.data[i + j * g.ld] += b.data[i + j * b.ld] + (c.data[i + j * c.ld] + t.data[i + j * t.ld]);
  });
}

void Cuda::transpose(ConstMatrixView x, MatrixView out) const {
  if (x.rows == 0 || x.cols == 0) return;
  const dim3 grid(static_cast<unsigned>((x.rows + 31) / 32), static_cast<unsigned>((x.cols + 31) / 32));
  transpose_tiles<<<grid, dim3(32, 8), 0, device::stream()>>>(x, out);
  check(cudaGetLastError(), "transpose kernel");
}

void Cuda::multiply_elements(ConstMatrixView x, MatrixView y) const {
  for_each_element(x.rows, x.cols,
                   [=] __device__(int64_t i, int64_t j) { y.data[i + j * y.ld] *= x.data[i + j * x.ld]; });
}

SymmetrySums Cuda::symmetry_sums(ConstMatrixView x, const std::vector<double>& sigma) const {
  const Matrix flipped = transposed(x);
  const ConstMatrixView t = flipped.view();
  const DeviceCopy copied(sigma);
  const double* values = copied.get();
  const auto sums = sum_over<11>(x.rows, x.cols, [=] __device__(int64_t j, int64_t i, double* s) {
    if (j < i) return;
    const double lower = x.data[j + i * x.ld], upper = t.data[j + i * t.ld];
    if (i == j) {
      s[0] += lower * lower;
      return;
    }
    const double larger = values[i], smaller = values[j];
    const double side = larger > smaller ? lower * lower - upper * upper : 0;
    const double p = (larger - smaller) * (larger - smaller), q = 2 * larger * smaller;
    const double w = p + q > 0 ? p / (p + q) : 0, product = 2 * upper * lower, tw = product * w;
    s[1] += (upper + lower) * (upper + lower) / 2;
    s[2] += (upper - lower) * (upper - lower) / 2;
    s[3] += upper * upper * (lower * lower);
    s[4] += side;
    s[5] += side * side;
    s[6] += tw;
    s[7] += p * w;
    s[8] += q * w;
    s[9] += product * tw;
    s[10] += tw * tw;
  });
  return {sums[0], sums[1], sums[2], sums[3], sums[4], sums[5], sums[6], sums[7], sums[8], sums[9], sums[10]};
}

void Cuda::orient_columns(MatrixView s, MatrixView other) const {
  orient<<<static_cast<unsigned>(s.cols), kThreads, 0, device::stream()>>>(s, other);
  check(cudaGetLastError(), "orientation kernel");
}

ChangeSums Cuda::subtract(ConstMatrixView base, MatrixView post) const {
  const auto sums = sum_over<4>(base.rows, base.cols, [=] __device__(int64_t i, int64_t j, double* s) {
    double& place = post.data[i + j * post.ld];
    const double b = base.data[i + j * base.ld], p = place, d = p - b;
    s[0] += b * d;
    s[1] += d * d;
    s[2] += p * p;
    s[3] += __double_as_longlong(b) == __double_as_longlong(p) ? 1 : 0;
    place = d;
  });
  return {sums[0], sums[1], sums[2], static_cast<int64_t>(sums[3])};
}

double Cuda::residual_square(ConstMatrixView base, ConstMatrixView post, double c) const {
  return sum_over<1>(base.rows, base.cols, [=] __device__(int64_t i, int64_t j, double* s) {
    const double e = post.data[i + j * post.ld] - c * base.data[i + j * base.ld];
    s[0] += e * e;
  })[0];
}

LineSums Cuda::line_sums(ConstMatrixView base, ConstMatrixView post, double c, Line line,
                         const std::vector<double>& weights) const {
  const bool row = line == Line::Row;
  const int64_t lines = row ? base.rows : base.cols, places = row ? base.cols : base.rows;
  const auto count = static_cast<size_t>(lines);
  LineSums out{std::vector<double>(count), std::vector<double>(count), std::vector<double>(count),
               std::vector<double>(count)};
  if (lines == 0 || places == 0) return out;
  const DeviceCopy copied(weights);
  Scratch<Sums<4>> sums(lines);
  sum_lines<<<static_cast<unsigned>(std::min<int64_t>(lines, 1 << 16)), kThreads, 0, device::stream()>>>(
      base.data, post.data, row ? 1 : base.ld, row ? base.ld : 1, row ? 1 : post.ld, row ? post.ld : 1, lines, places,
      c, copied.get(), sums.get());
  check(cudaGetLastError(), "line sums kernel");
  std::vector<Sums<4>> all(count);
  copy_to_host(all.data(), sums.get(), sizeof(Sums<4>) * count);
  for (size_t i = 0; i < count; ++i) {
    out.residual[i] = all[i].value[0];
    out.square[i] = all[i].value[1];
    out.product[i] = all[i].value[2];
    out.weighted[i] = all[i].value[3];
  }
  return out;
}

void Cuda::select_lines(ConstMatrixView x, Line line, const std::vector<int64_t>& lines, MatrixView out) const {
  const DeviceCopy copied(std::vector<double>(lines.begin(), lines.end()));  // whole numbers below 2^53
  const double* at = copied.get();
  const bool row = line == Line::Row;
  for_each_element(out.rows, out.cols, [=] __device__(int64_t i, int64_t k) {
    const auto l = static_cast<int64_t>(at[k]);
    out.data[i + k * out.ld] = row ? x.data[l + i * x.ld] : x.data[i + l * x.ld];
  });
}

std::vector<int64_t> Cuda::exponent_counts(ConstMatrixView x, const Grid& grid) const {
  std::vector<int64_t> out(kExponents);
  if (x.rows == 0 || x.cols == 0) return out;
  Scratch<unsigned long long> counts(kExponents);
  device::clear(counts.get(), sizeof(int64_t) * kExponents);
  count_exponents<<<blocks_for(x.cols), kThreads, 0, device::stream()>>>(x, grid, counts.get());
  check(cudaGetLastError(), "exponents kernel");
  copy_to_host(out.data(), counts.get(), sizeof(int64_t) * kExponents);
  return out;
}

std::vector<LanczosStep> Cuda::lanczos(ConstMatrixView a, double beta, MatrixView previous, MatrixView v,
                                       int steps) const {
  std::vector<LanczosStep> out(static_cast<size_t>(steps) + 1);
  out[0].beta = beta;
  const size_t bytes = sizeof(LanczosStep) * out.size();
  Scratch<LanczosStep> taken(steps + 1);
  device::copy(taken.get(), Space::Device, bytes, out.data(), Space::Host, bytes, bytes, 1);
  Matrix y(a.rows, 1);
  for (int step = 1; step <= steps; ++step) {
    symm(a, v, 0, y);
    lanczos_step<<<1, kWide, 0, device::stream()>>>(a.rows, y.data(), previous.data, v.data, taken.get() + step);
  }
  check(cudaGetLastError(), "Lanczos kernel");
  copy_to_host(out.data(), taken.get(), bytes);
  out.erase(out.begin());
  const auto end = std::find_if(out.begin(), out.end(), [](const LanczosStep& step) { return step.beta == 0; });
  if (end != out.end()) out.erase(end + 1, out.end());
  return out;
}

void Cuda::widen(const Weight& weight, int64_t row0, int64_t row1, int64_t col0, int64_t col1, MatrixView out) const {
  const StoredWeight w{weight.dtype, weight.data, weight.cols, weight.scale, weight.first_row};
  for_each_element(col1 - col0, row1 - row0,
                   [=] __device__(int64_t i, int64_t j) { out.data[i + j * out.ld] = w.at(row0 + j, col0 + i); });
}

void Cuda::fill_normal(MatrixView x, double deviation, uint64_t seed, int64_t row0, int64_t col0) const {
  const int64_t tiles = (x.rows + kRandomRows - 1) / kRandomRows;
  for_each_element(x.cols, tiles, [=] __device__(int64_t j, int64_t tile) {
    Random random = tile_stream(seed, row0 / kRandomRows + tile, col0 + j);
    const int64_t begin = tile * kRandomRows, end = min(begin + kRandomRows, x.rows);
    for (int64_t i = begin; i < end; ++i) x.data[i + j * x.ld] = deviation * random.normal();
  });
}

void Cuda::fill_bartlett(MatrixView x, double deviation, uint64_t seed, int64_t row0, int64_t rows) const {
  const int64_t tiles = (x.rows + kRandomRows - 1) / kRandomRows;
  for_each_element(x.cols, tiles, [=] __device__(int64_t j, int64_t tile) {
    const int64_t begin = tile * kRandomRows;
    bartlett_column(x.data + begin + j * x.ld, min(kRandomRows, x.rows - begin), deviation, seed, row0 + begin,
                    row0 + j, rows);
  });
}

}  // namespace gyro::linalg
