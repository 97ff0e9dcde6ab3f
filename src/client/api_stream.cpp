// The C interface: push, pull and move.
#include <algorithm>

#include "client/api.hpp"

using yoke::client::guarded;
using yoke::client::Job;
using yoke::client::missing;
using yoke::client::Session;

namespace {

Job stream_job(yoke_opcode opcode, std::uint32_t channel, std::uint64_t timeout_ns) {
    Job job;
    job.opcode = static_cast<std::uint8_t>(opcode);
    job.channel = channel;
    job.prepared.place = YOKE_PLACE_WORKER;
    job.prepared.deadline_ns = yoke::client::deadline_of(timeout_ns);
    return job;
}

Job push_job(std::uint32_t channel, const void* data, std::size_t length, const yoke_push_options& options) {
    Job job = stream_job(YOKE_OP_PUSH, channel, options.timeout_ns);
    job.flags = static_cast<std::uint8_t>(options.flags);
    yoke::service::Work& work = job.prepared.work;
    work.in = static_cast<const std::byte*>(data);
    work.shape.in_length = static_cast<std::uint32_t>(length);
    yoke_params_push params{};
    std::ranges::copy(options.extent, params.extent);
    params.signals = options.signals;
    if (std::ranges::any_of(options.extent, [](std::uint64_t extent) { return extent != 0; }) || params.signals != 0) {
        work.shape.flags = YOKE_FLAG_PARAMS;
        std::memcpy(work.shape.params.data(), &params, sizeof(params));
    }
    return job;
}

Job pull_job(std::uint32_t channel, void* data, std::size_t length, std::uint32_t flags, std::uint64_t timeout_ns) {
    Job job = stream_job(YOKE_OP_PULL, channel, timeout_ns);
    job.flags = static_cast<std::uint8_t>(flags);
    job.prepared.work.out = static_cast<std::byte*>(data);
    job.prepared.work.shape.out_length = static_cast<std::uint32_t>(length);
    return job;
}

Job move_job(std::uint32_t from, std::uint32_t to, std::uint64_t timeout_ns) {
    Job job = stream_job(YOKE_OP_MOVE, from, timeout_ns);
    job.to = to;
    return job;
}

int check_datablock(Session& session, const void* data, std::size_t length) {
    if (length > YOKE_CALL_BYTES_MAX) {
        return session.refuse({EMSGSIZE, fmt::format("a datablock of {} bytes is too long; at most {} fit", length,
                                                     YOKE_CALL_BYTES_MAX)});
    }
    return data == nullptr && length != 0 ? missing(session, "the datablock") : 0;
}

int check_push(Session& session, const void* data, std::size_t length, const yoke_push_options& options) {
    if ((options.flags & ~(YOKE_FLAG_END | YOKE_FLAG_NOWAIT)) != 0) {
        return session.refuse({EINVAL, fmt::format("flags {:#x} are not known to push; it takes YOKE_FLAG_END and "
                                                   "YOKE_FLAG_NOWAIT",
                                                   options.flags)});
    }
    if ((options.signals & ~static_cast<std::uint32_t>(YOKE_SIGNALS_PUSHABLE)) != 0) {
        return session.refuse({EINVAL, fmt::format("signals {:#x} cannot be pushed; YOKE_SIGNALS_PUSHABLE can, and the "
                                                   "end of the stream is YOKE_FLAG_END",
                                                   options.signals)});
    }
    return check_datablock(session, data, length);
}

int check_pull(Session& session, const void* data, std::size_t length, std::uint32_t flags) {
    constexpr std::uint32_t both = YOKE_FLAG_PEEK | YOKE_FLAG_DRAIN;
    if ((flags & ~(both | YOKE_FLAG_NOWAIT)) != 0 || (flags & both) == both) {
        return session.refuse({EINVAL, fmt::format("flags {:#x} are not known to pull; it takes YOKE_FLAG_PEEK or "
                                                   "YOKE_FLAG_DRAIN, and YOKE_FLAG_NOWAIT",
                                                   flags)});
    }
    return check_datablock(session, data, length);
}

int stream(Session& session, const Job& job, yoke_result* result) {
    yoke_result own;
    return session.stream(job, result != nullptr ? *result : own);
}

int submit(Session& session, const Job& job, yoke_callback callback, void* user, yoke_ticket* ticket) {
    if (ticket == nullptr && callback == nullptr) {
        return missing(session, "ticket");
    }
    yoke_ticket own = 0;
    return session.submit_stream(job, callback, user, ticket != nullptr ? *ticket : own);
}

yoke_push_options push_options(std::uint8_t flags, std::uint64_t timeout_ns) {
    return {.extent = {}, .timeout_ns = timeout_ns, .signals = 0, .flags = flags};
}

}  // namespace

