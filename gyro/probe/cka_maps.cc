#include "gyro/probe/cka_maps.h"

#include <cmath>

namespace gyro {

std::string_view reading_name(CkaReading reading) {
  switch (reading) {
    case CkaReading::PositionMean:
      return "position_mean";
    case CkaReading::QuestionMean:
      return "question_mean";
    case CkaReading::QuestionMeanUnbiased:
      return "question_mean_unbiased";
  }
  return "";
}

std::string_view reading_description(CkaReading reading) {
  switch (reading) {
    case CkaReading::PositionMean:
      return "rows are the first T positions, each the mean over all prompts (eq. 17 as written), T the length of the "
             "shortest; biased HSIC";
    case CkaReading::QuestionMean:
      return "rows are the prompts, each the mean over all its tokens; biased HSIC";
    case CkaReading::QuestionMeanUnbiased:
      return "rows are the prompts, each the mean over all its tokens; unbiased HSIC_1, mean over minibatches";
  }
  return "";
}

CkaMaps cka_maps(const Representations& a, const Representations& b, const std::vector<Rows>& batches) {
  return {linear_cka(a.position_mean, b.position_mean), linear_cka(a.question_mean, b.question_mean),
          unbiased_linear_cka(a.question_mean, b.question_mean, batches)};
}

double diagonal_mean(const Matrix& map) {
  double sum = 0;
  for (int64_t i = 0; i < map.rows(); ++i) sum += map(i, i);
  return sum / static_cast<double>(map.rows());
}

double mean_distance(const Matrix& a, const Matrix& b) {
  double sum = 0;
  for (int64_t j = 0; j < a.cols(); ++j) {
    for (int64_t i = 0; i < a.rows(); ++i) sum += std::abs(a(i, j) - b(i, j));
  }
  return sum / static_cast<double>(a.rows() * a.cols());
}

double chance_of_biased_cka(int64_t rows, int64_t columns) {
  return static_cast<double>(columns) / static_cast<double>(rows + columns);
}

}  // namespace gyro
