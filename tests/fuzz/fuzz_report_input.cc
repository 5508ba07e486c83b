#include <filesystem>
#include <vector>

#include "gyro/report/page_data.h"
#include "tests/fuzz/fuzz.h"

// The arrays that the corpus' results speak of: two layers of a 2 x 3 matrix, one with its corner.
static std::filesystem::path write_arrays() {
  std::string folder = (std::filesystem::temp_directory_path() / "gyro-fuzz-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) std::abort();
  static const std::vector<double> sigma = {2, 1};
  static const std::vector<float> corner = {1, 0, 0, 1};
  std::vector<gyro::TensorToWrite> tensors;
  for (const char* name : {"base.0.W_Q.sigma", "base.1.W_Q.sigma", "0.0.W_Q.sigma", "0.0.W_Q.turn_u", "0.0.W_Q.turn_v",
                           "0.1.W_Q.sigma", "0.1.W_Q.turn_u", "0.1.W_Q.turn_v"}) {
    tensors.push_back({name, gyro::DType::F64, {2}, std::as_bytes(std::span(sigma))});
  }
  for (const char* name :
       {"0.0.W_Q.sim_u", "0.0.W_Q.sim_v", "0.0.W_Q.i_orth", "0.0.W_Q.delta_q1", "0.0.W_Q.delta_q2"}) {
    tensors.push_back({name, gyro::DType::F32, {2, 2}, std::as_bytes(std::span(corner))});
  }
  const std::filesystem::path path = std::filesystem::path(folder) / "arrays.safetensors";
  gyro::write_safetensors(path, tensors, {});
  return path;
}

// A document that is taken becomes a page, unless an Error of one line says why not.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::filesystem::path arrays = write_arrays();
  gyro::Json document;
  gyro::expect_result_or_one_line([&] { document = gyro::parse_result("fuzz", gyro::as_text(data, size)); });
  if (document.is_null()) return 0;
  std::vector<gyro::ReportInput> inputs;
  inputs.push_back({"fuzz", std::move(document), gyro::SafetensorsFile(arrays)});
  try {
    if (gyro::page_data(inputs, "", gyro::kReportLimit, 1).size() > gyro::kReportLimit) std::abort();
  } catch (const gyro::Error& error) {
    if (std::string_view(error.what()).find('\n') != std::string_view::npos) std::abort();
  }
  return 0;
}
