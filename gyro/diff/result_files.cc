#include "gyro/diff/result_files.h"

#include "gyro/base/error.h"
#include "gyro/base/file.h"
#include "gyro/checkpoint/safetensors.h"
#include "gyro/diff/result_json.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;
constexpr const char* kResultName = "result.json";
constexpr const char* kArraysName = "arrays.safetensors";
constexpr size_t kLargestResult = size_t{1} << 30;

}  // namespace

void write_result_files(const fs::path& folder, const DiffResult& result) {
  std::vector<TensorToWrite> tensors;
  for (const auto& [name, array] : result.arrays) tensors.push_back({name, array.dtype, array.shape, array.bytes});
  write_safetensors(folder / kArraysName, tensors, {{"schema", "gyro.diff.arrays/1"}});
  write_file_atomically(folder / kResultName, result_text(result) + "\n");
}

std::optional<DiffResult> find_result(const fs::path& folder) {
  const fs::path path = folder / kResultName;
  if (!fs::exists(path)) return std::nullopt;
  const std::string text = read_file(path, kLargestResult);
  try {
    return read_result(path.string(), parse_document(path.string(), text));
  } catch (const Error&) {
    return std::nullopt;
  }
}

ResultArrays read_arrays(const fs::path& folder) {
  const SafetensorsFile file(folder / kArraysName);
  ResultArrays arrays;
  for (const auto& [name, info] : file.header().tensors) {
    const auto bytes = file.bytes(info);
    arrays[std::string(name)] = {info.dtype, info.shape, {bytes.begin(), bytes.end()}};
  }
  return arrays;
}

}  // namespace gyro
