#include "gyro/diff/runner.h"

#include <algorithm>
#include <cmath>
#include <future>
#include <memory>
#include <mutex>
#include <numeric>
#include <set>

#include "gyro/base/error.h"
#include "gyro/base/file.h"
#include "gyro/base/parallel.h"
#include "gyro/base/progress.h"
#include "gyro/base/random.h"
#include "gyro/base/sha256.h"
#include "gyro/base/version.h"
#include "gyro/checkpoint/writer.h"
#include "gyro/device/pool.h"
#include "gyro/diff/journal.h"
#include "gyro/linalg/linalg.h"

namespace gyro {
namespace {

constexpr std::string_view kNoise = "noise";
constexpr int64_t kCorner = 25;  // dimensions shown of the rotation matrices, as in the paper's Figure 3a

// One model beside the base. A noise control has no checkpoint.
struct Other {
  std::string role;
  std::unique_ptr<Checkpoint> checkpoint;
  ModelMap map;
};

struct Run {
  std::unique_ptr<Checkpoint> base;
  ModelMap map;
  std::vector<Other> others;      // posts, then controls
  std::vector<MatrixSite> sites;  // the selected ones: the units of work
  int64_t first_layer = 0, last_layer = 0;
};

std::vector<MatrixSite> select_sites(const Run& run, const DiffRequest& request) {
  const int64_t layers = run.base->config().num_hidden_layers;
  std::set<int64_t> wanted;
  for (const int64_t layer : request.layers) {
    const int64_t index = layer < 0 ? layer + layers : layer;
    if (index < 0 || index >= layers) fail("--layers", "there is no layer {}: the model has {}", layer, layers);
    wanted.insert(index);
  }
  std::vector<MatrixSite> sites;
  for (const MatrixSite& site : run.map.sites) {
    const bool type_wanted =
        request.types.empty() || std::count(request.types.begin(), request.types.end(), site.type) > 0;
    if (type_wanted && (wanted.empty() || wanted.contains(site.layer))) sites.push_back(site);
  }
  if (sites.empty()) fail("--types", "the model has no such matrices");
  return sites;
}

void warn_of(const ModelMap& map, const std::string& path, const DiffRequest& request) {
  if (!request.warn) return;
  for (const std::string& warning : map.warnings) request.warn(path + ": " + warning);
}

// The folders that are read.
std::vector<std::filesystem::path> inputs_of(const DiffRequest& request) {
  std::vector<std::filesystem::path> inputs = {request.base};
  inputs.insert(inputs.end(), request.posts.begin(), request.posts.end());
  for (const std::string& control : request.controls) {
    if (control != kNoise) inputs.emplace_back(control);
  }
  return inputs;
}

void add_other(Run& run, const DiffRequest& request, const std::string& path, const char* role) {
  Other other{role, nullptr, {}};
  if (!(path == kNoise && other.role == "control")) {
    other.checkpoint = std::make_unique<Checkpoint>(path);
    other.map = map_model(*other.checkpoint);
    check_same_shape(*run.base, run.map, *other.checkpoint, other.map);
    warn_of(other.map, path, request);
  }
  run.others.push_back(std::move(other));
}

Run open_run(const DiffRequest& request) {
  Run run;
  run.base = std::make_unique<Checkpoint>(request.base);
  run.map = map_model(*run.base);
  warn_of(run.map, request.base, request);
  for (const std::string& post : request.posts) add_other(run, request, post, "post");
  for (const std::string& control : request.controls) add_other(run, request, control, "control");
  run.sites = select_sites(run, request);
  run.last_layer = run.base->config().num_hidden_layers - 1;
  return run;
}

Json options_json(const DiffRequest& request) {
  Json types = Json::array();
  for (const MatrixType type : request.types) types.push_back(type_name(type));
  return {{"layers", request.layers.empty() ? Json("all") : Json(request.layers)},
          {"types", request.types.empty() ? Json("all") : types},
          {"null_draws", request.null_draws},
          {"null_nf_draws", request.null_nf_draws},
          {"seed", request.seed}};
}

Json describe_noise(const Run& run) {
  Json model = describe_model(*run.base);
  for (auto& [key, value] : model.items()) {
    if (key == "path" || key == "revision" || key == "sha256") value = nullptr;
  }
  model["id"] = kNoise;
  model["dtypes"] = {"F64"};
  return model;
}

// Sixteen places of a tensor: they tell apart checkpoints of one layout without reading them whole.
void for_each_sample(std::span<const std::byte> bytes, const std::function<void(std::span<const std::byte>)>& visit) {
  for (size_t i = 0; i < 16 && !bytes.empty(); ++i) {
    const size_t at = bytes.size() / 16 * i;
    visit(bytes.subspan(at, std::min<size_t>(256, bytes.size() - at)));
  }
}

void hash_content(const Checkpoint& checkpoint, Sha256& hash) {
  for (const auto& [name, entry] : checkpoint.tensors()) for_each_sample(entry.bytes(), prefetch_pages);
  for (const auto& [name, entry] : checkpoint.tensors()) {
    for_each_sample(entry.bytes(), [&](std::span<const std::byte> sample) { hash.update(sample); });
    release_pages(entry.bytes());
  }
}

std::string content_of(const Run& run) {
  Sha256 hash;
  hash_content(*run.base, hash);
  for (const Other& other : run.others) {
    if (other.checkpoint) hash_content(*other.checkpoint, hash);
  }
  return hash.hex();
}

// What tells one run from another: all that its numbers depend on, and neither how paths are spelled nor where the work
// is done. Another release may measure otherwise.
std::string fingerprint_of(const Run& run, const DiffRequest& request, const std::string& content) {
  Json sites = Json::array(), others = Json::array();
  for (const MatrixSite& s : run.sites) sites.push_back({s.layer, type_name(s.type), s.tensor, s.row_begin, s.row_end});
  for (const Other& other : run.others)
    others.push_back({other.role, other.checkpoint ? Json(other.checkpoint->sha256()) : Json(kNoise)});
  const Json identity = {{"release", version()},
                         {"options", options_json(request)},
                         {"base", run.base->sha256()},
                         {"others", others},
                         {"sites", sites},
                         {"content", content}};
  Sha256 hash;
  const std::string text = identity.dump(-1, ' ', false, Json::error_handler_t::replace);
  hash.update(std::as_bytes(std::span(text)));
  return hash.hex();
}

// {"version", "build", "device"}; the build is the library that does the work.
Json describe_program(const DiffRequest& request) {
  Json program = {{"version", version()}, {"build", linalg::library()}, {"device", "cpu"}};
  if (!request.run.cuda) return program;
  const device::Scope scope(0);
  program["build"] = fmt::format("{} on {}", linalg::library(), device::gpus()[0].name);
  program["device"] = "cuda";
  return program;
}

Json document_head(const Run& run, const DiffRequest& request) {
  Json comparisons = Json::array();
  for (const Other& other : run.others) {
    comparisons.push_back(
        {{"post", other.checkpoint ? describe_model(*other.checkpoint) : describe_noise(run)}, {"role", other.role}});
  }
  return {{"schema", "gyro.diff/1"},
          {"gyro", describe_program(request)},
          {"options", options_json(request)},
          {"base", describe_model(*run.base)},
          {"comparisons", comparisons}};
}

template <typename T>
ResultArray array_of(DType dtype, std::vector<int64_t> shape, const std::vector<T>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  return {dtype, std::move(shape), {bytes.begin(), bytes.end()}};
}

void add_arrays(const std::string& prefix, const PairMeasure& m, UnitResult& result) {
  const auto add = [&](const char* name, const std::vector<double>& v) {
    result.arrays[prefix + name] = array_of(DType::F64, {m.n}, v);
  };
  add("sigma", m.sigma);
  add("turn_u", m.turn_u);
  add("turn_v", m.turn_v);
  const RotationCorner& c = m.corner;
  if (c.size == 0) return;
  const auto add_corner = [&](const char* name, const std::vector<float>& v) {
    result.arrays[prefix + name] = array_of(DType::F32, {c.size, c.size}, v);
  };
  add_corner("sim_u", c.sim_u);
  add_corner("sim_v", c.sim_v);
  add_corner("sim_diff", c.sim_diff);
  add_corner("i_orth", c.i_orth);
  add_corner("delta_q1", c.delta_q1);
  add_corner("delta_q2", c.delta_q2);
}

void prefetch(const Run& run, const MatrixSite& site) {
  const auto read = [](const Weight& weight) { prefetch_pages({weight.data, weight.byte_size()}); };
  read(load_weight(*run.base, site));
  for (const Other& other : run.others) {
    if (other.checkpoint) read(load_weight(*other.checkpoint, same_site(other.map, site)));
  }
}

UnitResult run_unit(const Run& run, const DiffRequest& request, const MatrixSite& site) {
  const Weight base_weight = load_weight(*run.base, site);
  BaseMatrix base(base_weight);
  UnitResult result;
  const std::string where = fmt::format("{}.{}.", site.layer, type_name(site.type));
  const bool keep_arrays = !request.out.empty();
  if (keep_arrays)
    result.arrays["base." + where + "sigma"] =
        array_of(DType::F64, {static_cast<int64_t>(base.sigma().size())}, base.sigma());
  PairOptions options{request.null_draws, request.null_nf_draws, 0, 0};
  if (keep_arrays && (site.layer == run.first_layer || site.layer == run.last_layer)) options.corner = kCorner;
  PairMeasure first;
  for (size_t i = 0; i < run.others.size(); ++i) {
    options.seed = matrix_seed(request.seed, site);  // one stream for all posts, so that they compare
    PairMeasure measure;
    if (run.others[i].checkpoint) {
      measure = base.compare(load_weight(*run.others[i].checkpoint, same_site(run.others[i].map, site)), options);
    } else {
      // A base that is zero has no c and no residual: its noise is zero too, and all that follows is null.
      const bool exists = std::isfinite(first.scale) && std::isfinite(first.energy.total);
      const Matrix noise = noise_weight(base.weight(), exists ? first.scale : 0,
                                        exists ? std::sqrt(first.energy.total) : 0, mix64(options.seed));
      measure = base.compare(as_weight(noise, std::string(kNoise) + " for " + base_weight.name), options);
    }
    result.rows.push_back(matrix_row(site, measure));
    if (keep_arrays) add_arrays(fmt::format("{}.{}", i, where), measure, result);
    if (i == 0) first = std::move(measure);
  }
  return result;
}

bool is_square(const MatrixSite& site) {
  return site.d_in == site.d_out;
}

double work_of(const MatrixSite& site) {
  const auto m = static_cast<double>(std::max(site.d_in, site.d_out)),
             n = static_cast<double>(std::min(site.d_in, site.d_out));
  return 4 * m * n * n + 20 * n * n * n;
}

// The largest first. Square matrices before all: one of them may have a singular value so small that it takes direct
// SVDs, and should not be what a run waits for at its end.
bool goes_before(const MatrixSite& a, const MatrixSite& b) {
  return std::pair(is_square(a), work_of(a)) > std::pair(is_square(b), work_of(b));
}

Json assemble(Json document, const std::map<int64_t, UnitResult>& units) {
  for (size_t i = 0; i < document["comparisons"].size(); ++i) {
    Json& comparison = document["comparisons"][i];
    Json rows = Json::array();
    for (const auto& [unit, result] : units) rows.push_back(result.rows[i]);
    comparison["matrices"] = std::move(rows);
    comparison["types"] = pool_types(comparison["matrices"]);
    comparison["findings"] = find_findings(comparison["matrices"], comparison["types"]);
  }
  return document;
}

}  // namespace

DiffOutcome run_diff(const DiffRequest& request) {
  if (!request.out.empty()) check_not_an_input(request.out, inputs_of(request));
  const Run run = open_run(request);
  // CUDA takes half a second to start: time for what else has to be read.
  std::future<std::string> content = std::async(std::launch::async, [&] { return content_of(run); });
  std::future<void> libraries;
  if (request.run.cuda) libraries = std::async(std::launch::async, linalg::open_gpu_libraries);
  device::Workers workers(request.run.cuda, request.run.threads, request.run.memory);
  if (request.run.cuda) libraries.get();
  Json head = document_head(run, request);
  head["fingerprint"] = fingerprint_of(run, request, content.get());
  std::unique_ptr<OutputFolder> folder;
  std::map<int64_t, UnitResult> units;
  DiffOutcome outcome{nullptr, 0, static_cast<int64_t>(run.sites.size()), false};
  if (!request.out.empty()) {
    folder = std::make_unique<OutputFolder>(request.out, head["fingerprint"], request.force);
    if (!folder->finished().is_null()) return {folder->finished(), outcome.total, outcome.total, true};
    units = folder->take_kept();
    // A journal is taken by its fingerprint, which does not say that it was written by this program.
    std::erase_if(units, [&](const auto& unit) {
      return unit.first >= outcome.total || unit.second.rows.size() != run.others.size();
    });
    outcome.resumed = !units.empty();
  }

  std::vector<int64_t> order;
  double total_work = 0;
  for (int64_t unit = 0; unit < outcome.total; ++unit) {
    if (units.contains(unit)) continue;
    order.push_back(unit);
    total_work += work_of(run.sites[static_cast<size_t>(unit)]);
  }
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return goes_before(run.sites[static_cast<size_t>(a)], run.sites[static_cast<size_t>(b)]);
  });
  const auto site_at = [&](int i) -> const MatrixSite& {
    return run.sites[static_cast<size_t>(order[static_cast<size_t>(i)])];
  };
  const int count = static_cast<int>(order.size()), ahead = workers.count();
  bool complete = false;
  {
    Progress progress("matrices", count, total_work, request.run.progress);
    std::mutex mutex;
    complete = parallel_for(
        count, ahead,
        [&](int i) {
          const int64_t unit = order[static_cast<size_t>(i)];
          const MatrixSite& site = site_at(i);
          UnitResult result;
          try {
            // A GPU is faster than a disk. Processors are not, and there may be more of them than memory has room for.
            if (!request.run.cuda || i < ahead) prefetch(run, site);
            if (request.run.cuda && i + ahead < count) prefetch(run, site_at(i + ahead));
            workers.run(site.tensor, working_memory(workers.space(), site.d_in, site.d_out),
                        [&] { result = run_unit(run, request, site); });
          } catch (const Error& error) {
            // Memory or a device may be there again when the same command is given once more.
            if (folder && error.kind() == ErrorKind::Input) folder->discard();
            throw;
          }
          if (folder) folder->keep(unit, result);
          const std::lock_guard lock(mutex);
          units.insert_or_assign(unit, std::move(result));
          progress.advance(1, work_of(site));
        },
        request.run.stop);
  }
  outcome.done = static_cast<int64_t>(units.size());
  if (!complete) return outcome;
  outcome.document = assemble(head, units);
  if (folder) {
    std::map<std::string, ResultArray> arrays;
    for (auto& [unit, result] : units) arrays.merge(result.arrays);
    folder->finish(outcome.document, arrays);
  }
  return outcome;
}

}  // namespace gyro
