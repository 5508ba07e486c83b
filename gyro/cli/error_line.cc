#include "gyro/cli/error_line.h"

#include <algorithm>
#include <map>

namespace gyro {
namespace {

std::string option_of(std::string field) {
  std::replace(field.begin(), field.end(), '_', '-');
  return "--" + field;
}

// What else to ask for, by the field that would have another value.
const std::map<std::string, std::string> kAdvice = {
    {"force", "choose another folder or say --force"}, {"dtype", "choose another with --dtype, such as bf16"},
    {"device", "--device cpu needs no GPU"},           {"raw", "continue a text as it is with --raw -p TEXT"},
    {"pre", "name it with --pre, such as qwen2"},
};

}  // namespace

std::string error_line(const Error& error) {
  if (error.field().empty()) return error.what();
  if (error.subject() == error.field()) return option_of(error.field()) + ": " + printable(error.problem(), 2000);
  const auto advice = kAdvice.find(error.field());
  return advice == kAdvice.end() ? error.what() : error.what() + ("; " + advice->second);
}

}  // namespace gyro
