#include "gyro/edit/lora.h"

#include <algorithm>

#include "gyro/base/error.h"
#include "gyro/base/parallel.h"
#include "gyro/base/progress.h"
#include "gyro/device/pool.h"
#include "gyro/diff/outside.h"
#include "gyro/edit/card.h"
#include "gyro/edit/modules.h"
#include "gyro/edit/peft.h"

namespace gyro {

std::optional<LoraOutcome> run_lora(const LoraRequest& request) {
  const TensorSource &base = *request.base, &post = *request.post;
  const ModelMap base_map = map_model(base), post_map = map_model(post);
  check_same_shape(base, base_map, post, post_map);
  if (const std::vector<MatrixType> fused = fused_in_one(base_map, post_map); !fused.empty()) {
    fail(post.path().string(), "and {} do not both have {} fused: an adapter attaches to whole tensors",
         base.path().string(), type_name(fused.front()));
  }
  const std::vector<MatrixSite> sites = module_sites(base_map, request.target_modules);
  check_rank(sites, request.rank);
  device::Workers workers(request.run.cuda, request.run.threads, request.run.memory);
  check_output_folder(request.out, input_folders({&base, &post}), request.force);
  const double alpha = request.alpha.value_or(static_cast<double>(request.rank));
  LoraOutcome outcome;
  outcome.rows.resize(sites.size());
  std::vector<ModuleAdapter> adapters(sites.size());
  Progress progress("modules", static_cast<int>(sites.size()), static_cast<double>(sites.size()), request.run.progress);
  const auto job = [&](int i) {
    const MatrixSite& site = sites[static_cast<size_t>(i)];
    progress.begin(module_of(site));
    const int64_t rank = module_rank(site, request.rank);
    LowRankChange change;
    workers.run(site.tensor, working_memory(workers.space(), site.d_in, site.d_out, 2), [&] {
      const ResidentWeight b(load_weight(base, site)), p(load_weight(post, same_site(post_map, site)));
      change = checked({&base, &post}, [&] {
        return low_rank_change(b.weight(), p.weight(), rank, alpha / static_cast<double>(request.rank));
      });
    });
    outcome.rows[static_cast<size_t>(i)] = {
        module_of(site),      rank, change.change, change.error, change.rank_for(0.5), change.rank_for(0.9),
        change.rank_for(0.99)};
    adapters[static_cast<size_t>(i)] = {module_of(site), std::move(change.pair)};
    progress.advance(1, 1);
  };
  if (!parallel_for(static_cast<int>(sites.size()), workers.count(), job, request.run.stop)) return std::nullopt;
  outcome.left_out =
      differing(base, post, pair_outside(base, base_map, post, post_map, sites), std::max(1, workers.count()));

  CheckpointWriter writer(request.out, {}, 1, request.force);
  add_adapter(
      {base_model(base), request.rank, alpha, target_modules(base, modules_of(adapters)), stored_transposed(sites)},
      adapters, "", writer);
  writer.add_file("README.md",
                  fmt::format("{}The best rank-{} adapter that turns `{}` into `{}`: `{}`.\n",
                              card_head(base, "library_name: peft\ntags:\n- gyro\n- lora\n"), request.rank,
                              printable(base.id()), printable(post.id()), printable(request.command, 2000)));
  writer.finish();
  return outcome;
}

}  // namespace gyro
