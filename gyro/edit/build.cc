#include "gyro/edit/build.h"

#include <cmath>
#include <memory>

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
    what.seed = matrix_seed(what.seed, site.key());
    if (what.operation == Operation::Noise) {
      out[v] = store_built(construct_noise(base, post, what.seed), post, change, dtype);
      continue;
    }
    if (!factors) factors = factorize(base, post);
    out[v] = store_built(construct(what, factors->first, factors->second), post, change, dtype);
  }
  return out;
}

// A tensor as the variants have it, and the rows of its matrices with the variant's number.
struct TensorResult {
  Bytes post;                      // as it is for the variants that leave it alone
  std::map<size_t, Bytes> edited;  // by the variant's number
  std::vector<std::pair<size_t, BuildRow>> rows;

  const Bytes& of(size_t variant) const {
    const auto it = edited.find(variant);
    return it == edited.end() ? post : it->second;
  }
};

// A tensor that some variant edits: its parts (one, or the slices of a fused tensor) laid over post's bytes.
TensorResult build_tensor(const Source& source, const BuildRequest& request, const PlannedTensor& tensor,
                          const std::vector<MatrixSite>& sites, device::Workers& workers) {
  TensorResult result{copy_tensor(source.post, tensor), {}, {}};
  for (const MatrixSite& site : sites) {
    std::vector<std::optional<Built>> built;
    workers.run(site.tensor, working_memory(workers.space(), site.d_in, site.d_out, kDense),
                [&] { built = build_matrix(source, request, site, tensor.dtype); });
    const size_t offset = static_cast<size_t>(site.row_begin * site.d_in) * dtype_size(tensor.dtype);
    for (size_t v = 0; v < built.size(); ++v) {
      if (!built[v]) continue;
      Bytes& bytes = result.edited.try_emplace(v, result.post).first->second;
      std::copy(built[v]->bytes.begin(), built[v]->bytes.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset));
      const BuildRow row = {
          variant_name(request.variants[v]), site.type, 1, built[v]->change, built[v]->moved, built[v]->rounding};
      result.rows.emplace_back(v, row);
    }
  }
  return result;
}

// Sums by variant, in the request's order, and type.
using Rows = std::map<std::pair<size_t, MatrixType>, BuildRow>;

void add_row(Rows& total, size_t variant, const BuildRow& row) {
  BuildRow& sum = total.try_emplace({variant, row.type}, BuildRow{row.variant, row.type, 0, 0, 0, 0}).first->second;
  sum.matrices += row.matrices;
  sum.change += row.change;
  sum.moved += row.moved;
  sum.rounding += row.rounding;
}

using Writers = std::vector<std::unique_ptr<CheckpointWriter>>;

// Tensors in order, as many at a time as there are threads. False if stopped.
bool write_tensors(const Source& source, const BuildRequest& request, const std::vector<PlannedTensor>& plan,
                   device::Workers& workers, Writers& writers, Rows& rows) {
  const Sites sites = edited_sites(source.post_map, request);
  Progress progress("tensors", static_cast<int>(plan.size()), static_cast<double>(plan.size()), request.run.progress);
  const auto build = [&](int i) -> TensorResult {
    const PlannedTensor& tensor = plan[static_cast<size_t>(i)];
    const auto it = sites.find(tensor.name);
    if (it != sites.end()) return build_tensor(source, request, tensor, it->second, workers);
    return {copy_tensor(source.post, tensor), {}, {}};
  };
  const auto write = [&](int, const TensorResult& result) {
    for (size_t v = 0; v < writers.size(); ++v) writers[v]->append(result.of(v));
    for (const auto& [variant, row] : result.rows) add_row(rows, variant, row);
    progress.advance(1, 1);
  };
  return ordered_parallel(static_cast<int>(plan.size()), workers.count(), build, write, request.run.stop);
}

}  // namespace

std::string variant_name(const Variant& variant) {
  return named_folder(variant.folder).filename().string();
}

bool in_group(MatrixType type, Group group) {
  const bool attention =
      type == MatrixType::Q || type == MatrixType::K || type == MatrixType::V || type == MatrixType::O;
  return group == Group::All || attention == (group == Group::Attention);
}

std::optional<std::vector<BuildRow>> run_build(const BuildRequest& request) {
  const Source source(request);
  device::Workers workers(request.run.cuda, request.run.threads, request.run.memory);
  const std::vector<PlannedTensor> plan = plan_tensors(source.post, request.dtype);
  const std::vector<std::filesystem::path> companions = companion_files(source.post);
  for (const Variant& variant : request.variants) {
    check_output_folder(variant.folder, {request.base, request.post}, request.force);
  }
  MadeFolders parents;  // one for all: no writer can remove a folder that others still write in
  Writers writers;
  for (const Variant& variant : request.variants) {
    parents.make(named_folder(variant.folder).parent_path());
    writers.push_back(std::make_unique<CheckpointWriter>(variant.folder, plan, request.shard_size, request.force));
  }
  Rows sums;
  if (!write_tensors(source, request, plan, workers, writers, sums)) return std::nullopt;
  std::vector<BuildRow> rows;
  for (const auto& [key, row] : sums) rows.push_back(row);
  for (size_t v = 0; v < writers.size(); ++v) {
    add_companion_files(source.post, companions, request, request.variants[v], rows, *writers[v]);
  }
  for (const auto& writer : writers) writer->finish();  // all or none of them, short of a rename that fails
  for (BuildRow& row : rows) {
    for (double* norm : {&row.change, &row.moved, &row.rounding}) *norm = std::sqrt(*norm);
  }
  return rows;
}

}  // namespace gyro
