#include <fmt/format.h>

#include <map>
#include <memory>
#include <mutex>

#include "gyro/base/error.h"
#include "gyro/linalg/cuda/cuda.h"
#include "gyro/linalg/cuda/handles.h"

namespace gyro::linalg {
namespace {

cublasOperation_t blas_op(Op op) {
  return op == Op::None ? CUBLAS_OP_N : CUBLAS_OP_T;
}

int to_int(int64_t size) {
  return static_cast<int>(size);
}

cublasHandle_t make_blas() {
  cublasHandle_t made = nullptr;
  check(cublas().create(&made), "cublasCreate");
  check(cublas().set_stream(made, device::stream()), "cublasSetStream");
  return made;
}

Solver make_solver() {
  Solver made;
  check(cusolver().create(&made.handle), "cusolverDnCreate");
  check(cusolver().set_stream(made.handle, device::stream()), "cusolverDnSetStream");
  check(cusolver().create_params(&made.parameters), "cusolverDnCreateParams");
  return made;
}

// One of each stream; as long-lived as the streams.
template <typename Handle>
const Handle& of_stream(Handle (*make)()) {
  static std::mutex mutex;
  static std::map<cudaStream_t, Handle> all;
  thread_local cudaStream_t last = nullptr;
  thread_local const Handle* found = nullptr;
  const cudaStream_t stream = device::stream();
  if (found != nullptr && stream == last) return *found;
  const std::lock_guard lock(mutex);
  auto place = all.find(stream);
  if (place == all.end()) place = all.emplace(stream, make()).first;
  last = stream;
  found = &place->second;
  return *found;
}

}  // namespace

cublasHandle_t blas() {
  return of_stream(make_blas);
}

const Solver& solver() {
  return of_stream(make_solver);
}

void check(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_ALLOC_FAILED) throw device::OutOfMemory();
  if (status != CUBLAS_STATUS_SUCCESS)
    fail(ErrorKind::Device, "cuBLAS", "{}: {}", what, cublas().get_status_string(status));
}

void check(cusolverStatus_t status, const char* what) {
  if (status == CUSOLVER_STATUS_ALLOC_FAILED) throw device::OutOfMemory();
  if (status != CUSOLVER_STATUS_SUCCESS)
    fail(ErrorKind::Device, "cuSOLVER", "{}: status {}", what, static_cast<int>(status));
}

void copy_to_host(void* to, const void* from, size_t bytes) {
  device::copy(to, Space::Host, bytes, from, Space::Device, bytes, bytes, 1);
}

const Backend& cuda() {
  static const Cuda backend;
  return backend;
}

void Cuda::gemm(Op op_a, Op op_b, double alpha, ConstMatrixView a, ConstMatrixView b, double beta, MatrixView c) const {
  check(cublas().dgemm(blas(), blas_op(op_a), blas_op(op_b), to_int(c.rows), to_int(c.cols),
                       to_int(op_a == Op::None ? a.cols : a.rows), &alpha, a.data, to_int(a.ld), b.data, to_int(b.ld),
                       &beta, c.data, to_int(c.ld)),
        "cublasDgemm");
}

void Cuda::syrk(Op op, double alpha, ConstMatrixView a, double beta, MatrixView c) const {
  check(cublas().dsyrk(blas(), CUBLAS_FILL_MODE_LOWER, blas_op(op), to_int(c.rows),
                       to_int(op == Op::None ? a.cols : a.rows), &alpha, a.data, to_int(a.ld), &beta, c.data,
                       to_int(c.ld)),
        "cublasDsyrk");
}

void Cuda::symm(ConstMatrixView a, ConstMatrixView b, double beta, MatrixView c) const {
  const double one = 1;
  if (b.cols == 1) {
    check(cublas().dsymv(blas(), CUBLAS_FILL_MODE_LOWER, to_int(a.rows), &one, a.data, to_int(a.ld), b.data, 1, &beta,
                         c.data, 1),
          "cublasDsymv");
    return;
  }
  check(cublas().dsymm(blas(), CUBLAS_SIDE_LEFT, CUBLAS_FILL_MODE_LOWER, to_int(c.rows), to_int(c.cols), &one, a.data,
                       to_int(a.ld), b.data, to_int(b.ld), &beta, c.data, to_int(c.ld)),
        "cublasDsymm");
}

void open_gpu_libraries() {
  cublas();
  cusolver();  // if it is missing, a run should end here and not at the first matrix that needs it
}

std::string Cuda::library() const {
  int version = 0;
  check(cublas().get_version(blas(), &version), "cublasGetVersion");
  return fmt::format("cuBLAS {}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

}  // namespace gyro::linalg
