// The models that ship with the repository against what numpy and LAPACK's gesdd got on them (tests/goldens).

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>

#include "gyro/checkpoint/test_util.h"
#include "gyro/diff/result_json.h"
#include "gyro/diff/runner.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;

Json load_json(const fs::path& path) {
  std::ifstream file(path);
  return Json::parse(file);
}

/// A run of one family's base and instruct models, and its arrays.
struct FamilyRun {
  explicit FamilyRun(const std::string& of_family) : family(of_family) {
    const fs::path source = GYRO_SOURCE_DIR;
    golden = load_json(source / "tests/goldens" / family / "base-instruct.json");
    DiffRequest request;
    request.base = source / "models" / family / "base";
    request.posts = {source / "models" / family / "instruct"};
    request.out = dir / "out";
    request.run.threads = 2;
    request.warn = [](const std::string& text) { ADD_FAILURE() << text; };
    comparison = to_json(run_diff(request).result.value())["comparisons"][0];
  }
  Json row(const Json& expected) const {
    for (const Json& row : comparison["matrices"]) {
      if (row["layer"] == expected["layer"] && row["type"] == expected["type"] &&
          row.value("expert", -1) == expected.value("expert", -1)) {
        return row;
      }
    }
    return nullptr;
  }
  std::vector<double> array(const std::string& name) const {
    const SafetensorsFile file(dir / "out/arrays.safetensors");
    const TensorInfo& info = file.header().tensors.find(name)->second;
    std::vector<double> values(static_cast<size_t>(info.shape.at(0)));
    std::memcpy(values.data(), file.bytes(info).data(), 8 * values.size());
    return values;
  }

  std::string family;
  TempDir dir;
  Json golden, comparison;
};

// Of the first and last blocks, of which ΔQ is shown: base and post have determinants of different signs
// (numpy.linalg.slogdet), so that I_orth has an eigenvalue of −1.
const std::set<std::string> kMirrored = {"pico-gemma2 0.W_O", "pico-gemma2 2.W_O", "pico-llama 0.W_Q",
                                         "pico-llama 0.W_O",  "pico-llama 2.W_Q",  "pico-phi3 0.W_Q",
                                         "pico-phi3 0.W_K",   "pico-phi3 0.W_O",   "pico-phi3 2.W_V",
                                         "pico-phi3 2.W_O",   "pico-qwen2 0.W_O",  "pico-qwen3moe 2.W_O"};

/// Goldens print 8 to 10 significant digits; the Gram path's bounds are below 1e-6 of what it prints.
constexpr double kRelative = 1e-6;

void expect_close(const Json& found, const Json& golden, const std::string& what, double relative = kRelative) {
  ASSERT_TRUE(found.is_number()) << what << " is " << found;
  const double expected = golden.get<double>();
  EXPECT_NEAR(found.get<double>(), expected, relative * std::abs(expected)) << what;
}

void check_sigma(const std::vector<double>& sigma, const Json& golden, const std::string& what) {
  ASSERT_EQ(golden.size(), 10u);
  for (size_t i = 0; i < 10; ++i) {
    const double value = i < 8 ? sigma[i] : sigma[sigma.size() - 10 + i];
    expect_close(value, golden[i], what + std::to_string(i));
  }
}

double noise_of(const Json& row) {
  const double mn = row["d_in"].get<double>() * row["d_out"].get<double>();
  return std::sqrt(row["energy"]["total"].get<double>() / mn) / std::abs(row["scale"].get<double>());
}

double median_spacing(const std::vector<double>& sigma, size_t k) {
  std::vector<double> gaps;
  for (size_t j = 0; j + 1 < k; ++j) gaps.push_back(sigma[j] - sigma[j + 1]);
  std::sort(gaps.begin(), gaps.end());
  return gaps[gaps.size() / 2];
}

void check_null(const Json& row, const Json& golden, const std::vector<double>& base_sigma, const std::string& what) {
  const Json& null = row["null"];
  const bool valid =
      row["scale"].get<double>() > 0 && golden["nf"].get<double>() <= 0.3 * row["nf_chance"].get<double>();
  EXPECT_EQ(null["valid"].get<bool>(), valid) << what;
  for (const char* key : {"nf", "nf_robust"}) {
    if (valid) {
      expect_close(null[key], golden[key], what + "null " + key);
    } else {
      EXPECT_TRUE(null[key].is_null()) << what << "null " << key;
    }
  }
  const bool closed = noise_of(row) < 0.1 * median_spacing(base_sigma, row["k"].get<size_t>());
  EXPECT_EQ(null["alpha_method"], closed ? "closed_form" : "sampled") << what;
  if (closed) expect_close(null["alpha_std"], golden["alpha_std"], what + "null alpha_std");
}

