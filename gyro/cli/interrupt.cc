#include "gyro/cli/interrupt.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <csignal>

#include "gyro/cli/commands.h"

namespace gyro {
namespace {

std::atomic<int> interrupts = 0;

extern "C" void on_interrupt(int) {
  if (++interrupts > 1) _exit(kInterrupted);
}

}  // namespace

void catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() {
  return interrupts > 0;
}

int report_interruption(const std::string& what_is_left) {
  fmt::print(stderr, "gyro: interrupted; {}\n", what_is_left);
  return kInterrupted;
}

}  // namespace gyro
