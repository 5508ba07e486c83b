# llama.cpp where scripts/fetch-llama has built it, unless GYRO_INFER says otherwise: the target gyro_llama. Without it the
# room infer is its no_llama/ folder alone.
set(GYRO_INFER AUTO CACHE STRING "Run models: ON, OFF, or AUTO (where third_party/llama is there)")
set_property(CACHE GYRO_INFER PROPERTY STRINGS AUTO ON OFF)
set(GYRO_LLAMA ${PROJECT_SOURCE_DIR}/third_party/llama)
set(gyro_infer_folder infer/no_llama)
if(NOT GYRO_INFER STREQUAL OFF)
  # The stamp comes last: to configure again when llama.cpp was built meanwhile, or anew.
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/third_party)
  if(EXISTS ${GYRO_LLAMA}/stamp)
    set(gyro_infer_folder infer)
    find_path(UTF8PROC_INCLUDE utf8proc.h REQUIRED)
    find_library(UTF8PROC_LIBRARY utf8proc REQUIRED)
    set(gyro_infer_libs gyro_llama ${UTF8PROC_LIBRARY})
    find_package(llama REQUIRED PATHS ${GYRO_LLAMA}/lib/cmake NO_DEFAULT_PATH)
    add_library(gyro_llama INTERFACE IMPORTED)
    set_target_properties(gyro_llama PROPERTIES INTERFACE_LINK_LIBRARIES "${GYRO_LLAMA}/lib/libllama-jinja.a;llama"
                                                INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${GYRO_LLAMA}/include")
  elseif(GYRO_INFER STREQUAL ON)
    message(FATAL_ERROR "GYRO_INFER is ON, but ${GYRO_LLAMA} is not there: run scripts/fetch-llama")
  endif()
endif()
