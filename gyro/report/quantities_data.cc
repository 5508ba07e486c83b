#include "gyro/report/quantities_data.h"

#include <algorithm>
#include <array>

#include "gyro/base/error.h"
#include "gyro/report/page_parts.h"

namespace gyro {
namespace {

// Names of docs/result.schema.json, as in page_keys.h.
constexpr const char* kQuantities = "quantities";
constexpr std::array kAgainst = {"value", "null", "z"};
constexpr std::array kLevels = {"q01", "q10", "q50"};
constexpr std::array kShareSides = {"u", "v", "uv"};
constexpr std::array kOverlapSides = {"u", "v"};
constexpr std::array kIntruderKeys = {"of", "u", "v", "u_null", "v_null"};
constexpr std::array kTailKeys = {"alpha", "distance", "lambda_min", "count"};
constexpr std::array kUpdateKeys = {"erank", "rank_90", "rank_99", "top1", "top16", "spikes"};
constexpr std::array kMaskKeys = {"low", "principal"};
constexpr double kNumberBytes = 9;

const Json& at(const Json& object, const char* key) {
  static const Json kNone;
  const auto it = object.find(key);  // end for what is no object
  return it == object.end() ? kNone : *it;
}

// {key: {value, null, z}} of each.
template <typename Keys>
Json figures(const Json& object, const Keys& keys) {
  Json out = Json::object();
  for (const char* key : keys) out[key] = picked(at(object, key), kAgainst);
  return out;
}

template <typename Sides>
Json by_level(const Json& object, const Sides& sides) {
  Json out = Json::object();
  for (const char* level : kLevels) {
    out[level] = figures(at(object, level), sides);
    out[level]["k"] = member(at(object, level), "k");
  }
  return out;
}

Json spectrum_of(const Json& spectrum) {
  Json out = figures(spectrum, std::array{"nss_c"});
  for (const char* key : {"nss", "erank_base", "erank_post"}) out[key] = member(spectrum, key);
  for (const char* key : {"ww_alpha_base", "ww_alpha_post"}) out[key] = picked(at(spectrum, key), kTailKeys);
  return out;
}

// The paths of the figures that are drawn by layer.
std::vector<std::vector<const char*>> drawn_paths() {
  std::vector<std::vector<const char*>> paths;
  for (const char* level : kLevels) {
    for (const char* side : kShareSides) paths.push_back({"principal_share", level, side});
    for (const char* side : kOverlapSides) paths.push_back({"subspace_overlap", level, side});
  }
  paths.push_back({"spectrum", "nss_c"});
  return paths;
}

Json column_of(const Json& rows, const std::vector<const char*>& path, const char* key) {
  Json column = Json::array();
  for (const Json& row : rows) {
    const Json* object = &at(row, kQuantities);
    for (const char* name : path) object = &at(*object, name);
    column.push_back(member(*object, key));
  }
  const bool any = std::any_of(column.begin(), column.end(), [](const Json& value) { return value.is_number(); });
  return any ? column : Json();
}

}  // namespace

Json quantity_columns(const Json& rows) {
  Json columns = Json::object();
  for (const std::vector<const char*>& path : drawn_paths()) {
    for (const char* key : kAgainst)
      columns[fmt::format("{}.{}.{}", kQuantities, fmt::join(path, "."), key)] = column_of(rows, path, key);
  }
  return columns;
}

Json type_quantities(const Json& type) {
  const Json& all = at(type, kQuantities);
  return {{"principal_share", by_level(at(all, "principal_share"), kShareSides)},
          {"subspace_overlap", by_level(at(all, "subspace_overlap"), kOverlapSides)},
          {"intruders", picked(at(all, "intruders"), kIntruderKeys)},
          {"spectrum", spectrum_of(at(all, "spectrum"))},
          {"update_spectrum", figures(at(all, "update_spectrum"), kUpdateKeys)},
          {"masks", figures(at(all, "masks"), kMaskKeys)}};
}

double quantity_bytes(const Json& rows) {
  const bool any = std::any_of(rows.begin(), rows.end(), [](const Json& row) { return row.contains(kQuantities); });
  return any ? kNumberBytes * static_cast<double>(drawn_paths().size() * kAgainst.size()) : 0;
}

}  // namespace gyro
