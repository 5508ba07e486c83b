#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gyro/arch/arch.h"
#include "gyro/study/stages.h"

namespace gyro {

/// What of a study's models and tasks its cost hangs on.
struct StudySize {
  std::vector<MatrixSite> sites;  ///< of one model
  int64_t layers = 0, kv_width = 0;
  double parameters = 0;       ///< all of them: of a mixture many more than a token passes
  double model_bytes = 0;      ///< of one model's files
  int64_t questions = 0;       ///< of all tasks
  double question_tokens = 0;  ///< mean length of a prompt: a guess of a token every four bytes of its text
};

/// The size of the models, from what their files say of their tensors; no weight is read.
StudySize size_of(const TensorSource& post);

/// What a machine does: multiplications and additions a second.
struct MachineRate {
  double analysis = 0;    ///< in FP64, as gyro diff keeps it up
  double prompts = 0;     ///< of a model that computes prompts
  double generation = 0;  ///< of a model that writes answers, many at once
  int workers = 1;        ///< matrices at once
  std::string measured;   ///< what was measured, in words
};

/// Times products of matrices for some tenths of a second on a processor or GPU, and takes the shares of that rate that
/// docs/performance.md found: of a diff 60 % on processors and 36 % on GPUs; of prompts and generation, counted as two
/// operations a parameter and token, 40 and 24 % on processors, 45 and 14 % on GPUs in F32, twice that there in 16
/// bits. Throws Error where there is no such device.
MachineRate measure_rate(const StudyRequest& request);

struct StageCost {
  double read = 0;     ///< bytes from disk
  double held = 0;     ///< bytes in memory, of the GPUs where it runs there
  double seconds = 0;  ///< about: within a factor of three
};

/// Answers of `kAssumedTokens` tokens are assumed, where fewer are not the most that is asked for.
inline constexpr double kAssumedTokens = 400;
StageCost cost_of(const Stage& stage, const StudyRequest& request, const StudySize& size, const MachineRate& rate);

}  // namespace gyro
