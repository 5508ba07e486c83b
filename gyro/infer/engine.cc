#include "gyro/infer/engine.h"

#include <fmt/format.h>
#include <ggml-backend.h>
#include <ggml-cpu.h>
#include <llama.h>

#include <algorithm>
#include <cstdio>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "gyro/base/error.h"
#include "gyro/base/limits.h"
#include "gyro/infer/batch.h"
#include "gyro/infer/decode.h"
#include "gyro/infer/gguf_image.h"
#include "gyro/infer/gguf_trial.h"
#include "gyro/infer/llama_log.h"
#include "gyro/infer/taps.h"

namespace gyro {
namespace {

constexpr int64_t kPiece = 512;  // tokens computed at once

static_assert(kMostThreads == GGML_MAX_N_THREADS);

using Model = std::unique_ptr<llama_model, decltype(&llama_model_free)>;
using Context = std::unique_ptr<llama_context, decltype(&llama_free)>;
using ThreadPool = std::unique_ptr<ggml_threadpool, decltype(&ggml_threadpool_free)>;
/// llama.cpp may hold a tensor more than once under its name: an embedding that is the output, too.
using Weights = std::map<std::string, std::set<ggml_tensor*>, std::less<>>;

llama_model_params model_params(const EngineOptions& options, llama_load_mode mode) {
  llama_model_params params = llama_model_default_params();
  params.load_mode = mode;
  params.use_extra_bufts = false;  // which repack weights: what is put in their place would not be
  params.n_gpu_layers = options.on_gpu ? -1 : 0;
  static ggml_backend_dev_t none[] = {nullptr};
  if (!options.on_gpu) params.devices = none;
  return params;
}

[[noreturn]] void fail_loading(const std::string& subject) {
  const std::string problem = llama_problem();
  const bool memory = problem.find("to allocate") != std::string::npos;
  if (memory) fail(ErrorKind::Memory, "memory", "not enough for {} ({})", subject, problem);
  fail(subject, "llama.cpp does not load it: {}", problem.empty() ? "it does not say why" : problem);
}

void check_device(const EngineOptions& options) {
  if (!options.on_gpu || ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_GPU) != nullptr) return;
  fail({ErrorKind::Device, "device"}, "device", "llama.cpp has no GPU here, or was built without CUDA");
}

void check_memory(const std::string& subject, double bytes) {
  const size_t available = process_limits().available;
  if (bytes <= static_cast<double>(available)) return;
  fail(ErrorKind::Memory, "memory", "{} takes {:.0f} MB, and {} MB are left", subject, bytes / (1 << 20),
       available >> 20);
}

double bytes_of(const ImagePlan& plan) {
  double bytes = 0;
  for (const ImageTensor& tensor : plan.tensors) bytes += static_cast<double>(tensor.byte_size());
  return bytes;
}

// llama.cpp takes its cache from a system that promises more than it has.
double bytes_of_cache(const llama_context_params& params, const ModelConfig& sizes) {
  return 2.0 * static_cast<double>(ggml_type_size(params.type_k)) * params.n_ctx *
         static_cast<double>(sizes.num_hidden_layers * sizes.num_key_value_heads * sizes.head_dim);
}

/// Notes the weights that a decode uses; nothing is read.
bool note_weights(ggml_tensor* node, bool, void* weights) {
  for (ggml_tensor* from : node->src) {
    if (from == nullptr) continue;
    if (from->view_src != nullptr) from = from->view_src;
    const std::string name = ggml_get_name(from);
    if (name.ends_with(".weight") || name.ends_with(".bias")) (*static_cast<Weights*>(weights))[name].insert(from);
  }
  return false;
}

bool same_layout(const ImagePlan& a, const ImagePlan& b) {
  const auto same = [](const ImageTensor& x, const ImageTensor& y) {
    return x.name == y.name && x.shape == y.shape && x.dtype == y.dtype && x.values == y.values;
  };
  return a.architecture == b.architecture && same_arithmetic(a.parameters, b.parameters) &&
         std::equal(a.tensors.begin(), a.tensors.end(), b.tensors.begin(), b.tensors.end(), same);
}

// For logits that are F32's, and rows of attention that can be read.
llama_context_params exact_parameters() {
  llama_context_params params = llama_context_default_params();
  params.type_k = params.type_v = GGML_TYPE_F32;
  params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
  return params;
}

}  // namespace

