#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gyro/checkpoint/source.h"
#include "gyro/tensor/weight.h"

namespace gyro {

/// The kinds of matrix, in the order in which tables print them. W_QKV and W_gate_up are whole fused tensors.
enum class MatrixType { Q, K, V, O, Gate, Up, Down, QKV, GateUp };
inline constexpr std::array kAllMatrixTypes = {MatrixType::Q,    MatrixType::K,    MatrixType::V,
                                               MatrixType::O,    MatrixType::Gate, MatrixType::Up,
                                               MatrixType::Down, MatrixType::QKV,  MatrixType::GateUp};
/// "W_Q", "W_gate", "W_gate_up", ...
std::string_view type_name(MatrixType type);
/// The inverse of type_name; also takes "Q", "gate_up", "q_proj", any case. Nothing for an unknown name.
std::optional<MatrixType> type_from_name(std::string_view name);
/// Whether this is a whole fused tensor (W_QKV, W_gate_up).
bool type_is_fused(MatrixType type);

/// Which matrix of a model it is: what two models of one shape have in common, and what results are kept under.
/// `expert` is -1 outside mixtures of experts.
struct MatrixKey {
  int64_t layer = 0;
  MatrixType type = MatrixType::Q;
  int64_t expert = -1;
  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 sees a 0 in what the compiler makes of it
  auto operator<=>(const MatrixKey&) const = default;
};

/// How result arrays, and whoever looks them up, call a matrix: "3.W_Q", with an expert "3.W_up.17".
std::string matrix_name(const MatrixKey& key);

/// The seed of one matrix's draws: differs between matrices, and is the same whatever else is compared.
uint64_t matrix_seed(uint64_t seed, const MatrixKey& key);

/// Where one matrix of a model is stored: in rows [row_begin, row_end) of `tensor`, which are counted with all of its
/// dimensions but the last folded into one. They are the rows of W (d_out x d_in, as Hugging Face stores it), or, where
/// `transposed`, its columns; then row r of W is in column col_begin + r * col_step of the tensor.
struct MatrixSite {
  int64_t layer = 0;
  MatrixType type = MatrixType::Q;
  std::string tensor;
  int64_t row_begin = 0;
  int64_t row_end = 0;
  int64_t d_in = 0;
  int64_t d_out = 0;
  bool sliced = false;      ///< a part of a tensor: of a fused one, or of one with all experts of a layer
  int64_t expert = -1;      ///< as in MatrixKey
  bool transposed = false;  ///< each matrix of the tensor is d_in x d_out
  int64_t col_begin = 0, col_step = 1;

  MatrixKey key() const { return {layer, type, expert}; }
};

/// Every matrix of a checkpoint in the order of their keys (same_site searches by it), and what was odd about it.
/// Of experts there are the parts of fused tensors, not the whole: so a layer's experts are the same matrices, whether
/// they are stored one by one or in one tensor. Routers and shared experts are left out.
struct ModelMap {
  std::vector<MatrixSite> sites;
  std::vector<std::string> warnings;  ///< "FOLDER: unknown model_type ..., read as llama"
};

/// The checkpoint's config with what transformers supplies for its architecture where config.json is silent (gemma3
/// leaves out heads and head_dim when they have their usual values). Throws Error naming config.json when a size that
/// the matrices depend on is missing, or sizes contradict each other.
ModelConfig complete_config(const TensorSource& checkpoint);

/// Finds the matrices by the table of architectures and checks each shape against config.json. Throws Error naming the
/// tensor that is missing, wrongly shaped, or of a dtype Gyro does not read (quantised integers, by name), or the model
/// type when it is unknown and its tensors are not named as Llama's are.
ModelMap map_model(const TensorSource& checkpoint);

/// Throws Error unless `post` has the same matrices (key, shape) as `base` and is of its architecture.
void check_same_shape(const TensorSource& base, const ModelMap& base_map, const TensorSource& post,
                      const ModelMap& post_map);

/// The bytes of a site as W, with its FP8 scales if it has any; the weight keeps them. Throws Error naming the tensor.
Weight load_weight(const TensorSource& checkpoint, const MatrixSite& site);
/// Has them brought near, without waiting.
void prefetch_weight(const TensorSource& checkpoint, const MatrixSite& site);
/// The inverse of load_weight: lays W's bytes (d_out x d_in, of `dtype`) where they belong among those of the whole
/// tensor, whose last dimension is `columns`.
void place_weight(const MatrixSite& site, DType dtype, std::span<const std::byte> weight, int64_t columns,
                  std::span<std::byte> tensor);

/// The site of another checkpoint of the same shape (check_same_shape) that holds the same matrix.
const MatrixSite& same_site(const ModelMap& map, const MatrixSite& site);

}  // namespace gyro
