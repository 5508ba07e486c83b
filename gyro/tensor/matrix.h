#pragma once

#include <cstdint>
#include <cstring>
#include <memory>

namespace gyro {

/// A column-major block of doubles that somebody else owns: element (i, j) is data[i + j * ld].
struct MatrixView {
  double* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t ld = 0;  ///< >= rows

  double& operator()(int64_t i, int64_t j) const { return data[i + j * ld]; }
  double* col(int64_t j) const { return data + j * ld; }
  MatrixView block(int64_t i, int64_t j, int64_t r, int64_t c) const { return {data + i + j * ld, r, c, ld}; }
};

/// The same, read-only.
struct ConstMatrixView {
  const double* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t ld = 0;

  ConstMatrixView() = default;
  ConstMatrixView(const double* d, int64_t r, int64_t c, int64_t l) : data(d), rows(r), cols(c), ld(l) {}
  ConstMatrixView(const MatrixView& m) : data(m.data), rows(m.rows), cols(m.cols), ld(m.ld) {}
  const double& operator()(int64_t i, int64_t j) const { return data[i + j * ld]; }
  const double* col(int64_t j) const { return data + j * ld; }
  ConstMatrixView block(int64_t i, int64_t j, int64_t r, int64_t c) const { return {data + i + j * ld, r, c, ld}; }
};

/// Uninitialised memory for `count` doubles; large blocks lie on huge pages where the system has them. Throws
/// std::bad_alloc. A large block that is freed waits for the next request of its size on the same thread (the analysis
/// asks for the same few sizes over and over, and the kernel's zeroing of fresh pages costs 8 % of a run).
double* allocate_doubles(int64_t count);
void free_doubles(double* data, int64_t count);

struct FreeDoubles {
  int64_t count = 0;
  void operator()(double* p) const { free_doubles(p, count); }
};

/// Owner of a dense column-major matrix (ld = rows). Not copyable by accident: use clone(). A new matrix is not
/// initialised unless made by zeros().
class Matrix {
 public:
  Matrix() = default;
  Matrix(int64_t rows, int64_t cols)
      : data_(allocate_doubles(rows * cols), FreeDoubles{rows * cols}), rows_(rows), cols_(cols) {}

  static Matrix zeros(int64_t rows, int64_t cols) {
    Matrix m(rows, cols);
    std::memset(m.data(), 0, sizeof(double) * static_cast<size_t>(rows * cols));
    return m;
  }
  Matrix clone() const {
    Matrix m(rows_, cols_);
    std::memcpy(m.data(), data(), sizeof(double) * static_cast<size_t>(rows_ * cols_));
    return m;
  }

  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  bool empty() const { return data_ == nullptr; }
  double* data() { return data_.get(); }
  const double* data() const { return data_.get(); }
  double* col(int64_t j) { return data() + j * rows_; }
  const double* col(int64_t j) const { return data() + j * rows_; }
  double& operator()(int64_t i, int64_t j) { return data_[static_cast<size_t>(i + j * rows_)]; }
  double operator()(int64_t i, int64_t j) const { return data_[static_cast<size_t>(i + j * rows_)]; }

  MatrixView view() { return {data(), rows_, cols_, rows_}; }
  ConstMatrixView view() const { return {data(), rows_, cols_, rows_}; }
  operator MatrixView() { return view(); }
  operator ConstMatrixView() const { return view(); }

 private:
  std::unique_ptr<double[], FreeDoubles> data_;
  int64_t rows_ = 0;
  int64_t cols_ = 0;
};

}  // namespace gyro
