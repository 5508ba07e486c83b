#include "gyro/checkpoint/checkpoint.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "gyro/checkpoint/test_util.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;

using Lines = std::vector<std::string>;

constexpr const char* kIndex = "model.safetensors.index.json";

std::string refusal(const fs::path& folder) {
  const std::string line = error_of([&] { Checkpoint checkpoint(folder); });
  EXPECT_FALSE(contains(line, "\n")) << line;
  return line;
}

// A folder with a config and two shards, "a" and "b" in the first, "c" in the second.
void write_sharded(const fs::path& folder) {
  write_text(folder / "config.json", R"({"model_type":"llama"})");
  write_tensors(folder / "m-1.safetensors", {{"a", DType::F32, {2}}, {"b", DType::BF16, {4}}});
  write_tensors(folder / "m-2.safetensors", {{"c", DType::F32, {3}}});
  write_text(folder / kIndex,
             R"({"metadata":{"total_size":28},"weight_map":{"a":"m-1.safetensors","b":"m-1.safetensors",)"
             R"("c":"m-2.safetensors"}})");
}

TEST(ParseIndex, ReadsTheWeightMap) {
  const auto shards = parse_index("i", R"({"weight_map":{"x":"s.safetensors"},"metadata":{"deep":[{"a":{}}]}})");
  ASSERT_EQ(shards.size(), 1u);
  EXPECT_EQ(shards.at("x"), "s.safetensors");
}

