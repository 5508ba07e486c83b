#include "gyro/edit/rescale.h"

#include <algorithm>
#include <set>

#include "gyro/base/error.h"
#include "gyro/base/parallel.h"
#include "gyro/base/progress.h"
#include "gyro/device/pool.h"
#include "gyro/edit/card.h"
#include "gyro/edit/copy.h"

namespace gyro {
namespace {

using Sites = std::map<std::string, std::vector<MatrixSite>, std::less<>>;  // those to be scaled, by tensor

Sites scaled_sites(const ModelMap& map, const std::map<MatrixType, double>& by) {
  Sites sites;
  std::set<MatrixType> found;
  for (const MatrixSite& site : map.sites) {
    if (!by.contains(site.type)) continue;
    sites[site.tensor].push_back(site);
    found.insert(site.type);
  }
  for (const auto& [type, factor] : by) {
    if (!found.contains(type)) fail_field("types", "the model has no {}", type_name(type));
  }
  return sites;
}

// Lays a site's scaled values over the tensor's bytes.
void scale_site(const TensorSource& base, const MatrixSite& site, double factor, const PlannedTensor& tensor,
                Bytes& bytes) {
  Matrix values = linalg::widen(load_weight(base, site));
  std::for_each_n(values.data(), values.rows() * values.cols(), [&](double& value) { value *= factor; });
  place_weight(site, tensor.dtype, store(values, tensor.dtype).bytes, tensor.shape.back(), bytes);
}

}  // namespace

bool run_rescale(const RescaleRequest& request) {
  const TensorSource& base = *request.base;
  const Sites sites = scaled_sites(map_model(base), request.by);
  check_output_folder(request.out, base.folders(), request.force);
  const std::vector<PlannedTensor> plan = plan_tensors(base, request.dtype);
  const std::vector<std::string> companions = companion_files(base);
  CheckpointWriter writer(request.out, plan, request.shard_size, request.force);
  device::Workers workers(false, request.run.threads, request.run.memory);
  Progress progress("tensors", static_cast<int>(plan.size()), static_cast<double>(plan.size()), request.run.progress);
  const auto make_one = [&](const PlannedTensor& tensor) {
    progress.begin(tensor.name);
    Bytes bytes = copy_tensor(base, tensor);
    if (const auto it = sites.find(tensor.name); it != sites.end()) {
      for (const MatrixSite& site : it->second) {
        const auto values = sizeof(double) * static_cast<size_t>(site.d_in * site.d_out);
        workers.run(site.tensor, values, [&] { scale_site(base, site, request.by.at(site.type), tensor, bytes); });
      }
    }
    return bytes;
  };
  const auto make = [&](int i) { return checked({&base}, [&] { return make_one(plan[static_cast<size_t>(i)]); }); };
  const auto write = [&](int, const Bytes& bytes) {
    writer.append(bytes);
    progress.advance(1, 1);
  };
  if (!ordered_parallel(static_cast<int>(plan.size()), workers.count(), make, write, request.run.stop)) return false;
  copy_companions(base, companions, writer);
  writer.add_file("config.json", config_with_dtype(base, request.dtype));
  writer.add_file("README.md",
                  fmt::format("{}`{}` with some weights rescaled: `{}`.\n", card_head(base, "tags:\n- gyro\n"),
                              printable(base.id()), printable(request.command, 2000)));
  writer.finish();
  return true;
}

}  // namespace gyro
