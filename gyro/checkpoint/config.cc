#include "gyro/checkpoint/config.h"

#include <nlohmann/json.hpp>

#include "gyro/base/error.h"
#include "gyro/checkpoint/json.h"

namespace gyro {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMaxExtent = 1'000'000'000;  // so that no product of two overflows
constexpr int64_t kMaxLayers = 100'000;

// Typed access to one object of config.json. A key with the value null counts as absent, as it does for transformers.
class Section {
 public:
  Section(std::string_view subject, std::string prefix, const Json& object)
      : subject_(subject), prefix_(std::move(prefix)), object_(object) {}

  const Json* find(const char* key) const {
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }

  // Sets `out` and returns true when the key is there.
  bool read(const char* key, int64_t& out, int64_t limit = kMaxExtent) const {
    const Json* value = find(key);
    if (value == nullptr) return false;
    out = extent(key, *value, limit);
    return true;
  }
  bool read(const char* key, bool& out) const {
    const Json* value = find(key);
    if (value == nullptr) return false;
    if (!value->is_boolean()) fail(subject_, "{}{} must be true or false", prefix_, key);
    out = value->get<bool>();
    return true;
  }
  bool read(const char* key, std::string& out) const {
    const Json* value = find(key);
    if (value == nullptr) return false;
    if (!value->is_string()) fail(subject_, "{}{} must be a string", prefix_, key);
    out = value->get<std::string>();
    return true;
  }

  // The numbers of layers in a list; nothing when the key is absent.
  std::optional<std::set<int64_t>> layers(const char* key) const {
    const Json* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_array()) fail(subject_, "{}{} must be an array of integers", prefix_, key);
    std::set<int64_t> layers;
    for (const Json& layer : *value) layers.insert(extent(key, layer));
    return layers;
  }

  int64_t extent(const char* key, const Json& value, int64_t limit = kMaxExtent) const {
    if (!value.is_number_unsigned() || value.get<uint64_t>() > static_cast<uint64_t>(limit)) {
      fail(subject_, "{}{} must be an integer from 0 to {}", prefix_, key, limit);
    }
    return value.get<int64_t>();
  }

  // The object of that key, nothing when it is absent.
  std::optional<Section> section(const char* key) const {
    const Json* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_object()) fail(subject_, "{}{} must be an object", prefix_, key);
    return Section(subject_, prefix_ + key + ".", *value);
  }

 private:
  std::string subject_;
  std::string prefix_;
  const Json& object_;
};

void read_architecture(const std::string& subject, const Section& top, ModelConfig& config) {
  const Json* names = top.find("architectures");
  if (names == nullptr) return;
  if (!names->is_array()) fail(subject, "architectures must be an array of strings");
  for (const Json& name : *names) {
    if (!name.is_string()) fail(subject, "architectures must be an array of strings");
  }
  if (!names->empty()) config.architecture = names->front().get<std::string>();
}

void read_sizes(const Section& section, ModelConfig& config) {
  section.read("hidden_size", config.hidden_size);
  section.read("intermediate_size", config.intermediate_size);
  section.read("num_hidden_layers", config.num_hidden_layers, kMaxLayers);
  section.read("num_attention_heads", config.num_attention_heads);
  config.kv_heads_given |= section.read("num_key_value_heads", config.num_key_value_heads);
  config.head_dim_given |= section.read("head_dim", config.head_dim);
  section.read("tie_word_embeddings", config.tie_word_embeddings);
}

void read_experts(const Section& section, ModelConfig& config) {
  for (const char* key : {"num_experts", "num_local_experts"}) section.read(key, config.num_experts);
  section.read("moe_intermediate_size", config.moe_intermediate_size);
  section.read("intermediate_size_mlp", config.intermediate_size_mlp);
  for (const char* key : {"decoder_sparse_step", "interleave_moe_layer_step"}) {
    section.read(key, config.expert_layer_step);
  }
  if (auto layers = section.layers("mlp_only_layers")) config.mlp_only_layers = std::move(*layers);
  if (auto layers = section.layers("moe_layers")) config.moe_layers = std::move(layers);
}

void read_quantization(const std::string& subject, const Section& section, ModelConfig& config) {
  section.read("quant_method", config.quantization);
  const Json* block = section.find("weight_block_size");
  if (block == nullptr) return;
  constexpr const char* kKey = "weight_block_size";
  if (!block->is_array() || block->size() != 2) {
    fail(subject, "quantization_config.{} must be an array of two integers", kKey);
  }
  config.fp8_block_rows = section.extent(kKey, (*block)[0]);
  config.fp8_block_cols = section.extent(kKey, (*block)[1]);
  if (config.fp8_block_rows == 0 || config.fp8_block_cols == 0) {
    fail(subject, "quantization_config.{} must not hold zero", kKey);
  }
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
  if (!config.head_dim_given && heads > 0 && config.hidden_size % heads == 0) {
    config.head_dim = config.hidden_size / heads;
  }
}

}  // namespace

ModelConfig parse_config(std::string_view subject, std::string_view text) {
  const std::string file(subject);
  visit_json(file, text, [](const JsonPath&, const JsonValue&) {});
  const Json json = Json::parse(text.begin(), text.end());
  if (!json.is_object()) fail(file, "must hold a JSON object");
  const Section top(file, "", json);
  const std::optional<Section> language = top.section("text_config");
  ModelConfig config;
  read_architecture(file, top, config);
  read_sizes(top, config);
  read_experts(top, config);
  if (language) {
    language->read("model_type", config.model_type);
    read_sizes(*language, config);
    read_experts(*language, config);
    if (const auto quantized = language->section("quantization_config")) read_quantization(file, *quantized, config);
  }
  top.read("model_type", config.model_type);
  if (const auto quantized = top.section("quantization_config")) read_quantization(file, *quantized, config);
  fill_and_check(file, config);
  return config;
}

}  // namespace gyro
