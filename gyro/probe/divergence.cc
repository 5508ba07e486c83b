#include "gyro/probe/divergence.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace gyro {

void Divergence::Side::find_top(int64_t first, const double* logits, int64_t count) {
  const double* const best = std::max_element(logits, logits + count);
  top = first + (best - logits);
  largest = *best;
}

void Divergence::Side::merge(const Side& other) {
  const double most = std::max(largest, other.largest);
  sum = sum * std::exp(largest - most) + other.sum * std::exp(other.largest - most);
  if (other.largest > largest || (other.largest == largest && other.top < top)) top = other.top;
  largest = most;
}

void Divergence::add(int64_t first, const double* p, const double* q, int64_t count) {
  if (count == 0) return;
  Divergence piece;
  piece.p_.find_top(first, p, count);
  piece.q_.find_top(first, q, count);
  for (int64_t i = 0; i < count; ++i) {
    const double weight = std::exp(p[i] - piece.p_.largest);
    piece.p_.sum += weight;
    piece.weighted_ += weight * (p[i] - q[i]);
    piece.q_.sum += std::exp(q[i] - piece.q_.largest);
  }
  merge(piece);
}

void Divergence::merge(const Divergence& other) {
  if (other.p_.top < 0) return;
  if (p_.top < 0) {
    *this = other;
    return;
  }
  const double most = std::max(p_.largest, other.p_.largest);
  weighted_ = weighted_ * std::exp(p_.largest - most) + other.weighted_ * std::exp(other.p_.largest - most);
  p_.merge(other.p_);
  q_.merge(other.q_);
}

double Divergence::kl() const {
  if (p_.top < 0) return std::numeric_limits<double>::quiet_NaN();
  const double kl = weighted_ / p_.sum - (p_.largest + std::log(p_.sum)) + (q_.largest + std::log(q_.sum));
  return kl < 0 ? 0 : kl;  // by rounding
}

}  // namespace gyro
