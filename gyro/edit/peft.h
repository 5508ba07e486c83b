#pragma once

#include <string>
#include <vector>

#include "gyro/checkpoint/writer.h"
#include "gyro/edit/adapter.h"

namespace gyro {

/// The adapter of one module, "model.layers.0.self_attn.q_proj".
struct ModuleAdapter {
  std::string module;
  LoraPair pair;
};

struct AdapterConfig {
  std::string base_model;  ///< base_model_name_or_path
  int64_t rank = 16;
  double alpha = 16;                        ///< lora_alpha: the scaling is alpha / rank
  std::vector<std::string> target_modules;  ///< last parts of module names
  std::vector<int64_t> layers;              ///< layers_to_transform; empty: all
  bool fan_in_fan_out = false;              ///< whether the modules have W's rows as columns (Conv1D)
};

/// Adds adapter_config.json and adapter_model.safetensors (F32), as PEFT saves a LoRA, to `writer` under `folder` (""
/// or "pissa_init/").
void add_adapter(const AdapterConfig& config, const std::vector<ModuleAdapter>& adapters, const std::string& folder,
                 CheckpointWriter& writer);

}  // namespace gyro
