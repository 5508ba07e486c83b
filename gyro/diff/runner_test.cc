#include "gyro/diff/runner.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <csignal>

#include "gyro/base/file.h"
#include "gyro/diff/result_files.h"
#include "gyro/diff/result_json.h"
#include "gyro/diff/test_util.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;

/// W of the base: gaussian, each matrix its own.
Matrix base_matrix(int64_t layer, const std::string& name, int64_t d_in, int64_t d_out) {
  return gaussian_for(layer, name, d_in, d_out, 1);
}

/// A structureless change of the base with its own c and size.
TinyModel::Make changed(double c, double size, uint64_t seed) {
  return [=](int64_t layer, const std::string& name, int64_t d_in, int64_t d_out) {
    return combined(c, base_matrix(layer, name, d_in, d_out), size, gaussian_for(layer, name, d_in, d_out, seed));
  };
}

/// A base and two descendants on disk: 3 layers, 21 matrices of at most 48 x 32.
struct Models {
  Models() {
    TinyModel model;
    model.layers = 3;
    model.write(dir / "base", base_matrix);
    model.write(dir / "one", changed(0.95, 0.1, 2));
    model.write(dir / "two", changed(1, 0.01, 3));
  }
  DiffRequest request(const std::vector<std::string>& posts = {"one"}) const {
    DiffRequest r;
    r.base = dir / "base";
    for (const std::string& post : posts) r.posts.push_back(dir / post);
    r.run.threads = 1;
    r.warn = [](const std::string& text) { ADD_FAILURE() << text; };
    return r;
  }
  TempDir dir;
};

/// `request` written to `out`, ended by `stop` after `matrices` more of them: as often as the journal has grown.
DiffOutcome run_to(DiffRequest request, const fs::path& out, int matrices = 1000) {
  request.out = out;
  auto kept = std::make_shared<std::atomic<int>>(-1);
  auto size = std::make_shared<std::atomic<uintmax_t>>(0);
  request.run.stop = [=] {
    std::error_code none;
    const uintmax_t now = fs::file_size(out / ".gyro-journal", none);
    if (size->exchange(now) != now || *kept < 0) ++*kept;
    return *kept >= matrices;
  };
  return run_diff(request);
}

/// Files of this process cannot grow beyond a size for as long as this lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit = {bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  void (*handler_)(int);
  rlimit before_ = {};
};

Json document_of(const DiffOutcome& outcome) {
  return to_json(outcome.result.value());
}

std::string bytes_in(const fs::path& path) {
  return read_file(path, size_t{1} << 26);
}

void expect_same_files(const fs::path& a, const fs::path& b) {
  for (const char* name : {"result.json", "arrays.safetensors"})
    EXPECT_EQ(bytes_in(a / name), bytes_in(b / name)) << name;
  EXPECT_EQ(std::distance(fs::directory_iterator(a), {}), 2);
  EXPECT_EQ(std::distance(fs::directory_iterator(b), {}), 2);
}

TEST(RunDiff, CoversEveryMatrixInOrder) {
  const Models models;
  const DiffOutcome outcome = run_diff(models.request());
  EXPECT_EQ(outcome.total, 21);
  EXPECT_EQ(outcome.done, 21);
  EXPECT_FALSE(outcome.kept > 0);
  EXPECT_EQ(document_of(outcome)["schema"], "gyro.diff/2");
  EXPECT_EQ(document_of(outcome)["base"]["layers"], 3);
  const Json comparison = document_of(outcome)["comparisons"][0];
  EXPECT_EQ(comparison["role"], "post");
  const char* names[] = {"W_Q", "W_K", "W_V", "W_O", "W_gate", "W_up", "W_down"};
  ASSERT_EQ(comparison["matrices"].size(), 21u);
  for (size_t i = 0; i < 21; ++i) {
    EXPECT_EQ(comparison["matrices"][i]["layer"], i / 7);
    EXPECT_EQ(comparison["matrices"][i]["type"], names[i % 7]);
  }
  EXPECT_EQ(comparison["types"].size(), 7u);
  EXPECT_EQ(comparison["findings"].size(), 9u);
}

