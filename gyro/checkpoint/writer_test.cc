#include "gyro/checkpoint/writer.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <memory>
#include <nlohmann/json.hpp>

#include "gyro/checkpoint/checkpoint.h"
#include "gyro/checkpoint/test_util.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;
constexpr uint64_t kLarge = 1 << 30;
constexpr const char* kConfig =
    R"({"model_type":"llama","hidden_size":8,"intermediate_size":8,"num_hidden_layers":1,"num_attention_heads":2})";

/// `count` tensors "t00", "t01", ... of 10, 20, ... F32 values.
std::vector<PlannedTensor> plan_of(int count) {
  std::vector<PlannedTensor> plan;
  for (int i = 0; i < count; ++i) plan.push_back({fmt::format("t{:02}", i), DType::F32, {10 * (i + 1)}});
  return plan;
}

std::vector<std::byte> content_of(const PlannedTensor& tensor) {
  std::vector<float> values(tensor.byte_size() / 4);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(values.size() * 1000 + i);
  return bytes_of(values);
}

void append_all(CheckpointWriter& writer, const std::vector<PlannedTensor>& plan) {
  for (const PlannedTensor& tensor : plan) writer.append(content_of(tensor));
}

void write_whole(const fs::path& folder, const std::vector<PlannedTensor>& plan, uint64_t shard_size, bool force) {
  CheckpointWriter writer(folder, plan, shard_size, force);
  append_all(writer, plan);
  writer.add_file("config.json", kConfig);
  writer.finish();
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

using Names = std::vector<std::string>;

void expect_whole(const fs::path& folder, const std::vector<PlannedTensor>& plan) {
  const Checkpoint model(folder);
  EXPECT_EQ(model.tensors().size(), plan.size());
  for (const PlannedTensor& tensor : plan) {
    const SourceTensor* entry = model.find(tensor.name);
    ASSERT_TRUE(entry) << tensor.name;
    EXPECT_EQ(entry->shape, tensor.shape);
    const auto stored = model.read(tensor.name).bytes;
    EXPECT_EQ(std::vector<std::byte>(stored.begin(), stored.end()), content_of(tensor)) << tensor.name;
  }
}

std::string sha256_of(const fs::path& path) {
  const std::string text = read_file(path, 1 << 20);
  Sha256 hash;
  hash.update(text);
  return hash.hex();
}

TEST(CheckpointWriter, OneFile) {
  const TempDir dir;
  const auto plan = plan_of(4);
  write_whole(dir / "out", plan, kLarge, false);
  EXPECT_EQ(names_in(dir / "out"), (Names{"config.json", "model.safetensors"}));
  expect_whole(dir / "out", plan);
  EXPECT_EQ(names_in(dir.path()), Names{"out"});
}

TEST(CheckpointWriter, ShardsAndIndex) {
  const TempDir dir;
  const auto plan = plan_of(4);  // 40, 80, 120, 160 bytes
  write_whole(dir / "out", plan, 240, false);
  EXPECT_EQ(names_in(dir / "out"), (Names{"config.json", "model-00001-of-00002.safetensors",
                                          "model-00002-of-00002.safetensors", "model.safetensors.index.json"}));
  expect_whole(dir / "out", plan);
  const auto index = nlohmann::json::parse(read_file(dir / "out/model.safetensors.index.json", 1 << 20));
  EXPECT_EQ(index["metadata"]["total_size"], 400);
  EXPECT_EQ(index["weight_map"]["t02"], "model-00001-of-00002.safetensors");  // 240 bytes fit exactly
  EXPECT_EQ(index["weight_map"]["t03"], "model-00002-of-00002.safetensors");
}

TEST(CheckpointWriter, TensorLargerThanAShardHasItsOwn) {
  const TempDir dir;
  const auto plan = plan_of(3);
  write_whole(dir / "out", plan, 1, false);
  EXPECT_EQ(names_in(dir / "out").size(), 3u + 2);
  expect_whole(dir / "out", plan);
}

TEST(CheckpointWriter, EmptyTensorsTakeNoShard) {
  const TempDir dir;
  const std::vector<PlannedTensor> plan = {{"a", DType::F32, {0}}, {"b", DType::F32, {4}}, {"c", DType::F32, {0, 3}}};
  write_whole(dir / "out", plan, 16, false);
  EXPECT_EQ(names_in(dir / "out"), (Names{"config.json", "model.safetensors"}));
  expect_whole(dir / "out", plan);
}

TEST(CheckpointWriter, HashesOfEveryFileBeforeTheEnd) {
  const TempDir dir;
  const auto plan = plan_of(3);
  CheckpointWriter writer(dir / "out", plan, 100, false);
  append_all(writer, plan);
  writer.add_file("config.json", kConfig);
  writer.add_file("start/adapter.json", "{}");
  const auto hashes = writer.hashes();
  writer.finish();
  size_t files = 0;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(dir / "out")) {
    if (!entry.is_regular_file()) continue;
    ++files;
    const std::string name = fs::relative(entry.path(), dir / "out").string();
    ASSERT_TRUE(hashes.contains(name)) << name;
    EXPECT_EQ(hashes.at(name), sha256_of(entry.path())) << name;
  }
  EXPECT_EQ(files, hashes.size());
}

