#include "gyro/checkpoint/source.h"

#include <gtest/gtest.h>

#include <functional>

#include "gyro/base/error.h"
#include "gyro/checkpoint/checkpoint.h"
#include "gyro/checkpoint/memory.h"
#include "gyro/checkpoint/overlay.h"
#include "gyro/checkpoint/test_util.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;
using Floats = std::vector<float>;

// a (3 x 2) and b (2), the first value of `a` given.
void write_model(const fs::path& folder, float first = 1) {
  fs::create_directories(folder);
  write_text(folder / "config.json", "{}");
  write_text(folder / "tokenizer.json", "words");
  write_tensors(folder / "model.safetensors", {{"a", DType::F32, {3, 2}, bytes_of(Floats{first, 2, 3, 4, 5, 6})},
                                               {"b", DType::F32, {2}, bytes_of(Floats{7, 8})}});
}

Floats floats(const TensorLease& lease) {
  Floats values(lease.bytes.size() / 4);
  std::copy(lease.bytes.begin(), lease.bytes.end(), std::as_writable_bytes(std::span(values)).begin());
  return values;
}

OverlaySource::Replacement held(const std::vector<int64_t>& shape, const Floats& values) {
  const auto bytes = std::make_shared<const OverlaySource::Bytes>(bytes_of(values));
  return {{DType::F32, shape}, [bytes] { return bytes; }};
}

