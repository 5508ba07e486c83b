#include "gyro/checkpoint/content_hash.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "gyro/base/file.h"
#include "gyro/base/limits.h"
#include "gyro/base/parallel.h"

namespace gyro {
namespace {

constexpr uint64_t kPiece = uint64_t{16} << 20;  // bytes read at once

struct Named {
  const std::string* name;
  const SourceTensor* tensor;
};

std::string line_of(const Named& named, const std::string& hash) {
  return fmt::format("{} {} [{}] {}\n", hash, dtype_name(named.tensor->dtype), fmt::join(named.tensor->shape, ", "),
                     nlohmann::json(*named.name).dump());
}

std::string hash_of(const TensorSource& source, const Named& named) {
  Sha256 hash;
  const int64_t rows = named.tensor->rows();
  const auto step =
      static_cast<int64_t>(std::max<uint64_t>(1, kPiece / std::max<uint64_t>(1, named.tensor->row_bytes())));
  for (int64_t row = 0; row < rows; row += step) {
    const int64_t end = std::min(rows, row + step);
    source.prefetch(*named.name, end, std::min(rows, end + step));
    const TensorLease lease = source.read_rows(*named.name, row, end);
    hash.update(lease.bytes);
    if (lease.mapped) release_pages(lease.bytes);
  }
  return hash.hex();
}

}  // namespace

std::optional<std::string> content_sha256(const TensorSource& source, const RunOptions& run) {
  std::vector<Named> tensors;
  uint64_t bytes = 0;
  for (const auto& [name, tensor] : source.tensors()) {
    tensors.push_back({&name, &tensor});
    bytes += tensor.byte_size();
  }
  std::vector<size_t> order(tensors.size());  // the largest first, so that none is left to one thread at the end
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::stable_sort(
      order, [&](size_t a, size_t b) { return tensors[a].tensor->byte_size() > tensors[b].tensor->byte_size(); });
  std::vector<std::string> hashes(tensors.size());
  Progress progress("tensors", static_cast<int>(tensors.size()), static_cast<double>(bytes), run.progress);
  const auto job = [&](int i) {
    const size_t which = order[static_cast<size_t>(i)];
    progress.begin(*tensors[which].name);
    hashes[which] = hash_of(source, tensors[which]);
    progress.advance(1, static_cast<double>(tensors[which].tensor->byte_size()));
  };
  const int threads = run.threads > 0 ? run.threads : available_processors();
  const bool whole =
      checked({&source}, [&] { return parallel_for(static_cast<int>(tensors.size()), threads, job, run.stop); });
  if (!whole) return std::nullopt;
  Sha256 all;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const std::string line = line_of(tensors[i], hashes[i]);
    all.update(line);
  }
  return all.hex();
}

}  // namespace gyro
