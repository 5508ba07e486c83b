#include "gyro/diff/outside.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "gyro/arch/inventory.h"
#include "gyro/base/error.h"
#include "gyro/base/parallel.h"
#include "gyro/diff/outside_words.h"

namespace gyro {
namespace {

constexpr int64_t kPieceValues = int64_t{1} << 22;  // of one job
constexpr int64_t kPanelValues = int64_t{1} << 16;  // in FP64 at once
constexpr size_t kMostNames = 8;
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

// Rows [begin, end) of a tensor, in whatever dimensions, as a weight.
Weight rows_of(const TensorSource& model, const std::string& name, int64_t begin, int64_t end) {
  const SourceTensor& tensor = *model.find(name);
  if (tensor.shape.size() == 2) {
    MatrixSite site;
    site.tensor = name;
    site.row_begin = begin;
    site.row_end = end;
    site.d_in = tensor.shape[1];
    site.d_out = end - begin;
    return load_weight(model, site);
  }
  const TensorLease lease = model.read_rows(name, begin, end);
  const auto cols = static_cast<int64_t>(tensor.row_bytes() / dtype_size(tensor.dtype));
  return {.name = name,
          .dtype = tensor.dtype,
          .data = lease.bytes.data(),
          .rows = end - begin,
          .cols = cols,
          .scale = {},
          .owner = lease.owner};
}

struct Sums {
  double change = 0, base = 0;  // Σ (post − base)², Σ base²
  bool differs = false;

  void add(const Sums& other) {
    change += other.change;
    base += other.base;
    differs = differs || other.differs;
  }
};

Sums compare_rows(const Weight& base, const Weight& post) {
  Sums sums;
  const int64_t cols = base.cols, panel = std::max<int64_t>(1, kPanelValues / std::max<int64_t>(1, cols));
  const auto room = static_cast<size_t>(std::min(panel, base.rows) * cols);
  std::vector<double> a(room), b(room);
  for (int64_t row = 0; row < base.rows; row += panel) {
    const int64_t end = std::min(row + panel, base.rows);
    widen(base, row, end, 0, cols, a.data(), cols);
    widen(post, row, end, 0, cols, b.data(), cols);
    Sums part;
    for (size_t i = 0; i < static_cast<size_t>((end - row) * cols); ++i) {
      const bool same = a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]));
      if (same && !std::isfinite(a[i])) continue;  // of a mask: no part of any norm
      const double change = b[i] - a[i];
      part.change += change * change;
      part.base += a[i] * a[i];
      part.differs = part.differs || !same;
    }
    sums.add(part);
  }
  return sums;
}

// Whether a pair has a row for each token. Positions have not, though they are embeddings too.
bool is_by_token(const OutsidePair& pair) {
  return pair.kind == OutsideKind::Head || (pair.kind == OutsideKind::Embeddings && is_embeddings_name(pair.place));
}

// How two tensors of one place compare.
enum class Form { Floats, Bytes, Shapes };

struct Compared {
  const OutsidePair* pair = nullptr;
  Form form = Form::Floats;
  int64_t rows = 0;  // that both have
  int64_t base_rows = 0, post_rows = 0;
};

Compared compared(const TensorSource& base, const TensorSource& post, const OutsidePair& pair) {
  const SourceTensor &b = *base.find(pair.base), &p = *post.find(pair.post);
  Compared out{&pair, Form::Floats, std::min(b.rows(), p.rows()), b.rows(), p.rows()};
  const auto inner = [](const SourceTensor& tensor) {
    return tensor.shape.empty() ? tensor.shape : std::vector<int64_t>(tensor.shape.begin() + 1, tensor.shape.end());
  };
  const bool fits =
      b.shape.size() == p.shape.size() && inner(b) == inner(p) && (is_by_token(pair) || b.rows() == p.rows());
  if (!fits) {
    out.form = Form::Shapes;
  } else if (!dtype_is_float(b.dtype) || !dtype_is_float(p.dtype)) {
    out.form = Form::Bytes;
  }
  return out;
}

struct Piece {
  size_t pair = 0;
  int64_t begin = 0, end = 0;
};

Sums measure_piece(const TensorSource& base, const TensorSource& post, const Compared& c, const Piece& piece) {
  if (c.form == Form::Shapes) return {kUndefined, kUndefined, true};
  if (c.form == Form::Floats) {
    return compare_rows(rows_of(base, c.pair->base, piece.begin, piece.end),
                        rows_of(post, c.pair->post, piece.begin, piece.end));
  }
  const TensorLease a = base.read(c.pair->base), b = post.read(c.pair->post);
  return {0, 0, !std::equal(a.bytes.begin(), a.bytes.end(), b.bytes.begin(), b.bytes.end())};
}

std::vector<Compared> both_have(const TensorSource& base, const TensorSource& post, const OutsidePairs& outside) {
  std::vector<Compared> out;
  for (const OutsidePair& pair : outside.pairs) {
    if (!pair.base.empty() && !pair.post.empty()) out.push_back(compared(base, post, pair));
  }
  return out;
}

