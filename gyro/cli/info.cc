#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gyro/arch/inventory.h"
#include "gyro/base/error.h"
#include "gyro/checkpoint/content_hash.h"
#include "gyro/checkpoint/json_fields.h"
#include "gyro/cli/commands.h"
#include "gyro/cli/parse.h"
#include "gyro/cli/progress.h"
#include "gyro/cli/run_options.h"
#include "gyro/cli/terminal.h"
#include "gyro/open/open.h"

namespace gyro {
namespace {

using Json = nlohmann::ordered_json;
constexpr size_t kConfigLimit = size_t{256} << 20;

struct InfoArguments {
  std::string model;
  bool no_hash = false, json = false;
  RunArguments run;
};

/// What is said of a model.
struct ModelFacts {
  std::shared_ptr<const TensorSource> source;
  Inventory inventory;
  std::vector<std::string> tokenizer;  // its files
  std::string chat_template;           // the file that has it; empty: none
  std::string content;                 // SHA-256; empty: not asked for
};

std::vector<std::string> tokenizer_files(const std::vector<std::string>& companions) {
  constexpr std::string_view kFiles[] = {"tokenizer.json", "tokenizer.model", "vocab.json", "merges.txt",
                                         "spiece.model"};
  std::vector<std::string> files;
  for (const std::string_view file : kFiles) {
    if (std::ranges::find(companions, file) != companions.end()) files.emplace_back(file);
  }
  return files;
}

std::string template_file(const TensorSource& source, const std::vector<std::string>& companions) {
  const auto has = [&](std::string_view name) { return std::ranges::find(companions, name) != companions.end(); };
  if (has("chat_template.jinja")) return "chat_template.jinja";
  constexpr const char* kConfig = "tokenizer_config.json";
  if (!has(kConfig)) return "";
  try {
    const JsonFields::Json json = parse_json(kConfig, source.companion(kConfig, kConfigLimit));
    const JsonFields fields(kConfig, "", json);
    return fields.find("chat_template") != nullptr ? kConfig : "";
  } catch (const Error& error) {
    return fmt::format("not known: {}", error.what());
  }
}

std::string grouped(int64_t number) {
  std::string digits = std::to_string(number);
  for (size_t at = digits.size(); at > 3;) digits.insert(at -= 3, ",");
  return digits;
}

std::string size_text(uint64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (value >= 1e9) return fmt::format("{:.2f} GB", value / 1e9);
  if (value >= 1e6) return fmt::format("{:.2f} MB", value / 1e6);
  return fmt::format("{:.1f} kB", value / 1e3);
}

std::string joined(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, ", "));
}

std::string architecture_text(const ModelConfig& config) {
  std::string text = fmt::format("{} ({})", printable(config.architecture.empty() ? "?" : config.architecture, 80),
                                 printable(config.model_type, 40));
  const auto add = [&](const char* what, int64_t value) {
    if (value > 0) text += fmt::format(", {} {}", what, value);
  };
  add("layers", config.num_hidden_layers);
  add("hidden size", config.hidden_size);
  add("inner size", config.intermediate_size);
  add("heads", config.num_attention_heads);
  if (config.num_attention_heads > 0) {
    add("KV heads", config.num_key_value_heads);
    add("head size", config.head_dim);
  }
  add("experts", config.num_experts);
  if (config.num_experts > 0) add("expert's inner size", config.moe_intermediate_size);
  return text;
}

std::string head_text(const Inventory& inventory) {
  if (inventory.head.empty())
    return inventory.tied ? "tied to the embeddings" : "none, though config.json does not tie it to the embeddings";
  return printable(inventory.head) + (inventory.tied ? ", though config.json ties it to the embeddings" : "");
}

