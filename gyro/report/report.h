#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

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

/// Where the page finds plotly.js: in itself, or in plotly.min.js beside it.
enum class PlotlyMode { Inline, Directory };

struct ReportOptions {
  PlotlyMode plotly = PlotlyMode::Inline;
  std::string title = {};  ///< empty: made from the names of the models
  int threads = 0;         ///< matrices worked on at once; 0: all processors
};

/// What is wrong with results that one page cannot hold.
class ReportTooLarge : public Error {
 public:
  using Error::Error;
};

/// The largest page that is made, in bytes.
inline constexpr size_t kReportLimit = 12'000'000;

/// The page: one HTML file that loads nothing from a network. Results with the same base (its id, hash and matrices)
/// become one with the comparisons of all of them; results of different bases are chosen from in the page's head.
/// Curves and heatmaps are binned as finely as kReportLimit allows. Throws Error if an array is missing or misshapen,
/// ReportTooLarge if even coarse bins would make the page too large.
std::string render_report(const std::vector<ReportInput>& inputs, const ReportOptions& options);

/// Writes the page to `path` (atomically), and in PlotlyMode::Directory plotly.min.js beside it.
void write_report(const std::filesystem::path& path, const std::vector<ReportInput>& inputs,
                  const ReportOptions& options);

}  // namespace gyro
