#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "gyro/report/input.h"

namespace gyro {

/// A number of a foreign document, NaN for null and for what is no number. Throws Error where there is no such key.
double number(const Json& object, const char* key);

/// How finely arrays go into the page.
struct Detail {
  int64_t curve = 512;  ///< points of a curve over singular indices
  int64_t rows = 512;   ///< rows of a heatmap over singular indices
  int64_t corner = 25;  ///< dimensions of a rotation matrix
};

/// The data block of the page: what the page's scripts draw from (gyro/report/page/data.js reads it), as JSON text in
/// which "<" is escaped, so that no text of a result can end the element that holds it. `budget` is its largest size;
/// the finest detail that fits is taken, and where none does, models are left out from the last on, which the page
/// says; ReportTooLarge is thrown where one model of each base is too much. `threads` as in ReportOptions.
std::string page_data(const std::vector<ReportInput>& inputs, const std::string& title, size_t budget, int threads = 0);

/// Of each input the place of its result on the page, where those of the same base are one.
std::vector<size_t> joined_places(const std::vector<ReportInput>& inputs);

/// The last part of a model's id (more of them: the last `parts`), fit to print.
std::string model_name(const Json& model, size_t parts = 1);
/// Short names of a result's posts that tell them apart.
std::vector<std::string> post_names(const Json& document);
/// JSON text that can stand in a script element.
std::string script_json(const Json& json);

}  // namespace gyro
