#include "gyro/edit/overlay.h"

#include <gtest/gtest.h>

#include <set>

#include "gyro/base/test_util.h"
#include "gyro/checkpoint/checkpoint.h"
#include "gyro/edit/build.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;

class Overlay : public testing::TestWithParam<const char*> {
 protected:
  // One variant of each kind of operation, on attention and on the MLP.
  BuildRequest request() const {
    const fs::path model = fs::path(GYRO_SOURCE_DIR) / "models" / GetParam();
    BuildRequest request;
    request.base = std::make_shared<Checkpoint>(model / "base");
    request.post = std::make_shared<Checkpoint>(model / "instruct");
    request.run.threads = 2;
    const auto add = [&](const char* name, const Construction& what, Group on) {
      request.variants.push_back({dir_ / name, what, on, {{MatrixType::Q, 0.9}}, name});
    };
    add("replace", {.operation = Operation::Replace}, Group::All);
    add("restore", {.operation = Operation::Restore, .side = Side::In}, Group::Attention);
    add("noise", {.operation = Operation::Noise, .seed = 3}, Group::Mlp);
    return request;
  }

  // Every tensor of every overlay, read without a disk between, against what is written.
  void expect_written(const BuildRequest& request) {
    ASSERT_TRUE(run_build(request));
    const auto constructions = std::make_shared<const Constructions>(request);
    for (size_t v = 0; v < request.variants.size(); ++v) {
      const std::shared_ptr<const TensorSource> overlay = overlay_of(constructions, v);
      const Checkpoint written(request.variants[v].folder);
      EXPECT_EQ(overlay->dtypes(), written.dtypes());
      ASSERT_EQ(overlay->tensors().size(), written.tensors().size());
      for (const auto& [name, tensor] : written.tensors()) {
        const TensorLease made = overlay->read(name), stored = written.read(name);
        EXPECT_TRUE(std::equal(made.bytes.begin(), made.bytes.end(), stored.bytes.begin(), stored.bytes.end()))
            << name << " of " << request.variants[v].description;
      }
    }
  }

  TempDir dir_;
};

TEST_P(Overlay, HoldsTheBytesThatBuildWrites) {
  expect_written(request());
}

TEST_P(Overlay, InAnotherDtype) {
  BuildRequest request = this->request();
  request.dtype = DType::F32;
  expect_written(request);
}

TEST_P(Overlay, ChangesTheMatricesOfItsGroupAndLayersOnly) {
  BuildRequest request = this->request();
  request.layers = {1};
  const auto overlay = overlay_of(std::make_shared<const Constructions>(request), 1);  // attention
  const ModelMap map = map_model(*overlay);
  std::set<std::string> changed, expected;
  for (const MatrixSite& site : map.sites) {
    if (site.layer == 1 && !type_is_fused(site.type) && in_group(site.type, Group::Attention))
      expected.insert(site.tensor);
  }
  for (const auto& [name, tensor] : overlay->tensors()) {
    const TensorLease a = overlay->read(name), b = request.post->read(name);
    if (!std::equal(a.bytes.begin(), a.bytes.end(), b.bytes.begin(), b.bytes.end())) changed.insert(name);
  }
  EXPECT_EQ(changed, expected);
}

// A construction is a model like any other: it can be the post of another construction.
TEST_P(Overlay, IsASourceForAnotherConstruction) {
  BuildRequest request = this->request();
  const auto constructions = std::make_shared<const Constructions>(request);
  BuildRequest second = request;
  second.post = overlay_of(constructions, 2);
  second.variants.resize(1);
  BuildRequest from_disk = second;
  ASSERT_TRUE(run_build(request));
  from_disk.post = std::make_shared<Checkpoint>(request.variants[2].folder);
  const auto a = overlay_of(std::make_shared<const Constructions>(second), 0);
  const auto b = overlay_of(std::make_shared<const Constructions>(from_disk), 0);
  for (const auto& [name, tensor] : a->tensors()) {
    const TensorLease x = a->read(name), y = b->read(name);
    EXPECT_TRUE(std::equal(x.bytes.begin(), x.bytes.end(), y.bytes.begin(), y.bytes.end())) << name;
  }
}

TEST(OverlayIdentity, IsOfContentAndRecipe) {
  const fs::path model = fs::path(GYRO_SOURCE_DIR) / "models/pico-qwen2";
  const auto identity = [&](const fs::path& base, double scale) {
    BuildRequest request;
    request.base = std::make_shared<Checkpoint>(base);
    request.post = std::make_shared<Checkpoint>(model / "instruct");
    request.variants = {{"x", {}, Group::All, {{MatrixType::Q, scale}}, ""}};
    return overlay_of(std::make_shared<const Constructions>(request), 0)->identity();
  };
  const std::string one = identity(model / "base", 1);
  EXPECT_EQ(identity(model / "instruct/../base/", 1), one);
  EXPECT_NE(identity(model / "base", 1.0000001), one);
  EXPECT_NE(identity(model / "instruct", 1), one);
}

INSTANTIATE_TEST_SUITE_P(Pico, Overlay, testing::Values("pico-qwen2", "pico-phi3"),
                         [](const auto& family) { return std::string(family.param).substr(5); });

}  // namespace
}  // namespace gyro
