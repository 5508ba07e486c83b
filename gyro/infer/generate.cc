// How a text is kept from depending on what else is computed with it, to the last bit, on llama.cpp's CPU:
//  - Each sequence has a stream of the cache to itself, in which its tokens lie from the first cell on. Cells behind
//    them are masked: they add zeros, at the end of sums.
//  - A prompt is computed alone, so how its tokens are put together hangs on it only, and on how much of it was
//    computed before. Products of two or more columns give each column's elements alike, however many they are; those
//    of one column are summed in another order. So no piece is a single token, except where the prompt is, and a step
//    of one text is computed with a dummy beside it.
//  - Sequences of a step are numbered without gaps, or llama.cpp would compute them in several parts.
#include "gyro/infer/generate.h"

#include <llama.h>

#include <algorithm>

#include "gyro/base/error.h"
#include "gyro/base/parallel.h"
#include "gyro/infer/batch.h"
#include "gyro/infer/llama_log.h"

namespace gyro {
namespace {

constexpr int kMostSlots = 250;         // llama.cpp takes 256 sequences
constexpr size_t kPiece = 512;          // tokens of a prompt computed at once
constexpr size_t kShortestPrefix = 16;  // below, copying is not worth it
constexpr int64_t kCells = 256;         // the cache's length is a multiple
constexpr size_t kManyLogits = 1 << 20;

// How many ids all prompts begin with, so that two of each prompt at least are left.
size_t shared_prefix(std::span<const GeneratePrompt> prompts) {
  if (prompts.size() < 2) return 0;
  const std::vector<int32_t>& first = prompts.front().ids;
  size_t shared = first.size();
  for (const GeneratePrompt& prompt : prompts) {
    const auto [end, ignored] = std::ranges::mismatch(first, prompt.ids);
    shared = std::min(
        {shared, static_cast<size_t>(end - first.begin()), prompt.ids.size() - std::min<size_t>(prompt.ids.size(), 2)});
  }
  return shared >= kShortestPrefix ? shared : 0;
}

void check_prompts(const Engine& engine, std::span<const GeneratePrompt> prompts) {
  for (const GeneratePrompt& prompt : prompts) {
    check_ids(prompt.ids, engine.vocabulary());
    const auto size = static_cast<int64_t>(prompt.ids.size());
    if (size < engine.context()) continue;
    fail({ErrorKind::Input, "context"}, "prompt", "has {} tokens and leaves no room in the context of {} positions",
         size, engine.context());
  }
}

// Positions of the longest text there may be.
int64_t positions_needed(const Engine& engine, std::span<const GeneratePrompt> prompts, int64_t max_tokens) {
  int64_t longest = 0;
  for (const GeneratePrompt& prompt : prompts) longest = std::max(longest, static_cast<int64_t>(prompt.ids.size()));
  return max_tokens >= engine.context() - longest ? engine.context() : longest + max_tokens;
}

// A text in work: its sequence is its place among those that are.
struct Slot {
  size_t prompt = 0;
  size_t positions = 0;  // in the cache
};

struct Choice {
  int32_t id = 0;
  double log_probability = 0;
};

class Run {
 public:
  Run(const Engine& engine, std::span<const GeneratePrompt> prompts, std::span<const int32_t> ends,
      const GenerateOptions& options, const TokenSink& sink)
      : engine_(engine),
        prompts_(prompts),
        ends_(ends),
        options_(options),
        sink_(sink),
        slots_(std::min(static_cast<size_t>(std::clamp(options.slots, 1, kMostSlots)), prompts.size())),
        prefix_(shared_prefix(prompts)),
        positions_(positions_needed(engine, prompts, options.max_tokens)),
        context_(make_context()),
        memory_(llama_get_memory(context_.get())),
        batch_(static_cast<int64_t>(most_at_once())) {
    out_.texts.resize(prompts.size());
    out_.batch_independent = !engine.on_gpu();
  }

  Generations run() {
    if (prefix_ > 0) compute(std::span(prompts_.front().ids).first(prefix_), 0, prefix_sequence(), false);
    while (fill_slots()) step();
    return std::move(out_);
  }

 private:
  // Sequences: a slot each, at least two for the dummy, and that of what all prompts begin with.
  size_t prefix_sequence() const { return std::max<size_t>(slots_, 2); }

  size_t most_at_once() const { return std::max(kPiece, prefix_sequence()); }

  Engine::ContextPointer make_context() const {
    const size_t sequences = prefix_sequence() + (prefix_ > 0 ? 1 : 0);
    const int64_t cells = (positions_ + kCells - 1) / kCells * kCells;
    return engine_.make_context(cells, static_cast<int64_t>(sequences), static_cast<int64_t>(most_at_once()));
  }

  void decode() {
    start_llama();
    const int32_t status = llama_decode(context_.get(), batch_.batch);
    if (status != 0) {
      fail(ErrorKind::Internal, "model", "llama.cpp cannot run it (status {}): {}", status, llama_problem());
    }
  }

  void remove(size_t sequence) { llama_memory_seq_rm(memory_, static_cast<llama_seq_id>(sequence), -1, -1); }
  void copy(size_t from, size_t to) {
    llama_memory_seq_cp(memory_, static_cast<llama_seq_id>(from), static_cast<llama_seq_id>(to), -1, -1);
  }

