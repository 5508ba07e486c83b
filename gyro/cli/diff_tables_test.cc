#include "gyro/cli/diff_tables.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "gyro/base/test_util.h"
#include "gyro/base/utf8.h"
#include "gyro/cli/diff_text.h"

namespace gyro {
namespace {

constexpr MatrixType kSeven[] = {MatrixType::Q,    MatrixType::K,  MatrixType::V,   MatrixType::O,
                                 MatrixType::Gate, MatrixType::Up, MatrixType::Down};

Quantities some_quantities() {
  Quantities q;
  q.principal_share.q10 = {.k = 6, .u = {0.131, 0.1, 0.002}, .v = {0.101, 0.1, 0.002}, .uv = {}};
  q.subspace_overlap.q10.u = {0.95, 0.96, 0.001};
  q.subspace_overlap.q10.v = {1 - 2e-6, 1 - 2e-6, 1e-6};
  q.spectrum.nss_c = {0.012, 0.0118, 0.001};
  q.intruders = {.of = 80, .u = 2, .v = 1, .u_null = 0, .v_null = 1};
  return q;
}

// Seven types of eight layers: all changed, but the last wholly and the one before it in part.
Comparison compared() {
  Comparison comparison;
  comparison.post.id = "instruct";
  for (const MatrixType type : kSeven) {
    TypeRow row;
    row.type = type;
    row.layers = 8;
    row.relative_change_mean = 0.0918;
    row.unchanged = 0.25;
    row.untouched = type == MatrixType::Up ? 3 : 0;
    row.quantities = some_quantities();
    comparison.types.push_back(row);
  }
  TypeRow& last = comparison.types.back();
  last.unchanged = 1;
  last.untouched = 8;
  last.relative_change_mean = 0;
  last.quantities.reset();
  return comparison;
}

DiffResult result_of(const Comparison& comparison) {
  DiffResult result;
  result.base.id = "base";
  result.comparisons = {comparison};
  return result;
}

std::vector<std::string> labels(const Table& table) {
  std::vector<std::string> all;
  for (const Table::Row& row : table.rows) all.push_back(row.label);
  return all;
}

// The cells of the row of this label; with `below` those of its null.
std::vector<std::string> cells(const Table& table, const std::string& label, size_t below = 0) {
  const auto row = std::ranges::find(table.rows, label, &Table::Row::label);
  return row == table.rows.end() ? std::vector<std::string>{}
                                 : table.rows[static_cast<size_t>(row - table.rows.begin()) + below].cells;
}

size_t width_of(const std::string& text) {
  std::istringstream lines(text);
  size_t width = 0;
  for (std::string line; std::getline(lines, line);) width = std::max(width, columns_of(line));
  return width;
}

TEST(WhereTable, SaysFiguresBesideChance) {
  const Table table = where_table(compared());
  EXPECT_EQ(cells(table, "rel. change").front(), "0.0918");
  EXPECT_EQ(cells(table, "rel. change").back(), "-");
  EXPECT_EQ(cells(table, "untouched"), (std::vector<std::string>{"0", "0", "0", "0", "0", "3 of 8", "all"}));
  EXPECT_EQ(cells(table, "energy, in").front(), "×1.31†") << "15 standard deviations";
  EXPECT_EQ(cells(table, "energy, out").front(), "×1.01") << "half a standard deviation";
  EXPECT_EQ(cells(table, "energy, in").back(), "-") << "has not changed";
  EXPECT_EQ(cells(table, "overlap, in").front(), "0.9500†");
  EXPECT_EQ(cells(table, "overlap, in", 1).front(), "0.9600");
  EXPECT_EQ(cells(table, "overlap, out").front(), "1−2e-6");
  EXPECT_EQ(cells(table, "spectrum").front(), "0.0120");
  EXPECT_EQ(cells(table, "spectrum", 1).front(), "0.0118");
  EXPECT_EQ(cells(table, "intruders").front(), "3/160");
  EXPECT_EQ(cells(table, "intruders", 1).front(), "1");
}

TEST(WhereTable, HasOnlyRowsThatSaySomething) {
  Comparison comparison = compared();
  comparison.types.resize(5);
  for (TypeRow& row : comparison.types) {
    row.quantities->intruders = {.of = 80, .u = 0, .v = 0};
    row.quantities->spectrum = {};
    row.quantities->subspace_overlap.q10.v = {};
    row.quantities->subspace_overlap.q10.u = {.value = 0.9, .null = kUndefined, .sd = kUndefined};
  }
  EXPECT_EQ(labels(where_table(comparison)),
            (std::vector<std::string>{"rel. change", "energy, in", "energy, out", "overlap, in"}));
  EXPECT_EQ(cells(where_table(comparison), "overlap, in").front(), "0.9000") << "no null, no mark";
}

TEST(WhereTable, SevenTypesStandBesideEachOther) {
  Comparison comparison = compared();
  EXPECT_LE(width_of(text_table(where_table(comparison), 200)), 80U);
  for (TypeRow& row : comparison.types) {  // as little as RL changes
    if (!row.quantities) continue;
    row.quantities->spectrum.nss_c = {1.96e-4, 1.5e-4, 1e-6};
    row.quantities->subspace_overlap.q10.u = {1 - 2e-5, 1 - 1e-5, 1e-7};
  }
  EXPECT_EQ(cells(where_table(comparison), "spectrum").front(), "2.0e-4†");
  EXPECT_LE(width_of(text_table(where_table(comparison), 200)), 80U);
}

TEST(WhereTable, StandsFirstAndSaysWhatTheOthersNeedNot) {
  const Terminal terminal{.width = 80, .colour = false};
  const std::string text = diff_text(result_of(compared()), terminal);
  const size_t where = text.find("What changed where: instruct");
  ASSERT_NE(where, text.npos);
  EXPECT_LT(where, text.find("Scaling of the top"));
  const size_t change = text.find("rel. change");
  EXPECT_EQ(text.find("rel. change", change + 1), text.npos) << "said once";
  EXPECT_LE(width_of(text), 80U);
  EXPECT_TRUE(contains(diff_markdown(result_of(compared())), "**What changed where: instruct**"));
  EXPECT_TRUE(contains(diff_latex(result_of(compared())), "\\caption{What changed where: instruct}"));
  EXPECT_TRUE(contains(diff_latex(result_of(compared())), "$\\times$1.31\\textsuperscript{\\dag}"));
}

TEST(WhereTable, OlderResultsAndNoiseHaveNone) {
  Comparison comparison = compared();
  comparison.noise_of = "instruct";
  EXPECT_FALSE(has_where_table(comparison));
  EXPECT_EQ(cells(measures_table(comparison), "rel. change").front(), "0.0918");
  comparison.noise_of.reset();
  EXPECT_TRUE(has_where_table(comparison));
  for (TypeRow& row : comparison.types) {
    row.quantities.reset();
    row.untouched.reset();
  }
  EXPECT_FALSE(has_where_table(comparison));
  const std::string text = diff_text(result_of(comparison), Terminal{.width = 80, .colour = false});
  EXPECT_FALSE(contains(text, "What changed where"));
  EXPECT_FALSE(contains(text, "energy:"));
  EXPECT_TRUE(contains(text, "rel. change"));
}

TEST(MeasuredTables, StandWhereTheyWereAskedFor) {
  Comparison comparison = compared();
  EXPECT_TRUE(update_spectrum_table(comparison).rows.empty());
  EXPECT_TRUE(masks_table(comparison).rows.empty());
  UpdateSpectrum update;
  update.erank = {12.34, 50, 1};
  update.top1 = {0.5, 0.04, 0.01};
  update.spikes = {4, 0, 0.5};
  comparison.types.front().quantities->update_spectrum = update;
  comparison.types.front().quantities->masks = MaskOverlap{.low = {0.47, 0.46, 0.01}, .principal = {0.25, 0.25, 0.01}};
  const Table spectrum = update_spectrum_table(comparison);
  EXPECT_EQ(labels(spectrum), (std::vector<std::string>{"eff. rank", "null", "first", "null", "above noise", "null"}));
  EXPECT_EQ(cells(spectrum, "eff. rank").front(), "12.3†");
  EXPECT_EQ(cells(spectrum, "eff. rank")[1], "-");
  EXPECT_EQ(cells(spectrum, "above noise").front(), "4.0†");
  const Table masks = masks_table(comparison);
  EXPECT_EQ(cells(masks, "smallest 30 %").front(), "47.0 %");
  EXPECT_EQ(cells(masks, "smallest 30 %", 1).front(), "46.0 %");
  EXPECT_TRUE(contains(diff_markdown(result_of(comparison)), "Singular values of the change"));
}

}  // namespace
}  // namespace gyro
