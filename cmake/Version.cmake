# gyro/version.h: the version, and the commit that is checked out. CMake runs again after each commit, and rewrites the file
# only where it changes. One source includes it (gyro/base/version.cc), so that a commit costs that one compilation.
set(GYRO_GIT_ID "")
find_package(Git QUIET)
if(GIT_FOUND)
  execute_process(COMMAND ${GIT_EXECUTABLE} rev-parse --show-toplevel WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
                  OUTPUT_VARIABLE gyro_git_top OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  # Not the repository of something that has Gyro's sources in it.
  if(gyro_git_top STREQUAL PROJECT_SOURCE_DIR)
    execute_process(COMMAND ${GIT_EXECUTABLE} rev-parse --short=12 HEAD WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
                    OUTPUT_VARIABLE GYRO_GIT_ID OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    execute_process(COMMAND ${GIT_EXECUTABLE} rev-parse --git-path logs/HEAD WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
                    OUTPUT_VARIABLE gyro_git_log OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    get_filename_component(gyro_git_log "${gyro_git_log}" ABSOLUTE BASE_DIR ${PROJECT_SOURCE_DIR})
    if(EXISTS "${gyro_git_log}")
      set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${gyro_git_log}")
    endif()
  endif()
endif()
set(GYRO_GENERATED ${PROJECT_BINARY_DIR}/generated)
configure_file(${PROJECT_SOURCE_DIR}/cmake/version.h.in ${GYRO_GENERATED}/gyro/version.h @ONLY)
