#include "gyro/report/probes.h"

#include <algorithm>
#include <set>
#include <vector>

#include "gyro/arch/arch.h"
#include "gyro/base/error.h"
#include "gyro/base/file.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kClaims = "claims";
constexpr size_t kLargestDocument = size_t{1} << 30;
constexpr uint64_t kMostBlocks = 4096, kMostQuestions = 1 << 16, kMostHeads = 4096, kMostPositions = 1 << 13;

void check(bool holds) {
  if (!holds) throw std::domain_error("not a probe");
}

void check_value(const Json& json) {
  check(json.is_number() || json.is_null());
}

// Lists of lists ... of values, so many at each depth.
void check_values(const Json& json, std::initializer_list<size_t> shape) {
  std::vector<const Json*> level = {&json};
  for (auto side = shape.begin(); side != shape.end(); ++side) {
    std::vector<const Json*> next;
    for (const Json* list : level) {
      check(list->is_array() && list->size() == *side);
      for (const Json& item : *list) next.push_back(&item);
    }
    level = std::move(next);
  }
  for (const Json* item : level) check_value(*item);
}

// Those of these members that are there are values.
void check_members(const Json& object, std::initializer_list<const char*> keys) {
  check(object.is_object());
  for (const char* key : keys) {
    const auto it = object.find(key);
    if (it != object.end()) check_value(*it);
  }
}

// A list that may be missing.
const Json& list_of(const Json& object, const char* key) {
  static const Json none = Json::array();
  const auto it = object.find(key);
  if (it == object.end() || it->is_null()) return none;
  check(it->is_array());
  return *it;
}

void check_texts(const Json& object, std::initializer_list<const char*> keys) {
  check(object.is_object());
  for (const char* key : keys) check(object.at(key).is_string());
}

uint64_t whole(const Json& json, uint64_t most) {
  check(json.is_number_unsigned() && json <= most);
  return json.get<uint64_t>();
}

void check_head(const Json& document, const std::string& kind) {
  check(document.at("schema") == (kind == kClaims ? "gyro.claims/1" : "gyro.probe." + kind + "/1"));
  check(document.at("models").is_array());
  for (const Json& model : document.at("models")) check_texts(model, {"role", "path"});
  for (const Json& task : list_of(document, "tasks")) check_texts(task, {"name"});
  for (const Json& question : list_of(document, "questions")) {
    check_texts(question, {"task", "id", "text"});
    check_members(question, {"tokens"});
  }
  for (const char* key : {"sentences", "words"}) {
    for (const Json& sentence : list_of(document, key)) check(sentence.is_string());
  }
}

std::set<std::string> check_subjects(const Json& subjects) {
  check(subjects.is_array() && !subjects.empty());
  std::set<std::string> names;
  for (const Json& subject : subjects) {
    check_texts(subject, {"name", "kind", "description"});
    constexpr std::array kinds = {"original", "variant", "control", "model"};
    check(std::ranges::find(kinds, subject.at("kind")) != kinds.end());
    const std::string name = subject.at("name");
    check(!name.empty() && names.insert(name).second);
  }
  return names;
}

std::set<uint64_t> check_blocks(const Json& blocks) {
  check(blocks.is_array() && !blocks.empty() && blocks.size() <= kMostBlocks);
  std::set<uint64_t> places;
  for (const Json& block : blocks) check(places.insert(whole(block, kMostBlocks)).second);
  return places;
}

void check_comparison(const Json& comparison, const std::set<std::string>& subjects, const std::set<uint64_t>& blocks,
                      size_t heads) {
  for (const char* key : {"subject", "reference"}) check(subjects.contains(comparison.at(key)));
  const Json& rows = comparison.at("blocks");
  check(rows.is_array() && rows.size() <= blocks.size());
  for (const Json& row : rows) {
    check(blocks.contains(whole(row.at("block"), kMostBlocks)));
    check_members(row, {"temperature", "temperature_se", "kl", "kl_fitted", "explained", "entropy_difference"});
  }
  const Json& by_head = list_of(comparison, "heads");
  check(by_head.empty() || by_head.size() == rows.size());
  for (const Json& row : by_head) {
    check(row.is_array() && row.size() == heads);
    for (const Json& head : row) check_members(head, {"temperature", "explained", "kl"});
  }
}

void check_map(const Json& map, const std::set<std::string>& subjects, const std::set<uint64_t>& blocks, size_t heads,
               size_t questions) {
  check(whole(map.at("question"), kMostQuestions) < questions);
  check(blocks.contains(whole(map.at("block"), kMostBlocks)));
  check(map.at("head") == "mean" || whole(map.at("head"), kMostHeads) < heads);
  const uint64_t positions = whole(map.at("positions"), kMostPositions);
  check(positions > 0);
  const Json& tokens = list_of(map, "tokens");
  check(tokens.empty() || tokens.size() == positions);
  for (const Json& token : tokens) check(token.is_string());
  check(map.at("arrays").is_object());
  for (const auto& [subject, name] : map.at("arrays").items()) check(subjects.contains(subject) && name.is_string());
}

// A subject that is another model may have other heads, and lack a block.
void check_entropies(const Json& subject, size_t questions, size_t blocks, size_t usual_heads) {
  const size_t heads = subject.contains("heads") ? whole(subject["heads"], kMostHeads) : usual_heads;
  check(heads > 0);
  const Json& entropies = subject.at("entropy");
  check(entropies.is_array() && entropies.size() == questions);
  for (const Json& question : entropies) {
    check(question.is_array() && question.size() == blocks);
    for (const Json& row : question) {
      if (!row.is_null()) check_values(row, {heads});
    }
  }
  for (const char* key : {"entropy_mean", "entropy_of_mean"}) check_values(subject.at(key), {questions, blocks});
}