std::string quantization_text(const TensorSource& source) {
  int64_t fp8 = 0, integers = 0;
  for (const auto& [name, tensor] : source.tensors()) {
    fp8 += dtype_is_fp8(tensor.dtype) ? 1 : 0;
    integers += dtype_is_float(tensor.dtype) ? 0 : 1;
  }
  const ModelConfig& config = source.config();
  std::string text = printable(config.quantization, 40);
  if (config.fp8_block_rows > 0)
    text += fmt::format(", blocks of {} x {}", config.fp8_block_rows, config.fp8_block_cols);
  if (fp8 > 0) text += fmt::format("{}{} tensors in FP8", text.empty() ? "" : ", ", fp8);
  if (integers > 0) text += fmt::format("{}{} tensors of integers", text.empty() ? "" : ", ", integers);
  return text.empty() ? "none" : text;
}

// Its name within a layer: "self_attn.q_proj.weight".
std::string name_in_layer(const std::string& tensor) {
  const size_t digit = tensor.find_first_of("0123456789");
  const size_t dot = tensor.find('.', std::min(digit, tensor.size()));
  return printable(dot == std::string::npos ? tensor : tensor.substr(dot + 1), 80);
}

std::string group_text(const MatrixGroup& group) {
  const std::string count =
      group.experts > 0 ? fmt::format("{} x {}", group.layers, group.experts) : std::to_string(group.count);
  return fmt::format("{:<14}{:>6} x {:<6}{:>9}  {:<6}{}{}", type_name(group.type), group.d_out, group.d_in, count,
                     group.dtypes, name_in_layer(group.tensor), group.sliced ? " (a part)" : "");
}

void print_facts(const ModelFacts& facts) {
  const TensorSource& source = *facts.source;
  const Inventory& all = facts.inventory;
  const size_t width = terminal_of(1).width;
  const auto line = [&](std::string_view label, const std::string& text) {
    fmt::print("{}", wrapped(fmt::format("{:<14}{}", label, text), width, std::string(14, ' ')));
  };
  line("Model",
       printable(source.id()) + (source.revision().empty() ? "" : ", revision " + printable(source.revision())));
  line("Architecture", architecture_text(all.config));
  const auto files = source.files();
  line("Parameters", fmt::format("{} in {} tensors, {}, {}", grouped(all.parameters), all.tensors,
                                 joined(source.dtypes()), size_text(all.bytes)));
  if (!files.empty())
    line("Files", files.size() == 1 ? files.front().name
                                    : fmt::format("{}, {} to {}", files.size(), files.front().name, files.back().name));
  line("Quantisation", quantization_text(source));
  if (all.vocabulary > 0) line("Embeddings", fmt::format("{} rows", grouped(all.vocabulary)));
  line("Head", head_text(all));
  line("Tokenizer", facts.tokenizer.empty() ? "none" : joined(facts.tokenizer));
  line("Template", facts.chat_template.empty() ? "none" : facts.chat_template);
  if (!all.no_matrices.empty()) {
    line("Matrices", "not known: " + all.no_matrices);
  } else {
    const std::string indent(4, ' ');
    fmt::print("{}",
               wrapped("Matrices         d_out x d_in      count  (of experts: layers x experts)", width, indent));
    for (const MatrixGroup& group : all.matrices) fmt::print("  {}", wrapped(group_text(group), width - 2, indent));
    line("Others", fmt::format("{} tensors with {} parameters", all.other_tensors, grouped(all.other_parameters)));
  }
  for (const std::string& warning : all.warnings) line("Warning", warning);
  if (!facts.content.empty()) line("Content", facts.content);
  line("Layout", source.sha256());
  line("Fingerprint", source.identity());
  line("SHA-256 of",
       fmt::format("{}names, shapes and dtypes as stored; these and samples of each tensor, by which results name it",
                   facts.content.empty() ? "" : "all tensors, however stored; "));
}

Json optional_text(const std::string& text) {
  return text.empty() ? Json() : Json(printable(text, 2000));
}

Json sizes_json(const ModelConfig& config) {
  Json json = Json::object();
  const auto add = [&](const char* key, int64_t value) { json[key] = value > 0 ? Json(value) : Json(); };
  add("layers", config.num_hidden_layers);
  add("hidden_size", config.hidden_size);
  add("intermediate_size", config.intermediate_size);
  add("heads", config.num_attention_heads);
  add("kv_heads", config.num_attention_heads > 0 ? config.num_key_value_heads : 0);
  add("head_dim", config.head_dim);
  add("experts", config.num_experts);
  add("moe_intermediate_size", config.moe_intermediate_size);
  return json;
}

