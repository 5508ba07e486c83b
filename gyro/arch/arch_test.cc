#include "gyro/arch/arch.h"

#include <gtest/gtest.h>

#include <set>

#include "gyro/arch/test_util.h"
#include "gyro/checkpoint/checkpoint.h"
#include "gyro/checkpoint/test_util.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kHidden = 8;
constexpr int64_t kInter = 12;
constexpr int64_t kQ = 16;  // 4 heads of 4
constexpr int64_t kKv = 8;  // 2 heads of 4

// A small checkpoint in the making: what a test leaves as it is, is a valid one of two layers.
struct Model {
  std::string model_type = "llama";
  std::string config = R"("hidden_size":8,"intermediate_size":12,"num_hidden_layers":2,"num_attention_heads":4,)"
                       R"("num_key_value_heads":2,"head_dim":4)";
  std::string prefix = "model.layers.";
  bool fused = false;
  std::vector<TestTensor> extra = {};  // added, in place of those of the same name
  std::set<std::string> without = {};  // names to leave out
};

std::vector<TestTensor> tensors_of(const Model& model) {
  std::vector<TestTensor> all;
  for (int layer = 0; layer < 2; ++layer) {
    const std::string at = fmt::format("{}{}.", model.prefix, layer);
    const auto add = [&](const char* name, int64_t rows, int64_t cols) {
      all.push_back({at + name + ".weight", DType::BF16, {rows, cols}});
    };
    if (model.fused) {
      add("self_attn.qkv_proj", kQ + 2 * kKv, kHidden);
      add("mlp.gate_up_proj", 2 * kInter, kHidden);
    } else {
      add("self_attn.q_proj", kQ, kHidden);
      add("self_attn.k_proj", kKv, kHidden);
      add("self_attn.v_proj", kKv, kHidden);
      add("mlp.gate_proj", kInter, kHidden);
      add("mlp.up_proj", kInter, kHidden);
    }
    add("self_attn.o_proj", kHidden, kQ);
    add("mlp.down_proj", kHidden, kInter);
    all.push_back({at + "self_attn.q_proj.bias", DType::BF16, {kQ}});
    all.push_back({at + "input_layernorm.weight", DType::BF16, {kHidden}});
  }
  all.push_back({"model.embed_tokens.weight", DType::BF16, {32, kHidden}});
  std::set<std::string> drop = model.without;
  for (const TestTensor& tensor : model.extra) drop.insert(tensor.name);
  std::erase_if(all, [&](const TestTensor& tensor) { return drop.contains(tensor.name); });
  all.insert(all.end(), model.extra.begin(), model.extra.end());
  return all;
}

Checkpoint open(const TempDir& dir, const Model& model) {
  write_text(dir / "config.json", fmt::format(R"({{"model_type":"{}",{}}})", model.model_type, model.config));
  write_tensors(dir / "model.safetensors", tensors_of(model));
  return Checkpoint(dir.path());
}

std::string refusal(const Model& model) {
  const TempDir dir;
  const std::string line = error_of([&] { map_model(open(dir, model)); });
  EXPECT_FALSE(contains(line, "\n")) << line;
  return line;
}

constexpr const char* kSplitList = "W_Q 16x8, W_K 8x8, W_V 8x8, W_O 8x16, W_gate 12x8, W_up 12x8, W_down 8x12, ";
constexpr const char* kFusedList =
    "W_Q 16x8, W_K 8x8, W_V 8x8, W_O 8x16, W_gate 12x8, W_up 12x8, W_down 8x12, W_QKV 32x8, W_gate_up 24x8, ";

TEST(MatrixType, NamesGoBothWays) {
  for (const MatrixType type : kAllMatrixTypes) {
    EXPECT_EQ(type_from_name(type_name(type)), type);
    EXPECT_EQ(type_from_name(type_name(type).substr(2)), type);
  }
  EXPECT_EQ(type_from_name("w_q"), MatrixType::Q);
  EXPECT_EQ(type_from_name("GATE_UP"), MatrixType::GateUp);
  EXPECT_EQ(type_from_name("qkv"), MatrixType::QKV);
  EXPECT_EQ(type_from_name("q_proj"), MatrixType::Q);
  EXPECT_EQ(type_from_name("gate_up_proj"), MatrixType::GateUp);
  for (const char* name : {"", "W_", "W", "qk", "W_W_Q"}) EXPECT_FALSE(type_from_name(name)) << name;
  EXPECT_TRUE(type_is_fused(MatrixType::QKV) && type_is_fused(MatrixType::GateUp));
  EXPECT_FALSE(type_is_fused(MatrixType::Down));
}

