#include "gyro/infer/deep_stack.h"

#include <pthread.h>
#include <sys/mman.h>
#include <utf8proc.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <memory>

#include "gyro/base/error.h"
#include "gyro/base/team.h"

namespace gyro {
namespace {

bool is_space(utf8proc_int32_t code_point) {
  if (code_point < 0x80) return code_point == ' ' || (code_point >= '\t' && code_point <= '\r');
  const utf8proc_category_t category = utf8proc_category(code_point);
  return code_point == 0x85 || category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL ||
         category == UTF8PROC_CATEGORY_ZP;
}

// Address space that takes memory where it is written to.
struct Stack {
  explicit Stack(size_t of)
      : bytes(of),
        at(mmap(nullptr, of, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0)) {
    if (at == MAP_FAILED) {
      fail(ErrorKind::Memory, "memory", "no stack of {} MB can be had ({})", of >> 20, std::strerror(errno));
    }
  }
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;
  ~Stack() { munmap(at, bytes); }
  size_t bytes;
  void* at;
};

struct Job {
  const std::function<void()>& work;
  Team* team;
  std::exception_ptr error;
};

void* run(void* argument) {
  Job& job = *static_cast<Job*>(argument);
  const TeamMember member(job.team);
  try {
    job.work();
  } catch (...) {
    job.error = std::current_exception();
  }
  return nullptr;
}

}  // namespace

size_t longest_stretch(std::string_view text, MatchSpan span) {
  size_t longest = 0, length = 0;
  bool before = false;
  while (!text.empty()) {
    utf8proc_int32_t code_point = 0;
    const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
    const auto used = utf8proc_iterate(bytes, static_cast<utf8proc_ssize_t>(text.size()), &code_point);
    text.remove_prefix(used > 0 ? static_cast<size_t>(used) : 1);
    const bool apart = span == MatchSpan::Run ? is_space(code_point) : code_point == '\n';
    length = apart == before ? length + 1 : 1;
    before = apart;
    longest = std::max(longest, length);
  }
  return longest;
}

void on_deep_stack(size_t bytes, const std::function<void()>& work) {
  constexpr size_t kPage = 4096;
  const Stack stack((bytes + kPage - 1) / kPage * kPage);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  const std::unique_ptr<pthread_attr_t, int (*)(pthread_attr_t*)> owner(&attributes, pthread_attr_destroy);
  Job job{work, current_team(), nullptr};
  pthread_t thread{};
  int problem = pthread_attr_setstack(&attributes, stack.at, stack.bytes);
  if (problem == 0) problem = pthread_create(&thread, &attributes, run, &job);
  if (problem != 0) fail(ErrorKind::Memory, "memory", "no thread can be had ({})", std::strerror(problem));
  pthread_join(thread, nullptr);
  if (job.error) std::rethrow_exception(job.error);
}

}  // namespace gyro
