#include "gyro/arch/arch.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <set>
#include <tuple>
#include <utility>

#include "gyro/arch/table.h"
#include "gyro/base/error.h"
#include "gyro/base/random.h"

namespace gyro {
namespace {

// Where the layers are: a causal model, its body alone, and language models inside multimodal ones, old and new.
constexpr std::string_view kPrefixes[] = {"model.layers.", "layers.", "language_model.model.layers.",
                                          "model.language_model.layers.", "language_model.layers."};

// What an unknown model_type is read as.
const Architecture kUnknown = {"", llama_rows()};

const Architecture& architecture_of(const ModelConfig& config) {
  const Architecture* known = find_architecture(config);
  return known == nullptr ? kUnknown : *known;
}

std::string named(std::string_view tensor) {
  return fmt::format("tensor \"{}\"", printable(tensor));
}

bool is_mlp(MatrixType type) {
  return type == MatrixType::Gate || type == MatrixType::Up || type == MatrixType::Down || type == MatrixType::GateUp;
}

struct Shape {
  int64_t rows = 0;
  int64_t cols = 0;
};

// Shape of W, d_out x d_in, in a layer of that inner width.
Shape shape_of(const ModelConfig& config, MatrixType type, int64_t mlp) {
  const int64_t hidden = config.hidden_size;
  const int64_t q = config.num_attention_heads * config.head_dim;
  const int64_t kv = config.num_key_value_heads * config.head_dim;
  const std::array<Shape, kAllMatrixTypes.size()> shapes = {{{q, hidden},
                                                             {kv, hidden},
                                                             {kv, hidden},
                                                             {hidden, q},
                                                             {mlp, hidden},
                                                             {mlp, hidden},
                                                             {hidden, mlp},
                                                             {q + 2 * kv, hidden},
                                                             {2 * mlp, hidden}}};
  return shapes[static_cast<size_t>(type)];
}

// Where the layers are in this checkpoint, or nothing.
std::optional<std::string> layers_prefix(const TensorSource& checkpoint) {
  for (const std::string_view prefix : kPrefixes) {
    const std::string first = std::string(prefix) + "0.";
    const auto at = checkpoint.tensors().lower_bound(first);
    if (at != checkpoint.tensors().end() && at->first.starts_with(first)) return std::string(prefix);
  }
  return std::nullopt;
}

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

// Where the scales of an FP8 tensor are, and how its elements find theirs; no tensor, no scales.
struct Scales {
  std::string tensor;
  BlockScale layout;  // without the data
};

// The scales of the tensor `name`.
Scales find_scales(const TensorSource& checkpoint, const std::string& name, const SourceTensor& tensor) {
  std::string scale_name = name + "_scale_inv";
  const SourceTensor* entry = checkpoint.find(scale_name);
  if (entry == nullptr) entry = checkpoint.find(scale_name = name + "_scale");
  if (entry == nullptr) return {};
  const std::string folder = checkpoint.path().string();
  if (tensor.dtype != DType::F8_E4M3 && tensor.dtype != DType::F8_E5M2) {
    fail(folder, "{} is {}, yet has scales ({})", named(name), dtype_name(tensor.dtype), named(scale_name));
  }
  if (tensor.shape.size() != 2) {
    fail(folder, "{} has FP8 scales and {} dimensions; they are read of matrices only", named(name),
         tensor.shape.size());
  }
  if (!dtype_is_float(entry->dtype)) fail(folder, "{} has the dtype {}", named(scale_name), dtype_name(entry->dtype));
  const Shape shape = {tensor.shape[0], tensor.shape[1]};
  if (entry->byte_size() == dtype_size(entry->dtype)) {
    return {scale_name, {nullptr, entry->dtype, 1, shape.rows, shape.cols}};
  }
  using Extents = std::vector<int64_t>;
  if (entry->shape == Extents{shape.rows} || entry->shape == Extents{shape.rows, 1}) {
    return {scale_name, {nullptr, entry->dtype, 1, 1, shape.cols}};
  }
  const ModelConfig& config = checkpoint.config();
  const int64_t block_rows = config.fp8_block_rows > 0 ? config.fp8_block_rows : 128;
  const int64_t block_cols = config.fp8_block_cols > 0 ? config.fp8_block_cols : 128;
  const Extents table = {(shape.rows - 1) / block_rows + 1, (shape.cols - 1) / block_cols + 1};
  if (entry->shape == table) return {scale_name, {nullptr, entry->dtype, table[1], block_rows, block_cols}};
  fail(folder, "{} has the shape [{}]: not one scale, not one for each of {} rows, not [{}] for blocks of {} x {}",
       named(scale_name), fmt::join(entry->shape, ", "), shape.rows, fmt::join(table, ", "), block_rows, block_cols);
}

// What the names of a module's tensors start with: "model.layers.0.mlp.up_proj.", or ".experts.down_proj".
std::string stem_of(const std::string& tensor) {
  constexpr std::string_view kEnding = "weight";
  return tensor.ends_with(kEnding) ? tensor.substr(0, tensor.size() - kEnding.size()) : tensor;
}

// Checks that `name` is there, of a type that can be read, and shaped as config.json says.
void check_tensor(const TensorSource& checkpoint, const std::string& name, const std::vector<int64_t>& expected) {
  const SourceTensor* entry = checkpoint.find(name);
  if (entry == nullptr) {
    if (const auto quantised = quantised_tensor(checkpoint, stem_of(name))) refuse_quantised(checkpoint, *quantised);
    fail(checkpoint.path().string(), "has no {}", named(name));
  }
  if (!dtype_is_float(entry->dtype)) refuse_quantised(checkpoint, name);
  if (entry->shape != expected) {
    fail(checkpoint.path().string(), "{} has the shape [{}] where config.json means [{}]", named(name),
         fmt::join(entry->shape, ", "), fmt::join(expected, ", "));
  }
  find_scales(checkpoint, name, *entry);
}

// An unknown model type passes when the first layer has what Llama's has.
void check_named_as_llama(const TensorSource& checkpoint, const std::string& layer_prefix) {
  for (const TensorRow& row : llama_rows()) {
    const std::string name = layer_prefix + std::string(row.name);
    if (!checkpoint.find(name) && !quantised_tensor(checkpoint, stem_of(name))) {
      fail(checkpoint.path().string(), "has the unknown model_type \"{}\", and no {} as Llama would",
           printable(checkpoint.config().model_type, 40), named(name));
    }
  }
}

// A model in the course of being mapped.
struct Mapping {
  const TensorSource& checkpoint;
  const Architecture& architecture;
  ModelConfig config;  // complete
  std::string prefix;  // of its layers' names
};

// One of a model's layers: what its MLP is.
struct Layer {
  int64_t number = 0;
  bool experts = false;
  int64_t mlp = 0;  // inner width
};

Layer layer_of(const Mapping& model, int64_t number) {
  const bool experts = model.architecture.has_experts(model.config, number);
  return {number, experts, model.config.*(experts ? model.architecture.expert : model.architecture.dense).size};
}

std::string tensor_name(const Mapping& model, const TensorRow& row, const Layer& layer, int64_t expert) {
  const std::string name = fmt::format("{}{}.{}", model.prefix, layer.number, row.name);
  return row.layout == Layout::Expert ? fmt::format(fmt::runtime(name), expert) : name;
}

// The row by which the layer stores that type: as a tensor of its own, or a part of a fused one. Null for a fused type
// that the layer does not store. The first that is possible where there is none.
const TensorRow* find_row(const Mapping& model, const Layer& layer, MatrixType type) {
  const bool experts = layer.experts && is_mlp(type);
  const TensorRow *present = nullptr, *possible = nullptr;
  const auto name = [&](const TensorRow& row) { return tensor_name(model, row, layer, 0); };
  for (const TensorRow& row : model.architecture.rows) {
    const bool part = std::find(row.parts.begin(), row.parts.end(), type) != row.parts.end();
    if ((row.type != type && !part) || (row.layout != Layout::Matrix) != experts) continue;
    if (possible == nullptr) possible = &row;
    if (model.checkpoint.find(name(row)) == nullptr) continue;
    if (present != nullptr) {
      fail(model.checkpoint.path().string(), "has both {} and {}", named(name(row)), named(name(*present)));
    }
    present = &row;
  }
  return present != nullptr || type_is_fused(type) ? present : possible;
}

// The site of a matrix that is stored by `row`, without what is of its expert. `before`: rows of W's in the fused
// tensor that come before it.
MatrixSite site_of(const TensorRow& row, MatrixType type, Shape shape, Shape whole, int64_t before) {
  MatrixSite site;
  site.type = type;
  site.row_begin = before;
  site.row_end = before + shape.rows;
  site.d_in = shape.cols;
  site.d_out = shape.rows;
  site.sliced = row.type != type || row.layout > Layout::Expert;
  if (row.layout <= Layout::Experts) return site;
  site.transposed = true;
  site.row_begin = 0;
  site.row_end = shape.cols;
  const bool in_turns = row.layout == Layout::ExpertsInTurns;
  site.col_step = in_turns ? whole.rows / shape.rows : 1;
  site.col_begin = in_turns ? before / shape.rows : before;
  return site;
}

// The matrices of that type in a layer: one, or one for each expert.
void add_sites(const Mapping& model, const Layer& layer, MatrixType type, std::vector<MatrixSite>& sites) {
  const bool experts = layer.experts && is_mlp(type);
  if (experts && type_is_fused(type)) return;
  const TensorRow* row = find_row(model, layer, type);
  if (row == nullptr) return;
  const auto shape = [&](MatrixType of) { return shape_of(model.config, of, layer.mlp); };
  int64_t before = 0;
  for (const MatrixType part : row->parts) {
    if (part == type) break;
    if (row->type != type) before += shape(part).rows;
  }
  const Shape whole = shape(row->type);
  MatrixSite site = site_of(*row, type, shape(type), whole, before);
  site.layer = layer.number;
  const int64_t count = experts ? model.config.num_experts : 1;
  const int64_t rows = site.transposed ? whole.cols : whole.rows, cols = site.transposed ? whole.rows : whole.cols;
  const bool stacked = row->layout > Layout::Expert;
  for (int64_t expert = 0; expert < count; ++expert) {
    site.tensor = tensor_name(model, *row, layer, expert);
    if (!stacked || expert == 0) {
      check_tensor(model.checkpoint, site.tensor, stacked ? std::vector{count, rows, cols} : std::vector{rows, cols});
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
      "W_Q", "W_K", "W_V", "W_O", "W_gate", "W_up", "W_down", "W_QKV", "W_gate_up"};
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

ModelConfig complete_config(const TensorSource& checkpoint) {
  ModelConfig config = checkpoint.config();
  const Architecture& row = architecture_of(config);
  const std::string file = (checkpoint.path() / "config.json").string();
  if (config.num_attention_heads == 0) config.num_attention_heads = row.heads;
  std::vector<std::pair<std::string_view, int64_t>> needed = {{"num_hidden_layers", config.num_hidden_layers},
                                                              {"hidden_size", config.hidden_size},
                                                              {"num_attention_heads", config.num_attention_heads}};
  std::set<bool> kinds;
  for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) kinds.insert(row.has_experts(config, layer));
  for (const bool experts : kinds) {
    const Width& width = experts ? row.expert : row.dense;
    needed.emplace_back(width.key, config.*width.size);
    if (experts) needed.emplace_back("num_experts", config.num_experts);
  }
  for (const auto& [key, value] : needed) {
    if (value == 0) fail(file, "has no {}", key);
  }
  const int64_t heads = config.num_attention_heads;
  if (!config.kv_heads_given) config.num_key_value_heads = row.kv_heads > 0 ? row.kv_heads : heads;
  if (heads % config.num_key_value_heads != 0) {
    fail(file, "num_attention_heads {} is no multiple of num_key_value_heads {}", heads, config.num_key_value_heads);
  }
  if (!config.head_dim_given && row.head_dim > 0) config.head_dim = row.head_dim;
  if (config.head_dim == 0) {
    if (config.hidden_size % heads != 0) {
      fail(file, "has no head_dim, and hidden_size {} is no multiple of num_attention_heads {}", config.hidden_size,
           heads);
    }
    config.head_dim = config.hidden_size / heads;
  }
  return config;
}

namespace {

ModelMap map_matrices(const TensorSource& checkpoint) {
  const std::string folder = checkpoint.path().string();
  const Architecture& row = architecture_of(checkpoint.config());
  const std::optional<std::string> prefix = layers_prefix(checkpoint);
  if (!prefix) {
    fail(folder, "has the model_type \"{}\", and no tensor of a layer 0 under any of {}",
         printable(checkpoint.config().model_type, 40), fmt::join(kPrefixes, ", "));
  }
  ModelMap map;
  if (&row == &kUnknown) {
    check_named_as_llama(checkpoint, *prefix + "0.");
    map.warnings.push_back(fmt::format("{}: unknown model_type \"{}\", read as llama", folder,
                                       printable(checkpoint.config().model_type, 40)));
  }
  const Mapping model = {checkpoint, row, complete_config(checkpoint), *prefix};
  const ModelConfig& config = model.config;
  for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    for (const MatrixType type : kAllMatrixTypes) add_sites(model, layer_of(model, layer), type, map.sites);
  }
  const std::string beyond = fmt::format("{}{}.", *prefix, config.num_hidden_layers);
  const auto at = checkpoint.tensors().lower_bound(beyond);
  if (at != checkpoint.tensors().end() && at->first.starts_with(beyond)) {
    map.warnings.push_back(fmt::format("{}: {} is beyond the {} layers of config.json and left out", folder,
                                       named(at->first), config.num_hidden_layers));
  }
  return map;
}

// gemma3 and gemma3_text are one architecture, with and without its image tower.
std::string_view family(const TensorSource& checkpoint) {
  const std::string_view type = checkpoint.config().model_type;
  return type.ends_with("_text") ? type.substr(0, type.size() - 5) : type;
}

void check_same_family(const TensorSource& base, const TensorSource& post) {
  if (family(base) == family(post)) return;
  fail(post.path().string(), "is of the architecture '{}', and the base {} of '{}'", post.config().model_type,
       base.path().string(), base.config().model_type);
}

}  // namespace

ModelMap map_model(const TensorSource& checkpoint) {
  const std::vector<std::string>& odd = checkpoint.warnings();
  try {
    ModelMap map = map_matrices(checkpoint);
    std::vector<std::string> warnings;
    for (const std::string& warning : odd) warnings.push_back(checkpoint.path().string() + ": " + warning);
    map.warnings.insert(map.warnings.begin(), warnings.begin(), warnings.end());
    return map;
  } catch (const Error& error) {  // what was odd about it may be why
    if (odd.empty()) throw;
    throw Error(error.subject(), fmt::format("{} ({})", error.problem(), fmt::join(odd, "; ")), error.cause());
  }
}

void check_same_shape(const TensorSource& base, const ModelMap& base_map, const TensorSource& post,
                      const ModelMap& post_map) {
  const auto key = [](const MatrixSite& site) { return std::tuple(site.key(), site.d_out, site.d_in); };
  const auto [b, p] =
      std::mismatch(base_map.sites.begin(), base_map.sites.end(), post_map.sites.begin(), post_map.sites.end(),
                    [&](const auto& x, const auto& y) { return key(x) == key(y); });
  const bool base_ends = b == base_map.sites.end();
  const bool post_ends = p == post_map.sites.end();
  if (base_ends && post_ends) return check_same_family(base, post);
  fail(post.path().string(), "does not have the matrices of {}: {} where the base has {}", base.path().string(),
       post_ends ? "nothing" : describe(*p), base_ends ? "nothing" : describe(*b));
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
  const int64_t count = site.transposed ? site.d_in : site.d_out;
  if (!wide || site.row_begin < 0 || site.row_end > rows || site.row_end - site.row_begin != count) {
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
  if (site.transposed) lease = turned(site, lease, dtype_size(entry.dtype), entry.shape.back());
  Weight weight{.name = checkpoint.path().string() + ": " + site.tensor,
                .dtype = entry.dtype,
                .data = lease.bytes.data(),
                .rows = site.d_out,
                .cols = site.d_in,
                .scale = {},
                .mapped = lease.mapped,
                .first_row = site.row_begin,
                .owner = lease.owner};
  if (site.sliced) weight.name += fmt::format("[{}:{}]", site.row_begin, site.row_end);
  const Scales scales = find_scales(checkpoint, site.tensor, entry);
  if (scales.tensor.empty()) return weight;
  const TensorLease table = checkpoint.read(scales.tensor);
  weight.scale = scales.layout;
  weight.scale.data = table.bytes.data();
  weight.owner =
      std::make_shared<std::pair<std::shared_ptr<const void>, std::shared_ptr<const void>>>(lease.owner, table.owner);
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