class EachArchitecture : public testing::TestWithParam<const char*> {};

TEST_P(EachArchitecture, IsMapped) {
  const TempDir dir;
  const ModelMap map = map_model(open(dir, {.model_type = GetParam()}));
  EXPECT_EQ(list(map, 0), kSplitList);
  EXPECT_EQ(list(map, 1), kSplitList);
  EXPECT_EQ(map.sites.size(), 14u);
  EXPECT_TRUE(map.warnings.empty());
  EXPECT_EQ(map.sites[7].tensor, "model.layers.1.self_attn.q_proj.weight");
  EXPECT_FALSE(map.sites[7].sliced);
}

INSTANTIATE_TEST_SUITE_P(Table, EachArchitecture, testing::ValuesIn(kDenseArchitectures),
                         [](const auto& row) { return std::string(row.param); });

TEST(MapModel, AnyPrefix) {
  for (const char* prefix :
       {"model.layers.", "layers.", "language_model.model.layers.", "model.language_model.layers."}) {
    const TempDir dir;
    const ModelMap map = map_model(open(dir, {.model_type = "gemma3", .prefix = prefix}));
    EXPECT_EQ(list(map, 1), kSplitList);
    EXPECT_EQ(map.sites[0].tensor, std::string(prefix) + "0.self_attn.q_proj.weight");
  }
}

TEST(MapModel, FusedTensorsGivePartsAndWhole) {
  const TempDir dir;
  const Checkpoint checkpoint = open(dir, {.model_type = "phi3", .fused = true});
  const ModelMap map = map_model(checkpoint);
  EXPECT_EQ(list(map, 0), kFusedList);
  EXPECT_EQ(list(map, 1), kFusedList);
  const std::string qkv = "model.layers.0.self_attn.qkv_proj.weight";
  const std::string gate_up = "model.layers.0.mlp.gate_up_proj.weight";
  const std::vector<MatrixSite> expected = {{0, MatrixType::Q, qkv, 0, 16, 8, 16, true},
                                            {0, MatrixType::K, qkv, 16, 24, 8, 8, true},
                                            {0, MatrixType::V, qkv, 24, 32, 8, 8, true},
                                            {},
                                            {0, MatrixType::Gate, gate_up, 0, 12, 8, 12, true},
                                            {0, MatrixType::Up, gate_up, 12, 24, 8, 12, true},
                                            {},
                                            {0, MatrixType::QKV, qkv, 0, 32, 8, 32, false},
                                            {0, MatrixType::GateUp, gate_up, 0, 24, 8, 24, false}};
  for (size_t i = 0; i < expected.size(); ++i) {
    if (expected[i].tensor.empty()) continue;
    const MatrixSite& site = map.sites[i];
    EXPECT_EQ(site.type, expected[i].type);
    EXPECT_EQ(site.tensor, expected[i].tensor);
    EXPECT_EQ(site.row_begin, expected[i].row_begin);
    EXPECT_EQ(site.row_end, expected[i].row_end);
    EXPECT_EQ(site.sliced, expected[i].sliced);
  }
}

TEST(MapModel, FusedAndSplitContradict) {
  EXPECT_TRUE(contains(refusal({.model_type = "phi3",
                                .fused = true,
                                .extra = {{"model.layers.0.self_attn.k_proj.weight", DType::BF16, {kKv, kHidden}}}}),
                       "has both tensor \"model.layers.0.self_attn.qkv_proj.weight\" and"));
  EXPECT_TRUE(contains(refusal({.model_type = "llama", .fused = true}),
                       "has no tensor \"model.layers.0.self_attn.q_proj.weight\""));
}

TEST(MapModel, DefaultsOfTheArchitecture) {
  const char* gemma3 = R"("text_config":{"model_type":"gemma3_text","hidden_size":2560,"intermediate_size":10240,)"
                       R"("num_hidden_layers":2})";
  const char* heads = R"("hidden_size":3840,"intermediate_size":1,"num_hidden_layers":2,"num_attention_heads":16)";
  const auto completed = [](const std::string& type, const std::string& config) {
    const TempDir dir;
    return complete_config(open(dir, {.model_type = type, .config = config}));
  };
  const ModelConfig four_billion = completed("gemma3", gemma3);
  EXPECT_EQ(four_billion.num_attention_heads, 8);
  EXPECT_EQ(four_billion.num_key_value_heads, 4);
  EXPECT_EQ(four_billion.head_dim, 256);
  EXPECT_EQ(completed("gemma2", heads).head_dim, 256);
  EXPECT_EQ(completed("gemma2", heads).num_key_value_heads, 16);
  EXPECT_EQ(completed("qwen3", heads).head_dim, 128);
  EXPECT_EQ(completed("llama", heads).head_dim, 240);
}

