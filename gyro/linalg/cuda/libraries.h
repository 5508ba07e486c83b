#pragma once

#include <cublas_v2.h>
#include <cusolverDn.h>

/// For the CUDA sources only.
namespace gyro::linalg {

/// cuBLAS and cuSOLVER, opened when first asked for: mapping them costs 0.1 s and 200 MB, which a run on the CPU need
/// not pay. Throws Error naming the library where the loader does not find it. Members are the functions of their name.
struct Cublas {
  decltype(&cublasCreate_v2) create;
  decltype(&cublasSetStream_v2) set_stream;
  decltype(&cublasGetVersion_v2) get_version;
  decltype(&cublasGetStatusString) get_status_string;
  decltype(&cublasDgemm_v2) dgemm;
  decltype(&cublasDgemmStridedBatched) dgemm_strided_batched;
  decltype(&cublasDsyrk_v2) dsyrk;
  decltype(&cublasDsyr2k_v2) dsyr2k;
  decltype(&cublasDsymm_v2) dsymm;
  decltype(&cublasDsymv_v2) dsymv;
};
const Cublas& cublas();

struct Cusolver {
  decltype(&cusolverDnCreate) create;
  decltype(&cusolverDnSetStream) set_stream;
  decltype(&cusolverDnCreateParams) create_params;
  decltype(&cusolverDnXsyevd_bufferSize) syevd_buffer_size;
  decltype(&cusolverDnXsyevd) syevd;
  decltype(&cusolverDnXgesvd_bufferSize) gesvd_buffer_size;
  decltype(&cusolverDnXgesvd) gesvd;
};
const Cusolver& cusolver();

}  // namespace gyro::linalg
