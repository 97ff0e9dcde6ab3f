// Checks of entries; see validation.hpp. All arithmetic is by subtraction from checked values, so that nothing
// overflows.
#include "executive/validation.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace yoke::executive {
namespace {

Verdict refuse(yoke_status_code code, yoke_member member, std::uint64_t out_length = 0) {
    return {-static_cast<int>(code), static_cast<std::uint64_t>(member), out_length};
}

// The table of services by id: one load for each call.
const service::Service* service_of(std::uint16_t id) {
    static const auto table = [] {
        std::array<const service::Service*, YOKE_SERVICES_MAX> by_id{};
        for (const service::Service* service : service::all()) {
            if (service->id() < by_id.size()) {
                by_id[service->id()] = service;
            }
        }
        return by_id;
    }();
    return id < table.size() ? table[id] : nullptr;
}

// An empty range touches nothing and may be anywhere.
bool inside(const Bounds& bounds, std::uint64_t offset, std::uint64_t length) {
    return length == 0 || (offset >= bounds.data && offset <= bounds.end && length <= bounds.end - offset);
}

std::byte* at(const Bounds& bounds, std::uint64_t offset, std::uint64_t length) {
    return bounds.arena + (length == 0 ? bounds.data : offset);
}

// Of ranges that lie inside.
bool overlap(std::uint64_t a, std::uint64_t a_length, std::uint64_t b, std::uint64_t b_length) {
    return a_length != 0 && b_length != 0 && a < b + b_length && b < a + a_length;
}

Verdict check_key(const service::Service& service, std::uint32_t object, KeyTable& keys, CheckedCall& call) {
    if (!service.needs_key()) {
        return object == 0 ? Verdict{} : refuse(YOKE_EINVAL, YOKE_MEMBER_OBJECT);
    }
    call.key = keys.use(object);
    if (!call.key || call.key.service() != &service) {
        return refuse(YOKE_ENOKEY, YOKE_MEMBER_OBJECT);
    }
    call.work.shape.key = call.key.key();
    return {};
}

// Lengths and ranges of a planned call.
Verdict check_ranges(const yoke_submission& s, const service::Plan& plan, unsigned ring, const Bounds& bounds) {
    if (plan.out_length > s.out_length) {
        return refuse(YOKE_EMSGSIZE, YOKE_MEMBER_OUTPUT, plan.out_length);
    }
    if (ring == YOKE_RING_EXPRESS) {
        if (s.in_length > YOKE_EXPRESS_BYTES_MAX) {
            return refuse(YOKE_EMSGSIZE, YOKE_MEMBER_INPUT);
        }
        if (plan.aux_length > YOKE_EXPRESS_BYTES_MAX) {
            return refuse(YOKE_EMSGSIZE, YOKE_MEMBER_AUX);
        }
        if (plan.out_length > YOKE_EXPRESS_BYTES_MAX + express_tag_bytes) {
            return refuse(YOKE_EMSGSIZE, YOKE_MEMBER_OUTPUT, plan.out_length);
        }
    }
    if (!inside(bounds, s.aux_offset, plan.aux_length)) {
        return refuse(YOKE_EFAULT, YOKE_MEMBER_AUX);
    }
    if (overlap(s.out_offset, s.out_length, s.in_offset, s.in_length) ||
        overlap(s.out_offset, s.out_length, s.aux_offset, plan.aux_length)) {
        return refuse(YOKE_EINVAL, YOKE_MEMBER_OVERLAP);
    }
    return {};
}

// Each opcode has flags of its own; looking at a datablock and dropping it exclude each other.
Verdict check_stream_flags(const ring::Entry& entry) {
    const yoke_submission& s = entry.submission;
    const unsigned allowed = s.opcode == YOKE_OP_PUSH   ? YOKE_FLAG_NOWAIT | YOKE_FLAG_END | YOKE_FLAG_PARAMS
                             : s.opcode == YOKE_OP_PULL ? YOKE_FLAG_NOWAIT | YOKE_FLAG_PEEK | YOKE_FLAG_DRAIN
                                                        : YOKE_FLAG_NOWAIT;
    constexpr unsigned both = YOKE_FLAG_PEEK | YOKE_FLAG_DRAIN;
    if ((s.flags & ~allowed) != 0 || (s.flags & both) == both) {
        return refuse(YOKE_EINVAL, YOKE_MEMBER_FLAGS);
    }
    if ((s.flags & YOKE_FLAG_PARAMS) != 0 && !entry.params_valid) {
        return refuse(YOKE_EINVAL, YOKE_MEMBER_PARAMS);
    }
    return {};
}

Verdict check_push_params(const ring::Entry& entry, StreamEntry& stream) {
    const auto params = std::bit_cast<yoke_params_push>(entry.params);
    const bool zero = std::ranges::all_of(params.zero, [](std::uint8_t byte) { return byte == 0; });
    if ((params.signals & ~static_cast<std::uint32_t>(YOKE_SIGNALS_PUSHABLE)) != 0 || !zero) {
        return refuse(YOKE_EINVAL, YOKE_MEMBER_PARAMS);
    }
    stream.signals = static_cast<std::uint8_t>(params.signals);
    std::ranges::copy(params.extent, stream.extent.begin());
    return {};
}

// A move names a second channel where a call has its second input, and no memory.
Verdict check_move(const yoke_submission& s, StreamEntry& stream) {
    if (s.in_length != 0) {
        return refuse(YOKE_EINVAL, YOKE_MEMBER_INPUT);
    }
    if (s.out_length != 0) {
        return refuse(YOKE_EINVAL, YOKE_MEMBER_OUTPUT);
    }
    if (s.aux_offset == 0 || s.aux_offset > UINT32_MAX) {
        return refuse(YOKE_EINVAL, YOKE_MEMBER_AUX);
    }
    stream.to = static_cast<std::uint32_t>(s.aux_offset);
    return {};
}

}  // namespace

