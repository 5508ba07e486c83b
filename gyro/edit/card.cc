#include "gyro/edit/card.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "gyro/base/error.h"
#include "gyro/base/version.h"

namespace gyro {
namespace {

using Json = nlohmann::ordered_json;
constexpr size_t kLargestCompanion = size_t{256} << 20;

std::string torch_name(DType dtype) {
  switch (dtype) {
    case DType::F64:
      return "float64";
    case DType::F32:
      return "float32";
    case DType::F16:
      return "float16";
    default:
      return "bfloat16";
  }
}

// By what they are, not by what they are not: weights come in ever new formats, and a stale copy of them beside those
// that were made would be loaded in their place.
bool is_companion(std::string_view name) {
  constexpr std::string_view kEndings[] = {".json", ".txt",  ".model", ".jinja",   ".py",
                                           ".md",   ".yaml", ".bpe",   ".tiktoken"};
  constexpr std::string_view kBeginnings[] = {"LICENSE", "LICENCE", "NOTICE"};
  constexpr std::string_view kWrittenAnew[] = {"config.json", "README.md", "gyro.json"};
  // An adapter's config would have transformers apply the adapter; the others describe weights that are gone.
  constexpr std::string_view kStale[] = {"adapter_config.json", "hf_quant_config.json", "quant_config.json",
                                         "quantize_config.json"};
  const auto is = [&](std::string_view other) { return name == other; };
  if (name.starts_with(".") || name.ends_with(".index.json")) return false;
  if (std::any_of(std::begin(kWrittenAnew), std::end(kWrittenAnew), is)) return false;
  if (std::any_of(std::begin(kStale), std::end(kStale), is)) return false;
  return std::any_of(std::begin(kEndings), std::end(kEndings), [&](auto e) { return name.ends_with(e); }) ||
         (name.find('.') == name.npos &&
          std::any_of(std::begin(kBeginnings), std::end(kBeginnings), [&](auto b) { return name.starts_with(b); }));
}

// Says that weights are in `dtype`, where a part of a config says something of the kind.
void set_dtype(Json& part, DType dtype) {
  for (const char* key : {"torch_dtype", "dtype"}) {
    if (part.contains(key)) part[key] = torch_name(dtype);
  }
  for (const char* key : {"quantization_config", "compression_config"}) part.erase(key);
}

// And of the language model's section, and of that one's.
void set_language_dtype(Json& part, DType dtype) {
  for (const std::string_view name : language_section_names()) {
    const auto language = part.find(name);
    if (language == part.end() || !language->is_object()) continue;
    set_dtype(*language, dtype);
    set_language_dtype(*language, dtype);
  }
}

std::string_view operation_name(Operation operation) {
  constexpr std::string_view kNames[] = {"replace", "ablate",     "restore", "transplant sigma", "transplant rotation",
                                         "noise",   "interpolate"};
  return kNames[static_cast<size_t>(operation)];
}

Json recipe_of(const BuildRequest& request, const Variant& variant) {
  Json scales = Json::object();
  for (const auto& [type, scale] : variant.scales) scales[std::string(type_name(type))] = scale;
  constexpr std::string_view kGroups[] = {"attention", "mlp", "all"};
  return {{"operation", operation_name(variant.what.operation)},
          {"side", variant.what.side == Side::Out ? "out" : "in"},
          {"on", kGroups[static_cast<size_t>(variant.on)]},
          {"scales", scales},
          {"align_signs", variant.what.align_signs},
          {"t", variant.what.t},
          {"seed", variant.what.seed},
          {"as_noise", variant.what.as_noise},
          {"layers", request.layers.empty() ? Json("all") : Json(request.layers)},
          {"dtype", request.dtype ? Json(dtype_name(*request.dtype)) : Json("keep")}};
}

Json rows_json(const std::vector<BuildRow>& rows, const Variant& variant) {
  Json out = Json::array();
  for (const BuildRow& row : rows) {
    if (row.variant != variant_name(variant)) continue;
    out.push_back({{"type", type_name(row.type)},
                   {"matrices", row.matrices},
                   {"moved_over_change", row.change > 0 ? Json(std::sqrt(row.moved / row.change)) : Json()},
                   {"rounding_over_change", row.change > 0 ? Json(std::sqrt(row.rounding / row.change)) : Json()},
                   {"left", row.left}});
  }
  return out;
}

std::string model_card(const TensorSource& base, const TensorSource& post, const BuildRequest& request,
                       const Variant& variant) {
  std::string card = card_head(post, "tags:\n- gyro\n- counterfactual\n");
  card += "# " + printable(variant_name(variant)) + "\n\n";
  card += "A counterfactual checkpoint: " + variant.description + ".\n\n";
  card += "| | |\n|---|---|\n| post | `" + printable(post.id()) + "` |\n| base | `" + printable(base.id()) + "` |\n";
  card += "| made by | `" + printable(request.command, 2000) + "` |\n\n";
  card += "`gyro.json` has the recipe and the SHA-256 of every file.\n";
  return card;
}

}  // namespace

std::string card_head(const TensorSource& model, std::string_view fields) {
  const std::string id = model.hub_id();
  return fmt::format("---\n{}{}---\n\n", id.empty() ? "" : "base_model: \"" + id + "\"\n", fields);
}

std::string config_with_dtype(const TensorSource& model, std::optional<DType> dtype) {
  Json config = Json::parse(model.companion("config.json", size_t{64} << 20));
  if (model.config().quantization == "mxfp4")
    dtype = dtype.value_or(DType::BF16);  // it is read, and so written, unpacked
  if (dtype) {
    config["torch_dtype"] = torch_name(*dtype);
    set_dtype(config, *dtype);
    set_language_dtype(config, *dtype);
  }
  return config.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string recipe_text(const BuildRequest& request, const Variant& variant) {
  return recipe_of(request, variant).dump();
}

std::vector<std::string> companion_files(const TensorSource& model) {
  std::vector<std::string> files;
  for (const std::string& name : model.companions()) {
    if (!is_companion(name)) continue;
    model.companion(name, kLargestCompanion);
    files.push_back(name);
  }
  return files;
}

void copy_companions(const TensorSource& model, const std::vector<std::string>& files, CheckpointWriter& writer) {
  for (const std::string& name : files) writer.add_file(name, model.companion(name, kLargestCompanion));
}

void add_companion_files(const std::vector<std::string>& companions, const BuildRequest& request,
                         const Variant& variant, const std::vector<BuildRow>& rows, CheckpointWriter& writer) {
  const TensorSource &base = *request.base, &post = *request.post;
  copy_companions(post, companions, writer);
  writer.add_file("config.json", config_with_dtype(post, request.dtype));
  writer.add_file("README.md", model_card(base, post, request, variant));
  const auto model = [](const TensorSource& c) {
    return Json{{"id", c.id()}, {"revision", c.revision()}, {"sha256", c.identity()}};
  };
  const Json json = {{"schema", "gyro.build/1"},
                     {"gyro", version()},
                     {"command", request.command},
                     {"base", model(base)},
                     {"post", model(post)},
                     {"recipe", recipe_of(request, variant)},
                     {"matrices", rows_json(rows, variant)},
                     {"files", writer.hashes()}};
  writer.add_file("gyro.json", json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace gyro