TEST(MapModel, UnknownTypeWithLlamasNames) {
  const TempDir dir;
  const ModelMap map = map_model(open(dir, {.model_type = "shiny"}));
  EXPECT_EQ(list(map, 1), kSplitList);
  ASSERT_EQ(map.warnings.size(), 1u);
  EXPECT_TRUE(contains(map.warnings[0], "unknown model_type \"shiny\", read as llama"));
  EXPECT_TRUE(contains(refusal({.model_type = "shiny", .fused = true}),
                       "has the unknown model_type \"shiny\", and no tensor "
                       "\"model.layers.0.self_attn.q_proj.weight\" as Llama would; known: llama, mistral, "));
  EXPECT_TRUE(contains(refusal({.model_type = "mamba", .prefix = "backbone.layers."}),
                       "has the model_type \"mamba\" (known: llama, mistral, "));
  EXPECT_TRUE(contains(refusal({.model_type = "mamba", .prefix = "backbone.layers."}),
                       "), and no tensor of a layer 0 under any of model.layers., layers.,"));
  EXPECT_TRUE(refusal({.prefix = "foo.bar.layers."}).ends_with("; the layers it has are under \"foo.bar.layers.\""));
}

TEST(MapModel, LayersBeyondTheConfigAreLeftOut) {
  const TempDir dir;
  const ModelMap map = map_model(open(dir, {.extra = {{"model.layers.2.x", DType::F32, {1}}}}));
  EXPECT_EQ(map.sites.size(), 14u);
  ASSERT_EQ(map.warnings.size(), 1u);
  EXPECT_TRUE(contains(map.warnings[0], "tensor \"model.layers.2.x\" is beyond the 2 layers"));
}

TEST(MapModel, RefusesMissingAndWronglyShaped) {
  const std::string name = "model.layers.1.mlp.up_proj.weight";
  EXPECT_TRUE(refusal({.without = {name}}).ends_with("has no tensor \"" + name + "\""));
  for (const std::vector<int64_t>& shape : std::vector<std::vector<int64_t>>{{8, 12}, {96}, {12, 8, 1}, {}, {0, 8}}) {
    const std::string line = refusal({.extra = {{name, DType::F32, shape}}});
    EXPECT_TRUE(contains(line, fmt::format("tensor \"{}\" has the shape [{}] where config.json means [12, 8]", name,
                                           fmt::join(shape, ", "))))
        << line;
  }
}

TEST(MapModel, RefusesAConfigThatIsNotEnough) {
  const Model model;
  const auto incomplete = [](const Model& of) {
    const TempDir dir;
    const Checkpoint checkpoint = open(dir, of);
    return error_of([&] { complete_config(checkpoint); });
  };
  Model without = model;
  without.config.replace(without.config.find("num_attention_heads"), 1, "x");
  EXPECT_TRUE(contains(incomplete(without),
                       "config.json: has no num_attention_heads, nor is it under any of text_config, llm_config, "));
  without.fused = true;
  without.model_type = "phi3";
  EXPECT_TRUE(contains(refusal(without), "how many heads tensor \"model.layers.0.self_attn.qkv_proj.weight\" has"));
  EXPECT_TRUE(contains(incomplete({.config = R"("hidden_size":9,"intermediate_size":12,"num_hidden_layers":2,)"
                                             R"("num_attention_heads":4)"}),
                       "has no head_dim, and hidden_size 9 is no multiple of num_attention_heads 4"));
  EXPECT_TRUE(contains(refusal({.model_type = "gemma3",
                                .config = R"("hidden_size":9,"intermediate_size":12,"num_hidden_layers":2,)"
                                          R"("num_attention_heads":6)"}),
                       "num_attention_heads 6 is no multiple of num_key_value_heads 4"));
  EXPECT_TRUE(contains(refusal({.config = R"("hidden_size":8,"intermediate_size":12,"num_hidden_layers":100000,)"
                                          R"("num_attention_heads":4,"num_key_value_heads":2,"head_dim":4)"}),
                       "has no tensor \"model.layers.2.self_attn.q_proj.weight\""));
}

