#include "gyro/report/probes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "gyro/base/file.h"
#include "gyro/base/test_util.h"
#include "gyro/checkpoint/safetensors.h"
#include "gyro/report/base64.h"
#include "gyro/report/page_parts.h"
#include "gyro/report/report.h"

namespace gyro {
namespace {

Json head(const std::string& kind) {
  return {{"schema", "gyro.probe." + kind + "/1"},
          {"gyro", {{"version", "1"}}},
          {"command", "gyro probe /home/someone/secret"},
          {"fingerprint", "a run"},
          {"options", {{"dtype", "f32"}, {"blocks", {0, 2}}}},
          {"models", {{{"role", "base"}, {"path", "m/base"}}, {{"role", "post"}, {"path", "m/sft/"}}}},
          {"tasks", {{{"name", "sums"}, {"system", "s"}}}},
          {"questions", {{{"task", "sums"}, {"id", "a"}, {"text", "one and one"}, {"tokens", 5}}}}};
}

Json subject(const char* name, const char* kind) {
  return {{"name", name}, {"kind", kind}, {"description", "d"}};
}

// One question, blocks 0 and 2, three heads.
Json attention(int64_t positions) {
  Json original = subject("original", "original"), replaced = subject("replace", "variant");
  original.update({{"entropy", {{{1.0, 2.0, 3.0}, {4.0, nullptr, 6.0}}}},
                   {"entropy_mean", {{2.0, 5.0}}},
                   {"entropy_of_mean", {{2.5, nullptr}}}});
  replaced.update({{"entropy", {{{1.5, 2.5, 3.5}, {4.5, 5.5, 6.5}}}},
                   {"entropy_mean", {{2.5, 5.5}}},
                   {"entropy_of_mean", {{3.0, 1e300}}}});
  const Json fit = {{"temperature", 1.25}, {"explained", nullptr}, {"kl", 0.5}};
  Json row = {{"block", 2}, {"temperature", 1.5}, {"temperature_se", nullptr}, {"kl", 0.25}, {"explained", 0.75}};
  Json document = head("attention");
  document.update({{"heads", 3},
                   {"blocks", {0, 2}},
                   {"log_keys", {{1.0, 1.0}}},
                   {"subjects", {original, replaced}},
                   {"alpha", {{{"block", 0}, {"alpha_q", 0.9}, {"expected", nullptr}, {"why", "norms"}}}},
                   {"comparisons",
                    {{{"subject", "replace"},
                      {"reference", "original"},
                      {"blocks", Json::array({row})},
                      {"heads", Json::array({{fit, fit, fit}})}}}},
                   {"maps",
                    {{{"question", 0},
                      {"block", 2},
                      {"head", "mean"},
                      {"positions", positions},
                      {"arrays", {{"original", "m.0"}, {"replace", "m.1"}}}}}}});
  return document;
}

Json cka() {
  Json document = head("cka"), original = subject("original", "original"), noise = subject("noise", "control");
  original.update({{"cka", {{"a", {{1.0, 0.5}, {0.5, 1.0}}}, {"b", nullptr}}}, {"distance", {{"a", 0.0}}}});
  noise.update({{"cka", {{"a", {{0.75, 0.5}, {nullptr, 1.0}}}, {"b", {{1.0, 1.0}, {1.0, 1.0}}}}}, {"distance", 7}});
  document.update({{"layers", 2}, {"readings", {{"a", "of a"}, {"b", "of b"}}}, {"subjects", {original, noise}}});
  return document;
}

Json drift() {
  Json document = head("drift");
  const Json values = {{"cosine", {{"mean", 0.5}, {"sd", nullptr}}}, {"relative_difference", 0.25}};
  Json row = values;
  row.update({{"block", 0}, {"noise", values}, {"weights", {{"nf_over_null", 1.5}, {"alpha_mean", nullptr}}}});
  document.update({{"blocks", Json::array({row})}, {"next_token", {{"kl_mean", 0.5}}}});
  return document;
}

Json rotation() {
  Json out = head("rotation");
  out.erase("questions");
  const Json matrix = {{"layer", 3}, {"type", "W_Q"}, {"flags", {"x"}}, {"distance", "y"}, {"carry_error", 0.5}};
  const Json type = {{"type", "W_Q"}, {"carry_error", 0.25}};
  const Json pair = {
      {"post", "/a/sft/"}, {"other", "/b/sft"}, {"matrices", Json::array({matrix})}, {"types", Json::array({type})}};
  out.update({{"pairs", Json::array({pair})}, {"sentences", {"A sentence."}}});
  return out;
}

Json claims() {
  const Json one = {{"id", "temperature"},   {"where", "G.1"},         {"verdict", "unclear"},
                    {"claim", "It is one."}, {"evidence", "a map"},    {"figure", "T explains 37 %"},
                    {"control", ""},         {"why", "less than 50 %"}};
  return {{"schema", "gyro.claims/1"},
          {"gyro", {{"version", "1"}}},
          {"models", {{{"role", "base"}, {"path", "m/base"}}, {{"role", "post"}, {"path", "m/sft/"}}}},
          {"posts", {{{"post", "sft"}, {"claims", Json::array({one})}}}}};
}

Json document(const std::string& kind) {
  if (kind == "attention") return attention(5);
  if (kind == "claims") return claims();
  return kind == "cka" ? cka() : kind == "drift" ? drift() : rotation();
}

std::vector<float> floats(const Json& text) {
  const std::string bytes = base64_bytes("page", text.get<std::string>());
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

// Row i of map k has 1000k + i at all keys that it sees, and NaN at those that it does not.
void write_maps(const std::filesystem::path& file, int64_t positions, const std::string& fingerprint = "a run") {
  std::vector<std::vector<float>> maps(2);
  std::vector<TensorToWrite> tensors;
  for (size_t k = 0; k < maps.size(); ++k) {
    for (int64_t i = 0; i < positions; ++i) {
      for (int64_t j = 0; j < positions; ++j) {
        maps[k].push_back(j <= i ? static_cast<float>(1000 * static_cast<int64_t>(k) + i) : std::nanf(""));
      }
    }
    const std::string name = k == 0 ? "m.0" : "m.1";
    tensors.push_back({name, DType::F32, {positions, positions}, std::as_bytes(std::span(maps[k]))});
  }
  write_safetensors(file, tensors, {{"fingerprint", fingerprint}});
}

TEST(Probes, NumbersReachThePage) {
  TempDir dir;
  for (const char* kind : kProbeKinds) write_text(dir / (std::string(kind) + ".json"), document(kind).dump());
  write_maps(dir / "attention.safetensors", 5);
  const std::optional<ProbeInput> input = read_probes(dir.path());
  ASSERT_TRUE(input.has_value());
  const Json data = probes_data(*input, 2, 1'000'000);
  EXPECT_EQ(data["result"], 2);
  EXPECT_EQ(data["name"], "base → sft");
  EXPECT_EQ(data["notes"], Json::array());
  const Json& shown = data["attention"];
  const std::vector<float> entropy = floats(shown["subjects"][0]["entropy"]);
  ASSERT_EQ(entropy.size(), 6U);
  EXPECT_EQ(entropy[3], 4.0F);
  EXPECT_TRUE(std::isnan(entropy[4]));  // null is no 0
  EXPECT_TRUE(std::isnan(floats(shown["subjects"][1]["entropy_of_mean"])[1]));
  EXPECT_EQ(shown["comparisons"][0]["subject"], 1);
  EXPECT_EQ(shown["comparisons"][0]["blocks"][0]["temperature"], 1.5);
  EXPECT_TRUE(shown["comparisons"][0]["blocks"][0]["kl_fitted"].is_null());
  EXPECT_EQ(floats(shown["comparisons"][0]["heads"]["temperature"]), std::vector<float>(3, 1.25F));
  EXPECT_EQ(shown["alpha"][0]["why"], "norms");
  EXPECT_EQ(floats(shown["maps"][0]["arrays"][1]["values"])[14], 1004.0F);
  EXPECT_EQ(floats(data["cka"]["subjects"][1]["cka"][0])[0], 0.75F);
  EXPECT_TRUE(data["cka"]["subjects"][0]["cka"][1].is_null());
  EXPECT_EQ(data["cka"]["subjects"][0]["distance"], (Json{0.0, nullptr}));
  EXPECT_EQ(data["drift"]["blocks"][0]["noise"]["cosine"]["mean"], 0.5);
  EXPECT_EQ(data["drift"]["blocks"][0]["weights"]["nf_over_null"], 1.5);
  EXPECT_EQ(data["rotation"]["pairs"][0]["matrices"][0]["carry_error"], 0.5);
  EXPECT_TRUE(data["rotation"]["pairs"][0]["matrices"][0]["distance"].is_null());
  EXPECT_EQ(data["rotation"]["pairs"][0]["types"][0]["carry_error"], 0.25);
  EXPECT_EQ(data["rotation"]["pairs"][0]["post"], "a/sft");
  EXPECT_EQ(data["rotation"]["pairs"][0]["other"], "b/sft");
  EXPECT_EQ(data["rotation"]["sentences"], Json{"A sentence."});
  EXPECT_EQ(data["claims"]["posts"], claims()["posts"]);
  EXPECT_EQ(data.dump().find("secret"), std::string::npos);  // where it was run is nobody's business
}

// Another model beside the post: it has two heads, and no second block.
TEST(Probes, AnotherModelMayHaveOtherHeads) {
  Json other = attention(5);
  Json& model = other["subjects"][1];
  model["kind"] = "model";
  EXPECT_NO_THROW(parse_probe("p", "attention", other.dump()));
  model["heads"] = 2;
  EXPECT_THROW(parse_probe("p", "attention", other.dump()), Error);
  model["entropy"] = {{{1.5, 2.5}, nullptr}};
  const ProbeInput input{"run", {{"attention", parse_probe("p", "attention", other.dump())}}, {}};
  const Json data = probes_data(input, -1, 100'000);
  const std::vector<float> values = floats(data["attention"]["subjects"][1]["entropy"]);
  ASSERT_EQ(values.size(), 4U);
  EXPECT_EQ(values[1], 2.5F);
  EXPECT_TRUE(std::isnan(values[2]) && std::isnan(values[3]));
}

TEST(Probes, MapsAreBinnedThenLeftOut) {
  TempDir dir;
  constexpr int64_t positions = 300;
  write_text(dir / "attention.json", attention(positions).dump());
  write_maps(dir / "attention.safetensors", positions);
  const ProbeInput input = read_probes(dir.path()).value();
  size_t last = positions;
  for (const size_t budget : {2'000'000, 300'000, 80'000}) {
    const Json data = probes_data(input, -1, budget);
    EXPECT_LE(script_bytes(data), budget);
    EXPECT_EQ(data["notes"].size(), 1U);
    const Json& map = data["attention"]["maps"][0];
    const size_t side = map["edges"].size() - 1;
    EXPECT_LT(side, last);
    last = side;
    EXPECT_EQ(map["edges"][side], positions);
    // Rows are means of their numbers over what is seen, whatever the bins: of whole bins the middle of the bin.
    const std::vector<float> values = floats(map["arrays"][0]["values"]);
    ASSERT_EQ(values.size(), side * (side + 1) / 2);
    const double low = map["edges"][side - 1], high = map["edges"][side];
    EXPECT_FLOAT_EQ(values[side * (side - 1) / 2], static_cast<float>((low + high - 1) / 2));
  }
  const Json least = probes_data(input, -1, 4'000);
  EXPECT_EQ(least["attention"]["maps"], Json::array());
  EXPECT_TRUE(least["attention"]["subjects"][0]["entropy"].is_null());
  EXPECT_EQ(least["notes"].size(), 2U);
  EXPECT_THROW(probes_data(input, -1, 300), ReportTooLarge);
}

TEST(Probes, MapsThatAreNotThere) {
  TempDir dir;
  write_text(dir / "attention.json", attention(5).dump());
  const Json data = probes_data(read_probes(dir.path()).value(), -1, 100'000);
  EXPECT_EQ(data["attention"]["maps"], Json::array());
  EXPECT_EQ(data["notes"], Json{"attention.safetensors is not beside attention.json: its maps are not shown."});
  write_maps(dir / "attention.safetensors", 4);
  const std::string file = (dir / "attention.safetensors").string();
  EXPECT_EQ(error_of([&] { probes_data(read_probes(dir.path()).value(), -1, 100'000); }),
            file + ": m.0 is not of the shape that attention.json says");
  Json other = attention(4);
  other["maps"][0]["arrays"]["replace"] = "gone\n";
  write_text(dir / "attention.json", other.dump());
  EXPECT_EQ(error_of([&] { probes_data(read_probes(dir.path()).value(), -1, 100'000); }),
            file + ": lacks the array gone?");
}

TEST(Probes, MapsOfAnotherRun) {
  TempDir dir;
  write_text(dir / "attention.json", attention(5).dump());
  write_maps(dir / "attention.safetensors", 5, "another");
  const Json data = probes_data(read_probes(dir.path()).value(), -1, 100'000);
  EXPECT_EQ(data["attention"]["maps"], Json::array());
  EXPECT_EQ(data["notes"],
            Json{"attention.safetensors is of another run than attention.json: its maps are not shown."});
}

TEST(Probes, WhatIsNoneIsRefused) {
  for (const std::string kind : kProbeKinds) {
    const Json good = document(kind);
    const std::string command = kind == "claims" ? "gyro study" : "gyro probe " + kind;
    EXPECT_EQ(parse_probe("p", kind, good.dump()), good);
    const auto refused = [&](const Json& edited, const std::string& why) {
      EXPECT_EQ(error_of([&] { parse_probe("p", kind, edited.dump()); }), "p: is not a document of " + command) << why;
    };
    for (const auto& [key, value] : good.items()) {
      if (key == "gyro" || key == "command" || key == "fingerprint" || key == "options") continue;
      for (const Json& wrong : {Json("x"), Json(-7), Json({{"x", 1}}), Json::array({Json::array({1})})}) {
        if (key == "next_token" && wrong.is_object()) continue;  // one that says nothing
        Json edited = good;
        edited[key] = wrong;
        refused(edited, key);
      }
    }
    refused(Json::array(), "a list");
  }
  EXPECT_EQ(error_of([&] { parse_probe("p", "cka", std::string(100'000, '[')); }),
            "p: is not a document of gyro probe cka");
}

TEST(Probes, ShapesMustBeThose) {
  const auto refused = [](const char* kind, const char* pointer, const Json& value) {
    Json edited = document(kind);
    edited[Json::json_pointer(pointer)] = value;
    EXPECT_THROW(parse_probe("p", kind, edited.dump()), Error) << kind << pointer << value;
  };
  refused("attention", "/blocks", {0, 0});
  refused("attention", "/blocks", {0, 1'000'000});
  refused("attention", "/heads", 4);
  refused("attention", "/subjects/1/name", "original");
  refused("attention", "/subjects/1/kind", "king");
  refused("attention", "/subjects/0/entropy/0/1/1", "1");
  refused("attention", "/subjects/0/entropy/0/1", {1.0, 2.0});
  refused("attention", "/comparisons/0/reference", "nobody");
  refused("attention", "/comparisons/0/blocks/0/block", 1);
  refused("attention", "/comparisons/0/heads/0", Json::array({1, 2, 3}));
  refused("attention", "/maps/0/head", 3);
  refused("attention", "/maps/0/question", 1);
  refused("attention", "/maps/0/positions", 1'000'000);
  refused("attention", "/maps/0/tokens", {"a"});
  refused("attention", "/maps/0/arrays/nobody", "m.0");
  refused("cka", "/subjects/0/cka/a/0", {1.0});
  refused("cka", "/subjects/0/cka", Json::object());
  refused("cka", "/layers", 3);
  refused("drift", "/blocks/0/cosine", 1);
  refused("drift", "/blocks/0/noise/cosine/mean", "1");
  refused("rotation", "/pairs/0/matrices/0/type", "W_X");
  refused("claims", "/posts", Json::array());
  refused("claims", "/posts/0/post", 1);
  refused("claims", "/posts/0/claims", Json::array());
  refused("claims", "/posts/0/claims/0/control", nullptr);
  refused("claims", "/posts/0/claims/0", {{"id", "temperature"}});
  refused("claims", "/schema", "gyro.probe.claims/1");
}

// Folders as a study has them: the diff in one, what a post was asked in one below, or anywhere.
TEST(Probes, StandBesideTheResultThatTheyAreOf) {
  TempDir dir;
  const auto input = [&](const char* folder, const char* base, const char* post) {
    const Json matrix = {{"layer", 0}, {"type", "W_Q"}, {"d_in", 2}, {"d_out", 2}};
    Json json = {{"base", {{"id", base}, {"path", base}}},
                 {"comparisons", {{{"post", {{"id", post}, {"path", post}}}, {"matrices", {matrix}}}}}};
    const std::filesystem::path arrays = dir / "empty.safetensors";
    write_safetensors(arrays, {}, {});
    return ReportInput{(dir / folder).string(), std::move(json), SafetensorsFile(arrays)};
  };
  std::vector<ReportInput> inputs;
  inputs.push_back(input("one", "/models/base", "/models/sft"));
  inputs.push_back(input("two", "/models/other", "/models/rl"));
  const auto models = [](const char* base, const char* post) {
    return Json{{{"role", "base"}, {"path", base}}, {{"role", "post"}, {"path", post}}};
  };
  const Json none = models("x", "y");
  const auto place = [&](const char* folder, const Json& of) {
    return place_beside(inputs, (dir / folder).string(), of);
  };
  EXPECT_EQ(place("two", none), 1);
  EXPECT_EQ(place("two/", none), 1);
  EXPECT_EQ(place("two/sft", none), 1);
  EXPECT_EQ(place("three", none), -1);
  EXPECT_EQ(place("three", models("/models/base/", "/models/x/../sft")), 0);
  EXPECT_EQ(place("three", models("models/other", "rl")), 1);
  EXPECT_EQ(place("three", models("/models/other", "/models/sft")), -1);  // another base
  EXPECT_EQ(place("three", models("base", "ft")), -1);                    // an end of a name is no name
  EXPECT_EQ(place("three", Json{{{"role", "post"}, {"path", "rl"}}}), 1);
  inputs.push_back(input("four", "/else/other", "/else/rl"));
  EXPECT_EQ(place("three", models("other", "rl")), -1);  // may be of either
  EXPECT_EQ(place("three", models("/else/other", "rl")), 2);
}

}  // namespace
}  // namespace gyro
