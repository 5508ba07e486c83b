#include "gyro/edit/copy.h"

#include <gtest/gtest.h>

#include "gyro/checkpoint/checkpoint.h"
#include "gyro/checkpoint/test_util.h"

namespace gyro {
namespace {

constexpr const char* kConfig =
    R"({"model_type":"llama","hidden_size":8,"intermediate_size":8,"num_hidden_layers":1,"num_attention_heads":2})";

class PlanTensors : public testing::Test {
 protected:
  std::vector<std::string> names(std::vector<TestTensor> tensors) {
    write_text(dir_ / "config.json", kConfig);
    write_tensors(dir_ / "model.safetensors", std::move(tensors));
    std::vector<std::string> names;
    for (const PlannedTensor& tensor : plan_tensors(Checkpoint(dir_.path()), DType::F32)) names.push_back(tensor.name);
    return names;
  }

  TempDir dir_;
};

using Names = std::vector<std::string>;

TEST_F(PlanTensors, LeaveOutTheScalesOfFp8Tensors) {
  EXPECT_EQ(names({{"a.weight", DType::F8_E4M3, {2, 2}},
                   {"a.weight_scale", DType::F32, {1}},
                   {"a.input_scale", DType::F32, {1}},
                   {"b.weight", DType::F8_E5M2, {2, 2}},
                   {"b.weight_scale_inv", DType::F32, {1, 1}}}),
            (Names{"a.weight", "b.weight"}));
}

TEST_F(PlanTensors, KeepScalesThatAreWeights) {
  EXPECT_EQ(names({{"a.layer_scale", DType::F32, {2}},
                   {"a.weight", DType::BF16, {2, 2}},
                   {"b.weight", DType::F8_E4M3, {2, 2}},
                   {"logit_scale", DType::F32, {}},
                   {"no_weight_scale_inv", DType::F32, {1}}}),
            (Names{"a.layer_scale", "a.weight", "b.weight", "logit_scale", "no_weight_scale_inv"}));
}

TEST_F(PlanTensors, RefuseScalesThatWouldNotBeMultipliedIn) {
  const std::string error = error_of([&] {
    names({{"experts", DType::F8_E4M3, {2, 2, 2}}, {"experts_scale", DType::F32, {2}}});
  });
  EXPECT_EQ(error, "experts: has FP8 scales and 3 dimensions; they are read of matrices only");
}

}  // namespace
}  // namespace gyro