void check_row(const FamilyRun& run, const Json& golden) {
  const Json row = run.row(golden);
  std::string where = fmt::format("{}.{}", golden["layer"].get<int>(), golden["type"].get<std::string>());
  if (golden.contains("expert")) where += fmt::format(".{}", golden["expert"].get<int>());
  ASSERT_FALSE(row.is_null()) << where;
  EXPECT_EQ((Json{row["d_in"], row["d_out"]}), golden["shape"]) << where;
  for (const char* key :
       {"alpha_mean", "alpha_std", "nf", "nf_robust", "cosine", "relative_change", "polar_inner", "scale"}) {
    expect_close(row[key], golden[key], where + " " + key);
  }
  const Json &energy = row["energy"], &golden_energy = golden["energy"];
  for (const char* key : {"scaling", "co_rotation", "counter_rotation", "counter_over_co"}) {
    expect_close(energy[key], golden_energy[key], where + " " + key);
  }
  // Leakage is what the other shares leave of 1, so its error is one of 1; square matrices have none.
  EXPECT_NEAR(energy["leakage"].get<double>(), golden_energy["leakage"].get<double>(), 1e-8) << where;
  const std::vector<double> base_sigma = run.array("base." + where + ".sigma");
  check_sigma(base_sigma, golden["sigma_base"], where + " base sigma ");
  check_sigma(run.array("0." + where + ".sigma"), golden["sigma_post"], where + " post sigma ");
  const std::vector<double> turn = run.array("0." + where + ".turn_u");
  // Printed with 6 digits: half a unit of the last is up to 5e-6 of the value.
  for (size_t j = 0; j < 3; ++j) expect_close(turn[j], golden["turn_u_top3"][j], where + " turn", 6e-6);
  check_null(row, golden["null_closed_form"], base_sigma, where + " ");
  const bool mirrored = kMirrored.contains(run.family + " " + where);
  EXPECT_EQ(row["flags"], mirrored ? Json({"mirrored_direction"}) : Json::array()) << where;
  EXPECT_EQ(row["rank"], row["n"]) << where;
}

void check_pools(const FamilyRun& run) {
  size_t found = 0;
  for (const Json& type : run.comparison["types"]) {
    const auto name = type["type"].get<std::string>();
    if (!run.golden["pooled"].contains(name)) continue;
    ++found;
    const Json& golden = run.golden["pooled"][name];
    expect_close(type["alpha_mean"], golden["alpha"][0], name + " alpha_mean");
    expect_close(type["alpha_std"], golden["alpha"][1], name + " alpha_std");
    expect_close(type["nf_mean"], golden["nf_mean"], name + " nf_mean");
    expect_close(type["nf_max"], golden["nf_max"], name + " nf_max");
    expect_close(type["relative_change_mean"], golden["relative_change_mean"], name + " relative_change");
    expect_close(type["scale_mean"], golden["best_scalar_mean"], name + " scale");
  }
  EXPECT_EQ(found, run.golden["pooled"].size());
}

void check_family(const std::string& family) {
  const FamilyRun run(family);
  const Json& matrices = run.comparison["matrices"];
  const auto routers = std::count_if(matrices.begin(), matrices.end(),
                                     [](const Json& row) { return row["type"] == "W_router"; });  // not in the goldens
  ASSERT_EQ(matrices.size() - static_cast<size_t>(routers), run.golden["matrices"].size());
  for (const Json& golden : run.golden["matrices"]) check_row(run, golden);
  check_pools(run);
}

TEST(Goldens, Llama) {
  check_family("pico-llama");
}
TEST(Goldens, Mistral) {
  check_family("pico-mistral");
}
TEST(Goldens, Qwen2) {
  check_family("pico-qwen2");
}
TEST(Goldens, Gemma2) {
  check_family("pico-gemma2");
}
TEST(Goldens, Qwen3Moe) {
  check_family("pico-qwen3moe");
}
TEST(Goldens, Phi3) {
  check_family("pico-phi3");
}

}  // namespace
}  // namespace gyro
