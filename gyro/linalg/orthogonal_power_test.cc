#include "gyro/linalg/orthogonal_power.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "gyro/base/random.h"

namespace gyro::linalg {
namespace {

Matrix random_orthogonal(int64_t n, uint64_t seed) {
  Matrix g(n, n);
  Random(seed).normals({g.data(), static_cast<size_t>(n * n)}, 1);
  Svd parts = svd(std::move(g));
  return product(Op::None, Op::Transpose, parts.u, parts.v);
}

/// Z diag(rotations by the angles, then `ones` times 1, then `mirrors` times −1) Zᵀ
Matrix rotation(const Matrix& z, const std::vector<double>& angles, int64_t mirrors = 0) {
  const int64_t n = z.rows();
  Matrix blocks = Matrix::zeros(n, n);
  for (int64_t i = 0; i < n; ++i) blocks(i, i) = i < n - mirrors ? 1 : -1;
  for (size_t k = 0; k < angles.size(); ++k) {
    const auto i = static_cast<int64_t>(2 * k);
    blocks(i, i) = blocks(i + 1, i + 1) = std::cos(angles[k]);
    blocks(i + 1, i) = std::sin(angles[k]);
    blocks(i, i + 1) = -std::sin(angles[k]);
  }
  return product(Op::None, Op::Transpose, product(Op::None, Op::None, z, blocks), z);
}

double distance(const Matrix& a, const Matrix& b) {
  double sum = 0;
  for (int64_t i = 0; i < a.rows() * a.cols(); ++i) sum += (a.data()[i] - b.data()[i]) * (a.data()[i] - b.data()[i]);
  return std::sqrt(sum);
}

Matrix identity(int64_t n) {
  return rotation(random_orthogonal(n, 1), {});
}

constexpr double kTiny = 1e-12;

TEST(OrthogonalPower, KnownAngles) {
  const Matrix z = random_orthogonal(9, 2);
  const std::vector<double> angles = {0.1, 1.2, -2.5, 3.1};
  for (const double t : {-0.7, 0.0, 0.25, 0.5, 1.0, 1.6}) {
    std::vector<double> turned = angles;
    for (double& angle : turned) angle *= t;
    EXPECT_LT(distance(orthogonal_power(rotation(z, angles), t), rotation(z, turned)), kTiny) << t;
  }
}

TEST(OrthogonalPower, TinyAngles) {
  const Matrix z = random_orthogonal(6, 3);
  EXPECT_LT(distance(orthogonal_power(rotation(z, {1e-9, 1e-12, 1e-5}), 0.5), rotation(z, {5e-10, 5e-13, 5e-6})),
            kTiny);
}

TEST(OrthogonalPower, EqualAngles) {
  const Matrix z = random_orthogonal(8, 4);
  EXPECT_LT(distance(orthogonal_power(rotation(z, {0.8, 0.8, 0.8}), 0.5), rotation(z, {0.4, 0.4, 0.4})), kTiny);
}

TEST(OrthogonalPower, EndsAndSums) {
  for (const uint64_t seed : {5, 6, 7, 8}) {
    Matrix q = random_orthogonal(20, seed);
    EXPECT_LT(distance(orthogonal_power(q.clone(), 1), q), kTiny);
    EXPECT_LT(distance(orthogonal_power(q.clone(), 0), identity(20)), kTiny);
  }
  const Matrix q = rotation(random_orthogonal(10, 9), {0.3, 1.0, 2.0, 3.0});
  const Matrix sum = product(Op::None, Op::None, orthogonal_power(q.clone(), 0.3), orthogonal_power(q.clone(), 0.7));
  EXPECT_LT(distance(sum, q), kTiny);
}

TEST(OrthogonalPower, HalfTurnIsAPairOfMirrors) {
  const Matrix z = random_orthogonal(5, 10);
  const Matrix q = rotation(z, {0.4}, 2);
  const Matrix root = orthogonal_power(q.clone(), 0.5);
  EXPECT_LT(distance(product(Op::None, Op::None, root, root), q), kTiny);
  EXPECT_LT(distance(product(Op::Transpose, Op::None, root, root), identity(5)), kTiny);
}

TEST(OrthogonalPower, MirrorShrinksThroughZero) {
  const Matrix z = random_orthogonal(3, 11);
  const Matrix q = rotation(z, {}, 1);
  const Matrix half = orthogonal_power(q.clone(), 0.5), quarter = orthogonal_power(q.clone(), 0.25);
  EXPECT_NEAR(norm(half), std::sqrt(2.0), kTiny);
  EXPECT_NEAR(norm(quarter), std::sqrt(2.5), kTiny);
  EXPECT_LT(distance(orthogonal_power(q.clone(), 1), q), kTiny);
}

TEST(OrthogonalPower, SmallSizes) {
  EXPECT_TRUE(orthogonal_power(Matrix(0, 0), 0.5).rows() == 0);
  Matrix one(1, 1);
  one(0, 0) = 1;
  EXPECT_EQ(orthogonal_power(std::move(one), 0.3)(0, 0), 1);
}

}  // namespace
}  // namespace gyro::linalg
