#pragma once

// Tests of operations on the host and on every GPU; no product code includes this. A machine without a GPU skips those
// cases and says so.

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "gyro/device/device.h"
#include "gyro/tensor/matrix.h"

namespace gyro::linalg {

/// The parameter: −1 is the host, others are GPUs.
class OnDevice : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    if (GetParam() < 0) return;
    if (device::gpus().size() <= static_cast<size_t>(GetParam())) GTEST_SKIP() << device::why_none();
    scope_ = std::make_unique<device::Scope>(GetParam());
  }

 private:
  std::unique_ptr<device::Scope> scope_;
};

inline Matrix there(ConstMatrixView m) {
  return Matrix::copy_of(m, device::here());
}

inline Matrix back(ConstMatrixView m) {
  return Matrix::copy_of(m, Space::Host);
}

inline std::string device_name(const testing::TestParamInfo<int>& device) {
  return device.param < 0 ? std::string("cpu") : "cuda" + std::to_string(device.param);
}

}  // namespace gyro::linalg
