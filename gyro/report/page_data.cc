#include "gyro/report/page_data.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <numeric>
#include <set>

#include "gyro/arch/arch.h"
#include "gyro/base/error.h"
#include "gyro/base/limits.h"
#include "gyro/base/parallel.h"
#include "gyro/diff/result.h"
#include "gyro/report/curves.h"
#include "gyro/report/page_keys.h"
#include "gyro/report/page_parts.h"
#include "gyro/report/places.h"
#include "gyro/report/quantities_data.h"

namespace gyro {
namespace {

constexpr const char* kDocument = "result.json";
constexpr double kRowBytes = 450;  // about the least that a matrix's numbers take
constexpr double kEstimate = 1.3;  // what an estimate may be off
constexpr std::array kDetails = {Detail{512, 512, 25}, Detail{256, 512, 25}, Detail{256, 256, 25}, Detail{128, 256, 25},
                                 Detail{128, 128, 25}, Detail{96, 96, 16},   Detail{64, 64, 12},   Detail{32, 32, 8}};
constexpr int64_t kSharePoints = 64;  // of a curve of cumulative shares, which is smooth
constexpr std::array kCorners = {"sim_u", "sim_v", "i_orth", "delta_q1", "delta_q2"};

// One comparison of the page: which input it is from, and its number there.
struct Source {
  const ReportInput* input = nullptr;
  size_t number = 0;
  bool has_shares = false;  // whether curves of cumulative shares are kept, as of no older result

  const Json& document() const { return input->document["comparisons"][number]; }
};

// What the page shows under one base.
struct Result {
  const ReportInput* first = nullptr;
  std::vector<Source> comparisons;
  std::vector<const ReportInput*> inputs;
  std::vector<std::string> left_out;  // names of comparisons that the page has no room for

  const Json& base() const { return first->document["base"]; }
  const Json& sites() const { return first->document["comparisons"][0]["matrices"]; }
};

bool same_sites(const Json& a, const Json& b) {
  constexpr std::array keys = {"layer", "type", "d_in", "d_out"};
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](const Json& x, const Json& y) {
    return x.value("expert", -1) == y.value("expert", -1) &&
           std::all_of(keys.begin(), keys.end(), [&](const char* key) { return x[key] == y[key]; });
  });
}

bool same_base(const Result& result, const ReportInput& input) {
  const Json& base = input.document["base"];
  return result.base().value("id", Json()) == base.value("id", Json()) &&
         result.base().value("sha256", Json()) == base.value("sha256", Json()) &&
         same_sites(result.sites(), input.document["comparisons"][0]["matrices"]);
}

bool has_shares(const ReportInput& input, size_t number) {
  const std::string prefix = fmt::format("{}.", number);
  return std::ranges::any_of(input.arrays.header().tensors, [&](const auto& named) {
    return named.first.starts_with(prefix) && named.first.ends_with(".principal_u");
  });
}

std::vector<Result> join(const std::vector<ReportInput>& inputs) {
  std::vector<Result> results;
  for (const ReportInput& input : inputs) {
    auto it = std::find_if(results.begin(), results.end(), [&](const Result& r) { return same_base(r, input); });
    if (it == results.end()) it = results.insert(results.end(), Result{&input, {}, {}, {}});
    it->inputs.push_back(&input);
    for (size_t i = 0; i < input.document["comparisons"].size(); ++i) {
      const Source source{&input, i, has_shares(input, i)};
      const bool known = std::any_of(it->comparisons.begin(), it->comparisons.end(),
                                     [&](const Source& other) { return other.document() == source.document(); });
      if (!known) it->comparisons.push_back(source);
    }
  }
  return results;
}

int64_t whole(const Json& row, const char* key) {
  return row[key].get<int64_t>();
}

std::string site_name(const Json& row) {
  const MatrixType type = type_from_name(row["type"].get<std::string>()).value();
  return matrix_name({whole(row, "layer"), type, row.value("expert", int64_t{-1})}) + ".";
}

