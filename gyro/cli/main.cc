#include "gyro/cli/run_command.h"

int main(int argc, char** argv) {
  return gyro::run_command({argv + 1, argv + argc});
}
