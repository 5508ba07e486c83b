#include "gyro/edit/variants.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "gyro/checkpoint/checkpoint.h"
#include "gyro/edit/overlay.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;

std::vector<float> values_of(const TensorSource& source, const std::string& name) {
  const TensorLease lease = source.read(name);
  std::vector<float> out(lease.bytes.size() / sizeof(float));
  std::memcpy(out.data(), lease.bytes.data(), lease.bytes.size());
  return out;
}

// Two variants of a shipped pair, in F32, and the post as it is.
struct Made {
  std::shared_ptr<const TensorSource> post, replace, noise;
};

Made make(const char* family, uint64_t seed) {
  const fs::path model = fs::path(GYRO_SOURCE_DIR) / "models" / family;
  BuildRequest request;
  request.base = std::make_shared<Checkpoint>(model / "base");
  request.post = std::make_shared<Checkpoint>(model / "instruct");
  request.dtype = DType::F32;
  request.run.threads = 2;
  for (const char* name : {"replace", "replace-noise"}) {
    request.variants.push_back(named_variant(name).value().variant);
    request.variants.back().what.seed = seed;
  }
  const auto made = std::make_shared<const Constructions>(request);
  BuildRequest untouched = request;
  untouched.layers = {99};  // of no matrix: the post in F32
  return {overlay_of(std::make_shared<const Constructions>(untouched), 0), overlay_of(made, 0), overlay_of(made, 1)};
}

class ReplaceNoise : public testing::TestWithParam<const char*> {};

TEST_P(ReplaceNoise, IsAsFarFromThePostAsReplaceTensorByTensorElsewhere) {
  const Made made = make(GetParam(), 3), other = make(GetParam(), 4);
  int changed = 0;
  for (const auto& [name, tensor] : made.post->tensors()) {
    const std::vector<float> post = values_of(*made.post, name), replace = values_of(*made.replace, name),
                             noise = values_of(*made.noise, name), again = values_of(*other.noise, name);
    double of_replace = 0, of_noise = 0, product = 0, apart = 0;
    for (size_t i = 0; i < post.size(); ++i) {
      const double a = static_cast<double>(replace[i]) - post[i], b = static_cast<double>(noise[i]) - post[i];
      of_replace += a * a;
      of_noise += b * b;
      product += a * b;
      apart += std::abs(static_cast<double>(again[i]) - noise[i]);
    }
    if (of_replace == 0) {
      EXPECT_EQ(of_noise, 0) << name;
      continue;
    }
    ++changed;
    EXPECT_NEAR(std::sqrt(of_noise / of_replace), 1, 1e-5) << name;
    EXPECT_LT(std::abs(product), 6 * of_noise / std::sqrt(static_cast<double>(post.size()))) << name;
    EXPECT_GT(apart, 0) << name << ": another seed, another noise";
  }
  EXPECT_EQ(changed, std::string(GetParam()) == "pico-phi3" ? 12 : 21);
}

INSTANTIATE_TEST_SUITE_P(Pico, ReplaceNoise, testing::Values("pico-qwen2", "pico-phi3"),
                         [](const auto& family) { return std::string(family.param).substr(5); });

TEST(NamedVariant, OneRuleSaysWhichAreControls) {
  for (const std::string& name : control_variant_names()) EXPECT_TRUE(is_control_variant(name)) << name;
  for (const char* name : {"noise", "noise-all", "base-all", "replace-noise", "replace-fake", "restore-all-in-fake"}) {
    EXPECT_TRUE(is_control_variant(name)) << name;
  }
  for (const std::string& name : paper_variant_names()) EXPECT_FALSE(is_control_variant(name)) << name;
  for (const char* name : {"restore-mlp-out-sibling", "original", "x-fake", ""}) EXPECT_FALSE(is_control_variant(name));
}

TEST(NamedVariant, ControlsOfReplace) {
  const NamedVariant fake = named_variant("replace-fake").value(), noise = named_variant("replace-noise").value();
  EXPECT_EQ(fake.base, VariantBase::Fake);
  EXPECT_FALSE(fake.variant.what.as_noise);
  EXPECT_EQ(noise.base, VariantBase::Base);
  EXPECT_TRUE(noise.variant.what.as_noise);
  EXPECT_FALSE(fake.scaled || noise.scaled);
  EXPECT_EQ(
      describe(noise.variant),
      "the post plus gaussian noise (seed 0) of the norm, matrix by matrix, of what this changes: every attention "
      "and MLP matrix is U_p (α′ Σ_b) V_pᵀ (eq. 9), α′: 1 (eq. 14)");
  EXPECT_FALSE(named_variant("replace-fake-noise") || named_variant("replace-none"));
}

}  // namespace
}  // namespace gyro