std::string array_name(const Source& source, const Json& site, const char* quantity) {
  return fmt::format("{}.{}{}", source.number, site_name(site), quantity);
}

bool has_array(const ReportInput& input, const std::string& name) {
  return input.arrays.header().tensors.contains(name);
}

// A list of objects as an object of lists.
template <typename Keys>
void add_columns(const Json& rows, const char* group, const Keys& keys, Json& columns) {
  for (const char* key : keys) {
    Json column = Json::array();
    for (const Json& row : rows) column.push_back(member(group[0] == '\0' ? row : row[group], key));
    columns[group[0] == '\0' ? key : fmt::format("{}.{}", group, key)] = std::move(column);
  }
}

Json row_columns(const Json& rows) {
  Json columns = Json::object();
  add_columns(rows, "", kRowKeys, columns);
  add_columns(rows, "energy", kRowEnergyKeys, columns);
  add_columns(rows, "null", kRowNullKeys, columns);
  columns.update(quantity_columns(rows));
  return columns;
}

Json type_rows(const Json& types) {
  Json rows = Json::array();
  for (const Json& type : types) {
    Json& row = rows.emplace_back(picked(type, kTypeKeys));
    row["energy"] = picked(member(type, "energy"), kTypeEnergyKeys);
    row["null"] = picked(member(type, "null"), kTypeNullKeys);
    row["rescaled"] = picked(member(type, "rescaled"), kSymmetryKeys);
    row["side"] = picked(member(type, "side"), kSideKeys);
    const Json experts = member(type, "experts");
    row["experts"] = experts.is_object() ? picked(experts, kFamilyKeys) : Json();
    row["verdicts"] = picked(member(type, "verdicts"), kVerdictKeys);
    row["margins"] = picked(member(type, "margins"), kMarginKeys);
    row["quantities"] = type_quantities(type);
  }
  return rows;
}

Json finding_rows(const Json& findings) {
  Json rows = Json::array();
  for (const Json& finding : findings) rows.push_back(picked(finding, kFindingKeys));
  return rows;
}

// What is drawn of one matrix in one comparison.
struct Curves {
  std::vector<float> sigma, turn_u, turn_v, null, alpha, share_u, share_v;
};
constexpr std::array kCurves = {&Curves::sigma, &Curves::turn_u,  &Curves::turn_v, &Curves::null,
                                &Curves::alpha, &Curves::share_u, &Curves::share_v};
constexpr std::array kCurveNames = {"sigma", "turn_u", "turn_v", "turn_null", "alpha", "principal_u", "principal_v"};

std::vector<int64_t> share_bins(int64_t n, const Detail& detail) {
  return log_bins(n, std::min(detail.curve, kSharePoints));
}

// The shares of the k leading directions, k at the end of each bin; none where the comparison has no such curve of any
// matrix, NaN where it has none of this one, which has not changed.
std::vector<float> shares_of(const Source& source, const Json& site, const char* quantity, const Detail& detail) {
  if (!source.has_shares) return {};
  const int64_t n = whole(site, "n");
  const std::vector<int64_t> bins = share_bins(n, detail);
  std::vector<float> shares(bins.size() - 1, std::numeric_limits<float>::quiet_NaN());
  const std::string name = array_name(source, site, quantity);
  if (!has_array(*source.input, name)) return shares;
  const std::vector<double> all = array_values(source.input->arrays, name, {n}, kDocument);
  for (size_t b = 0; b + 1 < bins.size(); ++b)
    shares[b] = static_cast<float>(all[static_cast<size_t>(bins[b + 1] - 1)]);
  return shares;
}

