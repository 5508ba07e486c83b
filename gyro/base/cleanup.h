#pragma once

#include <functional>
#include <list>

namespace gyro {

/// What is to be removed should the process end while this lives, without the destructors of what it was working on:
/// `action` is then called by clean_up, on another thread, while work goes on. It may not throw.
class Cleanup {
 public:
  explicit Cleanup(std::function<void()> action);
  ~Cleanup();
  Cleanup(const Cleanup&) = delete;
  Cleanup& operator=(const Cleanup&) = delete;

 private:
  std::list<std::function<void()>>::iterator place_;
};

/// Calls the actions of all that live, the newest first. Meanwhile, and for good, no other can be made or end: whoever
/// calls it ends the process next.
void clean_up();

}  // namespace gyro
