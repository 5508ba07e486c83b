#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "gyro/base/run_options.h"
#include "gyro/cli/engine_options.h"
#include "gyro/eval/variant_models.h"
#include "gyro/infer/chat.h"
#include "gyro/probe/prompts.h"

namespace gyro {

/// Each adds its command to `gyro probe`.
void add_probe_attention_command(CLI::App& probe, int& exit_code);
void add_probe_cka_command(CLI::App& probe, int& exit_code);
void add_probe_drift_command(CLI::App& probe, int& exit_code);
void add_probe_rotation_command(CLI::App& probe, int& exit_code);

/// Where a document goes.
struct DocumentPlace {
  std::string out;  ///< a folder; empty: nowhere
  bool force = false, json = false, quiet = false;
};

/// What probes of a running model are asked: the post that is run, constructions of it and a base, and questions.
struct ProbeArguments : DocumentPlace {
  EngineArguments engine;           ///< its model is the post
  std::vector<std::string> models;  ///< others that are asked the same
  std::string base, sibling, data, system;
  std::vector<std::string> variants, questions;
  int64_t count = 0;  ///< questions of each file; 0: all
  uint64_t shuffle_seed = 0, seed = 0;
  const CLI::App* command = nullptr;
};

/// --question(s), --count, --data, --system, --shuffle-seed, --seed, those of engines, --out, --force, --json, --quiet.
void add_probe_options(CLI::App& command, ProbeArguments& arguments, int64_t usual_count);
/// --base, --variants, --sibling.
void add_variant_options(CLI::App& command, ProbeArguments& arguments);

/// A model that is probed, as a document names it.
struct Subject {
  std::string name, description;
  std::string kind;  ///< "original", "variant", "control", or "model": another checkpoint
};

/// The post in memory, its constructions, and the questions as it is asked them.
struct Probed {
  ChatModel chat;
  std::shared_ptr<const TensorSource> base;  ///< null where none was named
  std::vector<Task> tasks;
  std::vector<ProbePrompt> prompts;
  std::vector<std::string> names;         ///< of variants, kOriginal first
  std::optional<VariantModels> variants;  ///< where there are any beside the original

  Engine& engine() { return chat.loaded.engine; }
  /// Puts a variant's weights in place.
  void load(size_t variant);
  Subject subject(size_t variant);
};

/// Opens, loads and reads all that was asked for. Throws Error and CLI::ValidationError.
Probed open_probed(const ProbeArguments& arguments, const RunOptions& run);

/// What all documents of probes begin with: schema, program, command, fingerprint of what the numbers depend on
/// (schema, version, `options`, the models' content, the questions), options, models (role, path, identity), tasks,
/// questions (task, id, text, tokens).
nlohmann::ordered_json probe_head(const std::string& schema, const ProbeArguments& arguments, const Probed& probed,
                                  const nlohmann::ordered_json& options);

/// Whether the file has a document of that head already, so that there is nothing to do. Throws Error, the field
/// "force", for one of another head.
bool is_probed(const std::filesystem::path& file, const nlohmann::ordered_json& head, bool force);

/// Text of a document: figures to the ten digits that F32 and its sums are good for, what is not finite as null, a line
/// for each innermost list.
std::string probe_text(const nlohmann::ordered_json& document);

}  // namespace gyro
