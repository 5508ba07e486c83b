#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <string>

#include "gyro/diff/document.h"

namespace gyro {

/// A Chromium or Chrome without a window, which one page is opened in. It is spoken to through its debugging pipe: no
/// port is opened. It has a profile of its own that is gone with it, no network, no extensions; its sandbox is on,
/// unless the process is root's, whom browsers refuse one.
///
/// The program is what GYRO_BROWSER names, else the first of chromium, chromium-browser, google-chrome,
/// google-chrome-stable and chrome on PATH.
class Browser {
 public:
  /// Starts it; `folder` is there to be written to (the profile). No answer takes longer than `limit`. Throws Error:
  /// of kind Input if there is no such program, Device if it does not start.
  explicit Browser(const std::filesystem::path& folder, std::chrono::seconds limit = std::chrono::seconds(120));
  ~Browser();
  Browser(const Browser&) = delete;
  Browser& operator=(const Browser&) = delete;

  /// Opens a file and waits until it is loaded.
  void open(const std::filesystem::path& page);
  /// The value of a JavaScript expression in the page, once it is there if it is a promise. Throws Error with what the
  /// page threw.
  Json evaluate(const std::string& expression);
  /// What the page prints, of width × height inches without margins: the bytes of a PDF.
  std::string pdf(double width, double height);

 private:
  using Clock = std::chrono::steady_clock;

  void start(const std::string& program, const std::filesystem::path& profile);
  Json call(const char* method, Json parameters);
  std::string receive(Clock::time_point deadline);
  [[noreturn]] void gone(const char* how) const;
  void stop();

  std::chrono::seconds limit_;
  pid_t process_ = -1;
  int pipe_ = -1;  // our end of it
  int calls_ = 0;
  std::string session_, received_;
  std::filesystem::path log_;
};

}  // namespace gyro
