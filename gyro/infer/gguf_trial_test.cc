#include "gyro/infer/gguf_trial.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <limits>
#include <random>

#include "gyro/base/apart.h"
#include "gyro/base/error.h"
#include "gyro/checkpoint/checkpoint.h"
#include "gyro/infer/chat.h"
#include "gyro/infer/gguf_image.h"
#include "gyro/infer/test_util.h"

namespace gyro {
namespace {

// A GGUF file's bytes, and the path of a copy that changes.
class GgufFile {
 public:
  explicit GgufFile(const std::string& name) : path(folder_ / "model.gguf") {
    const Checkpoint checkpoint(shipped_model(name));
    const ImagePlan plan = plan_image(checkpoint, DType::F32);
    const Vocabulary vocabulary = read_vocabulary(checkpoint, std::nullopt, plan.vocabulary);
    const Descriptor image = make_image(checkpoint, plan, &vocabulary, ImageWeights::Written);
    bytes.resize(static_cast<size_t>(lseek(image.get(), 0, SEEK_END)));
    EXPECT_EQ(pread(image.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    head = bytes.rfind("ffn_down.weight") + 64;
    write(bytes);
  }
  void write(std::string_view what) const {
    std::ofstream(path, std::ios::binary).write(what.data(), static_cast<std::streamsize>(what.size()));
  }

 private:
  TempDir folder_;

 public:
  std::filesystem::path path;
  std::string bytes;
  size_t head = 0;  // bytes before those of tensors
};

// What becomes of a model that is loaded, read from and run, in a process of its own.
Apart use(const std::filesystem::path& path) {
  ApartLimits limits;
  limits.memory = size_t{4} << 30;
  limits.time = std::chrono::seconds(30);
  return run_apart(
      [&] {
        ChatModel model = open_chat(load_model(path, {.dtype = std::nullopt, .threads = 1}), ForChat::PlainTexts);
        const std::vector<int32_t> ids = plain_prompt(model, "Tom has 3 apples.");
        const std::vector<float> logits = model.loaded.engine.logits(ids);
        return answer_piece(model, ids.back()) + std::to_string(logits.front());
      },
      limits);
}

// Runs, or is refused in a line.
bool is_harmless(const Apart& found) {
  const bool one_line = found.text.find('\n') == std::string::npos;
  return found.end == Apart::End::Done || (one_line && found.end == Apart::End::Threw);
}

TEST(GgufTrial, WholeFilesPass) {
  for (const char* name : {"pico-qwen2/base", "pico-mistral/base", "pico-gemma2/base"}) {
    const GgufFile file(name);
    EXPECT_EQ(use(file.path).end, Apart::End::Done) << use(file.path).text;
  }
}

TEST(GgufTrial, FilesThatAreCutOffAreRefused) {
  const GgufFile file("pico-qwen2/base");
  for (size_t i = 0; i < 200; ++i) {
    const size_t size = i < 100 ? i * file.head / 100 : file.head + (i - 100) * (file.bytes.size() - file.head) / 100;
    file.write(std::string_view(file.bytes).substr(0, size));
    const Apart found = use(file.path);
    ASSERT_EQ(found.end, Apart::End::Threw) << size << ": " << static_cast<int>(found.end) << found.text;
    ASSERT_TRUE(is_harmless(found)) << found.text;
  }
}

#ifdef GYRO_SANITIZED  // processes are slow to begin there
constexpr int kMutations = 60;
#else
constexpr int kMutations = 1500;
#endif

// GYRO_GGUF_MUTATIONS=30000 tries more.
TEST(GgufTrial, WhateverIsChangedInItsHeadTheProgramGoesOn) {
  const char* many = std::getenv("GYRO_GGUF_MUTATIONS");
  const int count = many == nullptr ? kMutations : std::stoi(many);
  std::mt19937_64 random(7);
  for (const char* name : {"pico-qwen2/base", "pico-mistral/base"}) {
    const GgufFile file(name);
    const auto below = [&](size_t limit) { return static_cast<size_t>(random() % limit); };
    for (int i = 0; i < count / 2; ++i) {
      std::string bytes = file.bytes;
      const size_t at = below(i % 3 == 0 ? 1500 : file.head);  // where the keys are, more often
      const uint64_t values[] = {
          0, 1, 0xFF, 0x7FFFFFFF, 0xFFFFFFFF, random(), std::numeric_limits<uint64_t>::max(), 1ULL << 40};
      const uint64_t value = values[below(8)];
      std::memcpy(bytes.data() + at, &value, size_t{1} << below(4));
      file.write(bytes);
      const Apart found = use(file.path);
      EXPECT_TRUE(is_harmless(found)) << name << " " << i << ": " << value << " at " << at << " of " << file.head
                                      << ": " << static_cast<int>(found.end) << found.text;
    }
  }
}

}  // namespace
}  // namespace gyro
