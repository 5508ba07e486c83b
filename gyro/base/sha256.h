#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

struct evp_md_ctx_st;  // OpenSSL's EVP_MD_CTX

namespace gyro {

/// SHA-256 (FIPS 180-4, by OpenSSL's libcrypto) of bytes given in any number of pieces. Movable; one moved from may
/// only be destroyed or assigned to. Throws std::runtime_error if libcrypto fails.
class Sha256 {
 public:
  Sha256();
  void update(std::span<const std::byte> bytes);
  void update(std::string_view text);
  /// The digest of all bytes so far as 64 lower-case hexadecimal digits; more may be added afterwards.
  std::string hex() const;

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

}  // namespace gyro
