#include "gyro/open/open.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstring>
#include <optional>

#include "gyro/checkpoint/checkpoint.h"
#include "gyro/checkpoint/test_util.h"
#include "gyro/open/hub_cache.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;

// Sets a variable of the environment, or unsets it, until the end of the scope.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    set(value);
  }
  ~Environment() { set(before_ ? before_->c_str() : nullptr); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  void set(const char* value) const {
    if (value == nullptr) {
      unsetenv(name_);
    } else {
      setenv(name_, value, 1);
    }
  }
  const char* name_;
  std::optional<std::string> before_;
};

// A folder for models, and a Hub cache in it.
class Open : public testing::Test {
 protected:
  static void write_model(const fs::path& folder, float value = 1) {
    fs::create_directories(folder);
    write_text(folder / "config.json", R"({"model_type":"llama"})");
    write_tensors(folder / "model.safetensors",
                  {{"model.layers.0.mlp.up_proj.weight", DType::F32, {2, 2}, bytes_of(std::vector<float>(4, value))}});
  }
  static void write_adapter(const fs::path& folder, const std::string& base, const std::string& more = "") {
    fs::create_directories(folder);
    write_text(folder / "adapter_config.json",
               fmt::format(R"({{"peft_type":"LORA","r":1,"base_model_name_or_path":"{}"{}}})", base, more));
    const std::string name = "base_model.model.model.layers.0.mlp.up_proj.lora_";
    const std::vector<float> ones(2, 1);
    write_tensors(folder / "adapter_model.safetensors", {{name + "A.weight", DType::F32, {1, 2}, bytes_of(ones)},
                                                         {name + "B.weight", DType::F32, {2, 1}, bytes_of(ones)}});
  }
  // The first number of the tensor that those have.
  static double first_of(const TensorSource& source) {
    const std::string name = "model.layers.0.mlp.up_proj.weight";
    double value = 0;
    widen(source.find(name)->dtype, source.read(name).bytes.data(), 1, &value);
    return value;
  }
  std::string refusal(const std::string& given) const {
    const std::string line = error_of([&] { open_model(given); });
    EXPECT_FALSE(contains(line, "\n"));
    return line;
  }
  std::string at(const std::string& name) const { return (dir_ / name).string(); }
  fs::path cached(const std::string& model) const { return dir_ / ("hub/models--" + model); }

  TempDir dir_;
  Environment hub_{"HF_HUB_CACHE", (dir_ / "hub").c_str()};
};

TEST(HubCache, LiesWhereHuggingfaceHubHasIt) {
  const Environment a("HF_HUB_CACHE", nullptr), b("HUGGINGFACE_HUB_CACHE", nullptr), c("HF_HOME", nullptr);
  const Environment d("XDG_CACHE_HOME", nullptr), e("HOME", "/h");
  EXPECT_EQ(hub_cache(), "/h/.cache/huggingface/hub");
  const Environment xdg("XDG_CACHE_HOME", "/x");
  EXPECT_EQ(hub_cache(), "/x/huggingface/hub");
  const Environment home("HF_HOME", "~/hf");
  EXPECT_EQ(hub_cache(), "/h/hf/hub");
  const Environment old("HUGGINGFACE_HUB_CACHE", "/old");
  EXPECT_EQ(hub_cache(), "/old");
  const Environment now("HF_HUB_CACHE", "/new");
  EXPECT_EQ(hub_cache(), "/new");
}

TEST_F(Open, Folders) {
  write_model(dir_ / "m");
  EXPECT_EQ(open_model(at("m"))->id(), at("m"));
  EXPECT_EQ(refusal(at("none")), at("none") + ": does not exist");
  EXPECT_TRUE(contains(refusal(at("m/model.safetensors")), "is a file: name its folder"));
  EXPECT_TRUE(contains(refusal(at("m/config.json")), "is not a folder"));
  fs::create_symlink("nowhere", dir_ / "link");
  EXPECT_EQ(refusal(at("link")), at("link") + ": does not exist");
}