Curves curves_of(const Source& source, const Json& site, const Json& row, const Detail& detail) {
  const int64_t n = whole(site, "n"), m = std::max(whole(site, "d_in"), whole(site, "d_out"));
  const auto values = [&](const char* quantity) {
    return array_values(source.input->arrays, array_name(source, site, quantity), {n}, kDocument);
  };
  const std::vector<double> base =
      array_values(source.input->arrays, "base." + site_name(site) + "sigma", {n}, kDocument);
  const std::vector<double> post = values("sigma");
  const std::vector<int64_t> bins = log_bins(n, detail.curve);
  Curves out;
  out.sigma = bin_means(post, bins);
  out.turn_u = bin_means(values("turn_u"), bins);
  out.turn_v = bin_means(values("turn_v"), bins);
  const double c = number(row, "scale"), total = number(row["energy"], "total");
  const bool valid = row["null"]["valid"] == true && c > 0;
  const double s = std::sqrt(total / (static_cast<double>(m) * static_cast<double>(n))) / c;
  const std::vector<float> unknown(bins.size() - 1, std::numeric_limits<float>::quiet_NaN());
  const TurnNull null = valid ? turn_null(base, m, s) : TurnNull{};
  out.null = valid ? bin_means(null.short_side, bins) : unknown;
  if (m != n) {
    const std::vector<float> of_long = valid ? bin_means(null.long_side, bins) : unknown;
    out.null.insert(out.null.end(), of_long.begin(), of_long.end());
  }
  // One value of each bin, not their mean, which would even out the scatter that is judged.
  const std::vector<int64_t> rows = even_bins(n, detail.rows);
  for (size_t b = 0; b + 1 < rows.size(); ++b) {
    const auto middle = static_cast<size_t>((rows[b] + rows[b + 1] - 1) / 2);
    out.alpha.push_back(static_cast<float>(post[middle] / base[middle]));
  }
  out.share_u = shares_of(source, site, "principal_u", detail);
  out.share_v = shares_of(source, site, "principal_v", detail);
  return out;
}

Json corner_of(const Source& source, const Json& site, const Detail& detail) {
  const int64_t stored = std::min<int64_t>(25, whole(site, "n")), size = std::min(stored, detail.corner);
  Json corner = {{"size", size}};
  for (const char* quantity : kCorners) {
    const std::vector<double> values =
        array_values(source.input->arrays, array_name(source, site, quantity), {stored, stored}, kDocument);
    FloatBlock block;
    for (int64_t i = 0; i < size; ++i) {
      for (int64_t j = 0; j < size; ++j) block.add(static_cast<float>(values[static_cast<size_t>(i * stored + j)]));
    }
    corner[quantity] = block.encoded();
  }
  return corner;
}

// The same of a place: of experts the median at each point.
Curves curves_of(const Source& source, const Json& matrices, const Json& rows, const Place& place,
                 const Detail& detail) {
  std::vector<Curves> members;
  for (const size_t i : place) members.push_back(curves_of(source, matrices[i], rows[i], detail));
  Curves out;
  for (const auto curve : kCurves) {
    std::vector<std::vector<float>> lists;
    for (Curves& one : members) lists.push_back(std::move(one.*curve));
    out.*curve = median_of(lists);
  }
  return out;
}

// What is counted of all matrices, however many stand in a place.
Json counts_of(const Json& rows) {
  const auto count = [&](auto test) { return std::count_if(rows.begin(), rows.end(), test); };
  return {{"matrices", rows.size()},
          {"svd", count([](const Json& row) { return row.value("method", Json()) == "svd"; })},
          {"sampled", count([](const Json& row) { return row["null"].value("alpha_method", Json()) == "sampled"; })}};
}

// What the page needs of a result besides its comparisons' rows.
struct Sites {
  const Json& matrices;
  std::vector<Place> places;
  std::vector<double> norms;  // of the base's matrices
};

Json outside_of(const Json& document) {
  const Json outside = member(document, "outside");
  return outside.is_object() ? picked(outside, kOutsideKeys) : Json();
}

Json trajectory_of(const Json& series) {
  Json lines = Json::array();
  for (const Json& line : series["lines"]) lines.push_back(picked(line, kTrajectoryKeys));
  return {{"steps", series["steps"]}, {"lines", std::move(lines)}};
}

