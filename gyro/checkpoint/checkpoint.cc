#include "gyro/checkpoint/checkpoint.h"

#include <algorithm>
#include <array>
#include <set>
#include <system_error>

#include "gyro/base/error.h"
#include "gyro/base/file.h"
#include "gyro/base/sha256.h"
#include "gyro/checkpoint/hub_path.h"
#include "gyro/checkpoint/json.h"
#include "gyro/checkpoint/mxfp4.h"
#include "gyro/checkpoint/unwrap.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxConfigBytes = 4 << 20;
constexpr size_t kMaxIndexBytes = 50'000'000;
constexpr const char* kSingle = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";

// Something of that name is there, be it a link that leads nowhere: opening it then says what is wrong with it.
bool present(const fs::path& path) {
  std::error_code ignored;
  return fs::symlink_status(path, ignored).type() != fs::file_type::not_found;
}

bool is_dangling_link(const fs::path& path) {
  std::error_code ignored;
  return fs::is_symlink(path, ignored) && !fs::exists(path, ignored);
}

void check_folder(const fs::path& folder) {
  if (folder.empty()) fail("(empty path)", "is not the folder of a checkpoint");
  std::error_code error;
  const fs::file_status status = fs::status(folder, error);
  if (status.type() == fs::file_type::not_found) fail(ErrorKind::NotFound, folder.string(), "does not exist");
  if (error) fail(ErrorKind::NotFound, folder.string(), "cannot open: {}", error.message());
  if (status.type() != fs::file_type::directory) {
    fail(folder.string(), "is not a folder; a checkpoint is a folder with config.json and {}", kSingle);
  }
}

// What the folder has in place of safetensors, for the message that there are none.
std::string other_weights(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.ends_with(".gguf") || name.starts_with("pytorch_model") || name.starts_with("adapter_model") ||
        name.ends_with(".safetensors")) {
      names.push_back(printable(name, 100));
    }
  }
  if (names.empty()) return "";
  return fmt::format("; there is {}, which is not read in its place", *std::min_element(names.begin(), names.end()));
}

void check_shard_name(const std::string& subject, std::string_view tensor, std::string_view shard) {
  const bool control = std::any_of(shard.begin(), shard.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  if (shard.empty() || shard == "." || shard == ".." || control || shard.find_first_of("/\\") != shard.npos) {
    fail(subject, "tensor \"{}\" has the shard \"{}\", which is not the name of a file in the folder",
         printable(tensor), printable(shard));
  }
}

}  // namespace

ShardIndex parse_index(std::string_view subject, std::string_view text) {
  const std::string file(subject);
  ShardIndex shards;
  bool found = false;
  visit_json(file, text, [&](const JsonPath& path, const JsonValue& value) {
    if (path.empty()) {
      if (value.kind != JsonValue::Kind::Object) fail(file, "must hold a JSON object");
    } else if (path[0] != "weight_map") {
      return;
    } else if (path.size() == 1) {
      if (value.kind != JsonValue::Kind::Object) fail(file, "weight_map must be an object");
      found = true;
    } else {
      if (value.kind != JsonValue::Kind::String) {
        fail(file, "the shard of tensor \"{}\" must be a string, not {}", printable(path[1]),
             json_kind_name(value.kind));
      }
      check_shard_name(file, path[1], value.text);
      shards.emplace(path[1], value.text);
    }
  });
  if (!found) fail(file, "has no weight_map");
  if (shards.empty()) fail(file, "has an empty weight_map");
  return shards;
}

Checkpoint::Checkpoint(const fs::path& folder) : TensorSource(folder) {
  check_folder(folder);
  const bool single = present(folder / kSingle), index = present(folder / kIndex);
  if (!single && !index) fail(folder.string(), "has neither {} nor {}{}", kSingle, kIndex, other_weights(folder));
  if (single) {
    open_single(folder / kSingle);
  } else {
    open_shards(folder / kIndex);
  }
  if (single && index) warn_of_index(folder / kIndex);
  if (present(folder / "adapter_config.json")) {
    warnings_.push_back(
        fmt::format("has adapter_config.json beside {}: the adapter is not read, the weights are taken "
                    "as they are",
                    single ? kSingle : kIndex));
  }
  unwrap();
  unpack();
  const fs::path config = folder / "config.json";
  if (!present(config)) fail(folder.string(), "has no config.json");
  config_ = parse_config(config.string(), read_file(config, kMaxConfigBytes));
}

