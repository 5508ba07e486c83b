#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace gyro {

/// What went wrong: which of them an operation may be tried again after.
enum class ErrorKind {
  Input,     ///< what was given cannot be used, now or later
  NotFound,  ///< a file or folder that was named is not there, or not to be read
  Io,        ///< something cannot be written, or a server gives no answer
  Memory,    ///< there is too little memory, of the host or of a device
  Device,    ///< a device or its libraries fail or are not there
  Internal   ///< a method failed that should not have, as an iteration that does not converge
};

/// What is behind an error: its kind, and the field of the request ("layers", "force") that it is about, or whose other
/// value would let the same request pass; empty for none. Whoever took the request from a user knows what that field
/// is called there.
struct Cause {
  Cause(ErrorKind of_kind, std::string of_field = {}) : kind(of_kind), field(std::move(of_field)) {}
  ErrorKind kind;
  std::string field;
};

/// What every room throws when something cannot be done, most often because an input cannot be used. `subject` names
/// the file, tensor or field of the request, `what()` is the whole line `subject: problem`, with no newline in it; the
/// command line prints it after `gyro: error: ` and exits with 1.
class Error : public std::runtime_error {
 public:
  Error(std::string subject, std::string problem, Cause cause = ErrorKind::Input);
  const std::string& subject() const { return subject_; }
  const std::string& problem() const { return problem_; }
  ErrorKind kind() const { return cause_.kind; }
  const std::string& field() const { return cause_.field; }
  const Cause& cause() const { return cause_; }

 private:
  std::string subject_, problem_;
  Cause cause_;
};

/// `text` with control characters replaced by `?`, cut to `limit` bytes between two code points: safe to print as part
/// of one line.
std::string printable(std::string_view text, size_t limit = 300);

/// Throws Error(subject, formatted message).
template <typename... Args>
[[noreturn]] void fail(std::string subject, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(std::move(subject), fmt::format(format, std::forward<Args>(args)...));
}
/// The same with the cause, where it is not the input's fault or a field of the request has to do with it.
template <typename... Args>
[[noreturn]] void fail(Cause cause, std::string subject, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(std::move(subject), fmt::format(format, std::forward<Args>(args)...), std::move(cause));
}
/// The same, about a field of the request: it is the subject.
template <typename... Args>
[[noreturn]] void fail_field(const std::string& field, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(field, fmt::format(format, std::forward<Args>(args)...), {ErrorKind::Input, field});
}

}  // namespace gyro
