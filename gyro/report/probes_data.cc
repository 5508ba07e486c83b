#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "gyro/base/error.h"
#include "gyro/checkpoint/safetensors.h"
#include "gyro/diff/result.h"
#include "gyro/report/curves.h"
#include "gyro/report/evaluation.h"
#include "gyro/report/input.h"
#include "gyro/report/page_parts.h"
#include "gyro/report/probes.h"

namespace gyro {
namespace {

// How much of probes goes into the page.
struct ProbeDetail {
  int64_t side;   // rows of a map
  size_t maps;    // how many of them
  bool heads;     // entropies and temperatures of each head
  bool readings;  // all of CKA, not the first alone
  size_t text;    // bytes of a text
};
constexpr size_t kAll = std::numeric_limits<size_t>::max();
constexpr std::array kDetails = {ProbeDetail{256, kAll, true, true, 600}, ProbeDetail{192, kAll, true, true, 600},
                                 ProbeDetail{128, kAll, true, true, 600}, ProbeDetail{96, kAll, true, true, 400},
                                 ProbeDetail{64, kAll, true, true, 400},  ProbeDetail{48, kAll, true, true, 300},
                                 ProbeDetail{64, 16, true, true, 300},    ProbeDetail{48, 4, true, true, 200},
                                 ProbeDetail{48, 4, false, true, 200},    ProbeDetail{0, 0, false, false, 100},
                                 ProbeDetail{0, 0, false, false, 20}};
constexpr size_t kLongestName = 120, kMostOptions = 40;

constexpr std::array kComparisonKeys = {"block",     "temperature", "temperature_se",    "kl",
                                        "kl_fitted", "explained",   "entropy_difference"};
constexpr std::array kHeadKeys = {"temperature", "explained", "kl"};
constexpr std::array kAlphaKeys = {"block", "alpha_q", "alpha_k", "expected"};
constexpr std::array kWeightKeys = {"nf_mean",   "nf_robust_mean",  "nf_over_null",   "alpha_mean",
                                    "alpha_std", "relative_change", "counter_over_co"};
constexpr std::array kRotationKeys = {"cosine",
                                      "relative_change",
                                      "identity_distance",
                                      "identity_distance_null",
                                      "other_identity_distance",
                                      "distance",
                                      "distance_null",
                                      "turn_correlation",
                                      "turn_correlation_sd",
                                      "turn_correlation_null",
                                      "change_correlation",
                                      "carry_error",
                                      "carry_error_null",
                                      "carry_error_kept",
                                      "explained",
                                      "explained_null",
                                      "explained_by_chance",
                                      "explained_sd"};

float as_float(const Json& value) {
  if (!value.is_number()) return std::numeric_limits<float>::quiet_NaN();
  const double number = value.get<double>();
  const bool fits = std::abs(number) <= static_cast<double>(std::numeric_limits<float>::max());
  return fits ? static_cast<float>(number) : std::numeric_limits<float>::quiet_NaN();
}

void add_values(const Json& json, FloatBlock& out) {
  if (!json.is_array()) return out.add(as_float(json));
  for (const Json& item : json) add_values(item, out);
}

std::string encoded(const Json& json) {
  FloatBlock block;
  add_values(json, block);
  return block.encoded();
}

std::string text_of(const Json& object, const char* key, size_t limit) {
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? beginning(it->get<std::string>(), limit) : "";
}

Json subject_json(const Json& subject, const ProbeDetail& detail) {
  return {{"name", text_of(subject, "name", kLongestName)},
          {"kind", subject["kind"]},
          {"description", text_of(subject, "description", detail.text)}};
}

// Of each question and block a value a head; NaN in a block that the subject does not have.
std::string entropies(const Json& subject, size_t heads) {
  const FloatBlock none = [&] {
    FloatBlock block;
    for (size_t i = 0; i < heads; ++i) block.add(std::numeric_limits<float>::quiet_NaN());
    return block;
  }();
  FloatBlock out;
  for (const Json& question : subject["entropy"]) {
    for (const Json& row : question) {
      if (row.is_null()) {
        out.add(none);
      } else {
        add_values(row, out);
      }
    }
  }
  return out.encoded();
}

// Where a subject of this name stands.
size_t place_of(const Json& subjects, const std::string& name) {
  const auto it = std::ranges::find_if(subjects, [&](const Json& subject) { return subject["name"] == name; });
  return static_cast<size_t>(it - subjects.begin());
}

Json comparison_json(const Json& comparison, const Json& subjects, const ProbeDetail& detail) {
  Json rows = Json::array(), heads = Json::object();
  for (const Json& row : comparison["blocks"]) rows.push_back(picked(row, kComparisonKeys));
  const bool by_head = detail.heads && comparison.contains("heads") && !comparison["heads"].empty();
  if (by_head) {
    for (const char* key : kHeadKeys) {
      FloatBlock block;
      for (const Json& row : comparison["heads"]) {
        for (const Json& head : row) block.add(as_float(head.value(key, Json())));
      }
      heads[key] = block.encoded();
    }
  }
  return {{"subject", place_of(subjects, comparison["subject"])},
          {"reference", place_of(subjects, comparison["reference"])},
          {"blocks", std::move(rows)},
          {"heads", by_head ? std::move(heads) : Json()}};
}

// The cells on and below the diagonal: means over those of a bin that a query can see.
std::string map_json(const SafetensorsFile& file, const std::string& name, int64_t positions, int64_t side) {
  const std::vector<double> values = array_values(file, name, {positions, positions}, "attention.json");
  const std::vector<int64_t> edges = even_bins(positions, side);
  FloatBlock block;
  for (size_t row = 0; row + 1 < edges.size(); ++row) {
    for (size_t column = 0; column <= row; ++column) {
      double sum = 0;
      int64_t count = 0;
      for (int64_t i = edges[row]; i < edges[row + 1]; ++i) {
        for (int64_t j = edges[column]; j < std::min(edges[column + 1], i + 1); ++j, ++count) {
          sum += values[static_cast<size_t>(i * positions + j)];
        }
      }
      block.add(as_float(sum / static_cast<double>(count)));
    }
  }
  return block.encoded();
}

// What base64 of a document's maps takes, roughly.
double map_bytes(const Json& maps, const ProbeDetail& detail) {
  double bytes = 0;
  for (size_t i = 0; i < std::min(maps.size(), detail.maps); ++i) {
    const auto side = static_cast<double>(std::min(maps[i]["positions"].get<int64_t>(), detail.side));
    bytes += static_cast<double>(maps[i]["arrays"].size()) * side * (side + 1) / 2 * sizeof(float) * 4 / 3;
  }
  return bytes;
}

// Whether a file of maps was written by the run that the document is of.
bool are_of(const SafetensorsFile& maps, const Json& document) {
  const auto& metadata = maps.header().metadata;
  const auto found = metadata.find("fingerprint");
  return text_of(document, "fingerprint", kLongestName) == (found == metadata.end() ? "" : found->second);
}

Json maps_json(const ProbeInput& input, const Json& document, const ProbeDetail& detail) {
  Json out = Json::array();
  const Json maps = document.value("maps", Json::array());
  if (input.maps.empty() || maps.empty() || detail.maps == 0) return out;
  const SafetensorsFile file(input.maps);
  if (!are_of(file, document)) return out;
  for (size_t i = 0; i < std::min(maps.size(), detail.maps); ++i) {
    const Json& map = maps[i];
    const auto positions = map["positions"].get<int64_t>();
    Json arrays = Json::array(), tokens = nullptr;
    for (const auto& [subject, name] : map["arrays"].items()) {
      arrays.push_back({{"subject", place_of(document["subjects"], subject)},
                        {"values", map_json(file, name, positions, detail.side)}});
    }
    if (positions <= detail.side && map.contains("tokens") && map["tokens"].is_array() && !map["tokens"].empty()) {
      tokens = Json::array();
      for (const Json& token : map["tokens"]) tokens.push_back(beginning(token.get<std::string>(), 40));
    }
    out.push_back({{"question", map["question"]},
                   {"block", map["block"]},
                   {"head", map["head"]},
                   {"positions", positions},
                   {"edges", even_bins(positions, detail.side)},
                   {"tokens", std::move(tokens)},
                   {"arrays", std::move(arrays)}});
  }
  file.check();
  return out;
}

void add_map_notes(const ProbeInput& input, const Json& document, const ProbeDetail& detail, Json& notes) {
  const Json maps = document.value("maps", Json::array());
  if (maps.empty()) return;
  if (input.maps.empty()) {
    notes.push_back("attention.safetensors is not beside attention.json: its maps are not shown.");
    return;
  }
  if (!are_of(SafetensorsFile(input.maps), document)) {
    notes.push_back("attention.safetensors is of another run than attention.json: its maps are not shown.");
    return;
  }
  if (detail.maps < maps.size()) {
    notes.push_back(fmt::format("Of {} attention maps this page has {}.", maps.size(), detail.maps));
  }
  const bool binned = std::ranges::any_of(maps, [&](const Json& map) { return map["positions"] > detail.side; });
  if (binned && detail.maps > 0) {
    notes.push_back(
        fmt::format("Maps of more than {} positions are binned: a cell is the mean over its positions.", detail.side));
  }
}

Json attention_json(const ProbeInput& input, const Json& document, const ProbeDetail& detail, Json& notes) {
  Json subjects = Json::array(), comparisons = Json::array(), alpha = Json::array();
  for (const Json& subject : document["subjects"]) {
    Json& one = subjects.emplace_back(subject_json(subject, detail));
    const size_t heads = subject.value("heads", document["heads"].get<size_t>());
    one["heads"] = heads;
    one["entropy"] = detail.heads ? Json(entropies(subject, heads)) : Json();
    for (const char* key : {"entropy_mean", "entropy_of_mean"}) one[key] = encoded(subject[key]);
  }
  for (const Json& comparison : document.value("comparisons", Json::array())) {
    comparisons.push_back(comparison_json(comparison, document["subjects"], detail));
  }
  for (const Json& row : document.value("alpha", Json::array())) {
    Json& one = alpha.emplace_back(picked(row, kAlphaKeys));
    one["why"] = text_of(row, "why", detail.text);
  }
  if (!detail.heads) notes.push_back("Entropies and temperatures of single heads are left out of this page.");
  add_map_notes(input, document, detail, notes);
  return {{"heads", document["heads"]},
          {"blocks", document["blocks"]},
          {"log_keys", encoded(document["log_keys"])},
          {"subjects", std::move(subjects)},
          {"alpha", std::move(alpha)},
          {"comparisons", std::move(comparisons)},
          {"maps", maps_json(input, document, detail)}};
}

Json cka_json(const Json& document, const ProbeDetail& detail, Json& notes) {
  Json readings = Json::array(), subjects = Json::array();
  const size_t shown = detail.readings ? document["readings"].size() : 1;
  std::vector<std::string> names;
  for (const auto& [name, description] : document["readings"].items()) {
    if (names.size() == shown) break;
    names.push_back(name);
    readings.push_back({{"name", beginning(name, kLongestName)},
                        {"description", beginning(description.get<std::string>(), detail.text)}});
  }
  for (const Json& subject : document["subjects"]) {
    Json& one = subjects.emplace_back(subject_json(subject, detail));
    one["cka"] = one["distance"] = Json::array();
    const Json distances = subject.value("distance", Json());
    for (const std::string& name : names) {
      const Json& matrix = subject["cka"][name];
      one["cka"].push_back(matrix.is_null() ? Json() : Json(encoded(matrix)));
      const Json distance = member(distances, name.c_str());
      one["distance"].push_back(distance.is_number() ? distance : Json());
    }
  }
  if (shown < document["readings"].size()) notes.push_back("Of CKA this page has the first reading alone.");
  return {{"layers", document["layers"]}, {"readings", std::move(readings)}, {"subjects", std::move(subjects)}};
}

Json drift_values(const Json& values) {
  Json out = picked(values, std::array{"norm_ratio", "relative_difference", "lens_top1_agreement"});
  out["cosine"] = picked(member(values, "cosine"), std::array{"mean", "sd"});
  out["lens_kl"] = picked(member(values, "lens_kl"), std::array{"mean", "se"});
  return out;
}

Json drift_json(const Json& document) {
  Json blocks = Json::array();
  for (const Json& row : document["blocks"]) {
    Json& one = blocks.emplace_back(drift_values(row));
    one["block"] = row["block"];
    one["noise"] = drift_values(member(row, "noise"));
    one["weights"] = picked(member(row, "weights"), kWeightKeys);
  }
  return {{"blocks", std::move(blocks)}};
}

// Rows of matrices or of types; what is no number is null.
Json rotation_rows(const Json& rows) {
  Json out = Json::array();
  for (const Json& row : rows) {
    Json& one = out.emplace_back(picked(row, kRotationKeys));
    for (Json& value : one) {
      if (!value.is_number()) value = nullptr;
    }
    one["layer"] = row.value("layer", Json());
    one["type"] = row["type"];
  }
  return out;
}

// How a pair names its two posts: the last parts of their paths, more of them where those are alike.
std::array<std::string, 2> pair_names(const Json& pair) {
  std::array<std::string, 2> names;
  for (size_t parts = 1; parts <= 3; ++parts) {
    for (size_t i = 0; i < names.size(); ++i) {
      const std::filesystem::path path(pair[i == 0 ? "post" : "other"].get<std::string>());
      const std::filesystem::path normal = path.lexically_normal();
      names[i] = printable(short_name((normal.has_filename() ? normal : normal.parent_path()).string(), parts), 80);
    }
    if (names[0] != names[1]) break;
  }
  return names;
}

Json rotation_json(const Json& document) {
  Json pairs = Json::array();
  for (const Json& pair : document["pairs"]) {
    const auto [post, other] = pair_names(pair);
    pairs.push_back({{"post", post},
                     {"other", other},
                     {"matrices", rotation_rows(pair["matrices"])},
                     {"types", rotation_rows(pair.value("types", Json::array()))}});
  }
  return {{"pairs", std::move(pairs)}};
}

Json claims_json(const Json& document, const ProbeDetail& detail) {
  Json posts = Json::array();
  for (const Json& post : document["posts"]) {
    Json claims = Json::array();
    for (const Json& claim : post["claims"]) {
      Json& one = claims.emplace_back(Json::object());
      for (const char* key : {"id", "where", "verdict"}) one[key] = text_of(claim, key, kLongestName);
      for (const char* key : {"claim", "evidence", "figure", "control", "why"}) {
        one[key] = text_of(claim, key, 2 * detail.text);
      }
    }
    posts.push_back({{"post", text_of(post, "post", kLongestName)}, {"claims", std::move(claims)}});
  }
  return {{"posts", std::move(posts)}};
}

Json questions_json(const Json& document, const ProbeDetail& detail) {
  Json out = Json::array();
  for (const Json& question : document.value("questions", Json::array())) {
    out.push_back({{"task", text_of(question, "task", kLongestName)},
                   {"id", text_of(question, "id", kLongestName)},
                   {"text", text_of(question, "text", detail.text)},
                   {"tokens", member(question, "tokens")}});
  }
  return out;
}

// What the program itself says of the numbers.
Json sentences_json(const Json& document, const ProbeDetail& detail) {
  Json out = Json::array();
  for (const char* key : {"sentences", "words"}) {
    for (const Json& sentence : document.value(key, Json::array())) {
      out.push_back(beginning(sentence.get<std::string>(), 2 * detail.text));
    }
  }
  return out;
}

// What was run: models, tasks, and options that are no lists.
Json asked_json(const Json& document, const ProbeDetail& detail) {
  Json models = Json::array(), tasks = Json::array(), options = Json::object();
  for (const Json& model : document["models"]) {
    models.push_back({{"role", text_of(model, "role", kLongestName)},
                      {"name", evaluation_name({{"models", {{{"role", "model"}, {"path", model["path"]}}}}})}});
  }
  for (const Json& task : document.value("tasks", Json::array())) {
    tasks.push_back({{"name", text_of(task, "name", kLongestName)}, {"system", text_of(task, "system", detail.text)}});
  }
  const Json all = document.value("options", Json::object());
  for (const auto& [key, value] : all.items()) {
    if (!all.is_object() || value.is_structured() || options.size() == kMostOptions) continue;
    options[beginning(key, kLongestName)] =
        value.is_string() ? Json(beginning(value.get<std::string>(), detail.text)) : trimmed(value);
  }
  return {{"models", models}, {"tasks", tasks}, {"options", options}};
}

Json documents_json(const ProbeInput& input, const ProbeDetail& detail) {
  Json json = Json::object(), notes = Json::array();
  for (const char* kind : kProbeKinds) {
    const auto it = input.documents.find(kind);
    json[kind] = nullptr;
    if (it == input.documents.end()) continue;
    const Json& document = it->second;
    Json& one = json[kind];
    const std::string name = kind;
    one = name == "attention" ? attention_json(input, document, detail, notes)
          : name == "cka"     ? cka_json(document, detail, notes)
          : name == "drift"   ? drift_json(document)
          : name == "claims"  ? claims_json(document, detail)
                              : rotation_json(document);
    one["name"] = evaluation_name(document);
    one["questions"] = questions_json(document, detail);
    one["sentences"] = sentences_json(document, detail);
    one["asked"] = asked_json(document, detail);
  }
  json["notes"] = std::move(notes);
  return json;
}

}  // namespace

Json probes_data(const ProbeInput& input, int64_t result, size_t budget) {
  const auto attention = input.documents.find("attention");
  const bool has_maps = attention != input.documents.end() && !input.maps.empty();
  const Json maps = has_maps ? attention->second.value("maps", Json::array()) : Json::array();
  const Json gyro = member(input.documents.begin()->second, "gyro");
  for (const ProbeDetail& detail : kDetails) {
    if (map_bytes(maps, detail) > static_cast<double>(budget)) continue;
    Json json = {{"result", result < 0 ? Json() : Json(result)},
                 {"name", evaluation_name({{"models", probed_models(input)}})},
                 {"folder", printable(folder_name(input.folder), 80)},
                 {"version", member(gyro, "version")}};
    json.update(documents_json(input, detail));
    if (script_bytes(json) <= budget) return json;
  }
  throw ReportTooLarge("report", fmt::format("the probes of {} have too much for one page", printable(input.folder)));
}

}  // namespace gyro