// An index that names no other file than the one that is read says nothing else.
void Checkpoint::warn_of_index(const fs::path& path) {
  std::set<std::string> shards;
  try {
    for (const auto& [tensor, shard] : parse_index(path.string(), read_file(path, kMaxIndexBytes))) {
      shards.insert(shard);
    }
  } catch (const Error&) {  // it is not read
  }
  if (shards == std::set<std::string>{kSingle}) return;
  const std::string with = shards.empty() ? "" : fmt::format(" with {} shards", shards.size());
  warnings_.push_back(fmt::format("{} is read; {}{} beside it is not", kSingle, kIndex, with));
}

void Checkpoint::unwrap() {
  std::set<std::string, std::less<>> stored;
  for (const auto& [name, place] : places_) stored.insert(name);
  const UnwrappedNames unwrapped = unwrap_names(path_.string(), stored);
  if (unwrapped.warning.empty()) return;
  warnings_.push_back(unwrapped.warning);
  std::map<std::string, Place, std::less<>> places;
  tensors_.clear();
  for (const auto& [name, place] : places_) {
    const std::string& own = unwrapped.names.at(name);
    places[own] = place;
    tensors_[own] = {place.info->dtype, place.info->shape};
  }
  places_ = std::move(places);
}

void Checkpoint::add(const std::string& name, const File& file, const TensorInfo& info) {
  places_[name] = {&file, &info};
  tensors_[name] = {info.dtype, info.shape};
}

void Checkpoint::open_single(const fs::path& path) {
  files_.push_back(std::make_shared<SafetensorsFile>(path));
  for (const auto& [name, info] : files_.front()->header().tensors) add(name, files_.front(), info);
}

void Checkpoint::open_shards(const fs::path& index_path) {
  const auto index = parse_index(index_path.string(), read_file(index_path, kMaxIndexBytes));
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : index) {
    if (!shards.insert(shard).second) continue;
    const fs::path path = path_ / shard;
    if (!present(path) || is_dangling_link(path)) {
      fail(ErrorKind::NotFound, path.string(), "is missing; {} says that it holds tensor \"{}\"", kIndex,
           printable(tensor));
    }
    files_.push_back(std::make_shared<SafetensorsFile>(path));
  }
  std::sort(files_.begin(), files_.end(), [](const auto& a, const auto& b) { return a->path() < b->path(); });
  add_shards(index);
  for (const auto& [tensor, shard] : index) {
    if (!tensors_.contains(tensor)) {
      fail((path_ / shard).string(), "lacks tensor \"{}\", which {} says it holds", printable(tensor), kIndex);
    }
  }
}

// As transformers does (modeling_utils, _load_pretrained_model): every tensor of every shard that the index names, in
// the order of the shards' names, so that the last of several wins.
void Checkpoint::add_shards(const ShardIndex& index) {
  std::map<std::string, std::string> odd;  // what is to be said of how many tensors, and of the first
  std::map<std::string, int64_t> counts;
  const auto note = [&](const std::string& what, const std::string& tensor) {
    odd.emplace(what, tensor);
    ++counts[what];
  };
  for (const File& file : files_) {
    const std::string shard = file->path().filename().string();
    for (const auto& [name, info] : file->header().tensors) {
      const auto entry = index.find(name);
      if (places_.contains(name)) {
        note(fmt::format("in several shards, and taken from {}, the last", printable(shard)), name);
      } else if (entry == index.end()) {
        note(fmt::format("in {} without being in {}, and taken all the same", printable(shard), kIndex), name);
      } else if (entry->second != shard) {
        note(fmt::format("in {}, not in {} as {} says, and taken from there", printable(shard),
                         printable(entry->second), kIndex),
             name);
      }
      add(name, file, info);
    }
  }
  for (const auto& [what, tensor] : odd) {
    const std::string named = fmt::format("\"{}\"", printable(tensor));
    warnings_.push_back(counts[what] == 1 ? fmt::format("tensor {} is {}", named, what)
                                          : fmt::format("{} tensors, such as {}, are {}", counts[what], named, what));
  }
}

