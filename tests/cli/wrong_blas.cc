// cblas_dgemm by loops, right but for the first entry of every product, which is what WRONG_ENTRY says ("0", "nan"):
// loaded before the real library, it stands for a build of OpenBLAS that is wrong on a processor.
#include <cstdlib>

extern "C" void GYRO_DGEMM(int, int op_a, int op_b, int m, int n, int k, double alpha, const double* a, int lda,
                           const double* b, int ldb, double beta, double* c, int ldc) {
  constexpr int kTrans = 112;
  for (int j = 0; j < n; ++j) {
    for (int i = 0; i < m; ++i) {
      double sum = 0;
      for (int l = 0; l < k; ++l) {
        sum += (op_a == kTrans ? a[l + static_cast<long>(i) * lda] : a[i + static_cast<long>(l) * lda]) *
               (op_b == kTrans ? b[j + static_cast<long>(l) * ldb] : b[l + static_cast<long>(j) * ldb]);
      }
      double& entry = c[i + static_cast<long>(j) * ldc];
      entry = alpha * sum + (beta == 0 ? 0 : beta * entry);
    }
  }
  if (m > 0 && n > 0) c[0] = std::strtod(std::getenv("WRONG_ENTRY"), nullptr);
}