void check_attention(const Json& document) {
  const size_t heads = whole(document.at("heads"), kMostHeads);
  check(heads > 0);
  const std::set<uint64_t> blocks = check_blocks(document.at("blocks"));
  const size_t questions = document.at("questions").size();
  check(questions > 0 && questions <= kMostQuestions);
  check_values(document.at("log_keys"), {questions, blocks.size()});
  const std::set<std::string> subjects = check_subjects(document.at("subjects"));
  for (const Json& subject : document.at("subjects")) check_entropies(subject, questions, blocks.size(), heads);
  for (const Json& row : list_of(document, "alpha")) {
    check(whole(row.at("block"), kMostBlocks) <= kMostBlocks);
    check_members(row, {"alpha_q", "alpha_k", "expected"});
    check(!row.contains("why") || row["why"].is_null() || row["why"].is_string());
  }
  for (const Json& comparison : list_of(document, "comparisons")) {
    check_comparison(comparison, subjects, blocks, heads);
  }
  for (const Json& map : list_of(document, "maps")) check_map(map, subjects, blocks, heads, questions);
}

void check_cka(const Json& document) {
  const size_t layers = whole(document.at("layers"), kMostBlocks);
  check(layers > 0);
  check_subjects(document.at("subjects"));
  const Json& readings = document.at("readings");
  check(readings.is_object() && !readings.empty());
  for (const Json& description : readings) check(description.is_string());
  for (const Json& subject : document.at("subjects")) {
    for (const auto& [reading, description] : readings.items()) {
      const Json& matrix = subject.at("cka").at(reading);
      if (!matrix.is_null()) check_values(matrix, {layers, layers});
    }
  }
}

void check_drift_values(const Json& values) {
  check_members(values, {"norm_ratio", "relative_difference", "lens_top1_agreement"});
  if (values.contains("cosine")) check_members(values["cosine"], {"mean", "sd"});
  if (values.contains("lens_kl")) check_members(values["lens_kl"], {"mean", "se"});
}

void check_drift(const Json& document) {
  const Json& blocks = document.at("blocks");
  check(blocks.is_array() && !blocks.empty() && blocks.size() <= kMostBlocks);
  std::set<uint64_t> places;
  for (const Json& row : blocks) {
    check(places.insert(whole(row.at("block"), kMostBlocks)).second);
    check_drift_values(row);
    const Json noise = row.value("noise", Json()), weights = row.value("weights", Json());
    if (!noise.is_null()) check_drift_values(noise);
    if (!weights.is_null()) check_members(weights, {"nf_over_null", "alpha_mean", "relative_change"});
  }
  const Json next = document.value("next_token", Json());
  if (!next.is_null()) check_members(next, {"kl_mean", "kl_se", "top1_agreement"});
  check(next.is_null() || !next.contains("noise") || next["noise"].is_object());
}

void check_rotation(const Json& document) {
  check(document.at("pairs").is_array() && !document.at("pairs").empty());
  for (const Json& pair : document.at("pairs")) {
    check_texts(pair, {"post", "other"});
    check(pair.at("matrices").is_array() && !pair.at("matrices").empty());
    for (const Json& row : pair.at("matrices")) {
      check(whole(row.at("layer"), kMostBlocks) <= kMostBlocks);
      check(type_from_name(row.at("type").get<std::string>()).has_value());
      check(!row.contains("expert") || row["expert"].is_number_unsigned());
    }
    for (const Json& row : list_of(pair, "types")) {
      check(type_from_name(row.at("type").get<std::string>()).has_value());
    }
  }
}

void check_claims(const Json& document) {
  check(document.at("posts").is_array() && !document.at("posts").empty());
  for (const Json& post : document.at("posts")) {
    check_texts(post, {"post"});
    check(post.at("claims").is_array() && !post.at("claims").empty());
    for (const Json& claim : post.at("claims")) {
      check_texts(claim, {"id", "claim", "where", "evidence", "figure", "control", "verdict", "why"});
    }
  }
}

void check_document(const Json& document, const std::string& kind) {
  check_head(document, kind);
  if (kind == "attention") return check_attention(document);
  if (kind == "cka") return check_cka(document);
  if (kind == kClaims) return check_claims(document);
  return kind == "drift" ? check_drift(document) : check_rotation(document);
}

}  // namespace

Json parse_probe(const std::string& subject, const std::string& kind, std::string_view text) {
  try {
    Json document = parse_document(subject, text);
    check_document(document, kind);
    return document;
  } catch (const std::exception&) {
    fail(subject, "is not a document of {}", kind == kClaims ? "gyro study" : "gyro probe " + kind);
  }
}

std::optional<ProbeInput> read_probes(const fs::path& folder) {
  ProbeInput input{folder.string(), {}, {}};
  std::error_code ignored;
  for (const char* kind : kProbeKinds) {
    const fs::path file = folder / (std::string(kind) + ".json");
    if (!fs::exists(file, ignored)) continue;
    input.documents[kind] = parse_probe(file.string(), kind, read_file(file, kLargestDocument));
  }
  if (input.documents.empty()) return std::nullopt;
  const fs::path maps = folder / "attention.safetensors";
  if (fs::exists(maps, ignored)) input.maps = maps;
  return input;
}

const Json& probed_models(const ProbeInput& input) {
  return input.documents.begin()->second["models"];
}

}  // namespace gyro
