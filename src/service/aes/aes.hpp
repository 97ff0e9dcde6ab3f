// aes: the block cipher of FIPS 197 with keys of 128 and 256 bits, in five modes, each a service of its own.
#pragma once

#include "service/service.hpp"

namespace yoke::service {

[[nodiscard]] const Service& aes_ecb();  // NIST SP 800-38A
[[nodiscard]] const Service& aes_cbc();  // NIST SP 800-38A
[[nodiscard]] const Service& aes_ctr();  // NIST SP 800-38A, 128-bit big-endian counter
[[nodiscard]] const Service& aes_xts();  // IEEE 1619, NIST SP 800-38E
[[nodiscard]] const Service& aes_gcm();  // NIST SP 800-38D

}  // namespace yoke::service
