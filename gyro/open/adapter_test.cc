#include "gyro/open/adapter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <random>

#include "gyro/checkpoint/checkpoint.h"
#include "gyro/checkpoint/test_util.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;

using Numbers = std::vector<double>;
constexpr const char* kQ = "model.layers.0.self_attn.q_proj";
constexpr const char* kK = "model.layers.0.self_attn.k_proj";

// A base of a few tensors and adapters of it: numbers are drawn once for each name.
class Adapters : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directory(dir_ / "base");
    fs::create_directory(dir_ / "adapter");
    write_text(dir_ / "base/config.json", R"({"model_type":"llama","tie_word_embeddings":true})");
    write_text(dir_ / "base/tokenizer.json", "base's");
    write_text(dir_ / "base/chat_template.jinja", "base's");
    write_base({tensor(fmt::format("{}.weight", kQ), {6, 4}), tensor(fmt::format("{}.weight", kK), {4, 4}),
                tensor(fmt::format("{}.bias", kQ), {6}), tensor("model.embed_tokens.weight", {7, 4}),
                tensor("model.norm.weight", {4})});
  }

  TestTensor tensor(const std::string& name, const std::vector<int64_t>& shape) {
    size_t count = 1;
    for (const int64_t extent : shape) count *= static_cast<size_t>(extent);
    std::vector<float> drawn(count);
    std::normal_distribution<float> normal;
    for (float& value : drawn) value = normal(engine_);
    values_[name] = Numbers(drawn.begin(), drawn.end());
    return {name, DType::F32, shape, bytes_of(drawn)};
  }
  // The factors of a module of the base, as PEFT names them.
  std::vector<TestTensor> lora(const std::string& module, int64_t rank, int64_t in, int64_t out) {
    const std::string name = "base_model.model." + module;
    return {tensor(name + ".lora_A.weight", {rank, in}), tensor(name + ".lora_B.weight", {out, rank})};
  }
  void write_base(const std::vector<TestTensor>& tensors) { write_tensors(dir_ / "base/model.safetensors", tensors); }

  std::shared_ptr<AdapterSource> open(const std::vector<TestTensor>& tensors, const std::string& fields) {
    write_tensors(dir_ / "adapter/adapter_model.safetensors", tensors);
    return std::make_shared<AdapterSource>(dir_ / "adapter",
                                           parse_lora_config("c", R"({"peft_type":"LORA",)" + fields + "}"),
                                           std::make_shared<Checkpoint>(dir_ / "base"));
  }
  std::string refusal(const std::vector<TestTensor>& tensors, const std::string& fields) {
    const std::string line = error_of([&] { open(tensors, fields); });
    EXPECT_FALSE(contains(line, "\n"));
    return line;
  }

  static Numbers read(const TensorSource& source, const std::string& name) {
    const TensorLease lease = source.read(name);
    const SourceTensor& tensor = *source.find(name);
    Numbers out(tensor.byte_size() / dtype_size(tensor.dtype));
    EXPECT_EQ(lease.bytes.size(), tensor.byte_size());
    widen(tensor.dtype, lease.bytes.data(), out.size(), out.data());
    return out;
  }
  // W + s B A by its definition: rows x cols of W as stored; `turned`: B A is that of its transpose.
  Numbers merged(const std::string& weight, const std::string& a, const std::string& b, int64_t rank, double s,
                 bool turned, size_t cols) const {
    Numbers w = values_.at(weight);
    const Numbers &fa = values_.at(a), &fb = values_.at(b);
    const size_t r = static_cast<size_t>(rank), in = fa.size() / r;
    for (size_t i = 0; i < w.size(); ++i) {
      const size_t out = turned ? i % cols : i / cols, at = turned ? i / cols : i % cols;
      for (size_t k = 0; k < r; ++k) w[i] += s * fb[out * r + k] * fa[k * in + at];
    }
    return w;
  }
  static void expect_close(const Numbers& found, const Numbers& expected) {
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-13 * (1 + std::abs(expected[i])));
  }
  Numbers merged_q(int64_t rank, double s) const {
    const std::string name = std::string("base_model.model.") + kQ;
    return merged(fmt::format("{}.weight", kQ), name + ".lora_A.weight", name + ".lora_B.weight", rank, s, false, 4);
  }

  TempDir dir_;
  std::mt19937 engine_{1};
  std::map<std::string, Numbers> values_;
};