TEST(CheckpointWriter, NoTensors) {
  const TempDir dir;
  CheckpointWriter writer(dir / "out", {}, 1, false);
  writer.add_file("adapter_config.json", "{}");
  writer.finish();
  EXPECT_EQ(names_in(dir / "out"), Names{"adapter_config.json"});
}

TEST(CheckpointWriter, TrailingSlashAndParents) {
  const TempDir dir;
  write_whole(dir / "a/b/out/", plan_of(1), kLarge, false);
  expect_whole(dir / "a/b/out", plan_of(1));
  EXPECT_EQ(names_in(dir / "a/b"), Names{"out"});
}

TEST(CheckpointWriter, NothingIsLeftUnlessFinished) {
  const TempDir dir;
  const auto plan = plan_of(3);
  {
    CheckpointWriter writer(dir / "out", plan, 100, false);
    writer.append(content_of(plan[0]));
    EXPECT_FALSE(fs::exists(dir / "out"));
  }
  {
    CheckpointWriter writer(dir / "out", plan, 100, false);
    append_all(writer, plan);
    writer.add_file("config.json", kConfig);
    EXPECT_FALSE(fs::exists(dir / "out"));
  }
  { CheckpointWriter nested(dir / "a/b/out/", plan, 100, false); }
  EXPECT_EQ(names_in(dir.path()), Names{});
}

TEST(CheckpointWriter, RefusesWhatIsNotEmpty) {
  const TempDir dir;
  const auto plan = plan_of(2);
  write_whole(dir / "out", plan, kLarge, false);
  const std::string error = error_of([&] { CheckpointWriter(dir / "out", plan, kLarge, false); });
  EXPECT_TRUE(contains(error, "out: is not empty")) << error;
  expect_whole(dir / "out", plan);
  fs::create_directory(dir / "empty");
  write_whole(dir / "empty", plan, kLarge, false);
  expect_whole(dir / "empty", plan);
}

TEST(CheckpointWriter, ForceReplacesTheFilesAtTheEnd) {
  const TempDir dir;
  const auto old_plan = plan_of(5), plan = plan_of(2);
  write_whole(dir / "out", old_plan, 100, false);
  { CheckpointWriter abandoned(dir / "out", plan, kLarge, true); }
  expect_whole(dir / "out", old_plan);
  write_whole(dir / "out", plan, kLarge, true);
  EXPECT_EQ(names_in(dir / "out"), (Names{"config.json", "model.safetensors"}));
  expect_whole(dir / "out", plan);
  EXPECT_EQ(names_in(dir.path()), Names{"out"});
}

