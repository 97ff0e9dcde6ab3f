// A second opinion: what libgcrypt makes of a call. It shares no code with OpenSSL, so a mistake that both the services
// and OpenSSL's interface invite (a tweak's byte order, a counter's carry, the place of a tag) shows as a difference.
#pragma once

#include "vectors/cases.hpp"

namespace yoke::vectors {

// The output that `call` must have, from its service, flags, key, params, aux and in; its expected output is not looked
// at. GCM decryption checks the tag. Error: a sentence with libgcrypt's reason.
[[nodiscard]] Result<Bytes> reference(const Case& call);

}  // namespace yoke::vectors
