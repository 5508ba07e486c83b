#include "gyro/edit/init.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "gyro/base/error.h"
#include "gyro/base/file.h"
#include "gyro/base/parallel.h"
#include "gyro/base/progress.h"
#include "gyro/device/pool.h"
#include "gyro/edit/card.h"
#include "gyro/edit/copy.h"
#include "gyro/edit/diff_folder.h"
#include "gyro/tensor/narrow.h"

namespace gyro {
namespace {

int64_t first_component(const InitRequest& request, const DiffFolder* diff, const MatrixSite& site) {
  const int64_t n = std::min(site.d_in, site.d_out);
  if (request.band == Band::Top) return 0;
  if (request.band == Band::Bottom) return n - request.rank;
  if (diff != nullptr) return widest_turn(diff->turn(site), request.rank);
  const int64_t first = request.first.value_or((n - request.rank) / 2);
  if (first < 0 || first + request.rank > n) {
    fail_field("band", "components {} to {} are not all among the {} of {}", first, first + request.rank - 1, n,
               module_of(site));
  }
  return first;
}

struct ModuleResult {
  std::optional<ModuleAdapter> adapter;
  InitRow row;
  Bytes bytes;
};

ModuleResult take_band(const InitRequest& request, const DiffFolder* diff, const TensorSource& base,
                       const MatrixSite& site, const PlannedTensor& tensor) {
  const ResidentWeight resident(load_weight(base, site));
  const Weight& weight = resident.weight();
  const int64_t first = first_component(request, diff, site);
  const double scaling = request.alpha.value_or(static_cast<double>(request.rank)) / static_cast<double>(request.rank);
  const Factors factors = factorize(weight);
  if (diff != nullptr) diff->check_sigma(site, factors.svd.sigma);
  ModuleResult result{ModuleAdapter{module_of(site), component_band(factors, first, request.rank, scaling)}, {}, {}};
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
    if (index >= first && index < first + request.rank) taken += square;
  }
  result.row = {module_of(site), first, taken / all, std::sqrt(stored.rounding / all)};
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
  std::vector<InitRow> rows;
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
    if (it == site_of.end()) return ModuleResult{{}, {}, copy_tensor(job.base, tensor)};
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
    if (!result.adapter) return;
    modules.adapters.push_back(std::move(*result.adapter));
    modules.rows.push_back(result.row);
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

std::string module_of(const MatrixSite& site) {
  return site.tensor.ends_with(".weight") ? site.tensor.substr(0, site.tensor.size() - 7) : site.tensor;
}

std::string short_module(const std::string& module) {
  return module.substr(module.rfind('.') + 1);
}

std::vector<std::string> short_modules(const ModelMap& map, const std::vector<MatrixSite>& sites) {
  std::set<std::string> modules, others, names;
  for (const MatrixSite& site : sites) modules.insert(module_of(site));
  for (const MatrixSite& site : map.sites) {
    if (!modules.contains(module_of(site))) others.insert(short_module(module_of(site)));
  }
  for (const std::string& module : modules) {
    const std::string last = short_module(module);
    const std::string above = module.substr(0, module.size() - last.size() - 1);
    names.insert(others.contains(last) ? short_module(above) + "." + last : last);
  }
  return {names.begin(), names.end()};
}

bool stored_transposed(const std::vector<MatrixSite>& sites) {
  return std::ranges::any_of(sites, &MatrixSite::transposed);
}

void check_rank(const std::vector<MatrixSite>& sites, int64_t rank) {
  for (const MatrixSite& site : sites) {
    const int64_t n = std::min(site.d_in, site.d_out);
    if (rank > n) fail_field("rank", "{} is more than the {} components of {}", rank, n, module_of(site));
  }
}

std::vector<MatrixSite> module_sites(const ModelMap& map, const std::set<std::string>& target_modules) {
  std::vector<MatrixSite> sites;
  std::set<std::string> found;
  std::map<std::string, std::string> parts;  // targets that are parts of a fused tensor, and that
  for (const MatrixSite& site : map.sites) {
    const std::string name = short_module(module_of(site));
    const auto names_it = [&](const std::string& target) {
      return target == name || type_from_name(target) == site.type;
    };
    const auto named = std::ranges::find_if(target_modules, names_it);
    if (!target_modules.empty() && named == target_modules.end()) continue;
    if (site.sliced && site.expert >= 0) {
      fail_field(
          "target_modules",
          "{} holds all experts of its layer, and an adapter attaches to single matrices: name other projections",
          site.tensor);
    }
    if (site.sliced) {
      if (named != target_modules.end()) parts.emplace(*named, site.tensor);
      continue;
    }
    std::ranges::copy_if(target_modules, std::inserter(found, found.end()), names_it);
    sites.push_back(site);
  }
  for (const std::string& target : target_modules) {
    if (found.contains(target)) continue;
    const auto part = parts.find(target);
    if (part == parts.end()) fail_field("target_modules", "the model has no projection '{}'", target);
    fail_field("target_modules", "{} is a part of {}, and an adapter attaches to it whole: name '{}'", target,
               part->second, short_module(module_of({.tensor = part->second})));
  }
  return sites;
}

std::optional<std::vector<InitRow>> run_init(const InitRequest& request) {
  const TensorSource& base = *request.base;
  const ModelMap map = map_model(base);
  const std::vector<MatrixSite> sites = module_sites(map, request.target_modules);
  check_rank(sites, request.rank);
  device::Workers workers(request.run.cuda, request.run.threads, request.run.memory);
  std::optional<DiffFolder> folder;
  if (!request.diff.empty()) folder.emplace(request.diff, base);
  const DiffFolder* diff = folder ? &*folder : nullptr;
  for (const MatrixSite& site : sites) first_component(request, diff, site);  // bad input before any work
  check_output_folder(request.out, {base.path(), request.diff}, request.force);

  const std::vector<PlannedTensor> plan = plan_tensors(base, request.dtype);
  const std::vector<std::string> companions = companion_files(base);
  CheckpointWriter writer(request.out, plan, request.shard_size, request.force);
  Modules modules;
  if (!write_residual({request, base, diff}, sites, plan, workers, writer, modules)) return std::nullopt;
  copy_companions(base, companions, writer);
  writer.add_file("config.json", config_with_dtype(base, request.dtype));
  writer.add_file("README.md", init_card(base, request));
  add_adapter({request.out.string(),
               request.rank,
               request.alpha.value_or(static_cast<double>(request.rank)),
               short_modules(map, sites),
               {},
               stored_transposed(sites)},
              modules.adapters, request.adapter_folder, writer);
  writer.finish();
  return std::move(modules.rows);
}

}  // namespace gyro
