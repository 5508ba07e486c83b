#pragma once

namespace gyro {

/// From now on the first Ctrl-C (or SIGTERM) only sets `interrupted`, so that work at hand can end in order; the second
/// ends the program at once.
void catch_interrupts();
bool interrupted();

}  // namespace gyro