// Every size but those of heads is in some shape, and no matrix needs those.
TEST(MapModel, SizesThatConfigLeavesOutAreOfShapes) {
  const Model model;
  for (const char* key : {"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "head_dim",
                          "num_key_value_heads", ""}) {
    const TempDir dir;
    Model without = model;
    const bool none = *key == 0, whole = std::string_view(key) == "head_dim";
    if (none) without.config = R"("vocab_size":32)";
    if (!none) without.config.replace(without.config.find(key), 1, "x");
    if (whole || std::string_view(key) == "num_key_value_heads") continue;  // these have defaults
    const Checkpoint checkpoint = open(dir, without);
    EXPECT_EQ(list(map_model(checkpoint), 1), kSplitList) << key;
    EXPECT_EQ(count_layers(checkpoint), 2);
  }
  const TempDir dir;
  const Checkpoint checkpoint =
      open(dir, {.config = R"("num_hidden_layers":2)",
                 .extra = {{"model.layers.1.mlp.up_proj.weight", DType::BF16, {13, kHidden}}}});
  EXPECT_TRUE(contains(error_of([&] { map_model(checkpoint); }), "has the shape [13, 8] where config.json with what"));
}

// What is not asked for need not be there, nor be readable.
// As many KV heads as heads is no more than a guess: Mistral's class has 8, Gemma 2's 4.
TEST(MapModel, KvHeadsThatConfigLeavesOutAreOfShapes) {
  Model model{.model_type = "mistral"};
  model.config = R"("hidden_size":8,"intermediate_size":12,"num_hidden_layers":2,"num_attention_heads":4,"head_dim":4)";
  const TempDir dir;
  const Checkpoint checkpoint = open(dir, model);
  EXPECT_EQ(list(map_model(checkpoint), 1), kSplitList);
  EXPECT_EQ(complete_config(checkpoint).num_key_value_heads, 2);
}

// Nothing tells how wide the parts of a fused tensor are.
TEST(MapModel, RefusesExpertsOfUnknownWidth) {
  Model model{.model_type = "gpt_oss"};
  model.config =
      R"("hidden_size":8,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,"head_dim":4)";
  model.without = {"model.layers.0.mlp.gate_proj.weight", "model.layers.0.mlp.up_proj.weight"};
  EXPECT_TRUE(contains(refusal(model), "mlp.experts")) << refusal(model);
}

TEST(MapModel, AttentionAlone) {
  using enum MatrixType;
  const std::vector<MatrixType> attention = {Q, K, V, O};
  const std::string up = "model.layers.0.mlp.up_proj.";
  const std::string experts = "model.layers.0.mlp.experts.0.up_proj.weight";
  const Model quantised{.extra = {{up + "qweight", DType::I32, {1, 8}}}, .without = {up + "weight"}};
  const Model mixture{.model_type = "shiny_moe", .extra = {{experts, DType::BF16, {4, 8}}}, .without = {up + "weight"}};
  for (const Model& model : {quantised, mixture}) {
    const TempDir dir;
    const Checkpoint checkpoint = open(dir, model);
    EXPECT_EQ(list(map_model(checkpoint, attention), 1), "W_Q 16x8, W_K 8x8, W_V 8x8, W_O 8x16, ");
    EXPECT_NE(error_of([&] { map_model(checkpoint); }), "");
  }
  EXPECT_TRUE(contains(refusal(mixture), "it is a mixture of experts (tensor \"" + experts +
                                             "\"); its attention alone can be compared, by the types W_Q,W_K,W_V,W_O"));
}

TEST(MapModel, RefusesQuantisedIntegers) {
  const std::string stem = "model.layers.0.self_attn.q_proj.";
  const Model gptq{.config = Model{}.config + R"(,"quantization_config":{"quant_method":"gptq"})",
                   .extra = {{stem + "qweight", DType::I32, {1, 16}}, {stem + "scales", DType::F16, {1, 16}}},
                   .without = {stem + "weight"}};
  EXPECT_TRUE(contains(refusal(gptq), "tensor \"" + stem + "qweight\" holds quantised integers (I32, gptq)"));
  for (const DType dtype : {DType::I8, DType::U8, DType::I32}) {
    EXPECT_TRUE(contains(refusal({.extra = {{stem + "weight", dtype, {kQ, kHidden}}}}),
                         fmt::format("tensor \"{}weight\" holds quantised integers ({})", stem, dtype_name(dtype))));
  }
}

