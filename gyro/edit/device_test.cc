// The GPU's constructions, adapters and checkpoints against the CPU's.

#include <gtest/gtest.h>

#include <cmath>

#include "gyro/checkpoint/checkpoint.h"
#include "gyro/diff/test_util.h"
#include "gyro/edit/adapter.h"
#include "gyro/edit/build.h"
#include "gyro/edit/construct.h"
#include "gyro/edit/init.h"
#include "gyro/edit/lora.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;

const std::pair<int64_t, int64_t> kShapes[] = {{14, 14}, {64, 64}, {90, 60}, {60, 90}, {400, 300}};

class EditOnGpu : public testing::Test {
 protected:
  void SetUp() override {
    if (device::gpus().empty()) GTEST_SKIP() << device::why_none();
  }
};

/// Base and post as they may come: post turned, scaled and noised.
struct Pair {
  Matrix base, post;
  Pair(int64_t d_in, int64_t d_out, const std::vector<double>& sigma, uint64_t seed)
      : base(with_spectrum(d_in, d_out, sigma, seed)) {
    const double noise = 0.05 * frobenius(base) / std::sqrt(static_cast<double>(d_in * d_out));
    post = combined(0.97, times(small_rotation(d_in, 0.3, seed + 1), base), noise, gaussian(d_in, d_out, seed + 2));
  }
};

/// The two weights where the thread works.
struct ResidentPair {
  ResidentWeight base, post;
  explicit ResidentPair(const Pair& pair) : base(weight_of(pair.base, "base")), post(weight_of(pair.post, "post")) {}
};

std::vector<Construction> all_constructions() {
  std::vector<Construction> all = {{.operation = Operation::Replace, .scale = 0.9},
                                   {.operation = Operation::TransplantSigma},
                                   {.operation = Operation::TransplantRotation},
                                   {.operation = Operation::Noise, .seed = 5}};
  for (const Side side : {Side::Out, Side::In}) {
    all.push_back({.operation = Operation::Ablate, .side = side});
    all.push_back({.operation = Operation::Ablate, .side = side, .align_signs = true});
    all.push_back({.operation = Operation::Restore, .side = side});
  }
  for (const double t : {0.0, 0.3, 1.5}) all.push_back({.operation = Operation::Interpolate, .t = t});
  return all;
}

/// Every construction where the thread works, brought back.
std::vector<Matrix> built_of(const Pair& pair, Method method) {
  const ResidentPair stored(pair);
  const auto [b, p] = factorize(stored.base.weight(), stored.post.weight());
  EXPECT_EQ(b.svd.method, method);
  std::vector<Matrix> built;
  for (const Construction& what : all_constructions()) {
    Matrix one = construct(what, b, p);
    EXPECT_EQ(one.space(), device::here());
    built.push_back(moved_to(Space::Host, std::move(one)));
  }
  return built;
}

void expect_same(const Matrix& gpu, const Matrix& cpu, double relative, const std::string& what) {
  ASSERT_EQ(gpu.rows(), cpu.rows()) << what;
  ASSERT_EQ(gpu.cols(), cpu.cols()) << what;
  EXPECT_LE(frobenius(combined(1, gpu, -1, cpu)), relative * frobenius(cpu)) << what;
}

void compare_constructions(const Pair& pair, Method method, double relative) {
  const std::vector<Matrix> cpu = built_of(pair, method);
  std::vector<Matrix> gpu;
  {
    const device::Scope scope(0);
    gpu = built_of(pair, method);
  }
  for (size_t i = 0; i < cpu.size(); ++i) {
    const Construction what = all_constructions()[i];
    expect_same(gpu[i], cpu[i], relative,
                fmt::format("operation {}, side {}, {} x {}", static_cast<int>(what.operation),
                            static_cast<int>(what.side), pair.base.rows(), pair.base.cols()));
  }
}

TEST_F(EditOnGpu, Constructions) {
  for (const auto& [d_in, d_out] : kShapes) {
    compare_constructions(Pair(d_in, d_out, linear_spectrum(std::min(d_in, d_out), 2, 0.5), 10), Method::Gram, 1e-9);
  }
}

