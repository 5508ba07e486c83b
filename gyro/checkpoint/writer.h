#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "gyro/base/file.h"
#include "gyro/base/sha256.h"
#include "gyro/base/temporary.h"
#include "gyro/checkpoint/safetensors.h"

namespace gyro {

/// Writes a checkpoint folder as Hugging Face lays it out, tensor by tensor in the planned order, without holding it in
/// memory: model.safetensors, or shards of at most `shard_size` bytes (a larger tensor has a shard of its own) and
/// model.safetensors.index.json. Everything goes to a folder of a temporary name beside `folder` (beside the folder it
/// leads to, if it is a link), which takes its place in finish(); if that is never called, nothing is left, nor the
/// folders above it that had to be made. Throws Error naming the file.
class CheckpointWriter {
 public:
  /// `folder` must not exist, or be empty; with `force` it may hold files and adapters, which are then replaced.
  CheckpointWriter(const std::filesystem::path& folder, std::vector<PlannedTensor> plan, uint64_t shard_size,
                   bool force);
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  /// The next tensor of the plan.
  void append(std::span<const std::byte> bytes);
  /// Another file of the folder, by its path in it.
  void add_file(const std::string& name, std::string_view content);
  /// SHA-256 of every file written so far, by name. Whole after the last tensor.
  const std::map<std::string, std::string>& hashes() const { return hashes_; }
  /// Syncs everything to disk and renames the folder into place.
  void finish();

 private:
  struct Shard {
    std::string name;
    size_t first = 0, last = 0;  // tensors [first, last) of the plan
  };
  void plan_shards(uint64_t shard_size);
  void open_shard();
  void close_shard();
  void write(std::span<const std::byte> bytes);
  void write_index();

  MadeFolders parents_;
  std::filesystem::path folder_;  // as given, for messages
  std::filesystem::path target_;  // where it leads, if it is a link
  std::optional<TemporaryFolder> temporary_;
  bool force_ = false;
  std::vector<PlannedTensor> plan_;
  std::vector<Shard> shards_;
  std::map<std::string, std::string> hashes_;
  size_t shard_ = 0, next_ = 0;
  int fd_ = -1;
  Sha256 hash_;
};

/// `folder` by a path that ends in its name: without a trailing slash, "." or "..". A link is not followed.
std::filesystem::path named_folder(const std::filesystem::path& folder);

/// Throws Error if `folder` is one of `inputs`.
void check_not_an_input(const std::filesystem::path& folder, const std::vector<std::filesystem::path>& inputs);

/// Throws Error if `folder` exists and is not an empty folder.
void check_new_or_empty(const std::filesystem::path& folder);

/// Throws Error unless `folder` may take the place of what is there: it is none of `inputs`, holds none of them nor the
/// current folder, is no place where a disk is mounted and no link that leads nowhere, and is new, empty, or `force` is
/// given.
void check_output_folder(const std::filesystem::path& folder, const std::vector<std::filesystem::path>& inputs,
                         bool force);

}  // namespace gyro