Verdict check_call(const ring::Entry& entry, unsigned ring, const Bounds& bounds, KeyTable& keys,
                   CheckedCall& call) noexcept {
    const yoke_submission& s = entry.submission;
    if ((s.flags & ~(YOKE_FLAG_PARAMS | YOKE_FLAG_DECRYPT)) != 0) {
        return refuse(YOKE_EINVAL, YOKE_MEMBER_FLAGS);
    }
    if ((s.flags & YOKE_FLAG_PARAMS) != 0 && !entry.params_valid) {
        return refuse(YOKE_EINVAL, YOKE_MEMBER_PARAMS);
    }
    call.service = service_of(s.service);
    if (call.service == nullptr) {
        return refuse(YOKE_ENOSYS, YOKE_MEMBER_SERVICE);
    }
    if (s.in_length > YOKE_CALL_BYTES_MAX) {
        return refuse(YOKE_EMSGSIZE, YOKE_MEMBER_INPUT);
    }
    if (!inside(bounds, s.in_offset, s.in_length)) {
        return refuse(YOKE_EFAULT, YOKE_MEMBER_INPUT);
    }
    if (!inside(bounds, s.out_offset, s.out_length)) {
        return refuse(YOKE_EFAULT, YOKE_MEMBER_OUTPUT);
    }
    service::Shape& shape = call.work.shape;
    shape = {};
    if (const Verdict verdict = check_key(*call.service, s.object, keys, call); verdict.status != 0) {
        return verdict;
    }
    shape.flags = s.flags;
    shape.in_length = s.in_length;
    shape.out_length = s.out_length;
    shape.params = entry.params;
    const service::Plan plan = call.service->plan(shape);
    if (plan.status != 0) {
        return {plan.status, plan.detail, plan.status == -EMSGSIZE ? plan.out_length : 0};
    }
    if (const Verdict verdict = check_ranges(s, plan, ring, bounds); verdict.status != 0) {
        return verdict;
    }
    call.work.plan = plan;
    call.work.in = at(bounds, s.in_offset, s.in_length);
    call.work.aux = at(bounds, s.aux_offset, plan.aux_length);
    call.work.out = at(bounds, s.out_offset, s.out_length);
    return {};
}

Verdict check_stream(const ring::Entry& entry, unsigned ring, const Bounds& bounds, StreamEntry& stream) noexcept {
    const yoke_submission& s = entry.submission;
    if (const Verdict verdict = check_stream_flags(entry); verdict.status != 0) {
        return verdict;
    }
    if (s.service != YOKE_SERVICE_NONE) {
        return refuse(YOKE_EINVAL, YOKE_MEMBER_SERVICE);
    }
    if (s.object == 0) {
        return refuse(YOKE_EINVAL, YOKE_MEMBER_OBJECT);
    }
    stream = {};
    stream.op = s.opcode;
    stream.flags = s.flags & static_cast<std::uint8_t>(~YOKE_FLAG_PARAMS);
    stream.channel = s.object;
    stream.deadline_ns = s.deadline_ns;
    if (s.opcode == YOKE_OP_MOVE) {
        return check_move(s, stream);
    }
    if ((s.flags & YOKE_FLAG_PARAMS) != 0) {
        if (const Verdict verdict = check_push_params(entry, stream); verdict.status != 0) {
            return verdict;
        }
    }
    const bool push = s.opcode == YOKE_OP_PUSH;
    const yoke_member member = push ? YOKE_MEMBER_INPUT : YOKE_MEMBER_OUTPUT;
    const std::uint64_t offset = push ? s.in_offset : s.out_offset;
    const std::uint32_t length = push ? s.in_length : s.out_length;
    if (length > (ring == YOKE_RING_EXPRESS ? YOKE_EXPRESS_BYTES_MAX : YOKE_CALL_BYTES_MAX)) {
        return refuse(YOKE_EMSGSIZE, member);
    }
    if (!inside(bounds, offset, length)) {
        return refuse(YOKE_EFAULT, member);
    }
    stream.data = at(bounds, offset, length);
    stream.length = length;
    return {};
}

}  // namespace yoke::executive
