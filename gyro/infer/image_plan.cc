#include "gyro/infer/image_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <set>
#include <utility>

#include "gyro/base/error.h"
#include "gyro/tensor/narrow.h"

namespace gyro {
namespace {

constexpr int64_t kMaxLayers = 512, kMaxExperts = 512;  // llama.cpp's

/// What the planning of one model knows and makes.
struct Planning {
  const TensorSource& source;
  std::string subject;  // of messages: the model's folder
  std::string layers;   // prefix of its layers' names, "model.layers."
  std::string model;    // and of what is beside them, "model."
  DType dtype;
  ImagePlan plan;
  std::set<std::string, std::less<>> used;

  bool add(const std::string& tensor, std::string image, Change change, bool as_matrix);
  void add_required(const std::string& tensor, std::string image, Change change, bool as_matrix);
  void add_values(std::string image, std::vector<int64_t> shape, std::vector<float> values);
  void add_matrix(std::string image, std::vector<MatrixSite> sites, std::vector<int64_t> shape, Change change);
};

void set_change(ImageTensor& tensor, const ImagePlan& plan, Change change) {
  const ModelConfig& sizes = plan.parameters.sizes;
  if (change == Change::Norm && plan.architecture->norms_less_one) tensor.added = 1;
  if (!plan.architecture->neighbours) return;
  if (change == Change::QueryHeads) tensor.heads = sizes.num_attention_heads;
  if (change == Change::KeyHeads) tensor.heads = sizes.num_key_value_heads;
  tensor.rotated = plan.parameters.rope_dimensions;
}

bool Planning::add(const std::string& tensor, std::string image, Change change, bool as_matrix) {
  const SourceTensor* entry = source.find(tensor);
  if (entry == nullptr) return false;
  if (!dtype_is_float(entry->dtype) || entry->shape.empty()) {
    fail(subject, "{} is {}, and no floating-point tensor", tensor, dtype_name(entry->dtype));
  }
  if (entry->shape.size() > 2) {
    fail(subject, "{} has {} dimensions, and none of these has more than 2", tensor, entry->shape.size());
  }
  used.insert(tensor);
  ImageTensor made{.name = std::move(image), .shape = entry->shape, .dtype = as_matrix ? dtype : DType::F32};
  made.tensors = {tensor};
  set_change(made, plan, change);
  if (made.heads > 0 && made.shape[0] != made.heads * plan.parameters.sizes.head_dim) {
    fail(subject, "{} has {} rows, which are not {} heads of {}", tensor, made.shape[0], made.heads,
         plan.parameters.sizes.head_dim);
  }
  plan.tensors.push_back(std::move(made));
  return true;
}

void Planning::add_required(const std::string& tensor, std::string image, Change change, bool as_matrix) {
  if (!add(tensor, std::move(image), change, as_matrix)) fail(subject, "has no {}", tensor);
}

void Planning::add_values(std::string image, std::vector<int64_t> shape, std::vector<float> values) {
  ImageTensor made{.name = std::move(image), .shape = std::move(shape)};
  made.values = std::move(values);
  plan.tensors.push_back(std::move(made));
}

void Planning::add_matrix(std::string image, std::vector<MatrixSite> sites, std::vector<int64_t> shape, Change change) {
  ImageTensor made{.name = std::move(image), .shape = std::move(shape), .dtype = dtype};
  for (const MatrixSite& site : sites) used.insert(site.tensor);
  made.sites = std::move(sites);
  set_change(made, plan, change);
  plan.tensors.push_back(std::move(made));
}

/// A layer's matrices by type, experts in their order.
using LayerSites = std::map<MatrixType, std::vector<MatrixSite>>;

void add_mlp(Planning& planning, const std::string& prefix, const LayerSites& sites) {
  using enum MatrixType;
  const MatrixSite& gate = sites.at(Gate).front();
  const int64_t hidden = gate.d_in, inner = gate.d_out;
  if (gate.expert >= 0) {
    const int64_t experts = static_cast<int64_t>(sites.at(Gate).size());
    planning.add_matrix(prefix + "ffn_gate_exps.weight", sites.at(Gate), {experts, inner, hidden}, Change::None);
    planning.add_matrix(prefix + "ffn_up_exps.weight", sites.at(Up), {experts, inner, hidden}, Change::None);
    planning.add_matrix(prefix + "ffn_down_exps.weight", sites.at(Down), {experts, hidden, inner}, Change::None);
    return;
  }
  if (planning.plan.architecture->fused_gate_up) {
    planning.add_matrix(prefix + "ffn_up.weight", {gate, sites.at(Up).front()}, {2 * inner, hidden}, Change::None);
  } else {
    planning.add_matrix(prefix + "ffn_gate.weight", sites.at(Gate), {inner, hidden}, Change::None);
    planning.add_matrix(prefix + "ffn_up.weight", sites.at(Up), {inner, hidden}, Change::None);
  }
  planning.add_matrix(prefix + "ffn_down.weight", sites.at(Down), {hidden, inner}, Change::None);
}

void add_layer(Planning& planning, int64_t layer, const LayerSites& sites) {
  using enum MatrixType;
  const std::string prefix = fmt::format("blk.{}.", layer), from = fmt::format("{}{}.", planning.layers, layer);
  const EngineArchitecture& architecture = *planning.plan.architecture;
  const ModelConfig& sizes = planning.plan.parameters.sizes;
  const int64_t hidden = sizes.hidden_size, q = sizes.num_attention_heads * sizes.head_dim,
                kv = sizes.num_key_value_heads * sizes.head_dim;
  for (const LayerRow& row : architecture.rows) {
    planning.add(from + std::string(row.name), prefix + std::string(row.image), row.change, false);
  }
  planning.add_matrix(prefix + "attn_q.weight", sites.at(Q), {q, hidden}, Change::QueryHeads);
  planning.add_matrix(prefix + "attn_k.weight", sites.at(K), {kv, hidden}, Change::KeyHeads);
  planning.add_matrix(prefix + "attn_v.weight", sites.at(V), {kv, hidden}, Change::None);
  planning.add_matrix(prefix + "attn_output.weight", sites.at(O), {hidden, q}, Change::None);
  add_mlp(planning, prefix, sites);
  if (architecture.image == "granite_swa") {
    planning.add_values(prefix + "attn_sinks.weight", {sizes.num_attention_heads}, {-1e30F});
  }
  if (architecture.image == "glm4moe" && sites.at(Gate).front().expert >= 0) {
    const int64_t inner = sites.at(Gate).front().d_out;
    planning.add_values(prefix + "exp_probs_b.bias", {sizes.num_experts}, {0});
    planning.add_values(prefix + "ffn_gate_shexp.weight", {inner, hidden}, {0});
    planning.add_values(prefix + "ffn_up_shexp.weight", {inner, hidden}, {0});
    planning.add_values(prefix + "ffn_down_shexp.weight", {hidden, inner}, {0});
  }
}

/// What rotation speeds are divided by, by Llama 3's rule: those that turn often within the original context stay, slow
/// ones are divided by the factor, and between the two it goes linearly in the turns.
std::vector<float> llama3_divisors(const Hyperparameters& parameters) {
  const RopeScaling& rope = parameters.rope;
  std::vector<float> divisors;
  for (int64_t i = 0; i < parameters.rope_dimensions; i += 2) {
    const double exponent = static_cast<double>(i) / static_cast<double>(parameters.rope_dimensions);
    const double speed = std::pow(parameters.rope_theta, -exponent);
    const double turns = static_cast<double>(rope.original_context) * speed / (2 * std::numbers::pi);
    const double range = rope.high_freq_factor - rope.low_freq_factor;
    const double kept = range > 0 ? std::clamp((turns - rope.low_freq_factor) / range, 0.0, 1.0)
                                  : static_cast<double>(turns >= rope.high_freq_factor);
    divisors.push_back(static_cast<float>(1 / (kept + (1 - kept) / rope.factor)));
  }
  return divisors;
}

bool same_values(const TensorSource& source, const std::string& a, const std::string& b) {
  const SourceTensor &x = *source.find(a), &y = *source.find(b);
  return x.dtype == y.dtype && x.shape == y.shape && std::ranges::equal(source.read(a).bytes, source.read(b).bytes);
}

/// The output where it is not the embedding. A file that contradicts its config.json is read in one way by some
/// versions of transformers and in another by others.
void add_output(Planning& planning, const std::string& embedding) {
  const bool tied = planning.plan.parameters.tied, always_tied = planning.plan.architecture->norms_less_one;
  const std::string names[] = {"lm_head.weight", planning.model + "lm_head.weight", "language_model.lm_head.weight"};
  const auto* name =
      std::ranges::find_if(names, [&](const std::string& each) { return planning.source.find(each) != nullptr; });
  if (name == std::end(names)) {
    if (tied) return;
    fail(planning.subject, "has no lm_head.weight, and tie_word_embeddings of its config.json is not true");
  }
  planning.used.insert(*name);
  if ((tied || always_tied) && same_values(planning.source, *name, embedding)) return;
  if (tied) {
    fail(planning.subject, "{} is not {}, and tie_word_embeddings of its config.json is true", *name, embedding);
  }
  if (always_tied) fail(planning.subject, "{} is not {}, which this engine does not run", *name, embedding);
  planning.add(*name, "output.weight", Change::None, true);
  if (planning.plan.tensors.back().shape[0] != planning.plan.vocabulary) {
    fail(planning.subject, "{} has {} rows, and {} has {}", *name, planning.plan.tensors.back().shape[0], embedding,
         planning.plan.vocabulary);
  }
}

void add_ends(Planning& planning) {
  const std::string embedding = planning.model + "embed_tokens.weight";
  planning.add_required(embedding, "token_embd.weight", Change::None, true);
  const std::vector<int64_t>& shape = planning.plan.tensors.back().shape;
  const int64_t hidden = planning.plan.parameters.sizes.hidden_size;
  if (shape.size() != 2 || shape[1] != hidden) {
    fail(planning.subject, "{} has the shape [{}], and no row of hidden_size {} a token", embedding,
         fmt::join(shape, ", "), hidden);
  }
  planning.plan.vocabulary = shape[0];
  planning.add_required(planning.model + "norm.weight", "output_norm.weight", Change::Norm, false);
  if (planning.plan.parameters.rope.kind == RopeScaling::Kind::Llama3) {
    std::vector<float> divisors = llama3_divisors(planning.plan.parameters);
    const auto count = static_cast<int64_t>(divisors.size());
    planning.add_values("rope_freqs.weight", {count}, std::move(divisors));
  }
  add_output(planning, embedding);
}

/// Nothing of a layer is left out: a bias that is not added would be a wrong model that runs.
void check_all_used(const Planning& planning) {
  const std::string beyond = fmt::format("{}{}.", planning.layers, planning.plan.parameters.sizes.num_hidden_layers);
  for (const auto& [name, tensor] : planning.source.tensors()) {
    const bool derived = name.ends_with("rotary_emb.inv_freq") || planning.source.is_fp8_scale(name);
    if (!name.starts_with(planning.layers) || derived || name.starts_with(beyond)) continue;
    if (!planning.used.contains(name)) fail(planning.subject, "{} is a tensor that this engine does not run", name);
  }
}

void check_sizes(const std::string& subject, const Hyperparameters& parameters) {
  const ModelConfig& sizes = parameters.sizes;
  if (sizes.num_hidden_layers > kMaxLayers || sizes.num_experts > kMaxExperts) {
    fail(subject, "{} layers and {} experts: this engine runs at most {} and {}", sizes.num_hidden_layers,
         sizes.num_experts, kMaxLayers, kMaxExperts);
  }
  if (sizes.head_dim % 2 != 0 || parameters.rope_dimensions % 2 != 0) {
    fail(subject, "head_dim {} of which {} are rotated: this engine runs even ones", sizes.head_dim,
         parameters.rope_dimensions);
  }
  if (sizes.num_experts > 0 && (parameters.experts_used < 1 || parameters.experts_used > sizes.num_experts)) {
    fail(subject, "num_experts_per_tok {} is not from 1 to {}", parameters.experts_used, sizes.num_experts);
  }
  // llama.cpp has query_pre_attn_scalar by heart: that of Gemma's models.
  const std::string& type = sizes.model_type;
  const bool gemma2 = type == "gemma2", gemma3 = type.starts_with("gemma3");
  const bool by_hidden = (gemma2 && sizes.num_hidden_layers == 46) || (gemma3 && sizes.num_hidden_layers == 62);
  const int64_t runs = by_hidden ? sizes.hidden_size / sizes.num_attention_heads : sizes.head_dim;
  if ((gemma2 || gemma3) && parameters.query_scalar != static_cast<double>(runs)) {
    fail(subject, "query_pre_attn_scalar {} is not run by this engine, which takes {}", parameters.query_scalar, runs);
  }
}

DType engine_dtype(DType stored) {
  if (stored == DType::F16 || stored == DType::BF16 || stored == DType::F32) return stored;
  return stored == DType::F64 ? DType::F32 : DType::BF16;
}

int64_t leading_dense_layers(const std::string& subject, const ModelConfig& sizes) {
  if (sizes.num_experts == 0) return 0;
  int64_t dense = 0;
  while (dense < sizes.num_hidden_layers && !sizes.has_experts(dense)) ++dense;
  for (int64_t layer = dense; layer < sizes.num_hidden_layers; ++layer) {
    if (!sizes.has_experts(layer)) fail(subject, "layer {} without experts, behind one with, is not run", layer);
  }
  return dense;
}

}  // namespace

uint64_t ImageTensor::byte_size() const {
  uint64_t elements = 1;
  for (const int64_t extent : shape) elements *= static_cast<uint64_t>(extent);
  return elements * dtype_size(dtype);
}

ImagePlan plan_image(const TensorSource& source, std::optional<DType> dtype) {
  const std::string subject = source.path().string();
  check_engine_runs(subject, source.config().model_type);
  Hyperparameters parameters = read_hyperparameters(source);
  const EngineArchitecture& architecture = engine_architecture(subject, parameters);
  check_sizes(subject, parameters);
  const ModelMap map = map_model(source);
  const std::string& first = map.sites.front().tensor;
  const std::string layers = first.substr(0, first.find("layers.") + 7);
  const DType stored = source.find(first)->dtype;
  Planning planning{source, subject, layers, layers.substr(0, layers.size() - 7), dtype.value_or(engine_dtype(stored)),
                    {},     {}};
  planning.plan = {&architecture, std::move(parameters), 0, 0, {}};
  planning.plan.dense_layers = leading_dense_layers(subject, planning.plan.parameters.sizes);
  std::vector<LayerSites> sites(static_cast<size_t>(planning.plan.parameters.sizes.num_hidden_layers));
  for (const MatrixSite& site : map.sites) sites[static_cast<size_t>(site.layer)][site.type].push_back(site);
  add_ends(planning);
  for (size_t layer = 0; layer < sites.size(); ++layer) {
    add_layer(planning, static_cast<int64_t>(layer), sites[layer]);
  }
  check_all_used(planning);
  return std::move(planning.plan);
}

int64_t rotated_row(int64_t row, int64_t rotated) {
  return row >= rotated ? row : row / 2 + (row % 2) * (rotated / 2);
}

namespace {

constexpr size_t kPieceBytes = size_t{4} << 20;

/// A tensor of the checkpoint as rows: all but its last dimension folded into one, a vector as a column.
Weight rows_of(const TensorSource& source, const std::string& name) {
  const SourceTensor& entry = *source.find(name);
  TensorLease lease = source.read(name);
  Weight weight;
  weight.name = name;
  weight.dtype = entry.dtype;
  weight.data = lease.bytes.data();
  weight.cols = entry.shape.size() == 1 ? 1 : entry.shape.back();
  weight.rows =
      entry.shape.empty() ? 1 : static_cast<int64_t>(entry.byte_size() / dtype_size(entry.dtype)) / weight.cols;
  weight.mapped = lease.mapped;
  weight.owner = std::move(lease.owner);
  return weight;
}

int64_t source_row(const ImageTensor& tensor, int64_t row, int64_t rows) {
  if (tensor.heads == 0) return row;
  const int64_t head = rows / tensor.heads;
  return row - row % head + rotated_row(row % head, tensor.rotated);
}

/// Hands on the rows of one weight, converted, and returns the offset behind them.
uint64_t stream_rows(const Weight& weight, const ImageTensor& tensor, uint64_t offset, const TensorSink& sink) {
  const auto columns = static_cast<size_t>(weight.cols);
  const size_t row_bytes = columns * dtype_size(tensor.dtype);
  const auto panel = static_cast<int64_t>(std::max<size_t>(1, kPieceBytes / std::max<size_t>(row_bytes, 1)));
  const bool as_stored = weight.dtype == tensor.dtype && weight.scale.data == nullptr && tensor.added == 0;
  std::vector<std::byte> bytes(static_cast<size_t>(std::min(panel, weight.rows)) * row_bytes);
  std::vector<double> values(columns);
  for (int64_t begin = 0; begin < weight.rows; begin += panel) {
    const int64_t end = std::min(weight.rows, begin + panel);
    const size_t size = static_cast<size_t>(end - begin) * row_bytes;
    if (as_stored && tensor.heads == 0) {
      sink(tensor, offset, {weight.row(begin), size});
      offset += size;
      continue;
    }
    for (int64_t row = begin; row < end; ++row) {
      const int64_t from = source_row(tensor, row, weight.rows);
      std::byte* out = bytes.data() + static_cast<size_t>(row - begin) * row_bytes;
      if (as_stored) {
        std::copy_n(weight.row(from), row_bytes, out);
        continue;
      }
      widen(weight, from, from + 1, 0, weight.cols, values.data(), weight.cols);
      for (double& value : values) value += tensor.added;
      narrow(tensor.dtype, values.data(), columns, out);
    }
    sink(tensor, offset, {bytes.data(), size});
    offset += size;
  }
  return offset;
}

void stream_values(const ImageTensor& tensor, const TensorSink& sink) {
  const size_t count = tensor.byte_size() / sizeof(float);
  std::vector<float> values = tensor.values;
  if (values.size() != count) values.assign(count, tensor.values.front());
  sink(tensor, 0, std::as_bytes(std::span(values)));
}

}  // namespace

void stream_tensor(const TensorSource& source, const ImageTensor& tensor, const TensorSink& sink) {
  if (!tensor.values.empty()) return stream_values(tensor, sink);
  uint64_t offset = 0;
  for (const std::string& name : tensor.tensors) offset = stream_rows(rows_of(source, name), tensor, offset, sink);
  for (const MatrixSite& site : tensor.sites) {
    offset = stream_rows(load_weight(source, site), tensor, offset, sink);
  }
}

}  // namespace gyro