TEST(CheckpointWriter, NothingThatWasThereGetsIntoIt) {
  const TempDir dir;
  const fs::path stale = dir / fmt::format("out.tmp.{}", getpid());
  fs::create_directory(stale);
  write_text(stale / "model-00001-of-00002.safetensors", "of a run that was killed");
  write_whole(dir / "out", plan_of(1), kLarge, false);
  EXPECT_EQ(names_in(dir / "out"), (Names{"config.json", "model.safetensors"}));
}

TEST(CheckpointWriter, LinkToAFolder) {
  const TempDir dir, disk;
  fs::create_directory(disk / "models");
  fs::create_directory_symlink(disk / "models", dir / "out");
  for (const char* path : {"out", "out/", "out/."}) {
    write_whole(dir / path, plan_of(2), kLarge, true);
    EXPECT_TRUE(fs::is_symlink(dir / "out")) << path;
    EXPECT_EQ(names_in(disk / "models"), (Names{"config.json", "model.safetensors"})) << path;
    EXPECT_EQ(names_in(disk.path()), Names{"models"}) << path;
    EXPECT_EQ(names_in(dir.path()), Names{"out"}) << path;
  }
  expect_whole(dir / "out", plan_of(2));
}

TEST(CheckpointWriter, LinkThatLeadsNowhere) {
  const TempDir dir;
  fs::create_directory_symlink(dir / "gone", dir / "out");
  for (const char* path : {"out", "out/"}) {
    const std::string error = error_of([&] { CheckpointWriter(dir / path, plan_of(1), kLarge, true); });
    EXPECT_TRUE(contains(error, "is a link that leads nowhere")) << error;
  }
  EXPECT_EQ(names_in(dir.path()), Names{"out"});
}

TEST(CheckpointWriter, MountPoint) {
  const std::string error = error_of([&] { check_output_folder("/proc", {}, false); });
  EXPECT_EQ(error, "/proc: is where a disk is mounted; name a folder in it");
}

TEST(NamedFolder, EndsInAName) {
  for (const char* path : {"/a/out", "/a/out/", "/a/out//", "/a/out/.", "/a/out/./", "/a/b/../out/b/.."})
    EXPECT_EQ(named_folder(path).string(), "/a/out") << path;
  EXPECT_EQ(named_folder("out/"), "out");
  EXPECT_EQ(named_folder("out"), "out");
}

TEST(CheckpointWriter, ForceReplacesNoFoldersButAdapters) {
  const TempDir dir;
  fs::create_directories(dir / "out/pissa_init");
  write_text(dir / "out/pissa_init/adapter_config.json", "{}");
  write_whole(dir / "out", plan_of(1), kLarge, true);
  EXPECT_EQ(names_in(dir / "out"), (Names{"config.json", "model.safetensors"}));
  fs::create_directories(dir / "out/work");
  const std::string error = error_of([&] { CheckpointWriter(dir / "out", plan_of(1), kLarge, true); });
  EXPECT_TRUE(contains(error, "holds a folder, 'work'")) << error;
  write_text(dir / "out/work/adapter_config.json", "{}");
  write_text(dir / "out/work/notes", "mine");
  EXPECT_NE(error_of([&] { CheckpointWriter(dir / "out", plan_of(1), kLarge, true); }), "no error");
}

TEST(CheckpointWriter, FolderThatFilledMeanwhileIsNotLost) {
  const TempDir dir;
  const auto plan = plan_of(1);
  CheckpointWriter writer(dir / "out", plan, kLarge, false);
  append_all(writer, plan);
  fs::create_directory(dir / "out");
  write_text(dir / "out/notes", "mine");
  EXPECT_TRUE(contains(error_of([&] { writer.finish(); }), "is not empty"));
  EXPECT_EQ(names_in(dir / "out"), Names{"notes"});
}

