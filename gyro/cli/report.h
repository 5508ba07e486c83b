#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "gyro/cli/commands.h"
#include "gyro/report/report.h"

namespace gyro {

/// The option --plotly inline|directory, and what its value means.
CLI::Option* add_plotly_option(CLI::App& command, std::string& name);
PlotlyMode plotly_mode(const std::string& name);

/// Writes report.html into a finished result's folder, with the evaluation and the probes that are there, unless one
/// newer than all is there and `again` is false. What of these is not finished or not readable is left out, and `warn`
/// is told why. Throws ReportTooLarge where one page cannot hold the result; the folder then has no report.html, also
/// none of another result.
void write_folder_report(const std::filesystem::path& folder, const ReportOptions& options, bool again,
                         const std::function<void(const std::string&)>& warn);

}  // namespace gyro
