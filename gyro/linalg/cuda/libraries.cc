#include "gyro/linalg/cuda/libraries.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <string>

#include "gyro/base/error.h"

namespace gyro::linalg {
namespace {

// Stays open as long as the process.
class Library {
 public:
  explicit Library(std::string name) : name_(std::move(name)), handle_(dlopen(name_.c_str(), RTLD_LAZY | RTLD_LOCAL)) {
    if (handle_ == nullptr)
      fail({ErrorKind::Device, "device"}, name_, "cannot be opened, and GPUs need it ({})", dlerror());
  }
  template <typename Function>
  void find(const char* name, Function& function) const {
    function = reinterpret_cast<Function>(dlsym(handle_, name));
    if (function == nullptr) fail(ErrorKind::Device, name_, "has no {}", name);
  }

 private:
  std::string name_;
  void* handle_;
};

Cublas open_cublas() {
  const Library library(fmt::format("libcublas.so.{}", CUBLAS_VER_MAJOR));
  Cublas c;
  library.find("cublasCreate_v2", c.create);
  library.find("cublasSetStream_v2", c.set_stream);
  library.find("cublasGetVersion_v2", c.get_version);
  library.find("cublasGetStatusString", c.get_status_string);
  library.find("cublasDgemm_v2", c.dgemm);
  library.find("cublasDgemmStridedBatched", c.dgemm_strided_batched);
  library.find("cublasDsyrk_v2", c.dsyrk);
  library.find("cublasDsyr2k_v2", c.dsyr2k);
  library.find("cublasDsymm_v2", c.dsymm);
  library.find("cublasDsymv_v2", c.dsymv);
  return c;
}

Cusolver open_cusolver() {
  const Library library(fmt::format("libcusolver.so.{}", CUSOLVER_VER_MAJOR));
  Cusolver c;
  library.find("cusolverDnCreate", c.create);
  library.find("cusolverDnSetStream", c.set_stream);
  library.find("cusolverDnCreateParams", c.create_params);
  library.find("cusolverDnXsyevd_bufferSize", c.syevd_buffer_size);
  library.find("cusolverDnXsyevd", c.syevd);
  library.find("cusolverDnXgesvd_bufferSize", c.gesvd_buffer_size);
  library.find("cusolverDnXgesvd", c.gesvd);
  return c;
}

}  // namespace

const Cublas& cublas() {
  static const Cublas opened = open_cublas();
  return opened;
}

const Cusolver& cusolver() {
  static const Cusolver opened = open_cusolver();
  return opened;
}

}  // namespace gyro::linalg