TEST(CheckSameShape, NamesTheFirstDifference) {
  const TempDir a, b;
  const Checkpoint base = open(a, {});
  const ModelMap base_map = map_model(base);
  check_same_shape(base, base_map, open(b, {.prefix = "layers."}), base_map);
  const auto said = [&](const Model& model) {
    const TempDir dir;
    const Checkpoint post = open(dir, model);
    return error_of([&] { check_same_shape(base, base_map, post, map_model(post)); });
  };
  EXPECT_TRUE(contains(said({.config = R"("hidden_size":8,"intermediate_size":12,"num_hidden_layers":1,)"
                                       R"("num_attention_heads":4,"num_key_value_heads":2,"head_dim":4)"}),
                       "nothing where the base has W_Q of layer 1 (16 x 8)"));
  EXPECT_EQ(said({.model_type = "phi3", .fused = true}), "no error");
  const TempDir c;
  const Checkpoint other = open(c, {.model_type = "qwen2"});
  EXPECT_TRUE(contains(error_of([&] { check_same_shape(base, base_map, other, base_map); }),
                       "is of the architecture 'qwen2', and the base"));
}

// Phi-3 as it is published, and as others store it.
TEST(CheckSameShape, FusedAgainstSplit) {
  const TempDir a, b;
  const Checkpoint fused = open(a, {.model_type = "phi3", .fused = true}), split = open(b, {});
  const ModelMap fused_map = map_model(fused), split_map = map_model(split);
  check_same_shape(fused, fused_map, split, split_map);
  check_same_shape(split, split_map, fused, fused_map);
  EXPECT_EQ(fused_in_one(fused_map, split_map), (std::vector{MatrixType::QKV, MatrixType::GateUp}));
  EXPECT_TRUE(fused_in_one(fused_map, fused_map).empty());
  for (const MatrixSite& site : split_map.sites) EXPECT_EQ(same_site(fused_map, site).key(), site.key());
  const std::vector<MatrixType> whole = {MatrixType::QKV};
  EXPECT_EQ(error_of([&] { check_same_shape(fused, map_model(fused, whole), split, map_model(split, whole)); }),
            fmt::format("{}: has W_QKV in parts where {} has it fused: name the types of the parts",
                        split.path().string(), fused.path().string()));
}

// Whichever types are asked for: W_O is a whole tensor in both.
TEST(CheckSameShape, FusedAgainstSplitByAWholeType) {
  const TempDir a, b;
  const Checkpoint split = open(a, {}), fused = open(b, {.model_type = "phi3", .fused = true});
  const std::vector<MatrixType> types = {MatrixType::O};
  EXPECT_EQ(error_of([&] { check_same_shape(split, map_model(split, types), fused, map_model(fused, types)); }),
            "no error");
}

TEST(CheckSameShape, LanguageHalves) {
  const std::string text = R"("text_config":{"model_type":"mistral",)" + Model{}.config + "}";
  const TempDir a, b, c;
  const Checkpoint inside =
      open(a, {.model_type = "mistral3", .config = text, .prefix = "language_model.model.layers."});
  const Checkpoint alone = open(b, {.model_type = "mistral"}), llama = open(c, {.model_type = "llama"});
  const ModelMap inside_map = map_model(inside), alone_map = map_model(alone);
  EXPECT_TRUE(inside_map.warnings.empty());
  check_same_shape(inside, inside_map, alone, alone_map);
  check_same_shape(alone, alone_map, inside, inside_map);
  EXPECT_TRUE(contains(error_of([&] { check_same_shape(llama, map_model(llama), inside, inside_map); }),
                       "is of the architecture 'mistral', and the base"));
}

std::vector<double> values_of(const Checkpoint& checkpoint, const ModelMap& map, MatrixType type) {
  return values_at(checkpoint, map, {0, type});
}

TEST(MatrixKey, NamesAndSeedsWithAnExpertOnlyWhereThereIsOne) {
  EXPECT_EQ(matrix_name({3, MatrixType::Q}), "3.W_Q");
  EXPECT_EQ(matrix_name({3, MatrixType::Up, 17}), "3.W_up.17");
  // Written down: results that were published must come out again.
  EXPECT_EQ(matrix_seed(0, {3, MatrixType::Q}), 4054333711111971272u);
  EXPECT_EQ(matrix_seed(7, {0, MatrixType::Down}), 10275868765350013958u);
  std::set<uint64_t> seeds;
  for (int64_t expert = -1; expert < 64; ++expert) {
    for (const MatrixType type : kAllMatrixTypes) seeds.insert(matrix_seed(0, {0, type, expert}));
  }
  EXPECT_EQ(seeds.size(), 65 * kAllMatrixTypes.size());
}

