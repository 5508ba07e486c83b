#pragma once

#include <cuda_runtime_api.h>

/// For the CUDA sources only.
namespace gyro::device {

/// The stream of the calling thread's Scope, and its GPU.
cudaStream_t stream();
int gpu();

/// Waits for everything this thread has asked for.
void synchronize();

/// Throws OutOfMemory or Error("CUDA", ...).
void check(cudaError_t status, const char* what);

}  // namespace gyro::device
