#include "gyro/report/report.h"

#include <gtest/gtest.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>
#include <limits>
#include <regex>
#include <set>
#include <sstream>

#include "gyro/base/test_util.h"
#include "gyro/diff/runner.h"
#include "gyro/report/embedded.h"
#include "gyro/report/page_data.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;
const fs::path kModels = fs::path(GYRO_SOURCE_DIR) / "models";

std::string read_text(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

void compare(const std::string& family, const fs::path& out, const std::vector<std::string>& posts = {"instruct"}) {
  DiffRequest request;
  request.base = (kModels / family / "base").string();
  for (const std::string& post : posts) request.posts.push_back((kModels / family / post).string());
  request.controls = {"noise"};
  request.out = out;
  request.run.threads = 1;
  request.warn = [](const std::string&) {};
  run_diff(request);
}

class ReportTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared = new TempDir;
    compare("pico-qwen2", *shared / "out");
  }
  static void TearDownTestSuite() { delete shared; }

  static std::vector<ReportInput> inputs() {
    std::vector<ReportInput> list;
    list.push_back(read_report_input(*shared / "out"));
    return list;
  }
  // A copy of the result folder whose document was edited.
  fs::path edited(const std::function<void(Json&)>& edit) {
    const fs::path copy = dir / "copy";
    fs::remove_all(copy);
    fs::copy(*shared / "out", copy);
    Json document = Json::parse(read_text(copy / "result.json"));
    edit(document);
    write_text(copy / "result.json", document.dump());
    return copy;
  }

  static TempDir* shared;
  TempDir dir;
};
TempDir* ReportTest::shared = nullptr;

// The page without plotly.js, and the JSON of its data block.
std::string own_part(std::string page) {
  const size_t at = page.find(plotly_script());
  if (at != page.npos) page.erase(at, plotly_script().size());
  return page;
}

Json data_of(const std::string& page) {
  const std::string open = R"(<script type="application/json" id="gyro-data">)";
  const size_t begin = page.find(open) + open.size();
  return Json::parse(page.substr(begin, page.find("</script>", begin) - begin));
}

std::vector<float> floats(const std::string& text) {
  std::vector<int> digits(256, -1);
  const std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < alphabet.size(); ++i) digits[static_cast<unsigned char>(alphabet[i])] = static_cast<int>(i);
  std::string bytes;
  uint32_t group = 0;
  int bits = 0;
  for (const char c : text) {
    if (c == '=') break;
    group = group << 6 | static_cast<uint32_t>(digits[static_cast<unsigned char>(c)]);
    bits += 6;
    if (bits >= 8) bytes += static_cast<char>(group >> (bits -= 8) & 255);
  }
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

TEST_F(ReportTest, LoadsNothing) {
  const std::string page = own_part(render_report(inputs(), {}));
  for (const char* part : {"http://", "https://", "src=", "@import", "url(", "fetch(", "XMLHttpRequest", "WebSocket",
                           "import(", "EventSource", "sendBeacon", "{{", "}}\n</"}) {
    EXPECT_FALSE(contains(page, part)) << part;
  }
  EXPECT_TRUE(contains(page, "default-src 'none'"));
  // The one link is the empty icon, which keeps a browser from asking a server for one.
  EXPECT_TRUE(contains(page, R"(<link rel="icon" href="data:,">)"));
}

TEST_F(ReportTest, PlotlyInThePageOrBesideIt) {
  write_report(dir / "inline.html", inputs(), {PlotlyMode::Inline, ""});
  const std::string whole = read_text(dir / "inline.html");
  EXPECT_TRUE(contains(whole, plotly_script()));
  EXPECT_LT(whole.size(), kReportLimit);
  EXPECT_FALSE(fs::exists(dir / "plotly.min.js"));

  write_report(dir / "beside.html", inputs(), {PlotlyMode::Directory, ""});
  const std::string page = read_text(dir / "beside.html");
  EXPECT_TRUE(contains(page, R"(<script src="plotly.min.js"></script>)"));
  EXPECT_FALSE(contains(page, "http:"));
  EXPECT_FALSE(contains(page, "https:"));
  EXPECT_LT(page.size(), 1'200'000U);
  EXPECT_EQ(read_text(dir / "plotly.min.js"), plotly_script());
  EXPECT_EQ(data_of(page), data_of(whole));
}

