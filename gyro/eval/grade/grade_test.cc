#include "gyro/eval/grade/grade.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

namespace gyro::grading {
namespace {

enum Finish { kStop, kCut };

struct Row {
  const char *gold, *output;
  Finish finish;
  const char *strict, *flexible;  // verdict, rule and what was extracted
};

std::string line_of(const Decision& decision) {
  return std::string(verdict_name(decision.verdict))
      .append(" ")
      .append(decision.rule)
      .append(": ")
      .append(decision.extracted);
}

void check(Policy policy, const std::vector<Row>& rows, const std::vector<std::string>& choices = {}) {
  for (const Row& row : rows) {
    const Grade got = grade({policy, row.gold, row.output, row.finish == kCut, choices});
    EXPECT_EQ(line_of(got.strict), row.strict) << row.output;
    const std::string flexible = row.flexible == nullptr ? row.strict : row.flexible;
    EXPECT_EQ(line_of(got.flexible), flexible) << row.output;
  }
}

TEST(Grade, NamesAreTheirOwnInverse) {
  for (const std::string& name : policy_names()) EXPECT_EQ(policy_name(*policy_of(name)), name);
  EXPECT_EQ(policy_names().size(), 4u);
  EXPECT_FALSE(policy_of("maths"));
  EXPECT_FALSE(policy_of(""));
}

TEST(Grade, Boxed) {
  check(Policy::Boxed,
        {{"42", "so \\boxed{42}.", kStop, "correct boxed-exact: 42", nullptr},
         {"42", "\\boxed{41} no, \\boxed{42}", kStop, "correct boxed-exact: 42", nullptr},
         {"42", "\\boxed{42} no, \\boxed{41}, since so it is.", kStop, "wrong not-equal: 41", nullptr},
         {"\\frac{1}{2}", "\\boxed{ \\dfrac{1}{2} }", kStop, "correct boxed-exact: \\dfrac{1}{2}", nullptr},
         {"\\frac{1}{2}", "\\boxed{0.5}", kStop, "wrong not-equal: 0.5", nullptr},
         {"73", "\\boxed{073}", kStop, "correct number-equal: 073", nullptr},
         {"1,000", "\\boxed{\\$1000.00}", kStop, "correct number-equal: \\$1000.00", nullptr},
         {"1,000", "\\boxed{$1000.00}", kStop, "correct number-equal: $1000.00", nullptr},
         {"42", "\\boxed{\\boxed{42}}", kStop, "correct boxed-exact: 42", nullptr},
         {"\\{1\\}", "\\boxed{\\{1\\}}", kStop, "correct boxed-exact: \\{1\\}", nullptr},
         {"42", "\\fbox{42}", kStop, "correct boxed-exact: 42", nullptr},
         {"42", "\\boxed 42", kStop, "correct boxed-exact: 42", nullptr},
         {"42", "$\\boxed 42$ it is", kStop, "correct boxed-exact: 42", nullptr},
         {"42", "The answer is 42", kStop, "wrong no-answer: ", "correct boxed-exact: 42"},
         {"42", "", kStop, "wrong no-answer: ", nullptr},
         {"42", "We have 42", kStop, "wrong no-answer: ", "correct boxed-exact: 42"},
         {"42", "We have 42", kCut, "N/A no-answer: ", nullptr}});
}

TEST(Grade, EmptyBoxIsAWrongAnswer) {
  for (const char* output : {"\\boxed{}", "\\boxed{ }", "\\boxed{42} \\boxed{}"}) {
    const Grade got = grade({Policy::Math, "42", output});
    EXPECT_EQ(line_of(got.strict), "wrong empty-answer: ") << output;
  }
  check(Policy::Math,
        {{"", "\\boxed{}", kStop, "wrong empty-answer: ", nullptr},
         {"42", "\\boxed{}", kCut, "wrong empty-answer: ", nullptr},
         {"42", "\\boxed{}, so the answer is 42.", kStop, "wrong empty-answer: ", "correct same-text: 42"}});
}

TEST(Grade, CutOutputs) {
  check(Policy::Math, {{"12", "so \\boxed{12", kCut, "N/A no-answer: ", nullptr},
                       {"12", "so \\boxed{12", kStop, "wrong no-answer: ", "correct same-text: 12"},
                       {"12", "so \\boxed", kCut, "N/A no-answer: ", nullptr},
                       {"12", "as in \\boxed{7}: \\boxed{12", kCut, "N/A no-answer: ", "wrong not-equal: 7"},
                       {"12", "as in \\boxed{7}: \\boxed{12", kStop, "wrong not-equal: 7", nullptr},
                       {"12", "\\boxed{12} and then a lot of other text", kCut, "correct same-text: 12", nullptr},
                       {"12", "the answer is 12. Let us", kCut, "N/A no-answer: ", "correct same-text: 12"},
                       {"12", "", kCut, "N/A no-answer: ", nullptr}});
}

TEST(Grade, Thinking) {
  check(Policy::Math,
        {{"5", "<think>\\boxed{4}</think>It is \\boxed{5}", kStop, "correct same-text: 5", nullptr},
         {"5", "<think>\\boxed{5}</think>It is \\boxed{4}", kStop, "wrong not-equal: 4", nullptr},
         {"5", "<think>\\boxed{5}</think>", kStop, "wrong no-answer: ", "correct same-text: 5"},
         {"5", "so \\boxed{5}</think>Done.", kStop, "wrong no-answer: ", "correct same-text: 5"},
         {"5", "<think>an example: \\boxed{5}", kCut, "N/A no-answer: ", "correct same-text: 5"},
         {"5", "<think>then x is 5 and", kCut, "N/A no-answer: ", nullptr},
         {"5", "<think>a</think>\\boxed{4}<think>b</think>\\boxed{5}", kStop, "correct same-text: 5", nullptr},
         {"5", "<think>a</think>The sum is 5.", kStop, "wrong no-answer: ", "correct same-text: 5"}});
}

TEST(Grade, Gsm8k) {
  check(Policy::Gsm8k,
        {{"He has 2*9=<<2*9=18>>18.\n#### 18", "\\boxed{18}", kStop, "correct number-equal: 18", nullptr},
         {"18", "so\n#### 18", kStop, "correct number-equal: 18", nullptr},
         {"18", "##### 17\n#### 18\n##### x", kStop, "correct number-equal: 18", nullptr},
         {"18", "#### $18.00.", kStop, "correct number-equal: $18.00.", nullptr},
         {"1234", "#### 1,234", kStop, "correct number-equal: 1,234", nullptr},
         {"18", "#### Step 1\n2*9\n#### 18 dollars", kStop, "correct number-equal: 18 dollars", nullptr},
         {"18", "\\boxed{17}\n#### 18", kStop, "correct number-equal: 18", nullptr},
         {"18", "#### 18\n\\boxed{17}", kStop, "wrong not-equal: 17", nullptr},
         {"18", "\\boxed{18 \\text{ dollars}}", kStop, "correct number-equal: 18 \\text{ dollars}", nullptr},
         {"18", "\\boxed{\\$18}", kStop, "correct number-equal: \\$18", nullptr},
         {"18", "\\boxed{18 dollars per day}", kStop, "correct number-equal: 18 dollars per day", nullptr},
         {"50", "\\boxed{50\\%}", kStop, "correct number-equal: 50\\%", nullptr},
         {"0.5", "\\boxed{\\frac{1}{2}}", kStop, "correct number-equal: \\frac{1}{2}", nullptr},
         {"1.5", "\\boxed{1 1/2}", kStop, "correct number-equal: 1 1/2", nullptr},
         {"3/4", "\\boxed{0.75}", kStop, "correct number-equal: 0.75", nullptr},
         {"5", "\\boxed{5x}", kStop, "wrong not-equal: 5x", nullptr},
         {"5", "\\boxed{5kg}", kStop, "correct number-equal: 5kg", nullptr},
         {"5", "\\boxed{5 million}", kStop, "wrong not-equal: 5 million", nullptr},
         {"5000000", "\\boxed{\\$5 million}", kStop, "correct number-equal: \\$5 million", nullptr},
         {"9", "\\boxed{√9}", kStop, "wrong not-equal: √9", nullptr},
         {"3", "\\boxed{√9}", kStop, "correct number-equal: √9", nullptr},
         {"9", "\\boxed{sqrt 9}", kStop, "wrong not-equal: sqrt 9", nullptr},
         {"5", "\\boxed{minus 5}", kStop, "wrong not-equal: minus 5", nullptr},
         {"5", "\\boxed{€5}", kStop, "correct number-equal: €5", nullptr},
         {"5", "\\boxed{5k}", kStop, "wrong not-equal: 5k", nullptr},
         {"5", "\\boxed{-5}", kStop, "wrong not-equal: -5", nullptr},
         {"5", "\\boxed{5.01}", kStop, "wrong not-equal: 5.01", nullptr},
         {"18", "Each day she makes 18 dollars.", kStop, "wrong no-answer: ", "correct number-equal: 18"},
         {"18", "It is $9*$2 = $18.", kStop, "wrong no-answer: ", "correct number-equal: $18"},
         {"-3", "The change is -3.", kStop, "wrong no-answer: ", "correct number-equal: -3"},
         {"-3", "It is now \u22123 degrees.", kStop, "wrong no-answer: ", "correct number-equal: \u22123"},
         {"3", "That is 5-3", kStop, "wrong no-answer: ", "correct number-equal: 3"},
         {"18", "The answer is 18 dollars, of 20.", kStop, "wrong no-answer: ", "correct number-equal: 18"},
         {"18", "The answer is 9*2 = 18 dollars.", kStop, "wrong no-answer: ", "correct number-equal: 18"},
         {"18", "**Answer:** $18", kStop, "wrong no-answer: ", "correct number-equal: $18"},
         {"18", "Answer: 17. No. Final answer: 18", kStop, "wrong no-answer: ", "correct number-equal: 18"},
         {"2", "AZYUK2A", kStop, "wrong no-answer: ", nullptr},
         {"70000", "a profit of \\(200000-130000 = 70{,}000\\) it is", kStop,
          "wrong no-answer: ", "correct equation-value-equal: 200000-130000 = 70{,}000"},
         {"18", "no idea", kStop, "wrong no-answer: ", nullptr},
         {"18", "she then makes 18", kCut, "N/A no-answer: ", nullptr}});
}

TEST(Grade, Math) {
  check(
      Policy::Math,
      {{"Thus $x = \\boxed{\\frac{1}{2}}$.", "\\boxed{0.5}", kStop, "correct number-equal: 0.5", nullptr},
       {"$2\\sqrt2$", "\\[ \\boxed{\n\\sqrt{8}\n} \\]", kStop, "correct evaluated-equal: \\sqrt{8}", nullptr},
       {"1/3", "so $k = \\frac{1}{3}$", kStop, "wrong no-answer: ", "correct equation-value-equal: k = \\frac{1}{3}"},
       {"90", "$ 100 - 100 \\cdot 10\\% = 90 $.", kStop,
        "wrong no-answer: ", "correct equation-value-equal: 100 - 100 \\cdot 10\\% = 90"},
       {"34", "Final Answer: The largest $n$ is 34.", kStop, "wrong no-answer: ", "correct same-text: 34"},
       {"9", "The answer is:\n\\[\n9\n\\]\nas $3^2 = 8 + 1$", kStop, "wrong no-answer: ", "correct same-text: 9"},
       {"5", "The answer is $5$, for $n = 3$.", kStop, "wrong no-answer: ", "correct same-text: 5"},
       {"(1,2)", "The answer is $(1, 2)$.", kStop, "wrong no-answer: ", "correct same-text: (1, 2)"},
       {"x+1", "The answer is x + 1.", kStop, "wrong no-answer: ", "correct same-text: x + 1"},
       {"10/9", "\\frac{10}{9}", kStop, "wrong no-answer: ", "correct number-equal: \\frac{10}{9}"},
       {"1, -2", "\\boxed{-2} \\quad \\text{and} \\quad \\boxed{1}", kStop,
        "correct set-equal: \\boxed{-2} \\quad \\text{and} \\quad \\boxed{1}", nullptr},
       {"1, -2", "$\\boxed{1}$ and $\\boxed{-2}$.", kStop, "correct set-equal: \\boxed{1}$ and $\\boxed{-2}", nullptr},
       {"5", "\\boxed{4} or \\boxed{5}", kStop, "wrong not-equal: \\boxed{4} or \\boxed{5}", nullptr},
       {"5", "\\boxed{4}, no, \\boxed{5}", kStop, "correct same-text: 5", nullptr},
       {"5", "\\boxed{5}\n\\boxed{5}", kStop, "correct same-text: 5", nullptr},
       {"1/2", "\\\\boxed{\\\\frac{1}{2}}", kStop, "correct number-equal: \\\\frac{1}{2}", nullptr},
       {"7", "$3+4$ is 7", kStop, "wrong no-answer: ", "correct same-text: 7"},
       {"7", "7 is $3+5$", kStop, "wrong no-answer: ", "wrong not-equal: 3+5"},
       {"9", "Answer \\[ \n 9 \n \\]", kStop, "wrong no-answer: ", "correct same-text: 9"},
       {"3, 5", "\\boxed{3 \\text{ and } 5}", kStop, "correct same-text: 3 \\text{ and } 5", nullptr}});
}

TEST(Grade, Choice) {
  check(Policy::Choice,
        {{"B", "\\boxed{B}", kStop, "correct choice-letter: B", nullptr},
         {"(B)", "\\boxed{\\text{B}}", kStop, "correct choice-letter: \\text{B}", nullptr},
         {"B", "\\boxed{\\textbf{(B) }}", kStop, "correct choice-letter: \\textbf{(B) }", nullptr},
         {"B", "\\boxed{\\textbf{(B)}\\ 12}", kStop, "correct choice-letter: \\textbf{(B)}\\ 12", nullptr},
         {"B", "\\boxed{(b)}", kStop, "correct choice-letter: (b)", nullptr},
         {"B", "\\boxed{B.}", kStop, "correct choice-letter: B.", nullptr},
         {"B", "\\boxed{B. Paris}", kStop, "correct choice-letter: B. Paris", nullptr},
         {"B", "\\boxed{(B) Paris}", kStop, "correct choice-letter: (B) Paris", nullptr},
         {"B", "\\boxed{Option B}", kStop, "correct choice-letter: Option B", nullptr},
         {"B", "\\boxed{C}", kStop, "wrong not-equal: C", nullptr},
         {"B", "\\boxed{A} or \\boxed{B}", kStop, "wrong not-equal: \\boxed{A} or \\boxed{B}", nullptr},
         {"B", "\\boxed{BC}", kStop, "wrong not-equal: BC", nullptr},
         {"B", "\\boxed{B + C}", kStop, "wrong not-equal: B + C", nullptr},
         {"B", "Answer: B", kStop, "correct choice-letter: B", nullptr},
         {"B", "thus\n**Answer:** (B)\nThat is all.", kStop, "correct choice-letter: (B)", nullptr},
         {"B", "Final answer: **B**", kStop, "correct choice-letter: B", nullptr},
         {"B", "Answer: A\nAnswer: B", kStop, "correct choice-letter: B", nullptr},
         {"B", "Answer: B\n\\boxed{A}", kStop, "wrong not-equal: A", nullptr},
         {"B", "Answer: none of them", kStop, "wrong no-answer: ", nullptr},
         {"B", "The answer is (B).", kStop, "wrong no-answer: ", "correct choice-letter: B"},
         {"B", "the correct choice is **B** because A is not", kStop, "wrong no-answer: ", "correct choice-letter: B"},
         {"B", "It cannot be C, so it is B", kStop, "wrong no-answer: ", "correct choice-letter: B"},
         {"B", "B is right. A cat is not. I say so.", kStop, "wrong no-answer: ", "correct choice-letter: B"},
         {"B", "Because it can't", kStop, "wrong no-answer: ", nullptr},
         {"B", "It is B", kCut, "N/A no-answer: ", nullptr},
         {"K", "\\boxed{K}", kStop, "wrong not-equal: K", nullptr}});
}

TEST(Grade, ChoiceByText) {
  const std::vector<std::string> choices = {"Paris", "London", "\\frac{1}{2}", "London"};
  check(Policy::Choice,
        {{"A", "\\boxed{Paris}", kStop, "correct choice-text: Paris", nullptr},
         {"Paris", "\\boxed{A}", kStop, "correct choice-letter: A", nullptr},
         {"A", "\\boxed{\\text{paris}}", kStop, "correct choice-text: \\text{paris}", nullptr},
         {"B", "\\boxed{London}", kStop, "wrong not-equal: London", nullptr},  // two options say so
         {"C", "\\boxed{\\dfrac{1}{2}}", kStop, "correct choice-text: \\dfrac{1}{2}", nullptr},
         {"A", "Answer: Paris", kStop, "correct choice-text: Paris", nullptr},
         {"A", "The answer is Paris.", kStop, "wrong no-answer: ", "correct choice-text: Paris"},
         {"A", "paris", kStop, "wrong no-answer: ", "correct choice-text: paris"},
         {"A", "It is Paris", kStop, "wrong no-answer: ", nullptr},
         {"E", "\\boxed{E}", kStop, "wrong not-equal: E", nullptr}},
        choices);
}

// Whatever a model says, grading it takes little time: the text is read a fixed number of times.
TEST(Grade, LongAndHostileOutputs) {
  std::vector<std::string> outputs;
  const auto add = [&](std::string_view piece, size_t count, std::string_view last = "") {
    std::string text;
    for (size_t i = 0; i < count; ++i) text.append(piece);
    outputs.push_back(text.append(last));
  };
  add("\\boxed{", 200'000);
  add("{", 1'000'000);
  add("\\boxed{", 100'000, std::string(100'000, '}'));
  add("#### ", 200'000);
  add("####\n", 200'000);
  add("#", 1'000'000);
  add("answer: ", 200'000);
  add("answer\n", 200'000);
  add("answer: .\n", 100'000);
  add("Answer:\n", 200'000);
  add("$", 1'000'001);
  add("$1", 300'000);
  add("\\(", 300'000);
  add("1,", 500'000);
  add("1/2/", 300'000);
  add("1 ", 500'000);
  add(" ", 1'000'000);
  add("<think>", 100'000);
  add("</think>", 100'000);
  add("A ", 500'000);
  add(std::string_view("\0\xff", 2), 300'000);
  const std::vector<std::string> choices = {"Paris", "London"};
  for (const std::string& output : outputs) {
    for (const std::string& name : policy_names()) {
      const auto begin = std::chrono::steady_clock::now();
      const Grade got = grade({*policy_of(name), "C", output, false, choices});
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
      EXPECT_NE(got.strict.verdict, Verdict::Correct) << name << " " << output.substr(0, 20);
      EXPECT_LT(took.count(), 5) << name << " " << output.substr(0, 20);
    }
  }
}

}  // namespace
}  // namespace gyro::grading
