#pragma once

#include <cstddef>
#include <span>

namespace gyro {

/// Mapped files whose pages may cease to be there. Touching a page that the file no longer has raises SIGBUS, on
/// whatever thread touched it, in the midst of whatever it did, be it in BLAS: no check beforehand can rule that out.
/// The handler that the first guard installs puts a page of zeros in its place and marks the guard, so that the thread
/// goes on; what it computes is void, which whoever reads the mark finds out (MappedFile::check). Signals for other
/// addresses, and those of broken memory, go to the handler that was there before, or end the process as they would
/// have.
struct GuardedMapping;

/// Guards mapped memory. Thread-safe, as all of these.
GuardedMapping* guard_mapping(std::span<const std::byte> bytes);

/// Before the memory is unmapped.
void release_guard(GuardedMapping& guard);

/// Whether a page was replaced by zeros.
bool guard_failed(const GuardedMapping& guard);

}  // namespace gyro
