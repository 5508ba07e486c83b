#include "gyro/checkpoint/config.h"

#include <algorithm>
#include <initializer_list>

#include "gyro/base/error.h"
#include "gyro/checkpoint/json_fields.h"

namespace gyro {
namespace {

using Json = JsonFields::Json;

constexpr int64_t kMaxExtent = 1'000'000'000;  // so that no product of two overflows
constexpr int64_t kMaxLayers = 100'000;
constexpr size_t kMaxSections = 3;

// transformers' name first; then InternVL's, DeepSeek-VL's, and Qwen-Omni's, which has a text_config in it.
constexpr std::string_view kLanguageSections[] = {"text_config", "llm_config", "language_config", "thinker_config",
                                                  "language_model"};

// Each sets `out` and returns true when the key is there.
bool read(const JsonFields& fields, const char* key, int64_t& out, int64_t limit = kMaxExtent) {
  const std::optional<int64_t> value = fields.optional_integer(key, limit);
  out = value.value_or(out);
  return value.has_value();
}
bool read(const JsonFields& fields, const char* key, std::string& out) {
  const std::optional<std::string> value = fields.optional_string(key);
  if (value) out = *value;
  return value.has_value();
}

// A size, its usual name first, then those that other architectures have for it.
using Names = std::initializer_list<const char*>;
constexpr Names kHiddenSize = {"hidden_size", "n_embd", "n_embed", "d_model"};
constexpr Names kIntermediateSize = {"intermediate_size", "n_inner", "ffn_hidden_size", "ffn_dim"};
constexpr Names kLayers = {"num_hidden_layers", "n_layer", "n_layers", "num_layers"};
constexpr Names kHeads = {"num_attention_heads", "n_head", "n_heads"};
constexpr Names kKvHeads = {"num_key_value_heads", "num_kv_heads"};
constexpr Names kHeadDim = {"head_dim", "kv_channels"};

bool read(const JsonFields& fields, Names names, int64_t& out, int64_t limit = kMaxExtent) {
  return std::any_of(names.begin(), names.end(), [&](const char* key) { return read(fields, key, out, limit); });
}

// The numbers of layers in a list; nothing when the key is absent.
std::optional<std::set<int64_t>> read_layers(const JsonFields& fields, const char* key) {
  const Json* value = fields.find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_array()) fields.fail_at(key, "must be an array of integers");
  std::set<int64_t> layers;
  for (const Json& layer : *value) layers.insert(fields.integer_of(key, layer, kMaxExtent));
  return layers;
}

void read_architecture(const JsonFields& top, ModelConfig& config) {
  const Json* names = top.find("architectures");
  if (names == nullptr) return;
  if (!names->is_array()) top.fail_at("architectures", "must be an array of strings");
  for (const Json& name : *names) {
    if (!name.is_string()) top.fail_at("architectures", "must be an array of strings");
  }
  if (!names->empty()) config.architecture = names->front().get<std::string>();
}

void read_sizes(const JsonFields& section, ModelConfig& config) {
  read(section, kHiddenSize, config.hidden_size);
  read(section, kIntermediateSize, config.intermediate_size);
  read(section, kLayers, config.num_hidden_layers, kMaxLayers);
  read(section, kHeads, config.num_attention_heads);
  config.kv_heads_given |= read(section, kKvHeads, config.num_key_value_heads);
  if (section.boolean("multi_query_attention").value_or(false)) {  // chatglm
    config.kv_heads_given |= read(section, "multi_query_group_num", config.num_key_value_heads);
  }
  config.multi_query = section.boolean("multi_query").value_or(config.multi_query);
  config.new_decoder_architecture =
      section.boolean("new_decoder_architecture").value_or(config.new_decoder_architecture);
  config.head_dim_given |= read(section, kHeadDim, config.head_dim);
  if (const auto tied = section.boolean("tie_word_embeddings")) config.tie_word_embeddings = tied;
}

void read_experts(const JsonFields& section, ModelConfig& config) {
  for (const char* key : {"num_experts", "num_local_experts", "n_routed_experts"}) {
    read(section, key, config.num_experts);
  }
  read(section, "moe_intermediate_size", config.moe_intermediate_size);
  read(section, "n_shared_experts", config.n_shared_experts);
  read(section, "shared_expert_intermediate_size", config.shared_expert_intermediate_size);
  read(section, "intermediate_size_mlp", config.intermediate_size_mlp);
  for (const char* key : {"decoder_sparse_step", "interleave_moe_layer_step"}) {
    read(section, key, config.expert_layer_step);
  }
  read(section, "moe_layer_freq", config.moe_layer_freq);
  if (const auto first = section.optional_integer("first_k_dense_replace", kMaxExtent)) {
    config.first_k_dense_replace = first;
  }
  if (auto layers = read_layers(section, "mlp_only_layers")) config.mlp_only_layers = std::move(*layers);
  if (auto layers = read_layers(section, "moe_layers")) config.moe_layers = std::move(layers);
}

void read_latent_attention(const JsonFields& section, ModelConfig& config) {
  read(section, "q_lora_rank", config.q_lora_rank);
  read(section, "kv_lora_rank", config.kv_lora_rank);
  read(section, "qk_nope_head_dim", config.qk_nope_head_dim);
  read(section, "qk_rope_head_dim", config.qk_rope_head_dim);
  read(section, "v_head_dim", config.v_head_dim);
}

void read_quantization(const JsonFields& section, ModelConfig& config) {
  config.quantized = true;
  read(section, "quant_method", config.quantization);
  constexpr const char* kKey = "weight_block_size";
  const Json* block = section.find(kKey);
  if (block == nullptr) return;
  if (!block->is_array() || block->size() != 2) section.fail_at(kKey, "must be an array of two integers");
  config.fp8_block_rows = section.integer_of(kKey, (*block)[0], kMaxExtent);
  config.fp8_block_cols = section.integer_of(kKey, (*block)[1], kMaxExtent);
  if (config.fp8_block_rows == 0 || config.fp8_block_cols == 0) section.fail_at(kKey, "must not hold zero");
}

void fill_and_check(const std::string& subject, ModelConfig& config) {
  const int64_t heads = config.num_attention_heads;
  if (!config.kv_heads_given) config.num_key_value_heads = heads;
  if (config.kv_heads_given && config.num_key_value_heads == 0) fail(subject, "num_key_value_heads must not be 0");
  if (heads > 0 && heads % config.num_key_value_heads != 0) {
    fail(subject, "num_attention_heads {} is no multiple of num_key_value_heads {}", heads, config.num_key_value_heads);
  }
  if (config.head_dim_given && config.head_dim == 0) fail(subject, "head_dim must not be 0");
  if (config.expert_layer_step == 0) {
    fail(subject, "decoder_sparse_step or interleave_moe_layer_step must not be 0");
  }
  if (config.moe_layer_freq == 0) fail(subject, "moe_layer_freq must not be 0");
  if (!config.head_dim_given && heads > 0 && config.hidden_size % heads == 0) {
    config.head_dim = config.hidden_size / heads;
  }
}

}  // namespace

