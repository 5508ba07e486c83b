#include "gyro/cli/interrupt.h"

#include <fmt/format.h>
#include <semaphore.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <system_error>
#include <thread>

#include "gyro/base/cleanup.h"
#include "gyro/base/team.h"
#include "gyro/cli/commands.h"

namespace gyro {
namespace {

// How long work has to end by itself. What asks in the middle of a matrix does so within this; a call of LAPACK for an
// eigenproblem cannot.
constexpr std::chrono::milliseconds kGrace{700}, kLook{20};

std::atomic<int> interrupts = 0;

sem_t first_interrupt;

extern "C" void on_interrupt(int) {
  if (++interrupts > 1) _exit(kInterrupted);
  sem_post(&first_interrupt);
}

// What is left of the run that goes on now, and of the one that it is a part of.
std::mutex left_mutex;
std::string left, held;

void say(const std::string& what_is_left) {
  const std::string& text = held.empty() ? what_is_left : held;
  fmt::print(stderr, "gyro: interrupted{}{}\n", text.empty() ? "" : "; ", text);
}

// Ends the process when it does not end by itself while matrices are worked on. Once they are done, what is left to do
// is short, and is finished.
void watch() {
  while (sem_wait(&first_interrupt) != 0) {
  }
  std::this_thread::sleep_for(kGrace);
  while (Team::at_work() == 0) std::this_thread::sleep_for(kLook);
  flockfile(stderr);  // whatever goes wrong elsewhere when files vanish is nobody's business now
  const std::lock_guard<std::mutex> lock(left_mutex);
  say(left);
  clean_up();
  _exit(kInterrupted);
}

}  // namespace

void catch_interrupts(const std::string& what_is_left) {
  {
    const std::lock_guard<std::mutex> lock(left_mutex);
    left = what_is_left;
  }
  static bool caught = false;
  if (caught) return;
  caught = true;
  sem_init(&first_interrupt, 0, 0);
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  try {
    std::thread(watch).detach();
  } catch (const std::system_error&) {  // no more threads to be had: Ctrl-C may take longer
  }
}

void hold_interruption_text(const std::string& what_is_left) {
  const std::lock_guard<std::mutex> lock(left_mutex);
  held = what_is_left;
}

bool interrupted() {
  return interrupts > 0;
}

int report_interruption(const std::string& what_is_left) {
  const std::lock_guard<std::mutex> lock(left_mutex);
  say(what_is_left);
  return kInterrupted;
}

}  // namespace gyro
