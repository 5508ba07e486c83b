#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

namespace gyro {

/// What work that runs apart may take before it is ended.
struct ApartLimits {
  std::chrono::milliseconds time{10'000};  ///< of a processor, not by the clock
  size_t memory = size_t{512} << 20;       ///< bytes of its own beside what the process has
  size_t output = size_t{64} << 20;        ///< bytes of what it gives
};

/// How it ended, and what it gave, or was heard of it.
struct Apart {
  enum class End {
    Done,     ///< `text` is what the work returned
    Threw,    ///< `text` is the exception's
    Aborted,  ///< `text` is what was said to say_last_words
    Crashed,  ///< by a signal: most often the stack's end
    Late,     ///< the time was over
    Memory,   ///< there was not enough
    Output    ///< there was too much of it
  };
  End end = End::Done;
  std::string text;
};

/// Calls `work` in a child process, a copy of this one with the calling thread alone: whatever becomes of it, this
/// process goes on. For other people's code that recurses, allocates and loops as its input says. It starts no threads,
/// takes no lock that another thread may hold now (malloc's are safe) and changes nothing outside; printing is lost.
/// Work that has neither ended nor used its processor time after twice that time by the clock is begun again, in a new
/// child: perhaps a lock was held after all, which nobody in the copy frees. The third such attempt is Late.
/// Throws Error `process` if there can be no child; Stopped (base/team.h) when the calling thread's run is stopped.
Apart run_apart(const std::function<std::string()>& work, const ApartLimits& limits = {});

/// For callbacks of libraries that are about to abort: in a process of run_apart, ends it with Aborted and `text`. Else
/// it returns.
void say_last_words(const char* text);

}  // namespace gyro
