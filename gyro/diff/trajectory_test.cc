#include "gyro/diff/trajectory.h"

#include <gtest/gtest.h>

#include <cmath>

#include "gyro/spectra/test_util.h"

namespace gyro {
namespace {

LeadingVectors leading(const Matrix& base, const Matrix& post, int64_t k) {
  PairOptions options;
  options.leading = k;
  const PairMeasure m = compare(base, post, options);
  return {m.leading_u, m.leading_v};
}

// Against the overlap of the vectors themselves: those of step and last, by decompositions of their own.
TEST(Drift, IsTheOverlapOfTheCheckpointsThemselves) {
  for (const auto& [d_in, d_out] : {std::pair<int64_t, int64_t>{40, 24}, {24, 40}, {30, 30}}) {
    const int64_t n = std::min(d_in, d_out), k = 3;
    const Matrix base = with_spectrum(d_in, d_out, linear_spectrum(n, 3, 0.4), 1);
    const Matrix step = combined(1, base, 0.05, gaussian(d_in, d_out, 2));
    const Matrix last = combined(1, step, 0.05, gaussian(d_in, d_out, 3));
    MatrixSite site;
    site.d_in = d_in;
    site.d_out = d_out;
    const LeadingVectors at_step = leading(base, step, k), at_last = leading(base, last, k);
    const SubspaceDrift drift = drift_of(at_step, at_last, site);
    const LeadingVectors direct = leading(step, last, k);
    const auto block = [&](const Matrix& q) {
      double sum = 0;
      for (int64_t j = 0; j < k; ++j) {
        for (int64_t i = 0; i < k; ++i) sum += q(i, j) * q(i, j);
      }
      return sum / k;
    };
    EXPECT_NEAR(drift.to_base_u, block(*at_step.u), 1e-12);
    EXPECT_NEAR(drift.to_base_v, block(*at_step.v), 1e-12);
    EXPECT_EQ(std::isnan(drift.to_last_u), d_in > d_out);
    EXPECT_EQ(std::isnan(drift.to_last_v), d_out > d_in);
    if (d_in <= d_out) {
      EXPECT_NEAR(drift.to_last_u, block(*direct.u), 1e-9);
    }
    if (d_out <= d_in) {
      EXPECT_NEAR(drift.to_last_v, block(*direct.v), 1e-9);
    }
    const SubspaceDrift own = drift_of(at_last, at_last, site);
    EXPECT_NEAR(d_in <= d_out ? own.to_last_u : own.to_last_v, 1, 1e-9);
  }
}

Comparison step_of(double change, double scale) {
  Comparison comparison{.post = {.id = "s"}, .role = Role::Post};
  comparison.types.push_back({.type = MatrixType::Q, .alpha_mean = scale, .relative_change_mean = change});
  return comparison;
}

const TrajectoryLine& line_of(const Trajectory& trajectory, const std::string& figure) {
  for (const TrajectoryLine& line : trajectory.lines) {
    if (line.figure == figure) return line;
  }
  throw std::logic_error("no such line");
}

TEST(Trajectory, SaysWhenAFigureTurned) {
  std::vector<Comparison> steps = {step_of(0.1, 0.99), step_of(0.3, 0.96), step_of(0.4, 0.9)};
  steps.push_back(step_of(9, 9));
  steps.back().role = Role::Control;
  const Trajectory found = trajectory_of(steps);
  EXPECT_EQ(found.steps.size(), 3u);
  const TrajectoryLine& change = line_of(found, "relative_change");
  EXPECT_EQ(change.values, (std::vector<double>{0.1, 0.3, 0.4}));
  EXPECT_EQ(change.half_way, 1);
  EXPECT_EQ(line_of(found, "alpha_mean").half_way, 2);  // 0.96 has gone 0.04 of 0.1
  EXPECT_FALSE(line_of(found, "erank").half_way);
  const Trajectory still = trajectory_of({step_of(0, 1), step_of(0, 1)});
  EXPECT_FALSE(line_of(still, "relative_change").half_way);
  const Trajectory rounding = trajectory_of({step_of(0.1, 0.9), step_of(0, 1 - 1e-15)});  // goes, and comes back
  EXPECT_FALSE(line_of(rounding, "alpha_mean").half_way);
  steps.resize(3);
  steps.back().types[0].layers = 2;
  steps.back().types[0].untouched = 2;  // whose figures are rounding alone
  EXPECT_FALSE(line_of(trajectory_of(steps), "alpha_mean").half_way);
}

}  // namespace
}  // namespace gyro