  // Computes ids from `position` on, alone, in pieces of which none is a single token if there are more.
  void compute(std::span<const int32_t> ids, size_t position, size_t sequence, bool output) {
    out_.prompt_tokens += static_cast<int64_t>(ids.size());
    while (!ids.empty()) {
      size_t size = std::min(ids.size(), kPiece);
      if (ids.size() - size == 1) --size;
      batch_.clear();
      for (size_t i = 0; i < size; ++i) {
        batch_.add(ids[i], static_cast<int64_t>(position + i), static_cast<int64_t>(sequence),
                   output && i + 1 == ids.size());
      }
      decode();
      ids = ids.subspan(size);
      position += size;
    }
  }

  std::span<const float> logits(int32_t row) {
    return {llama_get_logits_ith(context_.get(), row), static_cast<size_t>(engine_.vocabulary())};
  }

  Choice choose(const Slot& slot, std::span<const float> logits) const {
    const size_t step = out_.texts[slot.prompt].ids.size();
    const int32_t id = sample(logits, options_.sampler, prompts_[slot.prompt].stream, step);
    return {id, options_.log_probabilities ? log_probability(logits, id) : 0};
  }

  // Takes the token that follows; whether the text goes on.
  bool take(const Slot& slot, const Choice& choice) {
    Generation& text = out_.texts[slot.prompt];
    text.ids.push_back(choice.id);
    if (options_.log_probabilities) text.log_probabilities.push_back(choice.log_probability);
    ++out_.new_tokens;
    const bool more = !sink_ || sink_(slot.prompt, choice.id);
    if (std::ranges::binary_search(ends_, choice.id)) {
      text.finish = Finish::End;
    } else if (!more) {
      text.finish = Finish::Stopped;
    } else if (static_cast<int64_t>(text.ids.size()) >= options_.max_tokens) {
      text.finish = Finish::Length;
    } else if (static_cast<int64_t>(slot.positions) >= positions_) {
      text.finish = Finish::Context;
    } else {
      return true;
    }
    return false;
  }

  // The next prompt whose text has more than one token is begun in that sequence; false if none is left.
  bool start_next(size_t sequence, Slot& slot) {
    while (next_ < prompts_.size()) {
      slot = {next_, prompts_[next_].ids.size()};
      ++next_;
      const std::span<const int32_t> ids(prompts_[slot.prompt].ids);
      remove(sequence);
      if (prefix_ > 0) copy(prefix_sequence(), sequence);
      compute(ids.subspan(prefix_), prefix_, sequence, true);
      if (take(slot, choose(slot, logits(-1)))) return true;
    }
    remove(sequence);
    return false;
  }

  // Gives each slot a text as long as there are prompts; whether there is any.
  bool fill_slots() {
    Slot slot;
    while (active_.size() < slots_ && next_ < prompts_.size()) {
      if (start_next(active_.size(), slot)) active_.push_back(slot);
    }
    return !active_.empty();
  }

  // Of all texts in work; on threads where that is more work than starting them.
  std::vector<Choice> choose_all() {
    std::vector<std::span<const float>> rows;
    for (size_t i = 0; i < active_.size(); ++i) rows.push_back(logits(static_cast<int32_t>(i)));
    std::vector<Choice> choices(rows.size());
    const bool large = rows.size() * rows.front().size() >= kManyLogits;
    parallel_for(static_cast<int>(rows.size()), large ? engine_.threads() : 1, [&](int i) {
      const auto at = static_cast<size_t>(i);
      choices[at] = choose(active_[at], rows[at]);
    });
    return choices;
  }

  // One token of each text in work.
  void step() {
    batch_.clear();
    for (size_t i = 0; i < active_.size(); ++i) {
      Slot& slot = active_[i];
      batch_.add(out_.texts[slot.prompt].ids.back(), static_cast<int64_t>(slot.positions), static_cast<int64_t>(i),
                 true);
      ++slot.positions;
    }
    if (active_.size() == 1 && out_.batch_independent) {
      remove(1);
      batch_.add(0, 0, 1, true);
    }
    decode();
    const std::vector<Choice> choices = choose_all();
    std::vector<bool> goes_on(active_.size());
    for (size_t i = 0; i < active_.size(); ++i) goes_on[i] = take(active_[i], choices[i]);
    for (size_t i = active_.size(); i-- > 0;) {
      if (!goes_on[i]) replace(i);
    }
  }

  // In place of a text that has ended comes the next, or the last of those in work.
  void replace(size_t place) {
    if (start_next(place, active_[place])) return;
    const size_t last = active_.size() - 1;
    if (place != last) {
      copy(last, place);
      remove(last);
      active_[place] = active_[last];
    }
    active_.pop_back();
  }

  const Engine& engine_;
  std::span<const GeneratePrompt> prompts_;
  std::span<const int32_t> ends_;
  const GenerateOptions& options_;
  const TokenSink& sink_;
  size_t slots_;
  size_t prefix_;      // ids that all prompts begin with
  int64_t positions_;  // of a sequence
  Engine::ContextPointer context_;
  llama_memory_t memory_;
  Batch batch_;
  Generations out_;
  std::vector<Slot> active_;
  size_t next_ = 0;  // the first prompt that was not begun
};

}  // namespace

Generations generate(const Engine& engine, std::span<const GeneratePrompt> prompts, std::span<const int32_t> ends,
                     const GenerateOptions& options, const TokenSink& sink) {
  check_prompts(engine, prompts);
  if (prompts.empty() || options.max_tokens <= 0) return {std::vector<Generation>(prompts.size()), true, 0, 0};
  return Run(engine, prompts, ends, options, sink).run();
}

}  // namespace gyro
