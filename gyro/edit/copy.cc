#include "gyro/edit/copy.h"

#include <algorithm>
#include <cmath>

#include "gyro/base/error.h"
#include "gyro/spectra/tall.h"
#include "gyro/tensor/narrow.h"

namespace gyro {
namespace {

constexpr int64_t kPanelValues = 1 << 18;

DType output_dtype(std::optional<DType> wanted, const std::string& name, DType stored) {
  if (!dtype_is_float(stored)) return stored;
  const DType dtype = wanted.value_or(stored);
  if (!dtype_is_writable(dtype)) {
    fail({ErrorKind::Input, "dtype"}, name, "is {}, which is read but not written", dtype_name(dtype));
  }
  return dtype;
}

// What is no matrix is read without scales: it may not have any.
void check_scales(const TensorSource& model, const std::string& name, const SourceTensor& info) {
  if (info.shape.size() == 2) return;
  if (dtype_is_fp8(info.dtype) && !model.scales_of(name).empty())
    fail(name, "has FP8 scales and {} dimensions; they are read of matrices only", info.shape.size());
}

// A whole tensor as a weight, with its FP8 scales; what is no matrix as a column.
Weight whole_tensor(const TensorSource& model, const std::string& name) {
  const SourceTensor& info = *model.find(name);
  if (info.shape.size() == 2) {
    return load_weight(model,
                       {.tensor = name, .row_end = info.shape[0], .d_in = info.shape[1], .d_out = info.shape[0]});
  }
  const TensorLease lease = model.read(name);
  Weight column{
      .name = name, .dtype = info.dtype, .data = lease.bytes.data(), .cols = 1, .scale = {}, .owner = lease.owner};
  column.rows = static_cast<int64_t>(lease.bytes.size() / dtype_size(info.dtype));
  return column;
}

// narrow, where nothing finite may become infinite. `back` is for its use.
void narrow_checked(const std::string& name, DType dtype, const std::vector<double>& values, size_t count,
                    std::byte* out, std::vector<double>& back) {
  narrow(dtype, values.data(), count, out);
  widen(dtype, out, count, back.data());
  for (size_t i = 0; i < count; ++i) {
    if (std::isfinite(values[i]) && !std::isfinite(back[i]))
      fail({ErrorKind::Input, "dtype"}, name, "holds a weight too large for {}", dtype_name(dtype));
  }
}

}  // namespace

std::vector<PlannedTensor> plan_tensors(const TensorSource& model, std::optional<DType> dtype) {
  std::vector<PlannedTensor> plan;
  for (const auto& [name, entry] : model.tensors()) {
    if (model.is_fp8_scale(name)) continue;  // it is multiplied in
    check_scales(model, name, entry);
    plan.push_back({name, output_dtype(dtype, name, entry.dtype), entry.shape});
  }
  return plan;
}

Bytes copy_tensor(const TensorSource& model, const PlannedTensor& planned) {
  if (planned.dtype == model.find(planned.name)->dtype) {
    const TensorLease lease = model.read(planned.name);
    return {lease.bytes.begin(), lease.bytes.end()};
  }
  const Weight weight = whole_tensor(model, planned.name);
  Bytes out(planned.byte_size());
  // By panels: an embedding in FP64 would be the largest thing in memory.
  const int64_t panel = std::max<int64_t>(1, kPanelValues / std::max<int64_t>(1, weight.cols));
  std::vector<double> values(static_cast<size_t>(std::min(panel, weight.rows) * weight.cols)), back(values.size());
  for (int64_t row = 0; row < weight.rows; row += panel) {
    const int64_t end = std::min(row + panel, weight.rows);
    widen(weight, row, end, 0, weight.cols, values.data(), weight.cols);
    std::byte* at = out.data() + static_cast<size_t>(row * weight.cols) * dtype_size(planned.dtype);
    narrow_checked(planned.name, planned.dtype, values, static_cast<size_t>((end - row) * weight.cols), at, back);
  }
  return out;
}

double squared_distance(const Weight& a, const Weight& b) {
  double sum = 0;
  for_each_panel(as_tall(a), as_tall(b),
                 [&](const Panel& x, const Panel& y) { sum += linalg::residual_square(x.data, y.data, 1); });
  return sum;
}

Stored store(const Matrix& values, DType dtype) {
  const auto count = static_cast<size_t>(values.rows() * values.cols());
  Stored stored{Bytes(count * dtype_size(dtype)), 0};
  narrow(dtype, values.data(), count, stored.bytes.data());
  Weight back = as_weight(values, "");
  back.dtype = dtype;
  back.data = stored.bytes.data();
  stored.rounding = squared_distance(back, as_weight(values, ""));
  if (!std::isfinite(stored.rounding))
    fail({ErrorKind::Input, "dtype"}, std::string(dtype_name(dtype)), "cannot hold a weight this large");
  return stored;
}

}  // namespace gyro