TEST_F(ReportTest, PlotlyCanStandInAScript) {
  std::string script(plotly_script());
  EXPECT_GT(script.size(), 4'000'000U);
  std::transform(script.begin(), script.end(), script.begin(), [](unsigned char c) { return std::tolower(c); });
  EXPECT_FALSE(contains(script, "</script"));
  EXPECT_FALSE(contains(script, "<!--"));
}

TEST_F(ReportTest, IsTheSameEachTime) {
  EXPECT_EQ(render_report(inputs(), {}), render_report(inputs(), {}));
}

TEST_F(ReportTest, HostileTextStaysText) {
  const std::string attack = "</script><script>alert(1)</script><!--<img src=x onerror=alert(1)>\"'\n\t\xff{{style}}";
  const fs::path folder = edited([&](Json& document) {
    // JSON text cannot hold a lone 0xff: leave it out of the document, the title has it.
    const std::string text = attack.substr(0, attack.find('\xff'));
    document["base"]["id"] = text;
    document["base"]["architecture"] = text;
    for (Json& comparison : document["comparisons"]) {
      comparison["post"]["id"] = text;
      comparison["post"]["revision"] = text;
      comparison["findings"][0]["text"] = text;
      comparison["matrices"][0]["tensor"] = text;
      comparison["matrices"][0]["flags"] = Json::array({text});
    }
  });
  std::vector<ReportInput> list;
  list.push_back(read_report_input(folder));
  const std::string page = own_part(render_report(list, {PlotlyMode::Inline, attack}));
  EXPECT_FALSE(contains(page, "<script>alert"));
  EXPECT_FALSE(contains(page, "<img src"));
  EXPECT_FALSE(contains(page, "<!--"));
  EXPECT_TRUE(contains(page, "<title>&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;!--&lt;img"));
  const Json data = data_of(page);
  EXPECT_TRUE(contains(data["results"][0]["comparisons"][0]["post"]["id"].get<std::string>(), "</script><script>"));
}

TEST_F(ReportTest, DrawsTheValuesOfTheResult) {
  const std::vector<ReportInput> list = inputs();
  const Json data = data_of(render_report(list, {}))["results"][0];
  const Json& rows = list[0].document["comparisons"][0]["matrices"];
  const Json& columns = data["comparisons"][0]["rows"];
  std::vector<float> sigma = floats(data["comparisons"][0]["sigma"]), base = floats(data["sigma"]);
  std::vector<float> alpha = floats(data["comparisons"][0]["alpha"]);
  size_t at = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_NEAR(columns["nf"][i].get<double>() / number(rows[i], "nf"), 1, 1e-6);
    EXPECT_EQ(columns["null.nf"][i].is_null(), rows[i]["null"]["valid"] == false);
    if (rows[i]["null"]["valid"] == true) {
      EXPECT_NEAR(columns["null.nf"][i].get<double>() / number(rows[i]["null"], "nf"), 1, 1e-6);
    }
    // n = 64 or less: every value has its own point and row.
    double mean = 0, square = 0;
    const auto k = rows[i]["k"].get<size_t>();
    for (size_t j = 0; j < k; ++j) {
      EXPECT_NEAR(alpha[at + j], sigma[at + j] / base[at + j], 1e-5);
      mean += static_cast<double>(alpha[at + j]) / static_cast<double>(k);
    }
    for (size_t j = 0; j < k; ++j) {
      square += std::pow(static_cast<double>(alpha[at + j]) - mean, 2) / static_cast<double>(k);
    }
    EXPECT_NEAR(mean, number(rows[i], "alpha_mean"), 1e-6);
    EXPECT_NEAR(std::sqrt(square), number(rows[i], "alpha_std"), 1e-6);
    at += rows[i]["n"].get<size_t>();
  }
  EXPECT_EQ(at, sigma.size());
}

