#include "watch.h"

#include <nanobind/stl/string.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "gyro/base/error.h"
#include "gyro/base/limits.h"
#include "gyro/base/team.h"
#include "gyro/device/device.h"

namespace gyro::python {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kLook{50}, kGrace{700}, kLookAtEnd{5};
constexpr int kInterrupted = 130, kMostThreads = 4096;

// What a run's progress was last, with texts of its own.
struct Told {
  std::string noun, item;
  int done = 0, items = 0;
  double share = 0;
  bool ended = false;
};

// What the working thread and the waiting one have in common.
struct Shared {
  std::mutex mutex;
  std::condition_variable changed;
  std::atomic<bool> stop = false;
  bool done = false;
  std::exception_ptr error;
  std::optional<Told> told;
  std::vector<std::string> warnings;
};

// Threads that work, waited for or not, of the process that began them: a child of fork has none of them.
std::atomic<int> at_work = 0;
std::atomic<pid_t> worker = 0;
// The interpreter is about to end: work is to end, and threads that wait for it may not take the lock any more.
std::atomic<bool> closing = false;
std::atomic<std::thread::id> ending;  // the thread that ends it

// Threads that are about to have the interpreter's lock, and will not be kept from it.
std::atomic<int> taking = 0;

void park() {
  while (true) std::this_thread::sleep_for(std::chrono::hours(1));  // until the process ends
}
bool may_not_return() {
  return closing && std::this_thread::get_id() != ending.load();
}

// Before the interpreter's lock is taken: where that would be too late, never returns.
void begin_taking() {
  ++taking;
  if (!may_not_return()) return;
  --taking;
  park();
}

// While it lives the calling thread, which has the interpreter's lock, does without; and one that has not, has it.
class Released {
 public:
  Released() : state_(PyEval_SaveThread()) {}
  ~Released() {
    begin_taking();
    PyEval_RestoreThread(state_);
    --taking;
  }
  Released(const Released&) = delete;
  Released& operator=(const Released&) = delete;

 private:
  PyThreadState* state_;
};
class Acquired {
 public:
  Acquired() {
    begin_taking();
    state_ = PyGILState_Ensure();
    --taking;
  }
  ~Acquired() { PyGILState_Release(state_); }
  Acquired(const Acquired&) = delete;
  Acquired& operator=(const Acquired&) = delete;

 private:
  PyGILState_STATE state_;
};

RunOptions options_of(const Manner& manner, const std::shared_ptr<Shared>& shared) {
  RunOptions options;
  if (manner.device != "cpu" && manner.device != "cuda" && manner.device != "auto")
    fail_field("device", "can be 'cpu', 'cuda' or 'auto', not '{}'", printable(manner.device, 40));
  options.cuda =
      manner.device == "cuda" ? !device::require_gpus().empty() : manner.device == "auto" && !device::gpus().empty();
  options.threads = manner.threads > 0 || options.cuda ? manner.threads : default_threads();
  options.stop = [shared] { return shared->stop || closing; };
  if (!manner.progress.is_none()) {
    options.progress = [shared](const ProgressState& state) {
      const std::lock_guard lock(shared->mutex);
      shared->told =
          Told{std::string(state.noun), std::string(state.item), state.done, state.items, state.share, state.ended};
    };
  }
  return options;
}

void work_on(const std::shared_ptr<Shared>& shared, std::function<void(const RunOptions&, const Warn&)> work,
             const RunOptions& options) {
  const Warn warn = [shared](const std::string& text) {
    const std::lock_guard lock(shared->mutex);
    shared->warnings.push_back(text);
  };
  std::exception_ptr error;
  try {
    work(options, warn);
  } catch (const Stopped&) {  // whoever asked for it knows
  } catch (...) {
    error = std::current_exception();
  }
  work = nullptr;  // what it holds is let go of before anyone hears that it is done
  {
    const std::lock_guard lock(shared->mutex);
    shared->error = error;
    shared->done = true;
  }
  shared->changed.notify_all();
  error = nullptr;
  --at_work;
}

void begin(const std::shared_ptr<Shared>& shared, std::function<void(const RunOptions&, const Warn&)> work,
           const RunOptions& options) {
  if (worker.exchange(getpid()) != getpid()) at_work = 0;
  ++at_work;
  if (may_not_return()) {
    --at_work;
    park();
  }
  try {
    std::thread(work_on, shared, std::move(work), options).detach();
  } catch (...) {
    --at_work;
    throw;
  }
}

// Passes on what has been said since; raises what the callables or signals raise.
void hear(const Manner& manner, Shared& shared) {
  std::optional<Told> told;
  std::vector<std::string> warnings;
  {
    const std::lock_guard lock(shared.mutex);
    told = std::exchange(shared.told, std::nullopt);
    warnings = std::exchange(shared.warnings, {});
  }
  const Acquired acquired;
  if (PyErr_CheckSignals() != 0) throw nb::python_error();
  for (const std::string& text : warnings) {
    if (!manner.warn.is_none()) manner.warn(text);
  }
  if (told) manner.progress(told->noun, told->done, told->items, told->share, told->item, told->ended);
}

bool wait_for_end(Shared& shared, milliseconds time) {
  std::unique_lock lock(shared.mutex);
  return shared.changed.wait_for(lock, time, [&] { return shared.done; });
}

}  // namespace

void run_watched(const Manner& manner, std::function<void(const RunOptions&, const Warn&)> work) {
  const auto shared = std::make_shared<Shared>();
  const RunOptions options = options_of(manner, shared);
  const Released released;
  begin(shared, std::move(work), options);
  try {
    bool done = false;
    while (!done) {
      done = wait_for_end(*shared, kLook);
      hear(manner, *shared);
    }
  } catch (...) {
    shared->stop = true;
    wait_for_end(*shared, kGrace);
    throw;
  }
  if (shared->error) std::rethrow_exception(std::exchange(shared->error, nullptr));
}

void finish_left_work() {
  if (worker != getpid()) return;
  ending = std::this_thread::get_id();
  closing = true;
  while (at_work > 0 || taking > 0) {
    {
      const nb::gil_scoped_release released;
      std::this_thread::sleep_for(kLookAtEnd);
    }
    if (PyErr_CheckSignals() == 0) continue;
    std::fflush(nullptr);
    _exit(kInterrupted);  // Ctrl-C again, and nothing else can end what LAPACK is at
  }
}

std::shared_ptr<const void> shared_reference(nb::handle object) {
  object.inc_ref();
  return {object.ptr(), [](const void* held) {
            if (!nb::is_alive()) return;  // the interpreter is gone, and its objects with it
            const nb::gil_scoped_acquire acquired;
            nb::handle(static_cast<PyObject*>(const_cast<void*>(held))).dec_ref();
          }};
}

namespace {

std::atomic<int> chosen_threads = 0;

int usual_threads() {
  if (const char* text = std::getenv("OMP_NUM_THREADS")) {
    if (const int threads = std::atoi(text); threads > 0) return std::min(threads, kMostThreads);
  }
  return available_processors();
}

}  // namespace

int default_threads() {
  const int chosen = chosen_threads;
  return chosen > 0 ? chosen : usual_threads();
}

void set_default_threads(int threads) {
  chosen_threads = threads;
}

}  // namespace gyro::python