TEST(Checkpoint, ReadsRowsAndWholeTensors) {
  const TempDir dir;
  write_model(dir.path());
  const Checkpoint model(dir.path());
  EXPECT_EQ(floats(model.read("a")), (Floats{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(floats(model.read_rows("a", 1, 3)), (Floats{3, 4, 5, 6}));
  EXPECT_EQ(floats(model.read_rows("b", 1, 2)), Floats{8});
  EXPECT_TRUE(model.read_rows("a", 2, 2).bytes.empty());
}

TEST(Checkpoint, LeasesOutliveTheCheckpoint) {
  const TempDir dir;
  write_model(dir.path());
  TensorLease lease;
  {
    const Checkpoint model(dir.path());
    lease = model.read("a");
  }
  EXPECT_EQ(floats(lease), (Floats{1, 2, 3, 4, 5, 6}));
}

TEST(Checkpoint, IdentityIsOfTheContentNotOfThePath) {
  const TempDir dir;
  for (const char* name : {"one", "two"}) write_model(dir / name);
  write_model(dir / "other", 9);
  const std::string one = Checkpoint(dir / "one").identity();
  EXPECT_EQ(one.size(), 64u);
  EXPECT_EQ(Checkpoint(dir / "two/").identity(), one);
  EXPECT_EQ(Checkpoint(dir / "other").sha256(), Checkpoint(dir / "one").sha256());
  EXPECT_NE(Checkpoint(dir / "other").identity(), one);
}

TEST(Checkpoint, SaysThatAFileBecameShorterWhateverCameOfIt) {
  const TempDir dir;
  write_model(dir.path());
  const Checkpoint model(dir.path());
  EXPECT_EQ(checked({&model}, [&] { return floats(model.read("b")); }), (Floats{7, 8}));
  fs::resize_file(dir / "model.safetensors", 0);
  const auto expect_said = [&](const std::function<int()>& work) {
    const std::string error = error_of([&] { checked({&model}, work); });
    EXPECT_TRUE(contains(error, "model.safetensors: became shorter while it was read")) << error;
  };
  expect_said([&] { return floats(model.read("a"))[0] == 0 ? 0 : 1; });
  expect_said([]() -> int { fail("w", "is singular"); });
}

TEST(Checkpoint, Companions) {
  const TempDir dir;
  write_model(dir.path());
  const Checkpoint model(dir.path());
  EXPECT_EQ(model.companions(), (std::vector<std::string>{"config.json", "model.safetensors", "tokenizer.json"}));
  EXPECT_EQ(model.companion("tokenizer.json", 5), "words");
  EXPECT_TRUE(contains(error_of([&] { model.companion("tokenizer.json", 4); }), "tokenizer.json: is 5 bytes long"));
  EXPECT_TRUE(contains(error_of([&] { model.companion("none", 9); }), "none: cannot open"));
}

TEST(OverlaySource, ReplacesHidesAndPassesThrough) {
  const TempDir dir;
  write_model(dir.path());
  const auto under = std::make_shared<Checkpoint>(dir.path());
  int made = 0;
  OverlaySource::Replacements replaced = {{"new", held({1}, {5})}};
  replaced["a"] = {{DType::F32, {2, 1}}, [&made] {
                     ++made;
                     return std::make_shared<const OverlaySource::Bytes>(bytes_of(Floats{10, 20}));
                   }};
  const OverlaySource overlay(under, replaced, {"b"}, "halved");
  EXPECT_EQ(made, 0);
  EXPECT_EQ(floats(overlay.read_rows("a", 1, 2)), Floats{20});
  EXPECT_EQ(made, 1);
  EXPECT_EQ(floats(overlay.read("new")), Floats{5});
  EXPECT_EQ(overlay.find("b"), nullptr);
  EXPECT_EQ(overlay.tensors().size(), 2u);
  EXPECT_EQ(overlay.parameters(), 3);
  const OverlaySource other(under, {}, {}, "same");
  EXPECT_EQ(floats(other.read("b")), (Floats{7, 8}));
  EXPECT_EQ(overlay.companion("tokenizer.json", 5), "words");
}

TEST(OverlaySource, IdentityIsThatOfSourceAndRecipe) {
  const TempDir dir;
  write_model(dir / "one");
  write_model(dir / "two");
  const auto identity = [&](const char* model, const char* recipe) {
    return OverlaySource(std::make_shared<Checkpoint>(dir / model), {{"a", held({1}, {1})}}, {}, recipe).identity();
  };
  EXPECT_EQ(identity("one", "x"), identity("two", "x"));
  EXPECT_NE(identity("one", "x"), identity("one", "y"));
  EXPECT_NE(identity("one", "x"), Checkpoint(dir / "one").identity());
  write_model(dir / "other", 9);
  const auto made_from = [&](const char* model) {
    return OverlaySource(std::make_shared<Checkpoint>(dir / "one"), {{"a", held({1}, {1})}}, {}, "x",
                         {std::make_shared<Checkpoint>(dir / model)})
        .identity();
  };
  EXPECT_EQ(made_from("one"), made_from("two"));
  EXPECT_NE(made_from("one"), made_from("other"));
}

TEST(OverlaySource, ChecksWhatItIsMadeFrom) {
  const TempDir dir;
  write_model(dir / "under");
  write_model(dir / "base");
  const OverlaySource overlay(std::make_shared<Checkpoint>(dir / "under"), {}, {}, "x",
                              {std::make_shared<Checkpoint>(dir / "base")});
  overlay.check();
  fs::resize_file(dir / "base/model.safetensors", 10);
  EXPECT_TRUE(contains(error_of([&] { overlay.check(); }), "base/model.safetensors: became shorter"));
}

TEST(OverlaySource, RefusesWhatWasMadeInAnotherSize) {
  const TempDir dir;
  write_model(dir.path());
  const OverlaySource overlay(std::make_shared<Checkpoint>(dir.path()), {{"a", held({2, 2}, {1, 2})}}, {}, "bad");
  EXPECT_EQ(error_of([&] { overlay.read("a"); }), "a: was made with 8 bytes in place of 16");
}

// Rows of values that the tensor keeps.
MemoryTensor in_memory(const std::vector<int64_t>& shape, const Floats& values) {
  const auto bytes = std::make_shared<const OverlaySource::Bytes>(bytes_of(values));
  MemoryTensor out{{DType::F32, shape}, nullptr};
  out.read = [bytes, row = out.tensor.row_bytes()](int64_t begin, int64_t end) {
    return TensorLease{
        std::span(*bytes).subspan(static_cast<size_t>(begin) * row, static_cast<size_t>(end - begin) * row), bytes,
        false};
  };
  return out;
}

TEST(MemorySource, HandsOutRowsUnderUnwrappedNames) {
  const MemorySource model("state", R"({"model_type": "llama"})",
                           {{"_orig_mod.a", in_memory({3, 2}, {1, 2, 3, 4, 5, 6})}, {"b", in_memory({}, {7})}});
  EXPECT_EQ(floats(model.read_rows("a", 1, 3)), (Floats{3, 4, 5, 6}));
  EXPECT_EQ(floats(model.read("b")), (Floats{7}));
  EXPECT_EQ(model.warnings().size(), 1U);
  EXPECT_EQ(model.config().model_type, "llama");
  EXPECT_EQ(model.id(), "state");
  EXPECT_TRUE(model.folders().empty());
  EXPECT_EQ(model.companions(), std::vector<std::string>{"config.json"});
  EXPECT_EQ(model.companion("config.json", 100), R"({"model_type": "llama"})");
  EXPECT_THROW(model.companion("config.json", 3), Error);
  EXPECT_THROW(model.companion("tokenizer.json", 100), Error);
}

TEST(MemorySource, IsToldApartByContentAndLayout) {
  const auto identity = [](const std::vector<int64_t>& shape, float first) {
    return MemorySource("m", "", {{"a", in_memory(shape, {first, 2, 3, 4, 5, 6})}}).identity();
  };
  EXPECT_EQ(identity({3, 2}, 1), identity({3, 2}, 1));
  EXPECT_NE(identity({3, 2}, 1), identity({3, 2}, 9));
  EXPECT_NE(identity({3, 2}, 1), identity({2, 3}, 1));
  EXPECT_EQ(MemorySource("m", "", {{"a", in_memory({0, 2}, {})}}).identity().size(), 64U);
}

TEST(MemorySource, RefusesWhatIsNotAsItWasSaid) {
  MemoryTensor liar = in_memory({3, 2}, {1, 2, 3, 4, 5, 6});
  liar.tensor.shape = {3, 4};
  const MemorySource model("m", "", {{"a", liar}});
  try {
    model.read("a");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "a: gave 24 bytes of 3 rows in place of 48");
  }
  EXPECT_THROW(MemorySource("m", "[]", {}), Error);
  EXPECT_THROW(MemorySource("m", "", {{"x", liar}, {"_orig_mod.x", liar}}), Error);
}

}  // namespace
}  // namespace gyro
