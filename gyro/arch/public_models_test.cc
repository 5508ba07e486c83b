// Every dense architecture that does not name its tensors as Llama does, or its sizes: as a public model has them, by
// its config.json and its modelling code, with two layers; and where the elements of W lie.

#include <gtest/gtest.h>

#include <set>

#include "gyro/arch/table.h"
#include "gyro/arch/test_util.h"
#include "gyro/base/file.h"
#include "gyro/checkpoint/checkpoint.h"
#include "gyro/checkpoint/test_util.h"
#include "gyro/checkpoint/writer.h"

namespace gyro {
namespace {

struct Stored {
  const char* name;  // behind the layer's number, less ".weight"
  std::vector<int64_t> shape;
};

struct PublicModel {
  std::string label, model_type, config;  // its sizes; the number of layers is 2
  const char* layers;                     // what precedes a layer's number
  std::vector<Stored> stored;
  std::string matrices;  // of a layer, as `list` has them
};

// A checkpoint of those shapes whose weights are a hole of the file.
Checkpoint open_hollow(const TempDir& dir, const PublicModel& model, const std::string& layers) {
  write_text(dir / "config.json", fmt::format(R"({{"model_type":"{}",{}}})", model.model_type, model.config));
  std::vector<PlannedTensor> plan;
  size_t bytes = 0;
  for (int layer = 0; layer < 2; ++layer) {
    for (const auto& [name, shape] : model.stored) {
      plan.push_back({fmt::format("{}{}.{}.weight", layers, layer, name), DType::BF16, shape});
      bytes += plan.back().byte_size();
    }
  }
  const std::filesystem::path file = dir / "model.safetensors";
  const std::string head = safetensors_head("model.safetensors", plan, {{"format", "pt"}});
  write_text(file, head);
  std::filesystem::resize_file(file, head.size() + bytes);
  return Checkpoint(dir.path());
}

std::vector<Stored> llama_layer(int64_t hidden, int64_t q, int64_t kv, int64_t mlp) {
  return {{"self_attn.q_proj", {q, hidden}}, {"self_attn.k_proj", {kv, hidden}}, {"self_attn.v_proj", {kv, hidden}},
          {"self_attn.o_proj", {hidden, q}}, {"mlp.gate_proj", {mlp, hidden}},   {"mlp.up_proj", {mlp, hidden}},
          {"mlp.down_proj", {hidden, mlp}}};
}

std::string attention(int64_t hidden, int64_t q, int64_t kv) {
  return fmt::format("W_Q {1}x{0}, W_K {2}x{0}, W_V {2}x{0}, W_O {0}x{1}, ", hidden, q, kv);
}
std::string gated(int64_t hidden, int64_t mlp) {
  return fmt::format("W_gate {1}x{0}, W_up {1}x{0}, W_down {0}x{1}, ", hidden, mlp);
}
std::string plain(int64_t hidden, int64_t mlp) {
  return fmt::format("W_up {1}x{0}, W_down {0}x{1}, ", hidden, mlp);
}

PublicModel named_as_llama(const char* label, const char* model_type, std::array<int64_t, 4> sizes,
                           const std::string& config) {
  const auto [hidden, q, kv, mlp] = sizes;
  return {label,
          model_type,
          fmt::format(R"("hidden_size":{},"intermediate_size":{},"num_hidden_layers":2,{})", hidden, mlp, config),
          "model.layers.",
          llama_layer(hidden, q, kv, mlp),
          attention(hidden, q, kv) + gated(hidden, mlp)};
}

std::vector<PublicModel> models_named_as_llama() {
  return {
      named_as_llama("internlm_20b", "internlm", {5120, 5120, 5120, 13824},
                     R"("num_attention_heads":40,"num_key_value_heads":40)"),
      named_as_llama("olmo_1b", "olmo", {2048, 2048, 2048, 8192},
                     R"("num_attention_heads":16,"num_key_value_heads":16)"),
      named_as_llama("olmo2_7b", "olmo2", {4096, 4096, 4096, 11008},
                     R"("num_attention_heads":32,"num_key_value_heads":32)"),
      named_as_llama("command_r", "cohere", {8192, 8192, 8192, 22528}, R"("num_attention_heads":64)"),
      named_as_llama("command_r7b", "cohere2", {4096, 4096, 1024, 14336},
                     R"("num_attention_heads":32,"num_key_value_heads":8,"head_dim":128)"),
      named_as_llama("granite_3_1_2b", "granite", {2048, 2048, 512, 8192},
                     R"("num_attention_heads":32,"num_key_value_heads":8)"),
      named_as_llama("stablelm_2_1_6b", "stablelm", {2048, 2048, 2048, 5632},
                     R"("num_attention_heads":32,"num_key_value_heads":32)"),
      named_as_llama("smollm3_3b", "smollm3", {2048, 2048, 512, 11008}, R"("num_attention_heads":16)"),
      named_as_llama("exaone_4_1_2b", "exaone4", {2048, 2048, 512, 4096},
                     R"("num_attention_heads":32,"num_key_value_heads":8,"head_dim":64)"),
  };
}

std::vector<PublicModel> models_with_gates() {
  const std::string glm_sizes = R"("hidden_size":4096,"intermediate_size":13696,"num_hidden_layers":2,)"
                                R"("num_attention_heads":32,"num_key_value_heads":2,"head_dim":128)";
  const std::vector<Stored> glm = {{"self_attn.q_proj", {4096, 4096}},  {"self_attn.k_proj", {256, 4096}},
                                   {"self_attn.v_proj", {256, 4096}},   {"self_attn.o_proj", {4096, 4096}},
                                   {"mlp.gate_up_proj", {27392, 4096}}, {"mlp.down_proj", {4096, 13696}}};
  const std::string glm_matrices = attention(4096, 4096, 256) + gated(4096, 13696);
  return {
      {"glm_4_9b_hf", "glm", glm_sizes, "model.layers.", glm, glm_matrices + "W_gate_up 27392x4096, "},
      {"glm_4_9b_0414", "glm4", glm_sizes, "model.layers.", glm, glm_matrices + "W_gate_up 27392x4096, "},
      {"chatglm3_6b",
       "chatglm",
       R"("add_qkv_bias":true,"ffn_hidden_size":13696,"hidden_size":4096,"kv_channels":128,)"
       R"("multi_query_attention":true,"multi_query_group_num":2,"num_attention_heads":32,"num_layers":2)",
       "transformer.encoder.layers.",
       {{"self_attention.query_key_value", {4608, 4096}},
        {"self_attention.dense", {4096, 4096}},
        {"mlp.dense_h_to_4h", {27392, 4096}},
        {"mlp.dense_4h_to_h", {4096, 13696}}},
       glm_matrices + "W_QKV 4608x4096, W_gate_up 27392x4096, "},
      {"baichuan2_13b",
       "baichuan",
       R"("hidden_size":5120,"intermediate_size":13696,"num_attention_heads":40,"num_hidden_layers":2)",
       "model.layers.",
       {{"self_attn.W_pack", {15360, 5120}},
        {"self_attn.o_proj", {5120, 5120}},
        {"mlp.gate_proj", {13696, 5120}},
        {"mlp.up_proj", {13696, 5120}},
        {"mlp.down_proj", {5120, 13696}}},
       attention(5120, 5120, 5120) + gated(5120, 13696) + "W_QKV 15360x5120, "},
      {"internlm2_5_7b",
       "internlm2",
       R"("hidden_size":4096,"intermediate_size":14336,"num_attention_heads":32,"num_hidden_layers":2,)"
       R"("num_key_value_heads":8)",
       "model.layers.",
       {{"attention.wqkv", {6144, 4096}},
        {"attention.wo", {4096, 4096}},
        {"feed_forward.w1", {14336, 4096}},
        {"feed_forward.w2", {4096, 14336}},
        {"feed_forward.w3", {14336, 4096}}},
       attention(4096, 4096, 1024) + gated(4096, 14336) + "W_QKV 6144x4096, "},
      {"qwen_7b",
       "qwen",
       R"("hidden_size":4096,"intermediate_size":22016,"kv_channels":128,"num_attention_heads":32,)"
       R"("num_hidden_layers":2)",
       "transformer.h.",
       {{"attn.c_attn", {12288, 4096}},
        {"attn.c_proj", {4096, 4096}},
        {"mlp.w1", {11008, 4096}},
        {"mlp.w2", {11008, 4096}},
        {"mlp.c_proj", {4096, 11008}}},
       attention(4096, 4096, 4096) + gated(4096, 11008) + "W_QKV 12288x4096, "},
      {"exaone_3_7_8b",
       "exaone",
       R"("hidden_size":4096,"intermediate_size":14336,"num_attention_heads":32,"num_key_value_heads":8,)"
       R"("num_layers":2)",
       "transformer.h.",
       {{"attn.attention.q_proj", {4096, 4096}},
        {"attn.attention.k_proj", {1024, 4096}},
        {"attn.attention.v_proj", {1024, 4096}},
        {"attn.attention.out_proj", {4096, 4096}},
        {"mlp.c_fc_0", {14336, 4096}},
        {"mlp.c_fc_1", {14336, 4096}},
        {"mlp.c_proj", {4096, 14336}}},
       attention(4096, 4096, 1024) + gated(4096, 14336)},
  };
}

std::vector<Stored> split_attention(const std::string& module, const std::string& out, int64_t hidden, int64_t kv) {
  static std::set<std::string> names;  // Stored points to them
  const auto name = [&](const std::string& last) { return names.insert(module + "." + last).first->c_str(); };
  return {{name("q_proj"), {hidden, hidden}},
          {name("k_proj"), {kv, hidden}},
          {name("v_proj"), {kv, hidden}},
          {name(out), {hidden, hidden}}};
}

std::vector<Stored> with(std::vector<Stored> layer, const std::vector<Stored>& more) {
  layer.insert(layer.end(), more.begin(), more.end());
  return layer;
}

std::vector<Stored> falcon_layer(int64_t hidden, int64_t qkv) {
  return {{"self_attention.query_key_value", {qkv, hidden}},
          {"self_attention.dense", {hidden, hidden}},
          {"mlp.dense_h_to_4h", {4 * hidden, hidden}},
          {"mlp.dense_4h_to_h", {hidden, 4 * hidden}}};
}

std::vector<PublicModel> falcons() {
  return {{"falcon_7b", "falcon",
           R"("alibi":false,"hidden_size":4544,"multi_query":true,"new_decoder_architecture":false,)"
           R"("num_attention_heads":71,"num_hidden_layers":2,"num_kv_heads":71)",
           "transformer.h.", falcon_layer(4544, 4672),
           attention(4544, 4544, 64) + plain(4544, 18176) + "W_QKV 4672x4544, "},
          {"falcon_40b", "falcon",
           R"("alibi":false,"hidden_size":8192,"multi_query":true,"new_decoder_architecture":true,)"
           R"("num_attention_heads":128,"num_hidden_layers":2,"num_kv_heads":8)",
           "transformer.h.", falcon_layer(8192, 9216),
           attention(8192, 8192, 512) + plain(8192, 32768) + "W_QKV 9216x8192, "},
          {"falcon_rw_1b", "falcon",
           R"("alibi":true,"hidden_size":2048,"multi_query":false,"new_decoder_architecture":false,)"
           R"("num_attention_heads":32,"num_hidden_layers":2)",
           "transformer.h.", falcon_layer(2048, 6144),
           attention(2048, 2048, 2048) + plain(2048, 8192) + "W_QKV 6144x2048, "},
          {"bloom_560m", "bloom", R"("hidden_size":1024,"n_head":16,"n_inner":null,"n_layer":2)", "transformer.h.",
           falcon_layer(1024, 3072), attention(1024, 1024, 1024) + plain(1024, 4096) + "W_QKV 3072x1024, "},
          {"bloom", "bloom", R"("n_embed":14336,"num_attention_heads":112,"n_layer":2)", "transformer.h.",
           falcon_layer(14336, 43008), attention(14336, 14336, 14336) + plain(14336, 57344) + "W_QKV 43008x14336, "}};
}

std::vector<PublicModel> models_without_gates() {
  return {
      {"starcoder2_3b", "starcoder2",
       R"("hidden_size":3072,"intermediate_size":12288,"num_attention_heads":24,"num_hidden_layers":2,)"
       R"("num_key_value_heads":2)",
       "model.layers.",
       with(split_attention("self_attn", "o_proj", 3072, 256),
            {{"mlp.c_fc", {12288, 3072}}, {"mlp.c_proj", {3072, 12288}}}),
       attention(3072, 3072, 256) + plain(3072, 12288)},
      {"phi_2", "phi",
       R"("hidden_size":2560,"intermediate_size":10240,"num_attention_heads":32,"num_hidden_layers":2,)"
       R"("num_key_value_heads":32)",
       "model.layers.",
       with(split_attention("self_attn", "dense", 2560, 2560),
            {{"mlp.fc1", {10240, 2560}}, {"mlp.fc2", {2560, 10240}}}),
       attention(2560, 2560, 2560) + plain(2560, 10240)},
      {"opt_125m", "opt", R"("hidden_size":768,"ffn_dim":3072,"num_attention_heads":12,"num_hidden_layers":2)",
       "model.decoder.layers.",
       with(split_attention("self_attn", "out_proj", 768, 768), {{"fc1", {3072, 768}}, {"fc2", {768, 3072}}}),
       attention(768, 768, 768) + plain(768, 3072)},
      {"gpt2",
       "gpt2",
       R"("n_ctx":1024,"n_embd":768,"n_head":12,"n_layer":2,"n_positions":1024)",
       "transformer.h.",
       {{"attn.c_attn", {768, 2304}},
        {"attn.c_proj", {768, 768}},
        {"mlp.c_fc", {768, 3072}},
        {"mlp.c_proj", {3072, 768}}},
       attention(768, 768, 768) + plain(768, 3072) + "W_QKV 2304x768, "},
      {"gpt_j_6b", "gptj", R"("n_embd":4096,"n_head":16,"n_inner":null,"n_layer":2,"rotary_dim":64)", "transformer.h.",
       with(split_attention("attn", "out_proj", 4096, 4096),
            {{"mlp.fc_in", {16384, 4096}}, {"mlp.fc_out", {4096, 16384}}}),
       attention(4096, 4096, 4096) + plain(4096, 16384)},
      {"pythia_70m",
       "gpt_neox",
       R"("hidden_size":512,"intermediate_size":2048,"num_attention_heads":8,"num_hidden_layers":2)",
       "gpt_neox.layers.",
       {{"attention.query_key_value", {1536, 512}},
        {"attention.dense", {512, 512}},
        {"mlp.dense_h_to_4h", {2048, 512}},
        {"mlp.dense_4h_to_h", {512, 2048}}},
       attention(512, 512, 512) + plain(512, 2048) + "W_QKV 1536x512, "},
      {"mpt_7b",
       "mpt",
       R"("d_model":4096,"expansion_ratio":4,"n_heads":32,"n_layers":2)",
       "transformer.blocks.",
       {{"attn.Wqkv", {12288, 4096}},
        {"attn.out_proj", {4096, 4096}},
        {"ffn.up_proj", {16384, 4096}},
        {"ffn.down_proj", {4096, 16384}}},
       attention(4096, 4096, 4096) + plain(4096, 16384) + "W_QKV 12288x4096, "},
  };
}

std::vector<PublicModel> public_models() {
  std::vector<PublicModel> all;
  for (const auto& some : {models_named_as_llama(), models_with_gates(), falcons(), models_without_gates()}) {
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

class EachPublicModel : public testing::TestWithParam<PublicModel> {};

TEST_P(EachPublicModel, IsMapped) {
  const PublicModel& model = GetParam();
  const std::string usual = model.layers;
  for (const std::string& layers : {usual, usual.substr(usual.find('.') + 1)}) {  // the body alone as well
    const TempDir dir;
    const Checkpoint checkpoint = open_hollow(dir, model, layers);
    const ModelMap map = map_model(checkpoint);
    EXPECT_TRUE(map.warnings.empty());
    for (const int64_t layer : {0, 1}) EXPECT_EQ(list(map, layer), model.matrices);
    for (const MatrixSite& site : map.sites) {
      EXPECT_EQ(&same_site(map, site), &site);
      prefetch_weight(checkpoint, site);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Table, EachPublicModel, testing::ValuesIn(public_models()),
                         [](const auto& row) { return row.param.label; });

TEST(Table, EveryDenseArchitectureIsTested) {
  std::set<std::string_view> dense, tested(std::begin(kDenseArchitectures), std::end(kDenseArchitectures));
  const std::vector<PublicModel> models = public_models();
  for (const PublicModel& model : models) tested.insert(model.model_type);
  for (const Architecture& row : architectures()) {
    if (!row.mixture) dense.insert(row.model_type);
  }
  EXPECT_EQ(dense, tested);
}

// Small models of 4 heads of 2, hidden size 8 and inner width 6 where it is free, whose tensors count their elements.
struct SmallModel {
  std::string label, model_type, config;
  const char* layers;
  std::vector<Stored> stored;
  int64_t kv_heads = 4;
};

std::vector<SmallModel> small_models() {
  const std::string usual = R"("hidden_size":8,"intermediate_size":6,"num_attention_heads":4,"num_hidden_layers":1)";
  const std::string falcon = R"("hidden_size":8,"num_attention_heads":4,"num_hidden_layers":1,)";
  const std::vector<Stored> gate_up = {{"mlp.gate_up_proj", {12, 8}}, {"mlp.down_proj", {8, 6}}};
  return {
      {"gpt2",
       "gpt2",
       R"("n_embd":8,"n_head":4,"n_layer":1,"n_inner":6)",
       "transformer.h.",
       {{"attn.c_attn", {8, 24}}, {"attn.c_proj", {8, 8}}, {"mlp.c_fc", {8, 6}}, {"mlp.c_proj", {6, 8}}}},
      {"gpt_neox",
       "gpt_neox",
       usual,
       "gpt_neox.layers.",
       {{"attention.query_key_value", {24, 8}},
        {"attention.dense", {8, 8}},
        {"mlp.dense_h_to_4h", {6, 8}},
        {"mlp.dense_4h_to_h", {8, 6}}}},
      {"bloom", "bloom", R"("hidden_size":8,"n_head":4,"n_layer":1)", "transformer.h.", falcon_layer(8, 24)},
      {"falcon_grouped", "falcon", falcon + R"("num_kv_heads":2,"new_decoder_architecture":true)", "transformer.h.",
       falcon_layer(8, 16), 2},
      {"falcon_multi_query", "falcon", falcon + R"("num_kv_heads":4)", "transformer.h.", falcon_layer(8, 12), 1},
      {"falcon_every_head", "falcon", falcon + R"("multi_query":false)", "transformer.h.", falcon_layer(8, 24)},
      {"internlm2",
       "internlm2",
       usual + R"(,"num_key_value_heads":2)",
       "model.layers.",
       {{"attention.wqkv", {16, 8}},
        {"attention.wo", {8, 8}},
        {"feed_forward.w1", {6, 8}},
        {"feed_forward.w2", {8, 6}},
        {"feed_forward.w3", {6, 8}}},
       2},
      {"chatglm",
       "chatglm",
       R"("hidden_size":8,"ffn_hidden_size":6,"num_attention_heads":4,"num_layers":1,"multi_query_attention":true,)"
       R"("multi_query_group_num":2)",
       "transformer.encoder.layers.",
       {{"self_attention.query_key_value", {16, 8}},
        {"self_attention.dense", {8, 8}},
        {"mlp.dense_h_to_4h", {12, 8}},
        {"mlp.dense_4h_to_h", {8, 6}}},
       2},
      {"glm", "glm", usual + R"(,"head_dim":2)", "model.layers.",
       with(split_attention("self_attn", "o_proj", 8, 4), gate_up), 2},
      {"baichuan",
       "baichuan",
       usual,
       "model.layers.",
       {{"self_attn.W_pack", {24, 8}},
        {"self_attn.o_proj", {8, 8}},
        {"mlp.gate_proj", {6, 8}},
        {"mlp.up_proj", {6, 8}},
        {"mlp.down_proj", {8, 6}}}},
      {"qwen",
       "qwen",
       R"("hidden_size":8,"intermediate_size":12,"num_attention_heads":4,"num_hidden_layers":1)",
       "transformer.h.",
       {{"attn.c_attn", {24, 8}},
        {"attn.c_proj", {8, 8}},
        {"mlp.w1", {6, 8}},
        {"mlp.w2", {6, 8}},
        {"mlp.c_proj", {8, 6}}}},
      {"mpt",
       "mpt",
       R"("d_model":8,"n_heads":4,"n_layers":1)",
       "transformer.blocks.",
       {{"attn.Wqkv", {24, 8}}, {"attn.out_proj", {8, 8}}, {"ffn.up_proj", {32, 8}}, {"ffn.down_proj", {8, 32}}}},
  };
}

Checkpoint open_counting(const TempDir& dir, const SmallModel& model) {
  write_text(dir / "config.json", fmt::format(R"({{"model_type":"{}",{}}})", model.model_type, model.config));
  std::vector<TestTensor> tensors;
  for (const auto& [name, shape] : model.stored) {
    tensors.push_back(
        {fmt::format("{}0.{}.weight", model.layers, name), DType::F32, shape, bytes_of(counting(shape[0], shape[1]))});
  }
  write_tensors(dir / "model.safetensors", tensors);
  return Checkpoint(dir.path());
}

class EachSmallModel : public testing::TestWithParam<SmallModel> {};

// The parts of all tensors, each laid back where it came from, are the tensors, and every element is in one of them.
TEST_P(EachSmallModel, PlacesEveryElementOnce) {
  const TempDir dir;
  const Checkpoint checkpoint = open_counting(dir, GetParam());
  std::map<std::string, std::vector<std::byte>> placed;
  std::map<std::string, int64_t> elements;
  for (const MatrixSite& site : map_model(checkpoint).sites) {
    if (type_is_fused(site.type)) continue;
    const SourceTensor& tensor = *checkpoint.find(site.tensor);
    const Weight weight = load_weight(checkpoint, site);
    const auto bytes = placed.try_emplace(site.tensor, tensor.byte_size(), std::byte{0xff}).first;
    place_weight(site, DType::F32, {weight.data, weight.byte_size()}, tensor.shape.back(), bytes->second);
    elements[site.tensor] += site.d_in * site.d_out;
  }
  EXPECT_EQ(placed.size(), checkpoint.tensors().size());
  for (const auto& [name, bytes] : placed) {
    const TensorLease lease = checkpoint.read(name);
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), lease.bytes.begin(), lease.bytes.end())) << name;
    EXPECT_EQ(elements[name] * 4, static_cast<int64_t>(lease.bytes.size())) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Table, EachSmallModel, testing::ValuesIn(small_models()),
                         [](const auto& row) { return row.param.label; });

// Elements of `rows` of a tensor of `columns` columns that counts them.
std::vector<double> rows_of(const std::vector<int64_t>& rows, int64_t columns) {
  std::vector<double> out;
  for (const int64_t row : rows) {
    for (int64_t c = 0; c < columns; ++c) out.push_back(static_cast<double>(row * columns + c));
  }
  return out;
}

SmallModel small_model(const std::vector<SmallModel>& models, const std::string& label) {
  return *std::find_if(models.begin(), models.end(), [&](const SmallModel& model) { return model.label == label; });
}

// Heads of 2 rows: query heads of group 0, its key, its value, then group 1.
TEST(Groups, RowsOfEachPart) {
  const std::vector<SmallModel> models = small_models();
  for (const char* label : {"internlm2", "falcon_grouped"}) {
    const TempDir dir;
    const Checkpoint checkpoint = open_counting(dir, small_model(models, label));
    const ModelMap map = map_model(checkpoint);
    const auto found = [&](MatrixType type) { return values_at(checkpoint, map, {0, type}); };
    EXPECT_EQ(found(MatrixType::Q), rows_of({0, 1, 2, 3, 8, 9, 10, 11}, 8));
    EXPECT_EQ(found(MatrixType::K), rows_of({4, 5, 12, 13}, 8));
    EXPECT_EQ(found(MatrixType::V), rows_of({6, 7, 14, 15}, 8));
  }
  for (const char* label : {"gpt_neox", "bloom", "falcon_every_head"}) {
    const TempDir dir;
    const Checkpoint checkpoint = open_counting(dir, small_model(models, label));
    const ModelMap map = map_model(checkpoint);
    EXPECT_EQ(values_at(checkpoint, map, {0, MatrixType::K}), rows_of({2, 3, 8, 9, 14, 15, 20, 21}, 8));
  }
}

// The same weights with a scale for each row, one for each block of 3 x 5, or one, as FP8.
TEST(Groups, Fp8ScalesFollowTheirRows) {
  const SmallModel model = small_model(small_models(), "internlm2");
  using Scale = std::pair<std::vector<int64_t>, std::function<float(int64_t, int64_t)>>;
  for (const auto& [shape, scale] : {Scale{{16}, [](int64_t r, int64_t) { return static_cast<float>(1 + r); }},
                                     Scale{{6, 2},
                                           [](int64_t r, int64_t c) {
                                             const int64_t block = r / 3 * 2 + c / 5;
                                             return static_cast<float>(1 + block);
                                           }},
                                     Scale{{1}, [](int64_t, int64_t) { return 3.0F; }}}) {
    const TempDir dir;
    write_text(dir / "config.json",
               fmt::format(R"({{"model_type":"internlm2",{},"quantization_config":{{"weight_block_size":[3,5]}}}})",
                           model.config));
    int64_t count = 1;
    for (const int64_t extent : shape) count *= extent;
    std::vector<float> table(static_cast<size_t>(count));
    const int64_t of_rows = shape.size() == 2 ? 3 : 1;
    for (int64_t i = 0; i < count; ++i) {
      table[static_cast<size_t>(i)] = shape.size() == 2 ? scale(i / 2 * of_rows, i % 2 * 5) : scale(i, 0);
    }
    std::vector<TestTensor> tensors;
    for (const auto& [name, extents] : model.stored) {
      const std::string full = fmt::format("model.layers.0.{}.weight", name);
      const bool fused = std::string_view(name) == "attention.wqkv";
      if (!fused) {
        tensors.push_back({full, DType::BF16, extents});
        continue;
      }
      tensors.push_back({full, DType::F8_E4M3, extents, std::vector<std::byte>(128, std::byte{0x38})});  // all 1
      tensors.push_back({full + "_scale_inv", DType::F32, shape, bytes_of(table)});
    }
    write_tensors(dir / "model.safetensors", tensors);
    const Checkpoint checkpoint(dir.path());
    const ModelMap map = map_model(checkpoint);
    std::vector<double> expected;
    for (const int64_t row : {6, 7, 14, 15}) {
      for (int64_t c = 0; c < 8; ++c) expected.push_back(scale(row, c));
    }
    EXPECT_EQ(values_at(checkpoint, map, {0, MatrixType::V}), expected);
  }
}

TEST(Columns, AreRowsOfW) {
  const TempDir dir;
  const Checkpoint checkpoint = open_counting(dir, small_models().front());
  const ModelMap map = map_model(checkpoint);
  std::vector<double> key, up;
  for (int64_t r = 0; r < 8; ++r) {
    for (int64_t c = 0; c < 8; ++c) key.push_back(static_cast<double>(c * 24 + 8 + r));
  }
  for (int64_t r = 0; r < 6; ++r) {
    for (int64_t c = 0; c < 8; ++c) up.push_back(static_cast<double>(c * 6 + r));
  }
  EXPECT_EQ(values_at(checkpoint, map, {0, MatrixType::K}), key);
  EXPECT_EQ(values_at(checkpoint, map, {0, MatrixType::Up}), up);
}

TEST(Qwen, GateIsW2) {
  const TempDir dir;
  std::map<MatrixType, std::string> tensors;
  for (const MatrixSite& site : map_model(open_counting(dir, small_model(small_models(), "qwen"))).sites) {
    tensors[site.type] = site.tensor;
  }
  EXPECT_EQ(tensors[MatrixType::Gate], "transformer.h.0.mlp.w2.weight");
  EXPECT_EQ(tensors[MatrixType::Up], "transformer.h.0.mlp.w1.weight");
}

TEST(PublicModels, Refusals) {
  const auto said = [](const SmallModel& model) {
    const TempDir dir;
    return error_of([&] { map_model(open_counting(dir, model)); });
  };
  SmallModel chatglm = small_model(small_models(), "chatglm");
  // ChatGLM2 without groups would have queries, keys and values head by head; the first ChatGLM has other layers.
  chatglm.config = R"("hidden_size":8,"ffn_hidden_size":6,"num_attention_heads":4,"num_layers":1)";
  EXPECT_TRUE(contains(said(chatglm), "config.json: has no multi_query_group_num with multi_query_attention"));
  chatglm.layers = "transformer.layers.";
  EXPECT_TRUE(
      contains(said(chatglm), "no tensor of a layer 0 under any of transformer.encoder.layers., encoder.layers."));
  SmallModel gpt2 = small_models().front();
  gpt2.stored[0].shape = {24, 8};  // as a Linear would
  EXPECT_TRUE(contains(said(gpt2), "c_attn.weight\" has the shape [24, 8] where config.json means [8, 24]"));
  gpt2.model_type = "gpt_bigcode";
  const std::string unknown = said(gpt2);
  EXPECT_TRUE(contains(unknown, "has the model_type \"gpt_bigcode\" (known: llama, "));
  EXPECT_TRUE(contains(unknown, "gpt2"));
}

}  // namespace
}  // namespace gyro
