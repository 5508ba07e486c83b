#include "gyro/open/adapter.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <system_error>

#include "gyro/arch/arch.h"
#include "gyro/arch/inventory.h"
#include "gyro/base/error.h"
#include "gyro/base/file.h"
#include "gyro/checkpoint/hub_path.h"
#include "gyro/checkpoint/unwrap.h"
#include "gyro/linalg/linalg.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;

std::string shape_text(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

using Json = nlohmann::ordered_json;

void untie(Json& section) {
  section["tie_word_embeddings"] = false;
  for (const std::string_view name : language_section_names()) {
    if (const auto inner = section.find(name); inner != section.end() && inner->is_object()) untie(*inner);
  }
}

// A config.json, which has been parsed once, of a model whose head is not the embedding.
std::string untied(const std::string& config) {
  Json json = Json::parse(config);
  untie(json);
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

AdapterSource::AdapterSource(const fs::path& folder, LoraConfig config, std::shared_ptr<const TensorSource> base)
    : TensorSource(folder),
      lora_(std::move(config)),
      base_(std::move(base)),
      file_(std::make_shared<SafetensorsFile>(folder / "adapter_model.safetensors")) {
  config_ = base_->config();
  tensors_ = base_->tensors();
  for (const auto& [name, tensor] : tensors_) tails_.emplace(tail_of(name), name);
  if (lora_.target_modules) targets_.insert(lora_.target_modules->begin(), lora_.target_modules->end());
  std::error_code ignored;
  own_tokenizer_ = fs::exists(folder / "tokenizer.json", ignored) || fs::exists(folder / "tokenizer.model", ignored);
  const Modules modules = sort_tensors();
  if (modules.empty() && whole_.empty()) fail(file_->path().string(), "holds no tensor");
  settle_head();
  untie_adapted_head(modules);
  squares_turned_ = turns_squares(modules);
  for (const auto& [module, parts] : modules) adapt(module, parts);
  warn_of_targets(modules);
}

AdapterSource::Modules AdapterSource::sort_tensors() {
  Modules modules;
  std::vector<std::string> whole;
  for (const auto& [given, info] : file_->header().tensors) {
    const AdapterName name = parse_adapter_name(file_->path().string(), given);
    if (!dtype_is_float(info.dtype)) {
      fail(file_->path().string(), "tensor \"{}\" is {}, and no floating-point tensor", printable(given),
           dtype_name(info.dtype));
    }
    if (name.part == AdapterPart::Whole) {
      add_whole(given, info, name.module);
      continue;
    }
    Module& parts = modules[name.module];
    parts.embedding |= name.embedding;
    Factor& part = name.part == AdapterPart::A           ? parts.a
                   : name.part == AdapterPart::B         ? parts.b
                   : name.part == AdapterPart::Magnitude ? parts.magnitude
                                                         : parts.bias;
    part = {given, &info};
  }
  return modules;
}

// The base's name of a tensor that the adapter calls `name`: the same, or the one that ends alike, as where one of them
// was saved from within a multimodal model.
std::string AdapterSource::base_name(const std::string& name, const std::string& given) const {
  if (base_->find(name) != nullptr || (name == tied_head_ && !name.empty())) return name;
  std::vector<std::string> found;
  const auto [begin, end] = tails_.equal_range(tail_of(name));
  for (auto at = begin; at != end; ++at) {
    if (is_of_tower(at->second) == is_of_tower(name)) found.push_back(at->second);
  }
  if (found.size() == 1) return found.front();
  if (found.empty()) {
    fail(file_->path().string(), "has tensor \"{}\", and the base {} no \"{}\"", printable(given),
         base_->path().string(), printable(name));
  }
  fail(file_->path().string(), "has tensor \"{}\", which may be for \"{}\" or \"{}\" of the base {}", printable(given),
       printable(found[0]), printable(found[1]), base_->path().string());
}

// Whether modules_to_save names the module whose tensor it is: a head that the base does not have.
bool AdapterSource::is_saved_module(const std::string& name) const {
  return std::ranges::any_of(lora_.modules_to_save, [&](const std::string& module) {
    const size_t at = ("." + name).rfind("." + module + ".");
    return at != std::string::npos;
  });
}

void AdapterSource::add_whole(const std::string& given, const TensorInfo& info, const std::string& name) {
  const bool may_be_new = is_saved_module(name) || (is_tied(*base_) && is_head_name(name));
  const bool is_new = may_be_new && base_->find(name) == nullptr && !tails_.contains(tail_of(name));
  const std::string own = is_new ? name : base_name(name, given);
  const SourceTensor* before = base_->find(own);
  if (before != nullptr && before->shape != info.shape) {
    const bool grown = info.shape.size() == 2 && before->shape.size() == 2 && info.shape[1] == before->shape[1];
    if (!grown) {
      fail(file_->path().string(), "tensor \"{}\" has the shape {} where the base has {}", printable(given),
           shape_text(info.shape), shape_text(before->shape));
    }
    warnings_.push_back(
        fmt::format("\"{}\" has {} rows in place of the base's {}", printable(own), info.shape[0], before->shape[0]));
  }
  if (!whole_.emplace(own, Factor{given, &info}).second) {
    fail(file_->path().string(), "has two tensors for \"{}\"", printable(own));
  }
  tensors_[own] = {info.dtype, info.shape};
  drop_scales(own);
}

// A head that the adapter brings where the base's is the embedding: PEFT saves one beside an embedding that it saves. A
// copy of the embedding is none of its own.
void AdapterSource::settle_head() {
  if (!is_tied(*base_)) return;
  const auto head = std::ranges::find_if(whole_, [](const auto& entry) { return is_head_name(entry.first); });
  if (head == whole_.end()) return;
  const std::string name = head->first;
  for (const auto& [other, tensor] : tensors_) {
    if (!is_embeddings_name(other) || is_of_tower(other) != is_of_tower(name)) continue;
    if (!same_values(name, other)) continue;
    if (base_->find(name) != nullptr) return;
    tensors_.erase(name);
    whole_.erase(head);
    return;
  }
  config_.tie_word_embeddings = false;
  untied_ = true;
  warnings_.push_back(fmt::format(
      "has a head of its own (\"{}\") where the base's is the embedding: they are tied no more", printable(name)));
}

// Factors of a head that in the base is the embedding make one of its own: PEFT's Linear adds their product to what the
// head gives, and the embedding gives what it gave.
void AdapterSource::untie_adapted_head(const Modules& modules) {
  if (!is_tied(*base_) || untied_) return;
  for (const auto& [module, parts] : modules) {
    const std::string name = module + ".weight";
    if (!is_head_name(name) || tensors_.contains(name) || tails_.contains(tail_of(name))) continue;
    const auto& all = base_->tensors();
    const auto embeddings = std::ranges::find_if(all, [&](const auto& entry) {
      return is_embeddings_name(entry.first) && is_of_tower(entry.first) == is_of_tower(name);
    });
    if (embeddings == all.end()) return;
    tied_head_ = name;
    embeddings_ = embeddings->first;
    tensors_[name] = embeddings->second;
    config_.tie_word_embeddings = false;
    untied_ = true;
    warnings_.push_back(fmt::format(
        "adapts the head (\"{}\"), which is the base's embedding: the head is that with the adapter added, the "
        "embedding stays, and they are tied no more",
        printable(name)));
    return;
  }
}

bool AdapterSource::same_values(const std::string& name, const std::string& other) const {
  const std::vector<int64_t>& shape = tensors_.at(name).shape;
  if (shape.size() != 2 || shape != tensors_.at(other).shape) return false;
  constexpr int64_t kRows = 256;
  std::vector<double> a(static_cast<size_t>(kRows * shape[1])), b(a.size());
  for (int64_t begin = 0; begin < shape[0]; begin += kRows) {
    const int64_t end = std::min(begin + kRows, shape[0]);
    read_base(name, begin, end, a.data());
    read_base(other, begin, end, b.data());
    if (!std::equal(a.begin(), a.begin() + (end - begin) * shape[1], b.begin())) return false;
  }
  return true;
}

// Of an FP8 tensor whose place another takes: its own, and of a module's weight all that the module has.
void AdapterSource::drop_scales(const std::string& name) {
  const SourceTensor* before = base_->find(name);
  if (before == nullptr || !dtype_is_fp8(before->dtype)) return;
  const bool weight = name.ends_with(".weight");
  const std::string beginning = weight ? name.substr(0, name.size() - 6) : name + "_scale";
  for (auto at = tensors_.lower_bound(beginning); at != tensors_.end() && at->first.starts_with(beginning);) {
    const bool below = at->first.find('.', beginning.size()) != std::string::npos;
    at = !below && base_->is_fp8_scale(at->first) ? tensors_.erase(at) : std::next(at);
  }
}

void AdapterSource::check_factors(const std::string& module, const Module& parts, const std::string& weight,
                                  int64_t rank) const {
  const std::string file = file_->path().string();
  if (parts.a.info == nullptr || parts.b.info == nullptr) {
    fail(file, "has only one factor of the module {}", printable(module));
  }
  const std::vector<int64_t>&a = parts.a.info->shape, &b = parts.b.info->shape, &w = tensors_.at(weight).shape;
  const auto refuse = [&] {
    fail(file, "module {} has factors of the shapes {} and {}, which make nothing for the base's \"{}\" of {}",
         printable(module), shape_text(a), shape_text(b), printable(weight), shape_text(w));
  };
  if (w.size() != 2 || a.size() != 2 || b.size() != 2 || a[0] != b[1]) refuse();
  const bool straight = b[0] == w[0] && a[1] == w[1], turned = a[1] == w[0] && b[0] == w[1];
  if (parts.embedding ? !turned : !straight && !turned) refuse();
  if (a[0] != rank) {
    fail(file, "module {} has the rank {}, and {} by adapter_config.json", printable(module), a[0], rank);
  }
  if (!dtype_is_float(tensors_.at(weight).dtype)) {
    fail(base_->path().string(), "tensor \"{}\" holds quantised integers ({}), which no adapter is added to",
         printable(weight), dtype_name(tensors_.at(weight).dtype));
  }
  if (lora_.use_dora != (parts.magnitude.info != nullptr)) {
    fail(file, "module {} has {} magnitudes, and use_dora is {}", printable(module), lora_.use_dora ? "no" : "DoRA's",
         lora_.use_dora);
  }
  if (!lora_.use_dora) return;
  if (parts.embedding) fail(file, "has DoRA of the embedding {}, which Gyro does not read", printable(module));
  if (parts.magnitude.info->shape != std::vector{b[0]}) {
    fail(file, "tensor \"{}\" has the shape {}, not [{}]", printable(parts.magnitude.name),
         shape_text(parts.magnitude.info->shape), b[0]);
  }
}

// PEFT goes by the kind of module, Linear or Conv1D, whatever fan_in_fan_out says: so do the models that are known to
// be made of Conv1D, and so do other modules of the adapter, whose shapes tell. Else the config is all there is.
bool AdapterSource::turns_squares(const Modules& modules) const {
  if (config_.model_type == "gpt2" || config_.model_type == "openai-gpt") return true;
  return lora_.fan_in_fan_out && std::ranges::none_of(modules, [&](const auto& entry) {
           const auto& [module, parts] = entry;
           if (parts.embedding || parts.a.info == nullptr || parts.a.info->shape.size() != 2) return false;
           const std::vector<int64_t>& w = tensors_.at(base_name(module + ".weight", parts.a.name)).shape;
           return w.size() == 2 && w[0] != w[1] && parts.a.info->shape[1] == w[1];
         });
}

void AdapterSource::adapt(const std::string& module, const Module& parts) {
  const Factor& any = parts.a.info != nullptr      ? parts.a
                      : parts.b.info != nullptr    ? parts.b
                      : parts.bias.info != nullptr ? parts.bias
                                                   : parts.magnitude;
  if (lora_.target_modules && targets_of(module, targets_).empty()) {
    fail(file_->path().string(), "holds \"{}\", which is none of target_modules in adapter_config.json",
         printable(any.name));
  }
  const std::string weight = base_name(module + ".weight", any.name);
  const LoraConfig::Share share = lora_.share_of(module);
  check_factors(module, parts, weight, share.rank);
  const std::vector<int64_t>& w = tensors_.at(weight).shape;
  const std::vector<int64_t>&a = parts.a.info->shape, &b = parts.b.info->shape;
  const bool straight = b[0] == w[0] && a[1] == w[1];
  const bool square = w[0] == w[1];
  Adapted adapted{parts.a, parts.b, parts.magnitude, share.scaling, false};
  adapted.transposed = parts.embedding || (square ? squares_turned_ : !straight);
  if (!adapted_.emplace(weight, std::move(adapted)).second) {
    fail(file_->path().string(), "has two modules for the base's \"{}\"", printable(weight));
  }
  tensors_[weight].dtype = DType::F64;
  drop_scales(weight);
  if (parts.embedding && is_tied(*base_)) {
    warnings_.push_back(
        "adapts the embedding, which is this model's output as well: both are taken as changed, as "
        "when PEFT merges");
  }
  if (parts.bias.info != nullptr) add_bias(module, parts.bias, share.scaling);
}

// PEFT's lora_bias: B has a bias, which goes the way of its product.
void AdapterSource::add_bias(const std::string& module, const Factor& added, double scaling) {
  const std::string bias = base_name(module + ".bias", added.name);
  if (tensors_.at(bias).shape != added.info->shape) {
    fail(file_->path().string(), "tensor \"{}\" has the shape {} where the base has {}", printable(added.name),
         shape_text(added.info->shape), shape_text(tensors_.at(bias).shape));
  }
  biases_[bias] = {added, scaling};
  tensors_[bias].dtype = DType::F64;
}

void AdapterSource::warn_of_targets(const Modules& modules) {
  if (!lora_.target_modules) return;
  std::set<std::string_view> found;
  for (const auto& [module, parts] : modules) {
    for (const std::string_view target : targets_of(module, targets_)) found.insert(target);
  }
  for (const std::string& target : *lora_.target_modules) {
    if (!found.contains(target))
      warnings_.push_back(fmt::format("has no tensor for its target module {}", printable(target, 60)));
  }
}

std::vector<double> AdapterSource::values(const Factor& factor) const {
  const std::span<const std::byte> bytes = file_->bytes(*factor.info);
  std::vector<double> out(bytes.size() / dtype_size(factor.info->dtype));
  widen(factor.info->dtype, bytes.data(), out.size(), out.data());
  if (!std::ranges::all_of(out, [](double value) { return std::isfinite(value); })) {
    check();
    fail(file_->path().string(), "tensor \"{}\" holds NaN or infinity", printable(factor.name));
  }
  return out;
}

// Rows of what the adapter is added to, as FP64.
void AdapterSource::read_base(const std::string& name, int64_t begin, int64_t end, double* out) const {
  if (name == tied_head_ && !name.empty()) {
    const int64_t cols = tensors_.at(name).shape[1];
    return widen(
        load_weight(*base_,
                    {.tensor = embeddings_, .row_begin = begin, .row_end = end, .d_in = cols, .d_out = end - begin}),
        0, end - begin, 0, cols, out, cols);
  }
  const auto whole = whole_.find(name);
  const std::vector<int64_t>& shape = tensors_.at(name).shape;
  const int64_t cols = shape.size() > 1 ? shape[1] : 1;
  if (whole != whole_.end()) {
    const TensorInfo& info = *whole->second.info;
    const size_t row = static_cast<size_t>(cols) * dtype_size(info.dtype);
    widen(info.dtype, file_->bytes(info).data() + static_cast<size_t>(begin) * row,
          static_cast<size_t>((end - begin) * cols), out);
  } else if (shape.size() == 2) {
    const Weight weight =
        load_weight(*base_, {.tensor = name, .row_begin = begin, .row_end = end, .d_in = cols, .d_out = end - begin});
    widen(weight, 0, end - begin, 0, cols, out, cols);
  } else {
    const TensorLease lease = base_->read_rows(name, begin, end);
    widen(base_->find(name)->dtype, lease.bytes.data(), static_cast<size_t>(end - begin), out);
  }
}

// DoRA: every output's row of W (its column, where W is stored the other way round) gets the length of its magnitude.
void AdapterSource::rescale(const std::string& name, const Adapted& adapted, int64_t begin, int64_t end,
                            double* rows) const {
  const std::vector<double> magnitudes = values(adapted.magnitude);
  const int64_t cols = tensors_.at(name).shape[1];
  const auto output = [&](int64_t i, int64_t j) { return static_cast<size_t>(adapted.transposed ? j : begin + i); };
  std::vector<double> squares(magnitudes.size()), factors(magnitudes.size());
  for (int64_t i = 0; i < end - begin; ++i) {
    for (int64_t j = 0; j < cols; ++j) squares[output(i, j)] += rows[i * cols + j] * rows[i * cols + j];
  }
  const int64_t first = adapted.transposed ? 0 : begin, last = adapted.transposed ? cols : end;
  for (auto at = static_cast<size_t>(first); at < static_cast<size_t>(last); ++at) {
    if (!(squares[at] > 0)) {
      fail(path_.string(), "output {} of \"{}\" is zero, which DoRA cannot scale", at, printable(name));
    }
    factors[at] = magnitudes[at] / std::sqrt(squares[at]);
  }
  for (int64_t i = 0; i < end - begin; ++i) {
    for (int64_t j = 0; j < cols; ++j) rows[i * cols + j] *= factors[output(i, j)];
  }
}

TensorLease AdapterSource::adapted_rows(const std::string& name, const Adapted& adapted, int64_t begin,
                                        int64_t end) const {
  const std::vector<int64_t>& shape = tensors_.at(name).shape;
  // Lengths of columns need all rows.
  const bool whole = adapted.magnitude.info != nullptr && adapted.transposed;
  const int64_t first = whole ? 0 : begin, last = whole ? shape[0] : end;
  auto rows = std::make_shared<Matrix>(shape[1], last - first, Space::Host);  // a column is a row of W as stored
  read_base(name, first, last, rows->data());
  const std::vector<double> a = values(adapted.a), b = values(adapted.b);
  const int64_t rank = adapted.a.info->shape[0], a_cols = adapted.a.info->shape[1], b_rows = adapted.b.info->shape[0];
  const ConstMatrixView a_view(a.data(), a_cols, rank, a_cols), b_view(b.data(), rank, b_rows, rank);
  using linalg::Op;
  if (adapted.transposed) {
    linalg::gemm(Op::Transpose, Op::Transpose, adapted.scaling, b_view, a_view.block(first, 0, last - first, rank), 1,
                 *rows);
  } else {
    linalg::gemm(Op::None, Op::None, adapted.scaling, a_view, b_view.block(0, first, rank, last - first), 1, *rows);
  }
  if (adapted.magnitude.info != nullptr) rescale(name, adapted, first, last, rows->data());
  const std::span<const double> taken(rows->data() + (begin - first) * shape[1],
                                      static_cast<size_t>((end - begin) * shape[1]));
  return {std::as_bytes(taken), rows, false};
}

TensorLease AdapterSource::read_rows(std::string_view name, int64_t begin, int64_t end) const {
  if (const auto adapted = adapted_.find(name); adapted != adapted_.end()) {
    return adapted_rows(adapted->first, adapted->second, begin, end);
  }
  if (const auto bias = biases_.find(name); bias != biases_.end()) {
    auto out = std::make_shared<std::vector<double>>(static_cast<size_t>(end - begin));
    read_base(bias->first, begin, end, out->data());
    const std::vector<double> added = values(bias->second.added);
    for (size_t i = 0; i < out->size(); ++i) {
      (*out)[i] += bias->second.scaling * added[static_cast<size_t>(begin) + i];
    }
    return {std::as_bytes(std::span(*out)), out, false};
  }
  if (const auto whole = whole_.find(name); whole != whole_.end()) {
    const uint64_t row = tensors_.find(name)->second.row_bytes();
    const auto bytes = file_->bytes(*whole->second.info);
    return {bytes.subspan(static_cast<size_t>(begin) * row, static_cast<size_t>(end - begin) * row), file_, true};
  }
  return base_->read_rows(name, begin, end);
}

void AdapterSource::prefetch(std::string_view name, int64_t begin, int64_t end) const {
  if (!whole_.contains(name)) base_->prefetch(name == tied_head_ ? embeddings_ : name, begin, end);
}

void AdapterSource::check() const {
  base_->check();
  file_->check();
}

std::string AdapterSource::sha256() const {
  Sha256 hash;
  hash.update(base_->sha256());
  hash.update(file_->header_bytes());
  return hash.hex();
}

void AdapterSource::hash_samples(Sha256& hash) const {
  base_->hash_samples(hash);
  for (const auto& [name, adapted] : adapted_) {
    hash.update(
        fmt::format("{} {:a} {} {}\n", name, adapted.scaling, adapted.transposed, adapted.magnitude.info != nullptr));
  }
  for (const auto& [name, bias] : biases_) hash.update(fmt::format("{} {:a}\n", name, bias.scaling));
  for (const auto& [name, info] : file_->header().tensors) {
    for_each_sample(file_->bytes(info), [&](std::span<const std::byte> sample) { hash.update(sample); });
  }
  check();
}

std::vector<std::string> AdapterSource::companions() const {
  std::vector<std::string> names;
  for (std::string& name : base_->companions()) {
    if (!own_tokenizer_ || !is_tokenizer_file(name)) names.push_back(std::move(name));
  }
  if (own_tokenizer_) {
    for (const fs::directory_entry& entry : fs::directory_iterator(path_)) {
      const std::string name = entry.path().filename().string();
      if (entry.is_regular_file() && is_tokenizer_file(name)) names.push_back(name);
    }
    std::sort(names.begin(), names.end());
  }
  return names;
}

std::string AdapterSource::companion(std::string_view name, size_t limit) const {
  if (own_tokenizer_ && is_tokenizer_file(name)) return read_file(path_ / name, limit);
  std::string text = base_->companion(name, limit);
  return untied_ && name == "config.json" ? untied(text) : text;
}

std::vector<std::string> AdapterSource::all_warnings() const {
  std::vector<std::string> all = base_warnings_ ? base_->all_warnings() : std::vector<std::string>{};
  for (std::string& warning : TensorSource::all_warnings()) all.push_back(std::move(warning));
  return all;
}

std::string AdapterSource::id() const {
  const std::string base = base_->id();
  return fmt::format("{} (LoRA of {})", model_id(path_), base.substr(base.rfind('/') + 1));
}
std::vector<fs::path> AdapterSource::folders() const {
  std::vector<fs::path> folders = base_->folders();
  folders.push_back(path_);
  return folders;
}
std::string AdapterSource::revision() const {
  return snapshot_path(path_).commit;
}
std::string AdapterSource::hub_id() const {
  return hub_name(path_);
}

}  // namespace gyro
