#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "gyro/report/page_parts.h"
#include "gyro/report/probes.h"
#include "tests/fuzz/fuzz.h"

static std::filesystem::path maps_file() {
  std::string folder = (std::filesystem::temp_directory_path() / "gyro-fuzz-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) std::abort();
  return std::filesystem::path(folder) / "attention.safetensors";
}

// The first line is a document of any kind of probe, what follows it attention.safetensors. What is taken becomes data
// of the page within its budget, unless an Error of one line says why not.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::filesystem::path maps = maps_file();
  const std::string_view text = gyro::as_text(data, size);
  const size_t end = std::min(text.find('\n'), text.size());
  gyro::ProbeInput input{"fuzz", {}, {}};
  for (const char* kind : gyro::kProbeKinds) {
    gyro::expect_result_or_one_line(
        [&] { input.documents[kind] = gyro::parse_probe("fuzz", kind, text.substr(0, end)); });
    if (input.documents[kind].is_null()) input.documents.erase(kind);
  }
  if (input.documents.empty()) return 0;
  const std::string_view rest = text.substr(std::min(end + 1, text.size()));
  if (!rest.empty()) {
    std::ofstream(maps, std::ios::binary) << rest;
    input.maps = maps;
  }
  constexpr size_t budget = 100'000;
  try {
    if (gyro::script_bytes(gyro::probes_data(input, -1, budget)) > budget) std::abort();
  } catch (const gyro::Error& error) {
    if (std::string_view(error.what()).find('\n') != std::string_view::npos) std::abort();
  }
  return 0;
}
