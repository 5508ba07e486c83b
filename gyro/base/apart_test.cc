#include "gyro/base/apart.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#include "gyro/base/team.h"

namespace gyro {
namespace {

using End = Apart::End;

int endless(volatile int* depth) {
  volatile char room[4096];
  room[0] = static_cast<char>(*depth);
  *depth = *depth + 1;
  return *depth < 0 ? 0 : endless(depth) + room[0];
}

End end_of(const std::function<std::string()>& work, const ApartLimits& limits = {}) {
  return run_apart(work, limits).end;
}

TEST(Apart, GivesWhatTheWorkReturns) {
  std::string long_text(3'000'000, 'x');
  const Apart found = run_apart([&] { return long_text; });
  EXPECT_EQ(found.end, End::Done);
  EXPECT_EQ(found.text, long_text);
  EXPECT_EQ(run_apart([] { return std::string(); }).end, End::Done);
}

TEST(Apart, ProcessOutlivesWhateverBecomesOfTheWork) {
  const Apart threw = run_apart([]() -> std::string { throw std::runtime_error("why"); });
  EXPECT_EQ(threw.end, End::Threw);
  EXPECT_EQ(threw.text, "why");
  EXPECT_EQ(end_of([]() -> std::string { std::abort(); }), End::Crashed);
  const Apart aborted = run_apart([]() -> std::string {
    say_last_words("its words");
    std::abort();
  });
  EXPECT_EQ(aborted.end, End::Aborted);
  EXPECT_EQ(aborted.text, "its words");
  say_last_words("of nobody");  // here, where nobody hears them
#ifndef GYRO_SANITIZED          // which have stacks and memory of their own making
  EXPECT_EQ(end_of([] {
              volatile int depth = 0;
              return std::to_string(endless(&depth));
            }),
            End::Crashed);
  EXPECT_EQ(end_of([] { return std::string(size_t{600} << 20, 'x').substr(1, 2); }), End::Memory);
#endif
}

[[noreturn]] void sleep_for_ever() {
  while (true) usleep(1000);
}

ApartLimits within(std::chrono::milliseconds time) {
  ApartLimits limits;
  limits.time = time;
  return limits;
}

// Memory that child processes share with this one: how many of them have begun.
class Attempts {
 public:
  Attempts()
      : count_(mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {}
  Attempts(const Attempts&) = delete;
  Attempts& operator=(const Attempts&) = delete;
  ~Attempts() { munmap(count_, sizeof(std::atomic<int>)); }
  std::atomic<int>& count() const { return *static_cast<std::atomic<int>*>(count_); }

 private:
  void* count_;
};

// Of a processor, by the children that have ended.
std::chrono::milliseconds used_by_children() {
  rusage use{};
  getrusage(RUSAGE_CHILDREN, &use);
  return std::chrono::seconds(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
         std::chrono::milliseconds((use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1000);
}

TEST(Apart, EndsWorkThatSpinsWhenItsProcessorTimeIsUsed) {
  const std::chrono::milliseconds before = used_by_children(), time{300};
  const auto began = std::chrono::steady_clock::now();
  const auto spin = []() -> std::string {
    for (std::atomic<unsigned> turns = 0;;) ++turns;
  };
  EXPECT_EQ(end_of(spin, within(time)), End::Late);
  EXPECT_GE(std::chrono::steady_clock::now() - began, time);
  EXPECT_LT(used_by_children() - before, 4 * time) << "it was not left to the clock, which gives six times as much";
}

TEST(Apart, WorkThatWaitsHasTwiceItsTimeByTheClock) {
  const auto work = [] {
    usleep(700'000);
    return std::string();
  };
  EXPECT_EQ(end_of(work, within(std::chrono::milliseconds(500))), End::Done);
}

TEST(Apart, WorkThatHangsIsBegunAgainTwice) {
  const Attempts attempts;
  const auto hang_till = [&](int last) {
    return [&attempts, last]() -> std::string {
      if (const int attempt = ++attempts.count(); attempt >= last) return std::to_string(attempt);
      sleep_for_ever();
    };
  };
  const ApartLimits limits = within(std::chrono::milliseconds(150));
  for (const int last : {2, 3}) {
    attempts.count() = 0;
    const Apart found = run_apart(hang_till(last), limits);
    EXPECT_EQ(found.end, End::Done);
    EXPECT_EQ(found.text, std::to_string(last));
  }
  attempts.count() = 0;
  EXPECT_EQ(end_of(hang_till(4), limits), End::Late);
  EXPECT_EQ(attempts.count(), 3);
}

TEST(Apart, EndsWorkThatGivesTooMuch) {
  ApartLimits limits;
  limits.output = 1000;
  EXPECT_EQ(end_of([] { return std::string(1000, 'x'); }, limits), End::Done);
  EXPECT_EQ(end_of([] { return std::string(1001, 'x'); }, limits), End::Output);
}

TEST(Apart, EndsWithTheRunThatItIsFor) {
  const std::function<bool()> stop = [] { return true; };
  Team team(stop);
  const TeamMember member(&team);
  EXPECT_THROW(run_apart([]() -> std::string { sleep_for_ever(); }), Stopped);
}

#ifndef GYRO_SANITIZED  // whose allocators' locks a child finds as other threads had them
TEST(Apart, ThreadsMayAllUseIt) {
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 20; ++round) {
        std::string text(static_cast<size_t>(i * 1000 + round), 'x');
        good += run_apart([&] { return text; }).text == text;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 80);
}
#endif

}  // namespace
}  // namespace gyro
