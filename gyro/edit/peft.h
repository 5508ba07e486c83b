#pragma once

#include <string>
#include <vector>

#include "gyro/checkpoint/writer.h"
#include "gyro/edit/adapter.h"
#include "gyro/edit/modules.h"

namespace gyro {

/// The adapter of one module, "model.layers.0.self_attn.q_proj".
struct ModuleAdapter {
  std::string module;
  LoraPair pair;
};

/// The model that an adapter is for, as its config names it: `owner/name` and the commit of one in the Hub's cache,
/// else the absolute path of its folder, so that the adapter finds it from wherever it is used.
struct BaseModel {
  std::string name;      ///< base_model_name_or_path
  std::string revision;  ///< empty: none
};
BaseModel base_model(const TensorSource& model);

struct AdapterConfig {
  BaseModel base;
  int64_t rank = 16;
  double alpha = 16;  ///< lora_alpha: the scaling is alpha / rank, also of the modules of other rank
  TargetModules target_modules;
  bool fan_in_fan_out = false;  ///< whether the modules have W's rows as columns (Conv1D)
};

/// The names of the modules, in order.
std::vector<std::string> modules_of(const std::vector<ModuleAdapter>& adapters);

/// Modules whose rank is not config.rank are told in rank_pattern and alpha_pattern. Adds adapter_config.json and
/// adapter_model.safetensors (F32), as PEFT saves a LoRA, to `writer` under `folder` ("" or "pissa_init/").
void add_adapter(const AdapterConfig& config, const std::vector<ModuleAdapter>& adapters, const std::string& folder,
                 CheckpointWriter& writer);

}  // namespace gyro
