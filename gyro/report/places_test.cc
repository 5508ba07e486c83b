#include "gyro/report/places.h"

#include <gtest/gtest.h>

#include <cmath>

namespace gyro {
namespace {

Json matrix(int64_t layer, int64_t expert, double alpha) {
  Json row = {{"layer", layer},
              {"type", expert < 0 ? "W_Q" : "W_up"},
              {"method", "gram"},
              {"flags", Json::array()},
              {"alpha_mean", alpha},
              {"alpha_error", alpha / 100},
              {"scale", 2},
              {"energy", {{"total", alpha}}},
              {"null", {{"valid", true}, {"nf", nullptr}}}};
  if (expert >= 0) row["expert"] = expert;
  return row;
}

// One W_Q a layer, and so many experts.
Json matrices(int64_t experts) {
  Json all = Json::array();
  for (int64_t layer = 0; layer < 2; ++layer) {
    all.push_back(matrix(layer, -1, 1));
    for (int64_t expert = 0; expert < experts; ++expert)
      all.push_back(matrix(layer, expert, 1 + static_cast<double>(expert)));
  }
  return all;
}

TEST(Places, AreSharedByManyExpertsOnly) {
  const Json few = matrices(5), many = matrices(1001);
  EXPECT_EQ(places_of(few, 2).size(), 12u);
  EXPECT_EQ(places_of(many, 1).size(), 2u * 1002);
  const std::vector<Place> shared = places_of(many, 2);
  ASSERT_EQ(shared.size(), 4u);
  EXPECT_EQ(shared[0], (Place{0}));
  EXPECT_EQ(shared[1].size(), 1001u);
  EXPECT_EQ(shared[3].back(), many.size() - 1);
}

TEST(Places, HaveTheMediansOfTheirMembers) {
  Json all = matrices(5);
  all[3]["method"] = "svd";
  all[4]["flags"] = {"loose_bound"};
  all[2]["null"]["valid"] = false;
  all[1]["alpha_mean"] = nullptr;
  const std::vector<Place> places = {{0}, {1, 2, 3, 4, 5}};
  const Json rows = rows_of(all, places);
  EXPECT_EQ(rows[0], all[0]);
  EXPECT_EQ(rows[1]["alpha_mean"], 3.5);  // of 2, 3, 4, 5
  EXPECT_EQ(rows[1]["alpha_error"], 0.05);
  EXPECT_EQ(rows[1]["method"], "svd");
  EXPECT_EQ(rows[1]["flags"], Json::array({"loose_bound"}));
  EXPECT_EQ(rows[1]["null"]["valid"], false);
  EXPECT_TRUE(rows[1]["null"]["nf"].is_null());
  const Json spread = spreads_of(all, places, "alpha_mean");
  EXPECT_TRUE(spread["low"][0].is_null());
  EXPECT_NEAR(spread["low"][1].get<double>(), 2.3, 1e-12);
  EXPECT_NEAR(spread["high"][1].get<double>(), 4.7, 1e-12);
  EXPECT_EQ(spread["furthest"][1], 2);
  EXPECT_EQ(spread["expert"][1], 1);
  EXPECT_TRUE(spreads_of(all, places, "nothing")["low"][1].is_null());
  const Json sums = sums_of(all, places, std::vector<double>(all.size(), 3));
  EXPECT_TRUE(sums["rest"][0].is_null());
  EXPECT_EQ(sums["rest"][1], 15);
  EXPECT_EQ(sums["scaled"][1], 5 * 36);
}

TEST(Places, HaveWhatNotAllMembersHave) {
  Json all = matrices(5);
  all[3]["null"]["sampled_sd"] = 4;
  all[4]["zero_rows"] = all[5]["zero_rows"] = {{"base", 1}, {"post", 0}, {"either", 1}};
  const Json rows = rows_of(all, {{1, 2, 3, 4, 5}, {7, 8, 9, 10, 11}, {5}});
  EXPECT_EQ(rows[0]["null"]["sampled_sd"], 4);
  EXPECT_EQ(rows[0]["zero_rows"], (Json{{"experts", {3, 4}}}));
  EXPECT_TRUE(rows[1]["zero_rows"].is_null());
  EXPECT_EQ(rows[2]["zero_rows"], all[5]["zero_rows"]);
}

TEST(Places, CurvesHaveTheirMediansAtEachPoint) {
  const float none = std::nanf("");
  EXPECT_EQ(median_of({{1, 2}}), (std::vector<float>{1, 2}));
  EXPECT_EQ(median_of({{1, 9}, {3, 5}, {2, none}}), (std::vector<float>{2, 7}));
  EXPECT_TRUE(std::isnan(median_of({{none}, {none}})[0]));
}

}  // namespace
}  // namespace gyro
