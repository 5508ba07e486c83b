#pragma once

/// Compiles a function for several instruction sets and picks one at run time (GCC and Clang's ifunc mechanism). Off
/// under sanitizers, whose run-time is not up yet when the choice is made.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(GYRO_SANITIZED)
#define GYRO_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define GYRO_CLONES
#endif
