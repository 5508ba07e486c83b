#include "gyro/checkpoint/content_hash.h"

#include <gtest/gtest.h>

#include "gyro/checkpoint/checkpoint.h"
#include "gyro/checkpoint/test_util.h"

namespace gyro {
namespace {

constexpr const char* kConfig = R"({"model_type": "llama"})";

TestTensor numbers(std::string name, std::vector<int64_t> shape, float first) {
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  std::vector<float> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) values[i] = first + static_cast<float>(i);
  return {std::move(name), DType::F32, std::move(shape), bytes_of(values)};
}

RunOptions with_threads(int threads) {
  RunOptions run;
  run.threads = threads;
  return run;
}

class ContentHash : public testing::Test {
 protected:
  std::filesystem::path path(const std::string& name) const { return dir_ / name; }
  std::string hash_of(const std::string& folder, int threads = 1) {
    const Checkpoint checkpoint(path(folder));
    return content_sha256(checkpoint, with_threads(threads)).value();
  }
  std::string one_file(const std::string& folder, const std::vector<TestTensor>& tensors) {
    std::filesystem::create_directory(path(folder));
    write_text(path(folder + "/config.json"), kConfig);
    write_tensors(path(folder + "/model.safetensors"), tensors);
    return hash_of(folder);
  }

 private:
  TempDir dir_;
};

TEST_F(ContentHash, IsTheHashOfItsLines) {
  // SHA-256 of "HASH F32 [2] \"a\"\n" and of a scalar's line, HASH of their bytes, by Python's hashlib.
  const std::string found = one_file("model", {numbers("b", {}, 7), numbers("a", {2}, 1)});
  EXPECT_EQ(found, "d63235d8eb7490e491c0ecc973d1a82803e4624d96a8f3e300200d926cfa0756");
}

TEST_F(ContentHash, DoesNotDependOnFiles) {
  const TestTensor a = numbers("a", {300, 7}, 1), b = numbers("b", {5}, -3), c = numbers("c", {2, 2, 2}, 9);
  const std::string whole = one_file("whole", {a, b, c});
  EXPECT_EQ(one_file("other-order", {c, a, b}), whole);
  std::filesystem::create_directory(path("shards"));
  write_text(path("shards/config.json"), kConfig);
  write_tensors(path("shards/model-00001-of-00002.safetensors"), {c});
  write_tensors(path("shards/model-00002-of-00002.safetensors"), {b, a});
  write_text(path("shards/model.safetensors.index.json"),
             R"({"weight_map": {"a": "model-00002-of-00002.safetensors", "b": "model-00002-of-00002.safetensors",
                 "c": "model-00001-of-00002.safetensors"}})");
  EXPECT_EQ(hash_of("shards"), whole);
  EXPECT_EQ(hash_of("shards", 3), whole);
  EXPECT_NE(Checkpoint(path("shards")).sha256(), Checkpoint(path("whole")).sha256());  // the layout's does
}

TEST_F(ContentHash, TellsEveryDifference) {
  const std::string whole = one_file("whole", {numbers("a", {40, 1000}, 1)});
  TestTensor bit = numbers("a", {40, 1000}, 1);
  bit.bytes[12345] ^= std::byte{1};
  EXPECT_NE(one_file("bit", {bit}), whole);
  EXPECT_NE(one_file("name", {numbers("b", {40, 1000}, 1)}), whole);
  EXPECT_NE(one_file("shape", {numbers("a", {1000, 40}, 1)}), whole);
  TestTensor type = numbers("a", {40, 1000}, 1);
  type.dtype = DType::I32;
  EXPECT_NE(one_file("dtype", {type}), whole);
  EXPECT_NE(one_file("more", {numbers("a", {40, 1000}, 1), numbers("b", {}, 1)}), whole);
}

TEST_F(ContentHash, Stops) {
  one_file("model", {numbers("a", {2}, 1)});
  const Checkpoint checkpoint(path("model"));
  RunOptions run = with_threads(1);
  run.stop = [] { return true; };
  EXPECT_FALSE(content_sha256(checkpoint, run));
}

}  // namespace
}  // namespace gyro