Json matrices_json(const Inventory& inventory) {
  if (!inventory.no_matrices.empty()) return nullptr;
  Json out = Json::array();
  for (const MatrixGroup& group : inventory.matrices) {
    out.push_back({{"type", type_name(group.type)},
                   {"d_out", group.d_out},
                   {"d_in", group.d_in},
                   {"count", group.count},
                   {"layers", group.layers},
                   {"experts", group.experts > 0 ? Json(group.experts) : Json()},
                   {"sliced", group.sliced},
                   {"dtypes", group.dtypes},
                   {"tensor", group.tensor}});
  }
  return out;
}

Json facts_json(const ModelFacts& facts) {
  const TensorSource& source = *facts.source;
  const Inventory& all = facts.inventory;
  const ModelConfig& config = source.config();
  Json files = Json::array();
  for (const SourceFile& file : source.files())
    files.push_back({{"name", file.name}, {"bytes", file.bytes}, {"tensors", file.tensors}});
  return {{"schema", "gyro.info/1"},
          {"id", source.id()},
          {"path", source.path().string()},
          {"revision", optional_text(source.revision())},
          {"architecture", optional_text(config.architecture)},
          {"model_type", optional_text(config.model_type)},
          {"sizes", sizes_json(all.config)},
          {"parameters", all.parameters},
          {"tensors", all.tensors},
          {"bytes", all.bytes},
          {"dtypes", source.dtypes()},
          {"files", std::move(files)},
          {"quantization", optional_text(config.quantization)},
          {"vocabulary", all.vocabulary > 0 ? Json(all.vocabulary) : Json()},
          {"tied", all.tied},
          {"head", optional_text(all.head)},
          {"tokenizer", facts.tokenizer},
          {"chat_template", optional_text(facts.chat_template)},
          {"matrices", matrices_json(all)},
          {"matrices_unknown", optional_text(all.no_matrices)},
          {"other_tensors", all.other_tensors},
          {"other_parameters", all.other_parameters},
          {"warnings", all.warnings},
          {"content_sha256", optional_text(facts.content)},
          {"layout_sha256", source.sha256()},
          {"sampled_sha256", source.identity()}};
}

int run(const InfoArguments& arguments) {
  ModelFacts facts;
  facts.source = open_model(arguments.model);
  facts.inventory = take_inventory(*facts.source);
  const std::vector<std::string> companions = facts.source->companions();
  facts.tokenizer = tokenizer_files(companions);
  facts.chat_template = template_file(*facts.source, companions);
  if (!arguments.no_hash) {
    const auto content = content_sha256(*facts.source, run_options(arguments.run));
    if (!content) return report_interruption("nothing was printed");
    facts.content = *content;
  }
  if (arguments.json) {
    fmt::print("{}\n", facts_json(facts).dump(1, ' ', false, Json::error_handler_t::replace));
  } else {
    print_facts(facts);
  }
  return kDone;
}

}  // namespace

void add_info_command(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("info", "What a checkpoint is: architecture, matrices, files, hashes");
  auto arguments = std::make_shared<InfoArguments>();
  command->add_option("MODEL", arguments->model, "Folder of a checkpoint or adapter, or owner/name in the Hub's cache")
      ->required()
      ->type_name("DIR");
  command->add_flag("--no-hash", arguments->no_hash, "Without the hash of the content, for which all weights are read");
  command->add_flag("--json", arguments->json, "Print JSON");
  command->add_option("-t,--threads", arguments->run.threads, "Threads that hash [all processors]")
      ->check(whole_number_from(1, 4096));
  command->add_flag("-q,--quiet", arguments->run.quiet, "No progress");
  command->footer(
      "Examples:\n"
      "  gyro info Qwen2.5-1.5B\n"
      "  gyro info checkpoint --no-hash --json | jq .matrices\n"
      "  for m in */; do gyro info \"$m\" --json | jq -r '[.content_sha256, .id] | @tsv'; done");
  command->callback([arguments, &exit_code] { exit_code = run(*arguments); });
}

}  // namespace gyro