// The definition of a member in docs/result.schema.json, with what it refers to put in its place.
const Json& schema_member(const Json& schema, const Json& object, const std::string& key) {
  static const Json none;
  const auto properties = object.find("properties");
  if (properties == object.end() || !properties->contains(key)) return none;
  const Json& found = properties->at(key);
  const std::string prefix = "#/$defs/";
  if (!found.contains("$ref")) return found;
  return schema["$defs"][found["$ref"].get<std::string>().substr(prefix.size())];
}

// The same along a path, "energy.z".
const Json& schema_path(const Json& schema, const Json& object, const std::string& path) {
  const size_t dot = path.find('.');
  const Json& found = schema_member(schema, object, path.substr(0, dot));
  return dot == path.npos || found.is_null() ? found : schema_path(schema, found, path.substr(dot + 1));
}

// Whatever the page gets of result.json is a name of the schema, so that none can be misspelt; the page's scripts
// fail at any other name (`strict` and `value` in data.js).
TEST_F(ReportTest, ReadsNamesOfTheSchema) {
  const Json schema = Json::parse(read_text(fs::path(GYRO_SOURCE_DIR) / "docs" / "result.schema.json"));
  const Json data = data_of(render_report(inputs(), {}))["results"][0];
  const Json& definitions = schema["$defs"];
  size_t checked = 0;
  const std::function<void(const Json&, const Json&, const std::string&)> check =
      [&](const Json& object, const Json& definition, const std::string& where) {
        for (const auto& [name, value] : object.items()) {
          if (name == "name") continue;  // the page's own, of a model
          const Json& found = schema_path(schema, definition, name);
          EXPECT_FALSE(found.is_null()) << where << " " << name;
          if (value.is_object()) check(value, found, where + " " + name);
          ++checked;
        }
      };
  check(data["gyro"], schema_member(schema, schema, "gyro"), "gyro");
  check(data["options"], schema_member(schema, schema, "options"), "options");
  check(data["base"], definitions["model"], "base");
  check(data["sites"], definitions["matrix"], "sites");
  const Json& comparison = data["comparisons"][0];
  check(comparison["rows"], definitions["matrix"], "rows");
  check(comparison["types"][0], definitions["type_row"], "type");
  check(comparison["findings"][0], definitions["finding"], "finding");
  check(comparison["outside"], definitions["outside"], "outside");
  EXPECT_GT(checked, 200U);
}

Json against(double value) {
  return {{"value", value}, {"null", 0.1}, {"sd", 0.01}, {"z", 2.5}};
}

// Each row's quantities by its place, curves at the ends of bins; what a matrix has not is null, or NaN in a curve.
TEST_F(ReportTest, HasQuantitiesWhereTheResultHas) {
  const fs::path folder = edited([](Json& document) {
    Json& rows = document["comparisons"][0]["matrices"];
    for (size_t i = 0; i < rows.size(); ++i) {
      rows[i].erase("quantities");
      if (i == 1) continue;
      const Json side = {{"u", against(0.25 + 0.01 * static_cast<double>(i))}, {"k", 6}};
      rows[i]["quantities"] = {{"principal_share", {{"q10", side}}}};
    }
    for (Json& row : document["comparisons"][1]["matrices"]) row.erase("quantities");
  });
  std::vector<ReportInput> list;
  list.push_back(read_report_input(folder));
  const Json comparisons = data_of(render_report(list, {}))["results"][0]["comparisons"];
  const Json& rows = comparisons[0]["rows"];
  EXPECT_EQ(rows["quantities.principal_share.q10.u.value"][0], 0.25);
  EXPECT_EQ(rows["quantities.principal_share.q10.u.value"][2], 0.27);
  EXPECT_EQ(rows["quantities.principal_share.q10.u.null"][2], 0.1);
  EXPECT_EQ(rows["quantities.principal_share.q10.u.z"][2], 2.5);
  EXPECT_TRUE(rows["quantities.principal_share.q10.u.value"][1].is_null());
  EXPECT_TRUE(rows["quantities.principal_share.q50.v.value"].is_null()) << "no row has it";
  EXPECT_TRUE(comparisons[1]["rows"]["quantities.principal_share.q10.u.value"].is_null()) << "an older result";
}

