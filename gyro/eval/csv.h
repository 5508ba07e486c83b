#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gyro {

using CsvRecords = std::vector<std::vector<std::string>>;

/// The records of comma-separated values (RFC 4180): fields in quotes may hold commas, line ends and doubled quotes;
/// empty lines are left out, a byte order mark at the beginning too. Throws Error naming `subject` and the line for a
/// quote that is not closed or is followed by anything but a comma or line end.
CsvRecords read_csv(std::string_view subject, std::string_view text);

}  // namespace gyro
