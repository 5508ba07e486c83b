#include "gyro/checkpoint/writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <future>
#include <nlohmann/json.hpp>
#include <span>
#include <stdexcept>

#include "gyro/base/error.h"
#include "gyro/base/file.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;
constexpr size_t kLargeWrite = size_t{1} << 20;
using Json = nlohmann::json;  // sorted by key: an ordered one looks through all keys for each that is added

// Whether all that a folder holds is an adapter, as `gyro init` puts it beside the model.
bool is_adapter(const fs::path& folder) {
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name != "adapter_config.json" && name != "adapter_model.safetensors") return false;
  }
  return fs::exists(folder / "adapter_config.json");
}

void check_entries(const fs::path& folder) {
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.is_directory() && !entry.is_symlink() && !is_adapter(entry.path())) {
      fail(folder.string(), "holds a folder, '{}', which is not replaced", entry.path().filename().string());
    }
  }
}

bool is_new_or_empty(const fs::path& folder) {
  std::error_code error;
  const fs::file_status status = fs::status(folder, error);
  if (!fs::exists(status)) return true;
  if (!fs::is_directory(status)) fail(folder.string(), "exists and is not a folder");
  return fs::is_empty(folder, error);
}

// Whether `inner`, which exists, is `folder` or somewhere below it.
bool holds(const fs::path& folder, const fs::path& inner) {
  std::error_code error, inner_error;
  const fs::path outer = fs::canonical(folder, error), full = fs::canonical(inner, inner_error);
  return !error && !inner_error &&
         std::mismatch(outer.begin(), outer.end(), full.begin(), full.end()).first == outer.end();
}

// Nothing can be renamed into such a place.
bool is_mount_point(const fs::path& folder) {
  struct statx status {};
  return statx(AT_FDCWD, folder.c_str(), 0, STATX_BASIC_STATS, &status) == 0 &&
         (status.stx_attributes & status.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0;
}

// Makes the names in a folder last. The file systems that cannot do this need not.
void sync_folder(const fs::path& folder) {
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}

}  // namespace

fs::path named_folder(const fs::path& folder) {
  fs::path named = folder;
  const auto drop_slash = [&] {
    if (!named.has_filename()) named = named.parent_path();  // "out/"
  };
  drop_slash();
  if (named.filename() == "." || named.filename() == "..") named = fs::weakly_canonical(named);
  drop_slash();
  return named;
}

void check_not_an_input(const fs::path& folder, const std::vector<fs::path>& inputs) {
  std::error_code error;
  const fs::path target = fs::weakly_canonical(folder / "", error);  // "out" and "out/" alike
  for (const fs::path& input : inputs) {
    if (fs::weakly_canonical(input / "", error) == target) fail(folder.string(), "is one of the inputs");
  }
}

void check_new_or_empty(const fs::path& folder) {
  if (!is_new_or_empty(folder)) fail({ErrorKind::Input, "force"}, folder.string(), "is not empty");
}

void check_output_folder(const fs::path& folder, const std::vector<fs::path>& inputs, bool force) {
  check_not_an_input(folder, inputs);
  if (holds(folder, ".")) fail(folder.string(), "is the current folder or above it; name a new folder");
  for (const fs::path& input : inputs) {
    if (holds(folder, input)) fail(folder.string(), "holds '{}', one of the inputs", input.string());
  }
  const fs::path named = named_folder(folder);
  std::error_code ignored;
  if (fs::is_symlink(named, ignored) && !fs::exists(named, ignored))
    fail(folder.string(), "is a link that leads nowhere");
  if (is_mount_point(named)) fail(folder.string(), "is where a disk is mounted; name a folder in it");
  if (!force) return check_new_or_empty(folder);
  if (!is_new_or_empty(folder)) check_entries(folder);
}

CheckpointWriter::CheckpointWriter(const fs::path& folder, std::vector<PlannedTensor> plan, uint64_t shard_size,
                                   bool force)
    : folder_(named_folder(folder)), force_(force), plan_(std::move(plan)) {
  check_output_folder(folder_, {}, force_);
  target_ = fs::is_symlink(folder_) ? fs::canonical(folder_) : folder_;
  parents_.make(target_.parent_path());
  temporary_.emplace(target_);
  plan_shards(shard_size);
}

CheckpointWriter::~CheckpointWriter() {
  if (fd_ >= 0) close(fd_);
}

