// Mixtures of experts: every architecture's layers as they are stored, and experts in tensors of all of them.

#include "gyro/arch/table.h"

#include <gtest/gtest.h>

#include <set>

#include "gyro/arch/test_util.h"
#include "gyro/checkpoint/checkpoint.h"
#include "gyro/checkpoint/test_util.h"

namespace gyro {
namespace {

// A layer's tensors as the modelling code of transformers has them, where hidden_size is 8 and there are 3 experts.
struct Stored {
  std::string name;
  std::vector<int64_t> shape;
};
using StoredLayer = std::vector<Stored>;

StoredLayer with_attention(StoredLayer layer) {
  layer.insert(layer.end(), {{"self_attn.q_proj.weight", {16, 8}},
                             {"self_attn.k_proj.weight", {8, 8}},
                             {"self_attn.v_proj.weight", {8, 8}},
                             {"self_attn.o_proj.weight", {8, 16}}});
  return layer;
}

StoredLayer dense_mlp(const std::string& module, int64_t width) {
  return with_attention({{module + ".gate_proj.weight", {width, 8}},
                         {module + ".up_proj.weight", {width, 8}},
                         {module + ".down_proj.weight", {8, width}}});
}

// Experts one by one, by the names of gate, up and down.
StoredLayer each_expert(const std::string& module, const std::array<const char*, 3>& names, int64_t width) {
  StoredLayer layer = {{module + ".gate.weight", {3, 8}}};
  for (int expert = 0; expert < 3; ++expert) {
    const std::string at = fmt::format("{}.experts.{}.", module, expert);
    layer.push_back({at + names[0] + ".weight", {width, 8}});
    layer.push_back({at + names[1] + ".weight", {width, 8}});
    layer.push_back({at + names[2] + ".weight", {8, width}});
  }
  return with_attention(layer);
}

StoredLayer all_experts(const std::string& module, const std::vector<int64_t>& gate_up,
                        const std::vector<int64_t>& down) {
  return with_attention({{module + ".experts.gate_up_proj", gate_up}, {module + ".experts.down_proj", down}});
}

struct MixtureCase {
  const char* label;
  std::string model_type, config;  // beside the sizes of attention
  StoredLayer first, second;
  std::string first_mlp, second_mlp;  // as `list` has them
};

constexpr const char* kSizes =
    R"("hidden_size":8,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,"head_dim":4,)";

Checkpoint open_layers(const TempDir& dir, const std::string& model_type, const std::string& config,
                       const std::vector<StoredLayer>& layers, std::vector<TestTensor> filled = {}) {
  write_text(dir / "config.json", fmt::format(R"({{"model_type":"{}",{}{}}})", model_type, kSizes, config));
  std::vector<TestTensor> tensors = std::move(filled);
  for (size_t i = 0; i < layers.size(); ++i) {
    for (const auto& [name, shape] : layers[i]) {
      const std::string full = fmt::format("model.layers.{}.{}", i, name);
      const bool there =
          std::any_of(tensors.begin(), tensors.end(), [&](const TestTensor& t) { return t.name == full; });
      if (!there) tensors.push_back({full, DType::BF16, shape});
    }
  }
  write_tensors(dir / "model.safetensors", tensors);
  return Checkpoint(dir.path());
}

std::string mlp_list(int64_t width, int experts) {
  std::string out;
  for (const char* one : {"W_gate {0}x8, ", "W_up {0}x8, ", "W_down 8x{0}, "}) {
    for (int i = 0; i < experts; ++i) out += fmt::format(fmt::runtime(one), width);
  }
  return out;
}

constexpr std::array kProjections = {"gate_proj", "up_proj", "down_proj"};
constexpr std::array kNumbered = {"w1", "w3", "w2"};
constexpr const char* kQwenConfig = R"("intermediate_size":12,"moe_intermediate_size":5,"num_experts":3)";

std::vector<MixtureCase> mixture_cases() {
  const std::string sparse_second = std::string(kQwenConfig) + R"(,"decoder_sparse_step":2)";
  const std::string dense_first = std::string(kQwenConfig) + R"(,"decoder_sparse_step":1,"mlp_only_layers":[0])";
  const StoredLayer dense = dense_mlp("mlp", 12), qwen = each_expert("mlp", kProjections, 5);
  const StoredLayer stacked = all_experts("mlp", {3, 10, 8}, {3, 8, 5});
  const std::string twelve = mlp_list(12, 1), fives = mlp_list(5, 3), sixes = mlp_list(6, 3);
  const std::string scout = R"("intermediate_size":6,"intermediate_size_mlp":12,"num_local_experts":3)";
  const std::string maverick = scout + R"(,"interleave_moe_layer_step":2)";
  const std::string listed = scout + R"(,"moe_layers":[1])";
  const StoredLayer llama4 = all_experts("feed_forward", {3, 8, 12}, {3, 6, 8});
  const StoredLayer llama4_dense = dense_mlp("feed_forward", 12);
  const std::string six = R"("intermediate_size":6,"num_local_experts":3)";
  const StoredLayer mixtral = each_expert("block_sparse_moe", kNumbered, 6);
  const StoredLayer mixtral_stacked = all_experts("mlp", {3, 12, 8}, {3, 8, 6});
  const StoredLayer gpt_oss = all_experts("mlp", {3, 8, 12}, {3, 6, 8});
  const StoredLayer olmoe = each_expert("mlp", kProjections, 6);
  return {{"qwen2_moe", "qwen2_moe", sparse_second, dense, qwen, twelve, fives},
          {"qwen3_moe", "qwen3_moe", dense_first, dense, qwen, twelve, fives},
          {"qwen3_moe_every_layer", "qwen3_moe", kQwenConfig, qwen, qwen, fives, fives},
          {"qwen3_moe_stacked", "qwen3_moe", dense_first, dense, stacked, twelve, fives},
          {"olmoe", "olmoe", R"("intermediate_size":6,"num_experts":3)", olmoe, olmoe, sixes, sixes},
          {"mixtral", "mixtral", six, mixtral, mixtral, sixes, sixes},
          {"mixtral_stacked", "mixtral", six, mixtral_stacked, mixtral, sixes, sixes},
          {"llama4", "llama4", scout, llama4, llama4, sixes, sixes},
          {"llama4_text", "llama4_text", maverick, llama4_dense, llama4, twelve, sixes},
          {"llama4_listed", "llama4_text", listed, llama4_dense, llama4, twelve, sixes},
          {"gpt_oss", "gpt_oss", six, gpt_oss, gpt_oss, sixes, sixes}};
}

class EachMixture : public testing::TestWithParam<MixtureCase> {};

TEST_P(EachMixture, IsMapped) {
  const MixtureCase& mixture = GetParam();
  const TempDir dir;
  const Checkpoint checkpoint = open_layers(dir, mixture.model_type, mixture.config, {mixture.first, mixture.second});
  const ModelMap map = map_model(checkpoint);
  const std::string attention = "W_Q 16x8, W_K 8x8, W_V 8x8, W_O 8x16, ";
  const auto without_router = [&](int64_t layer) {
    std::string all = list(map, layer);
    if (const size_t at = all.find("W_router 3x8, "); at != std::string::npos) all.erase(at, 14);
    return all;
  };
  EXPECT_EQ(without_router(0), attention + mixture.first_mlp);
  EXPECT_EQ(without_router(1), attention + mixture.second_mlp);
  EXPECT_TRUE(map.warnings.empty());
  std::set<MatrixKey> keys;
  for (const MatrixSite& site : map.sites) {
    keys.insert(site.key());
    EXPECT_EQ(&same_site(map, site), &site);
    const Weight weight = load_weight(checkpoint, site);
    EXPECT_EQ(weight.rows, site.d_out);
    EXPECT_EQ(weight.cols, site.d_in);
    prefetch_weight(checkpoint, site);
  }
  EXPECT_EQ(keys.size(), map.sites.size());
}

INSTANTIATE_TEST_SUITE_P(Table, EachMixture, testing::ValuesIn(mixture_cases()),
                         [](const auto& row) { return std::string(row.param.label); });

TEST(Table, EveryMixtureIsTested) {
  std::set<std::string> known, tested;
  for (const MixtureCase& mixture : mixture_cases()) tested.insert(mixture.model_type);
  tested.erase("llama4");                         // that of llama4_text
  tested.insert({"deepseek_v2", "deepseek_v3"});  // in published_test.cc
  for (const Architecture& row : architectures()) {
    if (row.mixture) known.emplace(row.model_type);
  }
  EXPECT_EQ(known, tested);
}

// W[r][c] = element [expert][c][column(r)] of a tensor of `columns` columns that counts its elements.
std::vector<double> column_wise(int64_t d_out, int64_t d_in, int64_t expert, int64_t columns, int64_t first,
                                int64_t step) {
  std::vector<double> out;
  for (int64_t r = 0; r < d_out; ++r) {
    for (int64_t c = 0; c < d_in; ++c) {
      out.push_back(static_cast<double>((expert * d_in + c) * columns + first + r * step));
    }
  }
  return out;
}

TEST(Experts, ElementsOfTransposedTensors) {
  const std::string module[] = {"feed_forward", "mlp"};
  const char* type[] = {"llama4_text", "gpt_oss"};
  for (size_t i = 0; i < 2; ++i) {
    const bool in_turns = i == 1;
    const TempDir dir;
    const std::string at = "model.layers.0." + module[i] + ".experts.";
    const StoredLayer layer = all_experts(module[i], {3, 8, 12}, {3, 6, 8});
    const Checkpoint checkpoint = open_layers(
        dir, type[i], R"("intermediate_size":6,"intermediate_size_mlp":1,"num_local_experts":3)", {layer, layer},
        {{at + "gate_up_proj", DType::F32, {3, 8, 12}, bytes_of(counting(24, 12))},
         {at + "down_proj", DType::F32, {3, 6, 8}, bytes_of(counting(18, 8))}});
    const ModelMap map = map_model(checkpoint);
    for (int64_t expert = 0; expert < 3; ++expert) {
      const auto found = [&](MatrixType of) { return values_at(checkpoint, map, {0, of, expert}); };
      EXPECT_EQ(found(MatrixType::Gate), column_wise(6, 8, expert, 12, 0, in_turns ? 2 : 1));
      EXPECT_EQ(found(MatrixType::Up), column_wise(6, 8, expert, 12, in_turns ? 1 : 6, in_turns ? 2 : 1));
      EXPECT_EQ(found(MatrixType::Down), column_wise(8, 6, expert, 8, 0, 1));
    }
  }
}

TEST(Experts, ElementsOfATensorOfAll) {
  const TempDir dir;
  const StoredLayer layer = all_experts("mlp", {3, 10, 8}, {3, 8, 5});
  const Checkpoint checkpoint =
      open_layers(dir, "qwen3_moe", kQwenConfig, {layer, layer},
                  {{"model.layers.1.mlp.experts.gate_up_proj", DType::F32, {3, 10, 8}, bytes_of(counting(30, 8))}});
  const ModelMap map = map_model(checkpoint);
  std::vector<double> expected;
  for (int i = 0; i < 40; ++i) expected.push_back((2 * 10 + 5) * 8 + i);
  EXPECT_EQ(values_at(checkpoint, map, {1, MatrixType::Up, 2}), expected);
}

// Laid back where they came from, all matrices of a tensor are the tensor again.
TEST(Experts, PlaceWeightIsTheInverse) {
  for (const auto& [type, module] : {std::pair{"llama4_text", "feed_forward"}, {"gpt_oss", "mlp"}}) {
    const TempDir dir;
    const StoredLayer layer = all_experts(module, {3, 8, 12}, {3, 6, 8});
    const std::string name = fmt::format("model.layers.0.{}.experts.gate_up_proj", module);
    const Checkpoint checkpoint =
        open_layers(dir, type, R"("intermediate_size":6,"num_local_experts":3)", {layer, layer},
                    {{name, DType::F32, {3, 8, 12}, bytes_of(counting(24, 12))}});
    std::vector<std::byte> bytes(24 * 12 * 4);
    for (const MatrixSite& site : map_model(checkpoint).sites) {
      if (site.tensor != name) continue;
      const Weight weight = load_weight(checkpoint, site);
      place_weight(site, DType::F32, {weight.data, weight.byte_size()}, 12, bytes);
    }
    const TensorLease lease = checkpoint.read(name);
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), lease.bytes.begin(), lease.bytes.end()));
  }
}

