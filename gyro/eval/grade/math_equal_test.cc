#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "gyro/eval/grade/grade.h"

namespace gyro::grading {
namespace {

struct Row {
  const char *a, *b, *rule;  // rule: "" for what is not equal
};

std::string rule_of(const std::string& a, const std::string& b) {
  return std::string(math_equal(a, b).value_or(""));
}

void check(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    EXPECT_EQ(rule_of(row.a, row.b), row.rule) << row.a << "  and  " << row.b;
    EXPECT_EQ(rule_of(row.b, row.a), row.rule) << "the other way round: " << row.a << "  and  " << row.b;
  }
}

TEST(MathEqual, SameText) {
  check({{"\\left( 3, \\dfrac{\\pi}{2} \\right)", "(3,\\frac{\\pi}{2})", "same-text"},
         {"$x + 1$.", "x+1", "same-text"},
         {"49,\\!479", "49479", "same-text"},
         {"10\\,000", "10000", "same-text"},
         {"1{,}234", "1,234", "same-text"},
         {"204_5", "204_{5}", "symbolic-equal"},
         {"\\$5", "5", "same-text"},
         {"\\sum_{k=1}^n k", "\\sum_{k=1}^{n} k", ""},  // no formula that is understood
         {"\\sum_{k=1}^n k", "\\sum_{k=1}^n  k", "same-text"},
         {"", "", ""},
         {"{}", "", ""}});
}

TEST(MathEqual, Numbers) {
  check({{"1/2", "0.5", "number-equal"},
         {"\\frac{1}{2}", ".5", "number-equal"},
         {"\\frac12", "\\frac{1}{2}", "number-equal"},
         {"\\frac1{2}", "0.50", "number-equal"},
         {"-\\frac{3}{4}", "\\frac{-3}{4}", "number-equal"},
         {"1/3", "0.333", ""},
         {"1/3", "0.3333333333333333333", ""},
         {"1/3", "0.\\overline{3}", "number-equal"},
         {"\\frac{5}{6}", "0.8\\overline{3}", "number-equal"},
         {"\\frac{5}{6}", "0.\\overline{83}", ""},
         {"3\\frac{1}{2}", "3.5", "number-equal"},
         {"3\\frac12", "7/2", "number-equal"},
         {"3 1/2", "\\frac{7}{2}", "number-equal"},
         {"-3\\frac{1}{2}", "-3.5", "number-equal"},
         {"\\\\frac{1}{2}", "0.5", "number-equal"},  // escaped twice
         {"3\\frac{1}{2}", "1.5", ""},
         {"1,234", "1234", "same-text"},
         {"1,234,567.5", "1234567.5", "same-text"},
         {"1234", "1.234", ""},
         {"1.5 \\times 10^3", "1500", "number-equal"},
         {"1.5e3", "1500", "number-equal"},
         {"2 \\cdot 10^{-3}", "0.002", "number-equal"},
         {"2^{10}", "1024", "number-equal"},
         {"2^10", "1024", "number-equal"},
         {"2^{-1}", "0.5", "number-equal"},
         {"5!", "120", "number-equal"},
         {"\\binom{5}{2}", "10", "number-equal"},
         {"\\sqrt{49}", "7", "number-equal"},
         {"\\sqrt[3]{-8}", "-2", "number-equal"},
         {"8^{2/3}", "4", "number-equal"},
         {"|-3|", "3", "number-equal"},
         {"\\lfloor 2.7 \\rfloor", "2", "number-equal"},
         {"\\lceil 2.1 \\rceil", "3", "number-equal"},
         {"-5", "5", ""},
         {"007", "7", "number-equal"},
         {"6/4", "3/2", "number-equal"},
         {"1/0", "2/0", ""},
         {"0/0", "1", ""},
         {"12345678901234567890123", "12345678901234567890124", ""},
         {"10^{100}", "10^{100} + 1", ""}});
}

TEST(MathEqual, Irrational) {
  check({{"2\\sqrt{2}", "\\sqrt{8}", "evaluated-equal"},
         {"\\sqrt2", "2^{1/2}", "evaluated-equal"},
         {"\\frac{1}{\\sqrt{2}}", "\\frac{\\sqrt2}{2}", "evaluated-equal"},
         {"\\frac{5\\sqrt{42}}{27}", "\\frac{10\\sqrt{42}}{54}", "evaluated-equal"},
         {"\\sqrt{17}", "4.1231", ""},
         {"\\sqrt{17}", "4.123105625617661", ""},
         {"\\sqrt2 \\cdot \\sqrt2", "2", "evaluated-equal"},
         {"\\sqrt2 - \\sqrt2", "0", "evaluated-equal"},
         {"\\frac{9}{4}\\pi", "2.25\\pi", "evaluated-equal"},
         {"\\pi", "3.14", ""},
         {"\\pi", "22/7", ""},
         {"e^{i\\pi}", "-1", "evaluated-equal"},
         {"e^2", "\\exp(2)", "evaluated-equal"},
         {"\\ln e^3", "3", "evaluated-equal"},
         {"\\log_2 8", "3", "evaluated-equal"},
         {"\\log 100", "2", "evaluated-equal"},
         {"\\log_{3} 2", "\\frac{\\ln 2}{\\ln 3}", "evaluated-equal"},
         {"\\ln 2", "\\log 2", ""},
         {"\\sin 30^\\circ", "\\frac12", "evaluated-equal"},
         {"\\sin\\frac{\\pi}{6}", "1/2", "evaluated-equal"},
         {"\\cos 0", "1", "evaluated-equal"},
         {"\\arctan 1", "\\frac{\\pi}{4}", "evaluated-equal"},
         {"\\sin^{-1} 1", "\\frac{\\pi}{2}", "evaluated-equal"},
         {"3 + 4i", "4i + 3", "evaluated-equal"},
         {"3 + 4i", "3 - 4i", ""},
         {"\\sqrt{-1}", "i", "evaluated-equal"},
         {"(1+i)^2", "2i", "evaluated-equal"},
         {"\\sqrt{5 + 2\\sqrt6}", "\\sqrt2 + \\sqrt3", "evaluated-equal"},
         {"\\sqrt{5 + 2\\sqrt6}", "\\sqrt2 + \\sqrt3 + 10^{-15}", ""},
         {"\\sqrt{10^{20}+1} - 10^{10}", "0", ""},
         {"e^{-100}", "0", ""}});
}

TEST(MathEqual, Symbolic) {
  check({{"x^2+2x+1", "(x+1)^2", "symbolic-equal"},
         {"2-2p", "-2(p-1)", "symbolic-equal"},
         {"x^2", "2x", ""},
         {"x^2", "x", ""},
         {"x^3 - x", "0", ""},  // zero at -1, 0 and 1
         {"(x-3)(x-4)(x-5)(x-6)", "0", ""},
         {"\\frac{x^2-1}{x-1}", "x+1", "symbolic-equal"},
         {"\\frac{1}{x} + \\frac{1}{y}", "\\frac{x+y}{xy}", "symbolic-equal"},
         {"xy", "yx", "symbolic-equal"},
         {"x_1 + x_2", "x_2 + x_1", "symbolic-equal"},
         {"x_1", "x_2", ""},
         {"\\dot{x}_0 + x_0", "x_0 + \\dot{x}_{0}", "symbolic-equal"},
         {"\\hat{x}", "x", ""},
         {"\\overline{z}", "z", ""},
         {"x", "X", ""},
         {"\\alpha + 1", "1 + \\alpha", "symbolic-equal"},
         {"\\alpha", "a", ""},
         {"|x|", "x", ""},
         {"\\sqrt{x^2}", "x", ""},
         {"\\sqrt{x^2}", "|x|", "symbolic-equal"},
         {"36x\\sqrt{35x}", "36\\sqrt{35x^3}", "evaluated-equal"},
         {"\\lfloor x \\rfloor", "x", ""},
         {"\\ln x^2", "2\\ln x", ""},
         {"2 \\sin b \\cos a", "2\\cos a\\sin b", "evaluated-equal"},
         {"\\sin^2 x + \\cos^2 x", "1", "evaluated-equal"},
         {"\\sin 2x", "2\\sin x\\cos x", "evaluated-equal"},
         {"\\sin(x)", "\\cos(x)", ""},
         {"\\tan x", "\\frac{\\sin x}{\\cos x}", "evaluated-equal"},
         {"2^{n+1}", "2 \\cdot 2^n", "evaluated-equal"},
         {"n!", "n (n-1)!", "symbolic-equal"},
         {"(n+1)!", "n!", ""},
         {"\\frac{n(n-1)}{2}", "\\binom{n}{2}", "symbolic-equal"},
         {"x^{1/3}", "\\sqrt[3]{x}", "evaluated-equal"},
         {"e^{x+y}", "e^x e^y", "evaluated-equal"},
         {"e^{-xyz}", "\\frac{1}{e^{xyz}}", "evaluated-equal"},
         {"x^{1000/1001}", "x^{1000/1002}", ""},
         {"\\frac{\\pi r}{h+r}", "\\frac{r\\pi}{r+h}", "evaluated-equal"},
         {"x/0", "x/0 + 1", ""},
         {"1/2x", "\\frac{x}{2}", "symbolic-equal"},
         {"\\cosx", "\\cos x", "same-text"},  // spaces were lost
         {"2\\pir", "2\\pi r", "same-text"},
         {"\\foo", "\\fo", ""},
         {"f(x)", "g(x)", ""}});
}

TEST(MathEqual, BracketsAndSets) {
  check({{"(1,2)", "( 1.0, 2 )", "tuple-equal"},
         {"(1,2)", "(2,1)", ""},
         {"(1,2,3)", "(1,2)", ""},
         {"[0,1)", "[0, 2/2)", "interval-equal"},
         {"[0,1)", "[0,1]", ""},
         {"(0,1)", "[0,1]", ""},
         {"(-\\infty, 5]", "(-\\infty, 10/2]", "interval-equal"},
         {"(-\\infty, 5]", "(\\infty, 5]", ""},
         {"\\mathbb{R}", "(-\\infty, \\infty)", "tuple-equal"},
         {"\\{1,2,3\\}", "\\{3,1,2\\}", "set-equal"},
         {"\\{1,2\\}", "\\{1,2,3\\}", ""},
         {"\\{1,2\\}", "(1,2)", ""},
         {"1,2,3", "3, 2, 1", "set-equal"},
         {"1,2,3", "1,2", ""},
         {"3, 5", "3 \\text{ and } 5", "same-text"},
         {"3 or 5", "\\{5,3\\}", "set-equal"},
         {"1,234", "1, 234", "set-equal"},
         {"32349", "32, 349", ""},
         {"100, 200, 300", "100,200,300", "set-equal"},
         {"(1,234)", "(1, 234)", "same-text"},
         {"1 \\pm \\sqrt{19}", "1 - \\sqrt{19}, 1 + \\sqrt{19}", "set-equal"},
         {"1 \\pm \\sqrt{19}", "1 + \\sqrt{19}", ""},
         {"\\{1\\pm\\sqrt5, -2\\}", "-2, 1+\\sqrt5, 1-\\sqrt5", "set-equal"},
         {"\\pm 2", "2, -2", "set-equal"},
         {"\\emptyset", "\\{\\}", "set-equal"},
         {"\\emptyset", "0", ""},
         {"\\{5\\}", "5", "set-equal"},
         {"(0,1) \\cup (2,3)", "(2,3) \\cup (0,1)", "union-equal"},
         {"(0,1) \\cup (2,3)", "(0,1) \\cap (2,3)", ""},
         {"[-1, -\\tfrac12) \\cup (0, 1)", "(0,1) \\cup [-1, -0.5)", "union-equal"},
         {"\\{-1\\} \\cup [0,7)", "[0,7) \\cup \\{-1\\}", "union-equal"},
         {"\\mathbb{R} \\setminus \\{1\\}", "\\mathbb{R} \\setminus \\{2\\}", ""},
         {"\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}", "\\begin{bmatrix} 1 & 4/2 \\\\ 3 & 4 \\end{bmatrix}",
          "matrix-equal"},
         {"\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}", "\\begin{pmatrix} 1 & 3 \\\\ 2 & 4 \\end{pmatrix}", ""},
         {"\\begin{pmatrix} 1 & 2 \\end{pmatrix}", "\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", ""},
         {"\\langle 1, 2 \\rangle", "\\langle 1, 4/2 \\rangle", "tuple-equal"},
         {"(1,2),(3,4)", "(3,4), (1,2)", "set-equal"},
         {"1, 2, 3", "(1,2,3)", "list-tuple-equal"},
         {"1, 2, 3", "(3,2,1)", ""},
         {"\\{1, 2, 3\\}", "(1,2,3)", ""},
         {"1, 3", "(1,3)", ""}});
}

TEST(MathEqual, Relations) {
  check({{"x = 5", "5", "equation-value-equal"},
         {"x = 5", "6", ""},
         {"x = 5", "x=10/2", "relation-equal"},
         {"x = 5", "y = 5", ""},
         {"5 = x", "x = 5", "relation-equal"},
         {"2x = 10", "x = 5", ""},
         {"2x = 10", "5", ""},
         {"f(x) = 2x + 1", "1 + 2x", "equation-value-equal"},
         {"f(x) = 2x", "f(x) = 3x", ""},
         {"2 + 3 = 5", "5", "equation-value-equal"},
         {"2 + 2 = 5", "5", ""},
         {"x = 2 + 3 = 5", "x = 5", "relation-equal"},
         {"x = 2 + 2 = 5", "x = 5", ""},
         {"x = 1/3 \\approx 0.33", "x = \\frac13", "relation-equal"},
         {"-2 \\le x \\le 7", "x \\in [-2,7]", "inequality-interval-equal"},
         {"-2 \\le x \\le 7", "y \\in [-2,7]", ""},
         {"-2 \\le x < 7", "x \\in [-2,7]", ""},
         {"x = 1/3 \\approx 0.33", "\\frac13", "equation-value-equal"},
         {"x = 1/3 \\approx 0.33", "0.33", ""},
         {"\\sqrt{17} \\approx 4.12", "\\sqrt{17}", "equation-value-equal"},
         {"\\sqrt{17} \\approx 4.12", "4.12", ""},
         {"x \\approx 4.12", "4.12", "equation-value-equal"},
         {"\\frac{NO}{BO} = \\frac12", "0.5", "equation-value-equal"},
         {"|AB| = 1", "1", "equation-value-equal"},
         {"S_1 : S_2 = 7 : 32", "7:32", "equation-value-equal"},
         {"0 < f(x) < 1", "(0,1)", "inequality-interval-equal"},
         {"x = 2 \\text{ or } x = 3", "2, 3", "set-equal"},
         {"x = \\pm 2", "x=2, x=-2", "set-equal"},
         {"x \\in [1,2]", "[1,2]", "membership-equal"},
         {"x \\in [1,2]", "[1,2)", ""},
         {"y = 2x + 3", "2x - y + 3 = 0", "relation-equal"},
         {"y = 2x + 3", "2x - y + 4 = 0", ""},
         {"x - 2y + z - 1 = 0", "2x - 4y + 2z = 2", "relation-equal"},
         {"x^2 + y^2 = 1", "x + y = 1", ""},
         {"0 = 0", "x = y", ""},
         {"x > 5", "5 < x", "relation-equal"},
         {"x >= 5", "x \\geq 5", "same-text"},
         {"x > 5", "x \\ge 5", ""},
         {"x > 5", "x < 5", ""},
         {"x + y < 1", "2x + 2y < 2", "relation-equal"},
         {"x + y < 1", "-x - y < -1", ""},
         {"-2 \\le x \\le 7", "[-2,7]", "inequality-interval-equal"},
         {"-2 \\le x \\le 7", "7 \\ge x \\ge -2", "relation-equal"},
         {"-2 < x \\le 7", "[-2,7]", ""},
         {"x > 5", "(5, \\infty)", "inequality-interval-equal"},
         {"x \\le 5", "(-\\infty, 5]", "inequality-interval-equal"},
         {"x \\le 5", "(-\\infty, 5)", ""},
         {"x \\neq 3", "x != 3", "same-text"},
         {"3:4", "3:4", "same-text"},
         {"3:4", "4:3", ""},
         {"f(2) < f(1) < f(4)", "f(4) > f(1) > f(2)", "relation-equal"}});
}

TEST(MathEqual, Words) {
  check({{"\\text{Evelyn}", "evelyn", "text-equal"},
         {"\\text{Evelyn}", "Briana", ""},
         {"dog", "god", ""},
         {"No", "no", "text-equal"},
         {"No", "on", ""},
         {"xyz", "zyx", "symbolic-equal"},
         {"\\text{E}", "E", "same-text"},
         {"\\text{(C)}", "C", "text-equal"},
         {"\\text{C}", "\\text{D}", ""},
         {"E", "e", ""},
         {"\\text{New York}", "new  york.", "text-equal"},
         {"\\text{even}", "\\text{odd}", ""},
         {"n \\text{ is even}", "n \\text{ is odd}", ""}});
}

TEST(MathEqual, UnitsPercentDegrees) {
  check({{"15\\mbox{ cm}^2", "15", "number-equal"},
         {"5 \\text{ cm}", "5 \\text{ m}", ""},
         {"5 \\text{ cm}", "5 \\text{ centimeters}", "number-equal"},
         {"5 \\text{ cm}", "5 cm", "same-text"},
         {"5 \\text{ cm}^2", "5 \\text{ cm}^3", ""},
         {"125\\textnormal{ miles}", "125", "number-equal"},
         {"20 \\text{ apples}", "20", "number-equal"},
         {"60 \\text{ miles per hour}", "60 mph", "number-equal"},
         {"5 \\text{ million}", "5000000", "number-equal"},
         {"5 \\text{ million}", "5", ""},
         {"2.5 million dollars", "2,500,000", "number-equal"},
         {"20 \\text{ apples}", "21 \\text{ apples}", ""},
         {"28\\%", "28", "number-equal"},
         {"28\\%", "28 percent", "same-text"},
         {"28\\%", "0.28", "percent-equal"},
         {"28\\%", "0.28\\%", ""},
         {"28", "0.28", ""},
         {"90^\\circ", "90", "number-equal"},
         {"90^{\\circ}", "90 degrees", "number-equal"},
         {"90^\\circ", "\\frac{\\pi}{2}", ""},
         {"\\$18.90", "18.9", "number-equal"},
         {"10110_2", "10110", ""},
         {"10110_2", "10110_3", ""},
         {"10_2", "2", ""}});
}

TEST(MathEqual, Unicode) {
  check({{"2√2", "2\\sqrt{2}", "evaluated-equal"},
         {"π/2", "\\frac{\\pi}{2}", "evaluated-equal"},
         {"3 × 4", "12", "number-equal"},
         {"−5", "-5", "same-text"},
         {"x ≤ 5", "x \\leq 5", "same-text"},
         {"90°", "90", "number-equal"},
         {"x²", "x^2", "same-text"},
         {"½", "0.5", "number-equal"}});
}

std::string joined(std::initializer_list<std::string_view> parts) {
  std::string out;
  for (const std::string_view part : parts) out.append(part);
  return out;
}

std::string repeated(std::string_view text, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out.append(text);
  return out;
}

// Neither hangs nor ends the process; what is not decided is not equal, what is the same is.
TEST(MathEqual, Hostile) {
  const std::vector<std::string> texts = {joined({repeated("{", 10000), "1", repeated("}", 10000)}),
                                          joined({repeated("(", 2000), "1", repeated(")", 2000)}),
                                          joined({repeated("\\sqrt{", 600), "1", repeated("}", 600)}),
                                          repeated("3\\frac{", 500),
                                          joined({repeated("3\\frac{1}{", 45), "2", repeated("}", 45)}),
                                          joined({repeated("-", 4000), "1"}),
                                          repeated("|", 4000),
                                          joined({"1", repeated("/2", 1500)}),
                                          joined({"x", repeated("^2", 1000)}),
                                          joined({"1", repeated("!", 4000)}),
                                          joined({"2", repeated("^{2", 12), repeated("}", 12)}),
                                          "10^{10^{10}}",
                                          "10^{10^{10^{10}}}",
                                          "(10^{10})!",
                                          "1e99999999999",
                                          joined({"0.", std::string(3000, '7')}),
                                          "(x+1)^{1000000}",
                                          joined({"\\{", repeated("1,", 2000), "1\\}"}),
                                          joined({"\\{", repeated("\\{1,2\\},", 400), "3\\}"}),
                                          joined({"(", repeated("a \\pm b,", 400), "1)"}),
                                          joined({repeated("(2^{9999}+", 20), "1", repeated(")", 20)}),
                                          joined({"a_1", repeated("+a_{1}", 600)}),
                                          std::string("1\0002", 3),
                                          "\xff\xfe",
                                          "\\",
                                          "\\\\",
                                          "^",
                                          "_",
                                          "\\frac",
                                          "\\frac1",
                                          "\\frac123",
                                          "\\sqrt[",
                                          "\\begin{pmatrix}",
                                          "\\begin{",
                                          "\\text{",
                                          "x = = 5",
                                          "1 2",
                                          repeated("\\text{", 1000),
                                          repeated("\\begin{pmatrix} ", 100),
                                          std::string(1 << 20, '1'),
                                          std::string(1 << 20, '{')};
  for (const std::string& text : texts) {
    EXPECT_FALSE(math_equal(text, "7919")) << text.substr(0, 60);
    EXPECT_FALSE(math_equal("7919 x", text)) << text.substr(0, 60);
    EXPECT_TRUE(math_equal(text, text)) << text.substr(0, 60);
    EXPECT_FALSE(math_equal(text, joined({text, "+1"}))) << text.substr(0, 60);
  }
}

const std::vector<std::string> kAnswers = {"\\frac{1}{2}",
                                           "-3\\sqrt{13}",
                                           "(3, \\frac{\\pi}{2})",
                                           "[-1, -\\frac{1}{2}) \\cup (0, \\infty)",
                                           "\\{1, 2, \\frac34\\}",
                                           "x^2 - 2x + 1",
                                           "1 \\pm \\sqrt{19}",
                                           "y = 2x + 3",
                                           "x > 5",
                                           "\\text{Evelyn}",
                                           "15\\text{ cm}^2",
                                           "28\\%",
                                           "90^\\circ",
                                           "204_5",
                                           "\\begin{pmatrix} 0 & 3 \\\\ 0 & -1 \\end{pmatrix}",
                                           "3, 5, 7",
                                           "2 \\sin b \\cos a",
                                           "e^{2\\pi i/3}",
                                           "1,234,567",
                                           "|x - 1|",
                                           "n!"};

TEST(MathEqual, IsReflexive) {
  for (const std::string& answer : kAnswers) EXPECT_TRUE(math_equal(answer, answer)) << answer;
}

TEST(MathEqual, IsSymmetricAndTellsApart) {
  for (size_t i = 0; i < kAnswers.size(); ++i) {
    for (size_t j = 0; j < kAnswers.size(); ++j) {
      EXPECT_EQ(math_equal(kAnswers[i], kAnswers[j]).has_value(), i == j) << kAnswers[i] << "  and  " << kAnswers[j];
    }
  }
}

// White space between tokens, \left and \right, and delimiters of a formula change nothing.
TEST(MathEqual, LooksDoNotCount) {
  for (const std::string& answer : kAnswers) {
    std::string sized;
    for (const char c : answer) {
      if (c == '(' || c == '[') sized += "\\left";
      if (c == ')' || c == ']') sized += "\\right";
      sized += c;
      if (c == ',' || c == '+' || c == '=' || c == '}') sized += "  ";
    }
    if (answer != "1,234,567") {
      EXPECT_TRUE(math_equal(answer, sized)) << sized;
    }
    EXPECT_TRUE(math_equal(answer, joined({"$", answer, "$."}))) << answer;
    EXPECT_TRUE(math_equal(answer, joined({"\\( \\displaystyle ", answer, " \\)"}))) << answer;
    EXPECT_TRUE(math_equal(answer, joined({"{", answer, "}"}))) << answer;
  }
}

}  // namespace
}  // namespace gyro::grading
