#pragma once

#include <memory>
#include <string>

#include "gyro/checkpoint/source.h"

namespace gyro {

/// Opens the model that a user names: a folder with safetensors; a folder with a LoRA adapter as PEFT saves it, read as
/// the model it makes of its base (AdapterSource), which is found by base_model_name_or_path (from here, then from the
/// adapter's folder, then in the Hub's cache) or, where that leads nowhere, is `base`; the folder of a model in the
/// Hub's cache; or `owner/name`, or `owner/name@revision`, of a model in that cache where no file is called so. Never
/// downloads, never reads pickled weights. Of an adapter on `base` itself, however it was found, the base's warnings
/// are the caller's to pass on. Throws Error that says what is there instead and what to do about it: which checkpoints
/// a run's folder has, how to fetch or convert weights.
std::shared_ptr<const TensorSource> open_model(const std::string& given,
                                               const std::shared_ptr<const TensorSource>& base = nullptr);

}  // namespace gyro
