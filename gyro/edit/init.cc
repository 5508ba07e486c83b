#include "gyro/edit/init.h"

#include <algorithm>
#include <cmath>

#include "gyro/base/error.h"
#include "gyro/base/file.h"
#include "gyro/base/parallel.h"
#include "gyro/base/progress.h"
#include "gyro/device/pool.h"
#include "gyro/edit/card.h"
#include "gyro/edit/copy.h"
#include "gyro/edit/diff_folder.h"
#include "gyro/edit/modules.h"
#include "gyro/tensor/narrow.h"

namespace gyro {
namespace {

int64_t first_component(const InitRequest& request, const DiffFolder* diff, const MatrixSite& site) {
  const int64_t n = std::min(site.d_in, site.d_out), rank = module_rank(site, request.rank);
  if (request.band == Band::Top) return 0;
  if (request.band == Band::Bottom) return n - rank;
  if (diff != nullptr) return widest_turn(diff->turn(site), rank);
  const int64_t first = request.first.value_or((n - rank) / 2);
  if (first < 0 || first + rank > n) {
    fail_field("band", "components {} to {} are not all among the {} of {}", first, first + rank - 1, n,
               module_of(site));
  }
  return first;
}

struct ModuleResult {
  std::optional<ModuleAdapter> adapter = {};
  InitRow row = {};
  Bytes bytes = {};
  std::string left = {};  // why the tensor stays whole
};

ModuleResult take_band(const InitRequest& request, const DiffFolder* diff, const TensorSource& base,
                       const MatrixSite& site, const PlannedTensor& tensor) {
  const ResidentWeight resident(load_weight(base, site));
  const Weight& weight = resident.weight();
  const int64_t first = first_component(request, diff, site);
  const double scaling = request.alpha.value_or(static_cast<double>(request.rank)) / static_cast<double>(request.rank);
  const int64_t rank = module_rank(site, request.rank);
  const Factors factors = factorize_any(weight);
  if (const int64_t there = factors.svd.rank(); first + rank > there) {
    return {.bytes = copy_tensor(base, tensor),
            .left = fmt::format("{} has rank {} of {}: components {} to {} are not determined", module_of(site), there,
                                factors.svd.n, first, first + rank - 1)};
  }
  if (diff != nullptr) diff->check_sigma(site, factors.svd.sigma);
  ModuleResult result{ModuleAdapter{module_of(site), component_band(factors, first, rank, scaling)}, {}, {}, {}};
  LoraPair& pair = result.adapter->pair;
  // PEFT keeps the adapter in F32: the residual is taken against what it will read.
  for (std::vector<double>* factor : {&pair.lora_a, &pair.lora_b}) {
    for (double& value : *factor) value = static_cast<float>(value);
  }
  Stored stored = store(moved_to(Space::Host, residual(weight, pair)), tensor.dtype);
  double taken = 0, all = 0;
  for (size_t j = 0; j < factors.svd.sigma.size(); ++j) {
    const double square = factors.svd.sigma[j] * factors.svd.sigma[j];
    all += square;
    const auto index = static_cast<int64_t>(j);
    if (index >= first && index < first + rank) taken += square;
  }
  result.row = {module_of(site), first, rank, taken / all, std::sqrt(stored.rounding / all)};
  result.bytes.resize(tensor.byte_size());
  place_weight(site, tensor.dtype, stored.bytes, tensor.shape.back(), result.bytes);
  return result;
}

// What a residual model is made from.
struct ResidualJob {
  const InitRequest& request;
  const TensorSource& base;
  const DiffFolder* diff;  // if there is one
};

struct Modules {
  std::vector<ModuleAdapter> adapters;
  InitOutcome outcome;
};

// All tensors in order, the sites' without their bands. False if stopped.
bool write_residual(const ResidualJob& job, const std::vector<MatrixSite>& sites,
                    const std::vector<PlannedTensor>& plan, device::Workers& workers, CheckpointWriter& writer,
                    Modules& modules) {
  std::map<std::string_view, const MatrixSite*> site_of;
  for (const MatrixSite& site : sites) site_of[site.tensor] = &site;
  Progress progress("tensors", static_cast<int>(plan.size()), static_cast<double>(plan.size()),
                    job.request.run.progress);
  const auto make_one = [&](const PlannedTensor& tensor) {
    progress.begin(tensor.name);
    const auto it = site_of.find(tensor.name);
    if (it == site_of.end()) return ModuleResult{.bytes = copy_tensor(job.base, tensor)};
    const MatrixSite& site = *it->second;
    ModuleResult result;
    workers.run(site.tensor, working_memory(workers.space(), site.d_in, site.d_out, 1),
                [&] { result = take_band(job.request, job.diff, job.base, site, tensor); });
    return result;
  };
  const auto make = [&](int i) { return checked({&job.base}, [&] { return make_one(plan[static_cast<size_t>(i)]); }); };
  const auto write = [&](int, ModuleResult result) {
    writer.append(result.bytes);
    progress.advance(1, 1);
    if (!result.left.empty()) modules.outcome.left.push_back(std::move(result.left));
    if (!result.adapter) return;
    modules.adapters.push_back(std::move(*result.adapter));
    modules.outcome.rows.push_back(result.row);
  };
  return ordered_parallel(static_cast<int>(plan.size()), workers.count(), make, write, job.request.run.stop);
}

std::string init_card(const TensorSource& base, const InitRequest& request) {
  return fmt::format(
      "{}# {}\n\n`{}` without a band of {} singular components a matrix, which "
      "the LoRA adapter in `{}` holds:\ntogether they are the base again.\n\n    model = "
      "AutoModelForCausalLM.from_pretrained(DIR)\n"
      "    model = PeftModel.from_pretrained(model, DIR, subfolder=\"{}\", is_trainable=True)\n\nMade by `{}`.\n",
      card_head(base, "tags:\n- gyro\n"), printable(named_folder(request.out).filename().string()),
      printable(base.id()), request.rank, request.adapter_folder,
      request.adapter_folder.substr(0, request.adapter_folder.size() - 1), printable(request.command, 2000));
}

}  // namespace

std::optional<InitOutcome> run_init(const InitRequest& request) {
  const TensorSource& base = *request.base;
  const std::vector<MatrixSite> sites = module_sites(map_model(base), request.target_modules);
  check_rank(sites, request.rank);
  device::Workers workers(request.run.cuda, request.run.threads, request.run.memory);
  std::optional<DiffFolder> folder;
  if (!request.diff.empty()) folder.emplace(request.diff, base);
  const DiffFolder* diff = folder ? &*folder : nullptr;
  for (const MatrixSite& site : sites) first_component(request, diff, site);  // bad input before any work
  std::vector<std::filesystem::path> inputs = base.folders();
  inputs.push_back(request.diff);
  check_output_folder(request.out, inputs, request.force);

  const std::vector<PlannedTensor> plan = plan_tensors(base, request.dtype);
  const std::vector<std::string> companions = companion_files(base);
  CheckpointWriter writer(request.out, plan, request.shard_size, request.force);
  Modules modules;
  if (!write_residual({request, base, diff}, sites, plan, workers, writer, modules)) return std::nullopt;
  copy_companions(base, companions, writer);
  writer.add_file("config.json", config_with_dtype(base, request.dtype));
  writer.add_file("README.md", init_card(base, request));
  if (modules.adapters.empty()) fail(base.path().string(), "{}", modules.outcome.left.front());
  add_adapter({{std::filesystem::absolute(request.out).lexically_normal().string(), ""},
               request.rank,
               request.alpha.value_or(static_cast<double>(request.rank)),
               target_modules(base, modules_of(modules.adapters)),
               stored_transposed(sites)},
              modules.adapters, request.adapter_folder, writer);
  writer.finish();
  return std::move(modules.outcome);
}

}  // namespace gyro
