#include "gyro/cli/subjects.h"

#include <fmt/format.h>

#include <filesystem>

#include "gyro/arch/arch.h"
#include "gyro/base/error.h"
#include "gyro/open/open.h"

namespace gyro {

std::shared_ptr<const TensorSource> open_subject(const std::string& given, bool quiet,
                                                 const std::shared_ptr<const TensorSource>& base) {
  if (given.empty()) return nullptr;
  std::shared_ptr<const TensorSource> model = open_model(given, base);
  if (quiet) return model;
  std::vector<std::string> warnings;
  try {
    warnings = map_model(*model).warnings;
  } catch (const Error&) {  // whoever needs the map says it
  }
  for (const std::string& warning : warnings) fmt::print(stderr, "gyro: warning: {}\n", printable(warning, 1000));
  return model;
}

std::pair<std::string, std::string> split_name(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || std::filesystem::exists(text)) return {"", text};
  return {text.substr(0, equals), text.substr(equals + 1)};
}

Task named_task(const std::string& text, const std::string& data, uint64_t seed) {
  namespace fs = std::filesystem;
  if (const auto [name, path] = split_name(text); !name.empty()) return read_task(name, path, seed);
  if (fs::exists(text) || text.find('/') != std::string::npos || fs::path(text).has_extension()) {
    return read_task(fs::path(text).stem().string(), text, seed);
  }
  if (data.empty()) {
    fail({ErrorKind::NotFound, "data"}, text, "is no file; name one by {}=FILE, or the folder where it is by --data",
         text);
  }
  return read_task(text, find_task(text, data), seed);
}

}  // namespace gyro
