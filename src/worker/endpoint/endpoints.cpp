// A transfer's key is the number of its endpoint and, in the low bits, the endpoint's own number of the transfer.
#include "worker/endpoint/endpoints.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>

#include "base/log.hpp"

namespace yoke::worker {
namespace {

constexpr unsigned transfer_bits = 4;
constexpr std::uint64_t transfer_mask = (1U << transfer_bits) - 1;
static_assert(Wire::transfers_max == 1U << transfer_bits);

}  // namespace

// One endpoint, and what it has in flight.
class Endpoints::Link final : public Wire {
   public:
    Link(Endpoints& owner, std::uint64_t id, Place place, std::unique_ptr<Endpoint> endpoint)
        : owner_(owner), id_(id), place_(std::move(place)), endpoint_(std::move(endpoint)) {}

    Status begin() { return endpoint_->begin(owner_.loop_, *this); }
    void run() {
        if (!closed_) {
            endpoint_->run();
        }
    }
    void completed(unsigned transfer, const yoke_completion& completion) {
        in_flight_ &= ~(1U << transfer);
        if (!closed_) {
            endpoint_->completed(transfer, completion);
        }
    }
    void close() {
        if (!closed_) {
            closed_ = true;
            endpoint_->close();
            for (unsigned transfer = 0; transfer < transfers_max; ++transfer) {
                if ((in_flight_ >> transfer & 1U) != 0) {
                    owner_.channels_.cancel(id_ << transfer_bits | transfer);
                }
            }
        }
    }
    [[nodiscard]] bool gone() const { return closed_ && in_flight_ == 0; }
    [[nodiscard]] const std::string& key() const { return place_.key; }
    [[nodiscard]] bool source() const { return place_.source; }

    void push(unsigned transfer, std::byte* data, std::size_t length) override {
        owner_.channels_.push(prepare(transfer, data, length));
    }
    void pull(unsigned transfer, std::byte* data, std::size_t length) override {
        owner_.channels_.pull(prepare(transfer, data, length));
    }
    void end(unsigned transfer, const std::string& why) override {
        if (!why.empty()) {
            log_warning(Topic::worker, "endpoint ends its stream", {{"graph", place_.graph}, {"why", why}});
            owner_.channels_.break_stream(place_.channel, why);
        }
        graph::Transfer made = prepare(transfer, nullptr, 0);
        made.flags = YOKE_FLAG_END;
        owner_.channels_.push(made);
    }
    void finish() override { owner_.channels_.finish_sink(place_.channel); }
    void again() override {
        owner_.again_.push_back(id_);
        ::eventfd_write(owner_.bell_.get(), 1);
    }
    void fail(const std::string& why) override {
        log_warning(Topic::worker, "endpoint fails its graph", {{"graph", place_.graph}, {"why", why}});
        owner_.channels_.fail_graph(place_.graph, why);
        if (!place_.source) {
            finish();
        }
        // Behind whatever has called: it still uses its endpoint.
        owner_.post([&owner = owner_, key = place_.key, id = id_] {
            if (const auto link = owner.links_.find(id); link != owner.links_.end()) {
                link->second->close();
            }
            owner.close_sources(key);
        });
    }

   private:
    graph::Transfer prepare(unsigned transfer, std::byte* data, std::size_t length) {
        in_flight_ |= 1U << transfer;
        graph::Transfer made;
        made.sink = &owner_;
        made.channel = place_.channel;
        made.session = Endpoints::session;
        made.key = id_ << transfer_bits | transfer;
        made.data = data;
        made.length = static_cast<std::uint32_t>(length);
        return made;
    }

