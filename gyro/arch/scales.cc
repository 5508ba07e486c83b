#include "gyro/arch/scales.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "gyro/base/error.h"

namespace gyro {
namespace {

std::string named(std::string_view tensor) {
  return fmt::format("tensor \"{}\"", printable(tensor));
}

// FP8 numbers without scales may be the weights themselves, cast. They are not where something says otherwise: they
// would be off by hundreds, and nothing would show it.
void check_needs_none(const TensorSource& checkpoint, const std::string& name) {
  const std::string folder = checkpoint.path().string();
  const ModelConfig& config = checkpoint.config();
  if (config.quantized) {
    fail(folder,
         "{} is FP8 and has no scales under any name that Gyro knows, yet config.json has a quantization_config{}",
         named(name), config.quantization.empty() ? "" : fmt::format(" ({})", printable(config.quantization, 40)));
  }
  const std::string module = name.substr(0, name.rfind('.') + 1);
  const auto& tensors = checkpoint.tensors();
  for (auto at = tensors.lower_bound(module); at != tensors.end() && at->first.starts_with(module); ++at) {
    const bool beside = at->first.find('.', module.size()) == std::string::npos;
    if (beside && at->first.find("scale", module.size()) != std::string::npos && !checkpoint.is_fp8_scale(at->first)) {
      fail(folder, "{} is FP8 and has no scales under any name that Gyro knows; {} lies beside it", named(name),
           named(at->first));
    }
  }
}

// Of several, none says which are meant, unless they are the same.
void check_are_one(const TensorSource& checkpoint, const std::string& name, const std::vector<std::string>& scales) {
  const TensorLease first = checkpoint.read(scales.front());
  for (size_t i = 1; i < scales.size(); ++i) {
    const SourceTensor &a = *checkpoint.find(scales.front()), &b = *checkpoint.find(scales[i]);
    const bool same =
        a.dtype == b.dtype && a.shape == b.shape && std::ranges::equal(first.bytes, checkpoint.read(scales[i]).bytes);
    if (!same)
      fail(checkpoint.path().string(), "{} has two scales that differ, {} and {}", named(name), named(scales.front()),
           named(scales[i]));
  }
}

}  // namespace

std::string unscaled_words(const TensorSource& checkpoint, const std::vector<MatrixSite>& sites) {
  std::set<std::string_view> names;
  for (const MatrixSite& site : sites) {
    if (dtype_is_fp8(checkpoint.find(site.tensor)->dtype) && checkpoint.scales_of(site.tensor).empty())
      names.insert(site.tensor);
  }
  if (names.empty()) return "";
  const bool one = names.size() == 1;
  return fmt::format("{}{} FP8 and {} no scales: the values are taken as they are", named(*names.begin()),
                     one                ? " is"
                     : names.size() > 2 ? fmt::format(" and {} others are", names.size() - 1)
                                        : fmt::format(" and {} are", named(*names.rbegin())),
                     one ? "has" : "have");
}

Scales find_scales(const TensorSource& checkpoint, const std::string& name, const SourceTensor& tensor) {
  const bool fp8 = dtype_is_fp8(tensor.dtype);
  const std::vector<std::string> scales = checkpoint.scales_of(name);
  if (scales.empty()) {
    if (fp8) check_needs_none(checkpoint, name);
    return {};
  }
  check_are_one(checkpoint, name, scales);
  const std::string& scale_name = scales.front();
  const SourceTensor* entry = checkpoint.find(scale_name);
  const std::string folder = checkpoint.path().string();
  if (!fp8) {
    fail(folder, "{} is {}, yet has scales ({})", named(name), dtype_name(tensor.dtype), named(scale_name));
  }
  if (tensor.shape.size() != 2) {
    fail(folder, "{} has FP8 scales and {} dimensions; they are read of matrices only", named(name),
         tensor.shape.size());
  }
  if (!dtype_is_float(entry->dtype)) fail(folder, "{} has the dtype {}", named(scale_name), dtype_name(entry->dtype));
  const int64_t rows = tensor.shape[0], cols = tensor.shape[1];
  if (entry->byte_size() == dtype_size(entry->dtype)) return {scale_name, {nullptr, entry->dtype, 1, rows, cols}};
  using ShapeOf = std::vector<int64_t>;
  if (entry->shape == ShapeOf{rows} || entry->shape == ShapeOf{rows, 1}) {
    return {scale_name, {nullptr, entry->dtype, 1, 1, cols}};
  }
  const ModelConfig& config = checkpoint.config();
  const int64_t block_rows = config.fp8_block_rows > 0 ? config.fp8_block_rows : 128;
  const int64_t block_cols = config.fp8_block_cols > 0 ? config.fp8_block_cols : 128;
  const ShapeOf table = {(rows - 1) / block_rows + 1, (cols - 1) / block_cols + 1};
  if (entry->shape == table) return {scale_name, {nullptr, entry->dtype, table[1], block_rows, block_cols}};
  fail(folder, "{} has the shape [{}]: not one scale, not one for each of {} rows, not [{}] for blocks of {} x {}",
       named(scale_name), fmt::join(entry->shape, ", "), rows, fmt::join(table, ", "), block_rows, block_cols);
}

}  // namespace gyro
