#include <algorithm>
#include <set>

#include "gyro/infer/tokenizer_json.h"
#include "tests/fuzz/fuzz.h"

// What is accepted can be handed to llama.cpp, which ends the process over tokens that are empty or occur twice.
static void check(const gyro::Vocabulary& vocabulary) {
  if (vocabulary.tokens.empty() || vocabulary.types.size() != vocabulary.tokens.size()) std::abort();
  std::set<std::string_view> seen;
  for (const std::string& token : vocabulary.tokens) {
    if (token.empty() || !seen.insert(token).second) std::abort();
  }
  const bool byte_level = vocabulary.model == gyro::TokenModel::ByteLevelBpe;
  if (!byte_level && vocabulary.scores.size() != vocabulary.tokens.size()) std::abort();
  for (const std::string& merge : vocabulary.merges) {
    if (std::count(merge.begin(), merge.end(), ' ') != 1 || merge.front() == ' ' || merge.back() == ' ') std::abort();
  }
  const auto known = [&](int32_t id) { return id >= 0 && static_cast<size_t>(id) < vocabulary.tokens.size(); };
  for (const gyro::AddedToken& token : vocabulary.added) {
    if (!known(token.id)) std::abort();
  }
  for (const auto& id : {vocabulary.bos, vocabulary.eos, vocabulary.unk}) {
    if (id && !known(*id)) std::abort();
  }
  if ((vocabulary.add_bos && !vocabulary.bos) || (vocabulary.add_eos && !vocabulary.eos)) std::abort();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gyro::expect_result_or_one_line([&] { check(gyro::parse_tokenizer_json("fuzz", gyro::as_text(data, size), {})); });
  return 0;
}