int yoke_push(yoke_session* handle, uint32_t channel, const void* data, size_t length, uint8_t flags,
              uint64_t timeout_ns, yoke_result* result) {
    const yoke_push_options options = push_options(flags, timeout_ns);
    return yoke_push_with(handle, channel, data, length, &options, result);
}

int yoke_push_with(yoke_session* handle, uint32_t channel, const void* data, size_t length,
                   const yoke_push_options* asked, yoke_result* result) {
    return guarded(handle, [&](Session& session) {
        const yoke_push_options options = asked != nullptr ? *asked : yoke_push_options{};
        const int refused = check_push(session, data, length, options);
        return refused != 0 ? refused : stream(session, push_job(channel, data, length, options), result);
    });
}

int yoke_submit_push(yoke_session* handle, uint32_t channel, const void* data, size_t length, uint8_t flags,
                     uint64_t timeout_ns, yoke_callback callback, void* user, yoke_ticket* ticket) {
    const yoke_push_options options = push_options(flags, timeout_ns);
    return yoke_submit_push_with(handle, channel, data, length, &options, callback, user, ticket);
}

int yoke_submit_push_with(yoke_session* handle, uint32_t channel, const void* data, size_t length,
                          const yoke_push_options* asked, yoke_callback callback, void* user, yoke_ticket* ticket) {
    return guarded(handle, [&](Session& session) {
        const yoke_push_options options = asked != nullptr ? *asked : yoke_push_options{};
        const int refused = check_push(session, data, length, options);
        return refused != 0 ? refused
                            : submit(session, push_job(channel, data, length, options), callback, user, ticket);
    });
}

int yoke_pull(yoke_session* handle, uint32_t channel, void* data, size_t length, uint64_t timeout_ns,
              yoke_result* result) {
    return yoke_pull_with(handle, channel, data, length, 0, timeout_ns, result);
}

int yoke_pull_with(yoke_session* handle, uint32_t channel, void* data, size_t length, uint32_t flags,
                   uint64_t timeout_ns, yoke_result* result) {
    return guarded(handle, [&](Session& session) {
        const int refused = check_pull(session, data, length, flags);
        return refused != 0 ? refused : stream(session, pull_job(channel, data, length, flags, timeout_ns), result);
    });
}

int yoke_submit_pull(yoke_session* handle, uint32_t channel, void* data, size_t length, uint64_t timeout_ns,
                     yoke_callback callback, void* user, yoke_ticket* ticket) {
    return yoke_submit_pull_with(handle, channel, data, length, 0, timeout_ns, callback, user, ticket);
}

int yoke_submit_pull_with(yoke_session* handle, uint32_t channel, void* data, size_t length, uint32_t flags,
                          uint64_t timeout_ns, yoke_callback callback, void* user, yoke_ticket* ticket) {
    return guarded(handle, [&](Session& session) {
        const int refused = check_pull(session, data, length, flags);
        return refused != 0
                   ? refused
                   : submit(session, pull_job(channel, data, length, flags, timeout_ns), callback, user, ticket);
    });
}

int yoke_move(yoke_session* handle, uint32_t from, uint32_t to, uint64_t timeout_ns, yoke_result* result) {
    return guarded(handle, [&](Session& session) { return stream(session, move_job(from, to, timeout_ns), result); });
}

int yoke_submit_move(yoke_session* handle, uint32_t from, uint32_t to, uint64_t timeout_ns, yoke_callback callback,
                     void* user, yoke_ticket* ticket) {
    return guarded(handle, [&](Session& session) {
        return submit(session, move_job(from, to, timeout_ns), callback, user, ticket);
    });
}