TEST_F(Adapters, AddTheProductOfTheirFactors) {
  const auto adapter = open(lora(kQ, 2, 4, 6), R"("r":2,"lora_alpha":3,"target_modules":["q_proj"])");
  const std::string q = fmt::format("{}.weight", kQ);
  EXPECT_EQ(adapter->find(q)->dtype, DType::F64);
  expect_close(read(*adapter, q), merged_q(2, 1.5));
  EXPECT_EQ(read(*adapter, fmt::format("{}.weight", kK)), values_.at(fmt::format("{}.weight", kK)));
  EXPECT_EQ(adapter->find("model.norm.weight")->dtype, DType::F32);
  // A part of the rows is the same as of all.
  const Numbers all = read(*adapter, q);
  const TensorLease part = adapter->read_rows(q, 2, 5);
  ASSERT_EQ(part.bytes.size(), 3 * 4 * sizeof(double));
  Numbers rows(12);
  std::memcpy(rows.data(), part.bytes.data(), part.bytes.size());
  expect_close(rows, Numbers(all.begin() + 8, all.begin() + 20));
  EXPECT_EQ(adapter->warnings(), std::vector<std::string>{});
  EXPECT_EQ(adapter->path(), dir_ / "adapter");
  EXPECT_EQ(adapter->id(), (dir_ / "adapter").string() + " (LoRA of base)");
}

TEST_F(Adapters, ScaleAsPeft) {
  const auto factors = lora(kQ, 4, 4, 6);
  expect_close(read(*open(factors, R"("r":4,"lora_alpha":2,"use_rslora":true)"), fmt::format("{}.weight", kQ)),
               merged_q(4, 1));
  expect_close(
      read(*open(factors, R"("r":8,"lora_alpha":2,"rank_pattern":{"q_proj":4},"alpha_pattern":{"self_attn.q_proj":6})"),
           fmt::format("{}.weight", kQ)),
      merged_q(4, 1.5));
}

TEST_F(Adapters, ZeroIsExactlyTheBase) {
  std::vector<TestTensor> factors = lora(kQ, 2, 4, 6);
  factors[1].bytes.clear();
  const auto adapter = open(factors, R"("r":2)");
  EXPECT_EQ(read(*adapter, fmt::format("{}.weight", kQ)), values_.at(fmt::format("{}.weight", kQ)));
}

// PEFT's Linear: every row of W + s B A divided by its norm, times its magnitude.
TEST_F(Adapters, Dora) {
  std::vector<TestTensor> factors = lora(kQ, 2, 4, 6);
  const std::string name = std::string("base_model.model.") + kQ + ".lora_magnitude_vector";
  factors.push_back(tensor(name, {6}));
  const auto adapter = open(factors, R"("r":2,"lora_alpha":3,"use_dora":true)");
  Numbers expected = merged_q(2, 1.5);
  for (size_t row = 0; row < 6; ++row) {
    double square = 0;
    for (size_t j = 0; j < 4; ++j) square += expected[row * 4 + j] * expected[row * 4 + j];
    for (size_t j = 0; j < 4; ++j) expected[row * 4 + j] *= values_.at(name)[row] / std::sqrt(square);
  }
  expect_close(read(*adapter, fmt::format("{}.weight", kQ)), expected);
  const TensorLease last = adapter->read_rows(fmt::format("{}.weight", kQ), 5, 6);
  double value = 0;
  std::memcpy(&value, last.bytes.data(), sizeof value);
  EXPECT_NEAR(value, expected[20], 1e-13);
  EXPECT_TRUE(contains(refusal(factors, R"("r":2)"), "has DoRA's magnitudes, and use_dora is false"));
  factors.pop_back();
  EXPECT_TRUE(contains(refusal(factors, R"("r":2,"use_dora":true)"), "has no magnitudes, and use_dora is true"));
}