TEST(ParseIndex, RefusesWhatIsNoIndex) {
  const auto said = [](std::string_view text) { return error_of([&] { parse_index("i", text); }); };
  EXPECT_TRUE(contains(said(""), "i: is not valid JSON"));
  EXPECT_TRUE(contains(said("[]"), "must hold a JSON object"));
  EXPECT_TRUE(contains(said("{}"), "has no weight_map"));
  EXPECT_TRUE(contains(said(R"({"weight_map":{}})"), "empty weight_map"));
  EXPECT_TRUE(contains(said(R"({"weight_map":[]})"), "weight_map must be an object"));
  EXPECT_TRUE(contains(said(R"({"weight_map":{"a":1}})"), "shard of tensor \"a\" must be a string, not a number"));
  EXPECT_TRUE(contains(said(R"({"weight_map":{"a":{"b":"c"}}})"), "shard of tensor \"a\" must be a string"));
  EXPECT_TRUE(contains(said(R"({"weight_map":{"a":"s","a":"s"}})"), "has the key \"a\" twice"));
  EXPECT_TRUE(contains(said(R"({"weight_map":{"a":"s"},"weight_map":{"a":"t"}})"), "has the key \"weight_map\" twice"));
  EXPECT_TRUE(contains(said(std::string(100'000, '[')), "must hold a JSON object"));
  EXPECT_TRUE(contains(said(R"({"m":)" + std::string(100'000, '[')), "nested deeper than 64"));
}

TEST(ParseIndex, ShardsArePlainNames) {
  for (const char* name : {"", ".", "..", "/etc/passwd", "../x.safetensors", "a/b.safetensors", "a\\\\b", "a\\u0000",
                           "a\\nb", "..\\\\x"}) {
    const std::string line = error_of([&] { parse_index("i", fmt::format(R"({{"weight_map":{{"t":"{}"}}}})", name)); });
    EXPECT_TRUE(contains(line, "which is not the name of a file in the folder")) << name << ": " << line;
    EXPECT_FALSE(contains(line, "\n"));
  }
}

TEST(Checkpoint, OpensThePicoModels) {
  for (const char* model : {"qwen2", "llama", "mistral", "gemma2", "phi3"}) {
    const fs::path folder = fs::path(GYRO_SOURCE_DIR) / "models" / fmt::format("pico-{}", model) / "base";
    const Checkpoint checkpoint(folder);
    EXPECT_EQ(checkpoint.config().model_type, model);
    EXPECT_EQ(checkpoint.config().num_hidden_layers, 3);
    EXPECT_EQ(checkpoint.dtypes(), std::vector<std::string>{"BF16"});
    EXPECT_EQ(checkpoint.sha256().size(), 64u);
    const SourceTensor* entry = checkpoint.find("model.norm.weight");
    ASSERT_TRUE(entry);
    EXPECT_EQ(checkpoint.read("model.norm.weight").bytes.size(), 128u);
    EXPECT_FALSE(checkpoint.find("model.norm"));
  }
}

TEST(Checkpoint, OpensShards) {
  const TempDir dir;
  write_sharded(dir.path());
  const Checkpoint checkpoint(dir.path());
  EXPECT_EQ(checkpoint.tensors().size(), 3u);
  EXPECT_EQ(checkpoint.read("c").bytes.size(), 12u);
  EXPECT_EQ(checkpoint.parameters(), 9);
  EXPECT_EQ(checkpoint.dtypes(), (std::vector<std::string>{"F32", "BF16"}));
  EXPECT_EQ(checkpoint.id(), dir.path().string());
  EXPECT_EQ(checkpoint.revision(), "");
}

TEST(Checkpoint, SingleFileWinsOverIndex) {
  const TempDir dir;
  write_sharded(dir.path());
  write_tensors(dir / "model.safetensors", {{"alone", DType::F32, {1}}});
  const Checkpoint checkpoint(dir.path());
  EXPECT_TRUE(checkpoint.find("alone"));
  EXPECT_EQ(checkpoint.warnings(),
            Lines{"model.safetensors is read; model.safetensors.index.json with 2 shards beside it is not"});
  write_text(dir / "model.safetensors.index.json", R"({"weight_map":{"alone":"model.safetensors"}})");
  EXPECT_EQ(Checkpoint(dir.path()).warnings(), Lines{});
  write_text(dir / "model.safetensors.index.json", "{");
  EXPECT_EQ(Checkpoint(dir.path()).warnings(),
            Lines{"model.safetensors is read; model.safetensors.index.json beside it is not"});
}

// As transformers has it: all tensors of the shards that the index names, the last of several.
TEST(Checkpoint, IndexIsFollowedAsTransformersDoes) {
  const TempDir dir;
  write_sharded(dir.path());
  EXPECT_EQ(Checkpoint(dir.path()).warnings(), Lines{});
  write_tensors(dir / "m-2.safetensors", {{"c", DType::F32, {3}}, {"extra", DType::F32, {1}}});
  write_tensors(dir / "m-3.safetensors", {{"unnamed", DType::F32, {1}}});
  const Checkpoint with_extra(dir.path());
  EXPECT_TRUE(with_extra.find("extra"));
  EXPECT_FALSE(with_extra.find("unnamed"));
  EXPECT_EQ(with_extra.warnings(), Lines{"tensor \"extra\" is in m-2.safetensors without being in "
                                         "model.safetensors.index.json, and taken all the same"});
  write_tensors(dir / "m-2.safetensors",
                {{"c", DType::F32, {3}}, {"a", DType::F32, {2}, bytes_of(std::vector<float>{5, 6})}});
  const Checkpoint twice(dir.path());
  EXPECT_EQ(std::memcmp(twice.read("a").bytes.data(), std::vector<float>{5, 6}.data(), 8), 0);
  ASSERT_EQ(twice.warnings().size(), 1u);
  EXPECT_TRUE(
      contains(twice.warnings()[0], "tensor \"a\" is in several shards, and taken from m-2.safetensors, the last"));
  write_text(dir / "model.safetensors.index.json",
             R"({"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors","c":"m-1.safetensors"}})");
  write_tensors(dir / "m-1.safetensors", {{"a", DType::F32, {2}}, {"b", DType::BF16, {2, 2}}});
  write_tensors(dir / "m-2.safetensors", {{"c", DType::F32, {3}}});
  const Checkpoint elsewhere(dir.path());
  EXPECT_EQ(elsewhere.tensors().size(), 3u);
  ASSERT_EQ(elsewhere.warnings().size(), 2u);
  EXPECT_TRUE(contains(elsewhere.warnings()[0], "tensor \"b\" is in m-1.safetensors, not in m-2.safetensors as"));
}

TEST(Checkpoint, IndexAndShardsMustAgree) {
  const TempDir dir;
  write_sharded(dir.path());
  write_tensors(dir / "m-2.safetensors", {{"d", DType::F32, {3}}});
  std::string line = refusal(dir.path());
  EXPECT_TRUE(contains(line, "m-2.safetensors: lacks tensor \"c\"")) << line;
  fs::remove(dir / "m-2.safetensors");
  line = refusal(dir.path());
  EXPECT_TRUE(contains(line, "m-2.safetensors: is missing;")) << line;
  fs::create_symlink("../blobs/none", dir / "m-2.safetensors");
  line = refusal(dir.path());
  EXPECT_TRUE(contains(line, "m-2.safetensors: is missing;")) << line;
  fs::remove(dir / "m-2.safetensors");
  ASSERT_EQ(mkfifo((dir / "m-2.safetensors").c_str(), 0600), 0);
  line = refusal(dir.path());
  EXPECT_TRUE(contains(line, "m-2.safetensors: is not a regular file")) << line;
}

TEST(Checkpoint, WrappersAreTakenOffTheNames) {
  const TempDir dir;
  write_text(dir / "config.json", R"({"model_type":"llama"})");
  const auto names = [&](const std::vector<std::string>& stored) {
    std::vector<TestTensor> tensors;
    for (const std::string& name : stored) tensors.push_back({name, DType::F32, {1}});
    write_tensors(dir / "model.safetensors", tensors);
    const Checkpoint checkpoint(dir.path());
    Lines found;
    for (const auto& [name, tensor] : checkpoint.tensors()) found.push_back(name);
    found.push_back(checkpoint.warnings().empty() ? "" : checkpoint.warnings()[0]);
    return found;
  };
  EXPECT_EQ(names({"model.layers.0.w", "module.x"}), (Lines{"model.layers.0.w", "module.x", ""}));
  EXPECT_EQ(names({"model.layers.0.w", "module.layers.0.w"}), (Lines{"model.layers.0.w", "module.layers.0.w", ""}));
  for (const char* prefix : {"_orig_mod.", "module.", "module._orig_mod.", "_orig_mod.module.", "base_model.model.",
                             "pretrained_model.", "module.base_model.model.module.", "_fsdp_wrapped_module."}) {
    const std::string p = prefix;
    const Lines found = names({p + "model.layers.0.w", p + "lm_head.weight", "v_head.summary.weight"});
    EXPECT_EQ(Lines(found.begin(), found.begin() + 3),
              (Lines{"lm_head.weight", "model.layers.0.w", "v_head.summary.weight"}))
        << p;
    EXPECT_TRUE(contains(found[3], "in the names of its tensors is left out: ")) << found[3];
  }
  EXPECT_EQ(names({"model.layers.0._orig_mod.w", "model.layers.1._orig_mod.q.base_layer.weight"}),
            (Lines{"model.layers.0.w", "model.layers.1.q.weight",
                   "\"_orig_mod.\" (torch.compile) and \"base_layer.\" (PEFT) in the names of its tensors is left out: "
                   "\"model.layers.0._orig_mod.w\" is read as \"model.layers.0.w\""}));
  const auto refused = [&](const Lines& stored) { return error_of([&] { names(stored); }); };
  EXPECT_TRUE(contains(refused({"layers.0.w", "layers.0._orig_mod.w"}), "which are both \"layers.0.w\""));
  EXPECT_TRUE(contains(refused({"layers.0.q.base_layer.weight", "layers.0.q.lora_A.default.weight"}),
                       "is a model with an adapter that is not merged: it holds \"layers.0.q.lora_A.default.weight\""));
}

TEST(Checkpoint, NamesAnAdapterLeftBesideTheWeights) {
  const TempDir dir;
  write_sharded(dir.path());
  write_text(dir / "adapter_config.json", "{}");
  ASSERT_EQ(Checkpoint(dir.path()).warnings().size(), 1u);
  EXPECT_TRUE(contains(Checkpoint(dir.path()).warnings()[0], "has adapter_config.json beside model.safetensors.index"));
}

TEST(Checkpoint, OpensAHuggingFaceCache) {
  const TempDir dir;
  const fs::path root = dir / "models--some-org--Model--1B";
  const fs::path snapshot = root / "snapshots/0123abc";
  fs::create_directories(snapshot);
  fs::create_directories(root / "blobs");
  write_tensors(root / "blobs/weights", {{"a", DType::F32, {2}}});
  write_text(root / "blobs/config", R"({"model_type":"llama"})");
  fs::create_symlink("../../blobs/weights", snapshot / "model.safetensors");
  fs::create_symlink("../../blobs/config", snapshot / "config.json");
  for (const fs::path& path : {snapshot, snapshot / "", snapshot / ".." / "0123abc"}) {
    const Checkpoint checkpoint(path);
    EXPECT_EQ(checkpoint.id(), "some-org/Model--1B");
    EXPECT_EQ(checkpoint.revision(), "0123abc");
    EXPECT_TRUE(checkpoint.find("a"));
  }
  fs::remove(root / "blobs/weights");
  EXPECT_TRUE(contains(refusal(snapshot), "model.safetensors: cannot open"));
}

/// The process's current folder, for as long as this lives.
class CurrentFolder {
 public:
  explicit CurrentFolder(const fs::path& path) : before_(fs::current_path()) { fs::current_path(path); }
  ~CurrentFolder() { fs::current_path(before_); }

 private:
  fs::path before_;
};

TEST(Checkpoint, NameOnTheHub) {
  const TempDir dir;
  const CurrentFolder current(dir.path());
  const std::pair<const char*, const char*> cases[] = {
      {"models--Qwen--Qwen2.5-1.5B/snapshots/0123abc", "Qwen/Qwen2.5-1.5B"},
      {"models--gpt2/snapshots/0123abc", "gpt2"},
      {"models--a b--c/snapshots/0123abc", ""},  // the Hub has no such name
      {"models--a--b--c/snapshots/0123abc", ""},
      {"Qwen/Qwen2.5-1.5B/", "Qwen/Qwen2.5-1.5B"},
      {"./model", ""},
      {"model", ""},
      {"Qwen/.hidden", ""},
      {"some/deep/folder", ""},
  };
  for (const auto& [path, id] : cases) {
    fs::create_directories(path);
    write_text(fs::path(path) / "config.json", "{}");
    write_tensors(fs::path(path) / "model.safetensors", {{"a", DType::F32, {2}}});
    EXPECT_EQ(Checkpoint(path).hub_id(), id) << path;
    EXPECT_EQ(Checkpoint(fs::path("..") / dir.path().filename() / path).hub_id(),
              std::string(path)[0] == 'm' ? id : "");
  }
  EXPECT_EQ(Checkpoint(dir / "Qwen/Qwen2.5-1.5B").hub_id(), "");
}

TEST(Checkpoint, Fp8ScalesBelongToAnFp8Tensor) {
  const TempDir dir;
  write_text(dir / "config.json", "{}");
  write_tensors(dir / "model.safetensors",
                {{"q.weight", DType::F8_E4M3, {4, 4}}, {"w", DType::F8_E5M2, {4}}, {"o.weight", DType::BF16, {4, 4}}});
  const Checkpoint checkpoint(dir.path());
  for (const char* name : {"q.weight_scale", "q.weight_scale_inv", "q.input_scale", "q.k_scale", "q.scale",
                           "q.scale_weight", "q.scale_input", "w_scale", "w_scale_inv"})
    EXPECT_TRUE(checkpoint.is_fp8_scale(name)) << name;
  for (const char* name : {"o.weight_scale", "o.layer_scale", "o.input_scale", "logit_scale", "_scale", "o.scale",
                           "q.weight", "w", "w_scale.weight", "k.q.weight_scale"})
    EXPECT_FALSE(checkpoint.is_fp8_scale(name)) << name;
}

TEST(Checkpoint, CountsParametersWithoutFp8ScalesAndIntegers) {
  const TempDir dir;
  write_text(dir / "config.json", "{}");
  write_tensors(dir / "model.safetensors", {{"w", DType::F8_E4M3, {4, 4}},
                                            {"w_scale_inv", DType::F32, {1, 1}},
                                            {"logit_scale", DType::F32, {4}},
                                            {"ids", DType::I64, {10}}});
  const Checkpoint checkpoint(dir.path());
  EXPECT_EQ(checkpoint.parameters(), 20);
  EXPECT_EQ(checkpoint.dtypes(), (std::vector<std::string>{"I64", "F32", "F8_E4M3"}));
}

TEST(Checkpoint, FingerprintTellsLayoutsApart) {
  const TempDir dir;
  std::vector<std::string> seen;
  for (const int64_t rows : {2, 3}) {
    const fs::path folder = dir / fmt::format("m{}", rows);
    fs::create_directories(folder);
    write_text(folder / "config.json", "{}");
    write_tensors(folder / "model.safetensors", {{"a", DType::F32, {rows}}});
    seen.push_back(Checkpoint(folder).sha256());
    EXPECT_EQ(seen.back(), Checkpoint(folder / "").sha256());
  }
  EXPECT_NE(seen[0], seen[1]);
}

TEST(Checkpoint, TrailingSlashesAreNoPartOfTheId) {
  const fs::path folder = fs::path(GYRO_SOURCE_DIR) / "models/pico-qwen2/base";
  EXPECT_EQ(Checkpoint(folder.string() + "//").id(), folder.string());
}

TEST(Checkpoint, SaysWhyAPathIsNone) {
  const TempDir dir;
  EXPECT_TRUE(contains(refusal(""), "(empty path): is not the folder"));
  EXPECT_TRUE(contains(refusal(dir / "none"), "none: does not exist"));
  write_text(dir / "file.safetensors", "x");
  EXPECT_TRUE(contains(refusal(dir / "file.safetensors"), "file.safetensors: is not a folder"));
  EXPECT_TRUE(contains(refusal(dir / "file.safetensors/x"), "file.safetensors/x: "));
  ASSERT_EQ(mkfifo((dir / "pipe").c_str(), 0600), 0);
  EXPECT_TRUE(contains(refusal(dir / "pipe"), "pipe: is not a folder"));
  fs::create_symlink("none", dir / "dangling");
  EXPECT_TRUE(contains(refusal(dir / "dangling"), "dangling: does not exist"));
  fs::create_symlink("loop", dir / "loop");
  EXPECT_TRUE(contains(refusal(dir / "loop"), "loop: cannot open"));
}

TEST(Checkpoint, SaysWhatItLookedFor) {
  const TempDir dir;
  write_text(dir / "config.json", "{}");
  const std::string neither = "has neither model.safetensors nor model.safetensors.index.json";
  EXPECT_TRUE(refusal(dir.path()).ends_with(neither));
  for (const char* name : {"q4.gguf", "pytorch_model.bin", "adapter_model.safetensors"}) {
    write_text(dir / name, "");
    EXPECT_TRUE(contains(refusal(dir.path()), fmt::format("{}; there is {}, which", neither, name)));
    fs::remove(dir / name);
  }
}

TEST(Checkpoint, NeedsAConfig) {
  const TempDir dir;
  write_tensors(dir / "model.safetensors", {{"a", DType::F32, {1}}});
  EXPECT_TRUE(refusal(dir.path()).ends_with(": has no config.json"));
  write_text(dir / "config.json", "{oops");
  EXPECT_TRUE(contains(refusal(dir.path()), "config.json: is not valid JSON"));
  write_text(dir / "config.json", std::string((4 << 20) + 1, ' '));
  EXPECT_TRUE(contains(refusal(dir.path()), "config.json: is 4194305 bytes long"));
  fs::remove(dir / "config.json");
  fs::create_directory(dir / "config.json");
  EXPECT_TRUE(contains(refusal(dir.path()), "config.json: is not a regular file"));
}

}  // namespace
}  // namespace gyro
