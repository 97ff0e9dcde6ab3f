// See link.hpp.
#include "client/link.hpp"

#include <poll.h>

#include <algorithm>
#include <limits>
#include <string>

#include "base/clock.hpp"
#include "ring/layout.hpp"

namespace yoke::client {

namespace {

using control::Json;
using control::Message;

int milliseconds_until(std::uint64_t deadline_ns) {
    const std::uint64_t now = now_ns();
    if (now >= deadline_ns) {
        return 0;
    }
    const std::uint64_t milliseconds = (deadline_ns - now + 999'999) / 1'000'000;
    return static_cast<int>(std::min<std::uint64_t>(milliseconds, std::numeric_limits<int>::max()));
}

// An unsigned member of an answer; EPROTO when the worker sent something else.
template <typename Number>
Status take(const Json& object, const char* name, Number& number) {
    const auto found = object.find(name);
    if (found == object.end() || !found->is_number_unsigned() ||
        found->get<std::uint64_t>() > std::numeric_limits<Number>::max()) {
        return fail(EPROTO, "the worker's answer has no number '{}'; is it of another version of yoke?", name);
    }
    number = found->get<Number>();
    return {};
}

Status take_ring(const Json& object, yoke_ring_layout& ring) {
    if (!object.is_object()) {
        return fail(EPROTO, "the worker's layout of a ring is no object; is it of another version of yoke?");
    }
    return take(object, "slots", ring.slots)
        .and_then([&] { return take(object, "submission", ring.submission); })
        .and_then([&] { return take(object, "params", ring.params); })
        .and_then([&] { return take(object, "completion", ring.completion); })
        .and_then([&] { return take(object, "cancel", ring.cancel); })
        .and_then([&] { return take(object, "running", ring.running); });
}

Result<yoke_layout> take_layout(const Json& answer) {
    const auto found = answer.find("layout");
    if (found == answer.end() || !found->is_object()) {
        return fail(EPROTO, "the worker's answer has no layout; is it of another version of yoke?");
    }
    yoke_layout layout{};
    const auto rings = found->find("ring");
    if (rings == found->end() || !rings->is_array() || rings->size() != YOKE_RINGS) {
        return fail(EPROTO, "the worker's layout does not have {} rings", static_cast<int>(YOKE_RINGS));
    }
    auto taken = take(*found, "magic", layout.magic)
                     .and_then([&] { return take(*found, "version", layout.version); })
                     .and_then([&] { return take(*found, "features", layout.features); })
                     .and_then([&] { return take(*found, "arena_bytes", layout.arena_bytes); })
                     .and_then([&] { return take(*found, "status_bytes", layout.status_bytes); })
                     .and_then([&] { return take(*found, "client", layout.client); })
                     .and_then([&] { return take(*found, "data", layout.data); });
    for (std::size_t k = 0; taken && k < YOKE_RINGS; k++) {
        taken = take_ring((*rings)[k], layout.ring[k]);
    }
    if (!taken) {
        return tl::unexpected(taken.error());
    }
    if (auto checked = ring::check_untrusted_layout(layout); !checked) {
        return tl::unexpected(checked.error());
    }
    return layout;
}

std::string text_in(const Json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::uint64_t number_in(const Json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

BrokerNews news_in(const Json& answer) {
    BrokerNews news;
    news.heard = true;
    news.retry_ms = number_in(answer, "retry_ms");
    if (const auto death = answer.find("death"); death != answer.end() && death->is_object()) {
        news.dead_pid = static_cast<std::uint32_t>(number_in(*death, "pid"));
        news.dead_object = text_in(*death, "object");
        news.dead_why = text_in(*death, "why");
        news.log = text_in(*death, "log");
    }
    return news;
}

constexpr std::uint32_t wanted_features =
    YOKE_FEATURE_EXPRESS | YOKE_FEATURE_BULK | YOKE_FEATURE_GRAPH | YOKE_FEATURE_HANDOVER;
constexpr std::uint32_t needed_features = YOKE_FEATURE_EXPRESS | YOKE_FEATURE_BULK;

}  // namespace

Status Link::connect(const Fd& broker, std::uint32_t suspects, std::uint64_t deadline_ns, BrokerNews& news) {
    Json body{{"op", "connect"}, {"version", YOKE_ABI_VERSION}};
    if (suspects != 0) {
        body["suspects"] = suspects;
    }
    auto answer = control::exchange(broker, body, {}, milliseconds_until(deadline_ns));
    if (!answer) {
        news.heard = answer.error().code == ETIME;
        return tl::unexpected(answer.error());
    }
    news = news_in(answer->body);
    if (const auto ok = answer->body.find("ok"); ok == answer->body.end() || *ok != true) {
        return tl::unexpected(control::error_of(answer->body));
    }
    if (answer->fds.size() != 2) {
        return fail(EPROTO, "yoked answered with {} descriptors instead of 2; is it of another version of yoke?",
                    answer->fds.size());
    }
    socket_ = std::move(answer->fds[0]);
    pidfd_ = std::move(answer->fds[1]);
    return take(answer->body, "worker_pid", worker_pid_);
}

Status Link::map(std::span<Fd> fds, bool keep_arena) {
    const std::size_t arena_bytes = layout_.arena_bytes;
    const std::size_t status_bytes = layout_.status_bytes;
    auto arena_size = check_untrusted_memfd(fds[0], arena_bytes, arena_bytes, false);
    auto status_size = check_untrusted_memfd(fds[1], status_bytes, status_bytes, false);
    if (!arena_size || !status_size) {
        return tl::unexpected(arena_size ? status_size.error() : arena_size.error());
    }
    auto status = Mapping::map(fds[1], status_bytes, false);
    if (!status) {
        return tl::unexpected(status.error());
    }
    status_ = std::move(*status);
    bell_ = std::move(fds[2]);
    if (keep_arena) {
        return {};
    }
    auto arena = Mapping::map(fds[0], arena_bytes, true);
    if (!arena) {
        return tl::unexpected(arena.error());
    }
    arena_ = std::move(*arena);
    arena_fd_ = std::move(fds[0]);
    return {};
}

Status Link::open_session(const LinkOptions& options, const Link* old, std::uint64_t deadline_ns) {
    const Json body{{"op", "open_session"},
                    {"arena_bytes", options.arena_bytes},
                    {"express_slots", options.express_slots},
                    {"bulk_slots", options.bulk_slots},
                    {"features", wanted_features},
                    {"handover", old != nullptr}};
    const int handed = old != nullptr ? old->arena_fd_.get() : -1;
    const std::span<const int> fds(&handed, old != nullptr ? 1 : 0);
    auto answer = request(body, fds, deadline_ns);
    if (!answer) {
        return tl::unexpected(answer.error());
    }
    auto layout = take_layout(answer->body);
    if (!layout) {
        return tl::unexpected(layout.error());
    }
    layout_ = *layout;
    if ((layout_.features & needed_features) != needed_features) {
        return fail(EPROTO, "the worker does not serve both rings; is it of another version of yoke?");
    }
    if (old != nullptr && (layout_.arena_bytes != old->layout_.arena_bytes || layout_.data != old->layout_.data)) {
        return fail(EPROTO, "the new worker lays the arena out in another way than the last one");
    }
    if (answer->fds.size() != 3) {
        return fail(EPROTO, "the worker answered with {} descriptors instead of 3; is it of another version of yoke?",
                    answer->fds.size());
    }
    if (auto taken = take(answer->body, "session", session_); !taken) {
        return taken;
    }
    return map(answer->fds, old != nullptr);
}

Result<Link> Link::open(const Fd& broker, const LinkOptions& options, std::uint32_t suspects, std::uint64_t deadline_ns,
                        BrokerNews& news) {
    Link link;
    auto opened = link.connect(broker, suspects, deadline_ns, news).and_then([&] {
        return link.open_session(options, nullptr, deadline_ns);
    });
    if (!opened) {
        return tl::unexpected(opened.error());
    }
    return link;
}

Result<Link> Link::reopen(const Fd& broker, Link& old, std::uint32_t suspects, std::uint64_t deadline_ns,
                          BrokerNews& news) {
    const LinkOptions options{.arena_bytes = old.layout_.arena_bytes,
                              .express_slots = old.layout_.ring[YOKE_RING_EXPRESS].slots,
                              .bulk_slots = old.layout_.ring[YOKE_RING_BULK].slots};
    Link link;
    auto opened = link.connect(broker, suspects, deadline_ns, news).and_then([&] {
        return link.open_session(options, &old, deadline_ns);
    });
    if (!opened) {
        return tl::unexpected(opened.error());
    }
    link.arena_ = std::move(old.arena_);
    link.arena_fd_ = std::move(old.arena_fd_);
    return link;
}

Result<Message> Link::request(const Json& body, std::span<const int> fds, std::uint64_t deadline_ns) {
    return control::request(socket_, body, fds, milliseconds_until(deadline_ns));
}

bool Link::worker_gone(std::uint64_t deadline_ns) const {
    for (;;) {
        pollfd wait{.fd = pidfd_.get(), .events = POLLIN, .revents = 0};
        const int ready = ::poll(&wait, 1, deadline_ns == 0 ? 0 : milliseconds_until(deadline_ns));
        if (ready < 0 && errno == EINTR) {
            continue;
        }
        return ready > 0;
    }
}

bool Link::hung_up() const {
    pollfd wait{.fd = socket_.get(), .events = 0, .revents = 0};
    return ::poll(&wait, 1, 0) > 0;
}

}  // namespace yoke::client
