// One share of any service's call, and how many grains a call has.
#pragma once

#include "service/device/sha256.hpp"

namespace yoke::service::device {

// Blocks of 16 bytes, pairs at the end of an XTS unit, or messages.
YOKE_HD std::uint32_t grains_of(const Call& call) {
    switch (call.service) {
        case YOKE_SERVICE_AES_XTS:
            return xts_grains(call);
        case YOKE_SERVICE_AES_GCM:
            return blocks_of(gcm_shape(call).length);
        case YOKE_SERVICE_SHA256:
            return sha256_messages(call);
        default:
            return blocks_of(call.in_length);
    }
}

// Of an aligned range: eight reads on their way before the first write.
YOKE_HD void run_echo(const Call& call, const Share& share) {
    constexpr int in_flight = 8;
    const bool plain = is_plain(call);
    for (std::uint32_t g = share.first + share.index; g < share.last; g += in_flight * share.count) {
        Block v[in_flight] = {};
        load_batch(v, call.in, share, g, call.in_length, plain);
        store_batch(call.out, v, share, g, call.in_length, plain);
    }
}

YOKE_HD void run_fault(const Call& call) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    auto* volatile nowhere = reinterpret_cast<std::uint32_t*>(std::uintptr_t{4});
    const volatile std::uint32_t endless = call.in_length;
    while (endless == fault_endless) {
    }
    *nowhere = call.in_length;
}

// Everything but the reduction and the tag of GCM, whose part of the hash it returns; `start` is gcm_start() then.
template <typename Tables>
YOKE_HD Element run_share(const Tables& t, const Key& key, const Call& call, const Share& share, const Block& start) {
    switch (call.service) {
        case YOKE_SERVICE_ECHO:
            run_echo(call, share);
            break;
        case YOKE_SERVICE_AES_ECB:
            run_ecb(t, key, call, share);
            break;
        case YOKE_SERVICE_AES_CBC:
            run_cbc(t, key, call, share);
            break;
        case YOKE_SERVICE_AES_CTR: {
            Element none{0, 0};
            std::uint32_t nothing = 0;
            const Block counter{{call.params[0], call.params[1], call.params[2], call.params[3]}};
            run_counter<false>(t, key, call, share, counter, call.in_length, none, nothing);
            break;
        }
        case YOKE_SERVICE_AES_XTS:
            run_xts(t, key, call, share);
            break;
        case YOKE_SERVICE_AES_GCM:
            return run_gcm(t, key, call, share, start);
        case YOKE_SERVICE_SHA256:
            run_sha256(call, share);
            break;
        case fault_service:
            run_fault(call);
            break;
        default:
            break;
    }
    return {0, 0};
}

}  // namespace yoke::service::device
