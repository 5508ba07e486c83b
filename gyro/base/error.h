#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace gyro {

/// What went wrong: which of them an operation may be tried again after.
enum class ErrorKind {
  Input,    ///< what was given cannot be used, now or later
  Io,       ///< something cannot be written
  Memory,   ///< there is too little memory, of the host or of a device
  Device,   ///< a device or its libraries fail or are not there
  Internal  ///< a method failed that should not have, as an iteration that does not converge
};

/// What every room throws when something cannot be done, most often because an input cannot be used. `subject` names
/// the file or tensor, `what()` is the whole line `subject: problem`, with no newline in it; the command line prints it
/// after `gyro: error: ` and exits with 1.
class Error : public std::runtime_error {
 public:
  Error(std::string subject, const std::string& problem, ErrorKind kind = ErrorKind::Input);
  const std::string& subject() const { return subject_; }
  ErrorKind kind() const { return kind_; }

 private:
  std::string subject_;
  ErrorKind kind_;
};

/// `text` with control characters replaced by `?`, cut to `limit` bytes between two code points: safe to print as part
/// of one line.
std::string printable(std::string_view text, size_t limit = 300);

/// Throws Error(subject, formatted message).
template <typename... Args>
[[noreturn]] void fail(std::string subject, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(std::move(subject), fmt::format(format, std::forward<Args>(args)...));
}
/// The same with the kind, where it is not the input's fault.
template <typename... Args>
[[noreturn]] void fail(ErrorKind kind, std::string subject, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(std::move(subject), fmt::format(format, std::forward<Args>(args)...), kind);
}

}  // namespace gyro
