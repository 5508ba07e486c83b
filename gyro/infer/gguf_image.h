#pragma once

#include <memory>

#include "gyro/infer/image_plan.h"
#include "gyro/infer/vocabulary.h"

struct gguf_context;

namespace gyro {

/// An open file descriptor, closed on destruction.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor();
  int get() const { return fd_; }
  int release();

 private:
  int fd_;
};

struct GgufDeleter {
  void operator()(gguf_context* gguf) const;
};
using GgufContext = std::unique_ptr<gguf_context, GgufDeleter>;

/// The metadata of a GGUF file of that plan: keys, and names, shapes and types of tensors. With the vocabulary's keys,
/// or without a tokenizer (prompts are ids then). Throws Error if the vocabulary has not a token for each row of the
/// embedding.
GgufContext gguf_metadata(const ImagePlan& plan, const Vocabulary* vocabulary);

/// What a GGUF file in memory holds of its tensors: their elements, or zeros that take no memory until they are
/// written.
enum class ImageWeights { Written, Zero };

/// A GGUF file of the plan of `source`, in memory (memfd); its position is its beginning. Throws Error naming what
/// cannot be read, or `memory`.
Descriptor make_image(const TensorSource& source, const ImagePlan& plan, const Vocabulary* vocabulary,
                      ImageWeights weights);

}  // namespace gyro