// Conv1D keeps W as d_in x d_out: the shapes tell, or fan_in_fan_out where it is square.
TEST_F(Adapters, WeightsStoredTheOtherWayRound) {
  const std::string q = std::string("base_model.model.") + kQ, k = std::string("base_model.model.") + kK;
  const std::string weight = fmt::format("{}.weight", kQ), square = fmt::format("{}.weight", kK);
  const auto turned_q = open(lora(kQ, 2, 6, 4), R"("r":2,"lora_alpha":1)");
  expect_close(read(*turned_q, weight), merged(weight, q + ".lora_A.weight", q + ".lora_B.weight", 2, 0.5, true, 4));
  const auto factors = lora(kK, 2, 4, 4);
  for (const bool turned : {false, true}) {
    expect_close(read(*open(factors, fmt::format(R"("r":2,"lora_alpha":1,"fan_in_fan_out":{})", turned)), square),
                 merged(square, k + ".lora_A.weight", k + ".lora_B.weight", 2, 0.5, turned, 4));
  }
  // The flag is not believed where other modules show that they are Linear's.
  std::vector<TestTensor> both = lora(kQ, 2, 4, 6);
  for (TestTensor& factor : lora(kK, 2, 4, 4)) both.push_back(std::move(factor));
  const auto linear = open(both, R"("r":2,"lora_alpha":1,"fan_in_fan_out":true)");
  expect_close(read(*linear, square), merged(square, k + ".lora_A.weight", k + ".lora_B.weight", 2, 0.5, false, 4));
  std::vector<TestTensor> dora = lora(kQ, 2, 6, 4);
  dora.push_back(tensor(q + ".lora_magnitude_vector", {4}));
  Numbers expected = merged(weight, q + ".lora_A.weight", q + ".lora_B.weight", 2, 0.5, true, 4);
  for (size_t column = 0; column < 4; ++column) {
    double sum = 0;
    for (size_t i = 0; i < 6; ++i) sum += expected[i * 4 + column] * expected[i * 4 + column];
    for (size_t i = 0; i < 6; ++i)
      expected[i * 4 + column] *= values_.at(q + ".lora_magnitude_vector")[column] / std::sqrt(sum);
  }
  const auto adapter = open(dora, R"("r":2,"lora_alpha":1,"use_dora":true)");
  expect_close(read(*adapter, weight), expected);
  const TensorLease last = adapter->read_rows(weight, 5, 6);
  double value = 0;
  std::memcpy(&value, last.bytes.data(), sizeof value);
  EXPECT_NEAR(value, expected[20], 1e-13);
}

TEST_F(Adapters, Embeddings) {
  const std::string name = "base_model.model.model.embed_tokens";
  const auto adapter = open({tensor(name + ".lora_embedding_A", {2, 7}), tensor(name + ".lora_embedding_B", {4, 2})},
                            R"("r":2,"lora_alpha":2)");
  expect_close(
      read(*adapter, "model.embed_tokens.weight"),
      merged("model.embed_tokens.weight", name + ".lora_embedding_A", name + ".lora_embedding_B", 2, 1, true, 4));
  ASSERT_EQ(adapter->warnings().size(), 1u);
  EXPECT_TRUE(contains(adapter->warnings()[0], "which is this model's output as well"));
}

// Of a tied base: the head that the adapter makes, beside the embedding as it was.
TEST_F(Adapters, FactorsOfATiedHead) {
  const std::string name = "base_model.model.lm_head";
  const auto adapter = open({tensor(name + ".lora_A.weight", {2, 4}), tensor(name + ".lora_B.weight", {7, 2})},
                            R"("r":2,"lora_alpha":2)");
  const Numbers expected =
      merged("model.embed_tokens.weight", name + ".lora_A.weight", name + ".lora_B.weight", 2, 1, false, 4);
  expect_close(read(*adapter, "lm_head.weight"), expected);
  EXPECT_EQ(read(*adapter, "model.embed_tokens.weight"), values_.at("model.embed_tokens.weight"));
  EXPECT_EQ(adapter->config().tie_word_embeddings, false);
  ASSERT_EQ(adapter->warnings().size(), 1u);
  EXPECT_TRUE(contains(adapter->warnings()[0], "they are tied no more"));
}