std::span<const std::string_view> language_section_names() {
  return kLanguageSections;
}

std::vector<JsonFields> config_sections(const JsonFields& top) {
  std::vector<JsonFields> sections = {top};
  while (sections.size() < kMaxSections) {
    std::optional<JsonFields> inner;
    for (const std::string_view key : kLanguageSections) {
      const Json* value = sections.back().find(key);
      // What the others call so may be another thing, such as a name.
      if (value == nullptr || (!value->is_object() && key != kLanguageSections[0])) continue;
      inner = sections.back().object(key);
      break;
    }
    if (!inner) break;
    sections.push_back(std::move(*inner));
  }
  return sections;
}

ModelConfig parse_config(std::string_view subject, std::string_view text) {
  const std::string file(subject);
  const Json json = parse_json(file, text);
  const std::vector<JsonFields> sections = config_sections(JsonFields(file, "", json));
  ModelConfig config;
  read_architecture(sections.front(), config);
  for (const JsonFields& section : sections) {
    read(section, "model_type", config.model_type);
    read_sizes(section, config);
    read_latent_attention(section, config);
    read_experts(section, config);
  }
  for (auto section = sections.rbegin(); section != sections.rend(); ++section) {
    if (const auto quantized = section->object("quantization_config")) read_quantization(*quantized, config);
  }
  fill_and_check(file, config);
  return config;
}

}  // namespace gyro
