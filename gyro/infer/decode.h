#pragma once

#include <llama.h>

namespace gyro {

/// Has llama.cpp compute a batch. Throws Error `model` with what it says where it cannot; Stopped (base/team.h) when
/// the run of the calling thread is stopped meanwhile, for contexts that stop_with_run was called for.
void decode(llama_context* context, const llama_batch& batch);

/// Has computations of `context` end soon after the run of the thread that has them computed is stopped.
void stop_with_run(llama_context* context);

}  // namespace gyro
