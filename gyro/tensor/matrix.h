#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>

#include "gyro/device/device.h"

namespace gyro {

/// A column-major block of doubles that somebody else owns: element (i, j) is data[i + j * ld]. Elements of a matrix on
/// the device cannot be reached from here, only through linalg.
struct MatrixView {
  double* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t ld = 0;  ///< >= rows
  Space space = Space::Host;

  double& operator()(int64_t i, int64_t j) const { return data[i + j * ld]; }
  double* col(int64_t j) const { return data + j * ld; }
  MatrixView block(int64_t i, int64_t j, int64_t r, int64_t c) const { return {data + i + j * ld, r, c, ld, space}; }
};

/// The same, read-only.
struct ConstMatrixView {
  const double* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t ld = 0;
  Space space = Space::Host;

  ConstMatrixView() = default;
  ConstMatrixView(const double* d, int64_t r, int64_t c, int64_t l, Space s = Space::Host)
      : data(d), rows(r), cols(c), ld(l), space(s) {}
  ConstMatrixView(const MatrixView& m) : data(m.data), rows(m.rows), cols(m.cols), ld(m.ld), space(m.space) {}
  const double& operator()(int64_t i, int64_t j) const { return data[i + j * ld]; }
  const double* col(int64_t j) const { return data + j * ld; }
  ConstMatrixView block(int64_t i, int64_t j, int64_t r, int64_t c) const {
    return {data + i + j * ld, r, c, ld, space};
  }
};

/// `to` = `from`, of one shape, wherever they lie.
void copy(ConstMatrixView from, MatrixView to);

/// Uninitialised memory for `count` doubles; large blocks lie on huge pages where the system has them. Throws
/// std::bad_alloc. A large block that is freed waits for the next request of its size on the same thread (the analysis
/// asks for the same few sizes over and over, and the kernel's zeroing of fresh pages costs 8 % of a run).
double* allocate_doubles(int64_t count);
void free_doubles(double* data, int64_t count);

struct FreeDoubles {
  int64_t count = 0;
  Space space = Space::Host;
  void operator()(double* p) const {
    if (space == Space::Host) {
      free_doubles(p, count);
    } else {
      device::release(p);
    }
  }
};

/// Owner of a dense column-major matrix (ld = rows). Not copyable by accident: use clone(). A new matrix lies where the
/// thread works (device::here()) unless told otherwise, and is not initialised unless made by zeros().
class Matrix {
 public:
  Matrix() = default;
  Matrix(int64_t rows, int64_t cols, Space space = device::here())
      : data_(space == Space::Host ? allocate_doubles(rows * cols)
                                   : static_cast<double*>(device::allocate(sizeof(double) * size_of(rows, cols))),
              FreeDoubles{rows * cols, space}),
        rows_(rows),
        cols_(cols) {}

  static Matrix zeros(int64_t rows, int64_t cols, Space space = device::here()) {
    Matrix m(rows, cols, space);
    if (space == Space::Host) {
      std::memset(m.data(), 0, sizeof(double) * size_of(rows, cols));
    } else {
      device::clear(m.data(), sizeof(double) * size_of(rows, cols));
    }
    return m;
  }
  Matrix clone() const { return copy_of(view(), space()); }
  /// A dense copy of a view, in `space`.
  static Matrix copy_of(ConstMatrixView from, Space space) {
    Matrix m(from.rows, from.cols, space);
    copy(from, m);
    return m;
  }

  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  Space space() const { return data_.get_deleter().space; }
  bool empty() const { return data_ == nullptr; }
  double* data() { return data_.get(); }
  const double* data() const { return data_.get(); }
  double* col(int64_t j) { return data() + j * rows_; }
  const double* col(int64_t j) const { return data() + j * rows_; }
  double& operator()(int64_t i, int64_t j) { return data_[static_cast<size_t>(i + j * rows_)]; }
  double operator()(int64_t i, int64_t j) const { return data_[static_cast<size_t>(i + j * rows_)]; }

  MatrixView view() { return {data(), rows_, cols_, rows_, space()}; }
  ConstMatrixView view() const { return {data(), rows_, cols_, rows_, space()}; }
  operator MatrixView() { return view(); }
  operator ConstMatrixView() const { return view(); }

 private:
  static size_t size_of(int64_t rows, int64_t cols) { return static_cast<size_t>(rows * cols); }

  std::unique_ptr<double[], FreeDoubles> data_;
  int64_t rows_ = 0;
  int64_t cols_ = 0;
};

/// The matrix in `space`: itself if it lies there, else a copy.
inline Matrix moved_to(Space space, Matrix&& matrix) {
  return matrix.space() == space ? std::move(matrix) : Matrix::copy_of(matrix, space);
}

}  // namespace gyro