struct Engine::State {
  EngineOptions options;
  ImagePlan plan;  // of a checkpoint; a GGUF file has none
  Model model{nullptr, llama_model_free};
  ThreadPool pool{nullptr, ggml_threadpool_free};
  Context context{nullptr, llama_free};
  int64_t context_positions = 0;
  Batch batch{kPiece};
  Weights weights;
  TapReader reader;

  explicit State(const EngineOptions& of) : options(of) {
    if (options.threads > kMostThreads) fail_field("threads", "{} are more than {}", options.threads, kMostThreads);
    if (options.threads <= 0) options.threads = std::min(available_processors(), kMostThreads);
    ggml_threadpool_params params = ggml_threadpool_params_default(options.threads);
    pool.reset(ggml_threadpool_new(&params));
    if (!pool) fail(ErrorKind::Memory, "memory", "not enough for {} threads", options.threads);
  }

  Context make_context(int64_t positions, ggml_backend_sched_eval_callback callback, void* data) const;
  Context make_context(llama_context_params params) const;
  void find_weights();
  void set_weights(const TensorSource& source, const ImagePlan& from);
  void finish();
  int64_t most_positions() const;
  void check_prompt(std::span<const int32_t> ids, int64_t beyond) const;
  void begin(int64_t positions);
  void run_piece(std::span<const int32_t> ids, int64_t first, LogitRows rows, bool last, const LogitSink& sink);
};

Context Engine::State::make_context(int64_t positions, ggml_backend_sched_eval_callback callback, void* data) const {
  llama_context_params params = exact_parameters();
  params.n_ctx = static_cast<uint32_t>(positions);
  params.n_batch = params.n_ubatch = static_cast<uint32_t>(std::min(positions, kPiece));
  params.n_seq_max = 1;
  params.cb_eval = callback;
  params.cb_eval_user_data = data;
  return make_context(params);
}

/// With what is the same for all contexts.
Context Engine::State::make_context(llama_context_params params) const {
  params.n_threads = params.n_threads_batch = options.threads;
  params.swa_full = true;  // so that cells are positions, for the taps
  params.no_perf = true;
  if (plan.parameters.rope.kind == RopeScaling::Kind::Yarn) {
    params.yarn_beta_fast = static_cast<float>(plan.parameters.rope.beta_fast);
    params.yarn_beta_slow = static_cast<float>(plan.parameters.rope.beta_slow);
  }
  if (!options.on_gpu) {
    check_memory(fmt::format("the cache of {} positions", params.n_ctx), bytes_of_cache(params, plan.parameters.sizes));
  }
  start_llama();
  Context made(llama_init_from_model(model.get(), params), llama_free);
  if (!made) {
    fail(ErrorKind::Memory, "memory", "not enough for {} positions ({})", params.n_ctx, llama_problem());
  }
  llama_attach_threadpool(made.get(), pool.get(), pool.get());
  stop_with_run(made.get());
  return made;
}

void Engine::State::find_weights() {
  const Context noting = make_context(kPiece, note_weights, &weights);
  batch.clear();
  batch.add(0, 0, 0, true);
  decode(noting.get(), batch.batch);
}

void Engine::State::set_weights(const TensorSource& source, const ImagePlan& from) {
  checked({&source}, [&] {
    for (const ImageTensor& tensor : from.tensors) {
      const auto found = weights.find(tensor.name);
      if (found == weights.end()) fail(ErrorKind::Internal, tensor.name, "is used by no part of the model");
      stream_tensor(source, tensor, [&](const ImageTensor&, uint64_t offset, std::span<const std::byte> bytes) {
        for (ggml_tensor* target : found->second) {
          ggml_backend_tensor_set(target, bytes.data(), offset, bytes.size());
        }
      });
    }
  });
}

void Engine::State::finish() {
  reader.layers = llama_model_n_layer(model.get());
  reader.heads = llama_model_n_head(model.get());
  reader.width = llama_model_n_embd(model.get());
}

int64_t Engine::State::most_positions() const {
  const int64_t trained = llama_model_n_ctx_train(model.get());
  return options.context > 0 ? std::min(options.context, trained) : trained;
}

void Engine::State::check_prompt(std::span<const int32_t> ids, int64_t beyond) const {
  check_ids(ids, llama_vocab_n_tokens(llama_model_get_vocab(model.get())));
  const auto size = static_cast<int64_t>(ids.size());
  if (size <= most_positions() - beyond) return;
  const std::string with = beyond > 0 ? fmt::format(" with {} to come", beyond) : "";
  fail({ErrorKind::Input, "context"}, "prompt", "has {} tokens{}, and the context {} positions", size, with,
       most_positions());
}

