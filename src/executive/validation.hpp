// Validation: turns a private copy of an entry into a checked call or stream entry, or into a typed refusal.
//
// Nothing here reads client memory or has side effects but the use of a key: the same entry, bounds and keys give the
// same answer, so that a fuzzer can search it. What is checked here is what all services share (opcode, flags, service,
// key, ranges, overlap); lengths, flags and parameters of one service are checked by its plan().
#pragma once

#include <cstddef>
#include <cstdint>

#include <uapi/yoke.h>

#include "executive/executive.hpp"
#include "executive/key_table.hpp"
#include "ring/consumer.hpp"
#include "service/service.hpp"

namespace yoke::executive {

// Where the ranges of a session's entries may lie.
struct Bounds {
    std::byte* arena = nullptr;
    std::uint64_t data = 0;  // first byte of the data area
    std::uint64_t end = 0;   // behind its last byte
};

struct Verdict {
    int status = 0;                // 0 or -enum yoke_status_code
    std::uint64_t detail = 0;      // enum yoke_member
    std::uint64_t out_length = 0;  // with EMSGSIZE of the output: bytes needed
};

// A call whose ranges, key and lengths are right.
struct CheckedCall {
    const service::Service* service = nullptr;
    service::Work work;
    KeyTable::Use key;  // holds work.shape.key
};

// Room of an express output behind as many bytes of input: the tag of an authenticated cipher.
inline constexpr std::uint32_t express_tag_bytes = 64;

// Of an entry with opcode CALL from `ring`. Express calls are limited: input and aux to YOKE_EXPRESS_BYTES_MAX each,
// the output to express_tag_bytes more (EMSGSIZE).
[[nodiscard]] Verdict check_call(const ring::Entry& entry, unsigned ring, const Bounds& bounds, KeyTable& keys,
                                 CheckedCall& call) noexcept;
// Of an entry with opcode PUSH, PULL or MOVE. Fills all of `stream` but the ticket.
[[nodiscard]] Verdict check_stream(const ring::Entry& entry, unsigned ring, const Bounds& bounds,
                                   StreamEntry& stream) noexcept;

}  // namespace yoke::executive
