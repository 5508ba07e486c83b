#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "gyro/checkpoint/source.h"
#include "gyro/tensor/dtype.h"
#include "gyro/tensor/matrix.h"
#include "gyro/tensor/weight.h"

namespace gyro::python {

namespace nb = nanobind;

/// A model as Python holds one: gyro._core.Model.
struct Model {
  std::shared_ptr<const TensorSource> source;
};

/// Bytes that lie in the host's memory one after the other, as Python hands them over.
using ByteArray = nb::ndarray<const uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
/// An array for Python, of which `owner` keeps the bytes. Shape row-major; read-only.
using ReadOnlyArray = nb::ndarray<nb::numpy, nb::ro>;

/// The bytes of `lease` as uint8.
nb::ndarray<nb::numpy, const uint8_t, nb::ndim<1>> bytes_for_python(TensorLease lease);
/// FP64 values, or FP32, of that shape.
ReadOnlyArray array_for_python(DType dtype, const std::vector<int64_t>& shape, std::span<const std::byte> bytes,
                               std::shared_ptr<const void> owner);
ReadOnlyArray array_for_python(std::vector<double> values);
/// A matrix on the host as a NumPy array of its rows and columns (its memory is column-major); its transpose is of the
/// other order without a copy.
ReadOnlyArray array_for_python(Matrix matrix, bool transposed);

/// Text that may be a path of any bytes, as os.fsdecode has it.
nb::object text_for_python(const std::string& text);

/// The dtype of that safetensors name. Throws Error naming `subject`.
DType dtype_of(const std::string& subject, const std::string& name);
/// A weight over bytes that `data` keeps. Throws Error naming it where they are not as many as dtype and shape say, or
/// are no floating-point numbers.
Weight weight_of(const std::string& name, const std::string& dtype, int64_t rows, int64_t cols, const ByteArray& data);

void add_models(nb::module_& module);
void add_diff(nb::module_& module);
void add_arrays(nb::module_& module);
void add_edit(nb::module_& module);

}  // namespace gyro::python
