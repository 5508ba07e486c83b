#include "gyro/edit/peft.h"

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <variant>

#include "gyro/tensor/narrow.h"

namespace gyro {
namespace {

using Json = nlohmann::ordered_json;

// The ranks that are not `rank`, by PEFT's keys: the last part of a name where all modules that end so have one rank,
// else the name.
std::map<std::string, int64_t> other_ranks(const std::vector<ModuleAdapter>& adapters, int64_t rank) {
  std::map<std::string, std::set<int64_t>> by_ending;
  for (const auto& [module, pair] : adapters) by_ending[short_module(module)].insert(pair.rank);
  std::map<std::string, int64_t> out;
  for (const auto& [module, pair] : adapters) {
    if (pair.rank == rank) continue;
    const std::string ending = short_module(module);
    out[by_ending[ending].size() == 1 ? ending : module] = pair.rank;
  }
  return out;
}

std::string config_text(const AdapterConfig& config, const std::vector<ModuleAdapter>& adapters) {
  Json ranks = Json::object(), alphas = Json::object();
  for (const auto& [key, rank] : other_ranks(adapters, config.rank)) {
    ranks[key] = rank;
    alphas[key] = config.alpha * static_cast<double>(rank) / static_cast<double>(config.rank);
  }
  Json targets;
  std::visit([&](const auto& modules) { targets = modules; }, config.target_modules);
  const Json json = {{"alpha_pattern", alphas},
                     {"auto_mapping", nullptr},
                     {"base_model_name_or_path", config.base.name},
                     {"bias", "none"},
                     {"fan_in_fan_out", config.fan_in_fan_out},
                     {"inference_mode", true},
                     {"init_lora_weights", true},
                     {"layers_pattern", nullptr},
                     {"layers_to_transform", nullptr},
                     {"lora_alpha", config.alpha},
                     {"lora_dropout", 0.0},
                     {"modules_to_save", nullptr},
                     {"peft_type", "LORA"},
                     {"r", config.rank},
                     {"rank_pattern", ranks},
                     {"revision", config.base.revision.empty() ? Json(nullptr) : Json(config.base.revision)},
                     {"target_modules", targets},
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

BaseModel base_model(const TensorSource& model) {
  const std::string name = model.hub_id(), revision = model.revision();
  if (!name.empty() && !revision.empty()) return {name, revision};
  return {std::filesystem::absolute(model.path()).lexically_normal().string(), ""};
}

std::vector<std::string> modules_of(const std::vector<ModuleAdapter>& adapters) {
  std::vector<std::string> modules;
  for (const ModuleAdapter& adapter : adapters) modules.push_back(adapter.module);
  return modules;
}

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
  writer.add_file(folder + "adapter_config.json", config_text(config, adapters));
  writer.add_file(folder + "adapter_model.safetensors", content);
}

}  // namespace gyro
