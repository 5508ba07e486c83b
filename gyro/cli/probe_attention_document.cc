#include <fmt/format.h>

#include <cmath>

#include "gyro/cli/probe_attention.h"

namespace gyro {
namespace {

using Json = nlohmann::ordered_json;

// [question][block] of what `value` makes of a block's entropies; null for blocks that the subject does not have.
template <typename Value>
Json by_block(const AttentionSubject& subject, size_t blocks, const Value& value) {
  Json out = Json::array();
  for (const std::vector<BlockEntropy>& question : subject.entropies) {
    Json row = Json::array();
    for (size_t i = 0; i < blocks; ++i) row.push_back(i < question.size() ? Json(value(question[i])) : Json());
    out.push_back(row);
  }
  return out;
}

// [question][block].
Json log_keys(const AttentionSubject& subject) {
  Json out = Json::array();
  for (const std::vector<int64_t>& question : subject.keys) {
    Json& row = out.emplace_back(Json::array());
    for (const int64_t keys : question) row.push_back(std::log(static_cast<double>(keys)));
  }
  return out;
}

Json subject_json(const AttentionSubject& subject, size_t blocks) {
  Json out = {
      {"name", subject.subject.name}, {"kind", subject.subject.kind}, {"description", subject.subject.description}};
  if (subject.subject.kind == "model") {
    out["layers"] = subject.layers;
    out["heads"] = subject.heads;
    out["tokens"] = subject.tokens;
    out["log_keys"] = log_keys(subject);
  }
  if (!subject.why_not.empty()) out["not_compared"] = subject.why_not;
  out["entropy"] = by_block(subject, blocks, [](const BlockEntropy& entropy) { return entropy.heads; });
  out["entropy_mean"] = by_block(subject, blocks, [](const BlockEntropy& entropy) { return entropy.mean; });
  out["entropy_of_mean"] = by_block(subject, blocks, [](const BlockEntropy& entropy) { return entropy.of_mean; });
  return out;
}

Json alpha_json(const AttentionProbe& probe) {
  Json out = Json::array();
  for (const ExpectedTemperature& of : probe.expected) {
    out.push_back({{"block", of.block},
                   {"alpha_q", of.alpha_q},
                   {"alpha_k", of.alpha_k},
                   {"expected", of.expected},
                   {"why", of.why.empty() ? Json() : Json(of.why)}});
  }
  return out;
}

Json comparison_json(const AttentionProbe& probe, const AttentionSubject& subject) {
  Json blocks = Json::array(), heads = Json::array();
  for (size_t i = 0; i < subject.fits.size(); ++i) {
    const TemperatureFit& fit = subject.fits[i].all;
    blocks.push_back({{"block", probe.blocks[i]},
                      {"temperature", fit.temperature},
                      {"temperature_se", fit.temperature_se},
                      {"kl", fit.kl},
                      {"kl_fitted", fit.kl_fitted},
                      {"explained", fit.explained},
                      {"kl_expected", fit.kl_expected},
                      {"underflows", fit.underflows},
                      {"entropy_difference", entropy_difference(probe, subject, i)}});
    Json& row = heads.emplace_back(Json::array());
    for (const TemperatureFit& head : subject.fits[i].heads) {
      row.push_back({{"temperature", head.temperature}, {"explained", head.explained}, {"kl", head.kl}});
    }
  }
  return {{"subject", subject.subject.name},
          {"reference", probe.original().subject.name},
          {"blocks", blocks},
          {"heads", heads}};
}

Json maps_json(const AttentionProbe& probe) {
  Json out = Json::array();
  for (size_t i = 0; i < probe.maps.size(); ++i) {
    const MapChoice& choice = probe.maps[i];
    Json arrays = Json::object();
    for (const AttentionSubject& subject : probe.subjects) {
      if (!subject.maps.empty()) arrays[subject.subject.name] = map_name(subject, choice);
    }
    Json map = {{"question", 0},
                {"block", choice.block},
                {"head", choice.head == MapChoice::kMeanOfHeads ? Json("mean") : Json(choice.head)},
                {"positions", probe.original().tokens.front()}};
    if (!probe.map_tokens.empty()) map["tokens"] = probe.map_tokens;
    map["arrays"] = arrays;
    out.push_back(map);
  }
  return out;
}

}  // namespace

std::string head_text(const MapChoice& choice) {
  return choice.head == MapChoice::kMeanOfHeads ? "mean" : fmt::format("{}", choice.head);
}

std::string map_name(const AttentionSubject& subject, const MapChoice& choice) {
  return fmt::format("{}.{}.{}", subject.subject.name, choice.block, head_text(choice));
}

Json attention_json(const Json& head, const AttentionProbe& probe) {
  Json out = head;
  out["layers"] = probe.original().layers;
  out["heads"] = probe.original().heads;
  out["blocks"] = probe.blocks;
  out["log_keys"] = log_keys(probe.original());
  Json subjects = Json::array(), comparisons = Json::array();
  for (const AttentionSubject& subject : probe.subjects) {
    subjects.push_back(subject_json(subject, probe.blocks.size()));
    if (!subject.fits.empty()) comparisons.push_back(comparison_json(probe, subject));
  }
  out["subjects"] = subjects;
  out["alpha"] = alpha_json(probe);
  out["comparisons"] = comparisons;
  out["maps"] = maps_json(probe);
  if (!probe.no_maps.empty()) out["no_maps"] = probe.no_maps;
  out["words"] = attention_words(probe);
  return out;
}

}  // namespace gyro
