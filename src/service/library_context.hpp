// OpenSSL for the services: a library context of their own.
//
// libyoke lives in other people's processes, whose OpenSSL may be configured with engines, other providers or property
// queries. The services use a context that only the default provider is loaded into, so an application's settings
// change nothing here and the other way round. It lives as long as the process: OpenSSL's own clean-up at exit may come
// before any destructor of ours.
#pragma once

#include <openssl/types.h>

namespace yoke::service {

// nullptr where OpenSSL's default provider cannot be loaded. Any thread.
[[nodiscard]] OSSL_LIB_CTX* library_context();

}  // namespace yoke::service