// By the direct SVD; the smallest directions are as well determined as their distances from each other allow.
TEST_F(EditOnGpu, ConstructionsOfHardSpectra) {
  for (const auto& [d_in, d_out] : {std::pair<int64_t, int64_t>{40, 40}, {60, 40}, {40, 60}}) {
    Pair pair(d_in, d_out, geometric_spectrum(40, 1e7), 20);
    pair.post = combined(1, times(small_rotation(d_in, 0.1, 21), pair.base), 0, pair.base);
    compare_constructions(pair, Method::Svd, 1e-7);
  }
}

void expect_same(const LoraPair& gpu, const LoraPair& cpu) {
  EXPECT_EQ(gpu.rank, cpu.rank);
  const auto expect_close = [](const std::vector<double>& g, const std::vector<double>& c) {
    ASSERT_EQ(g.size(), c.size());
    const auto count = static_cast<int64_t>(c.size());
    const ConstMatrixView x(g.data(), count, 1, count), y(c.data(), count, 1, count);
    EXPECT_LE(frobenius(combined(1, x, -1, y)), 1e-9 * frobenius(y));
  };
  expect_close(gpu.lora_a, cpu.lora_a);
  expect_close(gpu.lora_b, cpu.lora_b);
}

struct Band {
  LoraPair pair;
  Matrix rest;
};

Band band_of(const Pair& pair) {
  const ResidentPair stored(pair);
  Band band;
  band.pair = component_band(factorize(stored.base.weight()), 2, 5, 0.5);
  band.rest = moved_to(Space::Host, residual(stored.base.weight(), band.pair));
  return band;
}

TEST_F(EditOnGpu, ComponentBandAndResidual) {
  for (const auto& [d_in, d_out] : kShapes) {
    const Pair pair(d_in, d_out, linear_spectrum(std::min(d_in, d_out), 2, 0.5), 30);
    const Band cpu = band_of(pair);
    Band gpu;
    {
      const device::Scope scope(0);
      gpu = band_of(pair);
    }
    expect_same(gpu.pair, cpu.pair);
    expect_same(gpu.rest, cpu.rest, 1e-9, "residual");
  }
}

/// scaling · B A, d_in x d_out.
Matrix product_of(const LoraPair& pair) {
  const ConstMatrixView a(pair.lora_a.data(), pair.d_in, pair.rank, pair.d_in);
  const ConstMatrixView b(pair.lora_b.data(), pair.rank, pair.d_out, pair.rank);
  const Matrix product = times(a, b);
  return combined(pair.scaling, product, 0, product);
}

LowRankChange change_of(const Pair& pair) {
  const ResidentPair stored(pair);
  return low_rank_change(stored.base.weight(), stored.post.weight(), 6, 2);
}

// The product is compared: the vectors' signs are the library's.
TEST_F(EditOnGpu, LowRankChanges) {
  for (const auto& [d_in, d_out] : kShapes) {
    const Pair pair(d_in, d_out, linear_spectrum(std::min(d_in, d_out), 2, 0.5), 40);
    const LowRankChange cpu = change_of(pair);
    LowRankChange gpu;
    {
      const device::Scope scope(0);
      gpu = change_of(pair);
    }
    EXPECT_NEAR(gpu.change, cpu.change, 1e-12 * cpu.change);
    EXPECT_NEAR(gpu.error, cpu.error, 1e-9 * cpu.change);
    ASSERT_EQ(gpu.sigma.size(), cpu.sigma.size());
    for (const double share : {0.5, 0.9, 0.99}) EXPECT_EQ(gpu.rank_for(share), cpu.rank_for(share));
    expect_same(product_of(gpu.pair), product_of(cpu.pair), 1e-9, "scaling · B A");
  }
}

TEST_F(EditOnGpu, NoChange) {
  Pair pair(30, 20, linear_spectrum(20, 2, 0.5), 50);
  pair.post = pair.base.clone();
  const device::Scope scope(0);
  const LowRankChange found = change_of(pair);
  EXPECT_EQ(found.change, 0);
  EXPECT_EQ(found.error, 0);
}

