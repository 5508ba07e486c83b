#include "gyro/edit/copy.h"

#include <cmath>

#include "gyro/base/error.h"
#include "gyro/tensor/narrow.h"

namespace gyro {
namespace {

bool is_scale(std::string_view name) {
  return name.ends_with("_scale") || name.ends_with("_scale_inv");
}

DType output_dtype(std::optional<DType> wanted, const std::string& name, DType stored) {
  if (!dtype_is_float(stored)) return stored;
  const DType dtype = wanted.value_or(stored);
  if (!dtype_is_writable(dtype))
    fail(name, "is {}, which cannot be written: say --dtype bf16 or f32", dtype_name(dtype));
  return dtype;
}

}  // namespace

std::vector<PlannedTensor> plan_tensors(const Checkpoint& model, std::optional<DType> dtype) {
  std::vector<PlannedTensor> plan;
  for (const auto& [name, entry] : model.tensors()) {
    if (is_scale(name)) continue;  // FP8 scales are multiplied in
    plan.push_back({name, output_dtype(dtype, name, entry.info->dtype), entry.info->shape});
  }
  return plan;
}

Bytes copy_tensor(const Checkpoint::Entry& entry, DType dtype) {
  const std::span<const std::byte> stored = entry.bytes();
  if (dtype == entry.info->dtype) return {stored.begin(), stored.end()};
  const size_t count = stored.size() / dtype_size(entry.info->dtype);
  std::vector<double> values(count);
  widen(entry.info->dtype, stored.data(), count, values.data());
  Bytes out(count * dtype_size(dtype));
  narrow(dtype, values.data(), count, out.data());
  return out;
}

double squared_distance(const Matrix& a, const Matrix& b) {
  double sum = 0;
  for (int64_t i = 0; i < a.rows() * a.cols(); ++i) sum += (a.data()[i] - b.data()[i]) * (a.data()[i] - b.data()[i]);
  return sum;
}

Stored store(const Matrix& values, DType dtype) {
  const auto count = static_cast<size_t>(values.rows() * values.cols());
  Stored stored{Bytes(count * dtype_size(dtype)), 0};
  narrow(dtype, values.data(), count, stored.bytes.data());
  Matrix back(values.rows(), values.cols());
  widen(dtype, stored.bytes.data(), count, back.data());
  stored.rounding = squared_distance(back, values);
  if (!std::isfinite(stored.rounding))
    fail(std::string(dtype_name(dtype)), "cannot hold a weight this large; another --dtype may");
  return stored;
}

}  // namespace gyro
