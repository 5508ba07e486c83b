#include "gyro/checkpoint/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "gyro/checkpoint/test_util.h"

namespace gyro {
namespace {

// A file image: length prefix, `json`, and `data_bytes` zeros.
std::string image(std::string_view json, size_t data_bytes = 0) {
  std::string out(8, '\0');
  for (size_t i = 0; i < 8; ++i) out[i] = static_cast<char>(json.size() >> (8 * i));
  return out + std::string(json) + std::string(data_bytes, '\0');
}

SafetensorsHeader parse(std::string_view file) {
  return parse_safetensors_header("f.safetensors", std::as_bytes(std::span(file)), file.size());
}

std::string refusal(std::string_view json, size_t data_bytes = 0) {
  const std::string line = error_of([&] { parse(image(json, data_bytes)); });
  EXPECT_FALSE(contains(line, "\n")) << line;
  EXPECT_TRUE(line == "no error" || line.starts_with("f.safetensors: ")) << line;
  return line;
}

// The header of one tensor "w".
std::string entry(std::string_view dtype, std::string_view shape, std::string_view offsets) {
  return fmt::format(R"({{"w":{{"dtype":{},"shape":{},"data_offsets":{}}}}})", dtype, shape, offsets);
}

#define EXPECT_REFUSED(message, ...)                                                 \
  do {                                                                               \
    const std::string line = refusal(__VA_ARGS__);                                   \
    EXPECT_TRUE(contains(line, message)) << "said \"" << line.substr(0, 400) << '"'; \
  } while (false)

TEST(SafetensorsHeader, ReadsWhatIsValid) {
  const auto header =
      parse(image(R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2,3],"data_offsets":[4,28]},)"
                  R"("a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]},)"
                  R"("none":{"dtype":"F16","shape":[0,7],"data_offsets":[4,4]},)"
                  R"("scalar":{"dtype":"U8","shape":[],"data_offsets":[28,29],"extra":{"x":[1]}}}   )",
                  29));
  ASSERT_EQ(header.tensors.size(), 4u);
  EXPECT_EQ(header.metadata.at("format"), "pt");
  EXPECT_EQ(header.tensors.at("b").dtype, DType::F32);
  EXPECT_EQ(header.tensors.at("b").shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(header.tensors.at("b").begin, 4u);
  EXPECT_EQ(header.tensors.at("none").begin, header.tensors.at("none").end);
  EXPECT_TRUE(header.tensors.at("scalar").shape.empty());
}

TEST(SafetensorsHeader, EmptyIsValid) {
  EXPECT_TRUE(parse(image("{}")).tensors.empty());
  EXPECT_TRUE(parse(image(R"({"__metadata__":null})")).tensors.empty());
}

TEST(SafetensorsHeader, AnyNameIsAName) {
  const auto header = parse(image(R"({"":{"dtype":"I8","shape":[1],"data_offsets":[0,1]},)"
                                  R"("\n\u0000\"/é\ud83d\ude00":{"dtype":"I8","shape":[1],"data_offsets":[1,2]}})",
                                  2));
  EXPECT_TRUE(header.tensors.contains(""));
  EXPECT_TRUE(header.tensors.contains(std::string_view("\n\0\"/é😀", 10)));
  EXPECT_REFUSED(R"(tensor "a?b" has)", R"({"a\nb":{"dtype":"I8","shape":[1],"data_offsets":[0,0]}})");
  EXPECT_REFUSED("...", fmt::format(R"({{"{}":3}})", std::string(5000, 'n')));
}

TEST(SafetensorsHeader, LengthPrefix) {
  EXPECT_TRUE(contains(error_of([] { parse(""); }), "has 0 bytes, too few"));
  EXPECT_TRUE(contains(error_of([] { parse("1234567"); }), "has 7 bytes, too few"));
  EXPECT_TRUE(contains(error_of([] { parse(std::string(8, '\xff')); }), "18446744073709551615 bytes, more than"));
  EXPECT_TRUE(contains(error_of([] { parse(image("{}").substr(0, 9)); }), "cut short: a header of 2 bytes"));
  std::string over = image("{}");
  over[3] = 6;  // 100,663,298 bytes
  EXPECT_TRUE(contains(error_of([&] { parse(over); }), "more than the 100000000 that the format allows"));
  EXPECT_TRUE(
      contains(error_of([] { parse("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"); }), "Git LFS"));
}

TEST(SafetensorsHeader, MustBeAJsonObject) {
  EXPECT_REFUSED("does not start with {", "");
  EXPECT_REFUSED("does not start with {", " {}");
  EXPECT_REFUSED("does not start with {", "[]");
  EXPECT_REFUSED("does not start with {", "\xef\xbb\xbf{}");
  EXPECT_REFUSED("is not valid JSON", "{");
  EXPECT_REFUSED("is not valid JSON", "{}{}");
  EXPECT_REFUSED("is not valid JSON", R"({"a":{},})");
  EXPECT_REFUSED("is not valid JSON", "{\"a\xff\":{}}");
  EXPECT_REFUSED("is not valid JSON", R"({"\ud800":{}})");
  EXPECT_REFUSED("is not valid JSON", "{/*comment*/}");
  EXPECT_REFUSED("byte 2 is zero", std::string_view("{}\0\0", 4));
}

