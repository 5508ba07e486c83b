#include "gyro/cli/table.h"

#include <gtest/gtest.h>

namespace gyro {
namespace {

Table example() {
  return {.title = "α of 90 %",
          .columns = {"W_Q", "W_gate_up"},
          .rows = {{.label = "instruct", .cells = {"0.9 ± 0.1", "−1"}},
                   {.label = "null", .cells = {"-", "a|b & c_d"}, .detail = true}}};
}

TEST(TextTable, AlignsToTheRight) {
  EXPECT_EQ(text_table(example(), 80),
            "α of 90 %\n"
            "                W_Q  W_gate_up\n"
            "instruct  0.9 ± 0.1         −1\n"
            "  null            -  a|b & c_d\n");
}

TEST(TextTable, PutsWhatDoesNotFitBelow) {
  EXPECT_EQ(text_table(example(), 25),
            "α of 90 %\n"
            "                W_Q\n"
            "instruct  0.9 ± 0.1\n"
            "  null            -\n"
            "\n"
            "          W_gate_up\n"
            "instruct         −1\n"
            "  null    a|b & c_d\n");
  EXPECT_EQ(text_table(example(), 1), text_table(example(), 25));
}

TEST(TextTable, CutsLabelsThatLeaveNoRoom) {
  const Table table{.title = "",
                    .columns = {"of W"},
                    .rows = {{.label = "model.layers.0.mlp.up_proj", .cells = {"1"}},
                             {.label = "model.layers.1.mlp.up_proj", .cells = {"2"}},
                             {.label = "模型模型", .cells = {"3"}}}};
  EXPECT_EQ(text_table(table, 26),
            "                      of W\n"
            "model..0.mlp.up_proj     1\n"  // where they differ
            "model..1.mlp.up_proj     2\n"
            "模型模型                 3\n");
}

TEST(MarkdownTable, EscapesBars) {
  EXPECT_EQ(markdown_table(example()),
            "**α of 90 %**\n\n"
            "|  | W_Q | W_gate_up |\n"
            "|:---|---:|---:|\n"
            "| instruct | 0.9 ± 0.1 | −1 |\n"
            "| null | - | a\\|b & c_d |\n");
}

TEST(LatexTable, IsOfBooktabsWithSpecialCharactersEscaped) {
  EXPECT_EQ(latex_table(example()),
            "% \\usepackage{booktabs}\n"
            "\\begin{table}\n\\centering\n"
            "\\caption{$\\alpha$ of 90 \\%}\n"
            "\\begin{tabular}{lrr}\n\\toprule\n"
            " & $W_{\\mathrm{Q}}$ & $W_{\\mathrm{gate\\_up}}$ \\\\\n\\midrule\n"
            "instruct & 0.9 $\\pm$ 0.1 & $-$1 \\\\\n"
            "\\quad null & - & a|b \\& c\\_d \\\\\n"
            "\\bottomrule\n\\end{tabular}\n\\end{table}\n");
}

}  // namespace
}  // namespace gyro