TEST_F(Adapters, BiasesAndWholeTensors) {
  std::vector<TestTensor> factors = lora(kQ, 2, 4, 6);
  const std::string added = std::string("base_model.model.") + kQ + ".lora_B.bias";
  factors.push_back(tensor(added, {6}));
  factors.push_back(tensor("base_model.model.model.norm.weight", {4}));
  factors.push_back(tensor("base_model.model.model.embed_tokens.weight", {9, 4}));
  factors.push_back(tensor("base_model.model.score.weight", {2, 4}));
  const auto adapter =
      open(factors, R"("r":2,"lora_alpha":4,"lora_bias":true,"modules_to_save":["embed_tokens","score"])");
  Numbers bias = values_.at(fmt::format("{}.bias", kQ));
  for (size_t i = 0; i < bias.size(); ++i) bias[i] += 2 * values_.at(added)[i];
  expect_close(read(*adapter, fmt::format("{}.bias", kQ)), bias);
  EXPECT_EQ(read(*adapter, "model.norm.weight"), values_.at("base_model.model.model.norm.weight"));
  EXPECT_EQ(read(*adapter, "score.weight"), values_.at("base_model.model.score.weight"));
  EXPECT_EQ(adapter->find("model.embed_tokens.weight")->rows(), 9);
  EXPECT_EQ(adapter->warnings(), std::vector<std::string>{"\"model.embed_tokens.weight\" has 9 rows in place of the "
                                                          "base's 7"});
  EXPECT_TRUE(contains(refusal(factors, R"("r":2)"), "no \"score.weight\""));
}

// A base weight that the adapter brings along, and factors on it.
TEST_F(Adapters, FactorsOnASavedBaseLayer) {
  std::vector<TestTensor> factors = lora(kQ, 2, 4, 6);
  const std::string saved = std::string("base_model.model.") + kQ + ".base_layer.weight";
  factors.push_back(tensor(saved, {6, 4}));
  const auto adapter = open(factors, R"("r":2,"lora_alpha":2)");
  values_[fmt::format("{}.weight", kQ)] = values_.at(saved);
  expect_close(read(*adapter, fmt::format("{}.weight", kQ)), merged_q(2, 1));
}

// The language half of a multimodal model, whose names differ from those of the model on its own.
TEST_F(Adapters, FindsModulesByTheirEnds) {
  const std::string weight = fmt::format("language_model.{}.weight", kQ);
  write_base({tensor(weight, {6, 4}), tensor("vision_tower.layers.0.self_attn.q_proj.weight", {6, 4})});
  const std::string module = "model.language_model.layers.0.self_attn.q_proj", name = "base_model.model." + module;
  const auto adapter = open(lora(module, 2, 4, 6), R"("r":2,"lora_alpha":2)");
  expect_close(read(*adapter, weight),
               merged(weight, name + ".lora_A.weight", name + ".lora_B.weight", 2, 1, false, 4));
  write_base({tensor(weight, {6, 4}), tensor("other.layers.0.self_attn.q_proj.weight", {6, 4})});
  EXPECT_TRUE(contains(refusal(lora(module, 2, 4, 6), R"("r":2)"), "which may be for"));
}

TEST_F(Adapters, Fp8BasesKeepTheirScales) {
  const std::string q = fmt::format("{}.weight", kQ);
  const std::vector<std::byte> ones(24, std::byte{0x38});  // 1.0
  write_base(
      {{q, DType::F8_E4M3, {6, 4}, ones}, {q + "_scale_inv", DType::F32, {1, 1}, bytes_of(std::vector<float>{0.25F})}});
  const auto adapter = open(lora(kQ, 2, 4, 6), R"("r":2,"lora_alpha":2)");
  values_[q] = Numbers(24, 0.25);
  expect_close(read(*adapter, q), merged_q(2, 1));
  EXPECT_FALSE(adapter->find(q + "_scale_inv"));
}

