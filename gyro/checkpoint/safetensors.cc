#include "gyro/checkpoint/safetensors.h"

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "gyro/base/error.h"
#include "gyro/checkpoint/json.h"

namespace gyro {
namespace {

constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr std::string_view kMetadataKey = "__metadata__";
constexpr std::string_view kLfsPointer = "version https://git-lfs";

// The rest of a message about a tensor: its name, in quotes, safe to print.
std::string named(std::string_view name) {
  return fmt::format("tensor \"{}\"", printable(name));
}

// Bytes of `shape` elements of `dtype`, or nothing when the product overflows.
std::optional<uint64_t> checked_bytes(DType dtype, const std::vector<int64_t>& shape) {
  uint64_t product = 1;
  for (const int64_t extent : shape) {
    if (extent < 0 || __builtin_mul_overflow(product, static_cast<uint64_t>(extent), &product)) return std::nullopt;
  }
  if (__builtin_mul_overflow(product, dtype_size(dtype), &product)) return std::nullopt;
  return product;
}

// Collects the header's entries as its JSON is read; refuses what does not have the form of a header.
class HeaderReader {
 public:
  explicit HeaderReader(std::string_view subject) : subject_(subject) {}

  void visit(const JsonPath& path, const JsonValue& value) {
    if (path.empty()) return;  // the object itself: the header starts with {
    if (path[0] == kMetadataKey) {
      visit_metadata(path, value);
    } else if (path.size() == 1) {
      require(value, JsonValue::Kind::Object, named(path[0]));
      draft_ = &drafts_[path[0]];
    } else if (path[1] == "dtype") {
      require(value, JsonValue::Kind::String, "the dtype of " + named(path[0]));
      draft_->dtype = dtype_from_name(value.text);
      if (!draft_->dtype) {
        fail(subject_, "{} has the dtype {}, which Gyro does not know", named(path[0]), printable(value.text, 40));
      }
    } else if (path[1] == "shape") {
      visit_list(path, value, "shape", draft_->shape);
    } else if (path[1] == "data_offsets") {
      visit_list(path, value, "data_offsets", draft_->offsets);
    }  // Other keys of an entry mean nothing to the format's own reader either.
  }

  SafetensorsHeader finish() {
    for (auto& [name, draft] : drafts_) header_.tensors.emplace(name, checked(name, draft));
    return std::move(header_);
  }

 private:
  using Numbers = std::optional<std::vector<int64_t>>;
  struct Draft {
    std::optional<DType> dtype;
    Numbers shape;
    Numbers offsets;
  };

  void require(const JsonValue& value, JsonValue::Kind kind, const std::string& what) {
    if (value.kind == kind) return;
    fail(subject_, "{} must be {}, not {}", what, json_kind_name(kind), json_kind_name(value.kind));
  }

  void visit_metadata(const JsonPath& path, const JsonValue& value) {
    if (path.size() == 1) {
      if (value.kind != JsonValue::Kind::Null) require(value, JsonValue::Kind::Object, std::string(kMetadataKey));
    } else {
      require(value, JsonValue::Kind::String, fmt::format("{} \"{}\"", kMetadataKey, printable(path[1])));
      header_.metadata.emplace(path[1], value.text);
    }
  }

  void visit_list(const JsonPath& path, const JsonValue& value, std::string_view field, Numbers& numbers) {
    const auto what = [&] { return fmt::format("the {} of {}", field, named(path[0])); };
    if (path.size() == 2) {
      if (value.kind != JsonValue::Kind::Array) require(value, JsonValue::Kind::Array, what());
      numbers.emplace();
      return;
    }
    if (value.kind != JsonValue::Kind::Unsigned || value.number > std::numeric_limits<int64_t>::max()) {
      fail(subject_, "{} must hold integers from 0 to 2^63 - 1", what());
    }
    numbers->push_back(static_cast<int64_t>(value.number));
  }

