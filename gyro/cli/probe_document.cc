#include "gyro/cli/probe_document.h"

#include <fmt/format.h>

#include <filesystem>

#include "gyro/base/file.h"
#include "gyro/base/team.h"
#include "gyro/cli/commands.h"
#include "gyro/cli/interrupt.h"
#include "gyro/cli/run_options.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr size_t kDocumentLimit = size_t{1} << 30;

}  // namespace

int run_probe(const ProbeArguments& arguments, const std::function<int(const RunOptions&)>& work) {
  const bool silent = arguments.quiet || arguments.json;
  const RunOptions run = run_options({arguments.engine.device, "", arguments.engine.threads, silent});
  Team team(run.stop);
  const TeamMember member(&team);
  try {
    return work(run);
  } catch (const Stopped&) {
    return report_interruption(kNothingWritten);
  }
}

bool is_kept(const DocumentPlace& place, const std::string& file, const Json& head, bool whole) {
  const fs::path path = fs::path(place.out) / file;
  if (place.out.empty() || !is_probed(path, head, place.force) || !whole) return false;
  if (place.json) {
    fmt::print("{}", read_file(path, kDocumentLimit));
  } else if (!place.quiet) {
    fmt::print("{} is there already\n", path.string());
  }
  return true;
}

bool keep_document(const DocumentPlace& place, const std::string& file, const Json& document) {
  const std::string text = probe_text(document);
  if (!place.out.empty()) {
    MadeFolders folders;
    folders.make(place.out);
    write_file_atomically(fs::path(place.out) / file, text);
  }
  if (place.json) fmt::print("{}", text);
  return !place.json && !place.quiet;
}

void print_kept(const DocumentPlace& place, const std::string& file) {
  if (!place.out.empty()) fmt::print("Wrote {}\n", (fs::path(place.out) / file).string());
}

Json subject_json(const Subject& subject) {
  return {{"name", subject.name}, {"kind", subject.kind}, {"description", subject.description}};
}

Json matrix_json(const Matrix& matrix) {
  Json rows = Json::array();
  for (int64_t i = 0; i < matrix.rows(); ++i) {
    Json row = Json::array();
    for (int64_t j = 0; j < matrix.cols(); ++j) row.push_back(matrix(i, j));
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace gyro
