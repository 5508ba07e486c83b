#include "gyro/open/adapter_config.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "gyro/base/error.h"
#include "gyro/checkpoint/json.h"
#include "gyro/checkpoint/json_fields.h"

namespace gyro {
namespace {

using Json = JsonFields::Json;

constexpr int64_t kMostRank = 1'000'000;
constexpr size_t kMostPatterns = 50'000, kMostSteps = 200'000;  // of all patterns of a file

// What fields of PEFT's LoraConfig, and of older ones, have to do with what the adapter makes of its base.
constexpr std::string_view kRead[] = {"alpha_pattern",
                                      "base_model_name_or_path",
                                      "fan_in_fan_out",
                                      "init_lora_weights",
                                      "lora_alpha",
                                      "lora_bias",
                                      "modules_to_save",
                                      "peft_type",
                                      "r",
                                      "rank_pattern",
                                      "revision",
                                      "target_modules",
                                      "use_dora",
                                      "use_rslora"};
constexpr std::string_view kNothing[] = {
    "auto_mapping",
    "bias",  // biases that were trained are in the file, whole
    "corda_config",   "ephemeral_gpu_offload", "eva_config",        "exclude_modules", "inference_mode",
    "layers_pattern", "layers_to_transform",   "loftq_config",      "lora_dropout",    "lora_ga_config",
    "megatron_core",  "peft_version",          "qalora_group_size", "runtime_config",  "task_type"};
// Starting points that leave the base as it is.
constexpr std::string_view kPlainStarts[] = {"gaussian", "eva", "orthogonal", "mica"};

template <typename List>
bool is_among(std::string_view key, const List& list) {
  return std::ranges::find(list, key) != std::end(list);
}

bool says_nothing(const Json& value) {
  return value.is_null() || value == false || (value.is_structured() && value.empty());
}

void check_type(const JsonFields& fields) {
  const std::string type = fields.string("peft_type");
  if (type != "LORA") {
    fields.fail_at("peft_type", "is {}: of adapters Gyro reads LoRA (LORA); merge this one first", printable(type, 40));
  }
}

void check_start(const JsonFields& fields) {
  const Json* start = fields.find("init_lora_weights");
  if (start == nullptr || start->is_boolean()) return;
  const std::string name = fields.string("init_lora_weights");
  if (is_among(name, kPlainStarts)) return;
  fields.fail_at("init_lora_weights",
                 "is {}, which changes the base: save the adapter by save_pretrained(..., "
                 "path_initial_model_for_weight_conversion=...), or merge it first",
                 printable(name, 40));
}

void check_known(const JsonFields& fields, const Json& json) {
  for (const auto& [key, value] : json.items()) {
    if (is_among(key, kRead) || is_among(key, kNothing) || says_nothing(value)) continue;
    fail(fields.subject(), "{} is {}, which Gyro does not read: merge the adapter first", printable(key, 60),
         printable(value.dump(-1, ' ', false, Json::error_handler_t::replace), 60));
  }
}

std::optional<std::vector<std::string>> strings_of(const JsonFields& fields, std::string_view key) {
  const Json* value = fields.find(key);
  if (value == nullptr || value->is_string()) return std::nullopt;
  std::vector<std::string> strings;
  for (const Json& item : fields.array(key)) {
    if (!item.is_string()) fields.fail_at(key, "must be an array of strings");
    strings.push_back(item.get<std::string>());
  }
  return strings;
}

// The keys of the patterns by field, in the order of the file, which JsonFields' objects do not keep. Checks the text
// as parse_json does.
using PatternKeys = std::map<std::string, std::vector<std::string>, std::less<>>;
PatternKeys pattern_keys(const std::string& file, std::string_view text) {
  PatternKeys keys = {{"rank_pattern", {}}, {"alpha_pattern", {}}};
  size_t count = 0;
  visit_json(file, text, [&](const JsonPath& path, const JsonValue&) {
    const auto field = path.size() == 2 ? keys.find(path.front()) : keys.end();
    if (field == keys.end()) return;
    if (++count > kMostPatterns) fail(file, "{} has more than {} entries", path.front(), kMostPatterns);
    field->second.push_back(path.back());
  });
  return keys;
}

std::vector<std::pair<std::string, double>> pattern_of(const JsonFields& fields, const PatternKeys& keys,
                                                       const std::string& field) {
  std::vector<std::pair<std::string, double>> entries;
  if (!fields.object(field)) return entries;
  const Json& values = fields.require(field);
  for (const std::string& key : keys.at(field)) {
    const Json& value = values.at(key);
    if (!value.is_number()) fields.fail_at(field, "must hold numbers");
    entries.emplace_back(key, value.get<double>());
  }
  return entries;
}

template <typename Value>
std::vector<ModulePattern> compiled(const JsonFields& fields, std::string_view field,
                                    const std::vector<std::pair<std::string, Value>>& entries, size_t& steps) {
  std::vector<ModulePattern> keys;
  const std::string subject = fmt::format("{}: {}", fields.subject(), field);
  for (const auto& [key, value] : entries) {
    steps += keys.emplace_back(subject, key).steps();
    if (steps > kMostSteps) fields.fail_at(field, "has larger expressions than Gyro reads: write names of modules");
  }
  return keys;
}

void read_patterns(const JsonFields& fields, const PatternKeys& keys, LoraConfig& config) {
  for (const auto& [module, rank] : pattern_of(fields, keys, "rank_pattern")) {
    if (rank != std::floor(rank) || rank < 1 || rank > static_cast<double>(kMostRank)) {
      fields.fail_at("rank_pattern", "must hold ranks from 1 to {}", kMostRank);
    }
    config.rank_pattern.emplace_back(module, static_cast<int64_t>(rank));
  }
  config.alpha_pattern = pattern_of(fields, keys, "alpha_pattern");
  size_t steps = 0;
  config.rank_keys = compiled(fields, "rank_pattern", config.rank_pattern, steps);
  config.alpha_keys = compiled(fields, "alpha_pattern", config.alpha_pattern, steps);
}

// PEFT's get_pattern_key: the value of the first key that matches.
template <typename Value>
Value first_match(std::string_view module, const std::vector<ModulePattern>& keys,
                  const std::vector<std::pair<std::string, Value>>& entries, Value otherwise) {
  for (size_t i = 0; i < keys.size(); ++i) {
    if (keys[i].matches(module)) return entries[i].second;
  }
  // No expression matched: PEFT then looks the name itself up.
  for (const auto& [key, value] : entries) {
    if (key == module) return value;
  }
  return otherwise;
}

}  // namespace

LoraConfig::Share LoraConfig::share_of(std::string_view module) const {
  const int64_t own = first_match(module, rank_keys, rank_pattern, rank);
  const auto r = static_cast<double>(own);
  return {own, first_match(module, alpha_keys, alpha_pattern, alpha) / (use_rslora ? std::sqrt(r) : r)};
}

LoraConfig parse_lora_config(std::string_view subject, std::string_view text) {
  const std::string file(subject);
  const PatternKeys keys = pattern_keys(file, text);
  const Json json = Json::parse(text.begin(), text.end());
  const JsonFields fields(file, "", json);
  check_type(fields);
  check_start(fields);
  check_known(fields, json);
  LoraConfig config;
  config.base = fields.optional_string("base_model_name_or_path").value_or("");
  config.revision = fields.optional_string("revision").value_or("");
  for (const char* key : {"r", "lora_alpha"}) {  // which PEFT divides
    if (json.contains(key) && json[key].is_null()) fields.fail_at(key, "is null");
  }
  config.rank = fields.optional_integer("r", kMostRank).value_or(config.rank);
  if (config.rank == 0) fields.fail_at("r", "must not be 0");
  config.alpha = fields.number("lora_alpha").value_or(config.alpha);
  config.use_rslora = fields.boolean("use_rslora").value_or(false);
  config.use_dora = fields.boolean("use_dora").value_or(false);
  config.fan_in_fan_out = fields.boolean("fan_in_fan_out").value_or(false);
  config.lora_bias = fields.boolean("lora_bias").value_or(false);
  config.modules_to_save = strings_of(fields, "modules_to_save").value_or(std::vector<std::string>{});
  config.target_modules = strings_of(fields, "target_modules");
  read_patterns(fields, keys, config);
  return config;
}

}  // namespace gyro
