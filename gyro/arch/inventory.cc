#include "gyro/arch/inventory.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "gyro/arch/table.h"
#include "gyro/base/error.h"

namespace gyro {
namespace {

// Names of embeddings and output layers, behind what wrappers put before them.
constexpr std::string_view kEmbeddings[] = {"embed_tokens.weight", "tok_embeddings.weight", "wte.weight",
                                            "embed_in.weight", "word_embeddings.weight"};
constexpr std::string_view kHeads[] = {"lm_head.weight", "embed_out.weight", "output_layer.weight", "output.weight"};

bool is_named(std::string_view name, std::span<const std::string_view> names) {
  return std::ranges::any_of(names, [&](std::string_view wanted) {
    if (!name.ends_with(wanted)) return false;
    const std::string_view before = name.substr(0, name.size() - wanted.size());
    const bool of_layer = before.find_first_of("0123456789") != before.npos;
    return before.empty() || (before.ends_with('.') && !of_layer);
  });
}

// The matrix that is called so: the language model's own where there are several, whose path is the shortest.
const std::pair<const std::string, SourceTensor>* find_named(const TensorSource& source,
                                                             bool (*is_name)(std::string_view)) {
  const std::pair<const std::string, SourceTensor>* best = nullptr;
  for (const auto& entry : source.tensors()) {
    const std::string& name = entry.first;
    if (entry.second.shape.size() != 2 || !is_name(name)) continue;
    if (best == nullptr || name.size() < best->first.size()) best = &entry;
  }
  return best;
}

int64_t elements(const TensorSource& source, const std::string& name) {
  const SourceTensor& tensor = *source.find(name);
  if (!dtype_is_float(tensor.dtype) || source.is_fp8_scale(name)) return 0;
  return static_cast<int64_t>(tensor.byte_size() / dtype_size(tensor.dtype));
}

void add_groups(const TensorSource& source, const ModelMap& map, Inventory& out) {
  struct Seen {
    MatrixGroup group;
    std::set<int64_t> layers, experts;
    std::set<std::string> dtypes;
  };
  std::map<std::tuple<MatrixType, int64_t, int64_t>, Seen> groups;
  for (const MatrixSite& site : map.sites) {
    if (type_is_fused(site.type)) continue;
    Seen& seen = groups[{site.type, site.d_out, site.d_in}];
    MatrixGroup& group = seen.group;
    if (group.count++ == 0) {
      group.type = site.type;
      group.d_out = site.d_out;
      group.d_in = site.d_in;
      group.tensor = site.tensor;
    }
    group.sliced |= site.sliced;
    seen.layers.insert(site.layer);
    if (site.expert >= 0) seen.experts.insert(site.expert);
    seen.dtypes.emplace(dtype_name(source.find(site.tensor)->dtype));
  }
  for (auto& [key, seen] : groups) {
    seen.group.layers = static_cast<int64_t>(seen.layers.size());
    seen.group.experts = static_cast<int64_t>(seen.experts.size());
    seen.group.dtypes = fmt::format("{}", fmt::join(seen.dtypes, ", "));
    out.matrices.push_back(std::move(seen.group));
  }
}

}  // namespace

bool is_embeddings_name(std::string_view name) {
  return is_named(name, kEmbeddings);
}

bool is_head_name(std::string_view name) {
  return is_named(name, kHeads);
}

bool is_tied(const TensorSource& model) {
  const ModelConfig& config = model.config();
  if (config.tie_word_embeddings) return *config.tie_word_embeddings;
  if (find_architecture(config) != nullptr) return ties_by_default(config.model_type);
  return find_named(model, is_head_name) == nullptr;
}

Inventory take_inventory(const TensorSource& source) {
  Inventory out;
  out.config = source.config();
  std::set<std::string, std::less<>> held;
  try {
    const ModelMap map = map_model(source);
    out.warnings = map.warnings;
    for (const MatrixSite& site : map.sites) held.insert(site.tensor);
    add_groups(source, map, out);
  } catch (const Error& error) {
    out.no_matrices = error.what();
    out.warnings = source.all_warnings();
  }
  try {
    out.config = complete_config(source);
  } catch (const Error&) {  // what config.json says, then, and nothing that it leaves out
  }
  out.parameters = source.parameters();
  for (const auto& [name, tensor] : source.tensors()) {
    ++out.tensors;
    out.bytes += tensor.byte_size();
    if (held.contains(name) || source.is_fp8_scale(name)) continue;
    ++out.other_tensors;
    out.other_parameters += elements(source, name);
  }
  if (const auto* embeddings = find_named(source, is_embeddings_name)) out.vocabulary = embeddings->second.rows();
  out.tied = is_tied(source);
  if (const auto* head = find_named(source, is_head_name)) out.head = head->first;
  return out;
}

}  // namespace gyro
