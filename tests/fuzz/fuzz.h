#pragma once

#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

#include "gyro/base/error.h"

namespace gyro {

/// Runs `parse`; the one exception it may throw is a gyro::Error whose message is one line that names "fuzz".
template <typename Parse>
void expect_result_or_one_line(Parse parse) {
  try {
    parse();
  } catch (const Error& error) {
    const std::string_view line = error.what();
    if (line.find('\n') != line.npos || !line.starts_with("fuzz: ")) std::abort();
  }
}

inline std::string_view as_text(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace gyro