TEST(SameSite, ExpertsApart) {
  ModelMap map;
  for (const MatrixType type : {MatrixType::Gate, MatrixType::Up}) {
    for (int64_t expert = 0; expert < 3; ++expert)
      map.sites.push_back({.layer = 1, .type = type, .tensor = "", .expert = expert});
  }
  for (const MatrixSite& site : map.sites) EXPECT_EQ(&same_site(map, site), &site);
}

TEST(SameSite, EverySite) {
  for (const char* type : {"llama", "phi3"}) {
    const TempDir dir, other;
    const bool fused = type == std::string("phi3");
    const ModelMap map = map_model(open(dir, {.model_type = type, .fused = fused}));
    const ModelMap twin = map_model(open(other, {.model_type = type, .prefix = "layers.", .fused = fused}));
    EXPECT_EQ(map.sites.size(), fused ? 18u : 14u);
    for (size_t i = 0; i < map.sites.size(); ++i) EXPECT_EQ(&same_site(twin, map.sites[i]), &twin.sites[i]) << i;
  }
}

TEST(LoadWeight, SlicesOfAFusedTensor) {
  const TempDir dir;
  const std::vector<float> qkv = counting(32, kHidden);
  const Checkpoint checkpoint =
      open(dir, {.model_type = "phi3",
                 .fused = true,
                 .extra = {{"model.layers.0.self_attn.qkv_proj.weight", DType::F32, {32, kHidden}, bytes_of(qkv)}}});
  const ModelMap map = map_model(checkpoint);
  const auto rows = [&](int64_t begin, int64_t end) {
    return std::vector<double>(qkv.begin() + begin * kHidden, qkv.begin() + end * kHidden);
  };
  EXPECT_EQ(values_of(checkpoint, map, MatrixType::Q), rows(0, 16));
  EXPECT_EQ(values_of(checkpoint, map, MatrixType::K), rows(16, 24));
  EXPECT_EQ(values_of(checkpoint, map, MatrixType::V), rows(24, 32));
  EXPECT_EQ(values_of(checkpoint, map, MatrixType::QKV), rows(0, 32));
  EXPECT_TRUE(
      load_weight(checkpoint, map.sites[1]).name.ends_with(": model.layers.0.self_attn.qkv_proj.weight[16:24]"));
  EXPECT_TRUE(load_weight(checkpoint, map.sites[7]).name.ends_with(": model.layers.0.self_attn.qkv_proj.weight"));
}

TEST(LoadWeight, RefusesASiteOfAnotherModel) {
  const TempDir dir;
  const Checkpoint checkpoint = open(dir, {});
  MatrixSite site = map_model(checkpoint).sites[0];
  site.row_end += 1;
  site.d_out += 1;
  EXPECT_TRUE(contains(error_of([&] { load_weight(checkpoint, site); }), "has the shape [16, 8], and no rows 0 to 17"));
  site.tensor = "none";
  EXPECT_TRUE(contains(error_of([&] { load_weight(checkpoint, site); }), "has no tensor \"none\""));
}

constexpr const char* kQName = "model.layers.0.self_attn.q_proj.weight";
constexpr uint8_t kFp8One = 0x38;  // 1.0 in E4M3

TestTensor fp8_ones(const std::string& name, int64_t rows, int64_t cols) {
  return {name, DType::F8_E4M3, {rows, cols}, bytes_of(std::vector(static_cast<size_t>(rows * cols), kFp8One))};
}

// W_Q when its FP8 elements are all 1 and its scales are `scales` of that shape.
std::vector<double> scaled_q(const char* suffix, const std::vector<int64_t>& shape, const std::vector<float>& scales,
                             const std::string& quantization = "") {
  const TempDir dir;
  const Checkpoint checkpoint = open(
      dir,
      {.config = Model{}.config + quantization,
       .extra = {fp8_ones(kQName, kQ, kHidden), {std::string(kQName) + suffix, DType::F32, shape, bytes_of(scales)}}});
  return values_of(checkpoint, map_model(checkpoint), MatrixType::Q);
}

constexpr const char* kBlocks = R"(,"quantization_config":{"quant_method":"fp8","weight_block_size":[6,5]})";

