// How a text is kept from depending on what else is computed with it, to the last bit, on llama.cpp's CPU:
//  - Each sequence has a stream of the cache to itself, in which its tokens lie from the first cell on. Cells behind
//    them are masked: they add zeros, at the end of sums.
//  - Products of two or more columns give each column's elements alike, however many they are; those of one column are
//    summed in another order. So no piece of a prompt is a single token, the logits of two are computed, and a step of
//    one text is computed with a dummy beside it.
//  - Pieces that are computed at once are filled to one length, or llama.cpp would cut them where it likes.
//  - Sequences of a step are numbered without gaps, or llama.cpp would compute them in several parts.
#include "gyro/infer/generate.h"

#include <llama.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "gyro/base/error.h"
#include "gyro/base/parallel.h"
#include "gyro/infer/batch.h"
#include "gyro/infer/decode.h"

namespace gyro {
namespace {

constexpr int kMostSlots = 250;         // llama.cpp takes 256 sequences
constexpr size_t kFill = 15;            // dummies behind a piece, at most
constexpr size_t kShortestPrefix = 16;  // below, copying is not worth it
constexpr int64_t kCells = 256;         // the cache's length is a multiple
constexpr size_t kManyLogits = 1 << 20;

// How many ids all prompts begin with, so that one of each prompt at least is left.
size_t shared_prefix(std::span<const GeneratePrompt> prompts) {
  if (prompts.size() < 2) return 0;
  const std::vector<int32_t>& first = prompts.front().ids;
  size_t shared = first.size();
  for (const GeneratePrompt& prompt : prompts) {
    const auto [end, ignored] = std::ranges::mismatch(first, prompt.ids);
    shared = std::min({shared, static_cast<size_t>(end - first.begin()), prompt.ids.size() - 1});
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

// What is left to compute of a prompt.
struct Part {
  size_t place = 0;  // the text's, and its sequence
  std::span<const int32_t> ids;
  size_t position = 0;  // of the first
};

// How many tokens are computed at once, and how many of them of several prompts: on a CPU a prompt of some length is
// work enough.
struct Portions {
  size_t most, together;
};
constexpr Portions kOnCpu = {512, 64}, kOnGpu = {2048, 2048};

// Of `parts`, ascending in length, the first that are computed at once, and how many tokens of each.
struct Piece {
  size_t parts = 1, size;
};

Piece next_piece(std::span<const Part> parts, const Portions& portions) {
  const size_t shortest = parts[0].ids.size();
  Piece piece{1, std::clamp<size_t>(shortest, 2, portions.most)};
  for (; piece.parts < parts.size(); ++piece.parts) {
    const size_t size = parts[piece.parts].ids.size();
    if (size > shortest + kFill || (piece.parts + 1) * size > portions.together) break;
    piece.size = std::max(piece.size, size);
  }
  return piece;
}

struct Choice {
  int32_t id = 0;
  double log_probability = 0;
};

class Run {
 public:
  Run(const Engine& engine, std::span<const GeneratePrompt> prompts, std::span<const int32_t> ends,
      const GenerateOptions& options, const TokenSink& sink, const TextSink& ended)
      : engine_(engine),
        prompts_(prompts),
        ends_(ends),
        options_(options),
        sink_(sink),
        ended_(ended),
        slots_(std::min(static_cast<size_t>(std::clamp(options.slots, 1, kMostSlots)), prompts.size())),
        prefix_(shared_prefix(prompts)),
        portions_(engine.on_gpu() ? kOnGpu : kOnCpu),
        positions_(positions_needed(engine, prompts, options.max_tokens)),
        context_(make_context()),
        memory_(llama_get_memory(context_.get())),
        batch_(static_cast<int64_t>(most_at_once())) {
    out_.texts.resize(prompts.size());
    out_.batch_independent = !engine.on_gpu();
  }

  Generations run() {
    if (prefix_ > 0) {
      const auto ids = std::span(prompts_.front().ids).first(prefix_);
      Part part{prefix_sequence(), ids, 0};
      compute({&part, 1}, [](const Finished&) {});
    }
    std::vector<size_t> places(slots_);
    std::iota(places.begin(), places.end(), size_t{0});
    active_.resize(slots_);
    begin_texts(std::move(places));
    while (!active_.empty()) step();
    return std::move(out_);
  }

 private:
  // Places whose logits are computed, and their rows.
  using Finished = std::vector<std::pair<size_t, int32_t>>;

  // Sequences: a slot each, at least two for the dummy, and that of what all prompts begin with.
  size_t prefix_sequence() const { return std::max<size_t>(slots_, 2); }

  size_t most_at_once() const { return std::max(portions_.most, prefix_sequence()); }

  Engine::ContextPointer make_context() const {
    const size_t sequences = prefix_sequence() + (prefix_ > 0 ? 1 : 0);
    const int64_t cells = (positions_ + static_cast<int64_t>(kFill) + kCells - 1) / kCells * kCells;
    return engine_.make_context(cells, static_cast<int64_t>(sequences), static_cast<int64_t>(most_at_once()));
  }

  void decode() { gyro::decode(context_.get(), batch_.batch); }

  // What lies in the cache from a position on.
  void remove(size_t sequence, size_t position = 0) {
    llama_memory_seq_rm(memory_, static_cast<llama_seq_id>(sequence), static_cast<llama_pos>(position), -1);
  }
  void copy(size_t from, size_t to) {
    llama_memory_seq_cp(memory_, static_cast<llama_seq_id>(from), static_cast<llama_seq_id>(to), -1, -1);
  }

  // Computes prompts, ascending in length; `finished` is given those of which logits follow, some at a time.
  template <typename Sink>
  void compute(std::span<Part> parts, const Sink& finished) {
    for (const Part& part : parts) out_.prompt_tokens += static_cast<int64_t>(part.ids.size());
    while (!parts.empty()) {
      const Piece piece = next_piece(parts, portions_);
      batch_.clear();
      Finished done;
      for (const Part& part : parts.first(piece.parts)) {
        const int32_t last = add(part, piece.size);
        if (part.ids.size() <= piece.size) done.emplace_back(part.place, last);
      }
      decode();
      for (Part& part : parts.first(piece.parts)) {
        const size_t computed = std::min(part.ids.size(), piece.size);
        part.position += computed;
        part.ids = part.ids.subspan(computed);
        if (computed < piece.size) remove(part.place, part.position);
      }
      finished(done);
      parts = parts.subspan(done.size());
    }
  }

  // The first `size` tokens of a part, filled by dummies. The row of the last that is none; its logits are computed if
  // it ends the part.
  int32_t add(const Part& part, size_t size) {
    const size_t own = std::min(part.ids.size(), size);
    const int32_t last = batch_.batch.n_tokens + static_cast<int32_t>(own) - 1;
    for (size_t i = 0; i < size; ++i) {
      batch_.add(i < own ? part.ids[i] : 0, static_cast<int64_t>(part.position + i), static_cast<int64_t>(part.place),
                 false);
    }
    if (own == part.ids.size()) {
      batch_.batch.logits[last] = 1;
      if (out_.batch_independent) batch_.batch.logits[own > 1 ? last - 1 : last + 1] = 1;
    }
    return last;
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
    if (ended_) ended_(slot.prompt, text);
    return false;
  }

  // Begins the next prompts in those ascending places; where none is left, or only such whose text is one token, the
  // last of the texts in work come in their place.
  void begin_texts(std::vector<size_t> places) {
    while (!places.empty() && next_ < prompts_.size()) {
      std::vector<Part> parts = begin(places);
      compute(parts, [&](const Finished& finished) {
        const std::vector<Choice> choices = choose_all(finished);
        for (size_t i = 0; i < finished.size(); ++i) {
          const size_t place = finished[i].first;
          if (take(active_[place], choices[i])) std::erase(places, place);
        }
      });
    }
    for (size_t i = places.size(); i-- > 0;) drop(places[i]);
  }

  // The next prompts, the shortest in the first place; what is left to compute of them.
  std::vector<Part> begin(std::span<const size_t> places) {
    std::vector<size_t> prompts(std::min(places.size(), prompts_.size() - next_));
    std::iota(prompts.begin(), prompts.end(), next_);
    next_ += prompts.size();
    std::ranges::stable_sort(prompts, {}, [&](size_t prompt) { return prompts_[prompt].ids.size(); });
    std::vector<Part> parts;
    for (size_t i = 0; i < prompts.size(); ++i) {
      const std::span<const int32_t> ids(prompts_[prompts[i]].ids);
      active_[places[i]] = {prompts[i], ids.size()};
      remove(places[i]);
      if (prefix_ > 0) copy(prefix_sequence(), places[i]);
      parts.push_back({places[i], ids.subspan(prefix_), prefix_});
    }
    return parts;
  }

  // The last of the texts in work comes in that place.
  void drop(size_t place) {
    const size_t last = active_.size() - 1;
    remove(place);
    if (place != last) {
      copy(last, place);
      remove(last);
      active_[place] = active_[last];
    }
    active_.pop_back();
  }

  // Of texts in work, by their rows of logits; on threads where that is more work than starting them.
  std::vector<Choice> choose_all(const Finished& texts) {
    std::vector<std::span<const float>> rows;
    for (const auto& [place, row] : texts) rows.push_back(logits(row));
    std::vector<Choice> choices(rows.size());
    const bool large = rows.size() * static_cast<size_t>(engine_.vocabulary()) >= kManyLogits;
    parallel_for(static_cast<int>(rows.size()), large ? engine_.threads() : 1, [&](int i) {
      const auto at = static_cast<size_t>(i);
      choices[at] = choose(active_[texts[at].first], rows[at]);
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
    Finished texts;
    for (size_t i = 0; i < active_.size(); ++i) texts.emplace_back(i, static_cast<int32_t>(i));
    const std::vector<Choice> choices = choose_all(texts);
    std::vector<size_t> ended;
    for (size_t i = 0; i < active_.size(); ++i) {
      if (!take(active_[i], choices[i])) ended.push_back(i);
    }
    begin_texts(std::move(ended));
  }

  const Engine& engine_;
  std::span<const GeneratePrompt> prompts_;
  std::span<const int32_t> ends_;
  const GenerateOptions& options_;
  const TokenSink& sink_;
  const TextSink& ended_;
  size_t slots_;
  size_t prefix_;  // ids that all prompts begin with
  Portions portions_;
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
                     const GenerateOptions& options, const TokenSink& sink, const TextSink& ended) {
  check_prompts(engine, prompts);
  if (prompts.empty() || options.max_tokens <= 0) return {std::vector<Generation>(prompts.size()), true, 0, 0};
  return Run(engine, prompts, ends, options, sink, ended).run();
}

}  // namespace gyro
