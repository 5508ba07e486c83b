#pragma once

#include <filesystem>
#include <string>

#include "gyro/cli/commands.h"
#include "gyro/report/report.h"

namespace gyro {

/// The option --plotly inline|directory, and what its value means.
CLI::Option* add_plotly_option(CLI::App& command, std::string& name);
PlotlyMode plotly_mode(const std::string& name);

/// Writes report.html into a finished result's folder unless one newer than the result is there and `again` is false.
/// Throws ReportTooLarge where one page cannot hold the result; the folder then has no report.html, also none of
/// another result.
void write_folder_report(const std::filesystem::path& folder, const ReportOptions& options, bool again);

}  // namespace gyro
