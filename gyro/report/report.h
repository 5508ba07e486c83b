#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "gyro/report/evaluation.h"
#include "gyro/report/input.h"
#include "gyro/report/probes.h"

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
/// evaluation of a result's folder is a section of it, and so are probes; what is of another folder stands with the
/// result whose folder it lies in or, by its path, whose post it asked (`place_beside`), else alone. There must be one
/// of these at least. Curves and heatmaps are binned as finely as kReportLimit allows. Throws Error if an array is
/// missing or misshapen, ReportTooLarge if even coarse bins would make the page too large.
std::string render_report(const std::vector<ReportInput>& inputs, const ReportOptions& options,
                          const std::vector<EvaluationInput>& evaluations = {},
                          const std::vector<ProbeInput>& probes = {});

/// Writes the page to `path` (atomically), and in PlotlyMode::Directory plotly.min.js beside it.
void write_report(const std::filesystem::path& path, const std::vector<ReportInput>& inputs,
                  const ReportOptions& options, const std::vector<EvaluationInput>& evaluations = {},
                  const std::vector<ProbeInput>& probes = {});

/// Of the page's results (joined_places) the one that an evaluation or a probe of `folder` stands with, -1 for none:
/// that of this folder; of the folder that this one lies in; the only one that has a post of the path that `models`
/// (role, path) has for its post, and the base's, where it has one. A path that is not absolute may be of any place.
int64_t place_beside(const std::vector<ReportInput>& inputs, const std::string& folder, const Json& models);

}  // namespace gyro
