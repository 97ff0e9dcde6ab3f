// What the worker and its non-stop kernel (NSK) tell each other, and how an entry is judged on the device.
//
// PROBLEM. Clients write entries; the NSK must believe none of them, and answers for every call in the same few
// microseconds. It has no exceptions, no allocation and no way to ask.
//
// MODEL. A ring that is hot belongs to the NSK: it alone takes from it and completes it. What it serves is the common
// case, a valid call of a service with device code. Anything else (another opcode, a refusal, a deadline that has
// passed, a busy slot, a length that is better served elsewhere) it does not take at all: it gives the ring back to
// the worker with the head where it stands, and the worker's own code takes the same entry, copies and checks it anew
// and answers as it always does. So there is one place that refuses, and the device code is short.
//
// Words: worker to NSK in device memory, written by stream operations, so that an idle NSK reads nothing over PCIe; NSK
// to worker in pinned host memory that clients do not map. One command is under way for each team at a time.
#pragma once

#include "service/device/run.hpp"

namespace yoke::executive::cuda {

using service::device::Call;
using service::device::Key;

constexpr std::uint32_t warps_per_team = 4;  // one for each scheduler of a multiprocessor
constexpr std::uint32_t rings_per_team = 8;  // four lanes of the first warp read a ring's line: 32 lanes, 8 rings
constexpr std::uint32_t teams_per_block = 4;
constexpr std::uint32_t blocks = 2;
constexpr std::uint32_t teams = blocks * teams_per_block;
constexpr std::uint32_t rings_max = teams * rings_per_team;
constexpr std::uint32_t keys_per_ring = 1024;
constexpr std::uint32_t key_places = 4096;
// A message is hashed by one thread at about 40 MB/s: longer ones are the host's.
constexpr std::uint32_t message_bytes_max = 8192;

enum class Command : std::uint32_t { none = 0, attach = 1, detach = 2, sync = 3, park = 4 };

// Device memory, one for each team; 16 bytes, read as one.
struct alignas(16) Order {
    std::uint32_t sequence;  // written last
    std::uint32_t reserved;
    std::uint32_t command;
    std::uint32_t ring;  // of the team, 0 .. rings_per_team - 1
};

// A session's key by its number: place (number - 1) % keys_per_ring.
struct KeyName {
    std::uint32_t id;     // 0: none
    std::uint32_t place;  // in the table of keys
};

// Device memory: what a team knows of a ring. Written by the worker before `attach`.
struct Ring {
    const yoke_line* submission;
    const yoke_line* params;
    yoke_line* completion;
    std::uint32_t* running;
    std::uint32_t* asleep;
    std::uint8_t* arena;
    std::uint64_t data;  // first byte of the data area
    std::uint64_t end;   // behind its last
    std::uint64_t head;
    std::uint32_t slots_log2;
    std::uint32_t attachment;  // number of this attachment, for the report
    std::uint32_t faults;      // 1: the service that fails is served
    std::uint32_t reserved;
};

enum class Why : std::uint32_t { none = 0, idle = 1, entry = 2, asked = 3 };

// Pinned host memory, one for each ring of each team. Counts lag behind the calls by a few polls, and are exact when
// the ring is released; `released` is written last.
struct alignas(64) Report {
    std::uint64_t calls;
    std::uint64_t bytes_in;
    std::uint64_t bytes_out;
    std::uint64_t busy_cycles;
    std::uint64_t head;
    std::uint32_t why;
    std::uint32_t released;  // = Ring::attachment: the ring is the worker's again
};

// Pinned host memory, one for each team.
struct alignas(64) TeamReport {
    std::uint32_t acknowledged;  // Order::sequence
    std::uint32_t heartbeat;     // changes at least every 100 ms
    std::uint32_t parked;        // number of the launch that has ended
    std::uint32_t begun;         // number of the launch that runs
};

// Everything a launch needs.
struct Launch {
    Order* orders;         // [teams], device
    Ring* rings;           // [rings_max], device
    KeyName* names;        // [rings_max][keys_per_ring], device
    const Key* keys;       // [key_places], device
    Report* reports;       // [rings_max], host
    TeamReport* progress;  // [teams], host
    std::uint32_t number;
    std::uint32_t first_sequence;
    std::uint64_t idle_cycles;   // without an entry before a ring is given back
    std::uint32_t ns_per_cycle;  // times 2^16
    std::uint32_t reserved;
    std::int64_t monotonic_ahead_ns;  // CLOCK_MONOTONIC minus the device's clock
};

// Of an entry's copy.
struct Judgement {
    bool run;
    std::uint32_t out_length;
};

YOKE_HD bool all_zero(const std::uint32_t* words, unsigned first, unsigned last) {
    std::uint32_t any = 0;
    for (unsigned i = first; i < last; ++i) {
        any |= words[i];
    }
    return any == 0;
}

YOKE_HD bool inside(const Ring& ring, std::uint64_t offset, std::uint64_t length) {
    return length == 0 || (offset >= ring.data && offset <= ring.end && length <= ring.end - offset);
}

YOKE_HD bool apart(std::uint64_t a, std::uint64_t a_length, std::uint64_t b, std::uint64_t b_length) {
    return a_length == 0 || b_length == 0 || a >= b + b_length || b >= a + a_length;
}

// What a service with parameters makes of them: lengths of output and second input; false: not for the NSK.
YOKE_HD bool shape_of(const yoke_submission& s, const std::uint32_t* params, std::uint64_t& out, std::uint64_t& aux) {
    const bool decrypt = (s.flags & YOKE_FLAG_DECRYPT) != 0;
    const bool has_params = (s.flags & YOKE_FLAG_PARAMS) != 0;
    out = s.in_length;
    aux = 0;
    switch (s.service) {
        case YOKE_SERVICE_ECHO:
            return !decrypt && all_zero(params, 0, 12);
        case YOKE_SERVICE_AES_ECB:
            return s.in_length % 16 == 0 && all_zero(params, 0, 12);
        case YOKE_SERVICE_AES_CBC:
            return decrypt && has_params && s.in_length % 16 == 0 && all_zero(params, 4, 12);
        case YOKE_SERVICE_AES_CTR:
            return has_params && all_zero(params, 4, 12);
        case YOKE_SERVICE_AES_XTS: {
            const std::uint32_t unit = params[4];
            const std::uint32_t rest = unit == 0 ? 1 : s.in_length % unit;
            return has_params && all_zero(params, 5, 12) && unit >= 16 && unit <= (1U << 24) &&
                   (rest == 0 || rest >= 16);
        }
        case YOKE_SERVICE_AES_GCM: {
            const std::uint32_t tag = params[2];
            if (!has_params || !all_zero(params, 3, 12) || params[0] < 1 || params[0] > 128 ||
                params[1] > YOKE_EXPRESS_BYTES_MAX || !(tag == 4 || tag == 8 || (tag >= 12 && tag <= 16)) ||
                (decrypt && s.in_length < tag)) {
                return false;
            }
            out = decrypt ? std::uint64_t{s.in_length} - tag : std::uint64_t{s.in_length} + tag;
            aux = std::uint64_t{params[0]} + params[1];
            return true;
        }
        case YOKE_SERVICE_SHA256: {
            const std::uint32_t message = params[0];
            if (decrypt || !all_zero(params, 1, 12)) {
                return false;
            }
            const std::uint32_t length = message == 0 ? s.in_length : message;
            if (length > message_bytes_max || (message != 0 && s.in_length % message != 0)) {
                return false;
            }
            out = message == 0 ? 32 : std::uint64_t{s.in_length / message} * 32;
            return true;
        }
        default:
            return false;
    }
}

YOKE_HD bool takes_key(std::uint16_t service) {
    return service >= YOKE_SERVICE_AES_ECB && service <= YOKE_SERVICE_AES_GCM;
}

// `params` is zero unless the parameter line carried the tag (`params_valid`); `key_service` is that of the session's
// key with the entry's number, or 0. The same rules as check_call() and the services' plans; a test compares them.
YOKE_HD Judgement judge(const yoke_submission& s, const std::uint32_t* params, bool params_valid,
                        std::uint32_t key_service, const Ring& ring) {
    const Judgement no{false, 0};
    if (s.opcode != YOKE_OP_CALL || (s.flags & ~(YOKE_FLAG_PARAMS | YOKE_FLAG_DECRYPT)) != 0 ||
        ((s.flags & YOKE_FLAG_PARAMS) != 0) != params_valid) {
        return no;
    }
    if (takes_key(s.service) ? key_service != s.service : s.object != 0) {
        return no;
    }
    if (s.service == service::device::fault_service) {
        return {ring.faults != 0, 0};
    }
    std::uint64_t out = 0;
    std::uint64_t aux = 0;
    constexpr std::uint32_t bytes_max = YOKE_EXPRESS_BYTES_MAX;
    if (!shape_of(s, params, out, aux) || s.in_length > bytes_max || aux > bytes_max || out > s.out_length ||
        out > bytes_max + 64) {
        return no;
    }
    if (!inside(ring, s.in_offset, s.in_length) || !inside(ring, s.out_offset, s.out_length) ||
        !inside(ring, s.aux_offset, aux) || !apart(s.out_offset, s.out_length, s.in_offset, s.in_length) ||
        !apart(s.out_offset, s.out_length, s.aux_offset, aux)) {
        return no;
    }
    return {true, static_cast<std::uint32_t>(out)};
}

// By numbers: an offset that nobody has checked (of a second input that there is not) must not make a pointer overflow.
template <typename T>
YOKE_HD T* place_at(const Ring& ring, std::uint64_t offset) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    return reinterpret_cast<T*>(reinterpret_cast<std::uintptr_t>(ring.arena) + offset);
}

YOKE_HD Call make_call(const yoke_submission& s, const std::uint32_t* params, const Ring& ring) {
    Call call;
    call.service = s.service;
    call.flags = s.flags;
    call.reserved = 0;
    call.in_length = s.in_length;
    call.in = place_at<const std::uint8_t>(ring, s.in_offset);
    call.aux = place_at<const std::uint8_t>(ring, s.aux_offset);
    call.out = place_at<std::uint8_t>(ring, s.out_offset);
    for (unsigned i = 0; i < 12; ++i) {
        call.params[i] = params[i];
    }
    return call;
}

}  // namespace yoke::executive::cuda