TEST(CheckpointWriter, NotAsPlanned) {
  const TempDir dir;
  const auto plan = plan_of(2);
  CheckpointWriter writer(dir / "out", plan, kLarge, false);
  EXPECT_THROW(writer.append(content_of(plan[1])), std::logic_error);
  EXPECT_THROW(writer.finish(), std::logic_error);
  append_all(writer, plan);
  EXPECT_THROW(writer.append(content_of(plan[1])), std::logic_error);
  const std::vector<PlannedTensor> twice = {plan[0], plan[0]};
  CheckpointWriter other(dir / "twice", twice, kLarge, false);
  EXPECT_TRUE(contains(error_of([&] { other.append(content_of(twice[0])); }), "twice/model.safetensors"));
}

TEST(CheckpointWriter, OutputFolder) {
  const TempDir dir;
  fs::create_directory(dir / "in");
  fs::create_directory_symlink(dir / "in", dir / "link");
  write_text(dir / "file", "");
  for (const char* same : {"in", "in/", "link", "in/../in", "./in"}) {
    const std::string error = error_of([&] { check_output_folder(dir / same, {dir / "in"}, true); });
    EXPECT_TRUE(contains(error, "is one of the inputs")) << same << ": " << error;
  }
  EXPECT_EQ(error_of([&] { check_output_folder(dir / "in2", {dir / "in"}, false); }), "no error");
  EXPECT_EQ(error_of([&] { check_output_folder(dir / "i", {dir / "in"}, false); }), "no error");
  fs::create_directories(dir / "above/in");
  for (const char* above : {"above", "above/", "link/../above"}) {
    for (const bool force : {false, true}) {
      const std::string error = error_of([&] {
        check_output_folder(dir / above, {dir / "in", dir / "above/in"}, force);
      });
      EXPECT_TRUE(contains(error, "above/in', one of the inputs")) << above << ": " << error;
    }
  }
  EXPECT_TRUE(contains(error_of([&] { check_output_folder(dir / "file", {}, true); }), "exists and is not a folder"));
}

TEST(CheckpointWriter, CurrentFolderStays) {
  const TempDir dir;
  const fs::path before = fs::current_path();
  fs::create_directories(dir / "empty/below");
  fs::current_path(dir / "empty/below");
  for (const char* path : {".", "./", "..", "../below", "../../empty"}) {
    const std::string error = error_of([&] { CheckpointWriter(path, plan_of(1), kLarge, true); });
    EXPECT_TRUE(contains(error, "is the current folder or above it")) << path << ": " << error;
  }
  const auto plan = plan_of(1);
  for (const char* path : {"new/.", "new/../other", "new/sub/.."}) {  // as a shell's completion may leave it
    CheckpointWriter writer(path, plan, kLarge, true);
    append_all(writer, plan);
    writer.finish();
    EXPECT_TRUE(fs::exists(fs::weakly_canonical(path) / "model.safetensors")) << path;
  }
  fs::current_path(before);
}

/// RLIMIT_FSIZE in place of a full disk.
class SmallFiles {
 public:
  explicit SmallFiles(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &saved_);
    rlimit limit = saved_;
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~SmallFiles() {
    setrlimit(RLIMIT_FSIZE, &saved_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit saved_{};
  void (*handler_)(int);
};

TEST(CheckpointWriter, FullDisk) {
  const TempDir dir;
  const auto plan = plan_of(40);
  std::string error;
  {
    const SmallFiles limit(2000);
    error = error_of([&] { write_whole(dir / "out", plan, kLarge, false); });
  }
  EXPECT_TRUE(contains(error, "out/model.safetensors: cannot write: File too large")) << error;
  {
    const SmallFiles limit(300);
    error = error_of([&] {
      CheckpointWriter writer(dir / "out", {}, 1, false);
      writer.add_file("tokenizer.json", std::string(1000, 'x'));
    });
  }
  EXPECT_TRUE(contains(error, "out/tokenizer.json: cannot write: File too large")) << error;
  EXPECT_EQ(names_in(dir.path()), Names{});
}

}  // namespace
}  // namespace gyro
