#include "gyro/diff/outside_compare.h"

#include <algorithm>

#include "gyro/arch/inventory.h"
#include "gyro/base/parallel.h"

namespace gyro {
namespace {

constexpr int64_t kPieceValues = int64_t{1} << 22;  // of one job

// Rows [begin, end) of a tensor, in whatever dimensions, as a weight.
Weight rows_of(const TensorSource& model, const std::string& name, int64_t begin, int64_t end) {
  const SourceTensor& tensor = *model.find(name);
  if (tensor.shape.size() == 2) {
    MatrixSite site;
    site.tensor = name;
    site.row_begin = begin;
    site.row_end = end;
    site.d_in = tensor.shape[1];
    site.d_out = end - begin;
    return load_weight(model, site);
  }
  const TensorLease lease = model.read_rows(name, begin, end);
  const auto cols = static_cast<int64_t>(tensor.row_bytes() / dtype_size(tensor.dtype));
  return {.name = name,
          .dtype = tensor.dtype,
          .data = lease.bytes.data(),
          .rows = end - begin,
          .cols = cols,
          .scale = {},
          .owner = lease.owner};
}

ComparedPair compared(const TensorSource& base, const TensorSource& post, const OutsidePair& pair) {
  const SourceTensor &b = *base.find(pair.base), &p = *post.find(pair.post);
  ComparedPair out{&pair, OutsideForm::Floats, std::min(b.rows(), p.rows()), b.rows(), p.rows()};
  const auto inner = [](const SourceTensor& tensor) {
    return tensor.shape.empty() ? tensor.shape : std::vector<int64_t>(tensor.shape.begin() + 1, tensor.shape.end());
  };
  const bool fits =
      b.shape.size() == p.shape.size() && inner(b) == inner(p) && (is_by_token(pair) || b.rows() == p.rows());
  if (!fits) {
    out.form = OutsideForm::Shapes;
    out.sums.values = 1;
  } else if (!dtype_is_float(b.dtype) || !dtype_is_float(p.dtype)) {
    out.form = OutsideForm::Bytes;
  }
  return out;
}

// As many values as the base's dtype makes of them; all of them differ where the dtypes do.
ValueSums compare_bytes(const TensorSource& base, const TensorSource& post, const OutsidePair& pair) {
  const TensorLease a = base.read(pair.base), b = post.read(pair.post);
  const size_t size = dtype_size(base.find(pair.base)->dtype);
  ValueSums sums{.values = static_cast<int64_t>(a.bytes.size() / size)};
  if (a.bytes.size() != b.bytes.size()) return sums;
  for (size_t at = 0; at < a.bytes.size(); at += size) {
    const auto value = a.bytes.begin() + static_cast<std::ptrdiff_t>(at);
    sums.equal +=
        std::equal(value, value + static_cast<std::ptrdiff_t>(size), b.bytes.begin() + static_cast<std::ptrdiff_t>(at))
            ? 1
            : 0;
  }
  return sums;
}

struct Piece {
  size_t pair = 0;
  int64_t begin = 0, end = 0;
  std::vector<ValueSums> sums = {};
};

std::vector<Piece> pieces_of(const TensorSource& base, const std::vector<ComparedPair>& all) {
  std::vector<Piece> pieces;
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i].form == OutsideForm::Shapes) continue;
    const SourceTensor& tensor = *base.find(all[i].pair->base);
    const auto cols = static_cast<int64_t>(tensor.row_bytes() / dtype_size(tensor.dtype));
    const int64_t step = all[i].form == OutsideForm::Floats
                             ? std::max<int64_t>(1, kPieceValues / std::max<int64_t>(1, cols))
                             : std::max<int64_t>(1, all[i].rows);
    for (int64_t row = 0; row < all[i].rows; row += step) pieces.push_back({i, row, std::min(row + step, all[i].rows)});
  }
  return pieces;
}

std::vector<ValueSums> measure_piece(const TensorSource& base, const TensorSource& post, const ComparedPair& c,
                                     const Piece& piece) {
  if (c.form == OutsideForm::Bytes) return {compare_bytes(base, post, *c.pair)};
  return compare_values(rows_of(base, c.pair->base, piece.begin, piece.end),
                        rows_of(post, c.pair->post, piece.begin, piece.end), is_by_token(*c.pair));
}

}  // namespace

bool is_by_token(const OutsidePair& pair) {
  return pair.kind == OutsideKind::Head || (pair.kind == OutsideKind::Embeddings && is_embeddings_name(pair.place));
}

std::optional<std::vector<ComparedPair>> compare_pairs(const TensorSource& base, const TensorSource& post,
                                                       const OutsidePairs& outside, int threads,
                                                       const std::function<bool()>& stop) {
  std::vector<ComparedPair> all;
  for (const OutsidePair& pair : outside.pairs) {
    if (!pair.base.empty() && !pair.post.empty()) all.push_back(compared(base, post, pair));
  }
  std::vector<Piece> pieces = pieces_of(base, all);
  const auto job = [&](int i) {
    Piece& piece = pieces[static_cast<size_t>(i)];
    piece.sums = measure_piece(base, post, all[piece.pair], piece);
  };
  const bool done = checked(
      {&base, &post}, [&] { return parallel_for(static_cast<int>(pieces.size()), std::max(1, threads), job, stop); });
  if (!done) return std::nullopt;
  for (Piece& piece : pieces) {
    ComparedPair& pair = all[piece.pair];
    for (const ValueSums& sums : piece.sums) pair.sums.add(sums);
    if (pair.form == OutsideForm::Floats && is_by_token(*pair.pair))
      pair.tokens.insert(pair.tokens.end(), piece.sums.begin(), piece.sums.end());
  }
  return all;
}

}  // namespace gyro
