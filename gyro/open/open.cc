#include "gyro/open/open.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <system_error>
#include <vector>

#include "gyro/base/error.h"
#include "gyro/base/file.h"
#include "gyro/checkpoint/checkpoint.h"
#include "gyro/open/adapter.h"
#include "gyro/open/hub_cache.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;
using Source = std::shared_ptr<const TensorSource>;

constexpr size_t kMaxConfigBytes = 16 << 20;
constexpr int kMostAdapters = 4;  // on top of each other
constexpr size_t kMostNamed = 4;

Source open_at(const std::string& given, const Source& base, int depth);

// Something of that name is there, be it a link that leads nowhere.
bool present(const fs::path& path) {
  std::error_code ignored;
  return fs::symlink_status(path, ignored).type() != fs::file_type::not_found;
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

bool has_weights(const fs::path& folder) {
  return present(folder / "model.safetensors") || present(folder / "model.safetensors.index.json");
}

bool has_adapter(const fs::path& folder) {
  return present(folder / "adapter_config.json") || present(folder / "adapter_model.safetensors") ||
         present(folder / "adapter_model.bin");
}

// Sorted, numbers at their ends by size: checkpoint-500 before checkpoint-1000.
std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  const auto stem = [](const std::string& name) { return name.find_last_not_of("0123456789") + 1; };
  std::ranges::sort(names, {}, [&](const std::string& name) {
    const size_t digits = stem(name);
    const size_t from = std::min(name.find_first_not_of('0', digits), name.size());
    return std::tuple(name.substr(0, digits), name.size() - from, name.substr(from), name);
  });
  return names;
}

std::string quoted(const fs::path& path) {
  std::string text = printable(path.string(), 1000);
  while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  return text;
}

// Loads pickled weights with torch's restricted reader and writes them as safetensors.
std::string resave(const fs::path& from, const fs::path& to, std::string_view part) {
  return fmt::format(
      "python -c \"import torch; from safetensors.torch import save_file; save_file({{k: v.contiguous().clone() for "
      "k, v in torch.load('{}', map_location='cpu', weights_only=True){}.items()}}, '{}')\"",
      quoted(from), part, quoted(to));
}

std::string resave_folder(const fs::path& folder) {
  return fmt::format(
      "python -c \"from transformers import AutoModelForCausalLM as M; M.from_pretrained('{0}', "
      "torch_dtype='auto').save_pretrained('{0}-safetensors')\"",
      quoted(folder));
}

// What weights in another form there are, and what makes safetensors of them; empty for none.
std::string other_form(const fs::path& folder, const std::string& name) {
  const fs::path file = folder / name;
  const std::string shown = printable(name, 100);
  if (name.starts_with("pytorch_model") && (name.ends_with(".bin") || name.ends_with(".bin.index.json"))) {
    return fmt::format("holds pickled weights ({}), which Gyro does not read; as safetensors: {}", shown,
                       resave_folder(folder));
  }
  if (name.starts_with("consolidated.") && name.ends_with(".pth")) {
    return fmt::format(
        "holds pickled weights in Meta's own form ({}), which Gyro does not read; in transformers' form, with "
        "transformers below 5: python -m transformers.models.llama.convert_llama_weights_to_hf --input_dir '{}' "
        "--output_dir '{}-safetensors'",
        shown, quoted(folder), quoted(folder));
  }
  if (name.ends_with(".ckpt")) {
    return fmt::format("holds pickled weights ({}), which Gyro does not read; as safetensors: {}", shown,
                       resave(file, folder / "model.safetensors", "['state_dict']"));
  }
  if (name.ends_with(".pth") || name.ends_with(".pt") || name.ends_with(".bin")) {
    return fmt::format("holds pickled weights ({}), which Gyro does not read; as safetensors: {}", shown,
                       resave(file, folder / "model.safetensors", ""));
  }
  if (name.ends_with(".gguf")) {
    return fmt::format("has no safetensors but {}: a GGUF file is run (chat, eval, perplexity) and not compared",
                       shown);
  }
  return "";
}

[[noreturn]] void refuse_file(const fs::path& file) {
  const std::string name = file.filename().string();
  const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  if (name.ends_with(".safetensors")) {
    fail(file.string(), "is a file: name its folder ({}), which has config.json beside it", folder.string());
  }
  const std::string other = other_form(folder, name);
  if (!other.empty()) fail(folder.string(), "{}", other);
  fail(file.string(), "is not a folder; a checkpoint is a folder with config.json and model.safetensors");
}

// Of a folder without a model: what is in it, so that one of it can be named.
[[noreturn]] void refuse_folder(const fs::path& folder) {
  std::vector<std::string> inside;
  std::string other;
  const auto is_training_state = [](const std::string& name) {
    return name == "training_args.bin" || name == "optimizer.pt" || name == "scheduler.pt" ||
           name.starts_with("rng_state");
  };
  for (const std::string& name : names_in(folder)) {
    const fs::path below = folder / name;
    if (is_folder(below) && (has_weights(below) || has_adapter(below) || is_cached_model(below))) {
      inside.push_back(printable(name, 100));
    } else if (other.empty() && !is_folder(below) && !is_training_state(name)) {
      other = other_form(folder, name);
    }
  }
  if (!other.empty()) fail(folder.string(), "{}", other);
  if (inside.empty()) (void)Checkpoint(folder);  // says what a checkpoint has
  const size_t count = inside.size();
  const std::string last = fmt::format("{}/{}", quoted(folder), inside.back());
  inside.resize(std::min(count, kMostNamed));
  if (count == 1) fail(folder.string(), "has no model itself; inside is {}: name {}", inside.front(), last);
  fail(folder.string(), "has no model itself; inside are {}{}: name one of them, such as {}", fmt::join(inside, ", "),
       count > kMostNamed ? fmt::format(" and {} more", count - kMostNamed) : "", last);
}

