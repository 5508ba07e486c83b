#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "gyro/diff/document.h"

namespace gyro {

/// The kinds of probes, by the names of their commands and files; and the claims of gyro study, judged by them.
inline constexpr std::array kProbeKinds = {"attention", "cka", "drift", "rotation", "claims"};

/// What `gyro probe ... --out DIR`, and `gyro study`, wrote into one folder.
struct ProbeInput {
  std::string folder;
  std::map<std::string, Json> documents;  ///< by kind, at least one
  std::filesystem::path maps;             ///< attention.safetensors; empty where there is none
};

/// A document of `gyro probe`, of whom ever, that `probes_data` can take. Throws Error naming `subject`.
Json parse_probe(const std::string& subject, const std::string& kind, std::string_view text);

/// The probes that a folder has, if it has any. Throws Error naming the file that is not what `gyro probe` writes.
std::optional<ProbeInput> read_probes(const std::filesystem::path& folder);

/// The models that a folder's probes are of: list of objects with at least role and path.
const Json& probed_models(const ProbeInput& input);

/// What the page shows of probes (gyro/report/page/probes.js reads it): numbers of the documents, and attention maps of
/// attention.safetensors. `result`: the place of the result on the page that they stand with, -1 for none. Maps are
/// binned, then left out, then heads are, as far as `budget` bytes ask for, and `notes` says so; ReportTooLarge is
/// thrown where that does not do. Throws Error naming attention.safetensors for a map that it does not have.
Json probes_data(const ProbeInput& input, int64_t result, size_t budget);

}  // namespace gyro
