// Constructions 9 (with α′ = 0.9), 11, 14 and 16 of shipped models against numpy's (tests/goldens).

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "gyro/arch/arch.h"
#include "gyro/base/test_util.h"
#include "gyro/checkpoint/checkpoint.h"
#include "gyro/edit/construct.h"
#include "gyro/edit/copy.h"
#include "gyro/linalg/linalg.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
constexpr double kRelative = 1e-6;

Construction construction_of(const std::string& equation) {
  Construction what;
  what.operation = equation == "9" || equation == "14" ? Operation::Replace : Operation::Restore;
  what.side = equation == "11" ? Side::Out : Side::In;
  what.scale = equation == "9" ? 0.9 : 1;
  return what;
}

class Constructions : public testing::TestWithParam<const char*> {
 protected:
  Constructions()
      : base_(source_ / "models" / GetParam() / "base"), post_(source_ / "models" / GetParam() / "instruct") {
    std::ifstream file(source_ / "tests/goldens" / GetParam() / "base-instruct-constructions.json");
    golden_ = Json::parse(file);
  }

  static const MatrixSite& site(const ModelMap& map, const Json& row) {
    for (const MatrixSite& site : map.sites) {
      if (site.layer == row[0] && type_name(site.type) == row[1].get<std::string>()) return site;
    }
    throw std::runtime_error("no such matrix");
  }

  void check(const Json& row, const Factors& base, const Factors& post) {
    const Matrix built = construct(construction_of(row[2]), base, post);
    const Matrix stored = linalg::widen(*post.a.weight);
    const double norm = linalg::norm(built);
    double sum = 0;
    for (int64_t i = 0; i < built.rows() * built.cols(); ++i) sum += built.data()[i];
    const int64_t m = built.rows(), n = built.cols();
    const double found[] = {std::sqrt(linalg::residual_square(built, stored, 1)),
                            built(0, 0),
                            built(0, 1),
                            built(1, 0),
                            built(m - 1, n - 1),
                            sum};
    // Of an entry, the norm of the matrix a column; of the sum, the norm of all.
    const double entry = norm / std::sqrt(static_cast<double>(n));
    const double scales[] = {norm, entry, entry, entry, entry, norm * std::sqrt(static_cast<double>(m * n))};
    for (size_t k = 0; k < 6; ++k) {
      EXPECT_NEAR(found[k], row[k + 3].get<double>(), kRelative * scales[k])
          << row.dump() << ", column " << golden_["columns"][k + 3];
    }
  }

  const fs::path source_ = GYRO_SOURCE_DIR;
  Checkpoint base_, post_;
  Json golden_;
};

TEST_P(Constructions, AgreeWithNumpy) {
  const ModelMap map = map_model(base_);
  const Json& rows = golden_["rows"];
  ASSERT_EQ(rows.size(), 3u * 7 * 4);
  for (size_t i = 0; i < rows.size(); i += 4) {  // the four of one matrix stand together
    const MatrixSite& matrix = site(map, rows[i]);
    const Weight base = load_weight(base_, matrix), post = load_weight(post_, matrix);
    const auto [b, p] = factorize(base, post);
    for (size_t k = i; k < i + 4; ++k) {
      ASSERT_EQ(rows[k][1], rows[i][1]);
      check(rows[k], b, p);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Pico, Constructions, testing::Values("pico-qwen2", "pico-phi3"),
                         [](const auto& family) { return std::string(family.param).substr(5); });

}  // namespace
}  // namespace gyro
