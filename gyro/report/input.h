#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "gyro/base/error.h"
#include "gyro/checkpoint/safetensors.h"
#include "gyro/diff/document.h"

namespace gyro {

/// One result of `gyro diff --out DIR`: result.json's content and arrays.safetensors.
struct ReportInput {
  std::string folder;
  Json document;
  SafetensorsFile arrays;
};

/// A result.json's text, of whom ever, as a document that render_report can take. Throws Error naming `subject`.
Json parse_result(const std::string& subject, std::string_view text);

/// Reads a result folder and checks that it is one. Throws Error naming the file that is missing or not what `gyro
/// diff` writes.
ReportInput read_report_input(const std::filesystem::path& folder);

/// What is wrong with results that one page cannot hold.
class ReportTooLarge : public Error {
 public:
  using Error::Error;
};

/// The largest page that is made, in bytes.
inline constexpr size_t kReportLimit = 12'000'000;

}  // namespace gyro