/// Has an empty context for that many positions.
void Engine::State::begin(int64_t positions) {
  reader.request = nullptr;
  if (positions > context_positions) {
    context.reset();
    context_positions = 0;
    const int64_t room = std::min(most_positions(), std::max(kPiece, 2 * positions));
    context = make_context(room, TapReader::on_node, &reader);
    context_positions = room;
  }
  llama_memory_clear(llama_get_memory(context.get()), false);
}

/// Computes up to kPiece tokens at positions from `first`; the prompt's last if `last`.
void Engine::State::run_piece(std::span<const int32_t> ids, int64_t first, LogitRows rows, bool last,
                              const LogitSink& sink) {
  const auto size = static_cast<int64_t>(ids.size());
  const auto tapped = [&](int64_t position) {
    if (reader.request == nullptr) return false;
    const auto& wanted = reader.request->hidden_positions;
    return std::binary_search(wanted.begin(), wanted.end(), position);
  };
  const auto asked = [&](int64_t i) { return rows == LogitRows::All || (last && i == size - 1); };
  batch.clear();
  reader.begin = first;
  reader.end = first + size;
  reader.output_rows.clear();
  for (int64_t i = 0; i < size; ++i) {
    const bool output = asked(i) || tapped(first + i);
    batch.add(ids[static_cast<size_t>(i)], first + i, 0, output);
    if (output) reader.output_rows.push_back(first + i);
  }
  decode(context.get(), batch.batch);
  const auto vocabulary = static_cast<size_t>(llama_vocab_n_tokens(llama_model_get_vocab(model.get())));
  for (int64_t i = 0; i < size; ++i) {
    if (asked(i)) sink(first + i, {llama_get_logits_ith(context.get(), static_cast<int32_t>(i)), vocabulary});
  }
}

Engine::Engine(const TensorSource& source, const EngineOptions& options)
    : Engine(source, plan_image(source, options.dtype), options) {}

Engine::Engine(const TensorSource& source, ImagePlan plan, const EngineOptions& options)
    : state_(std::make_unique<State>(options)) {
  start_llama();
  check_device(options);
  const std::string subject = source.path().string();
  state_->plan = std::move(plan);
  check_memory(subject, bytes_of(state_->plan));
  Descriptor image = make_image(source, state_->plan, options.vocabulary, ImageWeights::Zero);
  const std::unique_ptr<FILE, decltype(&std::fclose)> file(fdopen(image.get(), "rb"), std::fclose);
  if (!file) fail(ErrorKind::Memory, "memory", "cannot open a model in memory");
  image.release();
  state_->model.reset(llama_model_load_from_file_ptr(file.get(), model_params(options, LLAMA_LOAD_MODE_NONE)));
  if (!state_->model) fail_loading(subject);
  state_->options.vocabulary = nullptr;  // which need not live on
  state_->find_weights();
  state_->set_weights(source, state_->plan);
  state_->finish();
}

Engine::Engine(const std::filesystem::path& gguf, const EngineOptions& options)
    : state_(std::make_unique<State>(options)) {
  start_llama();
  check_device(options);
  if (!std::filesystem::is_regular_file(gguf)) fail(ErrorKind::NotFound, gguf.string(), "is no file");
  try_gguf(gguf);
  state_->model.reset(llama_model_load_from_file(gguf.c_str(), model_params(options, LLAMA_LOAD_MODE_MMAP)));
  if (!state_->model) fail_loading(gguf.string());
  state_->finish();
  ModelConfig& sizes = state_->plan.parameters.sizes;  // for the cache's, about
  sizes.num_hidden_layers = layers();
  sizes.num_key_value_heads = llama_model_n_head_kv(state_->model.get());
  sizes.head_dim = width() / std::max<int64_t>(heads(), 1);
}

Engine::Engine(Engine&&) noexcept = default;
Engine::~Engine() = default;

void Engine::swap(const TensorSource& source) {
  const ImagePlan plan = plan_image(source, state_->options.dtype);
  if (state_->weights.empty() || !same_layout(plan, state_->plan)) {
    fail(source.path().string(), "is not of the shape, dtype and hyperparameters of the model that is loaded");
  }
  state_->set_weights(source, plan);
}

void Engine::forward(std::span<const int32_t> ids, LogitRows rows, const LogitSink& logits) {
  forward(ids, rows, logits, {});
}

