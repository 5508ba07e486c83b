#include "gyro/infer/taps.h"

#include <ggml-backend.h>
#include <ggml.h>

#include <algorithm>
#include <charconv>

#include "gyro/base/error.h"

namespace gyro {
namespace {

constexpr std::string_view kAttention = "kq_soft_max-", kHidden = "l_out-";

/// The layer in a node's name; nothing for one of another kind.
std::optional<int64_t> layer_of(std::string_view name, std::string_view stem) {
  if (!name.starts_with(stem)) return std::nullopt;
  int64_t layer = 0;
  const char* end = name.data() + name.size();
  const auto [at, error] = std::from_chars(name.data() + stem.size(), end, layer);
  return error == std::errc() && at == end ? std::optional(layer) : std::nullopt;
}

/// Whether one of `positions` lies in [begin, end).
bool any_within(const std::vector<int64_t>& positions, int64_t begin, int64_t end) {
  const auto at = std::lower_bound(positions.begin(), positions.end(), begin);
  return at != positions.end() && *at < end;
}

}  // namespace

void TapReader::start(const TapRequest& wanted, int64_t prompt) {
  request = &wanted;
  positions = prompt;
  const auto count = [](int64_t a, size_t b, int64_t c) { return static_cast<size_t>(a) * b * static_cast<size_t>(c); };
  const int64_t read = wanted.attention_layers.empty() ? layers : static_cast<int64_t>(wanted.attention_layers.size());
  taps.attention.assign(count(read * heads, wanted.attention_rows.size(), prompt), 0);
  taps.hidden.assign(count(layers, wanted.hidden_positions.size(), width), 0);
}

bool TapReader::on_node(ggml_tensor* node, bool ask, void* reader) {
  TapReader& self = *static_cast<TapReader*>(reader);
  if (self.request == nullptr) return !ask;
  const std::string_view name = ggml_get_name(node);
  const auto attention = layer_of(name, kAttention), hidden = layer_of(name, kHidden);
  const auto place = attention ? self.place_of(*attention) : std::nullopt;
  const bool wants_attention = place && any_within(self.request->attention_rows, self.begin, self.end);
  const bool wants_hidden = hidden && any_within(self.request->hidden_positions, self.begin, self.end);
  if (ask) return wants_attention || wants_hidden;
  if (wants_attention) self.read_attention(node, *place);
  if (wants_hidden) self.read_hidden(node, *hidden);
  return true;
}

/// Where a layer's attention goes to; nothing if it is not wanted.
std::optional<size_t> TapReader::place_of(int64_t layer) const {
  const std::vector<int64_t>& wanted = request->attention_layers;
  if (wanted.empty()) return static_cast<size_t>(layer);
  const auto at = std::lower_bound(wanted.begin(), wanted.end(), layer);
  if (at == wanted.end() || *at != layer) return std::nullopt;
  return static_cast<size_t>(at - wanted.begin());
}

/// The node is [heads][queries of the piece][cells], cells being positions from 0, and more than there are.
void TapReader::read_attention(ggml_tensor* node, size_t place) {
  const std::vector<int64_t>& rows = request->attention_rows;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] < begin || rows[i] >= end) continue;
    for (int64_t head = 0; head < heads; ++head) {
      const size_t out =
          (place * rows.size() + i) * static_cast<size_t>(heads * positions) + static_cast<size_t>(head * positions);
      const size_t offset =
          static_cast<size_t>(rows[i] - begin) * node->nb[1] + static_cast<size_t>(head) * node->nb[2];
      const auto seen = static_cast<size_t>(std::min(node->ne[0], rows[i] + 1));
      ggml_backend_tensor_get(node, taps.attention.data() + out, offset, seen * sizeof(float));
    }
  }
}

/// The node is [positions of the piece][width]; of the last block [those whose logits were asked for][width].
void TapReader::read_hidden(ggml_tensor* node, int64_t layer) {
  const std::vector<int64_t>& wanted = request->hidden_positions;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] < begin || wanted[i] >= end) continue;
    int64_t row = wanted[i] - begin;
    if (layer == layers - 1) {
      row = std::lower_bound(output_rows.begin(), output_rows.end(), wanted[i]) - output_rows.begin();
    }
    const size_t out = (static_cast<size_t>(layer) * wanted.size() + i) * static_cast<size_t>(width);
    ggml_backend_tensor_get(node, taps.hidden.data() + out, static_cast<size_t>(row) * node->nb[1],
                            static_cast<size_t>(width) * sizeof(float));
  }
}

}  // namespace gyro
