#include "gyro/base/apart.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
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

TEST(Apart, EndsWorkThatTakesTooMuch) {
  const auto for_ever = []() -> std::string {
    while (true) usleep(1000);
  };
  ApartLimits limits;
  limits.time = std::chrono::milliseconds(100);
  EXPECT_EQ(end_of(for_ever, limits), End::Late);
  limits = {};
  limits.output = 1000;
  EXPECT_EQ(end_of([] { return std::string(1000, 'x'); }, limits), End::Done);
  EXPECT_EQ(end_of([] { return std::string(1001, 'x'); }, limits), End::Output);
}

TEST(Apart, EndsWithTheRunThatItIsFor) {
  const std::function<bool()> stop = [] { return true; };
  Team team(stop);
  const TeamMember member(&team);
  EXPECT_THROW(run_apart([]() -> std::string {
                 while (true) usleep(1000);
               }),
               Stopped);
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
