#include <cstdio>
#include <exception>

#include "gyro/base/error.h"
#include "gyro/base/version.h"
#include "gyro/diff/runner.h"
#include "gyro/version.h"

void print_spectrum(const char* model);

int main(int argc, char** argv) {
  if (argc != 3 || gyro::version() != GYRO_VERSION || gyro::git_id() != GYRO_GIT_ID) return 2;
  print_spectrum(argv[1]);
  try {
    gyro::DiffRequest request;
    request.base = argv[2];
    request.posts = {argv[1]};
    gyro::run_diff(request);
  } catch (const gyro::Error& error) {
    std::puts(error.what());
  }
}
