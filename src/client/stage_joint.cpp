// See stage_joint.hpp.
#include "client/stage_joint.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/log.hpp"
#include "client/api.hpp"
#include "control/template.hpp"

namespace yoke::client {
namespace {

constexpr std::size_t record_bytes_max = std::size_t{256} << 20U;  // of one record in an arena
constexpr std::uint64_t arena_extra_bytes = 1U << 20U;             // rings of few slots, and granules
constexpr std::uint32_t ring_slots = 64;
constexpr std::uint64_t request_timeout_ns = 10'000'000'000;
constexpr std::uint64_t pipe_bytes = 65'536;  // a channel takes no less than a pipe would
constexpr std::uint64_t capacity_min = 4;
constexpr std::uint64_t capacity_max = 4096;

}  // namespace

void StageJoint::claim(const ClaimOptions& options) {
    options_ = options;
    record_bytes_ = control::template_bytes(options.stream.form).value_or(0);
    claim_ = StageClaim::make(options);
}

void StageJoint::use(yoke_session* session) {
    if (joined() || session_ == session) {
        return;
    }
    memory_ = nullptr;  // goes with the session
    spare_ = nullptr;
    own_.reset();
    session_ = session;
    if (pact_) {
        prepare_or_despair();
    }
}

void StageJoint::add_news(std::vector<pollfd>& fds) const {
    if (claim_ && claim_->socket()) {
        fds.push_back({claim_->socket().get(), POLLIN, 0});
    }
    if (pact_) {
        fds.push_back({pact_->socket().get(), POLLIN | POLLRDHUP, 0});
        fds.push_back({pact_->process().get(), POLLIN, 0});
    }
}

bool StageJoint::has_news(short events) const {
    std::array<pollfd, 4> fds{};
    nfds_t count = 0;
    fds[count++] = {fd_, events, 0};
    if (claim_ && claim_->socket()) {
        fds[count++] = {claim_->socket().get(), POLLIN, 0};
    }
    if (pact_) {
        fds[count++] = {pact_->socket().get(), POLLIN | POLLRDHUP, 0};
        fds[count++] = {pact_->process().get(), POLLIN, 0};
    }
    return ::poll(fds.data(), count, 0) != 0;
}

bool StageJoint::meet() {
    if (claim_) {
        claim_->look();
        if (pact_ && !joined() && (claim_->parted(pact_->pair()) || pact_->gone())) {
            forget_pact();
        }
        if (!pact_) {
            if (auto introduced = claim_->take_introduced()) {
                pact_.emplace(std::move(*introduced));
                attempt_ = 0;
                // Now, since a worker may have to be started, which takes longer than the other end waits.
                prepare_or_despair();
            }
        }
        if (!claim_->socket() && !pact_) {
            claim_.reset();
        }
    }
    return pact_.has_value();
}

void StageJoint::prepare_or_despair() {
    auto done = prepare();
    hopeless_ = !done;
    if (!done) {
        tell("pipe", done.error().message);
    }
}

// A session and memory for a record.
Status StageJoint::prepare() {
    if (record_bytes_ == 0 || record_bytes_ > record_bytes_max) {
        return fail(EMSGSIZE, "records of {} bytes are too long for an arena; they go through the pipe", record_bytes_);
    }
    if (session_ == nullptr) {
        yoke_options options{};
        options.socket = options_.socket.empty() ? nullptr : options_.socket.c_str();
        const std::uint64_t records = record_bytes_ * (wants_spare_ ? 2 : 1);
        options.arena_bytes =
            (records + 2 * arena_extra_bytes - 1) / arena_extra_bytes * arena_extra_bytes + arena_extra_bytes;
        options.express_slots = ring_slots;
        options.bulk_slots = ring_slots;
        yoke_session* session = nullptr;
        if (const int status = yoke_open(&session, &options); status != 0) {
            return tl::unexpected(Error{-status, yoke_error(nullptr)});
        }
        own_.reset(session);
        session_ = session;
    }
    if (memory_ == nullptr) {
        if (const int status = yoke_alloc(session_, record_bytes_, &memory_); status != 0) {
            return tl::unexpected(Error{-status, yoke_error(session_)});
        }
    }
    return {};
}

std::span<std::byte> StageJoint::spare() {
    if (spare_ == nullptr && yoke_alloc(session_, record_bytes_, &spare_) != 0) {
        return {};
    }
    return {static_cast<std::byte*>(spare_), record_bytes_};
}

bool StageJoint::in_arena(std::span<const std::byte> record) const {
    return session_ != nullptr && session_of(session_)->in_arena(record.data(), record.size());
}

// True: there was none.
Result<bool> StageJoint::open_channel() {
    const std::uint64_t capacity = std::clamp(pipe_bytes / record_bytes_ + 1, capacity_min, capacity_max);
    const control::TemplateDefinition& form = options_.stream.form;
    auto answer =
        session_of(session_)->ask_graph({{"op", "open_pipe"},
                                         {"name", channel_name_},
                                         {"template", {{"type", form.type}, {"extent", form.extent}, {"stride", 0}}},
                                         {"variable", options_.stream.variable},
                                         {"capacity", capacity}},
                                        request_timeout_ns);
    if (!answer) {
        return tl::unexpected(answer.error());
    }
    channel_ = answer->body["channel"].get<std::uint32_t>();
    return answer->body.value("created", true);
}

Status StageJoint::attach(std::uint32_t attempt, bool must_exist) {
    channel_name_ = pact_->channel_name(attempt);
    auto created = open_channel();
    if (created && must_exist && *created) {
        detach();
        return fail(EIO, "the worker died while two stages were about to join");
    }
    workers_ = session_of(session_)->reconnects();
    return created ? Status() : tl::unexpected(created.error());
}

// Only an answer tells which worker there is.
Status StageJoint::confirm() {
    auto created = open_channel();
    return created && !*created && session_of(session_)->reconnects() == workers_ ? Status() : tl::unexpected(lost());
}

void StageJoint::detach() {
    if (channel_ != 0) {
        channel_ = 0;
        const auto closed =
            session_of(session_)->ask_graph({{"op", "close_pipe"}, {"name", channel_name_}}, request_timeout_ns);
        if (!closed) {
            log_debug(Topic::client, "a channel between stages is closed by the end of its sessions only",
                      {{"error", closed.error().message}});
        }
    }
}

void StageJoint::forget_pact() {
    pact_.reset();
    hopeless_ = false;
    draining_ = 0;
}

int StageJoint::pull(std::size_t& length) {
    yoke_result result{};
    const int status = yoke_pull_with(session_, channel_, memory_, record_bytes_, YOKE_FLAG_NOWAIT, 0, &result);
    length = result.out_length;
    return status;
}

Error StageJoint::lost() const {
    const std::string cause = session_ != nullptr ? session_of(session_)->cause_of(channel_, -ERESTART) : "";
    return {EIO, fmt::format("records between this stage and the next or the one before are lost with the worker that "
                             "held them{}; run the pipeline again",
                             cause.empty() ? "" : " (" + cause + ")")};
}

std::size_t StageJoint::bytes_in_pipe() const {
    int bytes = 0;
    return ::ioctl(fd_, FIONREAD, &bytes) == 0 && bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

bool StageJoint::pipe_hung_up() const {
    pollfd look{fd_, 0, 0};
    return ::poll(&look, 1, 0) > 0 && (look.revents & (POLLHUP | POLLERR)) != 0;
}

void StageJoint::tell(const char* state, const std::string& why) {
    const std::string now = std::string(state) + why;
    if (claim_ && pact_ && now != told_) {
        told_ = now;
        claim_->tell(pact_->pair(), state, why);
    }
}

}  // namespace yoke::client