TEST(Fp8, PlainWithoutScales) {
  const TempDir dir;
  const Checkpoint checkpoint = open(dir, {.extra = {fp8_ones(kQName, kQ, kHidden)}});
  const ModelMap map = map_model(checkpoint);
  EXPECT_EQ(values_of(checkpoint, map, MatrixType::Q), std::vector<double>(128, 1.0));
  ASSERT_EQ(map.warnings.size(), 1u);
  EXPECT_TRUE(map.warnings[0].ends_with(
      fmt::format("tensor \"{}\" is FP8 and has no scales: the values are taken as they are", kQName)));
}

TEST(Fp8, OneScale) {
  for (const std::vector<int64_t>& shape : std::vector<std::vector<int64_t>>{{}, {1}, {1, 1}}) {
    EXPECT_EQ(scaled_q("_scale", shape, {0.25F}), std::vector<double>(128, 0.25));
    EXPECT_EQ(scaled_q("_scale_inv", shape, {0.25F}), std::vector<double>(128, 0.25));
  }
}

TEST(Fp8, OneScaleARow) {
  std::vector<double> expected;
  for (int r = 0; r < kQ; ++r) expected.insert(expected.end(), kHidden, r);
  EXPECT_EQ(scaled_q("_scale", {kQ}, counting(kQ, 1)), expected);
  EXPECT_EQ(scaled_q("_scale", {kQ, 1}, counting(kQ, 1)), expected);
}

TEST(Fp8, Blocks) {
  std::vector<double> expected;
  for (int r = 0; r < kQ; ++r) {
    for (int c = 0; c < kHidden; ++c) expected.push_back(r / 6 * 2 + c / 5);
  }
  EXPECT_EQ(scaled_q("_scale_inv", {3, 2}, counting(3, 2), kBlocks), expected);
  EXPECT_EQ(scaled_q("_scale", {3, 2}, counting(3, 2), kBlocks), expected);
}

TEST(Fp8, BlocksOf128UnlessSaidOtherwise) {
  const TempDir dir;
  const Checkpoint checkpoint = open(
      dir,
      {.config = R"("hidden_size":8,"intermediate_size":130,"num_hidden_layers":1,"num_attention_heads":4,)"
                 R"("num_key_value_heads":2,"head_dim":4)",
       .extra = {
           {"model.layers.0.mlp.up_proj.weight", DType::BF16, {130, 8}},
           {"model.layers.0.mlp.gate_proj.weight", DType::BF16, {130, 8}},
           fp8_ones("model.layers.0.mlp.down_proj.weight", 8, 130),
           {"model.layers.0.mlp.down_proj.weight_scale_inv", DType::F32, {1, 2}, bytes_of(std::vector<float>{2, 3})}}});
  const std::vector<double> down = values_of(checkpoint, map_model(checkpoint), MatrixType::Down);
  EXPECT_EQ(down[127], 2);
  EXPECT_EQ(down[128], 3);
}

// Parts that begin in the middle of a block take the scales of their rows in the whole tensor.
TEST(Fp8, SlicesOfAFusedTensor) {
  const TempDir dir;
  const std::string name = "model.layers.0.self_attn.qkv_proj.weight";
  const Checkpoint checkpoint = open(
      dir,
      {.model_type = "phi3",
       .config = Model{}.config + kBlocks,
       .fused = true,
       .extra = {fp8_ones(name, 32, kHidden), {name + "_scale_inv", DType::F32, {6, 2}, bytes_of(counting(6, 2))}}});
  const ModelMap map = map_model(checkpoint);
  const auto expected = [](int begin, int end) {
    std::vector<double> out;
    for (int r = begin; r < end; ++r) {
      for (int c = 0; c < kHidden; ++c) out.push_back(r / 6 * 2 + c / 5);
    }
    return out;
  };
  EXPECT_EQ(values_of(checkpoint, map, MatrixType::Q), expected(0, 16));
  EXPECT_EQ(values_of(checkpoint, map, MatrixType::K), expected(16, 24));
  EXPECT_EQ(values_of(checkpoint, map, MatrixType::V), expected(24, 32));
  EXPECT_EQ(values_of(checkpoint, map, MatrixType::QKV), expected(0, 32));
}