// Other names of scales, and those of what a layer is given: none is left beside a weight that is F64.
TEST_F(Adapters, Fp8ScalesOfTheModuleGoWithItsWeight) {
  const std::string q = fmt::format("{}.weight", kQ), k = fmt::format("{}.weight", kK);
  const std::vector<std::byte> ones(24, std::byte{0x38});  // 1.0
  const auto quarter = bytes_of(std::vector<float>{0.25F});
  for (const char* scale : {"scale", "scale_inv", "scale_weight", "weight_scale"}) {
    std::vector<TestTensor> tensors = {{q, DType::F8_E4M3, {6, 4}, ones},
                                       {k, DType::F8_E4M3, {4, 4}, {ones.begin(), ones.begin() + 16}},
                                       {fmt::format("{}.inner.scale", kQ), DType::F32, {1}, quarter}};
    for (const char* module : {kQ, kK}) {
      tensors.push_back({fmt::format("{}.{}", module, scale), DType::F32, {1}, quarter});
      tensors.push_back({fmt::format("{}.input_scale", module), DType::F32, {1}, quarter});
    }
    write_base(tensors);
    const auto adapter = open(lora(kQ, 2, 4, 6), R"("r":2,"lora_alpha":2)");
    values_[q] = Numbers(24, 0.25);
    expect_close(read(*adapter, q), merged_q(2, 1));
    std::vector<std::string> names;
    for (const auto& [name, tensor] : adapter->tensors()) names.push_back(name);
    std::vector<std::string> expected = {fmt::format("{}.input_scale", kK), fmt::format("{}.{}", kK, scale), k,
                                         fmt::format("{}.inner.scale", kQ), q};
    std::ranges::sort(expected);
    EXPECT_EQ(names, expected);
  }
}

// PEFT saves the head beside an embedding that it saves: a copy of it, or one of its own.
TEST_F(Adapters, HeadsOfTiedBases) {
  const std::string head = "base_model.model.lm_head.weight", embedding = "base_model.model.model.embed_tokens.weight";
  write_text(dir_ / "base/config.json", R"({"model_type":"llama","tie_word_embeddings":true,"text_config":{"a":1}})");
  std::vector<TestTensor> tensors = lora(kQ, 2, 4, 6);
  tensors.push_back(tensor(embedding, {9, 4}));
  tensors.push_back(tensors.back());
  tensors.back().name = head;
  const auto copy = open(tensors, R"("r":2)");
  EXPECT_FALSE(copy->find("lm_head.weight"));
  EXPECT_EQ(copy->find("model.embed_tokens.weight")->rows(), 9);
  EXPECT_EQ(copy->config().tie_word_embeddings, true);
  EXPECT_EQ(copy->warnings().size(), 1u);  // of the rows
  EXPECT_EQ(copy->companion("config.json", 1000), Checkpoint(dir_ / "base").companion("config.json", 1000));
  tensors.back().bytes[0] ^= std::byte{1};
  const auto own = open(tensors, R"("r":2)");
  ASSERT_TRUE(own->find("lm_head.weight"));
  EXPECT_NE(read(*own, "lm_head.weight"), read(*own, "model.embed_tokens.weight"));
  EXPECT_EQ(own->config().tie_word_embeddings, false);
  EXPECT_EQ(own->warnings().back(),
            "has a head of its own (\"lm_head.weight\") where the base's is the embedding: they are tied no more");
  const std::string config = own->companion("config.json", 1000);
  EXPECT_EQ(parse_config("c", config).tie_word_embeddings, false);
  EXPECT_EQ(parse_config("c", config).model_type, "llama");
  // Also where modules_to_save names it, and the embedding is the base's.
  const auto saved = open({tensor(head, {7, 4})}, R"("r":2,"modules_to_save":["lm_head"])");
  EXPECT_EQ(read(*saved, "lm_head.weight"), values_.at(head));
  EXPECT_EQ(saved->config().tie_word_embeddings, false);
}

