# The report's page and plotly.js become part of the report room (gyro/report/embedded.cc).
set(gyro_page ${PROJECT_SOURCE_DIR}/gyro/report/page)
set(gyro_plotly ${PROJECT_SOURCE_DIR}/third_party/plotly)
if(NOT EXISTS ${gyro_plotly}/plotly.min.js)
  message(FATAL_ERROR "third_party/plotly/plotly.min.js is missing: run scripts/setup")
endif()
file(GLOB gyro_page_files CONFIGURE_DEPENDS ${gyro_page}/*)
set_source_files_properties(
  gyro/report/embedded.cc PROPERTIES COMPILE_DEFINITIONS "GYRO_PAGE=\"${gyro_page}\";GYRO_PLOTLY=\"${gyro_plotly}\""
                                     OBJECT_DEPENDS "${gyro_page_files};${gyro_plotly}/plotly.min.js")
