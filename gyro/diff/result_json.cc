#include "gyro/diff/result_json.h"

#include <cmath>
#include <concepts>
#include <string_view>
#include <type_traits>

#include "gyro/base/error.h"
#include "gyro/diff/result_names.h"

namespace gyro {
namespace {

using std::string_view;

template <typename T, typename Struct>
concept Of = std::same_as<std::remove_const_t<T>, Struct>;

// Each struct's fields by their names, in their order: the one list, by which they are written and read. A visitor is
// called with the name and the member (`optional`: left out where there is none). What follows from other members is
// written (`derived`) and not read.

template <typename Visit>
void fields(Visit& visit, Of<RescaledShare> auto& rescaled) {
  visit("fitted", rescaled.fitted);
  visit("off_diagonal", rescaled.off_diagonal);
  visit("symmetric_share", rescaled.symmetric_share);
  visit("symmetric_null", rescaled.symmetric_null);
  visit("symmetric_sd", rescaled.symmetric_sd);
  visit("symmetric_z", rescaled.symmetric_z);
}

template <typename Visit>
void fields(Visit& visit, Of<SideShares> auto& side) {
  visit("input", side.input);
  visit("input_null", side.input_null);
  visit("input_sd", side.input_sd);
  visit("turn", side.turn);
  visit("turn_sd", side.turn_sd);
  visit("stretch", side.stretch);
  visit("stretch_sd", side.stretch_sd);
}

template <typename Visit>
void fields(Visit& visit, Of<RowEnergy> auto& energy) {
  visit("total", energy.total);
  visit("scaling", energy.scaling);
  visit("co_rotation", energy.co_rotation);
  visit("counter_rotation", energy.counter_rotation);
  visit("leakage", energy.leakage);
  visit("counter_over_co", energy.counter_over_co);
  visit("z", energy.z);
  visit("symmetric_share", energy.symmetric_share);
  visit("symmetric_null", energy.symmetric_null);
  visit("symmetric_sd", energy.symmetric_sd);
  visit("symmetric_z", energy.symmetric_z);
  visit("rounding_ratio", energy.rounding_ratio);
  visit("rescaled", energy.rescaled);
  visit("side", energy.side);
}

template <typename Visit>
void fields(Visit& visit, Of<RowSample> auto& sample) {
  visit("draws", sample.draws);
  visit("seed", sample.seed);
  visit("alpha_mean", sample.alpha_mean);
  visit("alpha_std", sample.alpha_std);
  visit("alpha_std_sd", sample.alpha_std_sd);
  visit("nf_draws", sample.nf_draws);
  visit("nf", sample.nf);
  visit("nf_sd", sample.nf_sd);
  visit("nf_robust", sample.nf_robust);
  visit("nf_robust_sd", sample.nf_robust_sd);
}

template <typename Visit>
void fields(Visit& visit, Of<RowNull> auto& null) {
  visit("valid", null.valid);
  visit("alpha_mean", null.alpha_mean);
  visit("alpha_std", null.alpha_std);
  visit("alpha_method", null.alpha_method);
  visit("nf", null.nf);
  visit("nf_robust", null.nf_robust);
  visit("nf_robust_sd", null.nf_robust_sd);
  visit("sampled", null.sampled);
}

template <typename Visit>
void fields(Visit& visit, Of<ZeroRows> auto& zero) {
  visit("base", zero.base);
  visit("post", zero.post);
  visit("either", zero.either);
  visit("base_rows", zero.base_rows);
  visit("post_rows", zero.post_rows);
}

template <typename Visit>
void fields(Visit& visit, Of<MatrixRow> auto& row) {
  visit("layer", row.layer);
  visit("type", row.type);
  visit.optional("expert", row.expert);
  visit("tensor", row.tensor);
  visit("slice", row.slice);
  visit.optional("blocks", row.blocks);
  visit.optional("columns", row.columns);
  visit.derived("fused", type_is_fused(row.type));
  visit("d_in", row.d_in);
  visit("d_out", row.d_out);
  visit("n", row.n);
  visit("k", row.k);
  visit("rank", row.rank);
  visit("method", row.method);
  visit("flags", row.flags);
  visit("alpha_mean", row.alpha_mean);
  visit("alpha_std", row.alpha_std);
  visit("alpha_error", row.alpha_error);
  visit("nf", row.nf);
  visit("nf_error", row.nf_error);
  visit("nf_robust", row.nf_robust);
  visit("nf_robust_error", row.nf_robust_error);
  visit("nf_chance", row.nf_chance);
  visit("nf_robust_chance", row.nf_robust_chance);
  visit("scale", row.scale);
  visit("relative_change", row.relative_change);
  visit("cosine", row.cosine);
  visit("polar_inner", row.polar_inner);
  visit("q1_orthogonality", row.q1_orthogonality);
  visit("q2_orthogonality", row.q2_orthogonality);
  visit("energy", row.energy);
  visit("unchanged", row.unchanged);
  visit("sparse_expected", row.sparse_expected);
  visit("stable_rank", row.stable_rank);
  visit("update_rank", row.update_rank);
  visit("rounding_over_residual", row.rounding_over_residual);
  visit("scale_sd", row.scale_sd);
  visit("k_eff", row.k_eff);
  visit("first_order_variance", row.first_order_variance);
  visit("null", row.null);
  visit.optional("zero_rows", row.zero_rows);
}

template <typename Visit>
void fields(Visit& visit, Of<TypeEnergy> auto& energy) {
  visit("total", energy.total);
  visit("scaling", energy.scaling);
  visit("co_rotation", energy.co_rotation);
  visit("counter_rotation", energy.counter_rotation);
  visit("leakage", energy.leakage);
}

template <typename Visit>
void fields(Visit& visit, Of<TypeNull> auto& null) {
  visit("alpha_mean", null.alpha_mean);
  visit("alpha_std", null.alpha_std);
  visit("nf_mean", null.nf_mean);
  visit("nf_robust_mean", null.nf_robust_mean);
}

template <typename Visit>
void fields(Visit& visit, Of<TypeVerdicts> auto& verdicts) {
  visit("uniform_scaling", verdicts.uniform_scaling);
  visit("co_rotation", verdicts.co_rotation);
}

template <typename Visit>
void fields(Visit& visit, Of<TypeMargins> auto& margins) {
  visit("uniform_scaling", margins.uniform_scaling);
}

template <typename Visit>
void fields(Visit& visit, Of<FamilySpread> auto& spread) {
  visit("median", spread.median);
  visit("low", spread.low);
  visit("high", spread.high);
  visit("furthest", spread.furthest);
  visit("layer", spread.layer);
  visit("expert", spread.expert);
}

template <typename Visit>
void fields(Visit& visit, Of<ExpertFamily> auto& family) {
  visit("matrices", family.matrices);
  visit("alpha_mean", family.alpha_mean);
  visit("nf", family.nf);
  visit("relative_change", family.relative_change);
}

template <typename Visit>
void fields(Visit& visit, Of<TypeRow> auto& row) {
  visit("type", row.type);
  visit("layers", row.layers);
  visit.derived("fused", type_is_fused(row.type));
  visit("alpha_mean", row.alpha_mean);
  visit("alpha_std", row.alpha_std);
  visit("alpha_prime", row.alpha_prime);
  visit("nf_mean", row.nf_mean);
  visit("nf_max", row.nf_max);
  visit("nf_chance", row.nf_chance);
  visit("nf_robust_mean", row.nf_robust_mean);
  visit("counter_over_co", row.counter_over_co);
  visit("counter_over_co_sd", row.counter_over_co_sd);
  visit("z", row.z);
  visit("symmetric_share", row.symmetric_share);
  visit("symmetric_null", row.symmetric_null);
  visit("symmetric_sd", row.symmetric_sd);
  visit("symmetric_z", row.symmetric_z);
  visit("rounding_ratio", row.rounding_ratio);
  visit("rescaled", row.rescaled);
  visit("side", row.side);
  visit("energy", row.energy);
  visit("scale_mean", row.scale_mean);
  visit("scale_sd", row.scale_sd);
  visit("relative_change_mean", row.relative_change_mean);
  visit("unchanged", row.unchanged);
  visit("sparse_expected", row.sparse_expected);
  visit("update_rank", row.update_rank);
  visit("k_eff", row.k_eff);
  visit("null", row.null);
  visit("alpha_mean_over_null", row.alpha_mean_over_null);
  visit("alpha_std_over_null", row.alpha_std_over_null);
  visit("nf_mean_over_null", row.nf_mean_over_null);
  visit("nf_robust_mean_over_null", row.nf_robust_mean_over_null);
  visit("verdicts", row.verdicts);
  visit("margins", row.margins);
  visit.optional("alpha_layers", row.alpha_layers);
  visit.optional("nf_layers", row.nf_layers);
  visit.optional("experts", row.experts);
}

template <typename Visit>
void fields(Visit& visit, Of<Finding> auto& finding) {
  visit("id", finding.id);
  visit("verdict", finding.verdict);
  visit("value", finding.value);
  visit("null", finding.null);
  visit("threshold", finding.threshold);
  visit("z", finding.z);
  visit("types", finding.types);
  visit("text", finding.text);
}

template <typename Visit>
void fields(Visit& visit, Of<ModelInfo> auto& model) {
  visit("id", model.id);
  visit("path", model.path);
  visit("revision", model.revision);
  visit("architecture", model.architecture);
  visit("model_type", model.model_type);
  visit("layers", model.layers);
  visit("parameters", model.parameters);
  visit("dtypes", model.dtypes);
  visit("sha256", model.sha256);
}

template <typename Visit>
void fields(Visit& visit, Of<OutsideGroup> auto& group) {
  visit("kind", group.kind);
  visit("tensors", group.tensors);
  visit("changed", group.changed);
  visit("missing", group.missing);
  visit("added", group.added);
  visit("reshaped", group.reshaped);
  visit("relative_change", group.relative_change);
}

template <typename Visit>
void fields(Visit& visit, Of<VocabularyRows> auto& vocabulary) {
  visit("base", vocabulary.base);
  visit("post", vocabulary.post);
  visit("compared", vocabulary.compared);
}

template <typename Visit>
void fields(Visit& visit, Of<Outside> auto& outside) {
  visit("groups", outside.groups);
  visit("vocabulary", outside.vocabulary);
  visit("base_head", outside.base_head);
  visit("post_head", outside.post_head);
  visit("missing", outside.missing);
  visit("added", outside.added);
  visit("text", outside.text);
}

template <typename Visit>
void fields(Visit& visit, Of<Comparison> auto& comparison) {
  visit("post", comparison.post);
  visit("role", comparison.role);
  visit("noise_of", comparison.noise_of);
  visit("matrices", comparison.matrices);
  visit("types", comparison.types);
  visit("findings", comparison.findings);
  visit.optional("outside", comparison.outside);
}

template <typename Visit>
void fields(Visit& visit, Of<DiffOptions> auto& options) {
  visit.selection("layers", options.layers);
  visit.selection("types", options.types);
  visit.selection("experts", options.experts);
  visit("null_draws", options.null_draws);
  visit("null_nf_draws", options.null_nf_draws);
  visit("seed", options.seed);
}

template <typename Visit>
void fields(Visit& visit, Of<Program> auto& program) {
  visit("version", program.version);
  visit("build", program.build);
  visit("device", program.device);
}

template <typename Visit>
void fields(Visit& visit, Of<RunInfo> auto& run) {
  visit("command", run.command);
  visit("date", run.date);
  visit("seconds", run.seconds);
  visit("commit", run.commit);
}

template <typename Visit>
void fields(Visit& visit, Of<DiffResult> auto& result) {
  visit.constant("schema", "gyro.diff/1");
  visit("gyro", result.gyro);
  visit("options", result.options);
  visit("base", result.base);
  visit("comparisons", result.comparisons);
  visit("fingerprint", result.fingerprint);
  visit.optional("run", result.run);
}

class Writer {
 public:
  template <typename T>
  void operator()(const char* key, const T& value) {
    json_[key] = encoded(value);
  }
  // What is left out where there is none.
  template <typename T>
  void optional(const char* key, const std::optional<T>& value) {
    if (value) (*this)(key, *value);
  }
  void derived(const char* key, bool value) { json_[key] = value; }
  void constant(const char* key, const char* value) { json_[key] = value; }
  // What nothing was chosen of is all.
  template <typename T>
  void selection(const char* key, const std::vector<T>& chosen) {
    json_[key] = chosen.empty() ? Json("all") : encoded(chosen);
  }

