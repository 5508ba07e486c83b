#include "gyro/diff/plan.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "gyro/diff/execute.h"
#include "gyro/diff/result_json.h"
#include "gyro/diff/runner.h"
#include "gyro/diff/test_util.h"

namespace gyro {
namespace {

class PlanTest : public testing::Test {
 protected:
  PlanTest() {
    TinyModel().write(dir / "base", [](int64_t layer, const std::string& name, int64_t d_in, int64_t d_out) {
      return gaussian_for(layer, name, d_in, d_out, 1);
    });
    TinyModel().write(dir / "post", [](int64_t layer, const std::string& name, int64_t d_in, int64_t d_out) {
      return combined(0.9, gaussian_for(layer, name, d_in, d_out, 1), 0.1, gaussian_for(layer, name, d_in, d_out, 2));
    });
    request.base = dir / "base";
    request.posts = {dir / "post"};
    request.controls = {"noise"};
    request.run.threads = 1;
  }
  std::string fingerprint() const { return plan_diff(request).head.fingerprint; }

  TempDir dir;
  DiffRequest request;
};

TEST_F(PlanTest, OrdersUnitsByTheirWork) {
  const DiffPlan plan = plan_diff(request);
  ASSERT_EQ(plan.units.size(), 14u);
  EXPECT_EQ(std::set<int64_t>(plan.order.begin(), plan.order.end()).size(), 14u);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(plan.unit(plan.order[static_cast<size_t>(i)]).d_out, 32);  // W_Q, W_O: square
  EXPECT_EQ(plan.unit(plan.order[4]).type, MatrixType::Gate);
  EXPECT_EQ(plan.unit(plan.order[13]).type, MatrixType::V);
}

// Units may be computed in any order and place, go there and back as bytes, and give what a run gives.
TEST_F(PlanTest, UnitsMakeTheResultWhereverTheyAreComputed) {
  request.arrays = true;
  const DiffPlan plan = plan_diff(request);
  std::map<int64_t, UnitResult> units;
  for (auto unit = static_cast<int64_t>(plan.units.size()) - 1; unit >= 0; --unit) {
    const std::vector<uint8_t> bytes = encode_unit(unit, compute_unit(plan, unit));
    units.insert(decode_unit(std::as_bytes(std::span(bytes))));
  }
  DiffResult assembled = assemble(plan, std::move(units));
  const auto outside = outside_of(plan, request.run).value();
  for (size_t i = 0; i < outside.size(); ++i) assembled.comparisons[i].outside = outside[i];
  const DiffResult run = run_diff(request).result.value();
  EXPECT_EQ(result_text(assembled), result_text(run));
  EXPECT_EQ(assembled.comparisons.size(), 2u);
  ASSERT_EQ(assembled.arrays.size(), run.arrays.size());
  EXPECT_EQ(assembled.arrays.at("1.1.W_Q.turn_u").bytes, run.arrays.at("1.1.W_Q.turn_u").bytes);
}

TEST_F(PlanTest, ExecutesTheUnitsItIsGiven) {
  const DiffPlan plan = plan_diff(request);
  std::vector<int64_t> seen;
  EXPECT_TRUE(execute(plan, {5, 2}, request.run, [&](int64_t unit, const UnitResult& result) {
    seen.push_back(unit);
    EXPECT_EQ(result.rows.at(0).type, plan.unit(unit).type);
    EXPECT_TRUE(result.arrays.empty());
  }));
  EXPECT_EQ(seen, (std::vector<int64_t>{5, 2}));
  request.run.stop = [] { return true; };
  EXPECT_FALSE(execute(plan, {1}, request.run, [](int64_t, const UnitResult&) { FAIL(); }));
}

TEST_F(PlanTest, TheFingerprintIsOfContentAndOptions) {
  const std::string first = fingerprint();
  request.base = (dir / "base/").string();
  request.posts = {(dir / "./post").string()};
  request.run.threads = 2;
  request.layers = {0, -1};  // all there are
  EXPECT_EQ(fingerprint(), first);
  std::set<std::string> others = {first};
  const auto expect_another = [&](const char* what) { EXPECT_TRUE(others.insert(fingerprint()).second) << what; };
  request.layers = {1};
  expect_another("layers");
  request.null_draws = 2;
  expect_another("null_draws");
  request.seed = 1;
  expect_another("seed");
  request.controls = {dir / "base"};
  expect_another("control");
  request.posts = {dir / "base"};
  expect_another("post");
  request.base = dir / "post";
  expect_another("base");
}

}  // namespace
}  // namespace gyro
