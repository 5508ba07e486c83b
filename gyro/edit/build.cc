#include "gyro/edit/build.h"

#include <cmath>
#include <memory>
#include <mutex>

#include "gyro/base/error.h"
#include "gyro/base/file.h"
#include "gyro/base/parallel.h"
#include "gyro/base/progress.h"
#include "gyro/checkpoint/writer.h"
#include "gyro/device/pool.h"
#include "gyro/edit/card.h"
#include "gyro/edit/copy.h"
#include "gyro/linalg/linalg.h"
#include "gyro/tensor/narrow.h"

namespace gyro {
namespace {

using Sites = std::map<std::string, std::vector<MatrixSite>, std::less<>>;  // by tensor, the fused whole left out

struct Source {
  Checkpoint base, post;
  ModelMap base_map, post_map;
  explicit Source(const BuildRequest& request)
      : base(request.base), post(request.post), base_map(map_model(base)), post_map(map_model(post)) {
    check_same_shape(base, base_map, post, post_map);
  }
};

Sites edited_sites(const ModelMap& map, const BuildRequest& request) {
  Sites sites;
  for (const MatrixSite& site : map.sites) {
    if (type_is_fused(site.type)) continue;
    if (request.layers.empty() || request.layers.contains(site.layer)) sites[site.tensor].push_back(site);
  }
  return sites;
}

// One matrix with the squares of BuildRow's norms.
struct Built {
  Bytes bytes;
  double change = 0, moved = 0, rounding = 0;
};

Built store_built(Matrix&& values, const Weight& post, double change, DType dtype) {
  const double moved = squared_distance(as_weight(values, ""), post);
  Stored stored = store(moved_to(Space::Host, std::move(values)), dtype);
  return {std::move(stored.bytes), change, moved, stored.rounding};
}

Construction with_scale(const Variant& variant, MatrixType type) {
  Construction what = variant.what;
  const auto it = variant.scales.find(type);
  if (it != variant.scales.end()) what.scale = it->second;
  return what;
}

constexpr int kDense = 2;  // FP64 matrices of the weight's size that a construction has at once

// All variants' versions of one matrix; nothing for a variant that leaves it alone.
std::vector<std::optional<Built>> build_matrix(const Source& source, const BuildRequest& request,
                                               const MatrixSite& site, DType dtype) {
  const ResidentWeight resident_base(load_weight(source.base, site)), resident_post(load_weight(source.post, site));
  const Weight &base = resident_base.weight(), &post = resident_post.weight();
  std::optional<std::pair<Factors, Factors>> factors;
  const double change = squared_distance(base, post);
  std::vector<std::optional<Built>> out(request.variants.size());
  for (size_t v = 0; v < request.variants.size(); ++v) {
    const Variant& variant = request.variants[v];
    if (!in_group(site.type, variant.on)) continue;
    Construction what = with_scale(variant, site.type);
    what.seed = matrix_seed(what.seed, site);
    if (what.operation == Operation::Noise) {
      out[v] = store_built(construct_noise(base, post, what.seed), post, change, dtype);
      continue;
    }
    if (!factors) factors = factorize(base, post);
    out[v] = store_built(construct(what, factors->first, factors->second), post, change, dtype);
  }
  return out;
}

struct TensorResult {
  std::vector<Bytes> bytes;  // by variant
  std::vector<BuildRow> rows;
};

// A tensor that some variant edits: its parts (one, or the slices of a fused tensor) laid over post's bytes.
TensorResult build_tensor(const Source& source, const BuildRequest& request, const PlannedTensor& tensor,
                          const std::vector<MatrixSite>& sites, device::Workers& workers) {
  const Bytes plain = copy_tensor(source.post, tensor);
  TensorResult result{std::vector<Bytes>(request.variants.size(), plain), {}};
  for (const MatrixSite& site : sites) {
    std::vector<std::optional<Built>> built;
    workers.run(site.tensor, device_memory(site.d_in, site.d_out, kDense),
                [&] { built = build_matrix(source, request, site, tensor.dtype); });
    const size_t offset = static_cast<size_t>(site.row_begin * site.d_in) * dtype_size(tensor.dtype);
    for (size_t v = 0; v < built.size(); ++v) {
      if (!built[v]) continue;
      std::copy(built[v]->bytes.begin(), built[v]->bytes.end(),
                result.bytes[v].begin() + static_cast<std::ptrdiff_t>(offset));
      result.rows.push_back({request.variants[v].folder.filename().string(), site.type, 1, built[v]->change,
                             built[v]->moved, built[v]->rounding});
    }
  }
  return result;
}

void add_rows(std::vector<BuildRow>& total, const std::vector<BuildRow>& rows) {
  for (const BuildRow& row : rows) {
    const auto same = [&](const BuildRow& r) { return r.variant == row.variant && r.type == row.type; };
    auto it = std::find_if(total.begin(), total.end(), same);
    if (it == total.end()) it = total.insert(it, BuildRow{row.variant, row.type, 0, 0, 0, 0});
    it->matrices += row.matrices;
    it->change += row.change;
    it->moved += row.moved;
    it->rounding += row.rounding;
  }
}

// Where a row's variant stands in the request.
size_t place(const BuildRequest& request, const BuildRow& row) {
  size_t v = 0;
  while (v < request.variants.size() && request.variants[v].folder.filename().string() != row.variant) ++v;
  return v;
}

using Writers = std::vector<std::unique_ptr<CheckpointWriter>>;

// Tensors in order, as many at a time as there are threads. False if stopped.
bool write_tensors(const Source& source, const BuildRequest& request, const std::vector<PlannedTensor>& plan,
                   device::Workers& workers, Writers& writers, std::vector<BuildRow>& rows) {
  const Sites sites = edited_sites(source.post_map, request);
  const auto threads = static_cast<size_t>(workers.count());
  Progress progress("tensors", static_cast<int>(plan.size()), static_cast<double>(plan.size()), request.progress);
  for (size_t begin = 0; begin < plan.size(); begin += threads) {
    const size_t count = std::min(threads, plan.size() - begin);
    std::vector<TensorResult> results(count);
    const bool done = parallel_for(
        static_cast<int>(count), static_cast<int>(threads),
        [&](int i) {
          const PlannedTensor& tensor = plan[begin + static_cast<size_t>(i)];
          const auto it = sites.find(tensor.name);
          TensorResult& result = results[static_cast<size_t>(i)];
          if (it != sites.end()) {
            result = build_tensor(source, request, tensor, it->second, workers);
          } else {
            result.bytes.push_back(copy_tensor(source.post, tensor));
          }
        },
        request.stop);
    if (!done) return false;
    for (TensorResult& result : results) {
      for (size_t v = 0; v < writers.size(); ++v)
        writers[v]->append(result.bytes[std::min(v, result.bytes.size() - 1)]);
      add_rows(rows, result.rows);
      progress.advance(1, 1);
    }
  }
  return true;
}

}  // namespace

bool in_group(MatrixType type, Group group) {
  const bool attention =
      type == MatrixType::Q || type == MatrixType::K || type == MatrixType::V || type == MatrixType::O;
  return group == Group::All || attention == (group == Group::Attention);
}

std::optional<std::vector<BuildRow>> run_build(const BuildRequest& request) {
  const Source source(request);
  device::Workers workers(request.cuda, request.threads);
  const std::vector<PlannedTensor> plan = plan_tensors(source.post, request.dtype);
  for (const Variant& variant : request.variants) {
    check_output_folder(variant.folder, {request.base, request.post}, request.force);
  }
  MadeFolders parents;  // one for all: no writer can remove a folder that others still write in
  Writers writers;
  for (const Variant& variant : request.variants) {
    parents.make(variant.folder.parent_path());
    writers.push_back(std::make_unique<CheckpointWriter>(variant.folder, plan, request.shard_size, request.force));
  }
  std::vector<BuildRow> rows;
  if (!write_tensors(source, request, plan, workers, writers, rows)) return std::nullopt;
  for (size_t v = 0; v < writers.size(); ++v) {
    add_companion_files(source.post, request, request.variants[v], rows, *writers[v]);
  }
  for (const auto& writer : writers) writer->finish();  // all or none of them, short of a rename that fails
  std::stable_sort(rows.begin(), rows.end(), [&](const BuildRow& a, const BuildRow& b) {
    return std::pair(place(request, a), a.type) < std::pair(place(request, b), b.type);
  });
  for (BuildRow& row : rows) {
    for (double* norm : {&row.change, &row.moved, &row.rounding}) *norm = std::sqrt(*norm);
  }
  return rows;
}

}  // namespace gyro
