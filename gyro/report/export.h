#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "gyro/report/report.h"

namespace gyro {

/// What is written of a report's figures and tables.
struct ExportOptions {
  std::vector<std::string> formats = {};  ///< of export_formats(); a table is csv and tex, a figure all others and csv
  std::vector<std::string> widths = {};   ///< of export_widths()
  std::string choices = {};               ///< as they stand in the page's address, without the '#'
};

const std::vector<std::string>& export_formats();
const std::vector<std::string>& export_widths();

/// Writes the figures and tables of a report as files of their own into `folder` (made if it is not there): what the
/// page itself gives to download, made by the page itself in a browser without a window (gyro/report/browser.h). A
/// figure that shows one model at a time is written for each of them. Files are named
/// gyro-BASE-MODEL-FIGURE-TYPE-LAYER-WIDTH.FORMAT, as far as they depend on each; files of these names
/// are replaced. Returns the names. Throws Error if there is no browser, or it fails.
std::vector<std::string> export_report(const std::filesystem::path& folder, const std::vector<ReportInput>& inputs,
                                       const ReportOptions& page, const ExportOptions& options,
                                       const std::vector<EvaluationInput>& evaluations = {},
                                       const std::vector<ProbeInput>& probes = {});

}  // namespace gyro
