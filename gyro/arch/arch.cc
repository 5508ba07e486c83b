#include "gyro/arch/arch.h"

#include <algorithm>
#include <cctype>
#include <tuple>
#include <utility>

#include "gyro/base/error.h"
#include "gyro/base/random.h"

namespace gyro {
namespace {

// A tensor that a layer may have: its name after the layer's prefix and before ".weight", and the matrices whose rows
// it holds, one after the other. A checkpoint has a fused tensor or its parts, each as a tensor of its own.
struct TensorRow {
  std::string_view name;
  MatrixType type;
  std::vector<MatrixType> parts = {};  // of a fused tensor
};
using Rows = std::vector<TensorRow>;

// Shared by architectures, so that adding one is a line of kTable, and rows here where its names are others.
const Rows kLlama = {
    {"self_attn.q_proj", MatrixType::Q}, {"self_attn.k_proj", MatrixType::K}, {"self_attn.v_proj", MatrixType::V},
    {"self_attn.o_proj", MatrixType::O}, {"mlp.gate_proj", MatrixType::Gate}, {"mlp.up_proj", MatrixType::Up},
    {"mlp.down_proj", MatrixType::Down},
};
const Rows kPhi3 = [] {
  Rows rows = kLlama;
  rows.push_back({"self_attn.qkv_proj", MatrixType::QKV, {MatrixType::Q, MatrixType::K, MatrixType::V}});
  rows.push_back({"mlp.gate_up_proj", MatrixType::GateUp, {MatrixType::Gate, MatrixType::Up}});
  return rows;
}();

// An architecture: its name in config.json, its tensors' names, and the sizes that hold where config.json leaves them
// out (0: num_key_value_heads = num_attention_heads, head_dim = hidden_size / num_attention_heads).
struct Architecture {
  std::string_view model_type;
  const Rows& rows;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
};
const Architecture kTable[] = {
    {"llama", kLlama},
    {"mistral", kLlama},
    {"qwen2", kLlama},
    {"qwen3", kLlama, 0, 0, 128},
    {"gemma", kLlama, 0, 0, 256},
    {"gemma2", kLlama, 0, 0, 256},
    {"gemma3", kLlama, 8, 4, 256},
    {"gemma3_text", kLlama, 8, 4, 256},
    {"phi3", kPhi3},
};
const Architecture kUnknown = {"", kLlama};

// Where the layers are: a causal model, its body alone, and language models inside multimodal ones, old and new.
constexpr std::string_view kPrefixes[] = {"model.layers.", "layers.", "language_model.model.layers.",
                                          "model.language_model.layers.", "language_model.layers."};

const Architecture& architecture_of(const ModelConfig& config) {
  for (const Architecture& row : kTable) {
    if (row.model_type == config.model_type) return row;
  }
  return kUnknown;
}

std::string named(std::string_view tensor) {
  return fmt::format("tensor \"{}\"", printable(tensor));
}

// The row of the tensor that is all of a matrix of that type; null if the architecture has no such tensor.
const TensorRow* own_row(const Rows& rows, MatrixType type) {
  const auto row = std::find_if(rows.begin(), rows.end(), [&](const TensorRow& r) { return r.type == type; });
  return row == rows.end() ? nullptr : &*row;
}

// The row of the fused tensor that has `type` as a part, or null.
const TensorRow* fused_row(const Rows& rows, MatrixType type) {
  const auto row = std::find_if(rows.begin(), rows.end(), [&](const TensorRow& r) {
    return std::find(r.parts.begin(), r.parts.end(), type) != r.parts.end();
  });
  return row == rows.end() ? nullptr : &*row;
}

struct Shape {
  int64_t rows = 0;
  int64_t cols = 0;
};

// Shape as stored, d_out x d_in.
Shape shape_of(const ModelConfig& config, MatrixType type) {
  const int64_t hidden = config.hidden_size, mlp = config.intermediate_size;
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

// First row of a part in its fused tensor.
int64_t first_row_of(const ModelConfig& config, const TensorRow& fused, MatrixType part) {
  int64_t row = 0;
  for (const MatrixType before : fused.parts) {
    if (before == part) break;
    row += shape_of(config, before).rows;
  }
  return row;
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

// The scales of the tensor `name` of that shape.
Scales find_scales(const TensorSource& checkpoint, const std::string& name, DType dtype, Shape shape) {
  std::string scale_name = name + "_scale_inv";
  const SourceTensor* entry = checkpoint.find(scale_name);
  if (entry == nullptr) entry = checkpoint.find(scale_name = name + "_scale");
  if (entry == nullptr) return {};
  const std::string folder = checkpoint.path().string();
  if (dtype != DType::F8_E4M3 && dtype != DType::F8_E5M2) {
    fail(folder, "{} is {}, yet has scales ({})", named(name), dtype_name(dtype), named(scale_name));
  }
  if (!dtype_is_float(entry->dtype)) fail(folder, "{} has the dtype {}", named(scale_name), dtype_name(entry->dtype));
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

// Checks that `name` is there, of a type that can be read, and shaped as config.json says.
void check_tensor(const TensorSource& checkpoint, const std::string& name, Shape expected) {
  const SourceTensor* entry = checkpoint.find(name);
  if (entry == nullptr) {
    const std::string stem = name.substr(0, name.rfind('.') + 1);
    if (const auto quantised = quantised_tensor(checkpoint, stem)) refuse_quantised(checkpoint, *quantised);
    fail(checkpoint.path().string(), "has no {}", named(name));
  }
  if (!dtype_is_float(entry->dtype)) refuse_quantised(checkpoint, name);
  if (entry->shape != std::vector<int64_t>{expected.rows, expected.cols}) {
    fail(checkpoint.path().string(), "{} has the shape [{}] where config.json means [{}, {}]", named(name),
         fmt::join(entry->shape, ", "), expected.rows, expected.cols);
  }
  find_scales(checkpoint, name, entry->dtype, expected);
}

// An unknown model type passes when the first layer has what Llama's has.
void check_named_as_llama(const TensorSource& checkpoint, const std::string& layer_prefix) {
  for (const TensorRow& row : kLlama) {
    const std::string stem = layer_prefix + std::string(row.name) + ".";
    if (!checkpoint.find(stem + "weight") && !quantised_tensor(checkpoint, stem)) {
      fail(checkpoint.path().string(), "has the unknown model_type \"{}\", and no {} as Llama would",
           printable(checkpoint.config().model_type, 40), named(stem + "weight"));
    }
  }
}

// The matrix of that type in a layer: a tensor of its own, a part of a fused one, or all of a fused one.
void add_site(const TensorSource& checkpoint, const ModelConfig& config, const Rows& rows,
              const std::string& layer_prefix, int64_t layer, MatrixType type, std::vector<MatrixSite>& sites) {
  const auto tensor_of = [&](const TensorRow& row) { return layer_prefix + std::string(row.name) + ".weight"; };
  const auto present = [&](const TensorRow* row) {
    return row != nullptr && checkpoint.find(tensor_of(*row)) != nullptr;
  };
  const TensorRow* own = own_row(rows, type);
  const TensorRow* whole = fused_row(rows, type);
  if (type_is_fused(type) && !present(own)) return;
  const bool sliced = present(whole);
  if (sliced && present(own)) {
    fail(checkpoint.path().string(), "has both {} and {}", named(tensor_of(*whole)), named(tensor_of(*own)));
  }
  const TensorRow& row = sliced ? *whole : *own;
  MatrixSite site{.layer = layer, .type = type, .tensor = tensor_of(row)};
  check_tensor(checkpoint, site.tensor, shape_of(config, row.type));
  const Shape shape = shape_of(config, type);
  site.row_begin = sliced ? first_row_of(config, row, type) : 0;
  site.row_end = site.row_begin + shape.rows;
  site.d_in = shape.cols;
  site.d_out = shape.rows;
  site.sliced = sliced;
  sites.push_back(std::move(site));
}

std::string describe(const MatrixSite& site) {
  return fmt::format("{} of layer {} ({} x {})", type_name(site.type), site.layer, site.d_out, site.d_in);
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
  const std::pair<const char*, int64_t> needed[] = {{"num_hidden_layers", config.num_hidden_layers},
                                                    {"hidden_size", config.hidden_size},
                                                    {"intermediate_size", config.intermediate_size},
                                                    {"num_attention_heads", config.num_attention_heads}};
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

ModelMap map_model(const TensorSource& checkpoint) {
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
  const ModelConfig config = complete_config(checkpoint);
  for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    const std::string layer_prefix = fmt::format("{}{}.", *prefix, layer);
    for (const MatrixType type : kAllMatrixTypes) {
      add_site(checkpoint, config, row.rows, layer_prefix, layer, type, map.sites);
    }
  }
  const std::string beyond = fmt::format("{}{}.", *prefix, config.num_hidden_layers);
  const auto at = checkpoint.tensors().lower_bound(beyond);
  if (at != checkpoint.tensors().end() && at->first.starts_with(beyond)) {
    map.warnings.push_back(fmt::format("{}: {} is beyond the {} layers of config.json and left out", folder,
                                       named(at->first), config.num_hidden_layers));
  }
  return map;
}

namespace {

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

Weight load_weight(const TensorSource& checkpoint, const MatrixSite& site) {
  const SourceTensor* entry = checkpoint.find(site.tensor);
  if (entry == nullptr) fail(checkpoint.path().string(), "has no {}", named(site.tensor));
  if (!dtype_is_float(entry->dtype)) refuse_quantised(checkpoint, site.tensor);
  const std::vector<int64_t>& shape = entry->shape;
  if (shape.size() != 2 || shape[1] != site.d_in || site.row_begin < 0 || site.row_end > shape[0] ||
      site.row_end - site.row_begin != site.d_out) {
    fail(checkpoint.path().string(), "{} has the shape [{}], and no rows {} to {} of {} columns", named(site.tensor),
         fmt::join(shape, ", "), site.row_begin, site.row_end, site.d_in);
  }
  const TensorLease lease = checkpoint.read_rows(site.tensor, site.row_begin, site.row_end);
  Weight weight{.name = checkpoint.path().string() + ": " + site.tensor,
                .dtype = entry->dtype,
                .data = lease.bytes.data(),
                .rows = site.d_out,
                .cols = site.d_in,
                .scale = {},
                .mapped = lease.mapped,
                .first_row = site.row_begin,
                .owner = lease.owner};
  if (site.sliced) weight.name += fmt::format("[{}:{}]", site.row_begin, site.row_end);
  const Scales scales = find_scales(checkpoint, site.tensor, entry->dtype, {shape[0], shape[1]});
  if (scales.tensor.empty()) return weight;
  const TensorLease table = checkpoint.read(scales.tensor);
  weight.scale = scales.layout;
  weight.scale.data = table.bytes.data();
  weight.owner =
      std::make_shared<std::pair<std::shared_ptr<const void>, std::shared_ptr<const void>>>(lease.owner, table.owner);
  return weight;
}

const MatrixSite& same_site(const ModelMap& map, const MatrixSite& site) {
  return *std::lower_bound(map.sites.begin(), map.sites.end(), site,
                           [](const MatrixSite& a, const MatrixSite& b) { return a.key() < b.key(); });
}

}  // namespace gyro