TEST(RunDiff, DoesNotDependOnThreads) {
  const Models models;
  DiffRequest request = models.request({"one", "two"});
  request.controls = {"noise"};
  request.null_nf_draws = 2;
  run_to(request, models.dir / "serial");
  request.run.threads = 3;
  run_to(request, models.dir / "parallel");
  expect_same_files(models.dir / "serial", models.dir / "parallel");
}

TEST(RunDiff, SeedChangesTheDrawsAlone) {
  const Models models;
  DiffRequest request = models.request();
  const Json zero = document_of(run_diff(request));
  request.seed = 1;
  const Json one = document_of(run_diff(request));
  const Json &a = zero["comparisons"][0]["matrices"][0], &b = one["comparisons"][0]["matrices"][0];
  EXPECT_NE(a["null"]["sampled"], b["null"]["sampled"]);
  EXPECT_EQ(a["nf"], b["nf"]);
  EXPECT_EQ(document_of(run_diff(request)), one);
}

TEST(RunDiff, ResumesToTheSameBytes) {
  const Models models;
  const DiffRequest request = models.request({"one", "two"});
  run_to(request, models.dir / "whole");
  const fs::path out = models.dir / "parts";
  DiffOutcome outcome = run_to(request, out, 4);
  EXPECT_FALSE(outcome.result);
  EXPECT_EQ(outcome.done, 4);
  EXPECT_TRUE(fs::exists(out / ".gyro-journal"));
  EXPECT_FALSE(fs::exists(out / "result.json"));
  outcome = run_to(request, out, 9);
  EXPECT_EQ(outcome.done, 13);
  EXPECT_TRUE(outcome.kept > 0);
  outcome = run_to(request, out);
  EXPECT_EQ(outcome.done, 21);
  EXPECT_TRUE(outcome.kept > 0);
  expect_same_files(models.dir / "whole", out);
}

TEST(RunDiff, DropsATornLastRecord) {
  const Models models;
  run_to(models.request(), models.dir / "whole");
  const fs::path out = models.dir / "torn";
  run_to(models.request(), out, 5);
  fs::resize_file(out / ".gyro-journal", fs::file_size(out / ".gyro-journal") - 7);
  EXPECT_EQ(run_to(models.request(), out, 0).done, 4);
  run_to(models.request(), out);
  expect_same_files(models.dir / "whole", out);
}

TEST(RunDiff, StoppedBeforeTheFirstMatrixLeavesNothing) {
  const Models models;
  EXPECT_EQ(run_to(models.request(), models.dir / "out", 0).done, 0);
  EXPECT_FALSE(fs::exists(models.dir / "out"));
}

TEST(RunDiff, AFinishedRunIsNotComputedAgain) {
  const Models models;
  const fs::path out = models.dir / "out";
  const DiffOutcome first = run_to(models.request(), out);
  const auto written = fs::last_write_time(out / "result.json");
  const DiffOutcome again = run_to(models.request(), out, 0);  // would stop before any matrix
  EXPECT_TRUE(again.kept > 0);
  EXPECT_EQ(document_of(again)["comparisons"], document_of(first)["comparisons"]);
  EXPECT_EQ(fs::last_write_time(out / "result.json"), written);
}

TEST(RunDiff, RefusesAnotherRunsFolder) {
  const Models models;
  const fs::path out = models.dir / "out";
  run_to(models.request(), out);
  const std::string before = bytes_in(out / "result.json");
  DiffRequest other = models.request();
  other.null_draws = 3;
  EXPECT_TRUE(contains(error_of([&] { run_to(other, out); }), "not a run of these inputs and options"));
  EXPECT_TRUE(contains(error_of([&] { run_to(models.request({"two"}), out); }), "not a run of these"));
  EXPECT_EQ(bytes_in(out / "result.json"), before);
  other.force = true;
  EXPECT_EQ(run_to(other, out).done, 21);
  EXPECT_NE(bytes_in(out / "result.json"), before);
}

// A model is known by what it holds, whatever path leads there.
TEST(RunDiff, GoesOnUnderAnotherSpellingOfThePaths) {
  const Models models;
  run_to(models.request(), models.dir / "whole");
  const fs::path out = models.dir / "out";
  DiffRequest other = models.request({"one/", "./one", "../" + models.dir.path().filename().string() + "/one"});
  other.base = (models.dir / "base/").string();
  for (const std::string& post : std::exchange(other.posts, {})) {
    run_to(models.request(), out, 5);
    other.posts = {post};
    EXPECT_EQ(run_to(other, out, 2).done, 7) << post;
    EXPECT_TRUE(run_to(models.request(), out).kept > 0);
    expect_same_files(models.dir / "whole", out);
    EXPECT_EQ(run_to(other, out, 0).done, 21) << post;
    fs::remove_all(out);
  }
}

