#include "gyro/report/places.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "gyro/diff/result.h"
#include "gyro/diff/spread.h"
#include "gyro/report/page_parts.h"

namespace gyro {
namespace {

constexpr size_t kMostExperts = 4000;  // rows of experts that a page has one by one, of all models together

using Members = std::vector<const Json*>;

bool is_expert(const Json& matrix) {
  return matrix.contains("expert");
}

Members members_of(const Json& matrices, const Place& place) {
  Members members;
  for (const size_t i : place) members.push_back(&matrices[i]);
  return members;
}

// Sorted, those that are numbers.
std::vector<double> numbers_of(const Members& values) {
  std::vector<double> numbers;
  for (const Json* value : values) {
    if (value->is_number()) numbers.push_back(value->get<double>());
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

Json merged_flags(const Members& lists) {
  Json all = Json::array();
  for (const Json* list : lists) {
    for (const Json& flag : *list) {
      if (std::find(all.begin(), all.end(), flag) == all.end()) all.push_back(flag);
    }
  }
  return all;
}

Json merged(std::string_view key, const Members& values);

Json merged_objects(const Members& objects) {
  Json out = Json::object();
  std::map<std::string, Members> values;  // what some have not is of those that have it
  for (const Json* object : objects) {
    for (const auto& [key, value] : object->items()) values[key].push_back(&value);
  }
  for (const auto& [key, members] : values) out[key] = merged(key, members);
  return out;
}

Json merged(std::string_view key, const Members& values) {
  const Json& first = *values.front();
  if (key == "sampled" || key == "zero_rows" || key == "slice") return {};  // of one matrix
  const std::vector<double> numbers = numbers_of(values);
  if (!numbers.empty()) return key.ends_with("_error") ? numbers.back() : quantile(numbers, 0.5);
  if (first.is_boolean())
    return std::all_of(values.begin(), values.end(), [](const Json* value) { return *value == true; });
  if (first.is_array()) return merged_flags(values);
  if (first.is_object()) return merged_objects(values);
  if (key != "method") return first;
  const bool svd = std::any_of(values.begin(), values.end(), [](const Json* value) { return *value == "svd"; });
  return svd ? "svd" : first;
}

std::optional<Spread> spread_among(const Members& members, const char* key) {
  std::vector<double> values;
  for (const Json* member : members) {
    const auto it = member->find(key);
    const bool is_known = it != member->end() && it->is_number();
    values.push_back(is_known ? it->get<double>() : kUndefined);
  }
  return spread_of(values);
}

// The experts that have rows of zeros; null where none has.
Json zero_rows_of(const Members& members) {
  Json experts = Json::array();
  for (const Json* member : members) {
    if (member->contains("zero_rows")) experts.push_back(member->value("expert", Json()));
  }
  return experts.empty() ? Json() : Json{{"experts", experts}};
}

}  // namespace

std::vector<Place> places_of(const Json& matrices, size_t comparisons) {
  const auto experts = static_cast<size_t>(std::count_if(matrices.begin(), matrices.end(), is_expert));
  const bool shared = experts * comparisons > kMostExperts;
  std::vector<Place> places;
  std::map<std::pair<int64_t, std::string>, size_t> known;
  for (size_t i = 0; i < matrices.size(); ++i) {
    const Json& matrix = matrices[i];
    if (!shared || !is_expert(matrix)) {
      places.push_back({i});
      continue;
    }
    const auto [it, is_new] =
        known.try_emplace({matrix["layer"].get<int64_t>(), matrix["type"].get<std::string>()}, places.size());
    if (is_new) places.emplace_back();
    places[it->second].push_back(i);
  }
  return places;
}

Json rows_of(const Json& matrices, const std::vector<Place>& places) {
  Json rows = Json::array();
  for (const Place& place : places) {
    if (place.size() == 1) {
      rows.push_back(matrices[place.front()]);
      continue;
    }
    const Members members = members_of(matrices, place);
    Json& row = rows.emplace_back(merged_objects(members));
    row["zero_rows"] = zero_rows_of(members);
  }
  return rows;
}

Json spreads_of(const Json& matrices, const std::vector<Place>& places, const char* key) {
  Json low = Json::array(), high = Json::array(), furthest = Json::array(), expert = Json::array();
  for (const Place& place : places) {
    const Members members = members_of(matrices, place);
    const auto spread = place.size() > 1 ? spread_among(members, key) : std::nullopt;
    const Json* worst = spread ? members[spread->furthest] : nullptr;
    low.push_back(spread ? Json(rounded(spread->low)) : Json());
    high.push_back(spread ? Json(rounded(spread->high)) : Json());
    furthest.push_back(worst ? Json(rounded((*worst)[key].get<double>())) : Json());
    expert.push_back(worst ? worst->value("expert", Json()) : Json());
  }
  return {{"low", low}, {"high", high}, {"furthest", furthest}, {"expert", expert}};
}

Json sums_of(const Json& matrices, const std::vector<Place>& places, const std::vector<double>& norms) {
  Json rest = Json::array(), scaled = Json::array();
  for (const Place& place : places) {
    double sum = 0, scale = 0;
    for (const size_t i : place) {
      const Json total = matrices[i]["energy"].value("total", Json()), c = matrices[i].value("scale", Json());
      if (!total.is_number() || !c.is_number()) continue;
      sum += total.get<double>();
      scale += std::pow(c.get<double>() * norms[i], 2);
    }
    rest.push_back(place.size() > 1 ? Json(rounded(sum)) : Json());
    scaled.push_back(place.size() > 1 ? Json(rounded(scale)) : Json());
  }
  return {{"rest", rest}, {"scaled", scaled}};
}

std::vector<float> median_of(const std::vector<std::vector<float>>& lists) {
  if (lists.size() == 1) return lists.front();
  std::vector<float> out;
  std::vector<float> at;
  for (size_t i = 0; i < lists.front().size(); ++i) {
    at.clear();
    for (const std::vector<float>& list : lists) {
      if (std::isfinite(list[i])) at.push_back(list[i]);
    }
    if (at.empty()) {
      out.push_back(std::numeric_limits<float>::quiet_NaN());
      continue;
    }
    const auto middle = at.begin() + static_cast<std::ptrdiff_t>(at.size() / 2);
    std::nth_element(at.begin(), middle, at.end());
    out.push_back(at.size() % 2 == 1 ? *middle : (*middle + *std::max_element(at.begin(), middle)) / 2);
  }
  return out;
}

}  // namespace gyro
