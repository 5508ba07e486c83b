#include "gyro/edit/peft.h"

#include <nlohmann/json.hpp>

#include "gyro/tensor/narrow.h"

namespace gyro {
namespace {

using Json = nlohmann::ordered_json;

std::string config_text(const AdapterConfig& config) {
  const Json json = {{"alpha_pattern", Json::object()},
                     {"auto_mapping", nullptr},
                     {"base_model_name_or_path", config.base_model},
                     {"bias", "none"},
                     {"fan_in_fan_out", config.fan_in_fan_out},
                     {"inference_mode", true},
                     {"init_lora_weights", true},
                     {"layers_pattern", nullptr},
                     {"layers_to_transform", config.layers.empty() ? Json(nullptr) : Json(config.layers)},
                     {"lora_alpha", config.alpha},
                     {"lora_dropout", 0.0},
                     {"modules_to_save", nullptr},
                     {"peft_type", "LORA"},
                     {"r", config.rank},
                     {"rank_pattern", Json::object()},
                     {"revision", nullptr},
                     {"target_modules", config.target_modules},
                     {"task_type", "CAUSAL_LM"},
                     {"use_dora", false},
                     {"use_rslora", false}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

void append(const std::vector<double>& values, std::string& out) {
  const size_t begin = out.size();
  out.resize(begin + 4 * values.size());
  narrow(DType::F32, values.data(), values.size(), reinterpret_cast<std::byte*>(out.data() + begin));
}

}  // namespace

void add_adapter(const AdapterConfig& config, const std::vector<ModuleAdapter>& adapters, const std::string& folder,
                 CheckpointWriter& writer) {
  std::vector<PlannedTensor> plan;
  for (const auto& [module, pair] : adapters) {
    const std::string prefix = "base_model.model." + module;
    plan.push_back({prefix + ".lora_A.weight", DType::F32, {pair.rank, pair.d_in}});
    plan.push_back({prefix + ".lora_B.weight", DType::F32, {pair.d_out, pair.rank}});
  }
  std::string content = safetensors_head(folder + "adapter_model.safetensors", plan, {{"format", "pt"}});
  for (const auto& [module, pair] : adapters) {
    append(pair.lora_a, content);
    append(pair.lora_b, content);
  }
  writer.add_file(folder + "adapter_config.json", config_text(config));
  writer.add_file(folder + "adapter_model.safetensors", content);
}

}  // namespace gyro
