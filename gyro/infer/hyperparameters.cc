#include "gyro/infer/hyperparameters.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <tuple>

#include "gyro/arch/arch.h"
#include "gyro/base/error.h"

namespace gyro {
namespace {

using Json = nlohmann::json;

constexpr size_t kConfigLimit = size_t{16} << 20;

/// Typed access to an object of config.json; null counts as absent.
struct Section {
  std::string file;
  Json object = Json::object();

  const Json* find(const char* key) const {
    const auto found = object.find(key);
    return found == object.end() || found->is_null() ? nullptr : &*found;
  }
  double number(const char* key, double otherwise) const {
    const Json* value = find(key);
    if (value == nullptr) return otherwise;
    if (!value->is_number()) fail(file, "{} must be a number", key);
    return value->get<double>();
  }
  double positive(const char* key, double otherwise) const {
    const double value = number(key, otherwise);
    if (!(value > 0) || !std::isfinite(value)) fail(file, "{} must be a positive number", key);
    return value;
  }
  int64_t count(const char* key, int64_t otherwise) const {
    const double value = number(key, static_cast<double>(otherwise));
    if (value < 0 || value > 1e9 || value != std::floor(value)) fail(file, "{} must be a whole number", key);
    return static_cast<int64_t>(value);
  }
  bool truth(const char* key, bool otherwise) const {
    const Json* value = find(key);
    if (value == nullptr) return otherwise;
    if (!value->is_boolean()) fail(file, "{} must be true or false", key);
    return value->get<bool>();
  }
  std::string text(const char* key, const std::string& otherwise) const {
    const Json* value = find(key);
    if (value == nullptr) return otherwise;
    if (!value->is_string()) fail(file, "{} must be a string", key);
    return value->get<std::string>();
  }
  Section section(const char* key) const {
    const Json* value = find(key);
    if (value == nullptr) return {file};
    if (!value->is_object()) fail(file, "{} must be an object", key);
    return {file, *value};
  }
};

Section language_model(const TensorSource& source) {
  const std::string file = (source.path() / "config.json").string();
  Section top{file, Json::parse(source.companion("config.json", kConfigLimit), nullptr, false)};
  if (!top.object.is_object()) fail(file, "must hold a JSON object");
  Section inner = top.section("text_config");
  return inner.object.empty() ? top : inner;
}

RopeScaling read_scaling(const Section& scaling, int64_t context) {
  using enum RopeScaling::Kind;
  RopeScaling rope;
  const std::string kind = scaling.text("rope_type", scaling.text("type", "default"));
  if (kind == "default") return rope;
  if (kind != "linear" && kind != "llama3" && kind != "yarn") {
    fail(scaling.file, "rope_scaling '{}' is not run by this engine", printable(kind, 40));
  }
  rope.kind = kind == "linear" ? Linear : kind == "llama3" ? Llama3 : Yarn;
  if (scaling.find("factor") == nullptr) fail(scaling.file, "rope_scaling has no factor");
  rope.factor = scaling.positive("factor", 1);
  rope.low_freq_factor = scaling.positive("low_freq_factor", 1);
  rope.high_freq_factor = scaling.positive("high_freq_factor", 4);
  rope.beta_fast = scaling.positive("beta_fast", 32);
  rope.beta_slow = scaling.positive("beta_slow", 1);
  if (scaling.find("attention_factor") != nullptr) rope.attention_factor = scaling.positive("attention_factor", 1);
  for (const char* key : {"mscale", "mscale_all_dim"}) {
    if (scaling.find(key) != nullptr) fail(scaling.file, "rope_scaling with {} is not run by this engine", key);
  }
  rope.original_context = scaling.count("original_max_position_embeddings", context);
  if (rope.original_context == 0) fail(scaling.file, "original_max_position_embeddings must not be 0");
  return rope;
}

/// rope_parameters (which transformers 5 writes) has what rope_theta and rope_scaling had; gemma3's has an object for
/// each kind of layer.
void read_rope(const Section& config, Hyperparameters& out) {
  Section scaling = config.section("rope_scaling");
  const bool gemma3 = out.sizes.model_type.starts_with("gemma3");
  const double usual = gemma3 ? 1e6 : 10000;
  out.local_rope_theta = config.positive("rope_local_base_freq", 10000);
  if (config.find("rope_parameters") != nullptr) {
    scaling = config.section("rope_parameters");
    const Section local = scaling.section("sliding_attention");
    if (!local.object.empty()) out.local_rope_theta = local.positive("rope_theta", out.local_rope_theta);
    const Section full = scaling.section("full_attention");
    if (!full.object.empty()) scaling = full;
  }
  out.rope_theta = config.positive("rope_theta", scaling.positive("rope_theta", usual));
  out.rope = read_scaling(scaling, out.context);
  const double partial = config.number("partial_rotary_factor", scaling.number("partial_rotary_factor", 1));
  if (!(partial > 0 && partial <= 1)) fail(config.file, "partial_rotary_factor must be above 0 and at most 1");
  out.rope_dimensions = static_cast<int64_t>(static_cast<double>(out.sizes.head_dim) * partial);
}

/// Which layers slide: as layer_types says, else by the rule of the architecture. Qwen's take use_sliding_window.
void read_windows(const Section& config, Hyperparameters& out) {
  const std::string& type = out.sizes.model_type;
  const auto layers = static_cast<size_t>(out.sizes.num_hidden_layers);
  out.sliding.assign(layers, false);
  const bool gemma2 = type == "gemma2", gemma3 = type.starts_with("gemma3"), qwen = type.starts_with("qwen");
  const bool slides = gemma2 || gemma3 || type == "mistral" || type == "mixtral" || type == "phi3" || qwen;
  if (!slides || (qwen && !config.truth("use_sliding_window", false))) return;
  out.window = config.count("sliding_window", gemma2 || gemma3 || qwen ? 4096 : 0);
  if (out.window == 0) return;
  if (const Json* types = config.find("layer_types"); types != nullptr && types->is_array()) {
    if (types->size() != layers) fail(config.file, "layer_types has {} layers, not {}", types->size(), layers);
    for (size_t i = 0; i < layers; ++i) out.sliding[i] = (*types)[i] == "sliding_attention";
    return;
  }
  const auto first = static_cast<size_t>(qwen ? config.count("max_window_layers", 28) : 0);
  const auto pattern = static_cast<size_t>(gemma2 ? 2 : gemma3 ? config.count("sliding_window_pattern", 6) : 0);
  for (size_t i = first; i < layers; ++i) out.sliding[i] = pattern == 0 || (i + 1) % pattern != 0;
}

}  // namespace

bool same_arithmetic(const Hyperparameters& a, const Hyperparameters& b) {
  const auto all = [](const Hyperparameters& h) {
    return std::tie(h.norm_epsilon, h.rope_theta, h.local_rope_theta, h.rope, h.rope_dimensions, h.window, h.sliding,
                    h.attention_soft_cap, h.logit_soft_cap, h.query_scalar, h.experts_used, h.normalise_experts,
                    h.activation);
  };
  return all(a) == all(b);
}

Hyperparameters read_hyperparameters(const TensorSource& source) {
  const Section config = language_model(source);
  Hyperparameters out;
  out.sizes = complete_config(source);
  const std::string& type = out.sizes.model_type;
  const bool gemma = type.starts_with("gemma");
  out.context = config.count("max_position_embeddings", type.starts_with("gemma3") ? 131072 : gemma ? 8192 : 0);
  if (out.context == 0) fail(config.file, "max_position_embeddings is missing");
  out.norm_epsilon = config.positive("rms_norm_eps", 1e-6);
  read_rope(config, out);
  read_windows(config, out);
  out.attention_soft_cap = config.number("attn_logit_softcapping", type == "gemma2" ? 50 : 0);
  out.logit_soft_cap = config.number("final_logit_softcapping", type == "gemma2" ? 30 : 0);
  const double usual_scalar = gemma ? 256 : static_cast<double>(out.sizes.head_dim);
  out.query_scalar = config.positive("query_pre_attn_scalar", usual_scalar);
  out.experts_used = config.count("num_experts_per_tok", 0);
  out.normalise_experts = config.truth("norm_topk_prob", type == "mixtral");
  // Gemma's hidden_act was wrong in early configs, and hidden_activation put beside it.
  const std::string usual = gemma ? "gelu_pytorch_tanh" : "silu";
  out.activation = gemma ? config.text("hidden_activation", usual) : config.text("hidden_act", usual);
  return out;
}

}  // namespace gyro
