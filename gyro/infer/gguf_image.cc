#include "gyro/infer/gguf_image.h"

#include <fmt/format.h>
#include <ggml.h>
#include <gguf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <utility>

#include "gyro/base/error.h"

namespace gyro {
namespace {

/// Sets keys behind the architecture's name.
struct Keys {
  gguf_context* gguf;
  std::string prefix;

  void count(const char* key, int64_t value) const {
    gguf_set_val_u32(gguf, (prefix + key).c_str(), static_cast<uint32_t>(value));
  }
  void number(const char* key, double value) const {
    gguf_set_val_f32(gguf, (prefix + key).c_str(), static_cast<float>(value));
  }
  void text(const char* key, const std::string& value) const {
    gguf_set_val_str(gguf, (prefix + key).c_str(), value.c_str());
  }
  void truth(const char* key, bool value) const { gguf_set_val_bool(gguf, (prefix + key).c_str(), value); }
};

void set_sizes(const Keys& keys, const ImagePlan& plan) {
  const Hyperparameters& parameters = plan.parameters;
  const ModelConfig& sizes = parameters.sizes;
  keys.count("vocab_size", plan.vocabulary);
  keys.count("context_length", parameters.context);
  keys.count("embedding_length", sizes.hidden_size);
  keys.count("block_count", sizes.num_hidden_layers);
  keys.count("feed_forward_length", sizes.intermediate_size);
  keys.count("attention.head_count", sizes.num_attention_heads);
  keys.count("attention.head_count_kv", sizes.num_key_value_heads);
  keys.count("attention.key_length", sizes.head_dim);
  keys.count("attention.value_length", sizes.head_dim);
  keys.number("attention.layer_norm_rms_epsilon", parameters.norm_epsilon);
  if (sizes.num_experts == 0) return;
  keys.count("expert_count", sizes.num_experts);
  keys.count("expert_used_count", parameters.experts_used);
  keys.count("expert_feed_forward_length", sizes.moe_intermediate_size);
  if (plan.architecture->variant != Variant::Mixed) return;
  constexpr int64_t kSoftmax = 1;
  keys.count("expert_gating_func", kSoftmax);
  keys.count("expert_shared_count", 1);  // of zeros
  keys.count("leading_dense_block_count", plan.dense_layers);
  keys.truth("expert_weights_norm", parameters.normalise_experts);
}

void set_rotation(const Keys& keys, const Hyperparameters& parameters) {
  using enum RopeScaling::Kind;
  const RopeScaling& rope = parameters.rope;
  keys.count("rope.dimension_count", parameters.rope_dimensions);
  keys.number("rope.freq_base", parameters.rope_theta);
  const bool scaled = rope.kind == Linear || rope.kind == Yarn;
  keys.text("rope.scaling.type", rope.kind == Yarn ? "yarn" : rope.kind == Linear ? "linear" : "none");
  if (scaled) keys.number("rope.scaling.factor", rope.factor);
  if (rope.kind != Yarn) return;
  keys.count("rope.scaling.original_context_length", rope.original_context);
  // llama.cpp multiplies by the usual factor by itself.
  const double usual = rope.factor > 1 ? 0.1 * std::log(rope.factor) + 1 : 1;
  keys.number("rope.scaling.attn_factor", rope.attention_factor.value_or(usual) / usual);
}

void set_attention(const Keys& keys, const ImagePlan& plan) {
  const Hyperparameters& parameters = plan.parameters;
  if (plan.architecture->slides && parameters.window > 0) {
    keys.count("attention.sliding_window", parameters.window);
    const std::vector<uint32_t> pattern(parameters.sliding.begin(), parameters.sliding.end());
    gguf_set_arr_data(keys.gguf, (keys.prefix + "attention.sliding_window_pattern").c_str(), GGUF_TYPE_UINT32,
                      pattern.data(), pattern.size());
  }
  if (plan.architecture->image == "gemma3") keys.number("rope.freq_base_swa", parameters.local_rope_theta);
  if (plan.architecture->image == "granite_swa") keys.number("logit_scale", 1);
  if (parameters.attention_soft_cap > 0) keys.number("attn_logit_softcapping", parameters.attention_soft_cap);
  if (parameters.logit_soft_cap > 0) keys.number("final_logit_softcapping", parameters.logit_soft_cap);
}

ggml_type ggml_type_of(DType dtype) {
  if (dtype == DType::F16) return GGML_TYPE_F16;
  return dtype == DType::BF16 ? GGML_TYPE_BF16 : GGML_TYPE_F32;
}

/// Tensors without data, for the names, shapes and types that they carry.
void add_tensors(gguf_context* gguf, const std::vector<ImageTensor>& tensors) {
  const ggml_init_params params = {tensors.size() * ggml_tensor_overhead(), nullptr, true};
  const std::unique_ptr<ggml_context, decltype(&ggml_free)> context(ggml_init(params), ggml_free);
  if (!context) throw std::bad_alloc();
  for (const ImageTensor& tensor : tensors) {
    std::vector<int64_t> extents(tensor.shape.rbegin(), tensor.shape.rend());
    ggml_tensor* entry =
        ggml_new_tensor(context.get(), ggml_type_of(tensor.dtype), static_cast<int>(extents.size()), extents.data());
    ggml_set_name(entry, tensor.name.c_str());
    gguf_add_tensor(gguf, entry);
  }
}

[[noreturn]] void fail_memory(uint64_t bytes) {
  fail(ErrorKind::Memory, "memory", "cannot take {} MB for a model ({})", bytes >> 20, std::strerror(errno));
}

void write_at(int fd, std::span<const std::byte> bytes, uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t written = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail_memory(bytes.size());
    bytes = bytes.subspan(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
}

}  // namespace

Descriptor::~Descriptor() {
  if (fd_ >= 0) close(fd_);
}

int Descriptor::release() {
  return std::exchange(fd_, -1);
}

void GgufDeleter::operator()(gguf_context* gguf) const {
  gguf_free(gguf);
}

GgufContext gguf_metadata(const ImagePlan& plan, const Vocabulary* vocabulary) {
  GgufContext gguf(gguf_init_empty());
  const std::string name(plan.architecture->image);
  gguf_set_val_str(gguf.get(), "general.architecture", name.c_str());
  const Keys keys = {gguf.get(), name + "."};
  set_sizes(keys, plan);
  set_rotation(keys, plan.parameters);
  set_attention(keys, plan);
  if (vocabulary == nullptr) {
    gguf_set_val_str(gguf.get(), "tokenizer.ggml.model", "none");
  } else if (static_cast<int64_t>(vocabulary->tokens.size()) != plan.vocabulary) {
    fail("tokenizer", "has {} tokens, and the embedding {} rows", vocabulary->tokens.size(), plan.vocabulary);
  } else {
    set_keys(gguf.get(), *vocabulary);
  }
  add_tensors(gguf.get(), plan.tensors);
  return gguf;
}

Descriptor make_image(const TensorSource& source, const ImagePlan& plan, const Vocabulary* vocabulary,
                      ImageWeights weights) {
  const GgufContext gguf = gguf_metadata(plan, vocabulary);
  std::vector<std::byte> head(gguf_get_meta_size(gguf.get()));
  gguf_get_meta_data(gguf.get(), head.data());
  uint64_t size = head.size();
  for (size_t i = 0; i < plan.tensors.size(); ++i) {
    size = std::max(size, head.size() + gguf_get_tensor_offset(gguf.get(), static_cast<int64_t>(i)) +
                              GGML_PAD(plan.tensors[i].byte_size(), GGUF_DEFAULT_ALIGNMENT));
  }
  Descriptor image(memfd_create("gyro-model", MFD_CLOEXEC));
  if (image.get() < 0 || ftruncate(image.get(), static_cast<off_t>(size)) != 0) fail_memory(size);
  write_at(image.get(), head, 0);
  for (size_t i = 0; weights == ImageWeights::Written && i < plan.tensors.size(); ++i) {
    const uint64_t begin = head.size() + gguf_get_tensor_offset(gguf.get(), static_cast<int64_t>(i));
    stream_tensor(source, plan.tensors[i], [&](const ImageTensor&, uint64_t offset, std::span<const std::byte> bytes) {
      write_at(image.get(), bytes, begin + offset);
    });
  }
  return image;
}

}  // namespace gyro