  // An entry that is whole, and whose size is that of its shape.
  TensorInfo checked(const std::string& name, Draft& draft) {
    if (!draft.dtype) fail(subject_, "{} has no dtype", named(name));
    if (!draft.shape) fail(subject_, "{} has no shape", named(name));
    if (!draft.offsets) fail(subject_, "{} has no data_offsets", named(name));
    if (draft.offsets->size() != 2) {
      fail(subject_, "{} has {} data_offsets instead of 2", named(name), draft.offsets->size());
    }
    TensorInfo info{*draft.dtype, std::move(*draft.shape), static_cast<uint64_t>((*draft.offsets)[0]),
                    static_cast<uint64_t>((*draft.offsets)[1])};
    if (info.end < info.begin) {
      fail(subject_, "{} ends at byte {}, before its begin {}", named(name), info.end, info.begin);
    }
    const std::optional<uint64_t> bytes = checked_bytes(info.dtype, info.shape);
    if (!bytes) fail(subject_, "{} has a shape whose size overflows 64 bits", named(name));
    if (info.end - info.begin != *bytes) {
      fail(subject_, "{} has {} bytes of data where its shape and dtype need {}", named(name), info.end - info.begin,
           *bytes);
    }
    return info;
  }

  std::string subject_;
  SafetensorsHeader header_;
  std::map<std::string, Draft> drafts_;
  Draft* draft_ = nullptr;  // the entry that is being read
};

// Tensors must tile the data: each byte belongs to exactly one.
void check_tiling(const std::string& subject, const SafetensorsHeader& header, uint64_t data_bytes) {
  using Item = std::pair<const std::string, TensorInfo>;
  std::vector<const Item*> order;
  for (const Item& item : header.tensors) order.push_back(&item);
  std::sort(order.begin(), order.end(), [](const Item* a, const Item* b) {
    return std::pair(a->second.begin, a->second.end) < std::pair(b->second.begin, b->second.end);
  });
  uint64_t covered = 0;
  for (const Item* item : order) {
    const auto& [name, info] = *item;
    if (info.end > data_bytes) {
      fail(subject, "{} ends at byte {} of the data, which has only {}: the file is cut short or corrupt", named(name),
           info.end, data_bytes);
    }
    if (info.begin > covered) {
      fail(subject, "the {} bytes of data before {} belong to no tensor", info.begin - covered, named(name));
    }
    if (info.begin < covered) fail(subject, "{} overlaps another tensor", named(name));
    covered = info.end;
  }
  if (covered != data_bytes) fail(subject, "the last {} bytes belong to no tensor", data_bytes - covered);
}

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The JSON text of a header that lists `tensors` one after the other, padded.
std::string header_text(const std::string& subject, const std::vector<PlannedTensor>& tensors,
                        const std::map<std::string, std::string>& metadata) {
  const auto json_string = [&](const std::string& text) {
    try {
      return nlohmann::json(text).dump();
    } catch (const nlohmann::json::exception&) {
      fail(subject, "cannot write a name or metadata that is not UTF-8");
    }
  };
  std::vector<std::string> entries;
  if (!metadata.empty()) {
    std::vector<std::string> pairs;
    for (const auto& [key, value] : metadata) pairs.push_back(json_string(key) + ":" + json_string(value));
    entries.push_back(fmt::format("\"{}\":{{{}}}", kMetadataKey, fmt::join(pairs, ",")));
  }
  std::set<std::string_view> names = {kMetadataKey};
  uint64_t offset = 0;
  for (const PlannedTensor& tensor : tensors) {
    if (!names.insert(tensor.name).second) fail(subject, "cannot write {}: the name is taken", named(tensor.name));
    const uint64_t end = offset + tensor.byte_size();
    entries.push_back(fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                                  json_string(tensor.name), dtype_name(tensor.dtype), fmt::join(tensor.shape, ","),
                                  offset, end));
    offset = end;
  }
  std::string text = fmt::format("{{{}}}", fmt::join(entries, ","));
  text.resize((text.size() + 7) / 8 * 8, ' ');
  if (text.size() > kMaxHeaderBytes) fail(subject, "cannot write a header of more than {} bytes", kMaxHeaderBytes);
  return text;
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view subject, std::span<const std::byte> file_bytes,
                                           uint64_t file_size) {
  const std::string file(subject);
  if (as_text(file_bytes).starts_with(kLfsPointer)) {
    fail(file, "is a Git LFS pointer, not the file itself (git lfs pull fetches it)");
  }
  if (file_size < kLengthBytes || file_bytes.size() < kLengthBytes) {
    fail(file, "has {} bytes, too few for a safetensors file", file_size);
  }
  uint64_t length = 0;
  for (size_t i = 0; i < kLengthBytes; ++i) length |= std::to_integer<uint64_t>(file_bytes[i]) << (8 * i);
  if (length > kMaxHeaderBytes) {
    fail(file, "says that its header has {} bytes, more than the {} that the format allows: not a safetensors file?",
         length, kMaxHeaderBytes);
  }
  if (length > file_size - kLengthBytes || length > file_bytes.size() - kLengthBytes) {
    fail(file, "is cut short: a header of {} bytes does not fit into its {}", length, file_size);
  }
  const std::string_view text = as_text(file_bytes.subspan(kLengthBytes, length));
  if (!text.starts_with('{')) fail(file, "has a header that does not start with {{: not a safetensors file?");
  HeaderReader reader(file);
  visit_json(file, text, [&](const JsonPath& path, const JsonValue& value) { reader.visit(path, value); });
  SafetensorsHeader header = reader.finish();
  header.data_begin = kLengthBytes + length;
  check_tiling(file, header, file_size - header.data_begin);
  return header;
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : path_(path),
      mapping_(path),
      header_(parse_safetensors_header(path.string(), mapping_.bytes(), mapping_.bytes().size())) {}

std::span<const std::byte> SafetensorsFile::bytes(const TensorInfo& tensor) const {
  return mapping_.bytes().subspan(header_.data_begin + tensor.begin, tensor.end - tensor.begin);
}

std::span<const std::byte> SafetensorsFile::header_bytes() const {
  return mapping_.bytes().first(header_.data_begin);
}

void for_each_sample(std::span<const std::byte> bytes, const std::function<void(std::span<const std::byte>)>& visit) {
  for (size_t i = 0; i < 16 && !bytes.empty(); ++i) {
    const size_t at = bytes.size() / 16 * i;
    visit(bytes.subspan(at, std::min<size_t>(256, bytes.size() - at)));
  }
}

uint64_t PlannedTensor::byte_size() const {
  const auto size = checked_bytes(dtype, shape);
  if (!size) fail(name, "has a shape that no tensor can have");
  return *size;
}

std::string safetensors_head(const std::string& subject, const std::vector<PlannedTensor>& tensors,
                             const std::map<std::string, std::string>& metadata) {
  const std::string text = header_text(subject, tensors, metadata);
  std::string head(kLengthBytes, '\0');
  for (size_t i = 0; i < kLengthBytes; ++i) head[i] = static_cast<char>(text.size() >> (8 * i) & 0xff);
  return head + text;
}

void write_safetensors(const std::filesystem::path& path, const std::vector<TensorToWrite>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<PlannedTensor> plan;
  for (const TensorToWrite& tensor : tensors) {
    plan.push_back({tensor.name, tensor.dtype, tensor.shape});
    if (checked_bytes(tensor.dtype, tensor.shape) != tensor.bytes.size()) {
      fail(path.string(), "cannot write {}: its shape and dtype do not need {} bytes", named(tensor.name),
           tensor.bytes.size());
    }
  }
  const std::string head = safetensors_head(path.string(), plan, metadata);
  std::vector<std::span<const std::byte>> pieces = {std::as_bytes(std::span(head))};
  for (const TensorToWrite& tensor : tensors) pieces.push_back(tensor.bytes);
  write_file_atomically(path, pieces);
}

}  // namespace gyro
