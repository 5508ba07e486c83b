#include <cstdio>

#include "gyro/arch/arch.h"
#include "gyro/checkpoint/checkpoint.h"
#include "gyro/linalg/linalg.h"

__attribute__((visibility("default"))) void print_spectrum(const char* model) {
  const gyro::Checkpoint checkpoint(model);
  const gyro::ModelMap map = gyro::map_model(checkpoint);
  const gyro::linalg::Svd svd =
      gyro::linalg::svd(gyro::linalg::widen(gyro::load_weight(checkpoint, map.sites.front())));
  for (const double value : svd.values) std::printf("%.12g\n", value);
}
