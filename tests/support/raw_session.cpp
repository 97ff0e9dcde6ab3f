// Straight from docs/control.md and uapi/yoke.h.
#include "support/raw_session.hpp"

#include "ring/layout.hpp"
#include "support/process_tree.hpp"

namespace yoke::test {
namespace {

constexpr int answer_timeout_ms = 60'000;

yoke_layout layout_of(const control::Json& message) {
    yoke_layout layout{};
    layout.magic = message["magic"];
    layout.version = message["version"];
    layout.features = message["features"];
    layout.arena_bytes = message["arena_bytes"];
    layout.status_bytes = message["status_bytes"];
    layout.client = message["client"];
    layout.data = message["data"];
    for (std::size_t k = 0; k < YOKE_RINGS; ++k) {
        const control::Json& ring = message["ring"][k];
        layout.ring[k].slots = ring["slots"];
        layout.ring[k].submission = ring["submission"];
        layout.ring[k].params = ring["params"];
        layout.ring[k].completion = ring["completion"];
        layout.ring[k].cancel = ring["cancel"];
        layout.ring[k].running = ring["running"];
    }
    return layout;
}

}  // namespace

Result<Connected> connect_to_worker(const Instance& instance, std::uint64_t suspects) {
    control::Json request{{"op", "connect"}, {"version", YOKE_ABI_VERSION}};
    if (suspects != 0) {
        request["suspects"] = suspects;
    }
    auto answer = instance.ask(request);
    if (!answer) {
        return tl::unexpected(answer.error());
    }
    if (answer->fds.size() != 2) {
        return fail(EPROTO, "connect came with {} descriptors", answer->fds.size());
    }
    return Connected{std::move(answer->fds[0]), std::move(answer->fds[1]), answer->body["worker_pid"].get<pid_t>(),
                     answer->body["generation"].get<std::uint64_t>()};
}

control::Json open_session_request(std::uint64_t arena_bytes) {
    return {{"op", "open_session"}, {"arena_bytes", arena_bytes}, {"express_slots", 16}, {"bulk_slots", 16},
            {"features", 15},       {"handover", false}};
}

Result<std::unique_ptr<RawSession>> RawSession::open(const Instance& instance, std::uint64_t arena_bytes,
                                                     const Fd* old_arena) {
    std::unique_ptr<RawSession> session(new RawSession);
    auto connected = connect_to_worker(instance);
    if (!connected) {
        return tl::unexpected(connected.error());
    }
    session->connected_ = std::move(*connected);
    control::Json request = open_session_request(arena_bytes);
    request["handover"] = old_arena != nullptr;
    const int attached = old_arena != nullptr ? old_arena->get() : -1;
    auto answer = control::request(session->socket(), request, std::span(&attached, old_arena != nullptr ? 1 : 0),
                                   answer_timeout_ms);
    if (!answer) {
        return tl::unexpected(answer.error());
    }
    if (answer->fds.size() != 3) {
        return fail(EPROTO, "open_session came with {} descriptors", answer->fds.size());
    }
    session->arena_fd_ = std::move(answer->fds[0]);
    session->status_fd_ = std::move(answer->fds[1]);
    session->bell_fd_ = std::move(answer->fds[2]);
    session->id_ = answer->body["session"];
    session->layout_ = layout_of(answer->body["layout"]);
    if (auto checked = ring::check_untrusted_layout(session->layout_); !checked) {
        return tl::unexpected(checked.error());
    }
    auto arena = Mapping::map(session->arena_fd_, session->layout_.arena_bytes, true);
    auto status = Mapping::map(session->status_fd_, session->layout_.status_bytes, false);
    if (!arena || !status) {
        return tl::unexpected(arena ? status.error() : arena.error());
    }
    session->arena_ = std::move(*arena);
    session->status_ = std::move(*status);
    const ring::ClientView view{session->arena_.data(), session->status_.data(), session->layout_,
                                session->bell_fd_.get()};
    session->producers_.emplace_back(view, YOKE_RING_EXPRESS);
    session->producers_.emplace_back(view, YOKE_RING_BULK);
    return session;
}

std::span<std::byte> RawSession::data() const {
    return {arena_.data() + layout_.data, layout_.arena_bytes - layout_.data};
}

std::optional<yoke_completion> RawSession::call(const yoke_submission& submission, unsigned ring, const void* params) {
    const std::int64_t position = producer(ring).submit(submission, params);
    yoke_completion completion{};
    if (position < 0 ||
        !eventually([&] { return producer(ring).take_completion(static_cast<std::uint64_t>(position), completion); })) {
        return std::nullopt;
    }
    return completion;
}

bool RawSession::echo(std::uint32_t bytes, unsigned ring) {
    const std::span<std::byte> memory = data();
    constexpr std::size_t align = YOKE_DATA_ALIGN;
    const std::size_t out = (bytes + align - 1) / align * align;
    if (out + bytes > memory.size()) {
        return false;
    }
    for (std::uint32_t i = 0; i < bytes; ++i) {
        memory[i] = static_cast<std::byte>(i * 7 + bytes);
        memory[out + i] = std::byte{0};
    }
    yoke_submission submission{};
    submission.opcode = YOKE_OP_CALL;
    submission.service = YOKE_SERVICE_ECHO;
    submission.in_offset = layout_.data;
    submission.in_length = bytes;
    submission.out_offset = layout_.data + out;
    submission.out_length = bytes;
    const auto completion = call(submission, ring);
    return completion && completion->status == 0 && completion->out_length == bytes &&
           std::equal(memory.begin(), memory.begin() + bytes, memory.begin() + static_cast<std::ptrdiff_t>(out));
}

}  // namespace yoke::test
