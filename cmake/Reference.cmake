# The man page and the shells' completions, written by a program that has the commands' definitions.
file(GLOB reference_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/gyro/cli/reference/*.cc)
add_executable(gyro_reference ${reference_sources})
target_link_libraries(gyro_reference PRIVATE gyro_cli)
set(GYRO_REFERENCE ${GYRO_GENERATED}/reference)
set(reference_files ${GYRO_REFERENCE}/gyro ${GYRO_REFERENCE}/_gyro ${GYRO_REFERENCE}/gyro.fish ${GYRO_REFERENCE}/gyro.1)
add_custom_command(OUTPUT ${reference_files} COMMAND gyro_reference ${GYRO_REFERENCE} DEPENDS gyro_reference VERBATIM)
add_custom_target(gyro_reference_files ALL DEPENDS ${reference_files})
