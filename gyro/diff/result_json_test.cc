#include "gyro/diff/result_json.h"

#include <gtest/gtest.h>

#include <cmath>

#include "gyro/base/test_util.h"
#include "gyro/checkpoint/test_util.h"
#include "gyro/diff/findings.h"

namespace gyro {
namespace {

MatrixRow some_row() {
  MatrixRow row{.layer = 3, .type = MatrixType::K, .tensor = "qkv", .d_in = 8, .d_out = 4, .n = 4, .k = 3, .rank = 4};
  row.slice = {16, 20};
  row.method = Method::Svd;
  row.flags = {"rank_deficient"};
  row.nf = 1.0 / 3;
  row.energy.total = 2;
  row.null.valid = true;
  row.null.alpha_method = AlphaMethod::Sampled;
  row.null.sampled = RowSample{.draws = 1, .seed = 0xffffffffffffffffU, .nf = 0.25};
  return row;
}

DiffResult some_result() {
  DiffResult result;
  result.gyro = {"1.2.3", "a library", "cpu"};
  result.options = {{0, -1}, {MatrixType::K}, {2, 3}, 1, 2, 7};
  result.base = {.id = "base", .path = "models/base", .layers = 4, .parameters = 100, .dtypes = {"BF16"}};
  Comparison& comparison = result.comparisons.emplace_back();
  comparison.post = {.id = "noise"};
  comparison.role = Role::Control;
  comparison.matrices = {some_row()};
  comparison.types = pool_types(comparison.matrices);
  judge(result.base, comparison);
  result.fingerprint = "f";
  return result;
}

TEST(ResultJson, ReadsBackWhatItWrote) {
  const DiffResult result = some_result();
  const Json document = to_json(result);
  EXPECT_EQ(to_json(read_result("r", document)).dump(), document.dump());  // dump keeps the order of keys
  EXPECT_EQ(to_json(read_result("r", Json::parse(result_text(result)))).dump(), document.dump());
}

TEST(ResultJson, NamesTheExpertOnlyWhereThereIsOne) {
  DiffResult result = some_result();
  EXPECT_FALSE(to_json(result)["comparisons"][0]["matrices"][0].contains("expert"));
  EXPECT_FALSE(read_result("r", to_json(result)).comparisons[0].matrices[0].expert);
  result.comparisons[0].matrices[0].expert = 0;
  const Json document = to_json(result);
  EXPECT_EQ(document["comparisons"][0]["matrices"][0]["expert"], 0);
  EXPECT_EQ(read_result("r", document).comparisons[0].matrices[0].expert, 0);
}

TEST(ResultJson, SaysBlocksAndColumnsOnlyWhereThereAreSome) {
  DiffResult result = some_result();
  for (const char* key : {"blocks", "columns"}) {
    EXPECT_FALSE(to_json(result)["comparisons"][0]["matrices"][0].contains(key));
  }
  result.comparisons[0].matrices[0].blocks = {2, 6};
  result.comparisons[0].matrices[0].columns = {8, 1};
  const Json document = to_json(result);
  EXPECT_EQ(document["comparisons"][0]["matrices"][0]["blocks"], (Json{2, 6}));
  EXPECT_EQ(document["comparisons"][0]["matrices"][0]["columns"], (Json{8, 1}));
  EXPECT_EQ(to_json(read_result("r", document)).dump(), document.dump());
}

TEST(ResultJson, SaysAllWhereNothingWasChosen) {
  DiffResult result = some_result();
  EXPECT_EQ(to_json(result)["options"]["layers"], (Json{0, -1}));
  EXPECT_EQ(to_json(result)["options"]["types"], Json::array({"W_K"}));
  result.options = {};
  const Json document = to_json(result);
  EXPECT_EQ(document["options"]["layers"], "all");
  EXPECT_EQ(document["options"]["types"], "all");
  EXPECT_TRUE(read_result("r", document).options.layers.empty());
}

TEST(ResultJson, IsNullWhereSomethingIsUndefined) {
  Json document = to_json(some_result());
  Json& row = document["comparisons"][0]["matrices"][0];
  EXPECT_TRUE(row["scale"].is_null());
  row["null"]["sampled"] = nullptr;
  row["slice"] = nullptr;
  const DiffResult result = read_result("r", document);
  const MatrixRow& read = result.comparisons[0].matrices[0];
  EXPECT_TRUE(std::isnan(read.scale));
  EXPECT_FALSE(read.null.sampled || read.slice);
  EXPECT_EQ(read.nf, 1.0 / 3);
}

TEST(ResultJson, NamesTheFieldThatIsWrong) {
  const auto error_with = [](const char* pointer, const Json& value) {
    Json document = to_json(some_result());
    document[Json::json_pointer(pointer)] = value;
    return error_of([&] { read_result("r", document); });
  };
  EXPECT_EQ(error_with("/fingerprint", "g"), "no error");
  EXPECT_EQ(error_with("/unknown", "field"), "no error");
  EXPECT_EQ(error_with("/schema", "gyro.diff/3"), "r: schema is not gyro.diff/2");
  EXPECT_EQ(error_with("/base", 1), "r: base is not an object");
  EXPECT_EQ(error_with("/base/path", 1), "r: base.path is not a text");
  EXPECT_EQ(error_with("/options/seed", -1), "r: options.seed is not a whole number of at least 0");
  EXPECT_EQ(error_with("/options/types/0", "W_X"), "r: options.types[0] is not a type of matrix");
  EXPECT_EQ(error_with("/comparisons", Json::array()), "r: comparisons is empty");
  EXPECT_EQ(error_with("/comparisons/0/role", "judge"), "r: comparisons[0].role has a value that is not known");
  const std::string row = "/comparisons/0/matrices/0", where = "r: comparisons[0].matrices[0].";
  EXPECT_EQ(error_with((row + "/nf").c_str(), "1"), where + "nf is not a number or null");
  EXPECT_EQ(error_with((row + "/n").c_str(), 1.5), where + "n is not a whole number");
  EXPECT_EQ(error_with((row + "/expert").c_str(), "1"), where + "expert is not a whole number");
  EXPECT_EQ(error_with((row + "/slice").c_str(), Json::array({1})), where + "slice is not a pair");
  EXPECT_EQ(error_with((row + "/flags").c_str(), 1), where + "flags is not a list");
  EXPECT_EQ(error_with((row + "/null/valid").c_str(), nullptr), where + "null.valid is not true or false");
  EXPECT_EQ(error_with((row + "/null").c_str(), Json::object()), where + "null.valid is missing");
  EXPECT_EQ(error_of([] { read_result("r", Json::array()); }), "r: the document is not an object");
}

TEST(Unit, ComesBackFromItsBytes) {
  UnitResult unit{{some_row(), some_row()}, {}};
  unit.arrays["a"] = {DType::F64, {2}, bytes_of<double>({1.0 / 3, -0.0})};
  const std::vector<uint8_t> bytes = encode_unit(5, unit);
  const auto [number, read] = decode_unit(std::as_bytes(std::span(bytes)));
  EXPECT_EQ(number, 5);
  EXPECT_EQ(encode_unit(5, read), bytes);
  EXPECT_EQ(read.rows[1].nf, 1.0 / 3);
  EXPECT_EQ(read.arrays.at("a").bytes, unit.arrays.at("a").bytes);
}

TEST(Unit, IsNotWhatHasOtherFields) {
  const auto error_with = [](const char* pointer, const Json& value) {
    Json json = Json::from_cbor(encode_unit(5, {{some_row()}, {}}));
    json[Json::json_pointer(pointer)] = value;
    const std::vector<uint8_t> bytes = Json::to_cbor(json);
    return error_of([&] { decode_unit(std::as_bytes(std::span(bytes))); });
  };
  EXPECT_EQ(error_with("/unit", 6), "no error");
  EXPECT_EQ(error_with("/unit", -1), "record: is of no unit");
  EXPECT_EQ(error_with("/unit", "5"), "record: is not of a unit");
  EXPECT_EQ(error_with("/rows", Json::object()), "record: rows is not a list");
  EXPECT_EQ(error_with("/rows/0/nf", "text"), "record: row.nf is not a number or null");
  EXPECT_EQ(error_with("/arrays", Json{{"a", 1}}), "record: is not of a unit");
}

}  // namespace
}  // namespace gyro
