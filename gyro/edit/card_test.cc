#include "gyro/edit/card.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "gyro/checkpoint/checkpoint.h"
#include "gyro/checkpoint/test_util.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using Names = std::vector<std::string>;

class Companions : public testing::Test {
 protected:
  Companions() {
    write_text(dir_ / "config.json", "{}");
    write_tensors(dir_ / "model.safetensors", {{"w", DType::F32, {2}}});
  }

  Checkpoint model() const { return Checkpoint(dir_.path()); }
  Names names() const { return companion_files(model()); }

  TempDir dir_;
};

TEST_F(Companions, TokenizerTemplateCodeAndLicence) {
  const Names files = {"LICENSE",
                       "NOTICE",
                       "USE_POLICY.md",
                       "added_tokens.json",
                       "chat_template.jinja",
                       "generation_config.json",
                       "license.txt",
                       "merges.txt",
                       "modeling_own.py",
                       "preprocessor_config.json",
                       "qwen.tiktoken",
                       "special_tokens_map.json",
                       "tokenizer.json",
                       "tokenizer.model",
                       "tokenizer_config.json",
                       "vocab.json"};
  for (const std::string& name : files) write_text(dir_ / name, "x");
  EXPECT_EQ(names(), files);
}

TEST_F(Companions, NoWeightsOfAnyFormatNorWhatDescribesThem) {
  for (const char* name : {"flax_model.msgpack",
                           "tf_model.h5",
                           "pytorch_model.bin",
                           "consolidated.00.pth",
                           "model.gguf",
                           "model.onnx",
                           "model.onnx_data",
                           "rust_model.ot",
                           "model.pt",
                           "adapter_model.bin",
                           "adapter_model.safetensors",
                           "model.ckpt",
                           "other.safetensors",
                           "weights.npz",
                           "model.mlmodel",
                           "optimizer.pt",
                           "pytorch_model.bin.index.json",
                           "tf_model.h5.index.json",
                           "flax_model.msgpack.index.json",
                           "adapter_config.json",
                           "hf_quant_config.json",
                           "quantize_config.json",
                           "README.md",
                           "gyro.json",
                           ".gitattributes",
                           ".hidden.json",
                           "unknown"})
    write_text(dir_ / name, "x");
  fs::create_directory(dir_ / "folder.json");
  fs::create_directory_symlink("gone", dir_ / "dangling.json");
  EXPECT_EQ(names(), Names{});
}

TEST_F(Companions, TooLargeIsSaidBeforeAnyWork) {
  write_text(dir_ / "tokenizer.json", "{}");
  fs::resize_file(dir_ / "tokenizer.json", (size_t{256} << 20) + 1);
  const std::string error = error_of([&] { names(); });
  EXPECT_TRUE(contains(error, "tokenizer.json: is 268435457 bytes long, more than the 268435456 that")) << error;
}

TEST_F(Companions, ConfigWithDtype) {
  const Json quantised = {{"quant_method", "fp8"}};
  const Json text = {{"torch_dtype", "bfloat16"}, {"hidden_size", 8}, {"quantization_config", quantised}};
  const Json config = {
      {"model_type", "gemma3"}, {"dtype", "bfloat16"}, {"text_config", text}, {"quantization_config", quantised}};
  write_text(dir_ / "config.json", config.dump());
  EXPECT_EQ(Json::parse(config_with_dtype(model(), std::nullopt)), config);
  const Json expected = {{"model_type", "gemma3"},
                         {"dtype", "float32"},
                         {"torch_dtype", "float32"},
                         {"text_config", {{"torch_dtype", "float32"}, {"hidden_size", 8}}}};
  EXPECT_EQ(Json::parse(config_with_dtype(model(), DType::F32)), expected);
}

}  // namespace
}  // namespace gyro
