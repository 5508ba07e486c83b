#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "gyro/device/cuda/stream.h"
#include "gyro/device/device.h"
#include "gyro/linalg/cuda/libraries.h"
#include "gyro/tensor/matrix.h"

/// For the CUDA sources only.
namespace gyro::linalg {

/// Library handles bound to the calling thread's stream, made when first asked for.
cublasHandle_t blas();
struct Solver {
  cusolverDnHandle_t handle = nullptr;
  cusolverDnParams_t parameters = nullptr;
};
const Solver& solver();

/// to(:, j) = from(:, n − 1 − j).
void reverse_columns(ConstMatrixView from, MatrixView to);
/// Both triangles of `to` = factor times the lower triangle of `from`.
void mirror(ConstMatrixView from, double factor, MatrixView to);
/// x(i, j) /= values[i] + values[j].
void divide_by_sums(MatrixView x, const std::vector<double>& values);

void check(cublasStatus_t status, const char* what);
void check(cusolverStatus_t status, const char* what);
using device::check;

/// `count` items of device memory in the order of this thread's stream.
template <typename T>
class Scratch {
 public:
  explicit Scratch(int64_t count) : data_(static_cast<T*>(device::allocate(sizeof(T) * static_cast<size_t>(count)))) {}
  ~Scratch() { device::release(data_); }
  Scratch(Scratch&& other) noexcept : data_(std::exchange(other.data_, nullptr)) {}
  T* get() const { return data_; }

 private:
  T* data_;
};

/// Device values brought back; waits.
void copy_to_host(void* to, const void* from, size_t bytes);

}  // namespace gyro::linalg
