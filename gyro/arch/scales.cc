#include "gyro/arch/scales.h"

#include <fmt/ranges.h>

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

}  // namespace

Scales find_scales(const TensorSource& checkpoint, const std::string& name, const SourceTensor& tensor) {
  const bool fp8 = dtype_is_fp8(tensor.dtype);
  const std::string scale_name = checkpoint.scale_of(name);
  if (scale_name.empty()) {
    if (fp8) check_needs_none(checkpoint, name);
    return {};
  }
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
