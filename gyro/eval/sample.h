#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "gyro/eval/grade/grade.h"

namespace gyro {

/// One answer, as a line of samples.jsonl has it.
struct Sample {
  std::string variant, task, id;
  int64_t repeat = 0;  ///< from 0
  std::string question, prompt, prompt_sha256, output;
  grading::Grade grade;
  int64_t tokens = 0;  ///< as Completion has them
  bool cut = false;
};

/// A line of JSON, with its newline. Keys: id task question prompt prompt_sha256 output extracted extracted_flexible
/// verdict verdict_flexible rule rule_flexible tokens (null where unknown) finish ("stop" or "length") repeat variant.
std::string sample_line(const Sample& sample);

/// Calls `each` for the samples of a file, in its order. A last line that is not whole, as a killed run leaves it, is
/// no sample. Returns how many bytes those before it have. Throws Error naming the file and the line for one that is no
/// sample.
uint64_t read_samples(const std::filesystem::path& file, const std::function<void(Sample)>& each);

/// Appends samples to a file, each at once.
class SampleWriter {
 public:
  /// Opens the file, which is made if it is not there. Throws Error naming it, also where another run is writing to it.
  explicit SampleWriter(const std::filesystem::path& file);
  SampleWriter(const SampleWriter&) = delete;
  SampleWriter& operator=(const SampleWriter&) = delete;
  ~SampleWriter();
  /// Cuts the file to `size` bytes: what is written comes behind them.
  void go_on_at(uint64_t size);
  void write(const Sample& sample);

 private:
  [[noreturn]] void fail_to_write() const;

  std::filesystem::path file_;
  int fd_ = -1;
};

}  // namespace gyro
