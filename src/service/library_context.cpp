// A failure to load leaves its traces in the thread's queue of errors, which belongs to the application: it is put
// back.
#include "service/library_context.hpp"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/provider.h>

namespace yoke::service {
namespace {

OSSL_LIB_CTX* create() {
    ERR_set_mark();
    OSSL_LIB_CTX* context = OSSL_LIB_CTX_new();
    if (context != nullptr && OSSL_PROVIDER_load(context, "default") == nullptr) {
        OSSL_LIB_CTX_free(context);
        context = nullptr;
    }
    ERR_pop_to_mark();
    return context;
}

}  // namespace

OSSL_LIB_CTX* library_context() {
    static OSSL_LIB_CTX* const context = create();
    return context;
}

}  // namespace yoke::service
