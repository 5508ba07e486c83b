#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>

#include "gyro/linalg/cpu/cpu.h"
#include "gyro/linalg/cpu/openblas.h"

#ifdef __aarch64__
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace gyro::linalg {
namespace {

#if defined(__x86_64__)
// What kernels written for this processor would use, of what OpenBLAS has kernels for.
const char* wide_instructions() {
  if (__builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512dq") != 0) return "AVX-512";
  return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 ? "AVX2" : nullptr;
}
constexpr std::array kWideKernels = {"haswell", "zen", "skylakex", "cooperlake", "sapphirerapids", "excavator"};
#elif defined(__aarch64__)
const char* wide_instructions() {
  return (getauxval(AT_HWCAP) & HWCAP_SVE) != 0 ? "SVE" : nullptr;
}
constexpr std::array kWideKernels = {"armv8sve", "neoversen1", "neoversev1", "neoversen2", "a64fx", "neoversev2"};
#else
const char* wide_instructions() {
  return nullptr;
}
constexpr std::array kWideKernels = {""};
#endif

}  // namespace

std::string Cpu::library() const {
  const std::string config = openblas_get_config();
  const size_t version_end = config.find(' ', config.find(' ') + 1);
  return config.substr(0, version_end) + " (" + openblas_get_corename() + ")";
}

std::string library_warning() {
  const char* const instructions = wide_instructions();
  std::string kernel = openblas_get_corename();
  std::transform(kernel.begin(), kernel.end(), kernel.begin(), [](unsigned char c) { return std::tolower(c); });
  if (instructions == nullptr || std::find(kWideKernels.begin(), kWideKernels.end(), kernel) != kWideKernels.end()) {
    return "";
  }
  const bool told = std::getenv("OPENBLAS_CORETYPE") != nullptr;
  return Cpu().library() + " runs generic kernels on a processor with " + instructions +
         ", several times slower than it could be: " +
         (told ? "unset OPENBLAS_CORETYPE" : "link a current OpenBLAS (cmake -DGYRO_BLAS=pinned)");
}

}  // namespace gyro::linalg
