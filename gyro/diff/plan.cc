#include "gyro/diff/plan.h"

#include <algorithm>
#include <cmath>
#include <future>
#include <limits>
#include <map>
#include <numeric>
#include <set>

#include "gyro/base/error.h"
#include "gyro/base/limits.h"
#include "gyro/base/random.h"
#include "gyro/base/sha256.h"
#include "gyro/base/version.h"
#include "gyro/device/pool.h"
#include "gyro/diff/between.h"
#include "gyro/diff/document.h"
#include "gyro/diff/findings.h"
#include "gyro/diff/result_names.h"
#include "gyro/diff/tokens.h"
#include "gyro/diff/trajectory.h"
#include "gyro/linalg/linalg.h"
#include "gyro/open/open.h"

namespace gyro {
namespace {

// Counts the changes of what is measured, so that no journal of an earlier state of the code is gone on with.
constexpr int kMeasures = 6;
// Row and column factors are fitted out of E in each eighth layer of large models.
constexpr int64_t kRescaledLayers = 8;
constexpr size_t kZeroRows = 16;  // of a model, whose places are told
constexpr int64_t kCorner = 25;   // dimensions shown of the rotation matrices, as in the paper's Figure 3a

std::vector<MatrixSite> select_sites(const DiffPlan& plan, const DiffRequest& request) {
  const std::set<int64_t> wanted = chosen_numbers(request.layers, count_layers(*plan.base), "layers", "layer");
  const int64_t count = count_experts(*plan.base);  // of types that are not chosen too
  if (count == 0 && !request.experts.empty()) fail_field("experts", "the model has no experts");
  const std::set<int64_t> experts = chosen_numbers(request.experts, count, "experts", "expert");
  std::vector<MatrixSite> sites;
  for (const MatrixSite& site : plan.map.sites) {
    const bool type_wanted =
        request.types.empty() || std::count(request.types.begin(), request.types.end(), site.type) > 0;
    const bool expert_wanted = experts.empty() || site.expert < 0 || experts.contains(site.expert);
    if (type_wanted && expert_wanted && (wanted.empty() || wanted.contains(site.layer))) sites.push_back(site);
  }
  if (sites.empty()) fail_field("types", "the model has no such matrices");
  return sites;
}

int64_t first_expert(const std::vector<MatrixSite>& sites) {
  int64_t first = std::numeric_limits<int64_t>::max();
  for (const MatrixSite& site : sites) first = site.expert < 0 ? first : std::min(first, site.expert);
  return first;
}

void warn_of(const ModelMap& map, const DiffRequest& request) {
  if (!request.warn) return;
  for (const std::string& warning : map.warnings) request.warn(warning);
}

std::shared_ptr<const TensorSource> open(const DiffRequest& request, const std::string& path,
                                         const std::shared_ptr<const TensorSource>& base) {
  if (const auto opened = request.opened.find(path); opened != request.opened.end()) return opened->second;
  return open_model(path, base);
}

// Leaves out the fused wholes that one of the two does not have. `whole` is the base's map before any were left out.
void compare_by_parts(DiffPlan& plan, const ModelMap& whole, const ModelMap& other, const std::string& path,
                      const DiffRequest& request) {
  for (const MatrixType type : fused_in_one(whole, other)) {
    if (request.warn) {
      const bool in_base = std::any_of(whole.sites.begin(), whole.sites.end(),
                                       [&](const MatrixSite& site) { return site.type == type; });
      request.warn(fmt::format("{}: {} is {} here and {} in {}: the parts are compared", path, type_name(type),
                               in_base ? "in parts" : "fused", in_base ? "fused" : "in parts", request.base));
    }
    std::erase_if(plan.map.sites, [&](const MatrixSite& site) { return site.type == type; });
  }
}

// What lies outside all matrices, those too that are not asked for. Where these cannot be told, they are among it.
OutsidePairs outside_of(const DiffPlan& plan, const ModelMap& whole, const PlannedModel& other,
                        const DiffRequest& request) {
  ModelMap base = whole, post = other.map;
  if (!request.types.empty()) {
    try {
      ModelMap all_base = map_model(*plan.base), all_post = map_model(*other.checkpoint);
      check_same_shape(*plan.base, all_base, *other.checkpoint, all_post);
      base = std::move(all_base);
      post = std::move(all_post);
    } catch (const Error&) {  // such as a mixture of experts of an unknown kind
    }
  }
  for (const MatrixType fused : fused_in_one(base, post)) {
    std::erase_if(base.sites, [&](const MatrixSite& site) { return site.type == fused; });
  }
  return pair_outside(*plan.base, base, *other.checkpoint, post, base.sites);
}

void add_other(DiffPlan& plan, const ModelMap& whole, const DiffRequest& request, const std::string& path, Role role) {
  PlannedModel other{
      .role = role, .checkpoint = open(request, path, plan.base), .map = {}, .path = path, .outside = {}};
  other.map = map_model(*other.checkpoint, request.types);
  check_same_shape(*plan.base, whole, *other.checkpoint, other.map);
  warn_of(other.map, request);
  compare_by_parts(plan, whole, other.map, path, request);
  other.outside = outside_of(plan, whole, other, request);
  const std::string lacking = outside_warning(other.outside);
  if (!lacking.empty() && request.warn) request.warn(fmt::format("{}: {}", path, lacking));
  plan.others.push_back(std::move(other));
}

void add_control(DiffPlan& plan, const ModelMap& whole, const DiffRequest& request, const std::string& control) {
  if (control != kNoise) return add_other(plan, whole, request, control, Role::Control);
  for (size_t post = 0; post < request.posts.size(); ++post) {
    plan.others.push_back(
        {.role = Role::Control, .noise_of = post, .checkpoint = nullptr, .map = {}, .path = {}, .outside = {}});
  }
}

void open_models(DiffPlan& plan, const DiffRequest& request) {
  plan.base = open(request, request.base, nullptr);
  plan.map = map_model(*plan.base, request.types);
  warn_of(plan.map, request);
  const ModelMap whole = plan.map;
  for (const std::string& post : request.posts) add_other(plan, whole, request, post, Role::Post);
  for (const std::string& control : request.controls) add_control(plan, whole, request, control);
}

ModelInfo describe_noise(const DiffPlan& plan, const std::string& post) {
  ModelInfo model = describe_model(*plan.base);
  model.path = model.revision = model.sha256 = std::nullopt;
  model.id = fmt::format("{} ({})", kNoise, post);
  model.dtypes = {"F64"};
  return model;
}

// Of base, posts and controls, in this order.
std::vector<std::string> identities_of(const DiffPlan& plan) {
  std::vector<std::string> identities = {plan.base->identity()};
  for (const PlannedModel& other : plan.others) {
    identities.push_back(other.checkpoint ? other.checkpoint->identity()
                                          : fmt::format("{} {}", kNoise, other.noise_of));
  }
  return identities;
}

// What tells one run from another: all that its numbers depend on, and neither how paths are spelled nor where the work
// is done. Another release may measure otherwise.
std::string fingerprint_of(const DiffPlan& plan, const std::vector<std::string>& identities) {
  const DiffOptions& o = plan.head.options;
  Json sites = Json::array(), roles = Json::array(), asked = Json::array();
  for (const Measure measure : *o.measures) asked.push_back(name_of(measure));
  for (const MatrixSite& s : plan.units) {
    sites.push_back({s.layer, type_name(s.type), s.tensor, s.row_begin, s.row_end});
  }
  for (const PlannedModel& other : plan.others) roles.push_back(static_cast<int>(other.role));
  const Json identity = {{"release", version()},
                         {"measures", kMeasures},
                         {"options", {o.null_draws, o.null_nf_draws, o.seed, std::move(asked), plan.trajectory}},
                         {"models", identities},
                         {"roles", std::move(roles)},
                         {"sites", std::move(sites)}};
  Sha256 hash;
  const std::string text = identity.dump(-1, ' ', false, Json::error_handler_t::replace);
  hash.update(text);
  return hash.hex();
}

// CUDA takes half a second to start on each GPU, and its libraries are large.
void start_gpus() {
  std::future<void> libraries = std::async(std::launch::async, linalg::open_gpu_libraries);
  for (const device::Gpu& gpu : device::require_gpus()) device::available(gpu.ordinal);
  libraries.get();
}

// The build is the library that does the work.
Program describe_program(bool cuda) {
  Program program{std::string(version()), linalg::library(), "cpu"};
  if (!cuda) return program;
  const device::Gpu first = device::require_gpus().front();
  const device::Scope scope(first.ordinal);
  program.build = fmt::format("{} on {}", linalg::library(), first.name);
  program.device = "cuda";
  return program;
}

ModelInfo describe(const TensorSource& model, const std::string& path, const DiffRequest& request) {
  ModelInfo info = describe_model(model);
  if (const auto name = request.names.find(path); name != request.names.end()) info.id = name->second;
  return info;
}

DiffResult head_of(const DiffPlan& plan, const DiffRequest& request) {
  DiffResult head;
  head.gyro = describe_program(request.run.cuda);
  head.options = {request.layers,        request.types, request.experts, request.null_draws,
                  request.null_nf_draws, request.seed,  request.measures};
  head.base = describe(*plan.base, request.base, request);
  std::vector<std::string> ids;
  std::map<std::string, int> times;
  for (const PlannedModel& other : plan.others) {
    Comparison& comparison = head.comparisons.emplace_back(Comparison{.role = other.role});
    if (!other.checkpoint) continue;
    comparison.post = describe(*other.checkpoint, other.path, request);
    if (const int time = ++times[comparison.post.id]; time > 1) comparison.post.id += fmt::format(" ({})", time);
    ids.push_back(comparison.post.id);
  }
  const std::vector<std::string> names = short_names(ids);  // posts come first
  for (size_t i = 0; i < plan.others.size(); ++i) {
    const PlannedModel& other = plan.others[i];
    if (other.checkpoint) continue;
    head.comparisons[i].post = describe_noise(plan, names[other.noise_of]);
    head.comparisons[i].noise_of = head.comparisons[other.noise_of].post.id;
  }
  return head;
}

bool is_square(const MatrixSite& site) {
  return site.d_in == site.d_out;
}

// The largest first. Square matrices before all: one of them may have a singular value so small that it takes direct
// SVDs, and should not be what a run waits for at its end.
bool goes_before(const MatrixSite& a, const MatrixSite& b) {
  return std::pair(is_square(a), work_of(a)) > std::pair(is_square(b), work_of(b));
}

std::vector<const TensorSource*> sources_of(const DiffPlan& plan) {
  std::vector<const TensorSource*> sources = {plan.base.get()};
  for (const PlannedModel& other : plan.others) {
    if (other.checkpoint) sources.push_back(other.checkpoint.get());
  }
  return sources;
}

// W_p = c W_b + E: c and ‖E‖.
struct NoiseSize {
  double scale = 0, residual = 0;
};

// A base that is zero has no c and no residual: its noise is zero too, and all that follows is null.
NoiseSize noise_size(const PairMeasure& m) {
  if (!std::isfinite(m.scale) || !std::isfinite(m.energy.total)) return {};
  return {m.scale, std::sqrt(m.energy.total) / m.unit};
}

// Which rows of W are zero, in base or post; nothing where none is.
std::optional<ZeroRows> zero_rows(const Weight& base, const Weight& post) {
  ZeroRows zero;
  std::vector<double> values(static_cast<size_t>(base.cols));
  const auto is_zero = [&](const Weight& weight, int64_t row) {
    widen(weight, row, row + 1, 0, weight.cols, values.data(), weight.cols);
    return std::all_of(values.begin(), values.end(), [](double value) { return value == 0; });
  };
  const auto add = [](bool is_so, int64_t row, int64_t& count, std::vector<int64_t>& first) {
    count += is_so ? 1 : 0;
    if (is_so && first.size() < kZeroRows) first.push_back(row);
  };
  for (int64_t row = 0; row < base.rows; ++row) {
    const bool in_base = is_zero(base, row), in_post = is_zero(post, row);
    add(in_base, row, zero.base, zero.base_rows);
    add(in_post, row, zero.post, zero.post_rows);
    zero.either += in_base || in_post ? 1 : 0;
  }
  return zero.either == 0 ? std::nullopt : std::optional(zero);
}

// A noise control is a draw of a post's null in full: where that has no closed form it is what chance gives.
void take_nulls(const Quantities& drawn, Quantities& of) {
  const auto take = [](const Against& from, Against& to) {
    if (std::isnan(to.null)) to.null = from.value;
  };
  const auto take_overlap = [&](const SubspaceOverlap& from, SubspaceOverlap& to) {
    take(from.u, to.u);
    take(from.v, to.v);
  };
  take_overlap(drawn.subspace_overlap.q01, of.subspace_overlap.q01);
  take_overlap(drawn.subspace_overlap.q10, of.subspace_overlap.q10);
  take_overlap(drawn.subspace_overlap.q50, of.subspace_overlap.q50);
  take(drawn.spectrum.nss_c, of.spectrum.nss_c);
}

UnitResult measure_unit(const DiffPlan& plan, const MatrixSite& site) {
  const DiffOptions& asked = plan.head.options;
  const Weight base_weight = load_weight(*plan.base, site);
  BaseMatrix base(base_weight);
  UnitResult result;
  const std::string where = matrix_name(site.key()) + ".";
  if (plan.arrays) {
    result.arrays["base." + where + "sigma"] = result_array(base.sigma());
  }
  PairOptions options{asked.null_draws, asked.null_nf_draws, 0, 0};
  const bool end = site.layer == 0 || site.layer == plan.head.base.layers - 1;
  if (plan.arrays && end && site.expert <= plan.first_expert)
    options.corner = kCorner;  // of a layer's experts the first speaks
  const auto asks = [&](Measure measure) {
    return std::find(asked.measures->begin(), asked.measures->end(), measure) != asked.measures->end();
  };
  if (plan.trajectory) options.leading = std::max<int64_t>(1, std::min(site.d_in, site.d_out) / 10);
  options.update_spectrum = asks(Measure::UpdateSpectrum);
  options.masks = asks(Measure::Masks);
  options.rescale = (site.layer - plan.units.front().layer) % kRescaledLayers == 0;
  std::vector<NoiseSize> sizes;  // of the posts, which come first
  std::vector<LeadingVectors> leading;
  for (size_t i = 0; i < plan.others.size(); ++i) {
    const PlannedModel& other = plan.others[i];
    options.seed = matrix_seed(asked.seed, site.key());  // one stream for all posts, so that they compare
    Matrix noise;                                        // of which `post` is, where that is no model's
    Weight post;
    if (other.checkpoint) {
      post = load_weight(*other.checkpoint, same_site(other.map, site));
    } else {
      const NoiseSize& size = sizes[other.noise_of];
      noise = noise_weight(base.weight(), size.scale, size.residual, mix64(options.seed));
      post = as_weight(noise, fmt::format("{} for {}", kNoise, base_weight.name));
    }
    const PairMeasure measure = base.compare(post, options);
    result.rows.push_back(matrix_row(site, measure));
    if (measure.rank < measure.n) {
      if (!other.checkpoint) {
        noise = moved_to(Space::Host, std::move(noise));
        post = as_weight(noise, post.name);
      }
      result.rows.back().zero_rows = zero_rows(base_weight, post);
    }
    if (plan.arrays) {
      for (auto& [name, array] : pair_arrays(measure))
        result.arrays[fmt::format("{}.{}{}", i, where, name)] = std::move(array);
    }
    if (!other.checkpoint) take_nulls(*result.rows.back().quantities, *result.rows[other.noise_of].quantities);
    if (other.role != Role::Post) continue;
    sizes.push_back(noise_size(measure));
    leading.push_back({measure.leading_u, measure.leading_v});
  }
  for (size_t i = 0; plan.trajectory && i < leading.size(); ++i)
    result.rows[i].drift = drift_of(leading[i], leading.back(), site);
  measure_between(plan, site, base_weight, result);
  return result;
}

}  // namespace

std::set<int64_t> chosen_numbers(const std::vector<int64_t>& numbers, int64_t count, const char* field,
                                 const char* one) {
  std::set<int64_t> wanted;
  for (const int64_t number : numbers) {
    const int64_t index = number < 0 ? number + count : number;
    if (index < 0 || index >= count) fail_field(field, "there is no {} {}: the model has {}", one, number, count);
    wanted.insert(index);
  }
  return wanted;
}

DiffPlan plan_diff(const DiffRequest& request) {
  DiffPlan plan;
  open_models(plan, request);
  plan.units = select_sites(plan, request);
  plan.first_expert = first_expert(plan.units);
  plan.trajectory = request.trajectory;
  plan.arrays = request.arrays || !request.out.empty();
  plan.order.resize(plan.units.size());
  std::iota(plan.order.begin(), plan.order.end(), 0);
  std::stable_sort(plan.order.begin(), plan.order.end(),
                   [&](int64_t a, int64_t b) { return goes_before(plan.unit(a), plan.unit(b)); });
  std::future<std::vector<std::string>> identities =
      std::async(std::launch::async, [&] { return identities_of(plan); });
  if (request.run.cuda) start_gpus();
  plan.head = head_of(plan, request);
  plan.head.fingerprint = fingerprint_of(plan, identities.get());
  return plan;
}

std::optional<std::vector<std::optional<Outside>>> outside_of(const DiffPlan& plan, const RunOptions& run) {
  const int threads = run.threads > 0 ? run.threads : available_processors();
  std::vector<std::optional<Outside>> all;
  for (const PlannedModel& other : plan.others) {
    all.emplace_back();
    if (!other.checkpoint) continue;
    all.back() = measure_outside(*plan.base, *other.checkpoint, other.outside, threads, run.stop);
    if (!all.back()) return std::nullopt;
  }
  std::vector<TokenRows*> tokens;
  for (std::optional<Outside>& outside : all) {
    if (!outside) continue;
    for (TokenRows& rows : *outside->tokens) tokens.push_back(&rows);
  }
  complete_tokens(*plan.base, tokens);
  return all;
}

double work_of(const MatrixSite& site) {
  const auto m = static_cast<double>(std::max(site.d_in, site.d_out)),
             n = static_cast<double>(std::min(site.d_in, site.d_out));
  return 4 * m * n * n + 20 * n * n * n;
}

void prefetch_unit(const DiffPlan& plan, int64_t unit) {
  const MatrixSite& site = plan.unit(unit);
  prefetch_weight(*plan.base, site);
  for (const PlannedModel& other : plan.others) {
    if (other.checkpoint) prefetch_weight(*other.checkpoint, same_site(other.map, site));
  }
}

UnitResult compute_unit(const DiffPlan& plan, int64_t unit) {
  return checked(sources_of(plan), [&] { return measure_unit(plan, plan.unit(unit)); });
}

DiffResult assemble(const DiffPlan& plan, std::map<int64_t, UnitResult>&& units) {
  DiffResult result = plan.head;
  result.posts = posts_together(plan, units);
  for (size_t i = 0; i < result.comparisons.size(); ++i) {
    Comparison& comparison = result.comparisons[i];
    for (auto& [unit, measured] : units) comparison.matrices.push_back(std::move(measured.rows[i]));
    comparison.types = pool_types(comparison.matrices);
    judge(plan.head.base, comparison);
  }
  if (plan.trajectory) result.trajectory = trajectory_of(result.comparisons);
  for (auto& [unit, measured] : units) result.arrays.merge(measured.arrays);
  return result;
}

}  // namespace gyro
