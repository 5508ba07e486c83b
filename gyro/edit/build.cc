#include "gyro/edit/build.h"

#include <cmath>
#include <memory>

#include "gyro/base/file.h"
#include "gyro/base/parallel.h"
#include "gyro/base/progress.h"
#include "gyro/checkpoint/writer.h"
#include "gyro/edit/card.h"
#include "gyro/edit/overlay.h"

namespace gyro {
namespace {

// Sums by variant, in the request's order, and type.
using Rows = std::map<std::pair<size_t, MatrixType>, BuildRow>;

void add_row(Rows& total, size_t variant, const BuildRow& row) {
  BuildRow& sum =
      total.try_emplace({variant, row.type}, BuildRow{.variant = row.variant, .type = row.type}).first->second;
  sum.matrices += row.matrices;
  sum.change += row.change;
  sum.moved += row.moved;
  sum.rounding += row.rounding;
  sum.left.insert(sum.left.end(), row.left.begin(), row.left.end());
}

using Writers = std::vector<std::unique_ptr<CheckpointWriter>>;

// A tensor of every variant, and what was made of it.
struct Tensors {
  std::shared_ptr<const ConstructedTensor> made;
  std::vector<TensorLease> leases;  // by variant
};

// Tensors in order, as many at a time as there are threads. False if stopped.
bool write_tensors(const BuildRequest& request, const std::shared_ptr<const Constructions>& constructions,
                   Writers& writers, Rows& rows) {
  const std::vector<PlannedTensor>& plan = constructions->plan();
  std::vector<std::shared_ptr<const TensorSource>> sources;
  for (size_t v = 0; v < writers.size(); ++v) sources.push_back(overlay_of(constructions, v));
  Progress progress("tensors", static_cast<int>(plan.size()), static_cast<double>(plan.size()), request.run.progress);
  const auto read = [&](int i) {
    const PlannedTensor& tensor = plan[static_cast<size_t>(i)];
    progress.begin(tensor.name);
    Tensors tensors{constructions->hold(tensor), {}};
    for (const auto& source : sources) {
      source->prefetch(tensor.name, 0, source->find(tensor.name)->rows());
      tensors.leases.push_back(source->read(tensor.name));
    }
    return tensors;
  };
  const auto write = [&](int, const Tensors& tensors) {
    checked({request.post.get()}, [&] {
      for (size_t v = 0; v < writers.size(); ++v) writers[v]->append(tensors.leases[v].bytes);
    });
    for (const auto& [variant, row] : tensors.made->rows) add_row(rows, variant, row);
    progress.advance(1, 1);
  };
  return ordered_parallel(static_cast<int>(plan.size()), constructions->threads(), read, write, request.run.stop);
}

}  // namespace

std::string variant_name(const Variant& variant) {
  return named_folder(variant.folder).filename().string();
}

bool in_group(MatrixType type, Group group) {
  return group == Group::All || type_is_attention(type) == (group == Group::Attention);
}

std::optional<std::vector<BuildRow>> run_build(const BuildRequest& request) {
  const auto constructions = std::make_shared<const Constructions>(request);
  const std::vector<std::string> companions = companion_files(*request.post);
  for (const Variant& variant : request.variants) {
    check_output_folder(variant.folder, input_folders({request.base.get(), request.post.get()}), request.force);
  }
  MadeFolders parents;  // one for all: no writer can remove a folder that others still write in
  Writers writers;
  for (const Variant& variant : request.variants) {
    parents.make(named_folder(variant.folder).parent_path());
    writers.push_back(
        std::make_unique<CheckpointWriter>(variant.folder, constructions->plan(), request.shard_size, request.force));
  }
  Rows sums;
  if (!write_tensors(request, constructions, writers, sums)) return std::nullopt;
  std::vector<BuildRow> rows;
  for (const auto& [key, row] : sums) rows.push_back(row);
  for (size_t v = 0; v < writers.size(); ++v) {
    add_companion_files(companions, request, request.variants[v], rows, *writers[v]);
  }
  for (const auto& writer : writers) writer->finish();  // all or none of them, short of a rename that fails
  for (BuildRow& row : rows) {
    for (double* norm : {&row.change, &row.moved, &row.rounding}) *norm = std::sqrt(*norm);
  }
  return rows;
}

}  // namespace gyro
