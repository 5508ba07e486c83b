#include "gyro/infer/hyperparameters.h"

#include <cmath>
#include <tuple>

#include "gyro/arch/arch.h"
#include "gyro/base/error.h"
#include "gyro/checkpoint/json_fields.h"

namespace gyro {
namespace {

constexpr size_t kConfigLimit = size_t{16} << 20;

double number(const JsonFields& fields, const char* key, double otherwise) {
  return fields.number(key).value_or(otherwise);
}

double positive(const JsonFields& fields, const char* key, double otherwise) {
  const double value = number(fields, key, otherwise);
  if (!(value > 0) || !std::isfinite(value)) fields.fail_at(key, "must be a positive number");
  return value;
}

// transformers writes some with a decimal point.
int64_t count(const JsonFields& fields, const char* key, int64_t otherwise) {
  const double value = number(fields, key, static_cast<double>(otherwise));
  if (value < 0 || value > 1e9 || value != std::floor(value)) fields.fail_at(key, "must be a whole number");
  return static_cast<int64_t>(value);
}

std::string text(const JsonFields& fields, const char* key, const std::string& otherwise) {
  return fields.optional_string(key).value_or(otherwise);
}

// Of several models in one (gemma3's), the one of text.
struct ConfigFile {
  explicit ConfigFile(const TensorSource& source)
      : file((source.path() / "config.json").string()),
        json(parse_json(file, source.companion("config.json", kConfigLimit))),
        top(file, "", json),
        model(config_sections(top).back()) {}
  ConfigFile(const ConfigFile&) = delete;
  ConfigFile& operator=(const ConfigFile&) = delete;

