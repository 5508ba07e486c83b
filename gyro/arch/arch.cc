#include "gyro/arch/arch.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <iterator>
#include <tuple>
#include <utility>

#include "gyro/arch/gather.h"
#include "gyro/arch/scales.h"
#include "gyro/arch/sizes.h"
#include "gyro/arch/table.h"
#include "gyro/base/error.h"
#include "gyro/base/random.h"

namespace gyro {
namespace {

std::string known_types() {
  std::vector<std::string_view> names;
  for (const Architecture& row : architectures()) names.push_back(row.model_type);
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string named(std::string_view tensor) {
  return fmt::format("tensor \"{}\"", printable(tensor));
}

constexpr MatrixType kAttention[] = {MatrixType::Q, MatrixType::K, MatrixType::V, MatrixType::O};

// The tensor whose name starts with `stem` and whose type is an integer: what quantised checkpoints store in place of
// `<stem>weight`.
std::optional<std::string> quantised_tensor(const TensorSource& checkpoint, const std::string& stem) {
  const auto& tensors = checkpoint.tensors();
  for (auto at = tensors.lower_bound(stem); at != tensors.end() && at->first.starts_with(stem); ++at) {
    if (!dtype_is_float(at->second.dtype)) return at->first;
  }
  return std::nullopt;
}

[[noreturn]] void refuse_quantised(const TensorSource& checkpoint, const std::string& tensor) {
  const std::string& method = checkpoint.config().quantization;
  fail(checkpoint.path().string(), "{} holds quantised integers ({}{}{}); Gyro reads floating-point weights",
       named(tensor), dtype_name(checkpoint.find(tensor)->dtype), method.empty() ? "" : ", ", printable(method, 40));
}

// What the names of a module's tensors start with: "model.layers.0.mlp.up_proj.", or ".experts.down_proj".
std::string stem_of(const std::string& tensor) {
  constexpr std::string_view kEnding = "weight";
  return tensor.ends_with(kEnding) ? tensor.substr(0, tensor.size() - kEnding.size()) : tensor;
}

// A model in the course of being mapped.
struct Mapping {
  const TensorSource& checkpoint;
  const Architecture& architecture;
  ModelSizes sizes;
  std::string prefix;  // of its layers' names
};

// Checks that `name` is there, of a type that can be read, and shaped as config.json says.
void check_tensor(const Mapping& model, const std::string& name, const std::vector<int64_t>& expected,
                  bool transposed) {
  const TensorSource& checkpoint = model.checkpoint;
  const SourceTensor* entry = checkpoint.find(name);
  if (entry == nullptr) {
    if (const auto quantised = quantised_tensor(checkpoint, stem_of(name))) refuse_quantised(checkpoint, *quantised);
    fail(checkpoint.path().string(), "has no {}", named(name));
  }
  if (!dtype_is_float(entry->dtype)) refuse_quantised(checkpoint, name);
  if (std::find(expected.begin(), expected.end(), 0) != expected.end()) {
    fail((checkpoint.path() / "config.json").string(),
         "does not say, there or under any of {}, how many heads {} has, nor does another tensor's shape",
         fmt::join(language_section_names(), ", "), named(name));
  }
  if (entry->shape != expected) {
    fail(checkpoint.path().string(), "{} has the shape [{}] where config.json{} means [{}]", named(name),
         fmt::join(entry->shape, ", "), model.sizes.from_shapes ? " with what it leaves to other tensors" : "",
         fmt::join(expected, ", "));
  }
  if (!find_scales(checkpoint, name, *entry).tensor.empty() && transposed) {
    fail(checkpoint.path().string(), "{} has FP8 scales and W's rows as columns; they are read of rows only",
         named(name));
  }
}

// A tensor of the first layer that is an expert's, or nothing.
std::optional<std::string> tensor_of_expert(const TensorSource& checkpoint, const std::string& layer_prefix) {
  const auto& tensors = checkpoint.tensors();
  for (auto at = tensors.lower_bound(layer_prefix); at != tensors.end() && at->first.starts_with(layer_prefix); ++at) {
    if (at->first.find(".experts.") != std::string::npos) return at->first;
  }
  return std::nullopt;
}

bool wanted(const std::vector<MatrixType>& types, MatrixType type) {
  return types.empty() || std::find(types.begin(), types.end(), type) != types.end();
}

// An unknown model type passes when the first layer has what of Llama's is asked for.
void check_named_as_llama(const TensorSource& checkpoint, const std::string& layer_prefix,
                          const std::vector<MatrixType>& types) {
  const auto there = [&](const TensorRow& row) {
    const std::string name = layer_prefix + std::string(row.name);
    return checkpoint.find(name) != nullptr || quantised_tensor(checkpoint, stem_of(name)).has_value();
  };
  const std::vector<TensorRow>& rows = llama_rows();
  const auto missing = std::find_if(rows.begin(), rows.end(),
                                    [&](const TensorRow& row) { return wanted(types, row.type) && !there(row); });
  if (missing == rows.end()) return;
  std::string more;
  const bool attention = std::all_of(rows.begin(), rows.end(), [&](const TensorRow& row) {
    return std::find(std::begin(kAttention), std::end(kAttention), row.type) == std::end(kAttention) || there(row);
  });
  if (const auto expert = tensor_of_expert(checkpoint, layer_prefix)) {
    more = fmt::format("; it is a mixture of experts ({})", named(*expert));
  }
  if (attention) more += "; its attention alone can be compared, by the types W_Q,W_K,W_V,W_O";
  fail(checkpoint.path().string(), "has the unknown model_type \"{}\", and no {} as Llama would{}; known: {}",
       printable(checkpoint.config().model_type, 40), named(layer_prefix + std::string(missing->name)), more,
       known_types());
}

// One of a model's layers: what its MLP is, and what its matrices' shapes are made of.
struct Layer {
  int64_t number = 0;
  bool experts = false;
  const Extents& extents;
};

Layer layer_of(const Mapping& model, int64_t number) {
  const bool experts = model.architecture.has_experts(model.sizes.config, number);
  return {number, experts, experts ? model.sizes.expert : model.sizes.dense};
}

// Whether the layer may do without it, or has another in its place.
bool is_optional(const Mapping& model, const Layer& layer, MatrixType type) {
  switch (type) {
    case MatrixType::Q:
      return model.sizes.low_rank_q;
    case MatrixType::DQ:
    case MatrixType::UQ:
      return !model.sizes.low_rank_q;
    case MatrixType::Router:
      return true;
    case MatrixType::SharedGate:
    case MatrixType::SharedUp:
    case MatrixType::SharedDown:
      return !layer.experts || !model.sizes.shared_told;
    default:
      return type_is_fused(type);
  }
}

// The row by which the layer stores that type: as a tensor of its own, or a part of a fused one. Null for a type that
// the layer does not store and may do without. The first that is possible where there is none.
const TensorRow* find_row(const Mapping& model, const Layer& layer, MatrixType type) {
  const bool experts = layer.experts && type_is_mlp(type);
  const TensorRow *present = nullptr, *possible = nullptr;
  const auto name = [&](const TensorRow& row) { return row_tensor(model.prefix, row, layer.number, 0); };
  for (const TensorRow& row : model.architecture.rows) {
    const bool part = std::find(row.parts.begin(), row.parts.end(), type) != row.parts.end();
    if ((row.type != type && !part) || is_of_experts(row.layout) != experts) continue;
    if (possible == nullptr) possible = &row;
    if (model.checkpoint.find(name(row)) == nullptr) continue;
    if (present != nullptr) {
      fail(model.checkpoint.path().string(), "has both {} and {}", named(name(row)), named(name(*present)));
    }
    present = &row;
  }
  return present != nullptr || is_optional(model, layer, type) ? present : possible;
}

// The site of a matrix that is stored by `row`, without what is of its expert. `before`: rows of W's in the fused
// tensor that come before it.
MatrixSite site_of(const TensorRow& row, MatrixType type, Shape shape, int64_t before) {
  MatrixSite site;
  site.type = type;
  site.row_begin = before;
  site.row_end = before + shape.rows;
  site.d_in = shape.cols;
  site.d_out = shape.rows;
  site.sliced = row.type != type || is_stacked(row.layout);
  if (!is_transposed(row.layout)) return site;
  site.transposed = true;
  site.row_begin = 0;
  site.row_end = shape.cols;
  const bool in_turns = row.layout == Layout::ExpertsInTurns && row.type != type;
  site.col_step = in_turns ? std::ssize(row.parts) : 1;
  site.col_begin = in_turns ? std::find(row.parts.begin(), row.parts.end(), type) - row.parts.begin() : before;
  return site;
}

// Spreads a part of a tensor in groups over them.
void spread(const ModelConfig& config, const Shape& whole, MatrixSite& site) {
  const int64_t groups = config.num_key_value_heads;
  if (groups <= 1) return;
  site.block = site.d_out / groups;
  site.block_step = whole.rows / groups;
  site.row_begin /= groups;
  site.row_end = site.row_begin + (groups - 1) * site.block_step + site.block;
}

// The matrices of that type in a layer: one, or one for each expert.
void add_sites(const Mapping& model, const Layer& layer, MatrixType type, std::vector<MatrixSite>& sites) {
  const bool experts = layer.experts && type_is_mlp(type);
  if (experts && type_is_fused(type)) return;
  const TensorRow* row = find_row(model, layer, type);
  if (row == nullptr) return;
  const auto shape = [&](MatrixType of) { return shape_of(layer.extents, of); };
  int64_t before = 0;
  for (const MatrixType part : row->parts) {
    if (part == type) break;
    if (row->type != type) before += shape(part).rows;
  }
  const Shape whole = shape(row->type);
  MatrixSite site = site_of(*row, type, shape(type), before);
  if (row->layout == Layout::Groups && site.sliced) spread(model.sizes.config, whole, site);
  site.layer = layer.number;
  const int64_t count = experts ? layer.extents.experts : 1;
  const int64_t rows = site.transposed ? whole.cols : whole.rows, cols = site.transposed ? whole.rows : whole.cols;
  const bool stacked = is_stacked(row->layout);
  for (int64_t expert = 0; expert < std::max<int64_t>(count, 1); ++expert) {  // of none at least the first is missed
    site.tensor = row_tensor(model.prefix, *row, layer.number, expert);
    if (!stacked || expert == 0) {
      if (count == 0 && model.checkpoint.find(site.tensor) != nullptr) {
        fail((model.checkpoint.path() / "config.json").string(), "does not say how many experts {} is of",
             named(site.tensor));
      }
      check_tensor(model, site.tensor, stacked ? std::vector{count, rows, cols} : std::vector{rows, cols},
                   site.transposed);
    }
    if (experts) site.expert = expert;
    sites.push_back(site);
    if (!stacked) continue;
    site.row_begin += rows;
    site.row_end += rows;
  }
}

std::string describe(const MatrixSite& site) {
  const std::string expert = site.expert < 0 ? "" : fmt::format(", expert {}", site.expert);
  return fmt::format("{} of layer {}{} ({} x {})", type_name(site.type), site.layer, expert, site.d_out, site.d_in);
}

}  // namespace

std::string_view type_name(MatrixType type) {
  constexpr std::array<std::string_view, kAllMatrixTypes.size()> kNames = {
      "W_Q",  "W_K",  "W_V",   "W_O",   "W_gate",   "W_up",          "W_down",      "W_QKV",        "W_gate_up",
      "W_DQ", "W_UQ", "W_DKV", "W_UKV", "W_router", "W_shared_gate", "W_shared_up", "W_shared_down"};
  return kNames[static_cast<size_t>(type)];
}

std::optional<MatrixType> type_from_name(std::string_view name) {
  const auto lower = [](std::string_view text) {
    std::string out(text);
    for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return out;
  };
  std::string wanted = lower(name);
  if (wanted.ends_with("_proj")) wanted.resize(wanted.size() - 5);
  if (!wanted.starts_with("w_")) wanted = "w_" + wanted;
  for (const MatrixType type : kAllMatrixTypes) {
    if (lower(type_name(type)) == wanted) return type;
  }
  return std::nullopt;
}

bool type_is_fused(MatrixType type) {
  return type == MatrixType::QKV || type == MatrixType::GateUp;
}

bool type_is_mlp(MatrixType type) {
  return type == MatrixType::Gate || type == MatrixType::Up || type == MatrixType::Down || type == MatrixType::GateUp;
}

bool type_is_attention(MatrixType type) {
  using enum MatrixType;
  constexpr MatrixType kOfAttention[] = {Q, K, V, O, QKV, DQ, UQ, DKV, UKV};
  return std::find(std::begin(kOfAttention), std::end(kOfAttention), type) != std::end(kOfAttention);
}

bool type_counts(MatrixType type) {
  return !type_is_fused(type) && type != MatrixType::Router;
}

namespace {

ModelMap map_matrices(const TensorSource& checkpoint, const std::vector<MatrixType>& types) {
  const std::string folder = checkpoint.path().string();
  const Architecture& row = architecture_of(checkpoint.config());
  const std::optional<std::string> prefix = layers_prefix(checkpoint, row);
  const bool unknown = row.model_type.empty();
  if (!prefix) {
    const std::string there = numbered_prefixes(checkpoint);
    fail(folder, "has the model_type \"{}\"{}, and no tensor of a layer 0 under any of {}{}",
         printable(checkpoint.config().model_type, 40), unknown ? fmt::format(" (known: {})", known_types()) : "",
         layers_prefixes(row), there.empty() ? "" : fmt::format("; the layers it has are under {}", there));
  }
  ModelMap map;
  if (unknown) {
    check_named_as_llama(checkpoint, *prefix + "0.", types);
    map.warnings.push_back(fmt::format("{}: unknown model_type \"{}\", read as llama", folder,
                                       printable(checkpoint.config().model_type, 40)));
  }
  const Mapping model = {checkpoint, row, known_sizes(checkpoint), *prefix};
  const int64_t layers = model.sizes.config.num_hidden_layers;
  for (int64_t layer = 0; layer < layers; ++layer) {
    for (const MatrixType type : kAllMatrixTypes) {
      if (wanted(types, type)) add_sites(model, layer_of(model, layer), type, map.sites);
    }
  }
  const std::string beyond = fmt::format("{}{}.", *prefix, layers);
  const auto at = checkpoint.tensors().lower_bound(beyond);
  if (at != checkpoint.tensors().end() && at->first.starts_with(beyond)) {
    map.warnings.push_back(
        fmt::format("{}: {} is beyond the {} layers of config.json and left out", folder, named(at->first), layers));
  }
  if (const std::string words = unscaled_words(checkpoint, map.sites); !words.empty())
    map.warnings.push_back(fmt::format("{}: {}", folder, words));
  return map;
}

// The language half's: with and without an image tower it is the same.
std::string_view family(const TensorSource& checkpoint) {
  return language_type(checkpoint.config().model_type);
}

bool has_type(const ModelMap& map, MatrixType type) {
  return std::any_of(map.sites.begin(), map.sites.end(), [&](const MatrixSite& site) { return site.type == type; });
}

// Whether its first layer has a fused tensor, whatever types are asked for.
bool stores_fused(const TensorSource& checkpoint) {
  const Architecture& architecture = architecture_of(checkpoint.config());
  const std::optional<std::string> prefix = layers_prefix(checkpoint, architecture);
  return prefix && std::any_of(architecture.rows.begin(), architecture.rows.end(), [&](const TensorRow& row) {
           return !row.parts.empty() && !is_of_experts(row.layout) &&
                  checkpoint.find(row_tensor(*prefix, row, 0, 0)) != nullptr;
         });
}

std::vector<MatrixSite> without(const ModelMap& map, const std::vector<MatrixType>& types) {
  std::vector<MatrixSite> sites;
  std::copy_if(map.sites.begin(), map.sites.end(), std::back_inserter(sites),
               [&](const MatrixSite& site) { return std::find(types.begin(), types.end(), site.type) == types.end(); });
  return sites;
}

}  // namespace

ModelMap map_model(const TensorSource& checkpoint, const std::vector<MatrixType>& types) {
  std::vector<std::string> odd = checkpoint.all_warnings();
  try {
    ModelMap map = map_matrices(checkpoint, types);
    map.warnings.insert(map.warnings.begin(), odd.begin(), odd.end());
    return map;
  } catch (const Error& error) {  // what was odd about it may be why
    if (odd.empty()) throw;
    const std::string own = checkpoint.path().string() + ": ";  // which the error begins with
    for (std::string& warning : odd) warning.erase(0, warning.starts_with(own) ? own.size() : 0);
    throw Error(error.subject(), fmt::format("{} ({})", error.problem(), fmt::join(odd, "; ")), error.cause());
  }
}

std::vector<MatrixType> fused_in_one(const ModelMap& a, const ModelMap& b) {
  std::vector<MatrixType> types;
  for (const MatrixType type : {MatrixType::QKV, MatrixType::GateUp}) {
    if (has_type(a, type) != has_type(b, type)) types.push_back(type);
  }
  return types;
}

void check_same_shape(const TensorSource& base, const ModelMap& base_map, const TensorSource& post,
                      const ModelMap& post_map) {
  const std::string of_base = base.path().string(), of_post = post.path().string();
  const std::vector<MatrixType> fused = fused_in_one(base_map, post_map);
  const std::vector<MatrixSite> in_base = without(base_map, fused), in_post = without(post_map, fused);
  if (!fused.empty() && (in_base.empty() || in_post.empty())) {
    const bool whole = has_type(base_map, fused.front());
    fail(of_post, "has {} {} where {} has it {}: name the types of the parts", type_name(fused.front()),
         whole ? "in parts" : "fused", of_base, whole ? "fused" : "in parts");
  }
  const auto key = [](const MatrixSite& site) { return std::tuple(site.key(), site.d_out, site.d_in); };
  const auto [b, p] = std::mismatch(in_base.begin(), in_base.end(), in_post.begin(), in_post.end(),
                                    [&](const auto& x, const auto& y) { return key(x) == key(y); });
  const bool base_ends = b == in_base.end(), post_ends = p == in_post.end();
  if (!base_ends || !post_ends) {
    fail(of_post, "does not have the matrices of {}: {} where the base has {}", of_base,
         post_ends ? "nothing" : describe(*p), base_ends ? "nothing" : describe(*b));
  }
  // What is stored fused is another model_type than the same split, of whatever name: Phi-3 as a Llama.
  if (family(base) == family(post) || stores_fused(base) != stores_fused(post)) return;
  fail(of_post, "is of the architecture '{}', and the base {} of '{}'", post.config().model_type, of_base,
       base.config().model_type);
}

std::string matrix_name(const MatrixKey& key) {
  const std::string name = fmt::format("{}.{}", key.layer, type_name(key.type));
  return key.expert < 0 ? name : fmt::format("{}.{}", name, key.expert);
}

uint64_t matrix_seed(uint64_t seed, const MatrixKey& key) {
  const uint64_t mixed = mix64(mix64(mix64(seed) ^ static_cast<uint64_t>(key.layer)) ^ static_cast<uint64_t>(key.type));
  return key.expert < 0 ? mixed : mix64(mixed ^ static_cast<uint64_t>(key.expert));
}

namespace {

// Rows of a tensor as MatrixSite counts them, as steps of its first dimension: `folded` of them each.
struct Steps {
  int64_t folded = 1, begin = 0, end = 0;
};

Steps steps_of(const SourceTensor& tensor, int64_t row_begin, int64_t row_end) {
  Steps steps;
  for (size_t i = 1; i + 1 < tensor.shape.size(); ++i) steps.folded *= std::max<int64_t>(1, tensor.shape[i]);
  steps.begin = row_begin / steps.folded;
  steps.end = (row_end - 1) / steps.folded + 1;
  return steps;
}

// A tensor that the site fits.
const SourceTensor& tensor_of(const TensorSource& checkpoint, const MatrixSite& site) {
  const SourceTensor* entry = checkpoint.find(site.tensor);
  if (entry == nullptr) fail(checkpoint.path().string(), "has no {}", named(site.tensor));
  if (!dtype_is_float(entry->dtype)) refuse_quantised(checkpoint, site.tensor);
  const std::vector<int64_t>& shape = entry->shape;
  const int64_t rows = shape.size() < 2 ? 0 : shape[0] * steps_of(*entry, 0, 1).folded;
  const int64_t cols = shape.size() < 2 ? 0 : shape.back();
  const int64_t last = site.col_begin + (site.d_out - 1) * site.col_step;
  const bool wide = site.transposed ? site.col_begin >= 0 && last < cols : cols == site.d_in;
  if (!wide || site.row_begin < 0 || site.row_end > rows || site.row_end - site.row_begin != span_of_rows(site)) {
    fail(checkpoint.path().string(), "{} has the shape [{}], and no rows {} to {} of {} columns", named(site.tensor),
         fmt::join(shape, ", "), site.row_begin, site.row_end, site.transposed ? last + 1 : site.d_in);
  }
  return *entry;
}

TensorLease read_rows(const TensorSource& checkpoint, const std::string& name, const SourceTensor& tensor,
                      int64_t row_begin, int64_t row_end) {
  const Steps steps = steps_of(tensor, row_begin, row_end);
  TensorLease lease = checkpoint.read_rows(name, steps.begin, steps.end);
  const size_t row = static_cast<size_t>(tensor.row_bytes()) / static_cast<size_t>(steps.folded);
  lease.bytes = lease.bytes.subspan(static_cast<size_t>(row_begin - steps.begin * steps.folded) * row,
                                    static_cast<size_t>(row_end - row_begin) * row);
  return lease;
}

// Calls move(offset in W, offset in the tensor's rows [row_begin, row_end)) for each element of a transposed site.
template <typename Move>
void for_each_element(const MatrixSite& site, int64_t columns, const Move& move) {
  for (int64_t c = 0; c < site.d_in; ++c) {
    for (int64_t r = 0; r < site.d_out; ++r) {
      move(static_cast<size_t>(r * site.d_in + c),
           static_cast<size_t>(c * columns + site.col_begin + r * site.col_step));
    }
  }
}

// W's bytes from those of the site's rows, where they are its columns.
TensorLease turned(const MatrixSite& site, const TensorLease& rows, size_t element, int64_t columns) {
  auto bytes = std::make_shared<std::vector<std::byte>>(static_cast<size_t>(site.d_out * site.d_in) * element);
  for_each_element(site, columns, [&](size_t to, size_t from) {
    std::memcpy(bytes->data() + to * element, rows.bytes.data() + from * element, element);
  });
  return {*bytes, bytes, false};
}

}  // namespace

Weight load_weight(const TensorSource& checkpoint, const MatrixSite& site) {
  const SourceTensor& entry = tensor_of(checkpoint, site);
  TensorLease lease = read_rows(checkpoint, site.tensor, entry, site.row_begin, site.row_end);
  const size_t element = dtype_size(entry.dtype);
  if (site.transposed) lease = turned(site, lease, element, entry.shape.back());
  if (site.block > 0) lease = gather_rows(site, lease, element);
  Weight weight{.name = checkpoint.path().string() + ": " + site.tensor,
                .dtype = entry.dtype,
                .data = lease.bytes.data(),
                .rows = site.d_out,
                .cols = site.d_in,
                .scale = {},
                .mapped = lease.mapped,
                .first_row = site.block > 0 ? 0 : site.row_begin,
                .owner = lease.owner};
  if (site.sliced) weight.name += part_of_tensor(site);
  const Scales scales = find_scales(checkpoint, site.tensor, entry);
  if (scales.tensor.empty()) return weight;
  const TensorLease table = checkpoint.read(scales.tensor);
  weight.scale = scales.layout;
  weight.scale.data = table.bytes.data();
  const std::shared_ptr<const void> scale_owner =
      site.block > 0 ? gather_scales(site, table, weight.scale) : table.owner;
  weight.owner =
      std::make_shared<std::pair<std::shared_ptr<const void>, std::shared_ptr<const void>>>(lease.owner, scale_owner);
  return weight;
}

void prefetch_weight(const TensorSource& checkpoint, const MatrixSite& site) {
  const Steps steps = steps_of(tensor_of(checkpoint, site), site.row_begin, site.row_end);
  checkpoint.prefetch(site.tensor, steps.begin, steps.end);
}

void place_weight(const MatrixSite& site, DType dtype, std::span<const std::byte> weight, int64_t columns,
                  std::span<std::byte> tensor) {
  const size_t element = dtype_size(dtype);
  std::byte* rows = tensor.data() + static_cast<size_t>(site.row_begin * columns) * element;
  if (site.block > 0) return scatter_rows(site, weight, element, rows);
  if (!site.transposed) {
    std::copy(weight.begin(), weight.end(), rows);
    return;
  }
  for_each_element(site, columns, [&](size_t from, size_t to) {
    std::memcpy(rows + to * element, weight.data() + from * element, element);
  });
}

const MatrixSite& same_site(const ModelMap& map, const MatrixSite& site) {
  return *std::lower_bound(map.sites.begin(), map.sites.end(), site,
                           [](const MatrixSite& a, const MatrixSite& b) { return a.key() < b.key(); });
}

}  // namespace gyro
