#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "gyro/arch/arch.h"
#include "gyro/base/run_options.h"
#include "gyro/edit/construct.h"

namespace gyro {

/// Which matrices are constructed; all other tensors stay post's.
enum class Group { Attention, Mlp, All };
bool in_group(MatrixType type, Group group);

/// One checkpoint to be built.
struct Variant {
  std::filesystem::path folder;
  Construction what;  ///< its `scale` is not used: see `scales`
  Group on = Group::All;
  std::map<MatrixType, double> scales;  ///< α′ by type, for Replace
  std::string description;              ///< one line for the model card
};

/// How tables and the model card call a variant: by its folder's name.
std::string variant_name(const Variant& variant);

/// What `gyro build` is asked for: several variants share each matrix's SVD.
struct BuildRequest {
  std::shared_ptr<const TensorSource> base;  ///< the base, or for eq. 12 the sibling whose factors take its place
  std::shared_ptr<const TensorSource> post;
  std::vector<Variant> variants;
  std::set<int64_t> layers;    ///< empty: all
  std::optional<DType> dtype;  ///< nothing: each tensor keeps post's
  uint64_t shard_size = uint64_t{5} * 1000 * 1000 * 1000;
  bool force = false;
  /// Matrices whose singular vectors are not determined stay the post's, and rows tell of them; else Error.
  bool leave_deficient = false;
  RunOptions run;
  std::string command;  ///< as typed, for the card
};

/// How far a variant's matrices of one type are from post's: Frobenius norms over all layers.
struct BuildRow {
  std::string variant;
  MatrixType type = MatrixType::Q;
  int64_t matrices = 0;
  double change = 0;                   ///< ‖W_post − W_base‖
  double moved = 0;                    ///< ‖W_built − W_post‖
  double rounding = 0;                 ///< ‖stored − W_built‖: what the output's dtype adds
  std::vector<std::string> left = {};  ///< why the others of the type stay the post's, a line each
};

}  // namespace gyro