TEST_F(Open, NamesOfTheHub) {
  write_model(cached("acme--tiny") / "snapshots/0123abcd", 1);
  write_model(cached("acme--tiny") / "snapshots/4567", 2);
  fs::create_directories(cached("acme--tiny") / "refs/refs/pr");
  write_text(cached("acme--tiny") / "refs/main", "0123abcd");
  write_text(cached("acme--tiny") / "refs/refs/pr/1", "4567\n");
  const auto tiny = open_model("acme/tiny");
  EXPECT_EQ(tiny->id(), "acme/tiny");
  EXPECT_EQ(tiny->revision(), "0123abcd");
  EXPECT_EQ(tiny->hub_id(), "acme/tiny");
  EXPECT_EQ(first_of(*open_model("acme/tiny@refs/pr/1")), 2);
  EXPECT_EQ(first_of(*open_model("acme/tiny@4567")), 2);
  EXPECT_EQ(open_model(cached("acme--tiny").string())->revision(), "0123abcd");
  EXPECT_EQ(open_model(cached("acme--tiny").string() + "/")->revision(), "0123abcd");
  EXPECT_TRUE(contains(refusal("acme/tiny@9"), "has no snapshot 9; there is 0123abcd, 4567"));
  EXPECT_EQ(refusal("acme/tiny@../x"), "acme/tiny@../x: does not exist");
  EXPECT_EQ(
      refusal("acme/other@v1"),
      fmt::format("acme/other@v1: does not exist, and there is no model of that name in {}: hf download acme/other "
                  "--revision v1 fetches it",
                  at("hub")));
  fs::remove(cached("acme--tiny") / "refs/main");
  EXPECT_TRUE(contains(refusal("acme/tiny"), "has no refs/main and 2 snapshots; name one: 0123abcd, 4567"));
  fs::remove_all(cached("acme--tiny") / "snapshots/4567");
  EXPECT_EQ(open_model("acme/tiny")->revision(), "0123abcd");
  write_model(cached("gpt2") / "snapshots/1");
  EXPECT_EQ(open_model("gpt2")->hub_id(), "gpt2");
  write_text(cached("acme--tiny") / "refs/main", "../../..");
  EXPECT_TRUE(contains(refusal("acme/tiny"), "does not hold the name of a commit"));
}

// Blobs outside the model's folder, behind one link more.
TEST_F(Open, SnapshotsOfLinksOfLinks) {
  write_model(dir_ / "store", 3);
  const fs::path root = cached("acme--linked");
  fs::create_directories(root / "snapshots/1");
  fs::create_directories(root / "blobs");
  for (const char* name : {"config.json", "model.safetensors"}) {
    fs::create_symlink(fs::path("../../../store") / name, root / "blobs" / name);
    fs::create_symlink(fs::path("../../blobs") / name, root / "snapshots/1" / name);
  }
  const auto model = open_model("acme/linked");
  EXPECT_EQ(first_of(*model), 3);
  EXPECT_EQ(model->id(), "acme/linked");
  EXPECT_EQ(model->revision(), "1");
}

TEST_F(Open, FoldersAboveModelsNameThem) {
  write_model(dir_ / "run/checkpoint-1000");
  EXPECT_EQ(refusal(at("run")),
            fmt::format("{0}: has no model itself; inside is checkpoint-1000: name {0}/checkpoint-1000", at("run")));
  for (const char* step : {"500", "20", "1500", "2000"}) write_adapter(at(std::string("run/checkpoint-") + step), "x");
  write_text(dir_ / "run/training_args.bin", "");
  fs::create_directories(dir_ / "run/logs");
  EXPECT_TRUE(contains(refusal(at("run")),
                       "inside are checkpoint-20, checkpoint-500, checkpoint-1000, checkpoint-1500 "
                       "and 1 more: name one of them, such as " +
                           at("run/checkpoint-2000")));
  write_model(cached("acme--tiny") / "snapshots/1");
  EXPECT_TRUE(contains(refusal(at("hub")), "inside is models--acme--tiny"));
  fs::create_directories(dir_ / "empty");
  EXPECT_TRUE(contains(refusal(at("empty")), "has neither model.safetensors nor"));
}

TEST_F(Open, PickledWeightsAreRefusedWithTheirConversion) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"pytorch_model.bin", "M.from_pretrained('{0}', torch_dtype='auto').save_pretrained('{0}-safetensors')\""},
      {"pytorch_model.bin.index.json", "M.from_pretrained('{0}', torch_dtype='auto')"},
      {"consolidated.00.pth", "convert_llama_weights_to_hf --input_dir '{0}' --output_dir '{0}-safetensors'"},
      {"weights.pth",
       "torch.load('{0}/weights.pth', map_location='cpu', weights_only=True).items()}}, "
       "'{0}/model.safetensors')\""},
      {"model.ckpt", "torch.load('{0}/model.ckpt', map_location='cpu', weights_only=True)['state_dict'].items()"},
      {"model-q4.gguf", "a GGUF file is run (chat, eval, perplexity) and not compared"}};
  for (const auto& [file, said] : cases) {
    const fs::path folder = dir_ / ("of-" + file);
    fs::create_directory(folder);
    write_text(folder / file, "");
    const std::string expected = fmt::format(fmt::runtime(said), folder.string());
    EXPECT_TRUE(contains(refusal(folder.string()), expected)) << refusal(folder.string());
    EXPECT_TRUE(contains(refusal((folder / file).string()), expected)) << refusal((folder / file).string());
  }
}

