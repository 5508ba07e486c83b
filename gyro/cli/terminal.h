#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace gyro {

enum class Colour { Green, Yellow, Dim, Bold };

/// How a text may be printed to where it goes.
struct Terminal {
  size_t width = 80;    ///< columns
  bool colour = false;  ///< as NO_COLOR, CLICOLOR_FORCE and TERM have it

  /// `text` in a colour, if there are any.
  std::string paint(Colour colour_of, std::string_view text) const;
};

/// What stands behind a file descriptor. The width is the terminal's, else $COLUMNS, else 80.
Terminal terminal_of(int descriptor);

/// A text broken at spaces into lines of at most `width` columns, those after the first indented. Ends in a
/// newline.
std::string wrapped(std::string_view text, size_t width, std::string_view indent);

}  // namespace gyro