// Where the comparisons of an input stand in the page, which has each but once; behind all of them what is left out.
std::vector<size_t> places_in(const Result& result, const ReportInput& input) {
  std::vector<size_t> places;
  for (const Json& document : input.document["comparisons"]) {
    const auto it =
        std::ranges::find_if(result.comparisons, [&](const Source& source) { return source.document() == document; });
    places.push_back(static_cast<size_t>(it - result.comparisons.begin()));
  }
  return places;
}

// What two comparisons' changes have in common, of those that the page shows: over all matrices, and by type.
Json pairs_of(const Result& result) {
  Json pairs = Json::array();
  std::set<std::pair<size_t, size_t>> known;
  for (const ReportInput* input : result.inputs) {
    const Json posts = member(input->document, "posts");
    if (!posts.is_object()) continue;
    const std::vector<size_t> places = places_in(result, *input);
    for (const Json& pair : posts.value("pairs", Json::array())) {
      const size_t a = places.at(pair["a"].get<size_t>()), b = places.at(pair["b"].get<size_t>());
      if (std::max(a, b) >= result.comparisons.size() || !known.emplace(a, b).second) continue;
      Json types = Json::object();
      for (const Json& type : pair["types"])
        types[type["type"].get<std::string>()] = picked(type["overlap"], kOverlapKeys);
      pairs.push_back({{"a", a},
                       {"b", b},
                       {"pooled", pair["pooled"]},
                       {"overlap", picked(pair["overlap"], kOverlapKeys)},
                       {"types", std::move(types)}});
    }
  }
  return pairs;
}

Json comparison_json(const Source& source, const Sites& sites, const Detail& detail, int threads) {
  const Json& document = source.document();
  const Json& rows = document["matrices"];
  const std::vector<Place>& places = sites.places;
  std::vector<Curves> curves(places.size());
  parallel_for(static_cast<int>(places.size()), threads, [&](int i) {
    const auto at = static_cast<size_t>(i);
    curves[at] = curves_of(source, sites.matrices, rows, places[at], detail);
  });
  Json corners = Json::object(), spreads = Json::object();
  for (size_t i = 0; i < places.size(); ++i) {
    const Json& first = sites.matrices[places[i].front()];
    if (!has_array(*source.input, array_name(source, first, kCorners.front()))) continue;
    corners[std::to_string(i)] = corner_of(source, first, detail);
  }
  for (const char* key : kSpreadKeys) spreads[key] = spreads_of(rows, places, key);
  Json json = {{"post", picked(document["post"], kModelKeys)},
               {"role", document["role"]},
               {"noise_of", member(document, "noise_of")},
               {"folder", folder_name(source.input->folder)},
               {"run", picked(member(source.input->document, "run"), kRunKeys)},
               {"types", type_rows(document["types"])},
               {"findings", finding_rows(document["findings"])},
               {"outside", outside_of(document)},
               {"counts", counts_of(rows)},
               {"rows", row_columns(rows_of(rows, places))},
               {"spreads", std::move(spreads)},
               {"sums", sums_of(rows, places, sites.norms)},
               {"corners", std::move(corners)}};
  for (size_t c = 0; c < kCurves.size(); ++c) {
    FloatBlock all;
    for (const Curves& one : curves) all.add(one.*kCurves[c]);
    json[kCurveNames[c]] = all.encoded();
  }
  return json;
}

// Short names that tell the models apart: the base's, then the comparisons'. Noise has its post's.
std::vector<std::string> names_of(const Result& result) {
  const auto id_of = [](const Json& model) {
    const Json id = model.value("id", Json());
    return id.is_string() ? id.get<std::string>() : std::string("?");
  };
  std::vector<std::string> ids = {id_of(result.base())};
  for (const Source& source : result.comparisons) ids.push_back(id_of(source.document()["post"]));
  std::vector<std::string> known;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (i == 0 || !result.comparisons[i - 1].document().value("noise_of", Json()).is_string()) known.push_back(ids[i]);
  }
  const std::vector<std::string> short_ones = short_names(known);
  const auto short_of = [&](const std::string& id) {
    return short_ones[static_cast<size_t>(std::find(known.begin(), known.end(), id) - known.begin())];
  };
  std::set<std::string> taken;
  std::vector<std::string> names;
  for (size_t i = 0; i < ids.size(); ++i) {
    const Json noise_of = i == 0 ? Json() : result.comparisons[i - 1].document().value("noise_of", Json());
    const bool named = noise_of.is_string() && std::find(known.begin(), known.end(), noise_of) != known.end();
    std::string name = named                  ? fmt::format("noise ({})", short_of(noise_of.get<std::string>()))
                       : noise_of.is_string() ? ids[i]
                                              : short_of(ids[i]);
    name = printable(name, 80);
    const std::string stem = name;
    for (int copy = 2; taken.contains(name); ++copy) name = fmt::format("{} ({})", stem, copy);
    taken.insert(name);
    names.push_back(name);
  }
  return names;
}