// What the machine lacks now it may have later: what is done is kept.
TEST(RunDiff, KeepsItsJournalWhenItCannotBeWrittenOn) {
  const Models models;
  const fs::path out = models.dir / "out";
  {
    const FileSizeLimit limit(60'000);
    EXPECT_TRUE(contains(error_of([&] { run_to(models.request(), out); }), ".gyro-journal: cannot write"));
  }
  const DiffOutcome outcome = run_to(models.request(), out, 0);
  EXPECT_GT(outcome.done, 0);
  EXPECT_TRUE(outcome.kept > 0);
  run_to(models.request(), out);
  run_to(models.request(), models.dir / "whole");
  expect_same_files(models.dir / "whole", out);
}

// The same paths, but other weights in them.
TEST(RunDiff, NoticesChangedWeights) {
  const Models models;
  const fs::path out = models.dir / "out";
  run_to(models.request(), out, 3);
  TinyModel model;
  model.layers = 3;
  model.write(models.dir / "one", changed(0.95, 0.1, 4));
  EXPECT_TRUE(contains(error_of([&] { run_to(models.request(), out); }), "not a run of these"));
}

TEST(RunDiff, AnInterruptedForcedRunResumes) {
  const Models models;
  const fs::path out = models.dir / "out";
  run_to(models.request({"two"}), out);
  DiffRequest request = models.request();
  request.force = true;
  run_to(request, out, 3);
  request.force = false;
  EXPECT_EQ(run_to(request, out, 2).done, 5);
  run_to(request, out);
  run_to(models.request(), models.dir / "whole");
  expect_same_files(models.dir / "whole", out);
}

// The NaN lies in the smallest matrices, so that larger ones are done and kept before it is found.
TEST(RunDiff, AnErrorLeavesNoFolder) {
  const Models models;
  TinyModel model;
  model.layers = 3;
  model.write(models.dir / "bad", [](int64_t layer, const std::string& name, int64_t d_in, int64_t d_out) {
    Matrix w = base_matrix(layer, name, d_in, d_out);
    if (layer == 2 && name == "v_proj") w(3, 1) = std::nan("");
    return w;
  });
  for (const int threads : {1, 3}) {
    DiffRequest request = models.request({"bad"});
    request.run.threads = threads;
    const std::string line = error_of([&] { run_to(request, models.dir / "out"); });
    EXPECT_TRUE(contains(line, "model.layers.2.self_attn.v_proj.weight")) << line;
    EXPECT_TRUE(contains(line, "holds 1 NaN and 0 infinite values of 512")) << line;
    EXPECT_FALSE(fs::exists(models.dir / "out"));
  }
  EXPECT_TRUE(contains(error_of([&] { run_to(models.request({"missing"}), models.dir / "out"); }), "missing"));
  EXPECT_FALSE(fs::exists(models.dir / "out"));
}

TEST(RunDiff, RefusesOtherShapes) {
  const Models models;
  TinyModel model;
  model.layers = 3;
  model.intermediate = 40;
  model.write(models.dir / "other", base_matrix);
  EXPECT_NE(error_of([&] { run_to(models.request({"other"}), models.dir / "out"); }), "no error");
  EXPECT_FALSE(fs::exists(models.dir / "out"));
}

TEST(RunDiff, WarnsOfUnknownArchitecturesIfAnyoneListens) {
  const Models models;
  for (const char* folder : {"base/config.json", "one/config.json"}) {
    write_text(models.dir / folder,
               R"({"model_type":"novel","hidden_size":32,"intermediate_size":48,"num_hidden_layers":3,)"
               R"("num_attention_heads":4,"num_key_value_heads":2})");
  }
  DiffRequest request = models.request();
  std::vector<std::string> warnings;
  request.warn = [&](const std::string& text) { warnings.push_back(text); };
  run_diff(request);
  ASSERT_EQ(warnings.size(), 2u);
  for (const std::string& warning : warnings) EXPECT_TRUE(contains(warning, "novel")) << warning;
  request.warn = nullptr;
  EXPECT_EQ(run_diff(request).done, 21);
}

TEST(RunDiff, SelectsLayersAndTypes) {
  const Models models;
  DiffRequest request = models.request();
  const Json all = document_of(run_diff(request))["comparisons"][0]["matrices"];
  request.layers = {-1, 0, 0};
  request.types = {MatrixType::Down, MatrixType::Q};
  const DiffOutcome outcome = run_diff(request);
  EXPECT_EQ(outcome.total, 4);
  const Json rows = document_of(outcome)["comparisons"][0]["matrices"];
  ASSERT_EQ(rows.size(), 4u);
  // The same rows as in the whole run, draws and all.
  EXPECT_EQ(rows, (Json{all[0], all[6], all[14], all[20]}));
  EXPECT_EQ(document_of(outcome)["options"]["types"], (Json{"W_down", "W_Q"}));
  for (const int64_t layer : {3, -4}) {
    request.layers = {layer};
    EXPECT_EQ(error_of([&] { run_diff(request); }),
              fmt::format("layers: there is no layer {}: the model has 3", layer));
  }
  request.layers = {};
  request.types = {MatrixType::QKV};
  EXPECT_EQ(error_of([&] { run_diff(request); }), "types: the model has no such matrices");
}

// A base that is decomposed once for two posts gives what two runs give.
TEST(RunDiff, SharesTheBaseBetweenPosts) {
  const Models models;
  const auto rows = [&](const std::vector<std::string>& posts) {
    DiffRequest request = models.request(posts);
    request.null_draws = 0;
    return document_of(run_diff(request))["comparisons"];
  };
  const Json both = rows({"one", "two"}), one = rows({"one"}), two = rows({"two"});
  EXPECT_EQ(both[0], one[0]);
  EXPECT_EQ(both[1], two[0]);
}

TEST(RunDiff, KeepsArrays) {
  const Models models;
  const fs::path out = models.dir / "out";
  DiffRequest request = models.request();
  request.controls = {models.dir / "two"};
  EXPECT_EQ(document_of(run_to(request, out))["comparisons"][1]["role"], "control");
  const SafetensorsFile file(out / "arrays.safetensors");
  const auto& tensors = file.header().tensors;
  // 21 bases' σ; σ, two turns and two curves of shares of both comparisons; six corners in the two outer layers.
  EXPECT_EQ(tensors.size(), 21u + 2 * 21 * 5 + 2 * 14 * 6);
  EXPECT_EQ(tensors.find("1.1.W_gate.principal_u")->second.shape, (std::vector<int64_t>{32}));
  EXPECT_EQ(tensors.find("1.1.W_gate.turn_v")->second.shape, (std::vector<int64_t>{32}));
  EXPECT_EQ(tensors.find("0.1.W_gate.sigma")->second.dtype, DType::F64);
  EXPECT_EQ(tensors.find("0.2.W_K.i_orth")->second.shape, (std::vector<int64_t>{16, 16}));
  EXPECT_EQ(tensors.find("0.0.W_Q.delta_q2")->second.shape, (std::vector<int64_t>{25, 25}));
  EXPECT_EQ(tensors.find("0.0.W_Q.delta_q2")->second.dtype, DType::F32);
  EXPECT_FALSE(tensors.contains("0.1.W_Q.sim_u"));
}

// What is written to a folder is the same as what is held in memory, whether computed now or found there.
TEST(RunDiff, HoldsArraysInMemoryIfAsked) {
  const Models models;
  const fs::path out = models.dir / "out";
  DiffRequest request = models.request();
  EXPECT_TRUE(run_diff(request).result->arrays.empty());
  EXPECT_TRUE(run_to(request, out).result->arrays.empty());
  request.arrays = true;
  const ResultArrays written = read_arrays(out), held = run_diff(request).result->arrays,
                     found = run_to(request, out).result->arrays;
  EXPECT_EQ(written.size(), 21u + 21 * 5 + 14 * 6);
  for (const ResultArrays* arrays : {&held, &found}) {
    ASSERT_EQ(arrays->size(), written.size());
    for (const auto& [name, array] : written) {
      EXPECT_EQ(arrays->at(name).shape, array.shape) << name;
      EXPECT_EQ(arrays->at(name).bytes, array.bytes) << name;
    }
  }
}

double of(const Json& row, const char* key) {
  return row[key].get<double>();
}

// With W_n = c W_b + E', ‖E'‖ = ‖E‖: Δ_n − (c − 1) W_b = E', so that r_n² − 2 (c − 1)(c_n − 1) + (c − 1)² =
// ‖E‖²/‖W_b‖², which is r_p² − (c − 1)² of the post. r: relative change, c_n: the scale found of the control.
TEST(RunDiff, NoiseControlHasTheResidualsNorm) {
  const Models models;
  DiffRequest request = models.request({"one", "two"});
  request.controls = {"noise"};
  const Json comparisons = document_of(run_diff(request))["comparisons"];
  ASSERT_EQ(comparisons.size(), 4u);
  EXPECT_EQ(comparisons[2]["post"]["id"], "noise (one)");
  EXPECT_EQ(comparisons[3]["post"]["id"], "noise (two)");
  EXPECT_TRUE(comparisons[0]["noise_of"].is_null());
  for (size_t i = 0; i < 42; ++i) {
    const Json &of_post = comparisons[i / 21], &of_noise = comparisons[2 + i / 21];
    EXPECT_EQ(of_noise["role"], "control");
    EXPECT_EQ(of_noise["noise_of"], of_post["post"]["id"]);
    const Json &post = of_post["matrices"][i % 21], &noise = of_noise["matrices"][i % 21];
    const double shift = of(post, "scale") - 1;
    const double residual = std::pow(of(post, "relative_change"), 2) - shift * shift;
    const double found =
        std::pow(of(noise, "relative_change"), 2) - 2 * shift * (of(noise, "scale") - 1) + shift * shift;
    EXPECT_NEAR(found, residual, 1e-12 * residual);
    // Robust: the smallest singular value of a square matrix makes NF itself heavy-tailed.
    EXPECT_NEAR(of(noise, "nf_robust"), of(post, "nf_robust"), 0.5 * of(post, "nf_robust"));
    EXPECT_NE(of(noise, "nf"), of(post, "nf"));
  }
}

// A zero matrix (a pruned block, say) is no reason to refuse a model.
TEST(RunDiff, ZeroMatricesInTheBase) {
  const Models models;
  TinyModel model;
  model.layers = 3;
  model.write(models.dir / "base", [](int64_t layer, const std::string& name, int64_t d_in, int64_t d_out) {
    return layer == 1 ? Matrix::zeros(d_in, d_out) : base_matrix(layer, name, d_in, d_out);
  });
  DiffRequest request = models.request();
  request.controls = {"noise"};
  const Json comparisons = document_of(run_diff(request))["comparisons"];
  for (const Json& comparison : comparisons) {
    EXPECT_TRUE(comparison["matrices"][7]["nf"].is_null());
    const Json& flags = comparison["matrices"][7]["flags"];
    EXPECT_TRUE(std::find(flags.begin(), flags.end(), "rank_deficient") != flags.end()) << flags;
    EXPECT_TRUE(comparison["matrices"][0]["nf"].is_number());
  }
}

/// The findings, by id, of a planted change of a model.
Json findings_of(const TinyModel& model, const TinyModel::Make& base, const TinyModel::Make& post) {
  const TempDir dir;
  model.write(dir / "base", base);
  model.write(dir / "post", post);
  DiffRequest request;
  request.base = dir / "base";
  request.posts = {dir / "post"};
  request.run.threads = 2;
  const Json document = document_of(run_diff(request));
  Json findings;
  for (const Json& finding : document["comparisons"][0]["findings"]) {
    findings[finding["id"].get<std::string>()] = finding;
  }
  return findings;
}

TEST(PlantedFindings, UniformScaling) {
  const Json f = findings_of({}, base_matrix, [](int64_t layer, const std::string& name, int64_t d_in, int64_t d_out) {
    return combined(0.9, base_matrix(layer, name, d_in, d_out), 0, Matrix::zeros(d_in, d_out));
  });
  EXPECT_EQ(f["common_scalar"]["verdict"], "yes");
  EXPECT_NEAR(of(f["common_scalar"], "value"), 0.9, 1e-7);  // stored in F32
  EXPECT_NE(f["uniform_scaling"]["verdict"], "no");
  EXPECT_LE(of(f["uniform_scaling"], "value"), 1e-6);
  EXPECT_EQ(f["w_o_anomaly"]["verdict"], "no");
  EXPECT_EQ(f["unrelated"]["verdict"], "no");
}

TEST(PlantedFindings, WoAnomaly) {
  const Json f = findings_of({}, base_matrix, [](int64_t layer, const std::string& name, int64_t d_in, int64_t d_out) {
    return combined(name == "o_proj" ? 1.4 : 1.0, base_matrix(layer, name, d_in, d_out), 0, Matrix::zeros(d_in, d_out));
  });
  EXPECT_EQ(f["w_o_anomaly"]["verdict"], "yes");
  EXPECT_NEAR(of(f["w_o_anomaly"], "value"), 0.4, 1e-6);
  EXPECT_EQ(f["common_scalar"]["verdict"], "no");
}

TEST(PlantedFindings, LowRankUpdate) {
  TinyModel model;
  model.hidden = model.intermediate = 256;
  model.layers = 1;
  model.kv_heads = 4;
  const auto low_rank = [](int64_t layer, const std::string& name, int64_t d_in, int64_t d_out) {
    const Matrix update = times(gaussian_for(layer, name, d_in, 4, 5), gaussian_for(layer, name, 4, d_out, 6));
    return combined(1, base_matrix(layer, name, d_in, d_out), 0.01, update);
  };
  const Json f = findings_of(model, base_matrix, low_rank);
  EXPECT_EQ(f["low_rank_update"]["verdict"], "yes");
  EXPECT_LE(of(f["low_rank_update"], "value"), 0.1);  // 4 of 256, and what stands a little above rounding
  EXPECT_EQ(f["unrelated"]["verdict"], "no");
}

TEST(PlantedFindings, Unrelated) {
  const Json f = findings_of({}, base_matrix, [](int64_t layer, const std::string& name, int64_t d_in, int64_t d_out) {
    return gaussian_for(layer, name, d_in, d_out, 99);
  });
  EXPECT_EQ(f["unrelated"]["verdict"], "yes");
  EXPECT_NEAR(of(f["unrelated"], "value"), 1, 0.05);  // median of 14, each spread by 1/(2n) = 2 %
  for (const char* id :
       {"uniform_scaling", "common_scalar", "w_o_anomaly", "co_rotation", "low_rank_update", "sparse_update"})
    EXPECT_EQ(f[id]["verdict"], "not_asked");
}

TEST(PlantedFindings, SparseUpdate) {
  const Json f = findings_of({}, base_matrix, [](int64_t layer, const std::string& name, int64_t d_in, int64_t d_out) {
    Matrix w = base_matrix(layer, name, d_in, d_out);
    for (int64_t i = 0; i < d_in * d_out; i += 2) w.data()[i] += 0.01;
    return w;
  });
  EXPECT_EQ(f["sparse_update"]["verdict"], "yes");
  EXPECT_DOUBLE_EQ(of(f["sparse_update"], "value"), 0.5);
}

TEST(PlantedFindings, CoRotation) {
  const auto turned = [](double angle) {
    return [=](int64_t layer, const std::string& name, int64_t d_in, int64_t d_out) {
      const int64_t n = std::min(d_in, d_out);
      const uint64_t seed = mix64(static_cast<uint64_t>(layer)) ^ mix64(name.size() + static_cast<uint64_t>(name[0]));
      const Matrix q = small_rotation(n, angle, seed + 1);
      const Matrix u = orthonormal(d_in, n, seed + 2), v = orthonormal(d_out, n, seed + 3);
      const Matrix w = compose(times(u, q), linear_spectrum(n, 2, 0.5), times(v, q));
      return combined(1, w, angle > 0 ? 0.002 : 0, gaussian_for(layer, name, d_in, d_out, 7));
    };
  };
  const Json f = findings_of({}, turned(0), turned(0.05));
  EXPECT_EQ(f["co_rotation"]["verdict"], "yes");
  EXPECT_GT(of(f["co_rotation"], "value"), 0.5);
  EXPECT_LT(of(f["co_rotation"], "z"), -4);
  const Json none = findings_of({}, base_matrix, changed(1, 0.05, 8));
  EXPECT_EQ(none["co_rotation"]["verdict"], "as_chance");
  EXPECT_LT(std::abs(of(none["co_rotation"], "z")), 4);
}

}  // namespace
}  // namespace gyro