// The base that an adapter's config names: a path, from here or from the adapter's folder, or a model in the Hub's
// cache. Empty if there is none of them.
std::string find_base(const fs::path& folder, const LoraConfig& config) {
  if (config.base.empty()) return "";
  const fs::path named(config.base);
  if (present(named)) return config.base;
  if (named.is_relative() && present(folder / named)) return (folder / named).lexically_normal().string();
  const auto model = hub_model(config.base);
  if (!model || !is_cached_model(cached_model(*model))) return "";
  return config.revision.empty() ? config.base : fmt::format("{}@{}", config.base, config.revision);
}

// What an adapter was trained on may be a quantised copy of what it is compared with.
bool is_quantised(const TensorSource& model) {
  const std::string& method = model.config().quantization;
  return !method.empty() && method != "fp8";
}

Source base_of_adapter(const fs::path& folder, const LoraConfig& config, const Source& given, int depth,
                       std::string& warning) {
  const std::string named = config.base.empty() ? "a base that it does not name" : printable(config.base, 200);
  const std::string found = find_base(folder, config);
  if (found.empty()) {
    if (!given) {
      const auto hub = hub_model(config.base);
      fail(ErrorKind::NotFound, folder.string(),
           "is a LoRA adapter of {}, which is not here{}: name its base beside it, or merge it first "
           "(merge_and_unload)",
           named, hub ? fmt::format(" nor in {} ({})", hub_cache().string(), download_command(*hub)) : "");
    }
    warning = fmt::format("is a LoRA adapter of {}, which is not here: read on {}", named, given->id());
    return given;
  }
  Source base = open_at(found, nullptr, depth + 1);
  std::error_code ignored;
  if (given && fs::equivalent(base->path(), given->path(), ignored)) return given;
  if (!given || !is_quantised(*base)) return base;
  warning = fmt::format("is a LoRA adapter of {}, which is quantised ({}): read on {}", named,
                        printable(base->config().quantization, 40), given->id());
  return given;
}

Source open_adapter(const fs::path& folder, const Source& given, int depth) {
  if (depth >= kMostAdapters) fail(folder.string(), "is the base of {} adapters on top of each other", depth);
  const fs::path config_file = folder / "adapter_config.json";
  if (!present(config_file)) fail(folder.string(), "has the weights of an adapter and no adapter_config.json");
  const LoraConfig config = parse_lora_config(config_file.string(), read_file(config_file, kMaxConfigBytes));
  if (!present(folder / "adapter_model.safetensors")) {
    if (!present(folder / "adapter_model.bin")) {
      fail(folder.string(), "has the adapter_config.json of an adapter of {} and no adapter_model.safetensors",
           config.base.empty() ? "an unnamed base" : printable(config.base, 200));
    }
    fail(folder.string(),
         "is an adapter with pickled weights (adapter_model.bin), which Gyro does not read; as "
         "safetensors: {}",
         resave(folder / "adapter_model.bin", folder / "adapter_model.safetensors", ""));
  }
  std::string warning;
  const Source base = base_of_adapter(folder, config, given, depth, warning);
  auto adapter = std::make_shared<AdapterSource>(folder, config, base);
  if (!warning.empty()) adapter->add_warning(warning);
  if (base == given) adapter->leave_base_warnings();
  return adapter;
}

Source open_folder(const fs::path& folder, const Source& base, int depth) {
  if (has_weights(folder)) return std::make_shared<Checkpoint>(folder);
  if (has_adapter(folder)) return open_adapter(folder, base, depth);
  const fs::path named = folder.has_filename() ? folder : folder.parent_path();
  if (is_cached_model(named)) return open_folder(cached_snapshot(named, ""), base, depth);
  refuse_folder(folder);
}

Source open_at(const std::string& given, const Source& base, int depth) {
  if (is_folder(given)) return open_folder(given, base, depth);
  std::error_code ignored;
  if (fs::exists(given, ignored)) refuse_file(given);
  const auto hub = present(given) ? std::nullopt : hub_model(given);
  if (!hub) return std::make_shared<Checkpoint>(given);  // says why it is none
  const fs::path cached = cached_model(*hub);
  if (is_cached_model(cached)) return open_folder(cached_snapshot(cached, hub->revision), base, depth);
  if (hub->name.find('/') == hub->name.npos) fail(ErrorKind::NotFound, given, "does not exist");
  fail(ErrorKind::NotFound, given, "does not exist, and there is no model of that name in {}: {} fetches it",
       hub_cache().string(), download_command(*hub));
}

}  // namespace

std::shared_ptr<const TensorSource> open_model(const std::string& given,
                                               const std::shared_ptr<const TensorSource>& base) {
  return open_at(given, base, 0);
}

}  // namespace gyro
