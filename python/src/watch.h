#pragma once

#include <nanobind/nanobind.h>

#include <functional>
#include <string>

#include "gyro/base/run_options.h"

namespace gyro::python {

namespace nb = nanobind;

/// How a caller in Python wants work to be done and watched: GPUs or processors, threads (0: see default_threads), and
/// callables or None: progress(noun, done, items, share, item, ended) and warn(text).
struct Manner {
  std::string device = "cpu";
  int threads = 0;
  nb::object progress, warn;
};

using Warn = std::function<void(const std::string&)>;

/// Calls work on a thread of its own, with options that follow `manner`, and waits for it without the interpreter's
/// lock. Meanwhile, on the calling thread, `manner`'s callables are called and signals handled: where one of these
/// raises (KeyboardInterrupt), the work is told to stop; if it has not ended within 0.7 s (a call of LAPACK cannot be
/// broken off) it is left to end unheard, and what was raised is raised. So `work` owns all that it uses, and its
/// result too. Throws what work throws.
void run_watched(const Manner& manner, std::function<void(const RunOptions&, const Warn&)> work);

/// The same for work that gives something, which is returned.
template <typename Result>
Result watched(const Manner& manner, std::function<Result(const RunOptions&, const Warn&)> work) {
  const auto result = std::make_shared<Result>();
  run_watched(manner,
              [result, work = std::move(work)](const RunOptions& run, const Warn& warn) { *result = work(run, warn); });
  return std::move(*result);
}

/// Tells all work to stop and waits for its end, without the interpreter's lock: before the interpreter ends. A signal
/// that raises ends the process. From then on threads other than the one that loaded this do not come back from
/// waiting.
void finish_left_work();

/// A reference to an object that any thread may let go of.
std::shared_ptr<const void> shared_reference(nb::handle object);

/// Threads that work takes where a caller names no number: OMP_NUM_THREADS, else the processors this process may use;
/// or what set_default_threads was told last (0: that again).
int default_threads();
void set_default_threads(int threads);

}  // namespace gyro::python
