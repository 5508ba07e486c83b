#include "gyro/base/apart.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <fstream>
#include <new>
#include <optional>
#include <string_view>

#include "gyro/base/error.h"
#include "gyro/base/team.h"

namespace gyro {
namespace {

using Clock = std::chrono::steady_clock;
using End = Apart::End;

constexpr std::chrono::milliseconds kLook{50};
constexpr int kAttempts = 3;
constexpr size_t kStack = size_t{8} << 20;

int words_to = -1;  // in a child, where its words go

// The first byte says how it ended.
[[noreturn]] void give(End end, std::string_view text) {
  const char first = static_cast<char>(end);
  bool written = write(words_to, &first, 1) == 1;
  while (written && !text.empty()) {
    const ssize_t size = write(words_to, text.data(), text.size());
    if (size < 0 && errno == EINTR) continue;
    written = size > 0;
    if (written) text.remove_prefix(static_cast<size_t>(size));
  }
  _exit(0);
}

// Bytes of memory that are the process' own; 0 where the system does not tell.
size_t own_memory() {
  std::ifstream file("/proc/self/statm");
  size_t pages = 0, ignored = 0;
  file >> ignored >> ignored >> ignored >> ignored >> ignored >> pages;
  return file ? pages * static_cast<size_t>(sysconf(_SC_PAGESIZE)) : 0;
}

void set_limit(__rlimit_resource which, size_t value) {
  rlimit limit{};
  if (getrlimit(which, &limit) != 0) return;
  limit.rlim_cur = std::min<rlim_t>(value, limit.rlim_max);
  setrlimit(which, &limit);
}

[[noreturn]] void be_child(const std::function<std::string()>& work, const ApartLimits& limits, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);  // which has ended meanwhile
  for (const int signal : {SIGINT, SIGTERM, SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL}) std::signal(signal, SIG_DFL);
  std::signal(SIGPIPE, SIG_IGN);
  const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) dup2(nowhere, fd);
  set_limit(RLIMIT_CORE, 0);
  set_limit(RLIMIT_STACK, kStack);  // which the limit of data does not count, and which may have none
  set_limit(RLIMIT_DATA, own_memory() + limits.memory);
  try {
    const std::string text = work();
    give(End::Done, text);
  } catch (const std::bad_alloc&) {
    give(End::Memory, {});
  } catch (const std::exception& error) {
    give(End::Threw, error.what());
  } catch (...) {
    give(End::Threw, "an exception");
  }
}

struct Child {
  pid_t id;
  int words;  // what it says can be read here
  Child(pid_t of, int from) : id(of), words(from) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    close(words);
    kill(id, SIGKILL);
    while (waitpid(id, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
};

// None where the system does not tell, as of a process that has ended.
Clock::duration processor_time(pid_t process) {
  clockid_t clock{};
  timespec used{};
  if (clock_getcpuclockid(process, &clock) != 0 || clock_gettime(clock, &used) != 0) return {};
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

// What the child says until it ends. Nothing if it waits, for a processor or for what never comes.
std::optional<Apart> hear(const Child& child, const ApartLimits& limits) {
  std::string said, piece(size_t{1} << 16, '\0');
  const Clock::time_point deadline = Clock::now() + 2 * limits.time;
  while (true) {
    check_stop();
    if (processor_time(child.id) >= limits.time) return Apart{End::Late, {}};
    if (Clock::now() >= deadline) return std::nullopt;
    pollfd wait = {child.words, POLLIN, 0};
    if (poll(&wait, 1, static_cast<int>(kLook.count())) <= 0) continue;
    const ssize_t size = read(child.words, piece.data(), piece.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    said.append(piece, 0, static_cast<size_t>(size));
    if (said.size() > limits.output + 1) return Apart{End::Output, {}};
  }
  if (said.empty()) return Apart{End::Crashed, {}};
  return Apart{static_cast<End>(said.front()), said.substr(1)};
}

std::optional<Apart> attempt(const std::function<std::string()>& work, const ApartLimits& limits) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) fail(ErrorKind::Memory, "process", "no pipe can be had: {}", std::strerror(errno));
  const pid_t parent = getpid(), id = fork();
  if (id == 0) {
    words_to = ends[1];
    be_child(work, limits, parent);
  }
  const int why = errno;
  close(ends[1]);
  if (id < 0) {
    close(ends[0]);
    fail(ErrorKind::Memory, "process", "no other can be had: {}", std::strerror(why));
  }
  return hear(Child(id, ends[0]), limits);
}

}  // namespace

Apart run_apart(const std::function<std::string()>& work, const ApartLimits& limits) {
  // The child is a copy of a process with threads: a lock that one of them held stays held, and who asks for it there
  // sleeps for ever. Another copy, made a moment later, hardly meets the same.
  for (int i = 0; i < kAttempts; ++i) {
    if (std::optional<Apart> found = attempt(work, limits)) return *std::move(found);
  }
  return {End::Late, {}};
}

void say_last_words(const char* text) {
  if (words_to >= 0) give(End::Aborted, text);
}

}  // namespace gyro