  std::string file;
  JsonFields::Json json;
  JsonFields top, model;
};

RopeScaling read_scaling(const JsonFields& scaling, const std::string& model_type, int64_t context) {
  using enum RopeScaling::Kind;
  RopeScaling rope;
  const std::string kind = text(scaling, "rope_type", text(scaling, "type", "default"));
  if (kind == "default") return rope;
  // phi3's "yarn" means longrope.
  if ((kind != "linear" && kind != "llama3" && kind != "yarn") || (kind == "yarn" && model_type == "phi3")) {
    fail(scaling.subject(), "rope_scaling '{}' of {} is not run by this engine", printable(kind, 40), model_type);
  }
  rope.kind = kind == "linear" ? Linear : kind == "llama3" ? Llama3 : Yarn;
  if (scaling.find("factor") == nullptr) scaling.fail_at("factor", "is missing");
  rope.factor = positive(scaling, "factor", 1);
  rope.low_freq_factor = positive(scaling, "low_freq_factor", 1);
  rope.high_freq_factor = positive(scaling, "high_freq_factor", 4);
  rope.beta_fast = positive(scaling, "beta_fast", 32);
  rope.beta_slow = positive(scaling, "beta_slow", 1);
  if (scaling.find("attention_factor") != nullptr) rope.attention_factor = positive(scaling, "attention_factor", 1);
  for (const char* key : {"mscale", "mscale_all_dim"}) {
    if (scaling.find(key) != nullptr) scaling.fail_at(key, "is not run by this engine");
  }
  if (!scaling.boolean("truncate").value_or(true)) scaling.fail_at("truncate", "false is not run by this engine");
  rope.original_context = count(scaling, "original_max_position_embeddings", context);
  if (rope.original_context == 0) scaling.fail_at("original_max_position_embeddings", "must not be 0");
  return rope;
}

/// rope_parameters (which transformers 5 writes) has what rope_theta and rope_scaling had; gemma3's has an object for
/// each kind of layer.
void read_rope(const JsonFields& config, Hyperparameters& out) {
  static const auto nothing = JsonFields::Json::object();
  const JsonFields none(config.subject(), "rope_scaling", nothing);
  JsonFields scaling = config.object("rope_scaling").value_or(none);
  const bool gemma3 = out.sizes.model_type.starts_with("gemma3");
  const double usual = gemma3 ? 1e6 : 10000;
  out.local_rope_theta = positive(config, "rope_local_base_freq", 10000);
  if (const std::optional<JsonFields> all = config.object("rope_parameters")) {
    const std::optional<JsonFields> local = all->object("sliding_attention");
    if (local) out.local_rope_theta = positive(*local, "rope_theta", out.local_rope_theta);
    scaling = all->object("full_attention").value_or(*all);
  }
  out.rope_theta = positive(config, "rope_theta", positive(scaling, "rope_theta", usual));
  out.rope = read_scaling(scaling, out.sizes.model_type, out.context);
  const double partial = number(config, "partial_rotary_factor", number(scaling, "partial_rotary_factor", 1));
  if (!(partial > 0 && partial <= 1)) config.fail_at("partial_rotary_factor", "must be above 0 and at most 1");
  out.rope_dimensions = static_cast<int64_t>(static_cast<double>(out.sizes.head_dim) * partial);
}

/// Which layers slide: as layer_types says, else by the rule of the architecture. Qwen's take use_sliding_window. A
/// window that is null is none, but one that is not there is the class's.
void read_windows(const JsonFields& config, Hyperparameters& out) {
  const std::string& type = out.sizes.model_type;
  const auto layers = static_cast<size_t>(out.sizes.num_hidden_layers);
  out.sliding.assign(layers, false);
  const bool gemma2 = type == "gemma2", gemma3 = type.starts_with("gemma3"), qwen = type.starts_with("qwen");
  const bool slides = gemma2 || gemma3 || type == "mistral" || type == "mixtral" || type == "phi3" || qwen;
  if (!slides || (qwen && !config.boolean("use_sliding_window").value_or(false))) return;
  const bool is_null = config.is_null("sliding_window");
  if (is_null && (gemma2 || gemma3)) config.fail_at("sliding_window", "must be a number in a {}", type);
  const bool has_usual = gemma2 || gemma3 || qwen || type == "mistral";
  out.window = count(config, "sliding_window", has_usual && !is_null ? 4096 : 0);
  if (out.window == 0) return;
  if (const JsonFields::Json* types = config.find("layer_types"); types != nullptr && types->is_array()) {
    if (types->size() != layers) config.fail_at("layer_types", "has {} layers, not {}", types->size(), layers);
    for (size_t i = 0; i < layers; ++i) out.sliding[i] = (*types)[i] == "sliding_attention";
    return;
  }
  const auto first = static_cast<size_t>(qwen ? count(config, "max_window_layers", 28) : 0);
  const auto pattern = static_cast<size_t>(gemma2 ? 2 : gemma3 ? count(config, "sliding_window_pattern", 6) : 0);
  for (size_t i = first; i < layers; ++i) out.sliding[i] = pattern == 0 || (i + 1) % pattern != 0;
}

/// Gemma's first class reads hidden_act in some versions and hidden_activation in others, and files have either wrong;
/// the later ones read hidden_activation.
std::string read_activation(const JsonFields& config, const std::string& type) {
  if (!type.starts_with("gemma")) return text(config, "hidden_act", "silu");
  const std::string usual = "gelu_pytorch_tanh";
  return text(config, "hidden_activation", type == "gemma" ? text(config, "hidden_act", usual) : usual);
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
  const ConfigFile file(source);
  const JsonFields& config = file.model;
  Hyperparameters out;
  out.sizes = complete_config(source);
  const std::string& type = out.sizes.model_type;
  const bool gemma = type.starts_with("gemma");
  out.context = count(config, "max_position_embeddings", type.starts_with("gemma3") ? 131072 : gemma ? 8192 : 0);
  if (out.context == 0) config.fail_at("max_position_embeddings", "is missing");
  out.norm_epsilon = positive(config, "rms_norm_eps", type == "phi3" ? 1e-5 : 1e-6);
  read_rope(config, out);
  read_windows(config, out);
  out.attention_soft_cap = number(config, "attn_logit_softcapping", type == "gemma2" ? 50 : 0);
  out.logit_soft_cap = number(config, "final_logit_softcapping", type == "gemma2" ? 30 : 0);
  const double usual_scalar = gemma ? 256 : static_cast<double>(out.sizes.head_dim);
  out.query_scalar = positive(config, "query_pre_attn_scalar", usual_scalar);
  out.experts_used = count(config, "num_experts_per_tok", 0);
  out.normalise_experts = config.boolean("norm_topk_prob").value_or(type == "mixtral");
  const std::optional<bool> of_file = file.top.boolean("tie_word_embeddings");
  out.tied = config.boolean("tie_word_embeddings").value_or(of_file.value_or(gemma));
  out.activation = read_activation(config, type);
  return out;
}

}  // namespace gyro
