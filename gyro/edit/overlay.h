#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gyro/checkpoint/writer.h"
#include "gyro/device/pool.h"
#include "gyro/edit/copy.h"
#include "gyro/edit/recipe.h"

namespace gyro {

/// A tensor as the variants have it, and what BuildRow tells of its matrices (squares of the norms) with the variant's
/// number.
struct ConstructedTensor {
  Bytes post;                      ///< as it is for the variants that leave it alone
  std::map<size_t, Bytes> edited;  ///< by the variant's number
  std::vector<std::pair<size_t, BuildRow>> rows;

  const Bytes& of(size_t variant) const {
    const auto it = edited.find(variant);
    return it == edited.end() ? post : it->second;
  }
};

/// The variants of a request, each tensor made when it is asked for. Its functions may be called from several threads.
class Constructions {
 public:
  /// Throws Error for models that do not have the same matrices, and for a tensor whose type cannot be written.
  explicit Constructions(const BuildRequest& request);

  const BuildRequest& request() const { return request_; }
  /// The tensors that every variant has.
  const std::vector<PlannedTensor>& plan() const { return plan_; }
  /// Threads that should ask for tensors.
  int threads() const { return workers_.count(); }
  /// Whether the variant's tensor is any other than post's as stored.
  bool replaces(const PlannedTensor& tensor, size_t variant) const;

  /// All variants' versions of a tensor: one decomposition of its matrices serves them all, and as long as the result
  /// lives, reading it through the variants' overlays costs nothing more. Throws Error naming the tensor.
  std::shared_ptr<const ConstructedTensor> hold(const PlannedTensor& tensor) const;
  /// One variant's version, from what is held or made now.
  std::shared_ptr<const Bytes> bytes(const PlannedTensor& tensor, size_t variant) const;

 private:
  using Variants = std::vector<size_t>;
  struct Built;
  std::vector<std::optional<Built>> build_matrix(const MatrixSite& site, DType dtype, const Variants& variants) const;
  void build_site(const MatrixSite& site, const PlannedTensor& tensor, const Variants& variants,
                  ConstructedTensor& result) const;
  std::shared_ptr<const ConstructedTensor> make(const PlannedTensor& tensor, const Variants& variants) const;

  BuildRequest request_;
  ModelMap base_map_, post_map_;
  std::vector<PlannedTensor> plan_;
  std::map<std::string, std::vector<MatrixSite>, std::less<>> sites_;  // by tensor, of types that count
  mutable device::Workers workers_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::weak_ptr<const ConstructedTensor>, std::less<>> held_;
};

/// A variant as a source: post with the variant's matrices, made when they are read, in the request's dtype. The bytes
/// are those that run_build writes.
std::shared_ptr<const TensorSource> overlay_of(const std::shared_ptr<const Constructions>& constructions,
                                               size_t variant);

}  // namespace gyro
