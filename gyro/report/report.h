#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "gyro/report/evaluation.h"
#include "gyro/report/input.h"

namespace gyro {

/// Where the page finds plotly.js: in itself, or in plotly.min.js beside it.
enum class PlotlyMode { Inline, Directory };

struct ReportOptions {
  PlotlyMode plotly = PlotlyMode::Inline;
  std::string title = {};  ///< empty: made from the names of the models
  int threads = 0;         ///< matrices worked on at once; 0: all processors
};

/// The page: one HTML file that loads nothing from a network. Results with the same base (its id, hash and matrices)
/// become one with the comparisons of all of them; of different bases one is chosen, or all are shown together. An
/// evaluation of a result's folder is a section of it, one of another folder stands alone; there must be one of either.
/// Curves and heatmaps are binned as finely as kReportLimit allows. Throws Error if an array is missing or misshapen,
/// ReportTooLarge if even coarse bins would make the page too large.
std::string render_report(const std::vector<ReportInput>& inputs, const ReportOptions& options,
                          const std::vector<EvaluationInput>& evaluations = {});

/// Writes the page to `path` (atomically), and in PlotlyMode::Directory plotly.min.js beside it.
void write_report(const std::filesystem::path& path, const std::vector<ReportInput>& inputs,
                  const ReportOptions& options, const std::vector<EvaluationInput>& evaluations = {});

}  // namespace gyro