  template <typename T>
  static Json written(const T& value) {
    Writer writer;
    fields(writer, value);
    return std::move(writer.json_);
  }

 private:
  static Json encoded(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }
  static Json encoded(const std::integral auto& value) { return value; }
  static Json encoded(const std::string& value) { return value; }
  static Json encoded(MatrixType value) { return type_name(value); }
  static Json encoded(const std::pair<int64_t, int64_t>& value) { return {value.first, value.second}; }
  template <typename T>
  static Json encoded(const std::optional<T>& value) {
    return value ? encoded(*value) : Json(nullptr);
  }
  template <typename T>
  static Json encoded(const std::vector<T>& values) {
    Json json = Json::array();
    for (const T& value : values) json.push_back(encoded(value));
    return json;
  }
  template <typename T>
  static Json encoded(const T& value) {
    if constexpr (std::is_enum_v<T>) {
      return name_of(value);
    } else {
      return written(value);
    }
  }

  Json json_ = Json::object();
};

// Reads the object that stands at `where` in a document.
class Reader {
 public:
  Reader(string_view subject, std::string where, const Json& json)
      : subject_(subject), where_(std::move(where)), json_(json) {
    if (!json.is_object()) fail(std::string(subject_), "{} is not an object", where_.empty() ? "the document" : where_);
  }

