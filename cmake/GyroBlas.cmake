# The BLAS and LAPACK that gyro::linalg links, as the target gyro_blas: named here and nowhere else, for the build and,
# installed beside GyroConfig.cmake, for whoever links Gyro. GYRO_BLAS is `pinned` (the OpenBLAS in the folder GYRO_OPENBLAS)
# or `system` (what pkg-config finds as openblas and lapacke).
add_library(gyro_blas INTERFACE IMPORTED)
if(GYRO_BLAS STREQUAL pinned)
  if(NOT EXISTS ${GYRO_OPENBLAS}/lib/libscipy_openblas.so)
    message(FATAL_ERROR "${GYRO_OPENBLAS}/lib/libscipy_openblas.so is missing: run scripts/setup, or configure with -DGYRO_BLAS=system")
  endif()
  add_library(gyro_openblas SHARED IMPORTED)
  set_target_properties(gyro_openblas PROPERTIES IMPORTED_LOCATION ${GYRO_OPENBLAS}/lib/libscipy_openblas.so
                                                 IMPORTED_SONAME libscipy_openblas.so)
  if(EXISTS ${GYRO_OPENBLAS}/include)
    set_target_properties(gyro_openblas PROPERTIES INTERFACE_INCLUDE_DIRECTORIES ${GYRO_OPENBLAS}/include)
  endif()
  set_target_properties(gyro_blas PROPERTIES INTERFACE_LINK_LIBRARIES gyro_openblas
                                             INTERFACE_COMPILE_DEFINITIONS GYRO_BLAS_PREFIXED=1)
elseif(GYRO_BLAS STREQUAL system)
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(openblas REQUIRED IMPORTED_TARGET openblas)
  pkg_check_modules(lapacke REQUIRED IMPORTED_TARGET lapacke)
  set_target_properties(gyro_blas PROPERTIES INTERFACE_LINK_LIBRARIES "PkgConfig::openblas;PkgConfig::lapacke")
else()
  message(FATAL_ERROR "GYRO_BLAS is '${GYRO_BLAS}': it can be pinned or system")
endif()