TEST(Experts, Refusals) {
  const auto said = [](const std::string& type, const std::string& config, const StoredLayer& layer,
                       std::vector<TestTensor> filled = {}) {
    const TempDir dir;
    return error_of([&] { map_model(open_layers(dir, type, config, {layer, layer}, std::move(filled))); });
  };
  const StoredLayer qwen = each_expert("mlp", kProjections, 5), stacked = all_experts("mlp", {3, 10, 8}, {3, 8, 5});
  StoredLayer both = qwen;
  both.insert(both.end(), stacked.begin(), stacked.begin() + 2);
  EXPECT_TRUE(contains(said("qwen3_moe", kQwenConfig, both), "has both tensor \"model.layers.0.mlp.experts.gate_up"));
  const std::string four = R"("intermediate_size":12,"moe_intermediate_size":5,"num_experts":4)";
  EXPECT_TRUE(contains(said("qwen3_moe", four, qwen), "no tensor \"model.layers.0.mlp.experts.3.gate_proj.weight\""));
  EXPECT_TRUE(
      contains(said("qwen3_moe", four, stacked), "has the shape [3, 10, 8] where config.json means [4, 10, 8]"));
  EXPECT_TRUE(contains(said("mixtral", R"("intermediate_size":6)", qwen),
                       "has no tensor \"model.layers.0.block_sparse_moe.experts.0."));
  const std::string up = "model.layers.0.mlp.experts.gate_up_proj";
  EXPECT_TRUE(contains(
      said("qwen3_moe", kQwenConfig, stacked, {{up, DType::F8_E4M3, {3, 10, 8}}, {up + "_scale", DType::F32, {1}}}),
      "has FP8 scales and 3 dimensions"));
  EXPECT_TRUE(contains(said("gpt_oss", R"("intermediate_size":6,"num_local_experts":3)", with_attention({}),
                            {{up + "_blocks", DType::U8, {3, 12, 1, 4}}}),
                       "gate_up_proj_blocks\" holds quantised integers (U8)"));
  // A mixture that the table does not have.
  EXPECT_TRUE(contains(said("glm4_moe", kQwenConfig, qwen), "has the unknown model_type \"glm4_moe\", and no tensor"));
}

TEST(CheckSameShape, NamesTheExpert) {
  const TempDir a, b;
  const StoredLayer qwen = each_expert("mlp", kProjections, 5);
  const Checkpoint base = open_layers(a, "qwen3_moe", kQwenConfig, {qwen, qwen});
  const Checkpoint post =
      open_layers(b, "qwen3_moe", std::string(kQwenConfig) + R"(,"mlp_only_layers":[1])", {qwen, dense_mlp("mlp", 12)});
  EXPECT_TRUE(contains(error_of([&] { check_same_shape(base, map_model(base), post, map_model(post)); }),
                       "W_gate of layer 1 (12 x 8) where the base has W_gate of layer 1, expert 0 (5 x 8)"));
}

}  // namespace
}  // namespace gyro
