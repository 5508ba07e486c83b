# What `cmake --install` leaves: the program, the rooms as static libraries with their headers, and what finds them from
# CMake (find_package(Gyro), gyro::gyro or a room such as gyro::linalg) and from pkg-config (gyro).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

get_property(GYRO_ROOMS GLOBAL PROPERTY GYRO_ROOMS)

# All rooms at once.
add_library(gyro_all INTERFACE)
target_link_libraries(gyro_all INTERFACE gyro_edit gyro_report)
set_target_properties(gyro_all PROPERTIES EXPORT_NAME gyro)
add_library(gyro::gyro ALIAS gyro_all)

if(GYRO_BLAS STREQUAL pinned)
  install(FILES ${GYRO_OPENBLAS}/lib/libscipy_openblas.so DESTINATION ${CMAKE_INSTALL_LIBDIR}/gyro/lib)
  install(FILES ${GYRO_OPENBLAS}/LICENSE DESTINATION ${CMAKE_INSTALL_LIBDIR}/gyro)
  set_target_properties(gyro PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}/gyro/lib")
endif()
install(TARGETS gyro)
install(TARGETS ${GYRO_ROOMS} gyro_all EXPORT gyro INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
# Not the commands', the tests', and those of the rooms' own backends.
install(DIRECTORY gyro DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h"
        PATTERN "*test_util.h" EXCLUDE
        PATTERN cli EXCLUDE
        PATTERN infer EXCLUDE
        PATTERN eval EXCLUDE
        PATTERN probe EXCLUDE
        PATTERN study EXCLUDE
        PATTERN cpu EXCLUDE
        PATTERN cuda EXCLUDE
        PATTERN no_cuda EXCLUDE
        PATTERN page EXCLUDE)
install(FILES ${GYRO_GENERATED}/gyro/version.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/gyro)

set(gyro_cmake ${CMAKE_INSTALL_LIBDIR}/cmake/Gyro)
install(EXPORT gyro NAMESPACE gyro:: FILE GyroTargets.cmake DESTINATION ${gyro_cmake})
configure_package_config_file(cmake/GyroConfig.cmake.in ${GYRO_GENERATED}/GyroConfig.cmake
                              INSTALL_DESTINATION ${gyro_cmake} NO_SET_AND_CHECK_MACRO)
# Before 1.0 a minor version may break what was.
write_basic_package_version_file(${GYRO_GENERATED}/GyroConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${GYRO_GENERATED}/GyroConfig.cmake ${GYRO_GENERATED}/GyroConfigVersion.cmake cmake/GyroBlas.cmake
        DESTINATION ${gyro_cmake})

install(FILES ${GYRO_REFERENCE}/gyro DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${GYRO_REFERENCE}/_gyro DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES ${GYRO_REFERENCE}/gyro.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(FILES ${GYRO_REFERENCE}/gyro.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)

# A linker takes what a static library needs from those after it.
set(gyro_pc_libs "")
foreach(room ${GYRO_ROOMS})
  string(PREPEND gyro_pc_libs "-l${room} ")
endforeach()
set(gyro_pc_blas "")
if(GYRO_BLAS STREQUAL pinned)
  set(gyro_pc_blas "-L\${libdir}/gyro/lib -lscipy_openblas -Wl,-rpath,\${libdir}/gyro/lib")
else()
  set(gyro_pc_modules openblas lapacke)
endif()
set(gyro_pc_cuda "")
if(GYRO_CUDA_RUNTIME)
  set(gyro_pc_cuda " -L${CUDAToolkit_LIBRARY_DIR} -lcudart_static -lrt")
endif()
file(RELATIVE_PATH gyro_pc_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/gyro.pc.in ${GYRO_GENERATED}/gyro.pc @ONLY)
install(FILES ${GYRO_GENERATED}/gyro.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
