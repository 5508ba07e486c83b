#include "gyro/study/estimate.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "gyro/base/limits.h"
#include "gyro/device/device.h"
#include "gyro/edit/recipe.h"
#include "gyro/edit/variants.h"
#include "gyro/eval/variant_models.h"
#include "gyro/linalg/linalg.h"
#include "gyro/spectra/tall.h"

namespace gyro {
namespace {

// Operations of a pair of weights (bench/compare.py's count): Gram matrices and cross product, eigenproblems,
// rotations and norms, a null draw.
double pair_work(const MatrixSite& site) {
  const auto m = static_cast<double>(std::max(site.d_in, site.d_out));
  const auto n = static_cast<double>(std::min(site.d_in, site.d_out));
  return 4 * m * n * n + 21.2 * n * n * n;
}

// Operations of a construction: both sides' factors, and the product of three.
double construction_work(const MatrixSite& site) {
  const auto m = static_cast<double>(std::max(site.d_in, site.d_out));
  const auto n = static_cast<double>(std::min(site.d_in, site.d_out));
  return 10 * m * n * n + 16 * n * n * n;
}

double work_of_all(const StudySize& size, double (*work)(const MatrixSite&)) {
  double sum = 0;
  for (const MatrixSite& site : size.sites) sum += work(site);
  return sum;
}

double work_of_variant(const StudySize& size, const NamedVariant& variant) {
  double sum = 0;
  for (const MatrixSite& site : size.sites) {
    if (in_group(site.type, variant.variant.on)) sum += construction_work(site);
  }
  return sum;
}

double work_of_variants(const StudySize& size, const std::vector<std::string>& names) {
  double sum = 0;
  for (const std::string& name : names) {
    if (const auto variant = named_variant(name)) sum += work_of_variant(size, *variant);
  }
  return sum;
}

double analysis_memory(const StudySize& size, int workers, bool cuda) {
  size_t most = 0;
  for (const MatrixSite& site : size.sites) {
    most = std::max(most, working_memory(cuda ? Space::Device : Space::Host, site.d_in, site.d_out));
  }
  return static_cast<double>(most) * workers;
}

double element_bytes(const StudyRequest& request) {
  return request.dtype == "bf16" || request.dtype == "f16" ? 2 : 4;
}

double engine_memory(const StudyRequest& request, const StudySize& size, double texts, double positions) {
  const double cache = 2.0 * static_cast<double>(size.layers * size.kv_width) * 4 * texts * positions;
  return size.parameters * element_bytes(request) + cache;
}

// Operations a second of products of n × n matrices, where the thread works.
double gemm_rate(int64_t n) {
  using Clock = std::chrono::steady_clock;
  constexpr int kTries = 4;  // the first wakes the device
  Matrix a(n, n), b(n, n);
  linalg::fill_normal(a, 1, 1, 0, 0);
  linalg::fill_normal(b, 1, 2, 0, 0);
  double best = 0;
  for (int i = 0; i < kTries; ++i) {
    const auto began = Clock::now();
    const Matrix c = linalg::product(linalg::Op::None, linalg::Op::None, a, b);
    (void)linalg::norm(c);  // is waited for
    const std::chrono::duration<double> took = Clock::now() - began;
    best = std::max(best, 2.0 * static_cast<double>(n * n * n) / took.count());
  }
  return best;
}

double gpu_rate(const std::vector<device::Gpu>& gpus) {
  constexpr int64_t kSize = 4096;
  const device::Scope scope(gpus.front().ordinal);
  return gemm_rate(kSize) * static_cast<double>(gpus.size());
}

// A pass of questions through a model, and of answers to them.
double answer_seconds(const StudyRequest& request, const StudySize& size, const MachineRate& rate) {
  const double asked = static_cast<double>(size.questions * request.repeats);
  const double tokens = std::min(kAssumedTokens, static_cast<double>(request.max_tokens));
  return asked * 2 * size.parameters * (size.question_tokens / rate.prompts + tokens / rate.generation);
}

double prompt_seconds(double prompts, const StudySize& size, const MachineRate& rate) {
  return prompts * 2 * size.parameters * size.question_tokens / rate.prompts;
}

StageCost cost_of_diff(const StudyRequest& request, const StudySize& size, const MachineRate& rate, bool cuda) {
  // Noise is one control for each post, and there where no other was named.
  const auto posts = static_cast<double>(request.posts.size());
  double others = posts + (request.controls.empty() ? posts : 0);
  for (const std::string& control : request.controls) others += control == "noise" ? posts : control == "none" ? 0 : 1;
  StageCost cost;
  cost.read = size.model_bytes * (1 + posts);
  cost.held = analysis_memory(size, rate.workers, cuda);
  cost.seconds = others * work_of_all(size, pair_work) / rate.analysis;
  return cost;
}

// `names` are constructed one after the other, and `each` seconds are spent with each, and with the original.
StageCost cost_of_variants(const StudyRequest& request, const StudySize& size, const MachineRate& rate,
                           const std::vector<std::string>& names, double each, double texts, double positions) {
  const std::vector<std::string> variants = expand_variants(names);
  StageCost cost;
  cost.read = 2 * size.model_bytes * static_cast<double>(variants.size());
  cost.held = engine_memory(request, size, texts, positions);
  cost.seconds = work_of_variants(size, variants) / rate.analysis + each * static_cast<double>(variants.size());
  // Table 4's α′ are those of a diff.
  const bool scaled = std::ranges::find(variants, "replace-scaled") != variants.end();
  if (scaled) cost.seconds += work_of_all(size, pair_work) / rate.analysis;
  return cost;
}

}  // namespace

StudySize size_of(const TensorSource& post) {
  StudySize size;
  size.sites = map_model(post).sites;
  for (const auto& [name, tensor] : post.tensors()) {
    double count = 1;
    for (const int64_t extent : tensor.shape) count *= static_cast<double>(extent);
    size.parameters += count;
    size.model_bytes += static_cast<double>(tensor.byte_size());
  }
  for (const MatrixSite& site : size.sites) {
    size.layers = std::max(size.layers, site.layer + 1);
    if (site.type == MatrixType::K) size.kv_width = site.d_out;
  }
  return size;
}

MachineRate measure_rate(const StudyRequest& request) {
  const bool cuda = request.device == "cuda";
  const std::vector<device::Gpu> gpus = cuda ? device::require_gpus() : std::vector<device::Gpu>{};
  const int cores = request.threads > 0 ? request.threads : available_processors();
  constexpr int64_t kSize = 768;
  const double gemm = cuda ? gpu_rate(gpus) : gemm_rate(kSize) * cores;
  const double wide = cuda && element_bytes(request) < 4 ? 2 : 1;
  MachineRate rate;
  rate.analysis = gemm * (cuda ? 0.36 : 0.6);
  rate.prompts = gemm * (cuda ? 0.45 * wide : 0.4);
  rate.generation = gemm * (cuda ? 0.14 * wide : 0.24);
  rate.workers = cuda ? device::kJobsAtOnce * static_cast<int>(gpus.size()) : cores;
  rate.measured =
      cuda ? fmt::format("{} x {}, FP64 products at {:.1f} TFLOP/s", gpus.size(), gpus.front().name, gemm / 1e12)
           : fmt::format("{} threads, FP64 products at {:.0f} GFLOP/s", cores, gemm / 1e9);
  return rate;
}

StageCost cost_of(const Stage& stage, const StudyRequest& request, const StudySize& size, const MachineRate& rate) {
  const double prompt = std::max(size.question_tokens, 1.0);
  const auto count = static_cast<double>(request.count);
  const bool sibling = std::ranges::find(stage.words, "--sibling") != stage.words.end();
  switch (stage.kind) {
    case StageKind::Diff:
      return cost_of_diff(request, size, rate, request.device == "cuda");
    case StageKind::Attention:
      return cost_of_variants(request, size, rate, attention_variants(), prompt_seconds(4, size, rate), 1, prompt);
    case StageKind::Evaluation:
      return cost_of_variants(request, size, rate, evaluated_variants(sibling), answer_seconds(request, size, rate), 32,
                              prompt + static_cast<double>(request.max_tokens));
    case StageKind::Cka:
      return cost_of_variants(request, size, rate, cka_variants(sibling), prompt_seconds(count, size, rate), 1, prompt);
    case StageKind::Drift: {
      StageCost cost = cost_of_variants(request, size, rate, {"noise"}, prompt_seconds(count, size, rate), 1, prompt);
      cost.held *= 2;  // base and post at once
      return cost;
    }
    case StageKind::Rotation: {
      const auto posts = static_cast<double>(request.posts.size());
      // The first post with each other, and the same with noise in place of the other.
      const double pairs = posts - 1;
      StageCost cost;
      cost.read = size.model_bytes * (1 + posts);
      cost.held = analysis_memory(size, rate.workers, request.device == "cuda");
      cost.seconds = 2 * pairs * work_of_all(size, construction_work) / rate.analysis;
      return cost;
    }
  }
  return {};
}

}  // namespace gyro
