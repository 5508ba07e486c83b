// Adapters of a GPT-2, whose modules store W as d_in x d_out, against the weights that PEFT merges them into
// (tests/reference/conv1d_goldens.py).

#include <gtest/gtest.h>

#include <cmath>

#include "gyro/base/test_util.h"
#include "gyro/checkpoint/safetensors.h"
#include "gyro/open/open.h"

namespace gyro {
namespace {

class Conv1d : public testing::TestWithParam<const char*> {};

TEST_P(Conv1d, IsMergedAsByPeft) {
  const std::filesystem::path folder =
      std::filesystem::path(GYRO_SOURCE_DIR) / "tests" / "goldens" / "conv1d" / GetParam();
  const auto adapter = open_model(folder.string());
  const SafetensorsFile merged(folder / "merged.safetensors");
  ASSERT_EQ(merged.header().tensors.size(), 3u);
  for (const auto& [name, info] : merged.header().tensors) {
    const std::string own = "transformer." + name;
    const SourceTensor* tensor = adapter->find(own);
    ASSERT_TRUE(tensor) << own;
    ASSERT_EQ(tensor->shape, info.shape) << own;
    ASSERT_EQ(tensor->dtype, DType::F64) << own;
    const size_t count = tensor->byte_size() / sizeof(double);
    std::vector<double> found(count), expected(count);
    widen(DType::F64, adapter->read(own).bytes.data(), count, found.data());
    widen(info.dtype, merged.bytes(info).data(), count, expected.data());
    for (size_t i = 0; i < count; ++i) EXPECT_NEAR(found[i], expected[i], 2e-6 * (1 + std::abs(expected[i]))) << own;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Conv1d, testing::Values("plain", "dora"), [](const auto& test) { return test.param; });

}  // namespace
}  // namespace gyro