// The curves as they are where n is small; one that the matrix lacks, since it has not changed, is of no numbers.
TEST_F(ReportTest, DrawsTheSharesOnLeadingDirections) {
  const fs::path folder = edited([](Json&) {});
  const SafetensorsFile kept(*shared / "out" / "arrays.safetensors");
  std::vector<TensorToWrite> arrays;
  for (const auto& [name, info] : kept.header().tensors) {
    if (name == "0.0.W_K.principal_u") continue;
    arrays.push_back({name, info.dtype, info.shape, kept.bytes(info)});
  }
  write_safetensors(folder / "arrays.safetensors", arrays, {});
  std::vector<ReportInput> list;
  list.push_back(read_report_input(folder));
  const Json data = data_of(render_report(list, {}))["results"][0];
  const std::vector<float> drawn = floats(data["comparisons"][0]["principal_u"]);
  size_t at = 0;
  for (const Json& row : list[0].document["comparisons"][0]["matrices"]) {
    const auto n = row["n"].get<size_t>();
    const std::string name =
        fmt::format("0.{}.{}.principal_u", row["layer"].get<int>(), row["type"].get<std::string>());
    const auto it = kept.header().tensors.find(name);
    ASSERT_NE(it, kept.header().tensors.end()) << name;
    std::vector<double> values(n);
    widen(it->second.dtype, kept.bytes(it->second).data(), n, values.data());
    for (size_t j = 0; j < n; ++j) {
      if (name == "0.0.W_K.principal_u") {
        EXPECT_TRUE(std::isnan(drawn[at + j])) << j;
      } else {
        EXPECT_FLOAT_EQ(drawn[at + j], static_cast<float>(values[j])) << name << " " << j;
      }
    }
    at += n;
  }
  EXPECT_EQ(at, drawn.size());
}

// A series' figures come as they are; what is none is no result.
TEST_F(ReportTest, SeriesHaveTheirTrajectory) {
  compare("pico-qwen2", dir / "two", {"instruct", "base"});
  Json document = Json::parse(read_text(dir / "two" / "result.json"));
  const Json line = {{"type", "W_Q"}, {"figure", "scale"}, {"at_base", 1}, {"values", {0.5, nullptr}}, {"half_way", 0}};
  document["trajectory"] = {{"steps", {"one", "two"}}, {"lines", {line}}};
  write_text(dir / "two" / "result.json", document.dump());
  std::vector<ReportInput> list;
  list.push_back(read_report_input(dir / "two"));
  EXPECT_EQ(data_of(render_report(list, {}))["results"][0]["trajectory"], document["trajectory"]);
  EXPECT_FALSE(data_of(render_report(inputs(), {}))["results"][0].contains("trajectory"));
  const auto refuse = [&](const char* key, const Json& value) {
    Json strange = document;
    strange["trajectory"]["lines"][0][key] = value;
    write_text(dir / "two" / "result.json", strange.dump());
    EXPECT_TRUE(contains(error_of([&] { read_report_input(dir / "two"); }), "is not a result of gyro diff")) << key;
  };
  refuse("half_way", 2);
  refuse("values", {1});
  refuse("type", "W_X");
  refuse("at_base", "x");
}