  template <typename T>
  void operator()(const char* key, T& value) {
    read(path(key), field(key), value);
  }
  template <typename T>
  void optional(const char* key, std::optional<T>& value) {
    value.reset();
    if (json_.contains(key)) (*this)(key, value.emplace());
  }
  void derived(const char*, bool) {}
  void constant(const char* key, const char* value) {
    if (field(key) != value) fail(std::string(subject_), "{} is not {}", path(key), value);
  }
  template <typename T>
  void selection(const char* key, std::vector<T>& chosen) {
    const auto it = json_.find(key);  // older results have none of experts
    if (it != json_.end() && *it != "all") read(path(key), *it, chosen);
  }

 private:
  std::string path(const char* key) const { return where_.empty() ? key : where_ + "." + key; }

  const Json& field(const char* key) const {
    const auto it = json_.find(key);
    if (it == json_.end()) fail(std::string(subject_), "{} is missing", path(key));
    return *it;
  }

  void expect(bool holds, const std::string& where, string_view what) const {
    if (!holds) fail(std::string(subject_), "{} is not {}", where, what);
  }

  void read(const std::string& where, const Json& json, double& value) const {
    expect(json.is_number() || json.is_null(), where, "a number or null");
    value = json.is_null() ? kUndefined : json.get<double>();
  }
  void read(const std::string& where, const Json& json, int64_t& value) const {
    expect(json.is_number_integer(), where, "a whole number");
    value = json.get<int64_t>();
  }
  void read(const std::string& where, const Json& json, uint64_t& value) const {
    expect(json.is_number_unsigned(), where, "a whole number of at least 0");
    value = json.get<uint64_t>();
  }
  void read(const std::string& where, const Json& json, bool& value) const {
    expect(json.is_boolean(), where, "true or false");
    value = json.get<bool>();
  }
  void read(const std::string& where, const Json& json, std::string& value) const {
    expect(json.is_string(), where, "a text");
    value = json.get<std::string>();
  }
  void read(const std::string& where, const Json& json, MatrixType& value) const {
    const auto type = json.is_string() ? type_from_name(json.get<std::string>()) : std::nullopt;
    expect(type.has_value(), where, "a type of matrix");
    value = *type;
  }
  void read(const std::string& where, const Json& json, std::pair<int64_t, int64_t>& value) const {
    expect(json.is_array() && json.size() == 2, where, "a pair");
    read(where + "[0]", json[0], value.first);
    read(where + "[1]", json[1], value.second);
  }
  template <typename T>
  void read(const std::string& where, const Json& json, std::optional<T>& value) const {
    value.reset();
    if (!json.is_null()) read(where, json, value.emplace());
  }
  template <typename T>
  void read(const std::string& where, const Json& json, std::vector<T>& values) const {
    expect(json.is_array(), where, "a list");
    values.resize(json.size());
    for (size_t i = 0; i < values.size(); ++i) read(fmt::format("{}[{}]", where, i), json[i], values[i]);
  }
  template <typename T>
  void read(const std::string& where, const Json& json, T& value) const {
    if constexpr (std::is_enum_v<T>) {
      for (const auto& [one, name] : kNames<T>) {
        if (json == Json(name)) return void(value = one);
      }
      fail(std::string(subject_), "{} has a value that is not known", where);
    } else {
      Reader reader(subject_, where, json);
      fields(reader, value);
    }
  }

