#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "gyro/report/evaluation.h"
#include "gyro/report/input.h"
#include "tests/fuzz/fuzz.h"

static std::filesystem::path samples_file() {
  std::string folder = (std::filesystem::temp_directory_path() / "gyro-fuzz-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) std::abort();
  return std::filesystem::path(folder) / "samples.jsonl";
}

// The first line is eval.json, the others are samples.jsonl. What is taken becomes data of the page within its budget,
// unless an Error of one line says why not.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::filesystem::path samples = samples_file();
  const std::string_view text = gyro::as_text(data, size);
  const size_t end = std::min(text.find('\n'), text.size());
  std::optional<gyro::Json> document;
  gyro::expect_result_or_one_line([&] { document = gyro::parse_evaluation("fuzz", text.substr(0, end)); });
  if (!document) return 0;
  const std::string_view rest = text.substr(std::min(end + 1, text.size()));
  std::ofstream(samples, std::ios::binary) << rest;
  constexpr size_t budget = 100'000;
  try {
    const gyro::EvaluationInput input{"fuzz", std::move(*document), rest.empty() ? std::filesystem::path() : samples};
    const gyro::Json page = gyro::evaluation_data(input, -1, budget);
    if (page.dump(-1, ' ', false, gyro::Json::error_handler_t::replace).size() > budget) std::abort();
  } catch (const gyro::Error& error) {
    if (std::string_view(error.what()).find('\n') != std::string_view::npos) std::abort();
  }
  return 0;
}
