#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace gyro {

/// What every room throws when an input cannot be used. `subject` names the file or tensor, `what()` is the whole line
/// `subject: problem`, with no newline in it; the command line prints it after `gyro: error: ` and exits with 1.
class Error : public std::runtime_error {
 public:
  Error(std::string subject, const std::string& problem);
  const std::string& subject() const { return subject_; }

 private:
  std::string subject_;
};

/// `text` with control characters replaced by `?`, cut to `limit` bytes between two code points: safe to print as part
/// of one line.
std::string printable(std::string_view text, size_t limit = 300);

/// Throws Error(subject, formatted message).
template <typename... Args>
[[noreturn]] void fail(std::string subject, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(std::move(subject), fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace gyro
