#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "gyro/base/error.h"
#include "gyro/linalg/cuda/cuda.h"
#include "gyro/linalg/cuda/handles.h"
#include "gyro/linalg/cuda/polar.h"
#include "gyro/linalg/cuda/tridiagonal.h"

namespace gyro::linalg {
namespace {

// What cuSOLVER's routines work in, once their sizes are known.
struct Workspace {
  Workspace(size_t device_bytes, size_t host_bytes)
      : device(static_cast<int64_t>(device_bytes)), host(host_bytes), info(1) {}
  Scratch<std::byte> device;
  std::vector<std::byte> host;
  Scratch<int> info;

  /// 0 for success; waits.
  int status() const {
    int value = 0;
    copy_to_host(&value, info.get(), sizeof value);
    return value;
  }
};

void check_info(const Workspace& work, const char* subject, const char* routine) {
  if (const int value = work.status())
    fail(ErrorKind::Internal, subject, "{} did not converge (info {})", routine, value);
}

std::vector<double> brought(const Scratch<double>& values, int64_t n) {
  std::vector<double> out(static_cast<size_t>(n));
  copy_to_host(out.data(), values.get(), sizeof(double) * out.size());
  return out;
}

// cuSOLVER's divide and conquer: eigenvalues ascending, eigenvectors in place of `a`.
std::vector<double> syevd(MatrixView a, cusolverEigMode_t mode) {
  const Solver& h = solver();
  const int64_t n = a.rows;
  Scratch<double> values(n);
  size_t device_bytes = 0, host_bytes = 0;
  check(cusolver().syevd_buffer_size(h.handle, h.parameters, mode, CUBLAS_FILL_MODE_LOWER, n, CUDA_R_64F, a.data, a.ld,
                                     CUDA_R_64F, values.get(), CUDA_R_64F, &device_bytes, &host_bytes),
        "cusolverDnXsyevd_bufferSize");
  Workspace work(device_bytes, host_bytes);
  check(cusolver().syevd(h.handle, h.parameters, mode, CUBLAS_FILL_MODE_LOWER, n, CUDA_R_64F, a.data, a.ld, CUDA_R_64F,
                         values.get(), CUDA_R_64F, work.device.get(), device_bytes, work.host.data(), host_bytes,
                         work.info.get()),
        "cusolverDnXsyevd");
  check_info(work, "eigh", "cusolverDnXsyevd");
  return brought(values, n);
}

// Small problems are cuSOLVER's: what its blocks exchange for a column costs more than its arithmetic.
constexpr int64_t kSmall = 192;

// The power of two that brings ‖A‖_F into [1, 2); nothing for a matrix whose norm is not a number that squares keep, or
// of a size that is cuSOLVER's.
std::optional<double> scaling_of(ConstMatrixView a_lower) {
  if (a_lower.rows <= kSmall || !can_tridiagonalize(a_lower.rows)) return std::nullopt;
  const double size = symmetric_norm(a_lower);
  if (!(size > 0x1p-480) || !std::isfinite(size)) return std::nullopt;
  return std::ldexp(1.0, -std::ilogb(size));
}

BandForm reduce_scaled(ConstMatrixView a_lower, double factor) {
  Matrix scaled = Matrix::copy_of(a_lower, a_lower.space);
  multiply_columns(scaled, std::vector<double>(static_cast<size_t>(a_lower.rows), factor));
  return reduce_to_band(scaled);
}

std::vector<double> unscaled(const Scratch<double>& values, int64_t n, double factor) {
  std::vector<double> out = brought(values, n);
  for (double& value : out) value /= factor;
  return out;
}

// By our own tridiagonalisation, bisection and twisted factorisations. Nothing where eigenvalues are too close.
std::optional<Eigh> eigh_by_bisection(ConstMatrixView a_lower, double factor) {
  const int64_t n = a_lower.rows;
  BandForm band = reduce_scaled(a_lower, factor);
  Scratch<double> values(n);
  Matrix z;
  {
    const Tridiagonal t = chase_bulges(band);
    tridiagonal_eigenvalues(t, values.get());
    {
      Matrix rows(n, n);
      tridiagonal_eigenvectors(t, values.get(), rows);
      z = transposed(rows);
    }
    orthonormalize_runs(z);
    if (!orthonormalize(z)) return std::nullopt;
    apply_reflectors(t, z);
  }
  apply_reflectors(band, z);
  return Eigh{unscaled(values, n, factor), std::move(z)};
}

Svd svd_by_qr(Matrix a) {
  const Solver& h = solver();
  const int64_t m = a.rows(), n = a.cols();
  Svd out{{}, Matrix(m, n), {}};
  Matrix vt(n, n);
  Scratch<double> values(n);
  size_t device_bytes = 0, host_bytes = 0;
  check(cusolver().gesvd_buffer_size(h.handle, h.parameters, 'S', 'S', m, n, CUDA_R_64F, a.data(), m, CUDA_R_64F,
                                     values.get(), CUDA_R_64F, out.u.data(), m, CUDA_R_64F, vt.data(), n, CUDA_R_64F,
                                     &device_bytes, &host_bytes),
        "cusolverDnXgesvd_bufferSize");
  Workspace work(device_bytes, host_bytes);
  check(cusolver().gesvd(h.handle, h.parameters, 'S', 'S', m, n, CUDA_R_64F, a.data(), m, CUDA_R_64F, values.get(),
                         CUDA_R_64F, out.u.data(), m, CUDA_R_64F, vt.data(), n, CUDA_R_64F, work.device.get(),
                         device_bytes, work.host.data(), host_bytes, work.info.get()),
        "cusolverDnXgesvd");
  check_info(work, "svd", "cusolverDnXgesvd");
  out.values = brought(values, n);
  out.v = transposed(vt);
  return out;
}

}  // namespace

Eigh Cuda::eigh(Matrix&& input) const {
  Matrix a = std::move(input);
  if (const auto factor = scaling_of(a)) {
    if (std::optional<Eigh> e = eigh_by_bisection(a, *factor)) return *std::move(e);
  }
  Eigh e{syevd(a, CUSOLVER_EIG_MODE_VECTOR), Matrix(a.rows(), a.cols())};
  std::reverse(e.values.begin(), e.values.end());
  reverse_columns(a, e.vectors);
  return e;
}

std::vector<double> Cuda::eigvalsh(Matrix&& input) const {
  Matrix a = std::move(input);
  if (const auto factor = scaling_of(a)) {
    BandForm band = reduce_scaled(a, *factor);
    const Tridiagonal t = chase_bulges(band);
    Scratch<double> values(a.rows());
    tridiagonal_eigenvalues(t, values.get());
    return unscaled(values, a.rows(), *factor);
  }
  std::vector<double> values = syevd(a, CUSOLVER_EIG_MODE_NOVECTOR);
  std::reverse(values.begin(), values.end());
  return values;
}

// By all of them: the reduction's kernels are here, and cuSOLVER's dsytrf, which pivots, waits for each column.
int64_t Cuda::eigenvalues_above(Matrix&& a, double bound) const {
  const std::vector<double> values = eigvalsh(std::move(a));
  return std::count_if(values.begin(), values.end(), [&](double value) { return value > bound; });
}

Svd Cuda::svd(Matrix&& input) const {
  Matrix a = std::move(input);
  try {
    if (std::optional<Svd> s = svd_by_polar_factor(a)) return *std::move(s);
  } catch (const Error&) {  // of an eigenproblem that did not converge: QR iterations may
  }
  return svd_by_qr(std::move(a));
}

}  // namespace gyro::linalg