    Endpoints& owner_;
    std::uint64_t id_;
    Place place_;
    std::unique_ptr<Endpoint> endpoint_;
    std::uint32_t in_flight_ = 0;  // a bit per transfer
    bool closed_ = false;
};

Endpoints::Endpoints(Channels& channels, control::Loop loop) : channels_(channels), loop_(std::move(loop)) {}

namespace {

// A file that one endpoint writes belongs to no other: it would be emptied before it is read, read as it grows, or
// written by two at the same places.
Status check_alone(const Place& place, const Endpoints::Opened& others) {
    const auto identity = identity_of(place);
    for (const auto& [other, endpoint] : others) {
        if (identity && (!place.source || !other.source) && identity == identity_of(other)) {
            return fail(EINVAL, "{} is the same file as {}, and a graph {}; give one of them another path",
                        place.text(), other.text(),
                        other.source ? "must not write what it reads" : "writes a file through one channel only");
        }
    }
    return {};
}

}  // namespace

// Sources first, so that none of them finds a file that a sink has made. What is written is emptied when all are open
// and begin.
Result<Endpoints::Opened> Endpoints::open(const std::vector<Place>& places) {
    Opened opened;
    for (const bool source : {true, false}) {
        for (const Place& place : places) {
            if (place.source != source) {
                continue;
            }
            if (auto alone = check_alone(place, opened); !alone) {
                return tl::unexpected(alone.error());
            }
            auto endpoint = open_endpoint(place);
            if (!endpoint) {
                return tl::unexpected(endpoint.error());
            }
            opened.emplace_back(place, std::move(*endpoint));
        }
    }
    return opened;
}

Result<std::unique_ptr<Endpoints>> Endpoints::create(Channels& channels) {
    auto loop = control::Loop::create();
    if (!loop) {
        return tl::unexpected(loop.error());
    }
    std::unique_ptr<Endpoints> made(new Endpoints(channels, std::move(*loop)));
    made->bell_.reset(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (!made->bell_) {
        return fail_errno("endpoints cannot be served");
    }
    auto source = made->loop_.on_io(made->bell_.get(), EPOLLIN, [self = made.get()](std::uint32_t) { self->turn(); });
    if (!source) {
        return tl::unexpected(source.error());
    }
    made->bell_source_ = std::move(*source);
    try {
        made->thread_ = std::thread([self = made.get()] {
            if (auto ended = self->loop_.run(); !ended) {
                log_error(Topic::worker, "endpoints are not served any more", {{"error", ended.error().message}});
            }
        });
    } catch (const std::system_error& error) {
        return fail(error.code().value(), "thread of the endpoints cannot be started: {}", error.what());
    }
    return made;
}

Endpoints::~Endpoints() {
    if (!thread_.joinable()) {
        return;
    }
    for (const std::string& key : keys()) {
        stop(key);
    }
    post([this] { loop_.exit(0); });
    thread_.join();
}

void Endpoints::post(std::function<void()> job) {
    {
        const std::lock_guard lock(mutex_);
        jobs_.push_back(std::move(job));
    }
    ::eventfd_write(bell_.get(), 1);
}

void Endpoints::call(const std::function<void()>& job) {
    bool done = false;
    post([&] {
        job();
        const std::lock_guard lock(mutex_);
        done = true;
        gone_.notify_all();
    });
    std::unique_lock lock(mutex_);
    gone_.wait(lock, [&] { return done; });
}

void Endpoints::complete(const graph::Transfer& transfer, const yoke_completion& completion) noexcept {
    {
        const std::lock_guard lock(mutex_);
        completions_.push_back({transfer.key, completion});
    }
    ::eventfd_write(bell_.get(), 1);
}

// What is queued while a turn runs belongs to the next one.
void Endpoints::turn() {
    eventfd_t count = 0;
    ::eventfd_read(bell_.get(), &count);
    std::vector<Completion> completions;
    std::vector<std::function<void()>> jobs;
    {
        const std::lock_guard lock(mutex_);
        completions.swap(completions_);
        jobs.swap(jobs_);
    }
    for (const Completion& completion : completions) {
        if (const auto link = links_.find(completion.key >> transfer_bits); link != links_.end()) {
            link->second->completed(static_cast<unsigned>(completion.key & transfer_mask), completion.result);
        }
    }
    for (const auto& job : jobs) {
        job();
    }
    for (const std::uint64_t id : std::exchange(again_, {})) {
        if (const auto link = links_.find(id); link != links_.end()) {
            link->second->run();
        }
    }
    remove_closed();
}

void Endpoints::remove_closed() {
    for (auto link = links_.begin(); link != links_.end();) {
        if (!link->second->gone()) {
            ++link;
            continue;
        }
        const std::string key = link->second->key();
        const std::uint64_t id = link->first;
        link = links_.erase(link);  // closes the path, before anybody hears that it is gone
        const std::lock_guard lock(mutex_);
        std::erase_if(of_graph_, [&](const auto& entry) { return entry.first == key && entry.second == id; });
        gone_.notify_all();
    }
}

void Endpoints::close_graph(const std::string& key) {
    for (const auto& [id, link] : links_) {
        if (link->key() == key) {
            link->close();
        }
    }
}

// Of a graph that has failed. Its sinks hear of it by their pulls.
void Endpoints::close_sources(const std::string& key) {
    for (const auto& [id, link] : links_) {
        if (link->key() == key && link->source()) {
            link->close();
        }
    }
}

Status Endpoints::begin(const std::string& key, Opened opened) {
    Status begun;
    call([&] {
        for (auto& [place, endpoint] : opened) {
            const std::uint64_t id = ++last_id_;
            auto link = std::make_unique<Link>(*this, id, place, std::move(endpoint));
            Link* added = link.get();
            links_.emplace(id, std::move(link));
            {
                const std::lock_guard lock(mutex_);
                of_graph_.emplace(key, id);
            }
            begun = added->begin();
            if (!begun) {
                break;
            }
        }
        if (!begun) {
            close_graph(key);
        }
    });
    if (!begun) {
        stop(key);
    }
    return begun;
}

void Endpoints::stop(const std::string& key) {
    post([this, key] { close_graph(key); });
    std::unique_lock lock(mutex_);
    gone_.wait(lock, [&] { return !has(key); });
}

bool Endpoints::has(const std::string& key) const {
    return of_graph_.find(key) != of_graph_.end();
}

std::vector<std::string> Endpoints::keys() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> names;
    for (auto entry = of_graph_.begin(); entry != of_graph_.end(); entry = of_graph_.upper_bound(entry->first)) {
        names.push_back(entry->first);
    }
    return names;
}

}  // namespace yoke::worker
