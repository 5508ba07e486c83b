#pragma once

#include <filesystem>
#include <vector>

#include "gyro/arch/arch.h"
#include "gyro/checkpoint/safetensors.h"

namespace gyro {

/// What `gyro diff` wrote about a base, for the adapters that start where it turned.
class DiffFolder {
 public:
  /// Throws Error unless the diff is of a base of the same content (TensorSource::identity) as `base`.
  DiffFolder(const std::filesystem::path& folder, const TensorSource& base);

  /// turn_u + turn_v of each direction of a matrix, in the first comparison. Throws Error if the diff does not have it.
  std::vector<double> turn(const MatrixSite& site) const;

  /// The layout is that of every model of a family. Throws Error unless the base of the diff had these singular values
  /// in that matrix too: within 1e-5 of the largest, ten times what either may be wrong by.
  void check_sigma(const MatrixSite& site, const std::vector<double>& sigma) const;

 private:
  std::vector<double> values(const std::string& name, const MatrixSite& site) const;

  SafetensorsFile arrays_;
};

}  // namespace gyro