// What others call them: DeepSeek-V4, and what diffusion models are packed by.
TEST(Fp8, ScalesBesideTheWeight) {
  const std::string module = "model.layers.0.self_attn.q_proj.";
  for (const char* name : {"scale", "scale_inv", "scale_weight"}) {
    const TempDir dir;
    const Checkpoint checkpoint =
        open(dir, {.config = Model{}.config + R"(,"quantization_config":{"quant_method":"fp8"})",
                   .extra = {fp8_ones(kQName, kQ, kHidden),
                             {module + name, DType::F32, {1}, bytes_of(std::vector<float>{0.25F})},
                             {module + "scale_input", DType::F32, {1}}}});
    EXPECT_EQ(values_of(checkpoint, map_model(checkpoint), MatrixType::Q), std::vector<double>(128, 0.25)) << name;
    EXPECT_TRUE(checkpoint.is_fp8_scale(module + name) && checkpoint.is_fp8_scale(module + "scale_input"));
    EXPECT_FALSE(checkpoint.is_fp8_scale("model.layers.0.self_attn.k_proj.scale"));
  }
  const TempDir dir;  // beside a weight that is no FP8 they are another thing
  const Checkpoint checkpoint = open(dir, {.extra = {{module + "scale", DType::F32, {1}}}});
  EXPECT_FALSE(checkpoint.is_fp8_scale(module + "scale"));
  EXPECT_EQ(list(map_model(checkpoint), 0), kSplitList);
}

TEST(Fp8, RefusesToDoWithoutScales) {
  const std::string fp8 = R"(,"quantization_config":{"quant_method":"fp8"})";
  EXPECT_TRUE(contains(refusal({.config = Model{}.config + fp8, .extra = {fp8_ones(kQName, kQ, kHidden)}}),
                       fmt::format("tensor \"{}\" is FP8 and has no scales under any name that Gyro knows, yet "
                                   "config.json has a quantization_config (fp8)",
                                   kQName)));
  const std::string other = "model.layers.0.self_attn.q_proj.my_scales";
  EXPECT_TRUE(contains(refusal({.extra = {fp8_ones(kQName, kQ, kHidden), {other, DType::F32, {1}}}}),
                       "tensor \"" + other + "\" lies beside it"));
  const std::string name = kQName, one = name + "_scale_inv", two = name + "_scale";
  const auto with = [&](float scale) {
    return Model{.extra = {fp8_ones(name, kQ, kHidden),
                           {one, DType::F32, {1}, bytes_of(std::vector<float>{2})},
                           {two, DType::F32, {1}, bytes_of(std::vector<float>{scale})}}};
  };
  EXPECT_TRUE(contains(refusal(with(99)), "has two scales that differ, tensor \"" + one + "\" and tensor \"" + two));
  const TempDir dir;
  EXPECT_EQ(map_model(open(dir, with(2))).warnings.size(), 0u);
}

TEST(Fp8, RefusesScalesThatDoNotFit) {
  const std::string scale = std::string(kQName) + "_scale_inv";
  for (const std::vector<int64_t>& shape :
       std::vector<std::vector<int64_t>>{{2}, {2, 2}, {1, 16}, {0}, {16, 1, 1}, {16, 8}}) {
    const std::string line = refusal({.extra = {fp8_ones(kQName, kQ, kHidden), {scale, DType::F32, shape}}});
    EXPECT_TRUE(contains(line, fmt::format("tensor \"{}\" has the shape [{}]: not one scale, not one for each of 16 "
                                           "rows, not [1, 1] for blocks of 128 x 128",
                                           scale, fmt::join(shape, ", "))))
        << line;
  }
  EXPECT_TRUE(contains(refusal({.extra = {fp8_ones(kQName, kQ, kHidden), {scale, DType::U8, {1}}}}),
                       "_scale_inv\" has the dtype U8"));
  EXPECT_TRUE(contains(refusal({.extra = {{scale, DType::F32, {1}}}}), "is BF16, yet has scales"));
}

TEST(PicoModels, AreMapped) {
  for (const char* model : {"qwen2", "llama", "mistral", "gemma2", "phi3", "qwen3moe"}) {
    const fs::path folder = fs::path(GYRO_SOURCE_DIR) / "models" / fmt::format("pico-{}", model);
    const Checkpoint base(folder / "base");
    const Checkpoint post(folder / "instruct");
    const ModelMap map = map_model(base);
    const bool fused = std::string(model) == "phi3", mixture = std::string(model) == "qwen3moe";
    EXPECT_EQ(map.sites.size(), fused ? 27u : mixture ? 65u : 21u) << model;
    EXPECT_TRUE(map.warnings.empty());
    check_same_shape(base, map, post, map_model(post));
    const Weight weight = load_weight(base, map.sites[0]);
    EXPECT_EQ(weight.rows, 64);
    EXPECT_EQ(weight.cols, 64);
    EXPECT_EQ(weight.dtype, DType::BF16);
  }
}

}  // namespace
}  // namespace gyro