Json result_json(const Result& result, const Detail& detail, int threads) {
  const Json& matrices = result.sites();
  Sites sites{matrices, places_of(matrices, result.comparisons.size()), {}};
  std::vector<std::vector<float>> curves;
  Json bins = Json::object(), heat_rows = Json::object(), ends = Json::object(), comparisons = Json::array();
  for (const Json& site : matrices) {
    const int64_t n = whole(site, "n");
    const std::vector<double> base =
        array_values(result.first->arrays, "base." + site_name(site) + "sigma", {n}, kDocument);
    sites.norms.push_back(rounded(std::sqrt(std::inner_product(base.begin(), base.end(), base.begin(), 0.0))));
    const std::vector<int64_t> edges = log_bins(n, detail.curve);
    bins[std::to_string(n)] = edges;
    heat_rows[std::to_string(n)] = std::min(n, detail.rows);
    ends[std::to_string(n)] = share_bins(n, detail);
    curves.push_back(bin_means(base, edges));
  }
  FloatBlock sigma;
  Json columns = Json::object(), rows = Json::array(), norms = Json::array(), family = Json::array();
  for (const Place& place : sites.places) {
    std::vector<std::vector<float>> members;
    for (const size_t i : place) members.push_back(curves[i]);
    sigma.add(median_of(members));
    Json& row = rows.emplace_back(matrices[place.front()]);
    if (place.size() > 1) row["expert"] = Json();
    norms.push_back(sites.norms[place.front()]);
    family.push_back(place.size() > 1 ? Json(place.size()) : Json());
  }
  add_columns(rows, "", kSiteKeys, columns);
  const std::vector<std::string> names = names_of(result);
  for (size_t i = 0; i < result.comparisons.size(); ++i) {
    comparisons.push_back(comparison_json(result.comparisons[i], sites, detail, threads));
    comparisons.back()["post"]["name"] = names[i + 1];
  }
  Json json = {{"gyro", picked(member(result.first->document, "gyro"), kProgramKeys)},
               {"options", picked(member(result.first->document, "options"), kOptionKeys)},
               {"base", picked(result.base(), kModelKeys)},
               {"sites", std::move(columns)},
               {"family", std::move(family)},
               {"norms", std::move(norms)},
               {"curve_bins", std::move(bins)},
               {"heat_rows", std::move(heat_rows)},
               {"share_bins", std::move(ends)},
               {"sigma", sigma.encoded()},
               {"left_out", result.left_out},
               {"comparisons", std::move(comparisons)},
               {"pairs", pairs_of(result)}};
  json["base"]["name"] = names.front();
  const Json series = member(result.first->document, "trajectory");
  if (series.is_object() && result.inputs.size() == 1) json["trajectory"] = trajectory_of(series);
  return json;
}

// Bytes that the arrays take in the page, base64.
double array_bytes(const Result& result, const Detail& detail) {
  double values = 0;
  for (const Place& place : places_of(result.sites(), result.comparisons.size())) {
    const Json& site = result.sites()[place.front()];
    const auto points = static_cast<double>(log_bins(whole(site, "n"), detail.curve).size() - 1);
    const auto rows = static_cast<double>(std::min(whole(site, "n"), detail.rows));
    const double nulls = whole(site, "d_in") == whole(site, "d_out") ? 1 : 2;
    values += points;
    for (const Source& source : result.comparisons) {
      const bool corner = has_array(*source.input, array_name(source, site, kCorners.front()));
      const auto side = static_cast<double>(detail.corner);
      const auto shares =
          static_cast<double>(source.has_shares ? 2 * (share_bins(whole(site, "n"), detail).size() - 1) : 0);
      values += points * (3 + nulls) + rows + shares + (corner ? kCorners.size() * side * side : 0);
    }
  }
  return values * sizeof(float) * 4 / 3;
}