TEST(SafetensorsHeader, NestingIsLimited) {
  EXPECT_REFUSED("nested deeper than 64", R"({"a":{"b":)" + std::string(100'000, '['));
  std::string objects = "{";
  for (int i = 0; i < 100'000; ++i) objects += R"("a":{)";
  EXPECT_REFUSED("must be a string", R"({"__metadata__":)" + objects);
  EXPECT_REFUSED("nested deeper than 64", R"({"x":{"y":)" + objects);
}

TEST(SafetensorsHeader, NoKeyTwice) {
  const std::string good = R"({"dtype":"I8","shape":[1],"data_offsets":[0,1]})";
  EXPECT_REFUSED("has the key \"w\" twice", fmt::format(R"({{"w":{},"w":{}}})", good, good), 1);
  EXPECT_REFUSED("has the key \"w\" twice", fmt::format(R"({{"w":{},"\u0077":{}}})", good, good), 1);
  EXPECT_REFUSED("has the key \"shape\" twice", R"({"w":{"dtype":"I8","shape":[1],"shape":[1],"data_offsets":[0,1]}})",
                 1);
  EXPECT_REFUSED("has the key \"a\" twice", R"({"__metadata__":{"a":"","a":""}})");
  EXPECT_REFUSED("has the key \"__metadata__\" twice", R"({"__metadata__":{},"__metadata__":{}})");
}

TEST(SafetensorsHeader, MetadataAreStrings) {
  EXPECT_REFUSED("__metadata__ must be an object, not an array", R"({"__metadata__":[]})");
  EXPECT_REFUSED("__metadata__ \"a\" must be a string, not a number", R"({"__metadata__":{"a":1}})");
  EXPECT_REFUSED("__metadata__ \"a\" must be a string, not an object", R"({"__metadata__":{"a":{}}})");
}

TEST(SafetensorsHeader, FieldsAreThereAndTyped) {
  EXPECT_REFUSED("tensor \"w\" must be an object, not null", R"({"w":null})");
  EXPECT_REFUSED("tensor \"w\" has no dtype", R"({"w":{"shape":[1],"data_offsets":[0,1]}})", 1);
  EXPECT_REFUSED("tensor \"w\" has no shape", R"({"w":{"dtype":"I8","data_offsets":[0,1]}})", 1);
  EXPECT_REFUSED("tensor \"w\" has no data_offsets", R"({"w":{"dtype":"I8","shape":[1]}})", 1);
  EXPECT_REFUSED("the dtype of tensor \"w\" must be a string", entry("1", "[1]", "[0,1]"), 1);
  EXPECT_REFUSED("the shape of tensor \"w\" must be an array", entry("\"I8\"", "1", "[0,1]"), 1);
  EXPECT_REFUSED("the data_offsets of tensor \"w\" must be an array", entry("\"I8\"", "[1]", "{}"), 1);
}

TEST(SafetensorsHeader, UnknownDtypeIsNamed) {
  for (const char* dtype : {"F4", "F8_E8M0", "C64", "F6_E2M3", "f32", "", "F8_E4M3FNUZ"}) {
    EXPECT_REFUSED(fmt::format("tensor \"w\" has the dtype {}, which Gyro does not know", dtype),
                   entry(fmt::format("\"{}\"", dtype), "[1]", "[0,1]"), 1);
  }
}

TEST(SafetensorsHeader, ShapesAreNonNegativeIntegers) {
  for (const char* shape : {"[-1]", "[1.0]", "[1e2]", "[\"1\"]", "[[1]]", "[{}]", "[null]", "[true]", "[-0]",
                            "[9223372036854775808]", "[18446744073709551616]"}) {
    EXPECT_REFUSED("the shape of tensor \"w\" must hold integers", entry("\"I8\"", shape, "[0,1]"), 1);
  }
  EXPECT_REFUSED("overflows", entry("\"I8\"", "[4294967296,4294967296]", "[0,0]"));
  EXPECT_REFUSED("overflows", entry("\"I8\"", "[4294967296,4294967296,0]", "[0,0]"));
  EXPECT_REFUSED("overflows", entry("\"F64\"", "[2305843009213693952]", "[0,0]"));
}

TEST(SafetensorsHeader, OffsetsFit) {
  for (const char* offsets : {"[-1,0]", "[0,1.0]", "[0,\"1\"]", "[[0],1]"}) {
    EXPECT_REFUSED("the data_offsets of tensor \"w\" must hold integers", entry("\"I8\"", "[1]", offsets), 1);
  }
  EXPECT_REFUSED("has 0 data_offsets instead of 2", entry("\"I8\"", "[1]", "[]"), 1);
  EXPECT_REFUSED("has 1 data_offsets instead of 2", entry("\"I8\"", "[1]", "[0]"), 1);
  EXPECT_REFUSED("has 3 data_offsets instead of 2", entry("\"I8\"", "[1]", "[0,1,1]"), 1);
  EXPECT_REFUSED("ends at byte 0, before its begin 1", entry("\"I8\"", "[1]", "[1,0]"), 1);
  EXPECT_REFUSED("has 2 bytes of data where its shape and dtype need 4", entry("\"F32\"", "[1]", "[0,2]"), 2);
  EXPECT_REFUSED("ends at byte 8 of the data, which has only 7", entry("\"F32\"", "[2]", "[0,8]"), 7);
  EXPECT_REFUSED("of the data, which has only 7", entry("\"I8\"", "[1]", "[9223372036854775806,9223372036854775807]"),
                 7);
}

TEST(SafetensorsHeader, TensorsTileTheData) {
  const auto two = [](int begin, int end) {
    return fmt::format(R"({{"a":{{"dtype":"I8","shape":[4],"data_offsets":[0,4]}},)"
                       R"("b":{{"dtype":"I8","shape":[{}],"data_offsets":[{},{}]}}}})",
                       end - begin, begin, end);
  };
  EXPECT_EQ(parse(image(two(4, 8), 8)).tensors.size(), 2u);
  EXPECT_REFUSED("the 1 bytes of data before tensor \"b\" belong to no tensor", two(5, 8), 8);
  EXPECT_REFUSED("tensor \"b\" overlaps another tensor", two(3, 8), 8);
  EXPECT_REFUSED("tensor \"b\" overlaps another tensor", two(0, 4), 4);
  EXPECT_REFUSED("tensor \"b\" overlaps another tensor", two(2, 2), 4);
  EXPECT_REFUSED("the last 3 bytes belong to no tensor", two(4, 8), 11);
  EXPECT_REFUSED("the last 5 bytes belong to no tensor", "{}", 5);
  EXPECT_REFUSED("the 2 bytes of data before tensor \"w\"", entry("\"I8\"", "[1]", "[2,3]"), 3);
}

TEST(SafetensorsFile, WritesWhatItReads) {
  const TempDir dir;
  const std::vector<float> values = {1, -2, 3.5F};
  const std::string odd_name = "a\n\"\\é";
  write_tensors(dir / "t.safetensors", {{"bytes", DType::U8, {3}, bytes_of(std::vector<uint8_t>{7, 8, 9})},
                                        {odd_name, DType::F32, {3, 1}, bytes_of(values)},
                                        {"empty", DType::F64, {0, 5}}});
  const SafetensorsFile file(dir / "t.safetensors");
  EXPECT_EQ(file.header().data_begin % 8, 0u);
  EXPECT_EQ(file.header_bytes().size(), file.header().data_begin);
  EXPECT_EQ(file.size(), file.header().data_begin + 3 + 12);
  EXPECT_EQ(file.header().metadata.at("format"), "pt");
  const TensorInfo& info = file.header().tensors.at(odd_name);
  EXPECT_EQ(info.shape, (std::vector<int64_t>{3, 1}));
  EXPECT_EQ(std::memcmp(file.bytes(info).data(), values.data(), 12), 0);
  EXPECT_TRUE(file.bytes(file.header().tensors.at("empty")).empty());
}

TEST(SafetensorsFile, RefusesToWriteWhatItWouldNotRead) {
  const TempDir dir;
  const std::vector<std::byte> data(4);
  const auto refused = [&](std::vector<TensorToWrite> tensors) {
    return error_of([&] { write_safetensors(dir / "t", tensors, {}); });
  };
  EXPECT_TRUE(contains(refused({{"a", DType::F32, {2}, data}}), "do not need 4 bytes"));
  EXPECT_TRUE(contains(refused({{"a", DType::F32, {-1}, data}}), "do not need 4 bytes"));
  EXPECT_TRUE(contains(refused({{"a", DType::F32, {1}, data}, {"a", DType::F32, {1}, data}}), "name is taken"));
  EXPECT_TRUE(contains(refused({{"__metadata__", DType::F32, {1}, data}}), "name is taken"));
  EXPECT_TRUE(contains(refused({{"\xff", DType::F32, {1}, data}}), "not UTF-8"));
  EXPECT_FALSE(std::filesystem::exists(dir / "t"));
}

TEST(SafetensorsFile, NamesTheFile) {
  const TempDir dir;
  write_text(dir / "bad.safetensors", "garbage, longer than eight bytes");
  const std::string line = error_of([&] { SafetensorsFile file(dir / "bad.safetensors"); });
  EXPECT_TRUE(line.starts_with((dir / "bad.safetensors").string() + ": ")) << line;
}

}  // namespace
}  // namespace gyro