TEST_F(Adapters, RefuseByName) {
  const std::string name = std::string("base_model.model.") + kQ;
  EXPECT_TRUE(contains(refusal(lora(kQ, 2, 4, 6), R"("r":3)"), "has the rank 2, and 3 by adapter_config.json"));
  EXPECT_TRUE(contains(refusal(lora(kQ, 2, 5, 6), R"("r":2)"),
                       "has factors of the shapes [2, 5] and [6, 2], which make nothing for the base's"));
  EXPECT_TRUE(contains(refusal({tensor(name + ".lora_A.weight", {2, 4})}, R"("r":2)"), "has only one factor"));
  EXPECT_TRUE(contains(refusal(lora("model.layers.5.self_attn.q_proj", 2, 4, 6), R"("r":2)"),
                       "no \"model.layers.5.self_attn.q_proj.weight\""));
  EXPECT_TRUE(contains(refusal(lora(kQ, 2, 4, 6), R"("r":2,"target_modules":["v_proj"])"), "none of target_modules"));
  for (const char* part : {".lora_A.default.weight", ".lora_diag", ".token_adapter.trainable_tokens_delta",
                           ".modules_to_save.default.weight"}) {
    EXPECT_TRUE(contains(refusal({tensor(name + part, {2, 4})}, R"("r":2)"), "which is no part of a LoRA")) << part;
  }
  EXPECT_TRUE(contains(refusal({{name + ".lora_A.weight", DType::I8, {2, 4}}}, R"("r":2)"), "is I8, and no floating"));
  EXPECT_TRUE(contains(refusal({}, R"("r":2)"), "adapter_model.safetensors: holds no tensor"));
  std::vector<TestTensor> broken = lora(kQ, 2, 4, 6);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(broken[0].bytes.data(), &nan, sizeof nan);
  const auto adapter = open(broken, R"("r":2)");
  EXPECT_TRUE(contains(error_of([&] { adapter->read(fmt::format("{}.weight", kQ)); }),
                       fmt::format("tensor \"{}.lora_A.weight\" holds NaN or infinity", name)));
}

TEST_F(Adapters, WarnsOfTargetsWithoutTensors) {
  const auto adapter = open(lora(kQ, 2, 4, 6), R"("r":2,"target_modules":["q_proj","v_proj"])");
  EXPECT_EQ(adapter->warnings(), std::vector<std::string>{"has no tensor for its target module v_proj"});
}

TEST_F(Adapters, IdentityIsOfAllThatCounts) {
  auto factors = lora(kQ, 2, 4, 6);
  const std::string first = open(factors, R"("r":2,"lora_alpha":3)")->identity();
  EXPECT_EQ(open(factors, R"("r":2,"lora_alpha":3,"lora_dropout":0.5)")->identity(), first);
  EXPECT_NE(open(factors, R"("r":2,"lora_alpha":4)")->identity(), first);
  EXPECT_NE(open(factors, R"("r":2,"lora_alpha":3)")->identity(), Checkpoint(dir_ / "base").identity());
  factors[0].bytes[0] ^= std::byte{1};
  EXPECT_NE(open(factors, R"("r":2,"lora_alpha":3)")->identity(), first);
  factors[0].bytes[0] ^= std::byte{1};
  write_base({tensor(fmt::format("{}.weight", kQ), {6, 4})});
  EXPECT_NE(open(factors, R"("r":2,"lora_alpha":3)")->identity(), first);
}

TEST_F(Adapters, CompanionsAreTheBasesButForATokenizer) {
  const auto factors = lora(kQ, 2, 4, 6);
  write_text(dir_ / "adapter/README.md", "adapter's");
  write_text(dir_ / "adapter/tokenizer_config.json", "adapter's");
  const std::vector<std::string> base = {"chat_template.jinja", "config.json", "model.safetensors", "tokenizer.json"};
  EXPECT_EQ(open(factors, R"("r":2)")->companions(), base);
  write_text(dir_ / "adapter/tokenizer.json", "adapter's");
  const auto adapter = open(factors, R"("r":2)");
  EXPECT_EQ(adapter->companions(),
            (std::vector<std::string>{"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}));
  EXPECT_EQ(adapter->companion("tokenizer.json", 100), "adapter's");
  EXPECT_TRUE(contains(adapter->companion("config.json", 100), "llama"));
}

}  // namespace
}  // namespace gyro