// Each two posts, whatever stands between them and whatever the page leaves out.
TEST_F(ReportTest, PostsAreInPairs) {
  compare("pico-qwen2", dir / "two", {"instruct", "base"});
  std::vector<ReportInput> list = inputs();
  list.push_back(read_report_input(dir / "two"));
  const Json data = data_of(render_report(list, {}))["results"][0];
  const Json& schema = Json::parse(read_text(fs::path(GYRO_SOURCE_DIR) / "docs" / "result.schema.json"));
  ASSERT_EQ(data["pairs"].size(), 1U);
  const Json& pair = data["pairs"][0];
  EXPECT_EQ(data["comparisons"][pair["a"].get<size_t>()]["post"]["name"], "instruct");
  EXPECT_EQ(data["comparisons"][pair["b"].get<size_t>()]["post"]["name"], "base (2)");
  const Json document = Json::parse(read_text(dir / "two" / "result.json"));
  const Json& known = document["posts"]["pairs"][0];
  EXPECT_EQ(pair["overlap"]["jaccard"].get<float>(), known["overlap"]["jaccard"].get<float>());
  EXPECT_EQ(pair["types"].size(), known["types"].size());
  for (const auto& [key, value] : pair["overlap"].items())
    EXPECT_TRUE(schema["$defs"]["overlap"]["properties"].contains(key)) << key;
  EXPECT_TRUE(data_of(render_report(inputs(), {}))["results"][0]["pairs"].empty());
  Json strange = document;
  strange["posts"]["pairs"][0]["b"] = 7;  // of four comparisons
  write_text(dir / "two" / "result.json", strange.dump());
  EXPECT_TRUE(contains(error_of([&] { read_report_input(dir / "two"); }), "is not a result of gyro diff"));
}

TEST(Number, TellsAMissingKeyFromAnUndefinedNumber) {
  const Json object = {{"nf", 0.5}, {"scale", nullptr}};
  EXPECT_EQ(number(object, "nf"), 0.5);
  EXPECT_TRUE(std::isnan(number(object, "scale")));
  EXPECT_TRUE(contains(error_of([&] { number(object, "nff"); }), "lacks the number nff"));
}

TEST_F(ReportTest, GrowsCoarserToFitAndSaysSoWhenItCannot) {
  const std::vector<ReportInput> list = inputs();
  const size_t whole = page_data(list, "", kReportLimit).size();
  const std::string smaller = page_data(list, "", whole * 3 / 5);
  EXPECT_LE(smaller.size(), whole * 3 / 5);
  const Json result = Json::parse(smaller)["results"][0];
  EXPECT_LT(result["comparisons"][0]["corners"]["0"]["size"], 25);
  EXPECT_TRUE(contains(error_of([&] { page_data(list, "", 2000); }), "too many for one page"));
}

// Whatever flag the analysis can set has its meaning in the page.
TEST_F(ReportTest, ExplainsEveryFlag) {
  const std::string script = page_script();
  const std::regex setting("flags\\.push_back\\(\"(\\w+)\"\\)");
  size_t found = 0;
  for (const fs::directory_entry& file : fs::recursive_directory_iterator(fs::path(GYRO_SOURCE_DIR) / "gyro")) {
    if (file.path().extension() != ".cc") continue;
    const std::string text = read_text(file.path());
    for (std::sregex_iterator it(text.begin(), text.end(), setting), end; it != end; ++it, ++found) {
      const std::string flag = (*it)[1];
      EXPECT_TRUE(contains(script, "\n  " + flag + ": \"")) << flag << " of " << file.path();
    }
  }
  EXPECT_GE(found, 6U);
}

