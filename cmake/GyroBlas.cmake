# The BLAS and LAPACK that gyro::linalg links, named here and nowhere else: for the build, and, installed beside
# GyroConfig.cmake, for whoever links Gyro. GYRO_BLAS: its targets; GYRO_BLAS_MODULES: the same for pkg-config.
find_package(PkgConfig REQUIRED)
pkg_check_modules(openblas REQUIRED IMPORTED_TARGET openblas)
pkg_check_modules(lapacke REQUIRED IMPORTED_TARGET lapacke)
set(GYRO_BLAS PkgConfig::openblas PkgConfig::lapacke)
set(GYRO_BLAS_MODULES openblas lapacke)
