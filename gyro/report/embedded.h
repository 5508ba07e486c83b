#pragma once

#include <string>
#include <string_view>

namespace gyro {

/// Files that the build puts into the library: the page's own (gyro/report/page) and plotly.js.
std::string_view page_template();
std::string_view page_style();
/// The page's scripts, put together in the order in which they need each other.
std::string page_script();
std::string_view plotly_script();

}  // namespace gyro