void CheckpointWriter::plan_shards(uint64_t shard_size) {
  std::vector<std::pair<size_t, size_t>> ranges;
  uint64_t filled = 0;
  for (size_t i = 0; i < plan_.size(); ++i) {
    if (ranges.empty() || (filled > 0 && filled + plan_[i].byte_size() > shard_size)) {
      ranges.emplace_back(i, i);
      filled = 0;
    }
    filled += plan_[i].byte_size();
    ranges.back().second = i + 1;
  }
  for (size_t s = 0; s < ranges.size(); ++s) {
    const std::string name = ranges.size() == 1 ? "model.safetensors"
                                                : fmt::format("model-{:05}-of-{:05}.safetensors", s + 1, ranges.size());
    shards_.push_back({name, ranges[s].first, ranges[s].second});
  }
}

void CheckpointWriter::open_shard() {
  const fs::path path = temporary_->path() / shards_[shard_].name;
  fd_ = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) fail((folder_ / shards_[shard_].name).string(), "cannot create: {}", std::strerror(errno));
  hash_ = Sha256();
  const auto first = plan_.begin() + static_cast<std::ptrdiff_t>(shards_[shard_].first);
  const auto last = plan_.begin() + static_cast<std::ptrdiff_t>(shards_[shard_].last);
  const std::string head =
      safetensors_head((folder_ / shards_[shard_].name).string(), {first, last}, {{"format", "pt"}});
  write(std::as_bytes(std::span(head)));
}

void CheckpointWriter::close_shard() {
  if (fsync(fd_) != 0) fail((folder_ / shards_[shard_].name).string(), "cannot sync to disk: {}", std::strerror(errno));
  close(fd_);
  fd_ = -1;
  hashes_[shards_[shard_].name] = hash_.hex();
  if (++shard_ == shards_.size() && shards_.size() > 1) write_index();
}

void CheckpointWriter::write(std::span<const std::byte> bytes) {
  // Both read the bytes and take about as long: a large tensor's hash is taken while it is written.
  std::future<void> hashed;
  if (bytes.size() >= kLargeWrite) {
    hashed = std::async(std::launch::async, [&] { hash_.update(bytes); });
  } else {
    hash_.update(bytes);
  }
  if (!write_all(fd_, bytes)) fail((folder_ / shards_[shard_].name).string(), "cannot write: {}", std::strerror(errno));
  if (hashed.valid()) hashed.get();
}

void CheckpointWriter::append(std::span<const std::byte> bytes) {
  if (next_ >= plan_.size() || bytes.size() != plan_[next_].byte_size())
    throw std::logic_error("append: not as planned");
  if (fd_ < 0) open_shard();
  write(bytes);
  if (++next_ == shards_[shard_].last) close_shard();
}

void CheckpointWriter::add_file(const std::string& name, std::string_view content) {
  std::error_code ignored;
  fs::create_directories((temporary_->path() / name).parent_path(), ignored);  // the write says what is wrong
  try {
    write_file_atomically(temporary_->path() / name, content);
  } catch (const Error& error) {
    throw Error((folder_ / name).string(), error.problem(), error.cause());
  }
  Sha256 hash;
  hash.update(content);
  hashes_[name] = hash.hex();
}

void CheckpointWriter::write_index() {
  Json weights = Json::object();
  uint64_t total = 0;
  for (const Shard& shard : shards_) {
    for (size_t i = shard.first; i < shard.last; ++i) {
      weights[plan_[i].name] = shard.name;
      total += plan_[i].byte_size();
    }
  }
  const Json index = {{"metadata", {{"total_size", total}}}, {"weight_map", weights}};
  add_file("model.safetensors.index.json", index.dump(2) + "\n");
}

void CheckpointWriter::finish() {
  if (next_ != plan_.size()) throw std::logic_error("finish: tensors are missing");
  check_output_folder(folder_, {}, force_);
  sync_folder(temporary_->path());
  std::error_code error;
  const fs::path old = target_.string() + ".old" + temporary_->path().extension().string();  // a name not yet used
  const bool replaces = fs::exists(target_, error);
  if (replaces) fs::rename(target_, old, error);
  if (!error) {
    fs::rename(temporary_->path(), target_, error);
    std::error_code ignored;
    if (error && replaces) fs::rename(old, target_, ignored);  // what was there stays there
  }
  if (error) fail(ErrorKind::Io, folder_.string(), "cannot rename into place: {}", error.message());
  temporary_->release();
  sync_folder(fs::absolute(target_).parent_path());
  if (replaces) fs::remove_all(old, error);
}

}  // namespace gyro
