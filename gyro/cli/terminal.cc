#include "gyro/cli/terminal.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "gyro/base/utf8.h"

namespace gyro {
namespace {

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

size_t width_of(int descriptor) {
  winsize size{};
  if (ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  const std::string_view columns = environment("COLUMNS");
  size_t width = 0;
  const auto [end, error] = std::from_chars(columns.data(), columns.data() + columns.size(), width);
  return error == std::errc() && end == columns.data() + columns.size() && width > 0 ? width : 80;
}

// https://no-color.org, https://bixense.com/clicolors
bool has_colour(int descriptor) {
  if (!environment("NO_COLOR").empty()) return false;
  const std::string_view forced = environment("CLICOLOR_FORCE");
  if (!forced.empty() && forced != "0") return true;
  return isatty(descriptor) == 1 && environment("TERM") != "dumb" && !environment("TERM").empty();
}

}  // namespace

std::string Terminal::paint(Colour colour_of, std::string_view text) const {
  if (!colour) return std::string(text);
  const int code = colour_of == Colour::Green    ? 32
                   : colour_of == Colour::Yellow ? 33
                   : colour_of == Colour::Dim    ? 2
                                                 : 1;
  return fmt::format("\033[{}m{}\033[0m", code, text);
}

Terminal terminal_of(int descriptor) {
  return {std::clamp<size_t>(width_of(descriptor), 20, 1000), has_colour(descriptor)};
}

std::string wrapped(std::string_view text, size_t width, std::string_view indent) {
  std::string out, line;
  size_t filled = 0;
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.find(' ', at), text.size());
    if (text.substr(end).starts_with(" %"))
      end = std::min(text.find(' ', end + 1), text.size());  // stays with its number
    const std::string_view word = text.substr(at, end - at);
    const size_t length = columns_of(word);
    if (filled > 0 && filled + 1 + length > width) {
      out += line + "\n" + std::string(indent);
      line.clear();
      filled = columns_of(indent);
    } else if (!line.empty()) {
      line += ' ';
      ++filled;
    }
    line += word;
    filled += length;
    at = end + 1;
  }
  return out + line + "\n";
}

}  // namespace gyro
