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
/// Returns whether it wrote.
bool write_folder_report(const std::filesystem::path& folder, const std::string& plotly, bool again);

}  // namespace gyro
