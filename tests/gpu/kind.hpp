// What kinds of calls there are, which of them each lane of a device must execute itself, and how many it did.
//
// PROBLEM. A device that quietly left calls to the host would pass every test of answers. So the tests know, by the
// rules of the lanes and not by their code, where a case has to run, and count by kind: service, direction, key length.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "vectors/cases.hpp"

namespace yoke::executive {

struct Kind {
    std::uint16_t service = 0;
    bool decrypts = false;
    std::size_t key_bytes = 0;
    friend auto operator<=>(const Kind&, const Kind&) = default;
};

inline Kind kind_of(const vectors::Case& test) {
    return {test.service, (test.flags & YOKE_FLAG_DECRYPT) != 0, test.key.size()};
}

// All that a device executes.
inline std::vector<Kind> device_kinds() {
    std::vector<Kind> kinds{{YOKE_SERVICE_ECHO, false, 0}, {YOKE_SERVICE_SHA256, false, 0}};
    for (const std::size_t bytes : {std::size_t{16}, std::size_t{32}}) {
        kinds.push_back({YOKE_SERVICE_AES_CBC, true, bytes});
        for (const bool decrypts : {false, true}) {
            kinds.push_back({YOKE_SERVICE_AES_ECB, decrypts, bytes});
            kinds.push_back({YOKE_SERVICE_AES_CTR, decrypts, bytes});
            kinds.push_back({YOKE_SERVICE_AES_GCM, decrypts, bytes});
            kinds.push_back({YOKE_SERVICE_AES_XTS, decrypts, 2 * bytes});
        }
    }
    return kinds;
}

struct KindCount {
    std::size_t calls = 0;
    std::size_t on_device = 0;
};
using KindCounts = std::map<Kind, KindCount>;

inline std::string text_of(const KindCounts& counts) {
    std::string text;
    for (const auto& [kind, count] : counts) {
        text += "service " + std::to_string(kind.service) + (kind.decrypts ? " decrypts" : "") + ", key of " +
                std::to_string(kind.key_bytes) + " bytes: " + std::to_string(count.on_device) + " of " +
                std::to_string(count.calls) + " on the device; ";
    }
    return text;
}

// Of all calls.
inline double share_on_device(const KindCounts& counts) {
    KindCount all;
    for (const auto& [kind, count] : counts) {
        all.calls += count.calls;
        all.on_device += count.on_device;
    }
    return static_cast<double>(all.on_device) / static_cast<double>(all.calls);
}

// Whether each of the kinds came up, and at least `part` of its calls ran on the device. A ring that the NSK gives back
// for a moment leaves a few calls to the host.
inline testing::AssertionResult all_ran_on_device(const KindCounts& counts, double part,
                                                  const std::vector<Kind>& kinds = device_kinds()) {
    for (const Kind& kind : kinds) {
        const auto found = counts.find(kind);
        if (found == counts.end() ||
            static_cast<double>(found->second.on_device) < part * static_cast<double>(found->second.calls)) {
            return testing::AssertionFailure() << text_of({{kind, found == counts.end() ? KindCount{} : found->second}})
                                               << "\nof all: " << text_of(counts);
        }
    }
    return testing::AssertionSuccess();
}

inline std::uint32_t param_of(const vectors::Case& test, std::size_t index) {
    std::uint32_t word = 0;
    std::memcpy(&word, test.params.data() + 4 * index, sizeof word);
    return word;
}

// A call that the NSK serves: short enough, not a chain, and no message that one thread would hash for long.
inline bool is_for_nsk(const vectors::Case& test) {
    constexpr std::size_t message_max = 8192;
    if (test.in.size() > YOKE_EXPRESS_BYTES_MAX || test.aux.size() > YOKE_EXPRESS_BYTES_MAX ||
        test.expected.size() > YOKE_EXPRESS_BYTES_MAX + 64) {
        return false;
    }
    if (test.service == YOKE_SERVICE_AES_CBC) {
        return (test.flags & YOKE_FLAG_DECRYPT) != 0;
    }
    return test.service != YOKE_SERVICE_SHA256 ||
           (param_of(test, 0) == 0 ? test.in.size() : param_of(test, 0)) <= message_max;
}

// A call that the bulk lane takes: of a length, not a chain, and messages enough to fill a device.
inline bool is_for_lane(const vectors::Case& test) {
    constexpr std::size_t messages_min = 256;
    constexpr std::size_t unit_max = 4U << 20;
    constexpr std::size_t aux_max = 64U << 10;
    const bool decrypts = (test.flags & YOKE_FLAG_DECRYPT) != 0;
    switch (test.service) {
        case YOKE_SERVICE_AES_CBC:
            return decrypts && !test.in.empty();
        case YOKE_SERVICE_AES_GCM:
            return test.in.size() > (decrypts ? param_of(test, 2) : 0) && test.aux.size() <= aux_max;
        case YOKE_SERVICE_AES_XTS:
            return param_of(test, 4) % 16 == 0 || param_of(test, 4) <= unit_max;
        case YOKE_SERVICE_SHA256:
            return param_of(test, 0) != 0 && param_of(test, 0) <= unit_max &&
                   test.in.size() / param_of(test, 0) >= messages_min;
        default:
            return !test.in.empty();
    }
}

}  // namespace yoke::executive