TEST_F(Open, AdaptersOnTheirBase) {
  write_model(dir_ / "base", 1);
  write_adapter(dir_ / "named", at("base"));
  write_adapter(dir_ / "beside", "../base");
  write_adapter(dir_ / "above", at("named"));
  EXPECT_EQ(first_of(*open_model(at("named"))), 1 + 8);  // lora_alpha is 8
  EXPECT_EQ(first_of(*open_model(at("beside"))), 9);
  EXPECT_EQ(first_of(*open_model(at("above"))), 17);
  EXPECT_EQ(open_model(at("above"))->folders().size(), 3u);
  write_model(cached("acme--tiny") / "snapshots/1", 2);
  write_adapter(dir_ / "hub-base", "acme/tiny");
  EXPECT_EQ(first_of(*open_model(at("hub-base"))), 10);
  write_model(cached("acme--tiny") / "snapshots/2", 3);
  write_adapter(dir_ / "revised", "acme/tiny", R"(,"revision":"2")");
  EXPECT_EQ(first_of(*open_model(at("revised"))), 11);
  EXPECT_EQ(open_model(at("revised"))->warnings(), std::vector<std::string>{});
}

TEST_F(Open, AdaptersWhoseBaseIsNotHere) {
  write_model(dir_ / "base", 1);
  write_adapter(dir_ / "lost", "acme/lost");
  EXPECT_EQ(refusal(at("lost")),
            fmt::format("{}: is a LoRA adapter of acme/lost, which is not here nor in {} (hf download acme/lost): name "
                        "its base beside it, or merge it first (merge_and_unload)",
                        at("lost"), at("hub")));
  const auto base = open_model(at("base"));
  const auto on_base = open_model(at("lost"), base);
  EXPECT_EQ(first_of(*on_base), 9);
  EXPECT_EQ(on_base->warnings(), std::vector<std::string>{fmt::format(
                                     "is a LoRA adapter of acme/lost, which is not here: read on {}", at("base"))});
  write_adapter(dir_ / "unnamed", "");
  EXPECT_TRUE(
      contains(refusal(at("unnamed")), "is a LoRA adapter of a base that it does not name, which is not here:"));
  // Trained on a quantised copy, which has no weights that anything could be added to.
  write_model(dir_ / "base-4bit");
  write_text(dir_ / "base-4bit/config.json",
             R"({"model_type":"llama","quantization_config":{"quant_method":"bitsandbytes"}})");
  write_adapter(dir_ / "qlora", at("base-4bit"));
  EXPECT_EQ(first_of(*open_model(at("qlora"), base)), 9);
  EXPECT_TRUE(contains(open_model(at("qlora"), base)->warnings()[0], "which is quantised (bitsandbytes): read on"));
}

// What is odd about a base is said of the base, and only once where the base is given beside its adapter.
TEST_F(Open, WarningsAreOfTheModelThatTheyAreAbout) {
  write_model(dir_ / "base", 1);
  write_text(dir_ / "base/model.safetensors.index.json", R"({"weight_map":{"x":"model-00001-of-00001.safetensors"}})");
  write_adapter(dir_ / "named", at("base"), R"(,"target_modules":["up_proj","q_proj"])");
  fs::create_directory_symlink(at("base"), dir_ / "link");
  const std::vector<std::string> own = {fmt::format("{}: has no tensor for its target module q_proj", at("named"))};
  const auto base = open_model(at("base"));
  ASSERT_EQ(base->all_warnings().size(), 1u);
  EXPECT_TRUE(base->all_warnings()[0].starts_with(at("base") + ": model.safetensors is read; "));
  std::vector<std::string> both = base->all_warnings();
  both.push_back(own[0]);
  EXPECT_EQ(open_model(at("named"))->all_warnings(), both);
  EXPECT_EQ(open_model(at("named"), base)->all_warnings(), own);
  EXPECT_EQ(open_model(at("named"), open_model(at("link")))->all_warnings(), own);
  write_model(dir_ / "other", 1);
  EXPECT_EQ(open_model(at("named"), open_model(at("other")))->all_warnings(), both);
  // A quantised base that is the one given is no other.
  write_text(dir_ / "base/config.json", R"({"model_type":"llama","quantization_config":{"quant_method":"mxfp4"}})");
  EXPECT_EQ(open_model(at("named"), open_model(at("base")))->all_warnings(), own);
}

TEST_F(Open, PartsOfAdapters) {
  write_adapter(dir_ / "a", "acme/tiny");
  fs::remove(dir_ / "a/adapter_model.safetensors");
  EXPECT_TRUE(
      contains(refusal(at("a")), "has the adapter_config.json of an adapter of acme/tiny and no adapter_model"));
  write_text(dir_ / "a/adapter_model.bin", "");
  EXPECT_TRUE(contains(refusal(at("a")), "is an adapter with pickled weights"));
  fs::remove(dir_ / "a/adapter_config.json");
  EXPECT_TRUE(contains(refusal(at("a")), "has the weights of an adapter and no adapter_config.json"));
  write_adapter(dir_ / "circle", at("circle"));
  EXPECT_TRUE(contains(refusal(at("circle")), "is the base of 4 adapters on top of each other"));
  // A merged model with its adapter beside it is that model.
  write_model(dir_ / "circle");
  EXPECT_EQ(first_of(*open_model(at("circle"))), 1);
}

}  // namespace
}  // namespace gyro
