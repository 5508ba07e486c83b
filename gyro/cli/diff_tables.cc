#include "gyro/cli/diff_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "gyro/cli/names.h"
#include "gyro/diff/result_json.h"
#include "gyro/diff/result_names.h"

namespace gyro {
namespace {

using std::string;
using Types = std::vector<MatrixType>;
using CellOf = std::function<string(const TypeRow&)>;

constexpr size_t kNameLimit = 24;
constexpr double kFarFromChance = 4;  // standard deviations
constexpr const char* kFarMark = "†";

/// `digits` decimals, fewer where the error bound does not carry them.
string decimals(double value, int digits, double error = 0) {
  if (std::isnan(value)) return "-";
  while (digits > 0 && error > 0.5 * std::pow(10.0, -digits)) --digits;
  return fmt::format("{:.{}f}", value, digits);
}

string significant(double value) {
  if (std::isnan(value)) return "-";
  if (value != 0 && std::abs(value) < 1e-3) return fmt::format("{:.2e}", value);
  return fmt::format("{:.4f}", value);
}

string times(double ratio) {
  return std::isnan(ratio) ? "-" : fmt::format("×{:.2f}", ratio);
}

string percent(double share) {
  return std::isnan(share) ? "-" : fmt::format("{:.1f} %", 100 * share);
}

// The types that occur: fused ones last.
Types types_of(const Comparison& comparison) {
  Types types;
  for (const TypeRow& row : comparison.types) types.push_back(row.type);
  std::stable_partition(types.begin(), types.end(), [](MatrixType type) { return !type_is_fused(type); });
  return types;
}

std::vector<string> heads_of(const Types& types) {
  std::vector<string> heads;
  for (const MatrixType type : types) heads.emplace_back(type_name(type));
  return heads;
}

// What `cell` makes of each type, or a dash where the comparison has no such type.
std::vector<string> cells_of(const Comparison& comparison, const Types& types, const CellOf& cell) {
  std::vector<string> cells;
  for (const MatrixType type : types) {
    const auto row = std::find_if(comparison.types.begin(), comparison.types.end(),
                                  [&](const TypeRow& one) { return one.type == type; });
    cells.push_back(row == comparison.types.end() ? "-" : cell(*row));
  }
  return cells;
}

// Largest error bound of a type's α, for the digits shown.
double alpha_error(const Comparison& comparison, MatrixType type) {
  double worst = 0;
  for (const MatrixRow& item : comparison.matrices) {
    if (item.type == type) worst = std::max(worst, item.alpha_error);
  }
  return worst;
}

// Of a type's matrices those whose change has no size and no scale, for their base is zero.
std::vector<const MatrixRow*> of_zero(const Comparison& comparison, MatrixType type) {
  std::vector<const MatrixRow*> rows;
  for (const MatrixRow& row : comparison.matrices) {
    if (row.type == type && std::isnan(row.scale)) rows.push_back(&row);
  }
  return rows;
}

// Whether some of a type's matrices have not the figure, though others have.
bool lacks(const TypeRow& type, const std::optional<int64_t>& count) {
  return count && *count > 0 && *count < type.layers;
}
constexpr const char* kMark = "*";

string finding_name(FindingId id) {
  switch (id) {
    case FindingId::Unrelated:
      return "unrelated";
    case FindingId::UniformScaling:
      return "uniform scaling";
    case FindingId::CommonScalar:
      return "common scalar";
    case FindingId::WoAnomaly:
      return "W_O anomaly";
    case FindingId::CoRotation:
      return "co-rotation";
    case FindingId::LowRankUpdate:
      return "low-rank update";
    case FindingId::SparseUpdate:
      return "sparse update";
    case FindingId::PrincipalUpdate:
      return "principal update";
    case FindingId::Intruders:
      return "intruder dimensions";
    case FindingId::UntouchedTypes:
      return "untouched types";
    case FindingId::RoundingOnly:
      return "rounding only";
    case FindingId::Order:
      return "order of models";
  }
  return "";
}

// "as chance"
string verdict_word(Verdict verdict) {
  string word(verdict_name(verdict));
  std::replace(word.begin(), word.end(), '_', ' ');
  return word;
}

string verdict_cell(const Comparison& comparison, FindingId id) {
  for (const Finding& finding : comparison.findings) {
    if (finding.id == id) return verdict_mark(finding.verdict) + " " + verdict_word(finding.verdict);
  }
  return "-";
}

}  // namespace

std::vector<string> model_names(const DiffResult& result) {
  return cut_names(model_names(result.comparisons), kNameLimit);
}

Table scaling_table(const DiffResult& result) {
  const Types types = types_of(result.comparisons.front());
  Table table{
      "Scaling of the top 90 % singular values, α mean ± std over layers (the paper's Table 3)", heads_of(types), {}};
  const std::vector<string> names = model_names(result);
  for (size_t i = 0; i < names.size(); ++i) {
    const Comparison& comparison = result.comparisons[i];
    const auto add = [&](const string& label, bool detail, const CellOf& cell) {
      table.rows.push_back({label, cells_of(comparison, types, cell), detail});
    };
    add(names[i], false, [&](const TypeRow& t) -> string {
      if (t.unchanged == 1) return "unchanged";
      const double error = alpha_error(comparison, t.type);
      return fmt::format("{} ± {}{}", decimals(t.alpha_mean, 4, error), decimals(t.alpha_std, 4, error),
                         lacks(t, t.alpha_layers) ? kMark : "");
    });
    add("null", true, [](const TypeRow& t) -> string {
      if (t.unchanged == 1) return "-";
      return fmt::format("{} ± {}", decimals(t.null.alpha_mean, 4), decimals(t.null.alpha_std, 4));
    });
    add("over null", true, [](const TypeRow& t) -> string {
      if (t.unchanged == 1) return "-";
      return fmt::format("{}, {}", times(t.alpha_mean_over_null), times(t.alpha_std_over_null));
    });
  }
  return table;
}

namespace {

// A row that says something; `untouched`: also of types that did not change, which have no other figures.
void add_row(Table& table, const Comparison& comparison, const string& label, const CellOf& cell, bool detail = false,
             bool untouched = false) {
  const auto of_changed = [&](const TypeRow& t) { return t.unchanged == 1 && !untouched ? "-" : cell(t); };
  Table::Row row{label, cells_of(comparison, types_of(comparison), of_changed), detail};
  if (std::count(row.cells.begin(), row.cells.end(), "-") < std::ssize(row.cells)) table.rows.push_back(row);
}

// A figure among a type's quantities, and a cell that shows it.
using FigureOf = std::function<const Against&(const Quantities&)>;
using ShownAs = std::function<string(const Against&)>;
CellOf of_quantities(const FigureOf& figure, const ShownAs& shown) {
  return [=](const TypeRow& t) { return t.quantities ? shown(figure(*t.quantities)) : "-"; };
}

string far_mark(const Against& figure) {
  return std::abs(figure.z()) > kFarFromChance ? kFarMark : "";
}

// "×1.31†"
string over_chance(const Against& figure) {
  return times(figure.value / figure.null) + far_mark(figure);
}

// "2.0e-4": as short as 0.0002, to as many digits.
string small(double value, int digits) {
  string text = fmt::format("{:.{}e}", value, digits);
  if (const size_t at = text.find("e-0"); at != string::npos) text.erase(at + 2, 1);
  return text;
}

string compact(double value) {
  return value > 0 && value < 1e-3 ? small(value, 1) : significant(value);
}

// A share near 1 by what it lacks: "1−2e-6".
string near_one(double share) {
  const double lacking = 1 - share;
  return lacking > 0 && lacking < 5e-4 ? fmt::format("1−{}", small(lacking, 0)) : decimals(share, 4);
}

// Its value with the mark, and below it its null.
void add_beside(Table& table, const Comparison& comparison, const string& label, const FigureOf& figure,
                const std::function<string(double)>& shown) {
  const size_t before = table.rows.size();
  add_row(table, comparison, label,
          of_quantities(figure, [&](const Against& a) { return shown(a.value) + far_mark(a); }));
  if (table.rows.size() == before) return;
  add_row(table, comparison, "null", of_quantities(figure, [&](const Against& a) { return shown(a.null); }), true);
}

// "all", "3 of 8", "0"
string untouched_cell(const TypeRow& type) {
  if (!type.untouched) return "-";
  if (*type.untouched == type.layers) return "all";
  return *type.untouched == 0 ? "0" : fmt::format("{} of {}", *type.untouched, type.layers);
}

void add_intruders(Table& table, const Comparison& comparison) {
  const auto counted = [](const Intruders& found) { return found.u + found.v; };
  const bool any = std::any_of(comparison.types.begin(), comparison.types.end(),
                               [&](const TypeRow& t) { return t.quantities && counted(t.quantities->intruders) > 0; });
  if (!any) return;
  add_row(table, comparison, "intruders", [&](const TypeRow& t) -> string {
    if (!t.quantities) return "-";
    return fmt::format("{}/{}", counted(t.quantities->intruders), 2 * t.quantities->intruders.of);
  });
  add_row(
      table, comparison, "null",
      [](const TypeRow& t) -> string {
        if (!t.quantities) return "-";
        const Intruders& found = t.quantities->intruders;
        return decimals(found.u_null + found.v_null, 0);
      },
      true);
}

}  // namespace

bool has_where_table(const Comparison& comparison) {
  return !comparison.noise_of && std::any_of(comparison.types.begin(), comparison.types.end(),
                                             [](const TypeRow& t) { return t.quantities || t.untouched; });
}

Table where_table(const Comparison& comparison) {
  Table table{"", heads_of(types_of(comparison)), {}};
  add_row(table, comparison, "rel. change", [&](const TypeRow& t) {
    const bool whole = std::isnan(t.relative_change_mean) || of_zero(comparison, t.type).empty();
    return compact(t.relative_change_mean) + (whole ? "" : kMark);
  });
  const bool any_untouched = std::any_of(comparison.types.begin(), comparison.types.end(),
                                         [](const TypeRow& t) { return t.untouched && *t.untouched > 0; });
  if (any_untouched) add_row(table, comparison, "untouched", untouched_cell, false, true);
  const auto share = [](Against PrincipalShare::*side) -> FigureOf {
    return [=](const Quantities& q) -> const Against& { return q.principal_share.q10.*side; };
  };
  const auto overlap = [](Against SubspaceOverlap::*side) -> FigureOf {
    return [=](const Quantities& q) -> const Against& { return q.subspace_overlap.q10.*side; };
  };
  add_row(table, comparison, "energy, in", of_quantities(share(&PrincipalShare::u), over_chance));
  add_row(table, comparison, "energy, out", of_quantities(share(&PrincipalShare::v), over_chance));
  add_beside(table, comparison, "overlap, in", overlap(&SubspaceOverlap::u), near_one);
  add_beside(table, comparison, "overlap, out", overlap(&SubspaceOverlap::v), near_one);
  add_beside(
      table, comparison, "spectrum", [](const Quantities& q) -> const Against& { return q.spectrum.nss_c; }, compact);
  add_intruders(table, comparison);
  return table;
}

Table update_spectrum_table(const Comparison& comparison) {
  Table table{"Singular values of the change E, beside noise's", heads_of(types_of(comparison)), {}};
  const auto add = [&](const string& label, Against UpdateSpectrum::*figure, string (*shown)(double)) {
    static constexpr Against kNone;
    const auto of = [=](const Quantities& q) -> const Against& {
      return q.update_spectrum ? (*q.update_spectrum).*figure : kNone;
    };
    add_beside(table, comparison, label, of, shown);
  };
  const auto count = [](double value) { return decimals(value, 1); };
  add("eff. rank", &UpdateSpectrum::erank, count);
  add("rank of 90 %", &UpdateSpectrum::rank_90, count);
  add("rank of 99 %", &UpdateSpectrum::rank_99, count);
  add("first", &UpdateSpectrum::top1, percent);
  add("first 16", &UpdateSpectrum::top16, percent);
  add("above noise", &UpdateSpectrum::spikes, count);
  return table;
}

Table masks_table(const Comparison& comparison) {
  Table table{
      "Changed weights among the base's, beside noise rounded to the dtype", heads_of(types_of(comparison)), {}};
  const auto add = [&](const string& label, Against MaskOverlap::*figure) {
    static constexpr Against kNone;
    const auto of = [=](const Quantities& q) -> const Against& { return q.masks ? (*q.masks).*figure : kNone; };
    add_beside(table, comparison, label, of, percent);
  };
  add("smallest 30 %", &MaskOverlap::low);
  add("principal 30 %", &MaskOverlap::principal);
  return table;
}

Table measures_table(const Comparison& comparison) {
  Table table{"", heads_of(types_of(comparison)), {}};
  const auto add = [&](const string& label, const CellOf& cell, bool detail = false) {
    add_row(table, comparison, label, cell, detail);
  };
  const bool said_above = has_where_table(comparison);
  add("α'", [](const TypeRow& t) { return decimals(t.alpha_prime, 1); });
  const auto marked = [](const TypeRow& t, double value) {
    return significant(value) + (lacks(t, t.nf_layers) ? kMark : "");
  };
  add("NF", [&](const TypeRow& t) { return marked(t, t.nf_mean); });
  add(
      "over null", [](const TypeRow& t) { return times(t.nf_mean_over_null); }, true);
  add(
      "of chance", [](const TypeRow& t) { return decimals(t.nf_mean / t.nf_chance, 3); }, true);
  add("robust NF", [&](const TypeRow& t) { return marked(t, t.nf_robust_mean); });
  add(
      "over null", [](const TypeRow& t) { return times(t.nf_robust_mean_over_null); }, true);
  add("symmetric share", [](const TypeRow& t) { return percent(t.symmetric_share); });
  add(
      "null", [](const TypeRow& t) { return percent(t.symmetric_null); }, true);
  add(
      "z", [](const TypeRow& t) { return decimals(t.symmetric_z, 1); }, true);
  add("counter/co", [](const TypeRow& t) { return decimals(t.counter_over_co, 3); });
  const auto of_others = [&](const TypeRow& t, double value) {
    return significant(value) + (std::isnan(value) || of_zero(comparison, t.type).empty() ? "" : kMark);
  };
  if (!said_above) add("rel. change", [&](const TypeRow& t) { return of_others(t, t.relative_change_mean); });
  add("scale c", [&](const TypeRow& t) { return of_others(t, t.scale_mean); });
  add("rank of change", [](const TypeRow& t) { return percent(t.update_rank); });
  add_row(
      table, comparison, "unchanged", [](const TypeRow& t) { return percent(t.unchanged); }, false, !said_above);
  add(
      "expected", [](const TypeRow& t) { return percent(t.sparse_expected); }, true);
  return table;
}

namespace {

// "layer 2, expert 7"
string place_of(int64_t layer, const std::optional<int64_t>& expert) {
  return expert ? fmt::format("layer {}, expert {}", layer, *expert) : fmt::format("layer {}", layer);
}

// "rows 3, 17 are zero in base and post", "row 3 is zero in the base, row 17 is zero in the post"
string zero_words(const ZeroRows& zero) {
  const auto say = [](int64_t count, const std::vector<int64_t>& rows, const char* where) {
    const auto more = count > std::ssize(rows) ? fmt::format(" and {} more", count - std::ssize(rows)) : "";
    return fmt::format("{} {}{} {} zero in {}", count == 1 ? "row" : "rows", fmt::join(rows, ", "), more,
                       count == 1 ? "is" : "are", where);
  };
  if (zero.base == zero.either && zero.post == zero.either) return say(zero.base, zero.base_rows, "base and post");
  std::vector<string> parts;
  if (zero.base > 0) parts.push_back(say(zero.base, zero.base_rows, "the base"));
  if (zero.post > 0) parts.push_back(say(zero.post, zero.post_rows, "the post"));
  return fmt::format("{}", fmt::join(parts, ", "));
}

string lacking_line(const Comparison& comparison, const TypeRow& type) {
  const bool no_alpha = lacks(type, type.alpha_layers);
  std::vector<string> places;
  int64_t lacking = 0;
  for (const MatrixRow& row : comparison.matrices) {
    if (row.type != type.type || !std::isnan(row.nf)) continue;
    if (++lacking > 3) continue;
    places.push_back(fmt::format("that of {} has rank {} of {}{}", place_of(row.layer, row.expert), row.rank, row.n,
                                 row.zero_rows ? fmt::format(" ({})", zero_words(*row.zero_rows)) : ""));
  }
  if (lacking > std::ssize(places)) places.push_back(fmt::format("and {} more", lacking - std::ssize(places)));
  return fmt::format("{} {} of {} over {} of {} matrices: {}", kMark, no_alpha ? "α and NF" : "NF",
                     type_name(type.type), *type.nf_layers, type.layers, fmt::join(places, ", "));
}

}  // namespace

std::vector<string> lacking_lines(const Comparison& comparison) {
  std::vector<string> lines;
  for (const TypeRow& type : comparison.types) {
    if (lacks(type, type.nf_layers)) lines.push_back(lacking_line(comparison, type));
    if (const auto zero = of_zero(comparison, type.type); !zero.empty() && std::ssize(zero) < type.layers)
      lines.push_back(fmt::format(
          "{} scale c and relative change of {} over {} of {} matrices: the base's of {}{} {} zero", kMark,
          type_name(type.type), type.layers - std::ssize(zero), type.layers,
          place_of(zero.front()->layer, zero.front()->expert),
          zero.size() > 1 ? fmt::format(" and {} more", zero.size() - 1) : "", zero.size() > 1 ? "are" : "is"));
  }
  return lines;
}

Table experts_table(const Comparison& comparison) {
  std::vector<const TypeRow*> types;
  for (const TypeRow& type : comparison.types) {
    if (type.experts && type.unchanged != 1) types.push_back(&type);
  }
  Table table{"Experts: median, 10–90 %, and the one furthest from the median", {}, {}};
  if (types.empty()) return table;
  for (const TypeRow* type : types)
    table.columns.push_back(fmt::format("{} ({})", type_name(type->type), type->experts->matrices));
  const auto add = [&](const string& label, FamilySpread ExpertFamily::*figure, string (*shown)(double)) {
    Table::Row middle{label, {}}, band{"10–90 %", {}, true}, furthest{"furthest", {}, true}, where{"at", {}, true};
    for (const TypeRow* type : types) {
      const FamilySpread& spread = *type->experts.*figure;
      middle.cells.push_back(shown(spread.median));
      band.cells.push_back(std::isnan(spread.low) ? "-" : fmt::format("{}–{}", shown(spread.low), shown(spread.high)));
      furthest.cells.push_back(shown(spread.furthest));
      where.cells.push_back(spread.layer ? place_of(*spread.layer, spread.expert) : "-");
    }
    table.rows.insert(table.rows.end(), {middle, band, furthest, where});
  };
  add("α", &ExpertFamily::alpha_mean, [](double value) { return decimals(value, 4); });
  add("NF", &ExpertFamily::nf, significant);
  add("rel. change", &ExpertFamily::relative_change, significant);
  return table;
}

Table verdict_table(const DiffResult& result) {
  Table table{"", model_names(result), {}};
  for (const auto& [id, name] : kNames<FindingId>) {
    Table::Row row{finding_name(id), {}};
    for (const Comparison& comparison : result.comparisons) row.cells.push_back(verdict_cell(comparison, id));
    if (std::count(row.cells.begin(), row.cells.end(), "-") < std::ssize(row.cells)) table.rows.push_back(row);
  }
  return table;
}

string verdict_mark(Verdict verdict) {
  switch (verdict) {
    case Verdict::Yes:
    case Verdict::SomeTypes:
    case Verdict::Counter:
      return "✓";
    case Verdict::Slight:
      return "≈";
    case Verdict::No:
    case Verdict::AsChance:
    case Verdict::Rounding:
      return "○";
    case Verdict::Undefined:
    case Verdict::Unclear:
    case Verdict::NotAsked:
      return "–";
  }
  return "";
}

string precision_line(const Comparison& comparison) {
  size_t direct = 0;
  double error = 0;
  std::set<string> flags;
  for (const MatrixRow& item : comparison.matrices) {
    direct += item.method == Method::Svd ? 1 : 0;
    const double relative = item.alpha_error / item.alpha_mean;
    error = std::isnan(relative) ? error : std::max(error, relative);
    flags.insert(item.flags.begin(), item.flags.end());
  }
  const size_t count = comparison.matrices.size();
  string line =
      fmt::format("{} {} in FP64; α is right to {:.0e} relative", count, count == 1 ? "matrix" : "matrices", error);
  if (direct > 0) line += fmt::format("; {} by direct SVD", direct);
  if (!flags.empty()) line += fmt::format("; flagged: {}", fmt::join(flags, ", "));
  return line;
}

}  // namespace gyro
