#include "gyro/probe/lens.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "gyro/infer/image_plan.h"
#include "gyro/linalg/linalg.h"
#include "gyro/tensor/weight.h"

namespace gyro {
namespace {

const ImageTensor* find(const ImagePlan& plan, std::string_view name) {
  const auto at = std::ranges::find(plan.tensors, name, &ImageTensor::name);
  return at == plan.tensors.end() ? nullptr : &*at;
}

std::vector<double> values_of(const TensorSource& source, const ImageTensor& tensor) {
  std::vector<double> out;
  stream_tensor(source, tensor, [&](const ImageTensor&, uint64_t, std::span<const std::byte> bytes) {
    const size_t before = out.size(), count = bytes.size() / dtype_size(tensor.dtype);
    out.resize(before + count);
    widen(tensor.dtype, bytes.data(), count, out.data() + before);
  });
  return out;
}

// Rows [begin, end) of a tensor, as columns.
Matrix rows_of(const TensorSource& source, const std::string& name, int64_t begin, int64_t end) {
  TensorLease lease = source.read_rows(name, begin, end);
  const SourceTensor& entry = *source.find(name);
  Weight rows;
  rows.name = name;
  rows.dtype = entry.dtype;
  rows.data = lease.bytes.data();
  rows.rows = end - begin;
  rows.cols = entry.shape.back();
  rows.owner = std::move(lease.owner);
  return linalg::widen(rows);
}

}  // namespace

Lens open_lens(std::shared_ptr<const TensorSource> source) {
  const ImagePlan plan = plan_image(*source, DType::F32);
  Lens lens;
  lens.embedding = find(plan, "token_embd.weight")->tensors.front();
  const ImageTensor* output = find(plan, "output.weight");
  lens.unembedding = output == nullptr ? lens.embedding : output->tensors.front();
  lens.vocabulary = plan.vocabulary;
  lens.norm = values_of(*source, *find(plan, "output_norm.weight"));
  lens.epsilon = plan.parameters.norm_epsilon;
  lens.soft_cap = plan.parameters.logit_soft_cap;
  lens.source = std::move(source);
  return lens;
}

void apply_norm(const Lens& lens, MatrixView states) {
  for (int64_t j = 0; j < states.cols; ++j) {
    double squares = 0;
    for (int64_t i = 0; i < states.rows; ++i) squares += states(i, j) * states(i, j);
    const double scale = 1 / std::sqrt(squares / static_cast<double>(states.rows) + lens.epsilon);
    for (int64_t i = 0; i < states.rows; ++i) states(i, j) *= scale * lens.norm[static_cast<size_t>(i)];
  }
}

Matrix embeddings(const Lens& lens, int64_t begin, int64_t end) {
  return rows_of(*lens.source, lens.embedding, begin, end);
}

Matrix lens_logits(const Lens& lens, ConstMatrixView normed, int64_t begin, int64_t end) {
  const Matrix rows = rows_of(*lens.source, lens.unembedding, begin, end);
  Matrix logits = linalg::product(linalg::Op::Transpose, linalg::Op::None, rows, normed);
  if (lens.soft_cap > 0) {
    double* const all = logits.data();
    std::for_each(all, all + logits.rows() * logits.cols(),
                  [&](double& z) { z = lens.soft_cap * std::tanh(z / lens.soft_cap); });
  }
  return logits;
}

}  // namespace gyro
