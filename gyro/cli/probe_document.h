#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "gyro/cli/probe.h"
#include "gyro/tensor/matrix.h"

namespace gyro {

/// Does `work`, the calling thread being of a team that Ctrl-C stops; returns its exit code, or that of an
/// interruption.
int run_probe(const ProbeArguments& arguments, const std::function<int(const RunOptions&)>& work);

/// Whether --out has the document of that head already, which is then said, or printed for --json; not where what
/// belongs to it is missing (`whole`). Throws Error as is_probed does.
bool is_kept(const DocumentPlace& place, const std::string& file, const nlohmann::ordered_json& head,
             bool whole = true);

/// Writes a document to --out, if there is one, and prints it for --json. Whether there is still something to be said
/// on the terminal.
bool keep_document(const DocumentPlace& place, const std::string& file, const nlohmann::ordered_json& document);

/// Where it was written to, at the end of what is printed.
void print_kept(const DocumentPlace& place, const std::string& file);

nlohmann::ordered_json subject_json(const Subject& subject);
/// A list of rows.
nlohmann::ordered_json matrix_json(const Matrix& matrix);

}  // namespace gyro
