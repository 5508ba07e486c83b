#include "gyro/arch/sizes.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "gyro/base/error.h"

namespace gyro {
namespace {

// Where the layers are: a causal model, its body alone, and language models inside multimodal ones, old and new.
constexpr std::string_view kPrefixes[] = {"model.layers.",
                                          "layers.",
                                          "language_model.model.layers.",
                                          "model.language_model.layers.",
                                          "language_model.layers.",
                                          "model.text_model.layers.",
                                          "thinker.model.layers."};

// What an unknown model_type is read as.
const Architecture kUnknown = {"", llama_rows()};

// Where the layers of such a model may be.
std::vector<std::string> possible_prefixes(const Architecture& row) {
  if (row.layers == kUsualLayers) return {std::begin(kPrefixes), std::end(kPrefixes)};
  return {std::string(row.layers), std::string(row.layers.substr(row.layers.find('.') + 1))};
}

// DeepSeek's attention: the sizes of its heads are others.
bool is_latent(const Architecture& row) {
  return std::any_of(row.rows.begin(), row.rows.end(),
                     [](const TensorRow& each) { return each.type == MatrixType::DKV; });
}

using Extent = int64_t Extents::*;

// Of the types in their order; those of fused tensors are sums, and come of their parts.
constexpr std::array<std::pair<Extent, Extent>, kAllMatrixTypes.size()> kShapes = {{
    {&Extents::q, &Extents::hidden},
    {&Extents::kv, &Extents::hidden},
    {&Extents::kv, &Extents::hidden},
    {&Extents::hidden, &Extents::attended},
    {&Extents::mlp, &Extents::hidden},
    {&Extents::mlp, &Extents::hidden},
    {&Extents::hidden, &Extents::mlp},
    {nullptr, &Extents::hidden},
    {nullptr, &Extents::hidden},
    {&Extents::q_rank, &Extents::hidden},
    {&Extents::q, &Extents::q_rank},
    {&Extents::down_kv, &Extents::hidden},
    {&Extents::up_kv, &Extents::kv_rank},
    {&Extents::experts, &Extents::hidden},
    {&Extents::shared, &Extents::hidden},
    {&Extents::shared, &Extents::hidden},
    {&Extents::hidden, &Extents::shared},
}};

// A model whose sizes are looked for in its tensors.
struct Search {
  const TensorSource& checkpoint;
  const Architecture& architecture;
  std::string prefix;
  const ModelConfig& config;
};

// The shape of W as a tensor of that row has it, and the number of its experts where it holds them all.
std::optional<std::pair<Shape, int64_t>> stored_shape(const Search& search, const TensorRow& row, int64_t layer) {
  const SourceTensor* entry = search.checkpoint.find(row_tensor(search.prefix, row, layer, 0));
  const bool stacked = is_stacked(row.layout), transposed = is_transposed(row.layout);
  if (entry == nullptr || !dtype_is_float(entry->dtype) || entry->shape.size() != (stacked ? 3U : 2U)) return {};
  const int64_t first = entry->shape[entry->shape.size() - 2], last = entry->shape.back();
  return std::pair(transposed ? Shape{last, first} : Shape{first, last}, stacked ? entry->shape[0] : 0);
}

// How many experts a layer has, stored one by one by that row.
int64_t count_experts(const Search& search, const TensorRow& row, int64_t layer) {
  int64_t count = 0;
  while (search.checkpoint.find(row_tensor(search.prefix, row, layer, count)) != nullptr) ++count;
  return count;
}

// What that row's tensor says of an extent, or 0.
int64_t told_by(const Search& search, const TensorRow& row, int64_t layer, Extent extent) {
  const auto [rows, cols] = kShapes[static_cast<size_t>(row.type)];
  const bool counts = extent == &Extents::experts && is_of_experts(row.layout);
  const bool halves = extent == &Extents::mlp && row.type == MatrixType::GateUp;
  if (rows != extent && cols != extent && !counts && !halves) return 0;
  if (counts && row.layout == Layout::Expert) return count_experts(search, row, layer);
  const auto stored = stored_shape(search, row, layer);
  if (!stored) return 0;
  if (counts) return stored->second;
  if (halves) return stored->first.rows / 2;
  return rows == extent ? stored->first.rows : stored->first.cols;
}

// An extent as the first tensor tells it that has it, of layers with experts or without.
int64_t from_shapes(const Search& search, bool experts, Extent extent) {
  const bool depends = extent == &Extents::mlp || extent == &Extents::experts || extent == &Extents::shared;
  for (int64_t layer = 0; layer < search.config.num_hidden_layers; ++layer) {
    if (depends && search.architecture.has_experts(search.config, layer) != experts) continue;
    for (const TensorRow& row : search.architecture.rows) {
      const bool of_mlp = type_is_mlp(row.type);
      if (depends && of_mlp && is_of_experts(row.layout) != experts) continue;
      if (const int64_t told = told_by(search, row, layer, extent); told > 0) return told;
    }
  }
  return 0;
}

// The layers that there are tensors of, from the first on.
int64_t count_layers(const TensorSource& checkpoint, const std::string& prefix) {
  int64_t layers = 0;
  for (;; ++layers) {
    const std::string name = fmt::format("{}{}.", prefix, layers);
    const auto at = checkpoint.tensors().lower_bound(name);
    if (at == checkpoint.tensors().end() || !at->first.starts_with(name)) return layers;
  }
}

// The layers without experts that come first.
int64_t count_dense_layers(const Search& search) {
  for (int64_t layer = 0; layer < search.config.num_hidden_layers; ++layer) {
    for (const TensorRow& row : search.architecture.rows) {
      if (is_of_experts(row.layout) && search.checkpoint.find(row_tensor(search.prefix, row, layer, 0)) != nullptr) {
        return layer;
      }
    }
  }
  return search.config.num_hidden_layers;
}

// The inner width of dense layers by the architecture's rule.
void fill_width(const Architecture& row, ModelConfig& config) {
  int64_t& width = config.*row.dense.size;
  width = width == 0 ? row.dense.of_hidden * config.hidden_size : width / row.dense.divisor;
}

void fill_kv_heads(const Architecture& row, const std::string& file, ModelConfig& config) {
  const int64_t heads = config.num_attention_heads;
  if (row.kv == KvHeads::MultiQuery && !config.new_decoder_architecture) {
    config.num_key_value_heads = config.multi_query ? 1 : heads;
  } else if (!config.kv_heads_given) {
    if (row.kv == KvHeads::Given) {
      fail(file, "has no multi_query_group_num with multi_query_attention, as the {} that Gyro reads", row.model_type);
    }
    config.num_key_value_heads = row.kv_heads > 0 ? row.kv_heads : heads;
  }
}

// Heads and their sizes as transformers supplies them where config.json is silent; they stay 0 where it does not.
void complete_heads(const Architecture& row, const std::string& file, ModelConfig& config) {
  if (config.num_attention_heads == 0) config.num_attention_heads = row.heads;
  const int64_t heads = config.num_attention_heads;
  fill_kv_heads(row, file, config);
  if (heads > 0 && heads % config.num_key_value_heads != 0) {
    fail(file, "num_attention_heads {} is no multiple of num_key_value_heads {}", heads, config.num_key_value_heads);
  }
  if (!config.head_dim_given && row.head_dim > 0) config.head_dim = row.head_dim;
  if (config.head_dim == 0 && heads > 0 && config.hidden_size % heads == 0)
    config.head_dim = config.hidden_size / heads;
}

// What config.json tells of the extents of attention.
Extents told_by_config(const Architecture& row, const ModelConfig& config) {
  const int64_t heads = config.num_attention_heads;
  Extents out;
  out.hidden = config.hidden_size;
  if (!is_latent(row)) {
    out.q = out.attended = heads * config.head_dim;
    // As many as heads is a guess, which other classes' defaults contradict: a tensor of W_K knows better.
    const bool guessed = !config.kv_heads_given && row.kv_heads == 0 && row.kv == KvHeads::Usual;
    if (!guessed) out.kv = config.num_key_value_heads * config.head_dim;
    return out;
  }
  const int64_t rank = config.kv_lora_rank, plain = config.qk_nope_head_dim, rotated = config.qk_rope_head_dim;
  if (plain > 0 && rotated > 0) out.q = heads * (plain + rotated);
  if (plain > 0 && config.v_head_dim > 0) out.up_kv = heads * (plain + config.v_head_dim);
  if (rank > 0 && rotated > 0) out.down_kv = rank + rotated;
  out.attended = heads * config.v_head_dim;
  out.q_rank = config.q_lora_rank;
  out.kv_rank = rank;
  return out;
}

// Fills what is not told.
void complete(const Search& search, bool experts, ModelSizes& sizes, Extents& extents) {
  constexpr Extent kAll[] = {&Extents::hidden,  &Extents::q,       &Extents::kv,      &Extents::attended,
                             &Extents::mlp,     &Extents::shared,  &Extents::experts, &Extents::q_rank,
                             &Extents::kv_rank, &Extents::down_kv, &Extents::up_kv};
  for (const Extent extent : kAll) {
    if (extents.*extent > 0) continue;
    extents.*extent = from_shapes(search, experts, extent);
    sizes.from_shapes = sizes.from_shapes || extents.*extent > 0;
    if (extent == &Extents::kv && extents.kv == 0)
      extents.kv = sizes.config.num_key_value_heads * sizes.config.head_dim;
  }
}

void complete_layers(const TensorSource& checkpoint, const std::string& prefix, ModelSizes& sizes) {
  ModelConfig& config = sizes.config;
  const Architecture& row = architecture_of(config);
  const Search search = {checkpoint, row, prefix, config};
  if (config.num_hidden_layers == 0) {
    config.num_hidden_layers = count_layers(checkpoint, prefix);
    sizes.from_shapes = true;
  }
  if (is_latent(row) && !config.first_k_dense_replace) config.first_k_dense_replace = count_dense_layers(search);
  if (config.hidden_size == 0) config.hidden_size = from_shapes(search, false, &Extents::hidden);
}

}  // namespace

Shape shape_of(const Extents& extents, MatrixType type) {
  const auto [rows, cols] = kShapes[static_cast<size_t>(type)];
  if (type == MatrixType::GateUp) return {2 * extents.mlp, extents.hidden};
  if (type != MatrixType::QKV) return {extents.*rows, extents.*cols};
  return {extents.q > 0 && extents.kv > 0 ? extents.q + 2 * extents.kv : 0, extents.hidden};
}

const Architecture& architecture_of(const ModelConfig& config) {
  const Architecture* known = find_architecture(config);
  return known == nullptr ? kUnknown : *known;
}

std::optional<std::string> layers_prefix(const TensorSource& checkpoint, const Architecture& row) {
  for (const std::string& prefix : possible_prefixes(row)) {
    const std::string first = prefix + "0.";
    const auto at = checkpoint.tensors().lower_bound(first);
    if (at != checkpoint.tensors().end() && at->first.starts_with(first)) return prefix;
  }
  return std::nullopt;
}

std::string layers_prefixes(const Architecture& row) {
  return fmt::format("{}", fmt::join(possible_prefixes(row), ", "));
}

std::string numbered_prefixes(const TensorSource& checkpoint) {
  std::map<std::string, int64_t> counts;
  for (const auto& [name, tensor] : checkpoint.tensors()) {
    const size_t at = name.find(".0.");
    if (at != std::string::npos) ++counts[name.substr(0, at + 1)];
  }
  std::vector<std::pair<int64_t, std::string>> most;
  for (const auto& [prefix, count] : counts) most.emplace_back(-count, fmt::format("\"{}\"", printable(prefix)));
  std::sort(most.begin(), most.end());
  most.resize(std::min<size_t>(most.size(), 3));
  std::vector<std::string> prefixes;
  for (const auto& [count, prefix] : most) prefixes.push_back(prefix);
  return fmt::format("{}", fmt::join(prefixes, ", "));
}

std::string row_tensor(const std::string& prefix, const TensorRow& row, int64_t layer, int64_t expert) {
  const std::string name =
      row.layout == Layout::Expert ? fmt::format(fmt::runtime(row.name), expert) : std::string(row.name);
  return fmt::format("{}{}.{}", prefix, layer, name);
}

ModelSizes known_sizes(const TensorSource& checkpoint) {
  ModelSizes sizes{.config = checkpoint.config(), .dense = {}, .expert = {}};
  ModelConfig& config = sizes.config;
  const Architecture& row = architecture_of(config);
  const std::optional<std::string> prefix = layers_prefix(checkpoint, row);
  if (prefix) complete_layers(checkpoint, *prefix, sizes);
  fill_width(row, config);
  complete_heads(row, (checkpoint.path() / "config.json").string(), config);
  sizes.dense = sizes.expert = told_by_config(row, config);
  sizes.dense.mlp = config.*row.dense.size;
  sizes.expert.mlp = config.*row.expert.size;
  sizes.expert.experts = config.num_experts;
  sizes.expert.shared =
      config.n_shared_experts > 0 ? config.n_shared_experts * sizes.expert.mlp : config.shared_expert_intermediate_size;
  sizes.shared_told = sizes.expert.shared > 0;
  if (!prefix) return sizes;
  const Search search = {checkpoint, row, *prefix, config};
  complete(search, false, sizes, sizes.dense);
  if (row.mixture) complete(search, true, sizes, sizes.expert);
  const auto is_dq = [](const TensorRow& each) { return each.type == MatrixType::DQ; };
  const auto down = std::find_if(row.rows.begin(), row.rows.end(), is_dq);
  sizes.low_rank_q = down != row.rows.end() &&
                     (config.q_lora_rank > 0 || checkpoint.find(row_tensor(*prefix, *down, 0, 0)) != nullptr);
  config.hidden_size = sizes.dense.hidden;
  if (!is_latent(row) && config.head_dim > 0 && sizes.dense.kv > 0 && sizes.dense.kv % config.head_dim == 0)
    config.num_key_value_heads = sizes.dense.kv / config.head_dim;
  if (config.*row.dense.size == 0) config.*row.dense.size = sizes.dense.mlp;
  if (row.mixture && config.*row.expert.size == 0) config.*row.expert.size = sizes.expert.mlp;
  if (row.mixture) config.num_experts = sizes.expert.experts;
  return sizes;
}

ModelConfig complete_config(const TensorSource& checkpoint) {
  ModelConfig config = known_sizes(checkpoint).config;
  const Architecture& row = architecture_of(config);
  const std::string file = (checkpoint.path() / "config.json").string();
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
    if (value == 0) {
      fail(file, "has no {}, nor is it under any of {}, and no tensor's shape tells it", key,
           fmt::join(language_section_names(), ", "));
    }
  }
  if (config.head_dim == 0) {
    fail(file, "has no head_dim, and hidden_size {} is no multiple of num_attention_heads {}", config.hidden_size,
         config.num_attention_heads);
  }
  return config;
}

int64_t count_experts(const TensorSource& checkpoint) {
  const bool mixture = architecture_of(checkpoint.config()).mixture;
  return mixture ? known_sizes(checkpoint).expert.experts : 0;
}

int64_t count_layers(const TensorSource& checkpoint) {
  const int64_t told = checkpoint.config().num_hidden_layers;
  const std::optional<std::string> prefix = layers_prefix(checkpoint, architecture_of(checkpoint.config()));
  return told > 0 || !prefix ? told : count_layers(checkpoint, *prefix);
}

}  // namespace gyro