TEST_F(EditOnGpu, ErrorsNameTheTensor) {
  Pair pair(20, 10, linear_spectrum(10, 2, 0.5), 60);
  pair.post(3, 4) = std::nan("");
  const Matrix low = times(gaussian(20, 3, 61), gaussian(3, 10, 62));
  const device::Scope scope(0);
  const ResidentPair stored(pair);
  EXPECT_EQ(error_of([&] { factorize(stored.post.weight()); }), "post: holds 1 NaN and 0 infinite values of 200");
  EXPECT_EQ(error_of([&] { change_of(pair); }), "post − base: holds 1 NaN and 0 infinite values of 200");
  const ResidentWeight low_rank(weight_of(low, "low"));
  EXPECT_EQ(error_of([&] { factorize(low_rank.weight()); }),
            "low: has rank 3 of 10: its singular vectors are not determined");
}

// Whole runs: the same files but for the last place of F32.

class RunsOnGpu : public EditOnGpu {
 protected:
  static void expect_same_values(const fs::path& gpu, const fs::path& cpu) {
    const SafetensorsFile a(gpu), b(cpu);
    ASSERT_EQ(a.header().tensors.size(), b.header().tensors.size());
    for (const auto& [name, info] : b.header().tensors) {
      const auto count = static_cast<size_t>((info.end - info.begin) / 4);
      std::vector<double> x(count), y(count);
      widen(DType::F32, a.bytes(a.header().tensors.at(name)).data(), count, x.data());
      widen(DType::F32, b.bytes(info).data(), count, y.data());
      for (size_t i = 0; i < count; ++i) ASSERT_NEAR(x[i], y[i], 1e-6) << name << " " << i;
    }
  }

  void SetUp() override {
    EditOnGpu::SetUp();
    if (IsSkipped()) return;
    const auto base = [](int64_t layer, const std::string& name, int64_t d_in, int64_t d_out) {
      return with_spectrum(d_in, d_out, linear_spectrum(std::min(d_in, d_out), 2, 0.5),
                           static_cast<uint64_t>(layer) * 100 + name.size());
    };
    TinyModel().write(dir_.path() / "base", base);
    TinyModel().write(dir_.path() / "post", [&](int64_t layer, const std::string& name, int64_t d_in, int64_t d_out) {
      const Matrix w = base(layer, name, d_in, d_out);
      return combined(1.02, times(small_rotation(d_in, 0.2, 7), w), 0.01, gaussian_for(layer, name, d_in, d_out, 8));
    });
  }

  TempDir dir_;
};

TEST_F(RunsOnGpu, Build) {
  for (const bool cuda : {false, true}) {
    BuildRequest request;
    request.base = std::make_shared<Checkpoint>(dir_.path() / "base");
    request.post = std::make_shared<Checkpoint>(dir_.path() / "post");
    request.run.cuda = cuda;
    for (const Construction& what : all_constructions()) {
      request.variants.push_back(
          {dir_.path() / fmt::format("{}{}", cuda ? "gpu" : "cpu", request.variants.size()), what, Group::All, {}, ""});
    }
    ASSERT_TRUE(run_build(request));
  }
  for (size_t v = 0; v < all_constructions().size(); ++v) {
    expect_same_values(dir_.path() / fmt::format("gpu{}", v) / "model.safetensors",
                       dir_.path() / fmt::format("cpu{}", v) / "model.safetensors");
  }
}

TEST_F(RunsOnGpu, InitAndLora) {
  for (const bool cuda : {false, true}) {
    const std::string place = cuda ? "gpu" : "cpu";
    InitRequest init;
    init.base = std::make_shared<Checkpoint>(dir_.path() / "base");
    init.out = dir_.path() / (place + "-init");
    init.rank = 3;
    init.adapter_folder = "pissa_init/";
    init.run.cuda = cuda;
    ASSERT_TRUE(run_init(init));
    LoraRequest lora;
    lora.base = init.base;
    lora.post = std::make_shared<Checkpoint>(dir_.path() / "post");
    lora.out = dir_.path() / (place + "-lora");
    lora.rank = 4;
    lora.run.cuda = cuda;
    ASSERT_TRUE(run_lora(lora));
  }
  for (const char* file : {"model.safetensors", "pissa_init/adapter_model.safetensors"})
    expect_same_values(dir_.path() / "gpu-init" / file, dir_.path() / "cpu-init" / file);
}

}  // namespace
}  // namespace gyro
