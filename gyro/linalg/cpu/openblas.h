#pragma once

// CBLAS, LAPACKE and OpenBLAS's own calls under their usual names, whichever build of OpenBLAS is linked
// (cmake/Blas.cmake). The pinned one prefixes every symbol, so that it can live in one process with another OpenBLAS,
// such as numpy's.

#ifdef GYRO_BLAS_PREFIXED
#define cblas_daxpy scipy_cblas_daxpy
#define cblas_ddot scipy_cblas_ddot
#define cblas_dgemm scipy_cblas_dgemm
#define cblas_dgemv scipy_cblas_dgemv
#define cblas_dnrm2 scipy_cblas_dnrm2
#define cblas_dscal scipy_cblas_dscal
#define cblas_dsymm scipy_cblas_dsymm
#define cblas_dsyr2k scipy_cblas_dsyr2k
#define cblas_dsyrk scipy_cblas_dsyrk
#define cblas_dtrmm scipy_cblas_dtrmm
#define LAPACKE_dgees_work scipy_LAPACKE_dgees_work
#define LAPACKE_dgesdd_work scipy_LAPACKE_dgesdd_work
#define LAPACKE_dlarfg_work scipy_LAPACKE_dlarfg_work
#define LAPACKE_dlarft_work scipy_LAPACKE_dlarft_work
#define LAPACKE_dstedc_work scipy_LAPACKE_dstedc_work
#define LAPACKE_dsterf_work scipy_LAPACKE_dsterf_work
#define LAPACKE_dsytrf_work scipy_LAPACKE_dsytrf_work
#define openblas_get_config scipy_openblas_get_config
#define openblas_get_corename scipy_openblas_get_corename
#define openblas_set_num_threads scipy_openblas_set_num_threads
#endif

#include <cblas.h>
#include <lapacke.h>

#include <climits>
#include <cstdint>

#include "gyro/base/error.h"

namespace gyro::linalg {

/// A size as these libraries take it. Throws Error for one that they cannot.
inline int blas_int(int64_t size) {
  if (size > INT_MAX) fail("matrix", "has a side of {}, more than {} takes", size, "OpenBLAS");
  return static_cast<int>(size);
}

}  // namespace gyro::linalg
