#pragma once

#include "gyro/checkpoint/writer.h"
#include "gyro/edit/recipe.h"

namespace gyro {

/// The companions of `model` that a checkpoint made from it takes along as they are, by their endings: tokenizer, chat
/// template, generation config, code, licence. Never weights of any format or their indices, an adapter, the
/// description of a quantisation, nor what is written anew (config.json, README.md, gyro.json). In order. Throws Error
/// naming one that cannot be opened or has more than 256 MiB: asked before the work, it spares finding out after it.
std::vector<std::string> companion_files(const TensorSource& model);

/// Copies those files.
void copy_companions(const TensorSource& model, const std::vector<std::string>& files, CheckpointWriter& writer);

/// Puts what belongs beside the weights into the folder: `companions` of post, post's config (with the dtype that was
/// written), README.md (the model card) and gyro.json (recipe, sums of `rows`, SHA-256 of every file).
void add_companion_files(const std::vector<std::string>& companions, const BuildRequest& request,
                         const Variant& variant, const std::vector<BuildRow>& rows, CheckpointWriter& writer);

/// What a variant is, in full, as a line of JSON: the recipe of gyro.json.
std::string recipe_text(const BuildRequest& request, const Variant& variant);

/// config.json of `model` with `torch_dtype` (and `dtype`, where it has it) set, and without a quantisation that no
/// longer holds.
std::string config_with_dtype(const TensorSource& model, std::optional<DType> dtype);

/// The YAML head of a model card: `base_model` if `model` has a name on the Hub (the Hub refuses a local path), then
/// `fields`, whole lines.
std::string card_head(const TensorSource& model, std::string_view fields);

}  // namespace gyro