void Checkpoint::unpack() {
  constexpr std::string_view kBlocks = "_blocks";
  for (const auto& [name, place] : places_) {
    const std::vector<int64_t>& shape = place.info->shape;  // experts, rows, groups, bytes of a block
    if (!name.ends_with(kBlocks) || place.info->dtype != DType::U8 || shape.size() != 4) continue;
    const std::string whole = name.substr(0, name.size() - kBlocks.size());
    const auto scales = places_.find(whole + "_scales");
    if (shape[3] != kMxfp4Block / 2 || scales == places_.end() || places_.contains(whole)) continue;
    const TensorInfo& info = *scales->second.info;
    if (info.dtype != DType::U8 || info.shape != std::vector(shape.begin(), shape.end() - 1)) continue;
    packed_[whole] = {&place, &scales->second};
    tensors_.erase(name);
    tensors_.erase(scales->first);
    tensors_[whole] = {DType::BF16, {shape[0], shape[2] * kMxfp4Block, shape[1]}};
  }
}

TensorLease Checkpoint::decoded(const Packed& packed, int64_t begin, int64_t end) const {
  const std::vector<int64_t>& shape = packed.blocks->info->shape;
  const std::span<const std::byte> blocks = stored(*packed.blocks), scales = stored(*packed.scales);
  const auto groups = static_cast<size_t>(shape[1] * shape[2]), block = static_cast<size_t>(shape[3]);
  const size_t element = dtype_size(DType::BF16), matrix = groups * kMxfp4Block * element;
  auto bytes = std::make_shared<std::vector<std::byte>>(static_cast<size_t>(end - begin) * matrix);
  for (int64_t expert = begin; expert < end; ++expert) {
    const size_t at = static_cast<size_t>(expert) * groups;
    decode_mxfp4(blocks.subspan(at * block, groups * block), scales.subspan(at, groups), shape[1], shape[2],
                 std::span(*bytes).subspan(static_cast<size_t>(expert - begin) * matrix, matrix));
    release_pages(blocks.subspan(at * block, groups * block));
  }
  return {*bytes, bytes, false};
}

TensorLease Checkpoint::read_rows(std::string_view name, int64_t begin, int64_t end) const {
  if (const auto packed = packed_.find(name); packed != packed_.end()) return decoded(packed->second, begin, end);
  const Place& place = places_.find(name)->second;
  const uint64_t row = find(name)->row_bytes();
  return {stored(place).subspan(static_cast<size_t>(begin) * row, static_cast<size_t>(end - begin) * row), *place.file,
          true};
}

void Checkpoint::prefetch(std::string_view name, int64_t begin, int64_t end) const {
  const auto packed = packed_.find(name);
  if (packed == packed_.end()) return prefetch_pages(read_rows(name, begin, end).bytes);
  const std::span<const std::byte> blocks = stored(*packed->second.blocks);
  const size_t matrix = blocks.size() / static_cast<size_t>(std::max<int64_t>(1, find(name)->rows()));
  prefetch_pages(blocks.subspan(static_cast<size_t>(begin) * matrix, static_cast<size_t>(end - begin) * matrix));
}

void Checkpoint::check() const {
  for (const File& file : files_) file->check();
}

std::string Checkpoint::sha256() const {
  Sha256 hash;
  for (const auto& file : files_) {
    hash.update(file->header_bytes());
    std::array<std::byte, 8> size{};
    for (size_t i = 0; i < size.size(); ++i) size[i] = static_cast<std::byte>(file->size() >> (8 * i));
    hash.update(size);
  }
  return hash.hex();
}

void Checkpoint::hash_samples(Sha256& hash) const {
  for (const auto& [name, place] : places_) for_each_sample(stored(place), prefetch_pages);
  for (const auto& [name, place] : places_) {
    for_each_sample(stored(place), [&](std::span<const std::byte> sample) { hash.update(sample); });
    release_pages(stored(place));
  }
  check();
}

std::vector<SourceFile> Checkpoint::files() const {
  std::map<std::string, SourceFile> files;
  for (const File& file : files_) {
    const std::string name = file->path().filename().string();
    files[name] = {name, file->size(), 0};
  }
  for (const auto& [name, place] : places_) ++files[(*place.file)->path().filename().string()].tensors;
  std::vector<SourceFile> out;
  for (auto& [name, file] : files) out.push_back(std::move(file));
  return out;
}

std::vector<std::string> Checkpoint::companions() const {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(path_)) {
    if (entry.is_regular_file()) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string Checkpoint::companion(std::string_view name, size_t limit) const {
  return read_file(path_ / name, limit);
}

std::string Checkpoint::revision() const {
  return snapshot_path(path_).commit;
}

std::string Checkpoint::id() const {
  return model_id(path_);
}

std::string Checkpoint::hub_id() const {
  return hub_name(path_);
}

}  // namespace gyro
