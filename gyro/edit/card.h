#pragma once

#include "gyro/checkpoint/writer.h"
#include "gyro/edit/build.h"

namespace gyro {

/// Puts what belongs beside the weights into the folder: post's config (with the dtype that was written), tokenizer and
/// generation files, README.md (the model card) and gyro.json (recipe, sums of `rows`, SHA-256 of every file).
void add_companion_files(const Checkpoint& post, const BuildRequest& request, const Variant& variant,
                         const std::vector<BuildRow>& rows, CheckpointWriter& writer);

/// config.json of `model` with `torch_dtype` (and `dtype`, where it has it) set, and without a quantisation that no
/// longer holds.
std::string config_with_dtype(const Checkpoint& model, std::optional<DType> dtype);

/// The YAML head of a model card: `base_model` if `model` has a name on the Hub (the Hub refuses a local path), then
/// `fields`, whole lines.
std::string card_head(const Checkpoint& model, std::string_view fields);

/// Copies every plain file of `model` that is not weights, their index, config.json, a model card or a gyro.json.
void copy_companions(const Checkpoint& model, CheckpointWriter& writer);

}  // namespace gyro