// About what all of a page's data takes.
double page_bytes(const std::vector<Result>& results, const Detail& detail) {
  double bytes = 0;
  for (const Result& result : results) {
    const size_t places = places_of(result.sites(), result.comparisons.size()).size();
    const auto shown = static_cast<double>(places);
    for (const Source& source : result.comparisons)
      bytes += shown * (kRowBytes + quantity_bytes(source.document()["matrices"]));
    bytes += array_bytes(result, detail);
  }
  return bytes;
}

// Leaves a model out, the last of the result that has most. Returns whether there was one to spare.
bool leave_one_out(std::vector<Result>& results) {
  const auto most = std::max_element(results.begin(), results.end(), [](const Result& a, const Result& b) {
    return a.comparisons.size() < b.comparisons.size();
  });
  if (most->comparisons.size() < 2) return false;
  most->left_out.insert(most->left_out.begin(), names_of(*most).back());
  most->comparisons.pop_back();
  return true;
}

// The data in the finest detail that fits the budget; empty where none does.
std::string fitted(const std::vector<Result>& results, const std::string& title, size_t budget, int threads) {
  const auto room = static_cast<double>(budget);
  size_t level = 0;
  while (level < kDetails.size() && page_bytes(results, kDetails[level]) > kEstimate * room) ++level;
  for (; level < kDetails.size(); ++level) {
    Json json = {{"format", "gyro.report/1"}, {"title", title}, {"results", Json::array()}};
    for (const Result& result : results) json["results"].push_back(result_json(result, kDetails[level], threads));
    std::string text = script_json(json);
    if (text.size() <= budget) return text;
  }
  return "";
}

}  // namespace

double number(const Json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end()) fail("result", "lacks the number {}", key);
  return it->is_number() ? it->get<double>() : std::numeric_limits<double>::quiet_NaN();
}

std::vector<size_t> joined_places(const std::vector<ReportInput>& inputs) {
  const std::vector<Result> results = join(inputs);
  std::vector<size_t> places;
  for (const ReportInput& input : inputs) {
    const auto it = std::ranges::find_if(results, [&](const Result& result) { return same_base(result, input); });
    places.push_back(static_cast<size_t>(it - results.begin()));
  }
  return places;
}

std::vector<std::string> post_names(const Json& document) {
  std::vector<std::string> ids;
  for (const Json& comparison : document["comparisons"]) {
    const Json id = comparison["post"].value("id", Json());
    if (comparison["role"] == "post") ids.push_back(id.is_string() ? id.get<std::string>() : "?");
  }
  std::vector<std::string> names = short_names(ids);
  for (std::string& name : names) name = printable(name, 80);
  return names;
}

std::string model_name(const Json& model, size_t parts) {
  const Json id = model.value("id", Json());
  return printable(short_name(id.is_string() ? id.get<std::string>() : "?", parts), 80);
}

std::string script_json(const Json& json) {
  const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (c == '<') {
      out += "\\u003c";
    } else {
      out += c;
    }
  }
  return out;
}

std::string page_data(const std::vector<ReportInput>& inputs, const std::string& title, size_t budget, int threads) {
  if (threads == 0) threads = available_processors();
  std::vector<Result> results = join(inputs);
  do {
    if (std::string text = fitted(results, title, budget, threads); !text.empty()) return text;
  } while (leave_one_out(results));
  throw ReportTooLarge(
      "report", fmt::format("the results are too many for one page of {} MB; join fewer", kReportLimit / 1'000'000));
}

}  // namespace gyro