// The sums of each, or nothing if `stop` ended it.
std::optional<std::vector<Sums>> sums_of(const TensorSource& base, const TensorSource& post,
                                         const std::vector<Compared>& all, int threads,
                                         const std::function<bool()>& stop) {
  std::vector<Piece> pieces;
  for (size_t i = 0; i < all.size(); ++i) {
    const SourceTensor& tensor = *base.find(all[i].pair->base);
    const auto cols = static_cast<int64_t>(tensor.row_bytes() / dtype_size(tensor.dtype));
    const int64_t step = all[i].form == Form::Floats ? std::max<int64_t>(1, kPieceValues / std::max<int64_t>(1, cols))
                                                     : std::max<int64_t>(1, all[i].rows);
    for (int64_t row = 0; row < all[i].rows; row += step) pieces.push_back({i, row, std::min(row + step, all[i].rows)});
  }
  std::vector<Sums> parts(pieces.size()), sums(all.size());
  const auto job = [&](int i) {
    const Piece& piece = pieces[static_cast<size_t>(i)];
    parts[static_cast<size_t>(i)] = measure_piece(base, post, all[piece.pair], piece);
  };
  const bool done = checked(
      {&base, &post}, [&] { return parallel_for(static_cast<int>(pieces.size()), std::max(1, threads), job, stop); });
  if (!done) return std::nullopt;
  for (size_t i = 0; i < pieces.size(); ++i) sums[pieces[i].pair].add(parts[i]);
  return sums;
}

std::vector<OutsideGroup> groups_of(const OutsidePairs& outside, const std::vector<Compared>& all,
                                    const std::vector<Sums>& sums) {
  std::map<OutsideKind, OutsideGroup> groups;
  std::map<OutsideKind, Sums> totals;
  for (const OutsidePair& pair : outside.pairs) {
    OutsideGroup& group = groups[pair.kind];
    group.kind = pair.kind;
    group.missing += pair.post.empty() ? 1 : 0;
    group.added += pair.base.empty() ? 1 : 0;
  }
  for (size_t i = 0; i < all.size(); ++i) {
    OutsideGroup& group = groups[all[i].pair->kind];
    if (all[i].form == Form::Shapes) {
      ++group.reshaped;
      continue;
    }
    ++group.tensors;
    group.changed += sums[i].differs ? 1 : 0;
    totals[group.kind].add(sums[i]);
  }
  std::vector<OutsideGroup> out;
  for (const OutsideKind kind : kKinds) {
    if (!groups.contains(kind)) continue;
    const Sums& total = totals[kind];
    const double ratio = std::sqrt(total.change / total.base);
    groups[kind].relative_change = std::isfinite(ratio) ? ratio : kUndefined;
    out.push_back(groups[kind]);
  }
  return out;
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
  return lacking_words(missing, added);
}

std::optional<Outside> measure_outside(const TensorSource& base, const TensorSource& post, const OutsidePairs& outside,
                                       int threads, const std::function<bool()>& stop) {
  const std::vector<Compared> all = both_have(base, post, outside);
  const auto sums = sums_of(base, post, all, threads, stop);
  if (!sums) return std::nullopt;
  Outside out{.groups = groups_of(outside, all, *sums),
              .vocabulary = std::nullopt,
              .base_head = outside.base_head,
              .post_head = outside.post_head};
  for (const Compared& one : all) {
    const bool of_tokens = one.pair->kind == OutsideKind::Embeddings && is_by_token(*one.pair);
    if (of_tokens && one.form == Form::Floats && one.base_rows != one.post_rows)
      out.vocabulary = {one.base_rows, one.post_rows, one.rows};
  }
  for (const OutsidePair& pair : outside.pairs) {
    if (pair.post.empty() && out.missing.size() < kMostNames) out.missing.push_back(pair.place);
    if (pair.base.empty() && out.added.size() < kMostNames) out.added.push_back(pair.place);
  }
  out.text = outside_words(out);
  return out;
}

std::vector<std::string> differing(const TensorSource& base, const TensorSource& post, const OutsidePairs& outside,
                                   int threads) {
  const std::vector<Compared> all = both_have(base, post, outside);
  const auto sums = sums_of(base, post, all, threads, nullptr);
  std::vector<std::string> names;
  for (size_t i = 0; i < all.size(); ++i) {
    const bool copied = all[i].pair->kind == OutsideKind::Head && outside.base_head == outside.post_head;
    const bool longer = all[i].base_rows != all[i].post_rows;
    if ((*sums)[i].differs || longer || (copied && all[i].form == Form::Shapes)) names.push_back(all[i].pair->post);
  }
  for (const OutsidePair& pair : outside.pairs) {
    if (pair.base.empty() != pair.post.empty()) names.push_back(pair.post.empty() ? pair.base : pair.post);
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace gyro
