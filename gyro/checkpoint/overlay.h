#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "gyro/checkpoint/source.h"

namespace gyro {

/// A source with some tensors of another in other values: a construction, for whoever reads it without its ever being
/// written. Its config and companions are the other's.
class OverlaySource : public TensorSource {
 public:
  using Bytes = std::vector<std::byte>;
  /// A tensor in another's place, and its bytes, held or made when it is read (each time anew, on the reader's thread).
  struct Replacement {
    SourceTensor tensor;
    std::function<std::shared_ptr<const Bytes>()> bytes;
  };
  using Replacements = std::map<std::string, Replacement, std::less<>>;

  using Names = std::set<std::string, std::less<>>;
  /// `under` without the tensors `hidden` and with `replaced` in place of those of the same names. `recipe` and the
  /// content of `made_from`, sources that the replacements read beside `under`, stand for what they hold: where these
  /// agree, so do two overlays of the same source and names.
  OverlaySource(std::shared_ptr<const TensorSource> under, Replacements replaced, const Names& hidden,
                std::string recipe, std::vector<std::shared_ptr<const TensorSource>> made_from = {});

  TensorLease read_rows(std::string_view name, int64_t begin, int64_t end) const override;
  void prefetch(std::string_view name, int64_t begin, int64_t end) const override;
  void check() const override;
  std::string sha256() const override;
  void hash_samples(Sha256& hash) const override;
  std::vector<std::string> companions() const override { return under_->companions(); }
  std::string companion(std::string_view name, size_t limit) const override { return under_->companion(name, limit); }
  std::vector<std::filesystem::path> folders() const override { return under_->folders(); }
  /// That of the source below, which it is not, and the recipe.
  std::string id() const override { return under_->id() + " (" + recipe_ + ")"; }
  std::string revision() const override { return ""; }
  std::string hub_id() const override { return ""; }

 private:
  std::shared_ptr<const TensorSource> under_;
  Replacements replaced_;
  std::string recipe_;
  std::vector<std::shared_ptr<const TensorSource>> made_from_;
};

}  // namespace gyro
