// Opening and closing a session, its memory and its keys. See session.hpp.
#include "client/session.hpp"
#include "ring/layout.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <utility>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "client/broker.hpp"
#include "client/fork_mark.hpp"

namespace yoke::client {

namespace {

constexpr std::uint64_t arena_bytes_default = 64ULL << 20;
constexpr std::uint32_t slots_default = 256;
constexpr std::uint64_t open_timeout_ns = 10'000'000'000;  // a first worker pins its arena and warms its device up
constexpr std::uint64_t key_timeout_ns = 5'000'000'000;

constexpr std::uint64_t ns_per_ms = 1'000'000;

void sleep_ns(std::uint64_t ns) {
    timespec left{static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
    while (::nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

yoke_options with_defaults(yoke_options options) {
    options.arena_bytes = options.arena_bytes != 0 ? options.arena_bytes : arena_bytes_default;
    options.express_slots = options.express_slots != 0 ? options.express_slots : slots_default;
    options.bulk_slots = options.bulk_slots != 0 ? options.bulk_slots : slots_default;
    return options;
}

}  // namespace

void configure_log_once() {
    static const bool done = [] {
        const char* spec = ::getenv("YOKE_LOG");
        if (spec == nullptr || !configure_log(spec)) {
            (void)configure_log("off");
        }
        return true;
    }();
    (void)done;
}

Session::Session(const yoke_options& options, std::uint32_t mark, Allocator allocator, std::uint32_t tickets)
    : socket_(options.socket != nullptr ? options.socket : ""),
      mark_(mark),
      allocator_(std::move(allocator)),
      tickets_(tickets) {
    stranded_.reserve(tickets);
}

Result<std::unique_ptr<Session>> Session::open(const yoke_options& asked) {
    configure_log_once();
    const yoke_options options = with_defaults(asked);
    if ((options.flags & ~(YOKE_OPEN_LOCAL | YOKE_OPEN_NOTICES)) != 0) {
        return fail(EINVAL, "options.flags has bits that this version of yoke does not know: {:#x}", options.flags);
    }
    const ring::Geometry geometry{
        .arena_bytes = options.arena_bytes, .express_slots = options.express_slots, .bulk_slots = options.bulk_slots};
    if (auto layout = ring::make_layout(geometry); !layout) {
        return tl::unexpected(layout.error());
    }
    auto mark = mark_process();
    if (!mark) {
        return tl::unexpected(mark.error());
    }
    return (options.flags & YOKE_OPEN_LOCAL) != 0 ? open_local(options, *mark) : open_linked(options, *mark);
}

Result<std::unique_ptr<Session>> Session::open_local(const yoke_options& options, std::uint32_t mark) {
    const std::uint64_t bytes = (options.arena_bytes + YOKE_PAGE_BYTES - 1) / YOKE_PAGE_BYTES * YOKE_PAGE_BYTES;
    void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        return fail_errno("no memory for an arena of {} bytes", bytes);
    }
    const std::uint32_t tickets = options.express_slots + options.bulk_slots + 1;
    std::unique_ptr<Session> session(new Session(options, mark, Allocator(0, bytes), tickets));
    session->local_memory_ = memory;
    session->arena_ = static_cast<std::byte*>(memory);
    session->data_ = {.offset = 0, .bytes = bytes};
    return session;
}

// A worker that dies meanwhile is no reason to fail: yoked starts the next, at once or after a pause that it tells.
Result<Link> Session::open_link(const yoke_options& options) {
    const LinkOptions wanted{
        .arena_bytes = options.arena_bytes, .express_slots = options.express_slots, .bulk_slots = options.bulk_slots};
    const std::uint64_t deadline_ns = now_ns() + open_timeout_ns;
    bool told = false;
    for (;;) {
        auto broker = connect_to_broker(options.socket != nullptr ? options.socket : "", Autostart::yes);
        if (!broker) {
            return tl::unexpected(broker.error());
        }
        BrokerNews news;
        auto link = Link::open(*broker, wanted, 0, deadline_ns, news);
        const std::uint64_t now = now_ns();
        const bool died = !link && (link.error().code == ECONNRESET || link.error().code == EPIPE);
        const bool held =
            !link && link.error().code == EBUSY && news.retry_ms != 0 && now + news.retry_ms * ns_per_ms < deadline_ns;
        if (!(died || held) || now >= deadline_ns) {
            return link;
        }
        if (held && (options.flags & YOKE_OPEN_NOTICES) != 0 && !std::exchange(told, true)) {
            fmt::print(stderr, "yoke: waiting for {} s: {}\n", (news.retry_ms + 999) / 1000, link.error().message);
        }
        sleep_ns(held ? news.retry_ms * ns_per_ms : ns_per_ms);
    }
}

Result<std::unique_ptr<Session>> Session::open_linked(const yoke_options& options, std::uint32_t mark) {
    auto link = open_link(options);
    if (!link) {
        return tl::unexpected(link.error());
    }
    const yoke_layout& layout = link->layout();
    const std::uint32_t tickets = layout.ring[YOKE_RING_EXPRESS].slots + layout.ring[YOKE_RING_BULK].slots + 1;
    std::unique_ptr<Session> session(new Session(options, mark, Allocator(layout.data, layout.arena_bytes), tickets));
    session->link_ = std::move(*link);
    session->arena_ = session->link_.arena();
    session->data_ = {.offset = layout.data, .bytes = layout.arena_bytes - layout.data};
    session->flights_.emplace(session->view());
    session->waiter_.emplace(session->view());
    session->state_ = State::linked;
    return session;
}

Session::~Session() {
    if (usable() && state_ == State::linked) {
        flights_->each(
            [this](const Flight&, unsigned ring, std::uint64_t position) { flights_->cancel(ring, position); });
    }
    if (local_memory_ != nullptr) {
        ::munmap(local_memory_, data_.bytes);
    }
}

ring::ClientView Session::view() const {
    return {.arena = arena_, .status = link_.status(), .layout = link_.layout(), .bell = link_.bell().get()};
}

bool Session::usable() const {
    return process_mark() == mark_;
}

int Session::refuse(const Error& error) {
    error_ = error.message;
    return -error.code;
}

int Session::info(yoke_session_info& info) {
    tidy();
    const bool linked = state_ == State::linked;
    info = {};
    info.session = linked ? link_.session() : 0;
    info.worker_pid = linked ? link_.worker_pid() : 0;
    info.arena_bytes = data_.offset + data_.bytes;
    info.arena_free = allocator_.free_bytes();
    info.quarantined = flights_ ? flights_->quarantined_bytes() : 0;
    info.reconnects = reconnects_;
    info.repeated = repeated_;
    info.in_flight = tickets_.in_flight();
    info.fallbacks = fallbacks_;
    return 0;
}

int Session::allocate(std::size_t bytes, void*& memory) {
    tidy();
    if (bytes == 0) {
        return refuse({EINVAL, "an allocation of 0 bytes is none; ask for at least one"});
    }
    const auto offset = allocator_.allocate(bytes);
    if (!offset) {
        return refuse(
            {ENOMEM, fmt::format("no room for {} in the arena ({} of {} bytes are free); free some or open the "
                                 "session with a larger arena_bytes",
                                 counted(bytes, "byte"), allocator_.free_bytes(), data_.bytes)});
    }
    memory = arena_ + *offset;
    return 0;
}

int Session::free(void* memory) {
    if (memory == nullptr) {
        return 0;
    }
    tidy();
    const auto* place = static_cast<const std::byte*>(memory);
    const std::optional<Range> block = in_arena(place, 1) ? allocator_.find(range_of(place, 1).offset) : std::nullopt;
    if (!block) {
        return refuse(
            {EINVAL, "the memory to be freed was not given by yoke_alloc of this session, or was freed before"});
    }
    if (in_use(*block)) {
        allocator_.hold(block->offset);
    } else {
        allocator_.release(block->offset);
    }
    return 0;
}

bool Session::in_use(const Range& range) const {
    if (flights_ && flights_->busy(range)) {
        return true;
    }
    return std::ranges::any_of(stranded_, [&](std::uint32_t index) {
        const service::Work& work = tickets_[index].job.prepared.work;
        return range_of(work.in, work.shape.in_length).overlaps(range) ||
               range_of(work.aux, work.plan.aux_length).overlaps(range) ||
               range_of(work.out, work.shape.out_length).overlaps(range);
    });
}

int Session::create_key(std::uint16_t service, std::span<const std::byte> bytes, yoke_key*& handle) {
    auto created = keys_.create(service, bytes);
    if (!created) {
        return refuse(created.error());
    }
    Key& key = **created;
    if (state_ == State::linked) {
        auto sent = Keys::send(key, link_, now_ns() + key_timeout_ns);
        if (!sent && link_.worker_gone(now_ns() + 1'000'000'000)) {
            check_worker(now_ns() + key_timeout_ns);  // the next worker gets the key together with all others
        } else if (!sent) {
            keys_.erase(&key);
            return refuse(sent.error());
        }
    }
    handle = key.handle();
    return 0;
}

int Session::destroy_key(yoke_key* handle) {
    if (handle == nullptr) {
        return 0;
    }
    Key* key = Key::from(handle);
    if (!keys_.knows(key)) {
        return refuse({EINVAL, "the key to be destroyed was not made by this session, or was destroyed before"});
    }
    keys_.condemn(*key);
    tidy();
    return 0;
}

}  // namespace yoke::client
