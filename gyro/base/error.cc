#include "gyro/base/error.h"

#include "gyro/base/utf8.h"

namespace gyro {

std::string printable(std::string_view text, size_t limit) {
  std::string out(first_bytes(text, limit));
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  if (text.size() > limit) out += "...";
  return out;
}

Error::Error(std::string subject, std::string problem, Cause cause)
    : std::runtime_error(printable(subject, 2000) + ": " + printable(problem, 2000)),
      subject_(std::move(subject)),
      problem_(std::move(problem)),
      cause_(std::move(cause)) {}

}  // namespace gyro
