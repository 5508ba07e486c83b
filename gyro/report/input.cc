#include "gyro/report/input.h"

#include <algorithm>

#include "gyro/arch/arch.h"
#include "gyro/base/file.h"

namespace gyro {
namespace {

constexpr size_t kLargestResult = size_t{1} << 30;

void check(bool holds) {
  if (!holds) throw std::domain_error("not a result");
}

void check_matrix(const Json& row) {
  check(type_from_name(row.at("type").get<std::string>()).has_value());
  check(row.at("energy").is_object() && row.at("null").is_object());
  check(row.at("layer").is_number_unsigned());
  check(!row.contains("expert") || row.at("expert").is_number_unsigned());
  for (const char* key : {"d_in", "d_out", "n"}) check(row.at(key).is_number_unsigned() && row.at(key) > 0);
  check(row.at("n") == std::min(row.at("d_in"), row.at("d_out")) && row.at("null").contains("valid"));
}

// `count` comparisons.
void check_posts(const Json& posts, size_t count) {
  for (const Json& pair : posts.at("pairs")) {
    for (const char* key : {"a", "b"}) check(pair.at(key).is_number_unsigned() && pair.at(key).get<size_t>() < count);
    check(pair.at("overlap").is_object() && pair.at("types").is_array() && pair.contains("pooled"));
    for (const Json& type : pair.at("types")) check(type.at("type").is_string() && type.at("overlap").is_object());
  }
}

void check_trajectory(const Json& trajectory) {
  const Json& steps = trajectory.at("steps");
  check(steps.is_array() && !steps.empty());
  for (const Json& step : steps) check(step.is_string());
  check(trajectory.at("lines").is_array());
  for (const Json& line : trajectory.at("lines")) {
    check(type_from_name(line.at("type").get<std::string>()).has_value() && line.at("figure").is_string());
    const Json& values = line.at("values");
    check(values.is_array() && values.size() == steps.size());
    for (const Json& value : values) check(value.is_number() || value.is_null());
    check(line.at("at_base").is_number() || line.at("at_base").is_null());
    const Json& at = line.at("half_way");
    check(at.is_null() || (at.is_number_unsigned() && at.get<size_t>() < steps.size()));
  }
}

// The parts that the page is built upon; what else is missing shows as a dash.
void check_document(const Json& document) {
  check((document.at("schema") == "gyro.diff/2" || document.at("schema") == "gyro.diff/1") &&
        document.at("base").is_object());
  const Json& comparisons = document.at("comparisons");
  check(comparisons.is_array() && !comparisons.empty());
  const Json& sites = comparisons[0].at("matrices");
  check(sites.is_array() && !sites.empty());
  for (const Json& comparison : comparisons) {
    check(comparison.at("post").is_object() && comparison.at("role").is_string());
    check(comparison.at("types").is_array() && comparison.at("findings").is_array());
    const Json& rows = comparison.at("matrices");
    check(rows.is_array() && rows.size() == sites.size());
    for (size_t i = 0; i < rows.size(); ++i) {
      check_matrix(rows[i]);
      for (const char* key : {"layer", "type", "d_in", "d_out"}) check(rows[i][key] == sites[i][key]);
    }
  }
  if (document.contains("trajectory")) check_trajectory(document.at("trajectory"));
  if (document.contains("posts")) check_posts(document.at("posts"), comparisons.size());
}

}  // namespace

Json parse_result(const std::string& subject, std::string_view text) {
  try {
    Json document = parse_document(subject, text);
    check_document(document);
    return document;
  } catch (const std::exception&) {
    fail(subject, "is not a result of gyro diff");
  }
}

ReportInput read_report_input(const std::filesystem::path& folder) {
  const std::filesystem::path result = folder / "result.json";
  Json document = parse_result(result.string(), read_file(result, kLargestResult));
  return {folder.string(), std::move(document), SafetensorsFile(folder / "arrays.safetensors")};
}

}  // namespace gyro
