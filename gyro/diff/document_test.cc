#include "gyro/diff/document.h"

#include <gtest/gtest.h>

#include "gyro/base/test_util.h"

namespace gyro {
namespace {

std::string nested(size_t levels) {
  return std::string(levels, '[') + std::string(levels, ']');
}

std::string keys(size_t count) {
  std::string text = "{";
  for (size_t i = 0; i < count; ++i) text += fmt::format("{}\"k{}\":{}", i > 0 ? "," : "", i, i);
  return text + "}";
}

Json from_cbor(const std::vector<uint8_t>& bytes) {
  return parse_cbor_document("fuzz", std::as_bytes(std::span(bytes)));
}

TEST(Document, IsWhatTheTextSays) {
  EXPECT_EQ(parse_document("f", R"({"b":[1,2.5,null],"a":{"c":"ü"}})").dump(), R"({"b":[1,2.5,null],"a":{"c":"ü"}})");
  EXPECT_EQ(parse_document("f", nested(32)).dump(), nested(32));
  EXPECT_EQ(parse_document("f", fmt::format("[{0},{0}]", keys(1000))).size(), 2U);
}

TEST(Document, HasLimits) {
  for (const size_t levels : {size_t{33}, size_t{1'000'000}}) {
    EXPECT_EQ(error_of([&] { parse_document("f", nested(levels)); }), "f: is nested deeper than 32 levels");
    EXPECT_EQ(error_of([&] { parse_document("f", std::string(levels, '[')); }), "f: is nested deeper than 32 levels");
  }
  EXPECT_EQ(error_of([&] { parse_document("f", keys(1001)); }), "f: has an object of more than 1000 keys");
}

TEST(Document, SaysWhatIsNone) {
  for (const char* text : {"", "{", "[1,]", "{\"a\":1e999}", "nul", "[1] 2", "\"\xff\""}) {
    EXPECT_TRUE(contains(error_of([&] { parse_document("f", text); }), "f: is not a document")) << text;
  }
}

TEST(CborDocument, IsWhatTheBytesSayWithinTheSameLimits) {
  const Json json = {{"rows", {1, 2}}, {"bytes", Json::binary({1, 2, 3})}};
  EXPECT_EQ(from_cbor(Json::to_cbor(json)), json);
  EXPECT_EQ(error_of([&] { from_cbor(std::vector<uint8_t>(1'000'000, 0x81)); }),
            "fuzz: is nested deeper than 32 levels");
  EXPECT_EQ(error_of([&] { from_cbor(Json::to_cbor(Json::parse(keys(1001)))); }),
            "fuzz: has an object of more than 1000 keys");
  // An array said to have 2^62 elements, a text that ends early, and bytes after the end.
  for (const std::vector<uint8_t>& bytes : {std::vector<uint8_t>{0x9b, 0x40, 0, 0, 0, 0, 0, 0, 0},
                                            std::vector<uint8_t>{0x63, 'a'}, std::vector<uint8_t>{1, 1}}) {
    EXPECT_TRUE(contains(error_of([&] { from_cbor(bytes); }), "fuzz: is not a document"));
  }
}

}  // namespace
}  // namespace gyro