// A result of matrices so large that most of the work is in their curves.
ReportInput large_matrices(const fs::path& folder) {
  constexpr int64_t n = 16384;
  const std::vector<double> sigma(n, 1.5);
  const auto bytes = std::as_bytes(std::span(sigma));
  std::vector<TensorToWrite> arrays;
  Json rows = Json::array();
  for (int64_t layer = 0; layer < 4; ++layer) {
    rows.push_back({{"layer", layer},
                    {"type", "W_Q"},
                    {"d_in", n},
                    {"d_out", n},
                    {"n", n},
                    {"scale", 1},
                    {"energy", {{"total", 1}}},
                    {"null", {{"valid", true}}}});
    for (const char* name : {"base.{}.W_Q.sigma", "0.{}.W_Q.sigma", "0.{}.W_Q.turn_u", "0.{}.W_Q.turn_v"}) {
      arrays.push_back({fmt::format(fmt::runtime(name), layer), DType::F64, {n}, bytes});
    }
  }
  write_safetensors(folder / "arrays.safetensors", arrays, {});
  const Json comparison = {{"post", {{"id", "p"}}},
                           {"role", "post"},
                           {"types", Json::array()},
                           {"findings", Json::array()},
                           {"matrices", rows}};
  const Json document = {{"schema", "gyro.diff/2"}, {"base", {{"id", "b"}}}, {"comparisons", {comparison}}};
  write_text(folder / "result.json", document.dump());
  return read_report_input(folder);
}

