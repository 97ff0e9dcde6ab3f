// See prepare.hpp.
#include "client/prepare.hpp"

#include <algorithm>
#include <cstring>

#include "base/clock.hpp"
#include "client/key.hpp"

namespace yoke::client {

namespace {

bool refuse(yoke_result& result, int code, yoke_member member) noexcept {
    result.status = -code;
    result.detail = static_cast<std::uint64_t>(member);
    return false;
}

bool overlaps(const std::byte* a, std::size_t a_bytes, const std::byte* b, std::size_t b_bytes) noexcept {
    if (a_bytes == 0 || b_bytes == 0) {
        return false;
    }
    const auto a_begin = reinterpret_cast<std::uintptr_t>(a);
    const auto b_begin = reinterpret_cast<std::uintptr_t>(b);
    return a_begin < b_begin + b_bytes && b_begin < a_begin + a_bytes;
}

// What does not depend on the service.
bool check_members(const yoke_call& call, yoke_result& result) noexcept {
    if (call.reserved != 0 || call.place > YOKE_PLACE_WORKER) {
        return refuse(result, EINVAL, YOKE_MEMBER_OPCODE);
    }
    if ((call.flags & ~YOKE_FLAG_DECRYPT) != 0) {
        return refuse(result, EINVAL, YOKE_MEMBER_FLAGS);
    }
    if (call.in == nullptr && call.in_length != 0) {
        return refuse(result, EINVAL, YOKE_MEMBER_INPUT);
    }
    if (call.out == nullptr && call.out_length != 0) {
        return refuse(result, EINVAL, YOKE_MEMBER_OUTPUT);
    }
    if (call.in_length > YOKE_CALL_BYTES_MAX) {
        return refuse(result, EMSGSIZE, YOKE_MEMBER_INPUT);
    }
    return true;
}

void fill_shape(const yoke_call& call, service::Shape& shape) noexcept {
    shape.flags = call.flags;
    shape.in_length = static_cast<std::uint32_t>(call.in_length);
    shape.out_length = static_cast<std::uint32_t>(std::min<std::size_t>(call.out_length, YOKE_CALL_BYTES_MAX));
    if (call.params != nullptr) {
        shape.flags = static_cast<std::uint8_t>(shape.flags | YOKE_FLAG_PARAMS);
        std::memcpy(shape.params.data(), call.params, shape.params.size());
    }
}

}  // namespace

std::uint64_t deadline_of(std::uint64_t timeout_ns) noexcept {
    if (timeout_ns == 0) {
        return 0;
    }
    const std::uint64_t now = now_ns();
    return timeout_ns > ~std::uint64_t{0} - now ? 0 : now + timeout_ns;
}

bool prepare(const yoke_call& call, Overlap overlap, Prepared& prepared, yoke_result& result) noexcept {
    if (!check_members(call, result)) {
        return false;
    }
    prepared.service = service::find(call.service);
    if (prepared.service == nullptr) {
        return refuse(result, ENOSYS, YOKE_MEMBER_SERVICE);
    }
    service::Work& work = prepared.work;
    fill_shape(call, work.shape);
    if (call.key != nullptr) {
        prepared.key = Key::from(call.key);
        work.shape.key = prepared.key->local();
    }
    work.plan = prepared.service->plan(work.shape);
    if (work.plan.status != 0) {
        result.status = work.plan.status;
        result.detail = work.plan.detail;
        result.out_length = work.plan.out_length;
        return false;
    }
    work.in = static_cast<const std::byte*>(call.in);
    work.aux = static_cast<const std::byte*>(call.aux);
    work.out = static_cast<std::byte*>(call.out);
    if (work.plan.aux_length > call.aux_length || (work.plan.aux_length != 0 && call.aux == nullptr)) {
        return refuse(result, EINVAL, YOKE_MEMBER_AUX);
    }
    if (overlap == Overlap::refused && (overlaps(work.out, work.plan.out_length, work.in, work.shape.in_length) ||
                                        overlaps(work.out, work.plan.out_length, work.aux, work.plan.aux_length))) {
        return refuse(result, EINVAL, YOKE_MEMBER_OVERLAP);
    }
    // The worker gets only the room that is written, so the rest of the caller's buffer is never quarantined.
    work.shape.out_length = work.plan.out_length;
    prepared.place = call.place;
    prepared.deadline_ns = deadline_of(call.timeout_ns);
    return true;
}

int execute(const Prepared& prepared, std::uint8_t why, bool measured, yoke_result& result) noexcept {
    const std::uint64_t begun = measured ? now_ns() : 0;
    const service::Work& work = prepared.work;
    int status = 0;
    for (std::uint32_t chunk = 0; chunk < work.plan.chunks && status == 0; chunk++) {
        if (prepared.deadline_ns != 0 && now_ns() >= prepared.deadline_ns) {
            status = -ETIME;
            break;
        }
        status = prepared.service->run(work, chunk, 0);
    }
    result.status = status;
    result.where = YOKE_WHERE_CALLER;
    result.why = why;
    result.out_length = status == 0 ? work.plan.out_length : 0;
    result.run_ns = measured ? now_ns() - begun : 0;
    return status;
}

}  // namespace yoke::client
