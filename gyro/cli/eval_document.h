#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "gyro/eval/summary.h"

namespace gyro {

/// A model of an evaluation: its part ("post"), its path as given, and what tells its content from others'.
struct EvalModelName {
  std::string role, path, identity;
};

/// What eval.json says beside the cells.
struct EvalDocument {
  std::vector<EvalModelName> models;
  std::vector<std::string> variants;  ///< their descriptions; empty of a model alone
  std::vector<std::string> settings;  ///< `settings_lines`
  std::string dtype, device, pre;     ///< empty of a server
  std::string date;                   ///< `told_date`
};

/// SHA-256 (hex) of a value's text: what tells one document from another, of all that its numbers depend on.
std::string document_fingerprint(const nlohmann::ordered_json& value);
/// Whether the file, which there is, has a document with that "fingerprint".
bool has_fingerprint(const std::filesystem::path& file, const std::string& print);

/// What tells a file's content from others': its SHA-256.
std::string file_identity(const std::filesystem::path& file);
/// The same of what a model's answers hang on: its weights' `identity` with its config, tokenizer and template.
std::string model_identity(const TensorSource& source);

/// The date that the model's template is told, as "2024-07-26"; empty where it does not ask for one.
std::string told_date(const ChatModel& model);

/// How the questions are asked and answers end, a sentence a line: nothing that a model's files decide is silent.
std::vector<std::string> settings_lines(const EvalRequest& request, const ChatModel& model);

/// The same of a server: `models` are its address and the model, as eval.json has them.
std::vector<std::string> server_settings(const EvalRequest& request, const std::vector<EvalModelName>& models);

/// Makes the folder, or finds that it has an evaluation of the same models, tasks and options, or nothing but a result
/// of gyro diff. Returns the path of its samples. Throws Error, the field "force", for a folder of anything else.
std::filesystem::path open_eval_folder(const std::filesystem::path& folder, const EvalDocument& document,
                                       const EvalRequest& request, bool force);

/// eval.json (schema gyro.eval/1).
std::string eval_json(const EvalDocument& document, const EvalRequest& request, const std::vector<EvalCell>& cells,
                      const std::vector<Score>& scores);

/// Writes eval.json, tables.md and tables.tex.
void write_eval_folder(const std::filesystem::path& folder, const std::string& json,
                       const std::vector<EvalCell>& cells);

}  // namespace gyro
