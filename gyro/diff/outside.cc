#include "gyro/diff/outside.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <tuple>

#include "gyro/arch/inventory.h"
#include "gyro/base/error.h"
#include "gyro/diff/outside_compare.h"
#include "gyro/diff/outside_words.h"
#include "gyro/diff/tokens.h"

namespace gyro {
namespace {

constexpr size_t kMostNames = 8;
constexpr size_t kMostTensors = 512;  // that are told one by one
constexpr std::string_view kHead = "lm_head.weight";
constexpr std::array kKinds = {OutsideKind::Embeddings, OutsideKind::Head, OutsideKind::Norms, OutsideKind::Biases,
                               OutsideKind::Other};

// What stands before a model's layers: "model." of "model.layers.0.self_attn.q_proj.weight".
std::string root_of(const ModelMap& map) {
  if (map.sites.empty()) return "";
  const MatrixSite& site = map.sites.front();
  const size_t at = site.tensor.find(fmt::format(".{}.", site.layer));
  if (at == std::string::npos) return "";
  const size_t dot = site.tensor.rfind('.', at - 1);
  return dot == std::string::npos || at == 0 ? "" : site.tensor.substr(0, dot + 1);
}

bool has(std::string_view name, std::string_view part) {
  return name.find(part) != std::string_view::npos;
}

OutsideKind kind_of(const std::string& place, bool inside) {
  if (is_head_name(place)) return OutsideKind::Head;
  if (!inside) return OutsideKind::Other;
  if (has(place, "norm") || has(place, "ln_")) return OutsideKind::Norms;
  if (place.ends_with(".bias") || place.ends_with("_bias")) return OutsideKind::Biases;
  const bool of_layer = has(place, ".0.") || place.find_first_of("0123456789") != std::string::npos;
  if (!of_layer && (is_embeddings_name(place) || has(place, "embed") || has(place, "wte") || has(place, "wpe")))
    return OutsideKind::Embeddings;
  return OutsideKind::Other;
}

// The token embeddings' name: ChatGLM's do not stand where its layers do. A tower beside the model has its own.
std::string embeddings_of(const TensorSource& model, const std::string& root) {
  const auto rank = [&](const std::string& name) { return std::pair(!name.starts_with(root), name.size()); };
  std::string best;
  for (const auto& [name, tensor] : model.tensors()) {
    if (is_embeddings_name(name) && (best.empty() || rank(name) < rank(best))) best = name;
  }
  return best;
}

// What follows from config.json: rotary frequencies, and GPT-2's and its kin's masks, which are called biases.
bool is_buffer(std::string_view name, const SourceTensor& tensor) {
  if (name.ends_with("inv_freq") || name.ends_with(".masked_bias")) return true;
  const bool in_attention = name.ends_with("attn.bias") || name.ends_with("attention.bias");
  return in_attention && (tensor.shape.size() != 1 || !dtype_is_float(tensor.dtype));
}

OutsidePair placed(const std::string& name, const std::string& root, const std::string& embeddings) {
  OutsidePair pair;
  pair.inside = name.starts_with(root) || name == embeddings;
  pair.place = is_head_name(name) ? std::string(kHead) : name.starts_with(root) ? name.substr(root.size()) : name;
  pair.kind = kind_of(pair.place, pair.inside);
  if (pair.kind == OutsideKind::Head) pair.inside = true;
  return pair;
}

using ByPlace = std::map<std::string, OutsidePair>;

void add_names(const TensorSource& model, const ModelMap& map, const std::set<std::string_view>& held,
               std::string OutsidePair::*side, ByPlace& places) {
  const std::string root = root_of(map), embeddings = embeddings_of(model, root);
  for (const auto& [name, tensor] : model.tensors()) {
    if (held.contains(name) || model.is_fp8_scale(name) || is_buffer(name, tensor)) continue;
    const OutsidePair pair = placed(name, root, embeddings);
    places.try_emplace(pair.place, pair).first->second.*side = name;
  }
}

// The head of a model that has none of its own: its embeddings, if it has such.
HeadKind complete_head(const TensorSource& model, std::string OutsidePair::*side, const OutsidePair* embeddings,
                       OutsidePair& head) {
  if (!(head.*side).empty()) return HeadKind::Own;
  if (embeddings == nullptr || (embeddings->*side).empty()) return HeadKind::None;
  head.*side = embeddings->*side;
  return is_tied(model) ? HeadKind::Tied : HeadKind::Missing;
}

std::vector<OutsideGroup> groups_of(const OutsidePairs& outside, const std::vector<ComparedPair>& all) {
  std::map<OutsideKind, OutsideGroup> groups;
  std::map<OutsideKind, ValueSums> totals;
  for (const OutsidePair& pair : outside.pairs) {
    OutsideGroup& group = groups[pair.kind];
    group.kind = pair.kind;
    group.missing += pair.post.empty() ? 1 : 0;
    group.added += pair.base.empty() ? 1 : 0;
  }
  for (const ComparedPair& one : all) {
    OutsideGroup& group = groups[one.pair->kind];
    if (one.form == OutsideForm::Shapes) {
      ++group.reshaped;
      continue;
    }
    ++group.tensors;
    group.changed += one.sums.differs() ? 1 : 0;
    const bool defined = one.sums.defined();
    group.defined = group.defined.value_or(0) + (defined ? 1 : 0);
    totals[group.kind].add(defined ? one.sums : ValueSums{.values = one.sums.values, .equal = one.sums.equal});
  }
  std::vector<OutsideGroup> out;
  for (const OutsideKind kind : kKinds) {
    if (!groups.contains(kind)) continue;
    const ValueSums& total = totals[kind];
    groups[kind].relative_change = total.relative_change();
    groups[kind].cosine = total.cosine();
    groups[kind].unchanged = total.unchanged();
    out.push_back(groups[kind]);
  }
  return out;
}

// The 3 of "layers.3.input_layernorm.weight".
std::optional<int64_t> layer_of(const OutsidePair& pair) {
  if (!pair.inside) return std::nullopt;
  for (size_t at = 0; at < pair.place.size();) {
    const size_t end = std::min(pair.place.find('.', at), pair.place.size());
    int64_t layer = 0;
    const auto [behind, error] = std::from_chars(pair.place.data() + at, pair.place.data() + end, layer);
    if (error == std::errc() && behind == pair.place.data() + end && layer >= 0) return layer;
    at = end + 1;
  }
  return std::nullopt;
}

// What was zero, which has changed by more than any share of it, comes first; what is not finite last.
void add_tensors(const std::vector<ComparedPair>& all, Outside& out) {
  std::vector<std::pair<double, const ComparedPair*>> changed;
  for (const ComparedPair& one : all) {
    const double ratio = one.sums.change / one.sums.base;
    if (one.form != OutsideForm::Shapes && one.sums.differs())
      changed.emplace_back(std::isnan(ratio) ? -1 : ratio, &one);
  }
  std::stable_sort(changed.begin(), changed.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  out.tensors.emplace();
  for (size_t i = 0; i < std::min(kMostTensors, changed.size()); ++i) {
    const ComparedPair& one = *changed[i].second;
    out.tensors->push_back({.place = one.pair->place,
                            .kind = one.pair->kind,
                            .layer = layer_of(*one.pair),
                            .relative_change = one.sums.relative_change(),
                            .cosine = one.sums.cosine(),
                            .unchanged = one.sums.unchanged()});
  }
  out.tensors_left_out = std::ssize(changed) - std::ssize(*out.tensors);
}

// The shapes of those that do not compare, and the values that are no numbers.
void add_oddities(const TensorSource& base, const TensorSource& post, const std::vector<ComparedPair>& all,
                  Outside& out) {
  for (const ComparedPair& one : all) {
    const OutsidePair& pair = *one.pair;
    if (one.form == OutsideForm::Shapes && out.reshaped.size() < kMostNames)
      out.reshaped.push_back(fmt::format("{} ([{}] → [{}])", printable(pair.place, 80),
                                         fmt::join(base.find(pair.base)->shape, ", "),
                                         fmt::join(post.find(pair.post)->shape, ", ")));
    if (one.sums.base_odd > 0) out.odd.push_back({pair.base, true, one.sums.base_odd});
    if (one.sums.post_odd > 0) out.odd.push_back({pair.post, false, one.sums.post_odd});
  }
}

// Where neither model has a head beside its embeddings, those are the head's tokens too.
void add_tokens(const TensorSource& base, const TensorSource& post, const std::vector<ComparedPair>& all,
                Outside& out) {
  out.tokens.emplace();
  bool has_head = false;
  for (const ComparedPair& one : all) {
    has_head = has_head || one.pair->kind == OutsideKind::Head;
    if (!one.tokens.empty()) out.tokens->push_back(token_rows(one.pair->kind, one.tokens));
  }
  for (TokenRows& rows : *out.tokens)
    rows.tied = rows.kind == OutsideKind::Embeddings && !has_head && is_tied(base) && is_tied(post);
}

}  // namespace

OutsidePairs pair_outside(const TensorSource& base, const ModelMap& base_map, const TensorSource& post,
                          const ModelMap& post_map, const std::vector<MatrixSite>& held) {
  std::set<std::string_view> in_base, in_post;
  for (const MatrixSite& site : held) {
    in_base.insert(site.tensor);
    in_post.insert(same_site(post_map, site).tensor);
  }
  ByPlace places;
  add_names(base, base_map, in_base, &OutsidePair::base, places);
  add_names(post, post_map, in_post, &OutsidePair::post, places);
  OutsidePairs out;
  const auto embeddings = std::find_if(places.begin(), places.end(), [](const auto& place) {
    return place.second.kind == OutsideKind::Embeddings && is_by_token(place.second);
  });
  const OutsidePair* tied = embeddings == places.end() ? nullptr : &embeddings->second;
  for (auto& [place, pair] : places) {
    if (pair.kind != OutsideKind::Head) continue;
    out.base_head = complete_head(base, &OutsidePair::base, tied, pair);
    out.post_head = complete_head(post, &OutsidePair::post, tied, pair);
  }
  for (auto& [place, pair] : places) out.pairs.push_back(std::move(pair));
  if (out.base_head == HeadKind::None && out.post_head == HeadKind::None && tied != nullptr) {  // no pair is a head's
    const HeadKind of_base = is_tied(base) ? HeadKind::Tied : HeadKind::Missing,
                   of_post = is_tied(post) ? HeadKind::Tied : HeadKind::Missing;
    if (of_base != of_post) std::tie(out.base_head, out.post_head) = std::pair(of_base, of_post);
  }
  return out;
}

std::string outside_warning(const OutsidePairs& outside) {
  std::vector<std::string> missing, added;
  for (const OutsidePair& pair : outside.pairs) {
    if (!pair.inside) continue;
    if (pair.post.empty() || (pair.kind == OutsideKind::Head && outside.post_head == HeadKind::Missing))
      missing.push_back(pair.place);
    if (pair.base.empty() || (pair.kind == OutsideKind::Head && outside.base_head == HeadKind::Missing))
      added.push_back(pair.place);
  }
  std::string text = lacking_words(missing, added);
  if (outside.base_head == HeadKind::Tied && outside.post_head == HeadKind::Missing)
    text += fmt::format("{}has no {}, and its config.json does not tie the head to the embeddings, as the base's does",
                        text.empty() ? "" : "; ", kHead);
  if (outside.base_head == HeadKind::Missing && outside.post_head == HeadKind::Tied)
    text += fmt::format("{}ties the head to its embeddings; the base's config.json does not, and it has no {}",
                        text.empty() ? "" : "; ", kHead);
  return text;
}

std::optional<Outside> measure_outside(const TensorSource& base, const TensorSource& post, const OutsidePairs& outside,
                                       int threads, const std::function<bool()>& stop) {
  const auto all = compare_pairs(base, post, outside, threads, stop);
  if (!all) return std::nullopt;
  Outside out{.groups = groups_of(outside, *all), .base_head = outside.base_head, .post_head = outside.post_head};
  for (const ComparedPair& one : *all) {
    const bool of_tokens = one.pair->kind == OutsideKind::Embeddings && is_by_token(*one.pair);
    if (of_tokens && one.form == OutsideForm::Floats && one.base_rows != one.post_rows)
      out.vocabulary = {one.base_rows, one.post_rows, one.rows};
  }
  for (const OutsidePair& pair : outside.pairs) {
    if (pair.post.empty() && out.missing.size() < kMostNames) out.missing.push_back(pair.place);
    if (pair.base.empty() && out.added.size() < kMostNames) out.added.push_back(pair.place);
  }
  add_tensors(*all, out);
  add_tokens(base, post, *all, out);
  add_oddities(base, post, *all, out);
  out.text = outside_words(out);
  return out;
}

std::vector<std::string> differing(const TensorSource& base, const TensorSource& post, const OutsidePairs& outside,
                                   int threads) {
  const auto all = compare_pairs(base, post, outside, threads, nullptr);
  std::vector<std::string> names;
  for (const ComparedPair& one : *all) {
    if (one.sums.differs() || one.base_rows != one.post_rows) names.push_back(one.pair->post);
  }
  for (const OutsidePair& pair : outside.pairs) {
    if (pair.base.empty() != pair.post.empty()) names.push_back(pair.post.empty() ? pair.base : pair.post);
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace gyro
