#include "gyro/probe/rotations.h"

#include <algorithm>
#include <numeric>

#include "gyro/base/error.h"
#include "gyro/base/parallel.h"
#include "gyro/base/progress.h"
#include "gyro/device/pool.h"
#include "gyro/diff/plan.h"

namespace gyro {
namespace {

// A model of the run with where its matrices are.
struct Model {
  std::shared_ptr<const TensorSource> source;
  ModelMap map;
};

// Base, post, others.
std::vector<Model> mapped_models(const RotationRequest& request) {
  std::vector<std::shared_ptr<const TensorSource>> sources = {request.base, request.post};
  sources.insert(sources.end(), request.others.begin(), request.others.end());
  std::vector<Model> models;
  std::vector<std::string> identities;
  for (const auto& source : sources) {
    models.push_back({source, map_model(*source)});
    check_same_shape(*request.base, models.front().map, *source, models.back().map);
    identities.push_back(source->identity());
    const auto twice = std::find(identities.begin(), identities.end() - 1, identities.back());
    if (twice != identities.end() - 1) {
      fail(source->path().string(), "is the same model as {}",
           sources[static_cast<size_t>(twice - identities.begin())]->path().string());
    }
  }
  return models;
}

std::vector<MatrixSite> sites_of(const ModelMap& map) {
  std::vector<MatrixSite> sites;
  for (const MatrixSite& site : map.sites) {
    if (type_counts(site.type)) sites.push_back(site);
  }
  return sites;
}

std::vector<RotationPair> compare_site(const RotationRequest& request, const std::vector<Model>& models,
                                       const MatrixSite& site) {
  std::vector<const TensorSource*> sources;
  for (const Model& model : models) sources.push_back(model.source.get());
  return checked(sources, [&] {
    const auto weight = [&](const Model& model) { return load_weight(*model.source, same_site(model.map, site)); };
    const Weight base = weight(models[0]), post = weight(models[1]);
    SharedRotation rotation(base, post, {request.null_draws, matrix_seed(request.seed, site.key())});
    std::vector<RotationPair> pairs;
    for (size_t i = 2; i < models.size(); ++i) pairs.push_back(rotation.compare(weight(models[i])));
    return pairs;
  });
}

}  // namespace

std::optional<std::vector<RotationComparison>> compare_rotations(const RotationRequest& request) {
  constexpr int kDense = 2;  // noise in FP64, and the factors of a third model
  const std::vector<Model> models = mapped_models(request);
  const std::vector<MatrixSite> sites = sites_of(models.front().map);
  std::vector<size_t> order(sites.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return work_of(sites[a]) > work_of(sites[b]); });
  double total_work = 0;
  for (const MatrixSite& site : sites) total_work += work_of(site);
  device::Workers workers(request.run.cuda, request.run.threads, request.run.memory);
  Progress progress("matrices", static_cast<int>(sites.size()), total_work, request.run.progress);
  std::vector<std::vector<RotationPair>> pairs(sites.size());
  const auto job = [&](int i) {
    const size_t at = order[static_cast<size_t>(i)];
    const MatrixSite& site = sites[at];
    for (const Model& model : models) prefetch_weight(*model.source, same_site(model.map, site));
    progress.begin(matrix_name(site.key()));
    workers.run(site.tensor, working_memory(workers.space(), site.d_in, site.d_out, kDense),
                [&] { pairs[at] = compare_site(request, models, site); });
    progress.advance(1, work_of(site));
  };
  if (!parallel_for(static_cast<int>(sites.size()), workers.count(), job, request.run.stop)) return std::nullopt;
  std::vector<RotationComparison> out;
  for (size_t other = 0; other < request.others.size(); ++other) {
    std::vector<RotationRow> rows;
    for (size_t i = 0; i < sites.size(); ++i) {
      rows.push_back({sites[i].key(), sites[i].d_in, sites[i].d_out, std::move(pairs[i][other])});
    }
    out.push_back(pool_rotations(std::move(rows), request.null_draws));
  }
  return out;
}

}  // namespace gyro
