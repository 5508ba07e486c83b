#include "gyro/infer/engine_table.h"

#include <algorithm>
#include <array>
#include <set>
#include <string>

#include "gyro/base/error.h"

namespace gyro {
namespace {

using enum Change;

constexpr LayerRow kLlama[] = {
    {"input_layernorm.weight", "attn_norm.weight", Norm},
    {"self_attn.q_proj.bias", "attn_q.bias", QueryHeads},
    {"self_attn.k_proj.bias", "attn_k.bias", KeyHeads},
    {"self_attn.v_proj.bias", "attn_v.bias"},
    {"self_attn.o_proj.bias", "attn_output.bias"},
    {"post_attention_layernorm.weight", "ffn_norm.weight", Norm},
    {"mlp.gate_proj.bias", "ffn_gate.bias"},
    {"mlp.up_proj.bias", "ffn_up.bias"},
    {"mlp.down_proj.bias", "ffn_down.bias"},
};
constexpr LayerRow kQwen[] = {
    {"input_layernorm.weight", "attn_norm.weight", Norm},
    {"self_attn.q_proj.bias", "attn_q.bias", QueryHeads},
    {"self_attn.k_proj.bias", "attn_k.bias", KeyHeads},
    {"self_attn.v_proj.bias", "attn_v.bias"},
    {"self_attn.q_norm.weight", "attn_q_norm.weight", Norm},
    {"self_attn.k_norm.weight", "attn_k_norm.weight", Norm},
    {"post_attention_layernorm.weight", "ffn_norm.weight", Norm},
    {"mlp.gate.weight", "ffn_gate_inp.weight"},
};
// GLM's norm behind attention is the one before the MLP.
constexpr auto kQwenAsGlm = [] {
  auto rows = std::to_array(kQwen);
  for (LayerRow& row : rows) {
    if (row.image == "ffn_norm.weight") row.image = "post_attention_norm.weight";
  }
  return rows;
}();
constexpr LayerRow kPlain[] = {
    {"input_layernorm.weight", "attn_norm.weight", Norm},
    {"post_attention_layernorm.weight", "ffn_norm.weight", Norm},
};
constexpr LayerRow kGemma[] = {
    {"input_layernorm.weight", "attn_norm.weight", Norm},
    {"self_attn.q_norm.weight", "attn_q_norm.weight", Norm},
    {"self_attn.k_norm.weight", "attn_k_norm.weight", Norm},
    {"post_attention_layernorm.weight", "post_attention_norm.weight", Norm},
    {"pre_feedforward_layernorm.weight", "ffn_norm.weight", Norm},
    {"post_feedforward_layernorm.weight", "post_ffw_norm.weight", Norm},
};

using enum Variant;

// Granite's architecture with windows is Llama's with factors, here 1, and with sinks, here of no weight.
constexpr EngineArchitecture kTable[] = {
    {.model_type = "llama", .image = "llama", .rows = kLlama, .neighbours = true, .frequencies = true},
    {.model_type = "mistral", .image = "llama", .rows = kLlama, .neighbours = true, .frequencies = true},
    {"mistral", Sliding, "granite_swa", kLlama, true, false, true, false, true},
    {.model_type = "qwen2", .image = "qwen2", .rows = kQwen},
    {"qwen2", Sliding, "granite_swa", kLlama, true, false, true, false, true},
    {.model_type = "qwen3", .image = "qwen3", .rows = kQwen},
    {.model_type = "qwen3_moe", .image = "qwen3moe", .rows = kQwen},
    {.model_type = "qwen3_moe", .variant = Mixed, .image = "glm4moe", .rows = kQwenAsGlm},
    {.model_type = "gemma", .image = "gemma", .rows = kPlain, .norms_less_one = true},
    {.model_type = "gemma2", .image = "gemma2", .rows = kGemma, .norms_less_one = true, .slides = true},
    {.model_type = "gemma3", .image = "gemma3", .rows = kGemma, .norms_less_one = true, .slides = true},
    {.model_type = "gemma3_text", .image = "gemma3", .rows = kGemma, .norms_less_one = true, .slides = true},
    {.model_type = "phi3", .image = "phi3", .rows = kPlain, .fused_gate_up = true},
    {"phi3", Sliding, "granite_swa", kPlain, true, false, true, false, true},
};

bool slides(const Hyperparameters& parameters) {
  return parameters.window < parameters.context &&
         std::find(parameters.sliding.begin(), parameters.sliding.end(), true) != parameters.sliding.end();
}

Variant variant_of(const Hyperparameters& parameters, bool usual_slides) {
  if (!usual_slides && slides(parameters)) return Sliding;
  const bool mixture = parameters.sizes.num_experts > 0;
  const bool mixed = mixture && (!parameters.sizes.has_experts(0) || !parameters.normalise_experts);
  return mixed ? Mixed : Usual;
}

/// What no row of the table runs, whichever variant it is.
void check_means(const std::string& subject, const EngineArchitecture& row, const Hyperparameters& parameters) {
  const bool gemma = row.norms_less_one;
  const std::set<std::string> runs = gemma ? std::set<std::string>{"gelu_pytorch_tanh", "gelu_new", "gelu_fast"}
                                           : std::set<std::string>{"silu", "swish"};
  if (!runs.contains(parameters.activation)) {
    fail(subject, "the activation '{}' of {} is not run by this engine", printable(parameters.activation, 40),
         row.model_type);
  }
  if (parameters.rope.kind == RopeScaling::Kind::Llama3 && !row.frequencies) {
    fail(subject, "rope_scaling 'llama3' of {} is not run by this engine", row.model_type);
  }
  const bool gemma2 = row.image == "gemma2";
  if ((parameters.attention_soft_cap > 0) != gemma2 || (gemma2 && !(parameters.logit_soft_cap > 0))) {
    fail(subject, "the soft caps of this {} are not run by this engine", row.model_type);
  }
  if (parameters.rope_dimensions != parameters.sizes.head_dim && row.model_type != "phi3") {
    fail(subject, "partial_rotary_factor of {} is not run by this engine", row.model_type);
  }
}

}  // namespace

std::span<const EngineArchitecture> engine_architectures() {
  return kTable;
}

void check_engine_runs(const std::string& subject, std::string_view model_type) {
  const auto of_type = [&](const EngineArchitecture& row) { return row.model_type == model_type; };
  if (std::none_of(std::begin(kTable), std::end(kTable), of_type)) {
    fail(subject, "the architecture '{}' is not run by this engine", printable(model_type, 40));
  }
}

const EngineArchitecture& engine_architecture(const std::string& subject, const Hyperparameters& parameters) {
  const std::string& type = parameters.sizes.model_type;
  const auto find = [&](Variant variant) {
    return std::find_if(std::begin(kTable), std::end(kTable),
                        [&](const auto& row) { return row.model_type == type && row.variant == variant; });
  };
  check_engine_runs(subject, type);
  const Variant variant = variant_of(parameters, find(Usual)->slides);
  const auto row = find(variant);
  if (row == std::end(kTable)) fail(subject, "the sliding window of {} is not run by this engine", type);
  check_means(subject, *row, parameters);
  return *row;
}

}  // namespace gyro