  string_view subject_;
  std::string where_;
  const Json& json_;
};

ResultArray decode_array(const Json& json) {
  const auto dtype = dtype_from_name(json.at("dtype").get<std::string>());
  if (!dtype) fail("array", "is of no known type");
  const auto& bytes = json.at("bytes").get_binary();
  const auto* data = reinterpret_cast<const std::byte*>(bytes.data());
  ResultArray array{*dtype, json.at("shape").get<std::vector<int64_t>>(), {data, data + bytes.size()}};
  uint64_t size = dtype_size(*dtype);
  for (const int64_t extent : array.shape) {
    if (extent < 0 || __builtin_mul_overflow(size, static_cast<uint64_t>(extent), &size))
      fail("array", "has no such shape");
  }
  if (size != bytes.size()) fail("array", "is not of its shape");
  return array;
}

std::pair<int64_t, UnitResult> decoded_unit(const Json& json) {
  UnitResult result;
  const Json& rows = json.at("rows");
  if (!rows.is_array()) fail("record", "rows is not a list");
  for (const Json& row : rows) {
    Reader reader("record", "row", row);
    fields(reader, result.rows.emplace_back());
  }
  for (const auto& [name, array] : json.at("arrays").items()) result.arrays[name] = decode_array(array);
  const auto unit = json.at("unit").get<int64_t>();
  if (unit < 0) fail("record", "is of no unit");
  return {unit, std::move(result)};
}

}  // namespace

std::string_view verdict_name(Verdict verdict) {
  return name_of(verdict);
}

Json to_json(const DiffResult& result) {
  return Writer::written(result);
}
Json to_json(const MatrixRow& row) {
  return Writer::written(row);
}
Json to_json(const TypeRow& row) {
  return Writer::written(row);
}
Json to_json(const Finding& finding) {
  return Writer::written(finding);
}

std::string result_text(const DiffResult& result) {
  return to_json(result).dump(1, ' ', false, Json::error_handler_t::replace);
}

DiffResult read_result(const std::string& subject, const Json& document) {
  DiffResult result;
  Reader reader(subject, "", document);
  fields(reader, result);
  if (result.comparisons.empty()) fail(subject, "comparisons is empty");
  return result;
}

std::vector<uint8_t> encode_unit(int64_t unit, const UnitResult& result) {
  Json rows = Json::array(), arrays = Json::object();
  for (const MatrixRow& row : result.rows) rows.push_back(to_json(row));
  for (const auto& [name, array] : result.arrays) {
    const auto* data = reinterpret_cast<const uint8_t*>(array.bytes.data());
    arrays[name] = {{"dtype", dtype_name(array.dtype)},
                    {"shape", array.shape},
                    {"bytes", Json::binary({data, data + array.bytes.size()})}};
  }
  return Json::to_cbor({{"unit", unit}, {"rows", std::move(rows)}, {"arrays", std::move(arrays)}});
}

std::pair<int64_t, UnitResult> decode_unit(std::span<const std::byte> bytes) {
  const Json json = parse_cbor_document("record", bytes);
  try {
    return decoded_unit(json);
  } catch (const Json::exception&) {
    fail("record", "is not of a unit");
  }
}

}  // namespace gyro
