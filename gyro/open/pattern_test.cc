#include "gyro/open/pattern.h"

#include <gtest/gtest.h>

#include <chrono>

#include "gyro/base/test_util.h"

namespace gyro {
namespace {

bool matches(std::string_view key, std::string_view module) {
  return ModulePattern("p", key).matches(module);
}

// What Python 3.11 answers to re.match(rf"(.*\.)?({key})$", module).
TEST(ModulePattern, MatchesAsPython) {
  constexpr std::string_view kModule = "model.layers.10.self_attn.q_proj";
  for (const char* key : {"q_proj",
                          "self_attn.q_proj",
                          "self_attn\\.q_proj",
                          "layers\\.(1|10)\\.self_attn\\.[a-q]_proj",
                          "^model.layers.10.self_attn.q_proj",
                          "model.*",
                          ".*",
                          "layers.\\d+.self_attn.\\w+",
                          "q_proj$",
                          "(?:k|q|v)_proj",
                          "layers.1?0.*q_proj",
                          "layers.[0-9]{2}.self_attn.q_proj",
                          "layers.\\d{1,}.self_attn.q_proj",
                          "[^.]+",
                          "q_pro.",
                          "k_proj|q_proj",
                          "()q_proj",
                          "(a*)*q_proj",
                          "layers.10.+?q_proj",
                          "[q\\]-]_proj",
                          "q_{1}proj",
                          "",
                          "x|"}) {
    if (std::string_view(key).empty() || std::string_view(key) == "x|") {
      EXPECT_FALSE(matches(key, kModule)) << key;
      EXPECT_TRUE(matches(key, "model.")) << key;
    } else {
      EXPECT_TRUE(matches(key, kModule)) << key;
    }
  }
  for (const char* key : {"proj", "_proj", "k_proj", "attn.q_proj", "^q_proj", "layers.1.self_attn.q_proj", "Q_PROJ",
                          "layers\\.\\d\\.self_attn.q_proj", "q_proj.", "[^q]_proj", "q_proj{2}", "\\D+\\d+", "q$_proj",
                          "layers.{3}10.self_attn.q_proj", "q_proj{", "\\s*"}) {
    EXPECT_FALSE(matches(key, kModule)) << key;
  }
  EXPECT_TRUE(matches("q{x}", "q{x}"));
  EXPECT_TRUE(matches("a{,2}b", "aab"));
  EXPECT_FALSE(matches("a{,2}b", "aaab"));
}

TEST(ModulePattern, RefusesWhatItDoesNotRead) {
  for (const char* key : {"(", ")", "[a", "a**", "*", "(?=a)", "(?P<x>a)", "\\b", "(a)\\1", "a\\", "[b-a]", "a{3,1}",
                          "(?i)a", "a{1001}", "((a{100}){100}){100}"}) {
    EXPECT_TRUE(contains(error_of([&] { ModulePattern("file: alpha_pattern", key); }), "file: alpha_pattern: \""))
        << key;
  }
  EXPECT_TRUE(contains(error_of([&] { ModulePattern("f", std::string(3000, 'a')); }), "too long"));
  EXPECT_TRUE(contains(error_of([&] { ModulePattern("f", std::string(500, '(')); }), "is no expression"));
}

// A plain name is held against names as the same expression in a group is, which is compiled.
TEST(ModulePattern, PlainNamesAreExpressions) {
  const std::vector<std::string> modules = {"model.layers.10.self_attn.q_proj",
                                            "q_proj",
                                            "xq_proj",
                                            "a.q_proj",
                                            "q-proj",
                                            "q_projx",
                                            "a.xq_proj",
                                            "",
                                            ".",
                                            "a.q\nproj",
                                            "a\nb.q_proj",
                                            "layers.1.q.proj"};
  for (const char* key : {"q_proj", "q.proj", ".", "..", "layers.10.self_attn.q_proj", ".q_proj", "self_attn.q_proj",
                          "proj", "model.layers.10.self_attn.q_proj", "x.model.layers.10.self_attn.q_proj"}) {
    EXPECT_EQ(ModulePattern("p", key).steps(), 0u);
    EXPECT_GT(ModulePattern("p", fmt::format("({})", key)).steps(), 0u);
    for (const std::string& module : modules) {
      EXPECT_EQ(matches(key, module), matches(fmt::format("({})", key), module)) << key << " of " << module;
    }
  }
}

// Where backtracking takes 2^60 steps.
TEST(ModulePattern, TakesLinearTime) {
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(matches("(a*)*(a|a)*(.*.*.*)*c", std::string(2000, 'a')));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
}

}  // namespace
}  // namespace gyro
