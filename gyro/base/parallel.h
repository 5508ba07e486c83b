#pragma once

#include <functional>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace gyro {

/// Calls job(i) for i = 0 ... count-1 on `threads` threads (this one included), in that order of starting. The first
/// exception of a job or of `stop` keeps further jobs from starting and is thrown again here once the running ones have
/// ended. `stop`, asked before each start, on any of the threads, ends the run early in the same way. Returns whether
/// all jobs ran.
bool parallel_for(int count, int threads, const std::function<void(int)>& job,
                  const std::function<bool()>& stop = nullptr);

/// How many items of ordered_parallel may be begun and not yet consumed: those that `threads` (at least 1) threads work
/// on and half as many again, so that one slow item does not hold up the other threads soon. At most 2 * threads.
int ordered_window(int threads);

/// ordered_parallel without the results' type: item i has the place i % ordered_window(threads) for its result, free
/// when produce(i) is called and again after consume(i).
bool ordered_parallel_places(int count, int threads, const std::function<void(int)>& produce,
                             const std::function<void(int)>& consume, const std::function<bool()>& stop);

/// Calls produce(i) for i = 0 ... count-1 on `threads` threads (this one included), in that order of starting, and
/// consume(i, result), the result by rvalue, in exactly that order, one call at a time. A thread that has finished an
/// item consumes what is due unless another does so already: consume runs on any of the threads, beside other calls of
/// produce. The threads last until the end and nothing waits for a slower one but where ordered_window(threads) items
/// are begun and not yet consumed, so that memory is bounded. `stop`, asked before each start, on any of the threads,
/// ends the run early; so does the first exception of any of the three, which is thrown again here once the running
/// calls have ended. Returns whether all items were consumed.
template <typename Produce, typename Consume>
bool ordered_parallel(int count, int threads, const Produce& produce, const Consume& consume,
                      const std::function<bool()>& stop = nullptr) {
  using Result = std::invoke_result_t<const Produce&, int>;
  const auto window = static_cast<size_t>(ordered_window(threads));
  std::vector<std::optional<Result>> places(window);
  const auto place = [&](int i) -> std::optional<Result>& { return places[static_cast<size_t>(i) % window]; };
  return ordered_parallel_places(
      count, threads, [&](int i) { place(i).emplace(produce(i)); },
      [&](int i) {
        Result result = std::move(*place(i));
        place(i).reset();
        consume(i, std::move(result));
      },
      stop);
}

}  // namespace gyro
