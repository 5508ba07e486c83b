#include "gyro/base/mapping.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <mutex>

namespace gyro {

// An entry of a list that only grows, since the handler may be walking along it at any time; entries are used again.
struct GuardedMapping {
  std::atomic<uintptr_t> begin{0}, end{0};  // empty when free
  std::atomic<bool> failed{false};
  GuardedMapping* next = nullptr;  // set before the entry is in the list
};

namespace {

std::atomic<GuardedMapping*> guards{nullptr};
static_assert(std::atomic<uintptr_t>::is_always_lock_free && std::atomic<GuardedMapping*>::is_always_lock_free);
struct sigaction previous {};
uintptr_t page_size = 0;
std::mutex changes;

// May call nothing but what is safe in a handler; mmap is a bare system call on Linux.
bool put_zeros(uintptr_t address) {
  for (GuardedMapping* guard = guards.load(); guard != nullptr; guard = guard->next) {
    if (address < guard->begin.load() || address >= guard->end.load()) continue;
    guard->failed.store(true);
    void* page = reinterpret_cast<void*>(address / page_size * page_size);
    return mmap(page, page_size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == page;
  }
  return false;
}

void on_bus_error(int signal, siginfo_t* info, void* context) {
  const int kept = errno;
  const bool mended = info->si_code == BUS_ADRERR && put_zeros(reinterpret_cast<uintptr_t>(info->si_addr));
  errno = kept;
  if (mended) return;
  if ((previous.sa_flags & SA_SIGINFO) != 0) {
    previous.sa_sigaction(signal, info, context);
  } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
    previous.sa_handler(signal);
  } else {
    sigaction(SIGBUS, &previous, nullptr);  // the access is made again, and ends the process
    if (info->si_code <= 0) raise(signal);  // was sent, so that nothing is made again
  }
}

void install_handler() {
  page_size = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  struct sigaction action {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, nullptr, &previous);  // first: a signal may arrive as soon as ours is in place
  sigaction(SIGBUS, &action, nullptr);
}

}  // namespace

GuardedMapping* guard_mapping(std::span<const std::byte> bytes) {
  const std::lock_guard lock(changes);
  if (page_size == 0) install_handler();
  GuardedMapping* guard = guards.load();
  while (guard != nullptr && guard->end.load() != 0) guard = guard->next;
  const bool added = guard == nullptr;
  if (added) guard = new GuardedMapping;  // stays for the rest of the process
  guard->failed.store(false);
  guard->begin.store(reinterpret_cast<uintptr_t>(bytes.data()));
  guard->end.store(reinterpret_cast<uintptr_t>(bytes.data() + bytes.size()));
  if (added) {
    guard->next = guards.load();
    guards.store(guard);
  }
  return guard;
}

void release_guard(GuardedMapping& guard) {
  const std::lock_guard lock(changes);
  guard.end.store(0);
  guard.begin.store(0);
}

bool guard_failed(const GuardedMapping& guard) {
  return guard.failed.load();
}

}  // namespace gyro
