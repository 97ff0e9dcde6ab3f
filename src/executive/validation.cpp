// Checks of entries; see validation.hpp. All arithmetic is by subtraction from checked values, so that nothing
// overflows.
#include "executive/validation.hpp"

#include <array>

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
    const bool push = s.opcode == YOKE_OP_PUSH;
    if ((s.flags & ~(push ? YOKE_FLAG_END : 0U)) != 0) {
        return refuse(YOKE_EINVAL, YOKE_MEMBER_FLAGS);
    }
    if (s.service != YOKE_SERVICE_NONE) {
        return refuse(YOKE_EINVAL, YOKE_MEMBER_SERVICE);
    }
    if (s.object == 0) {
        return refuse(YOKE_EINVAL, YOKE_MEMBER_OBJECT);
    }
    const yoke_member member = push ? YOKE_MEMBER_INPUT : YOKE_MEMBER_OUTPUT;
    const std::uint64_t offset = push ? s.in_offset : s.out_offset;
    const std::uint32_t length = push ? s.in_length : s.out_length;
    if (length > (ring == YOKE_RING_EXPRESS ? YOKE_EXPRESS_BYTES_MAX : YOKE_CALL_BYTES_MAX)) {
        return refuse(YOKE_EMSGSIZE, member);
    }
    if (!inside(bounds, offset, length)) {
        return refuse(YOKE_EFAULT, member);
    }
    stream.channel = s.object;
    stream.flags = s.flags;
    stream.data = at(bounds, offset, length);
    stream.length = length;
    stream.deadline_ns = s.deadline_ns;
    return {};
}

}  // namespace yoke::executive
