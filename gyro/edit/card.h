#pragma once

#include "gyro/checkpoint/writer.h"
#include "gyro/edit/build.h"

namespace gyro {

/// The files of `model` that a checkpoint made from it takes along as they are, by their endings: tokenizer, chat
/// template, generation config, code, licence. Never weights of any format or their indices, an adapter, the
/// description of a quantisation, nor what is written anew (config.json, README.md, gyro.json). In order. Throws Error
/// naming one that cannot be opened or has more than 256 MiB: asked before the work, it spares finding out after it.
std::vector<std::filesystem::path> companion_files(const Checkpoint& model);

/// Copies those files.
void copy_companions(const std::vector<std::filesystem::path>& files, CheckpointWriter& writer);

/// Puts what belongs beside the weights into the folder: `companions`, post's config (with the dtype that was written),
/// README.md (the model card) and gyro.json (recipe, sums of `rows`, SHA-256 of every file).
void add_companion_files(const Checkpoint& post, const std::vector<std::filesystem::path>& companions,
                         const BuildRequest& request, const Variant& variant, const std::vector<BuildRow>& rows,
                         CheckpointWriter& writer);

/// config.json of `model` with `torch_dtype` (and `dtype`, where it has it) set, and without a quantisation that no
/// longer holds.
std::string config_with_dtype(const Checkpoint& model, std::optional<DType> dtype);

/// The YAML head of a model card: `base_model` if `model` has a name on the Hub (the Hub refuses a local path), then
/// `fields`, whole lines.
std::string card_head(const Checkpoint& model, std::string_view fields);

}  // namespace gyro