double seconds_of(clockid_t clock) {
  timespec time = {};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// With one thread it is this one that does all the work: the process spends no time besides.
TEST_F(ReportTest, WorksOnAsManyThreadsAsItIsGiven) {
  std::vector<ReportInput> list;
  list.push_back(large_matrices(dir.path()));
  const double all = seconds_of(CLOCK_PROCESS_CPUTIME_ID), here = seconds_of(CLOCK_THREAD_CPUTIME_ID);
  render_report(list, {.threads = 1});
  const double spent = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - all;
  EXPECT_LT(spent - (seconds_of(CLOCK_THREAD_CPUTIME_ID) - here), 0.25 * spent);
}

TEST_F(ReportTest, JoinsResultsOfOneBaseAndKeepsOthersApart) {
  compare("pico-qwen2", dir / "same", {"base"});
  compare("pico-llama", dir / "other");
  std::vector<ReportInput> list = inputs();
  list.push_back(read_report_input(*shared / "out"));  // once more: nothing new
  list.push_back(read_report_input(dir / "same"));
  list.push_back(read_report_input(dir / "other"));
  const Json results = data_of(render_report(list, {}))["results"];
  ASSERT_EQ(results.size(), 2U);
  std::set<std::string> names;
  for (const Json& comparison : results[0]["comparisons"]) names.insert(comparison["post"]["name"].get<std::string>());
  EXPECT_EQ(results[0]["comparisons"].size(), 4U);
  EXPECT_EQ(names.size(), 4U) << "names tell the models apart";
  EXPECT_EQ(results[1]["comparisons"].size(), 2U);
}

TEST_F(ReportTest, NamesWhatIsMissing) {
  EXPECT_TRUE(contains(error_of([&] { read_report_input(dir / "nowhere"); }), "nowhere/result.json"));
  fs::remove(edited([](Json&) {}) / "arrays.safetensors");
  EXPECT_TRUE(contains(error_of([&] { read_report_input(dir / "copy"); }), "arrays.safetensors"));
}

TEST_F(ReportTest, RefusesWhatDiffDidNotWrite) {
  const auto refuse = [&](const std::function<void(Json&)>& edit) {
    const fs::path folder = edited(edit);
    return error_of([&] {
      std::vector<ReportInput> list;
      list.push_back(read_report_input(folder));
      render_report(list, {});
    });
  };
  const std::string foreign = "result.json: is not a result of gyro diff";
  EXPECT_TRUE(contains(refuse([](Json& d) { d["schema"] = "gyro.diff/3"; }), foreign));
  EXPECT_TRUE(contains(refuse([](Json& d) { d = Json::array(); }), foreign));
  EXPECT_TRUE(contains(refuse([](Json& d) { d["comparisons"] = Json::array(); }), foreign));
  EXPECT_TRUE(contains(refuse([](Json& d) { d["comparisons"][0]["matrices"].erase(3); }), foreign));
  EXPECT_TRUE(contains(refuse([](Json& d) { d["comparisons"][1]["matrices"][0]["type"] = "W_X"; }), foreign));
  EXPECT_TRUE(contains(refuse([](Json& d) { d["comparisons"][0]["matrices"][0]["n"] = -1; }), foreign));
  EXPECT_TRUE(contains(refuse([](Json& d) { d["comparisons"][0]["matrices"][0].erase("energy"); }), foreign));
  const auto grow = [](Json& d) {
    for (Json& comparison : d["comparisons"]) {
      for (const char* key : {"n", "d_in", "d_out"}) comparison["matrices"][0][key] = int64_t{1} << 40;
    }
  };
  EXPECT_TRUE(contains(refuse(grow), "base.0.W_Q.sigma is not of the shape"));
  const auto move = [](Json& d) {
    for (Json& comparison : d["comparisons"]) comparison["matrices"][0]["layer"] = 77;
  };
  EXPECT_TRUE(contains(refuse(move), "lacks the array base.77.W_Q.sigma"));
  write_text(dir / "copy" / "result.json", "{\"schema\": \"gyro.di");
  EXPECT_TRUE(contains(error_of([&] { read_report_input(dir / "copy"); }), foreign));
}

// Whoever opens it must not run out of stack: 100,000 brackets are 200 kB.
TEST_F(ReportTest, RefusesDeepNesting) {
  const fs::path file = edited([](Json&) {}) / "result.json";
  std::string text = read_text(file);
  text.insert(text.find('{') + 1, "\"deep\":" + std::string(100'000, '[') + std::string(100'000, ']') + ",");
  write_text(file, text);
  EXPECT_TRUE(contains(error_of([&] { read_report_input(dir / "copy"); }), "is not a result of gyro diff"));
}

TEST_F(ReportTest, KeepsNumbersNearTheEndsOfTheRange) {
  const fs::path folder = edited([](Json& document) {
    for (Json& comparison : document["comparisons"]) {
      comparison["matrices"][0]["nf"] = 1e-310;
      comparison["matrices"][1]["nf"] = std::numeric_limits<double>::denorm_min();
      comparison["matrices"][2]["nf"] = std::numeric_limits<double>::max();
    }
  });
  std::vector<ReportInput> list;
  list.push_back(read_report_input(folder));
  const Json nf = data_of(render_report(list, {}))["results"][0]["comparisons"][0]["rows"]["nf"];
  EXPECT_EQ(nf[0], 1e-310);
  EXPECT_EQ(nf[1], std::numeric_limits<double>::denorm_min());
  EXPECT_EQ(nf[2], 1.797693e308);
}

TEST_F(ReportTest, MissingNumbersAreNoTrouble) {
  const fs::path folder = edited([](Json& document) {
    for (Json& comparison : document["comparisons"]) {
      for (Json& row : comparison["matrices"]) {
        row["nf"] = nullptr;
        row["scale"] = nullptr;
        row["null"]["valid"] = false;
        row["null"]["nf"] = nullptr;
        row["energy"]["counter_over_co"] = nullptr;
      }
      comparison["types"] = Json::array();
      comparison["findings"] = Json::array();
    }
  });
  std::vector<ReportInput> list;
  list.push_back(read_report_input(folder));
  const Json data = data_of(render_report(list, {}));
  EXPECT_TRUE(data["results"][0]["comparisons"][0]["rows"]["nf"][0].is_null());
}

TEST(ShortName, TakesTheLastPart) {
  const auto name = [](const char* id, int parts = 1) { return model_name({{"id", id}}, parts); };
  EXPECT_EQ(name("a/b/c"), "c");
  EXPECT_EQ(name("a/b/c", 2), "b/c");
  EXPECT_EQ(name("a/b/c", 9), "a/b/c");
  EXPECT_EQ(name("/a/b/"), "b");
  EXPECT_EQ(name("/"), "/");
  EXPECT_EQ(name(""), "");
  EXPECT_EQ(name("x\ny"), "x?y");
  EXPECT_EQ(model_name(Json::object()), "?");
}

}  // namespace
}  // namespace gyro
