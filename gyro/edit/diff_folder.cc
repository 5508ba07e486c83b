#include "gyro/edit/diff_folder.h"

#include <algorithm>
#include <cmath>

#include "gyro/base/error.h"
#include "gyro/base/file.h"
#include "gyro/checkpoint/json.h"

namespace gyro {
namespace {

constexpr size_t kLargestResult = size_t{1} << 30;
constexpr double kSameSigma = 1e-5;

// The base's "sha256" in a result.json, empty if it has none.
std::string base_of(const std::filesystem::path& file) {
  std::string sha256;
  visit_json(file.string(), read_file(file, kLargestResult), [&](const JsonPath& path, const JsonValue& value) {
    if (value.kind == JsonValue::Kind::String && path == JsonPath{"base", "sha256"}) sha256 = value.text;
  });
  return sha256;
}

}  // namespace

DiffFolder::DiffFolder(const std::filesystem::path& folder, const TensorSource& base)
    : arrays_(folder / "arrays.safetensors") {
  const std::filesystem::path result = folder / "result.json";
  if (base_of(result) != base.identity()) fail(result.string(), "is not a diff of the base {}", base.path().string());
}

std::vector<double> DiffFolder::values(const std::string& name, const MatrixSite& site) const {
  const auto it = arrays_.header().tensors.find(name);
  const auto n = static_cast<size_t>(std::min(site.d_in, site.d_out));
  if (it == arrays_.header().tensors.end() || it->second.dtype != DType::F64 ||
      it->second.end - it->second.begin != 8 * n) {
    fail(arrays_.path().string(), "has no {} of {} values: is it a diff of this base?", name, n);
  }
  std::vector<double> values(n);
  widen(DType::F64, arrays_.bytes(it->second).data(), n, values.data());
  return values;
}

std::vector<double> DiffFolder::turn(const MatrixSite& site) const {
  const std::string where = fmt::format("0.{}.", matrix_name(site.key()));
  std::vector<double> turn = values(where + "turn_u", site);
  const std::vector<double> other = values(where + "turn_v", site);
  for (size_t j = 0; j < turn.size(); ++j) turn[j] += other[j];
  return turn;
}

void DiffFolder::check_sigma(const MatrixSite& site, const std::vector<double>& sigma) const {
  const std::vector<double> found = values(fmt::format("base.{}.sigma", matrix_name(site.key())), site);
  for (size_t j = 0; j < sigma.size(); ++j) {
    if (std::abs(found[j] - sigma[j]) <= kSameSigma * sigma[0]) continue;
    fail(arrays_.path().string(),
         "is a diff of another base: it has {:.6g} as singular value {} of {}, which has {:.6g}", found[j], j,
         site.tensor, sigma[j]);
  }
}

}  // namespace gyro