Taps Engine::forward(std::span<const int32_t> ids, LogitRows rows, const LogitSink& logits, const TapRequest& request) {
  const auto size = static_cast<int64_t>(ids.size());
  state_->check_prompt(ids, 0);
  for (const auto* positions : {&request.attention_rows, &request.hidden_positions}) {
    if (!positions->empty() && (positions->front() < 0 || positions->back() >= size)) {
      fail("taps", "positions {} to {} of a prompt of {}", positions->front(), positions->back(), size);
    }
  }
  const std::vector<int64_t>& of_layers = request.attention_layers;
  if (!of_layers.empty() && (of_layers.front() < 0 || of_layers.back() >= layers())) {
    fail("taps", "layers {} to {} of a model of {}", of_layers.front(), of_layers.back(), layers());
  }
  state_->begin(size);
  if (!request.attention_rows.empty() || !request.hidden_positions.empty()) state_->reader.start(request, size);
  for (int64_t first = 0; first < size; first += kPiece) {
    const int64_t count = std::min(kPiece, size - first);
    const auto piece = ids.subspan(static_cast<size_t>(first), static_cast<size_t>(count));
    state_->run_piece(piece, first, rows, first + count == size, logits);
  }
  state_->reader.request = nullptr;
  return std::exchange(state_->reader.taps, {});
}

std::vector<float> Engine::logits(std::span<const int32_t> ids) {
  std::vector<float> all;
  all.reserve(ids.size() * static_cast<size_t>(vocabulary()));
  forward(ids, LogitRows::All,
          [&](int64_t, std::span<const float> row) { all.insert(all.end(), row.begin(), row.end()); });
  return all;
}

Continuation Engine::continue_greedily(std::span<const int32_t> ids, int64_t most, std::span<const int32_t> ends) {
  Continuation out{{}, std::numeric_limits<double>::infinity()};
  state_->check_prompt(ids, std::max<int64_t>(most - 1, 0));
  const auto take = [&](int64_t, std::span<const float> row) {
    const auto best = std::max_element(row.begin(), row.end());
    float second = -std::numeric_limits<float>::infinity();
    for (auto at = row.begin(); at != row.end(); ++at) {
      if (at != best) second = std::max(second, *at);
    }
    out.least_margin = std::min(out.least_margin, static_cast<double>(*best) - static_cast<double>(second));
    out.ids.push_back(static_cast<int32_t>(best - row.begin()));
  };
  if (most <= 0) return out;
  const auto size = static_cast<int64_t>(ids.size());
  state_->begin(size + most - 1);
  forward(ids, LogitRows::Last, take);
  for (int64_t position = size; static_cast<int64_t>(out.ids.size()) < most; ++position) {
    const int32_t token = out.ids.back();
    if (std::find(ends.begin(), ends.end(), token) != ends.end()) break;
    state_->run_piece({&token, 1}, position, LogitRows::Last, true, take);
  }
  return out;
}

int64_t Engine::layers() const {
  return state_->reader.layers;
}
int64_t Engine::heads() const {
  return state_->reader.heads;
}
int64_t Engine::width() const {
  return state_->reader.width;
}
int64_t Engine::vocabulary() const {
  return llama_vocab_n_tokens(vocab());
}
int64_t Engine::context() const {
  return state_->most_positions();
}
int Engine::threads() const {
  return state_->options.threads;
}
bool Engine::on_gpu() const {
  return state_->options.on_gpu;
}

Engine::ContextPointer Engine::make_context(int64_t positions, int64_t sequences, int64_t batch) const {
  // On a GPU a cache in F16 and fused attention are twice as fast, and round less than a 16-bit model's products do.
  if (positions > std::numeric_limits<uint32_t>::max() / sequences) {
    fail(ErrorKind::Memory, "memory", "{} texts of {} positions are more than llama.cpp counts", sequences, positions);
  }
  const auto is_short = [](const ImageTensor& tensor) { return tensor.dtype != DType::F32; };
  const bool halves = on_gpu() && std::ranges::any_of(state_->plan.tensors, is_short);
  llama_context_params params = halves ? llama_context_default_params() : exact_parameters();
  params.n_ctx = static_cast<uint32_t>(positions * sequences);
  params.n_batch = params.n_ubatch = static_cast<uint32_t>(batch);
  params.n_seq_max = static_cast<uint32_t>(sequences);
  params.kv_unified = false;
  return state_->make_context(params);
}

const llama_model* Engine::model() const {
  return state_->model.get();
}
const llama_vocab* Engine::vocab() const {
  return llama_model_get_vocab(state_->model.get());
}

}  // namespace gyro
