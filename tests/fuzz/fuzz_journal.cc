#include <string>

#include "gyro/base/sha256.h"
#include "gyro/diff/journal.h"
#include "tests/fuzz/fuzz.h"

static const std::string kHead = "gyro journal 1\n" + std::string(64, 'a');

// A record of that payload, its length and hash right: the fuzzer would not find a hash.
static std::string record_of(std::string_view payload) {
  gyro::Sha256 hash;
  hash.update(std::as_bytes(std::span(payload)));
  const uint64_t length = payload.size();
  std::string out(reinterpret_cast<const char*>(&length), sizeof length);
  return out + hash.hex() + std::string(payload);
}

static void check(const gyro::JournalContent& content, size_t size) {
  if (content.end > size || content.records < static_cast<int64_t>(content.units.size())) std::abort();
  for (const auto& [unit, result] : content.units) {
    if (unit < 0) std::abort();
    for (const auto& [name, array] : result.arrays) {
      uint64_t bytes = gyro::dtype_size(array.dtype);
      for (const int64_t extent : array.shape) bytes *= static_cast<uint64_t>(extent);
      if (bytes != array.bytes.size()) std::abort();
    }
  }
}

// The first byte says whether the others are what follows the head, or one record's payload.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view rest = gyro::as_text(data + 1, size - 1);
  const std::string journal = kHead + (data[0] % 2 == 0 ? std::string(rest) : record_of(rest));
  check(gyro::read_journal(std::as_bytes(std::span(journal)), kHead.substr(15)), journal.size());
  return 0;
}
