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

/// The kinds of matrix, in the order in which results list them; seeds depend on it, so new ones come last. W_QKV and
/// W_gate_up are whole fused tensors. DeepSeek's latent attention has W_DQ and W_UQ (or W_Q), W_DKV (to the latent
/// vector, with the rotated part of the keys) and W_UKV (up to keys and values); a mixture of experts has a router (row
/// e is expert e's) and maybe an expert that all tokens share.
enum class MatrixType {
  Q,
  K,
  V,
  O,
  Gate,
  Up,
  Down,
  QKV,
  GateUp,
  DQ,
  UQ,
  DKV,
  UKV,
  Router,
  SharedGate,
  SharedUp,
  SharedDown
};
inline constexpr std::array kAllMatrixTypes = {
    MatrixType::Q,        MatrixType::K,         MatrixType::V,   MatrixType::O,      MatrixType::Gate,
    MatrixType::Up,       MatrixType::Down,      MatrixType::QKV, MatrixType::GateUp, MatrixType::DQ,
    MatrixType::UQ,       MatrixType::DKV,       MatrixType::UKV, MatrixType::Router, MatrixType::SharedGate,
    MatrixType::SharedUp, MatrixType::SharedDown};
/// "W_Q", "W_gate", "W_gate_up", ...
std::string_view type_name(MatrixType type);
/// The inverse of type_name; also takes "Q", "gate_up", "q_proj", any case. Nothing for an unknown name.
std::optional<MatrixType> type_from_name(std::string_view name);
/// Whether this is a whole fused tensor (W_QKV, W_gate_up).
bool type_is_fused(MatrixType type);
/// Whether it is of a dense MLP, or an expert of its own number: W_gate, W_up, W_down, W_gate_up.
bool type_is_mlp(MatrixType type);
/// Whether it is of attention.
bool type_is_attention(MatrixType type);
/// Whether findings, pools of a whole model, constructions and adapters that were not asked for types take it in: not
/// the fused wholes, which say the parts again, and not routers, of which the paper says nothing.
bool type_counts(MatrixType type);

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
/// `transposed`, its columns; then row r of W is in column col_begin + r * col_step of the tensor. With a `block`, only
/// the first `block` rows of every block_step are W's (a fused tensor with its parts head by head).
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
  int64_t block = 0, block_step = 0;  ///< 0: all rows are W's

  MatrixKey key() const { return {layer, type, expert}; }
};

/// Every matrix of a checkpoint in the order of their keys (same_site searches by it), and what was odd about it.
/// Of experts there are the parts of fused tensors, not the whole: so a layer's experts are the same matrices, whether
/// they are stored one by one or in one tensor.
struct ModelMap {
  std::vector<MatrixSite> sites;
  std::vector<std::string> warnings;  ///< "FOLDER: unknown model_type ..., read as llama"
};

/// The checkpoint's config with what transformers supplies for its architecture where config.json is silent (gemma3
/// leaves out heads and head_dim when they have their usual values), and else what tensors' shapes tell. Throws Error
/// naming config.json when heads, or a size that the matrices depend on, are not told at all, or contradict each other.
ModelConfig complete_config(const TensorSource& checkpoint);
/// How many layers the model has: config.json's number, or where it has none that of the layers there are tensors of.
int64_t count_layers(const TensorSource& checkpoint);
/// The most experts that a layer of a mixture has, by config.json or else by the tensors; 0: the model is no mixture.
int64_t count_experts(const TensorSource& checkpoint);

/// Finds the matrices of those types (empty: of all) by the table of architectures, and checks each shape against
/// config.json, or where it is silent against the first tensor that tells it; heads need not be told. What is of other
/// types is not looked at. Throws Error naming the tensor that is missing, wrongly shaped, or of a dtype Gyro does not
/// read (quantised integers, by name), or the model type when it is unknown and its tensors are not named as Llama's
/// are.
ModelMap map_model(const TensorSource& checkpoint, const std::vector<MatrixType>& types = {});

/// The fused types that only one of two models stores fused.
std::vector<MatrixType> fused_in_one(const ModelMap& a, const ModelMap& b);
/// Throws Error unless `post` has the same matrices (key, shape) as `base` and is of its architecture. Where one has
/// tensors fused whose parts the other has, it is the parts that must be the same, and the architecture may differ.
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
