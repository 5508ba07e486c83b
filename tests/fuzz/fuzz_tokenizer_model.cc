#include "gyro/infer/tokenizer_model.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gyro::expect_result_or_one_line([&] {
    const gyro::Vocabulary vocabulary = gyro::parse_tokenizer_model("fuzz", gyro::as_text(data, size));
    const size_t count = vocabulary.tokens.size();
    if (count < 256 || vocabulary.types.size() != count || vocabulary.scores.size() != count) std::abort();
    if (vocabulary.bos && static_cast<size_t>(*vocabulary.bos) >= count) std::abort();
  });
  return 0;
}
