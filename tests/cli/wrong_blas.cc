// cblas_dgemm that gives C = 0 whatever it is asked: loaded before the real library, it stands for a build of OpenBLAS
// that is wrong on a processor.
extern "C" void GYRO_DGEMM(int, int, int, int m, int n, int, double, const double*, int, const double*, int, double,
                           double* c, int ldc) {
  for (int j = 0; j < n; ++j) {
    for (int i = 0; i < m; ++i) c[static_cast<long>(j) * ldc + i] = 0;
  }
}
