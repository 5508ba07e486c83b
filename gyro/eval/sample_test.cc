#include "gyro/eval/sample.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "gyro/base/test_util.h"
#include "gyro/eval/completion.h"

namespace gyro {
namespace {

Sample odd_sample() {
  Sample sample{"v", "t", "id \"1\"\n", 2, "q\u2028", "p\t", "ab", "out\nput \\boxed{\"é\"}\x01", {}, 7, true};
  sample.grade.strict = {grading::Verdict::NoAnswer, "", "no-answer"};
  sample.grade.flexible = {grading::Verdict::Correct, "é", "number-equal"};
  return sample;
}

TEST(SampleLine, IsReadAsItWasWritten) {
  const TempDir folder;
  const Sample sample = odd_sample();
  const std::string line = sample_line(sample);
  EXPECT_EQ(std::ranges::count(line, '\n'), 1) << "one line";
  write_text(folder / "s", line + line + line.substr(0, line.size() - 1));
  int count = 0;
  EXPECT_EQ(read_samples(folder / "s",
                         [&](const Sample& read) {
                           ++count;
                           EXPECT_EQ(sample_line(read), line);
                         }),
            2 * line.size());
  EXPECT_EQ(count, 2) << "the third is not whole";
  for (const char* key : {"id", "task", "question", "prompt", "prompt_sha256", "output", "extracted", "verdict",
                          "verdict_flexible", "rule", "tokens", "finish", "repeat", "variant"}) {
    EXPECT_TRUE(nlohmann::json::parse(line).contains(key)) << key;
  }
}

TEST(SampleLine, ALengthMayBeUnknown) {
  const TempDir folder;
  Sample sample = odd_sample();
  sample.tokens = kUnknownTokens;
  const std::string line = sample_line(sample);
  EXPECT_TRUE(nlohmann::json::parse(line).at("tokens").is_null());
  write_text(folder / "s", line);
  read_samples(folder / "s", [](const Sample& read) { EXPECT_EQ(read.tokens, kUnknownTokens); });
  std::string bad = sample_line(odd_sample());
  bad.replace(bad.find("\"tokens\":7"), 10, "\"tokens\":-1");
  write_text(folder / "s", bad);
  EXPECT_TRUE(error_of([&] { read_samples(folder / "s", [](const Sample&) {}); }).ends_with("line 1 is no sample"));
}

TEST(SampleWriter, GoesOnAtAByte) {
  const TempDir folder;
  const std::string line = sample_line(odd_sample());
  const auto write_at = [&](uint64_t size) {
    SampleWriter writer(folder / "s");
    writer.go_on_at(size);
    writer.write(odd_sample());
    EXPECT_TRUE(error_of([&] { SampleWriter(folder / "s"); }).ends_with("another run is writing to it"));
  };
  write_at(0);
  write_at(0);
  write_at(line.size());
  int count = 0;
  EXPECT_EQ(read_samples(folder / "s", [&](const Sample&) { ++count; }), 2 * line.size());
  EXPECT_EQ(count, 2);
  EXPECT_NE(error_of([&] { SampleWriter(folder / "none/s"); }).find("cannot be written"), std::string::npos);
}

TEST(ReadSamples, SaysWhichLineIsNone) {
  const TempDir folder;
  for (const char* bad : {"", "x", "{}", "[]", "{\"variant\": 1}"}) {
    write_text(folder / "s", sample_line(odd_sample()) + bad + "\n");
    EXPECT_TRUE(error_of([&] { read_samples(folder / "s", [](const Sample&) {}); }).ends_with("line 2 is no sample"))
        << bad;
  }
}

}  // namespace
}  // namespace gyro
