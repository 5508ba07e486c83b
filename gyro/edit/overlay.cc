#include "gyro/edit/overlay.h"

#include <algorithm>
#include <numeric>

#include "gyro/base/error.h"
#include "gyro/checkpoint/overlay.h"
#include "gyro/edit/card.h"
#include "gyro/linalg/linalg.h"

namespace gyro {

// One matrix with the squares of BuildRow's norms.
struct Constructions::Built {
  Bytes bytes = {};
  double change = 0, moved = 0, rounding = 0;
  std::string left = {};  // why it stays the post's
};

namespace {

constexpr int kDense = 2;  // FP64 matrices of the weight's size that a construction has at once

Construction with_scale(const Variant& variant, const MatrixSite& site) {
  Construction what = variant.what;
  const auto it = variant.scales.find(site.type);
  if (it != variant.scales.end()) what.scale = it->second;
  what.seed = matrix_seed(what.seed, site.key());
  return what;
}

}  // namespace

Constructions::Constructions(const BuildRequest& request)
    : request_(request),
      base_map_(map_model(*request.base)),
      post_map_(map_model(*request.post)),
      plan_(plan_tensors(*request.post, request.dtype)),
      workers_(request.run.cuda, request.run.threads, request.run.memory) {
  check_same_shape(*request.base, base_map_, *request.post, post_map_);
  for (const MatrixSite& site : post_map_.sites) {
    if (!type_counts(site.type)) continue;
    if (request.layers.empty() || request.layers.contains(site.layer)) sites_[site.tensor].push_back(site);
  }
}

bool Constructions::replaces(const PlannedTensor& tensor, size_t variant) const {
  if (tensor.dtype != request_.post->find(tensor.name)->dtype) return true;
  const auto sites = sites_.find(tensor.name);
  const Group group = request_.variants[variant].on;
  return sites != sites_.end() && std::any_of(sites->second.begin(), sites->second.end(),
                                              [&](const MatrixSite& site) { return in_group(site.type, group); });
}

std::vector<std::optional<Constructions::Built>> Constructions::build_matrix(const MatrixSite& site, DType dtype,
                                                                             const Variants& variants) const {
  const ResidentWeight resident_base(load_weight(*request_.base, same_site(base_map_, site)));
  const ResidentWeight resident_post(load_weight(*request_.post, site));
  const Weight &base = resident_base.weight(), &post = resident_post.weight();
  const double change = squared_distance(base, post);
  std::optional<std::pair<Factors, Factors>> factors;
  std::vector<std::optional<Built>> out(request_.variants.size());
  for (const size_t v : variants) {
    if (!in_group(site.type, request_.variants[v].on)) continue;
    const Construction what = with_scale(request_.variants[v], site);
    const bool noise = what.operation == Operation::Noise;
    try {
      if (!noise && !factors) factors = factorize(base, post);
    } catch (const RankDeficient& deficient) {
      if (!request_.leave_deficient) throw;
      out[v] = Built{.left = deficient.what()};
      continue;
    }
    Matrix values = noise ? construct_noise(base, post, what.seed) : construct(what, factors->first, factors->second);
    const double moved = squared_distance(as_weight(values, ""), post);
    Stored stored = store(moved_to(Space::Host, std::move(values)), dtype);
    out[v] = Built{std::move(stored.bytes), change, moved, stored.rounding};
  }
  return out;
}

// Lays the variants' versions of a matrix (a tensor, or a slice of one) over post's bytes.
void Constructions::build_site(const MatrixSite& site, const PlannedTensor& tensor, const Variants& variants,
                               ConstructedTensor& result) const {
  std::vector<std::optional<Built>> built;
  workers_.run(site.tensor, working_memory(workers_.space(), site.d_in, site.d_out, kDense),
               [&] { built = build_matrix(site, tensor.dtype, variants); });
  for (const size_t v : variants) {
    if (!built[v]) continue;
    BuildRow row{.variant = variant_name(request_.variants[v]), .type = site.type};
    if (!built[v]->left.empty()) {
      row.left.push_back(built[v]->left);
      result.rows.emplace_back(v, std::move(row));
      continue;
    }
    Bytes& bytes = result.edited.try_emplace(v, result.post).first->second;
    place_weight(site, tensor.dtype, built[v]->bytes, tensor.shape.back(), bytes);
    row.matrices = 1;
    row.change = built[v]->change;
    row.moved = built[v]->moved;
    row.rounding = built[v]->rounding;
    result.rows.emplace_back(v, std::move(row));
  }
}

std::shared_ptr<const ConstructedTensor> Constructions::make(const PlannedTensor& tensor,
                                                             const Variants& variants) const {
  return checked({request_.base.get(), request_.post.get()}, [&] {
    auto result = std::make_shared<ConstructedTensor>();
    const bool needed = std::any_of(variants.begin(), variants.end(), [&](size_t v) { return replaces(tensor, v); });
    if (!needed) return result;
    result->post = copy_tensor(*request_.post, tensor);
    const auto sites = sites_.find(tensor.name);
    if (sites == sites_.end()) return result;
    for (const MatrixSite& site : sites->second) build_site(site, tensor, variants, *result);
    return result;
  });
}

std::shared_ptr<const ConstructedTensor> Constructions::hold(const PlannedTensor& tensor) const {
  Variants all(request_.variants.size());
  std::iota(all.begin(), all.end(), size_t{0});
  std::shared_ptr<const ConstructedTensor> result = make(tensor, all);
  const std::lock_guard lock(mutex_);
  std::erase_if(held_, [](const auto& entry) { return entry.second.expired(); });
  held_[tensor.name] = result;
  return result;
}

std::shared_ptr<const Bytes> Constructions::bytes(const PlannedTensor& tensor, size_t variant) const {
  std::shared_ptr<const ConstructedTensor> result;
  {
    const std::lock_guard lock(mutex_);
    if (const auto held = held_.find(tensor.name); held != held_.end()) result = held->second.lock();
  }
  if (!result) result = make(tensor, {variant});
  return {result, &result->of(variant)};
}

std::shared_ptr<const TensorSource> overlay_of(const std::shared_ptr<const Constructions>& constructions,
                                               size_t variant) {
  const BuildRequest& request = constructions->request();
  OverlaySource::Replacements replaced;
  OverlaySource::Names hidden;
  for (const auto& [name, tensor] : request.post->tensors()) hidden.insert(name);
  for (const PlannedTensor& tensor : constructions->plan()) {
    hidden.erase(tensor.name);  // leaves FP8 scales, which are multiplied in
    if (!constructions->replaces(tensor, variant)) continue;
    replaced[tensor.name] = {{tensor.dtype, tensor.shape}, [=] { return constructions->bytes(tensor, variant); }};
  }
  return std::make_shared<OverlaySource>(request.post, std::move(replaced), hidden,
                                         recipe_text(request, request.variants[variant]), std::vector{request.base});
}

}  // namespace gyro
