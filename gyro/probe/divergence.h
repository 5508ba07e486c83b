#pragma once

#include <cstdint>

namespace gyro {

/// KL(p || q) in nats of two next-token distributions, softmax of logits, which are taken in by pieces of the
/// vocabulary, in FP64. Pieces may be taken in apart, in any order, and merged.
class Divergence {
 public:
  /// Logits of the tokens first, first + 1, ...
  void add(int64_t first, const double* p, const double* q, int64_t count);
  void merge(const Divergence& other);

  /// At least 0; NaN of nothing, and where logits are not finite.
  double kl() const;
  /// Whether both find the same token likeliest; the first of equally likely ones.
  bool same_top() const { return p_.top == q_.top; }

 private:
  struct Side {
    int64_t top = -1;  // the likeliest token; -1: nothing yet
    double largest = 0;
    double sum = 0;  // Σ e^(z − largest)

    void find_top(int64_t first, const double* logits, int64_t count);
    void merge(const Side& other);
  };

  Side p_, q_;
  double weighted_ = 0;  // Σ e^(z_p − largest of p) (z_p − z_q)
};

}  // namespace gyro
