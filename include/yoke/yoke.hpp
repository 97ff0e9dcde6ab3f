// SPDX-License-Identifier: Apache-2.0
//
// yoke.hpp: libyoke for C++20, header-only over the C interface (yoke.h, which has the details and the error numbers)
//
// Objects free what they own; failures are thrown as yoke::error with the errno value and the sentence. A Session is
// used by one thread at a time; Buffers, Keys and Graphs belong to their Session and must not outlive it.
//
//     yoke::Session session;
//     yoke::Buffer text = session.alloc(5), digest = session.alloc(32);
//     std::memcpy(text.data(), "hello", 5);
//     session.call(yoke::Call(YOKE_SERVICE_SHA256, text, digest));
#ifndef YOKE_YOKE_HPP
#define YOKE_YOKE_HPP

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <initializer_list>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <yoke/yoke.h>

namespace yoke {

// A failed call of libyoke: code() is a positive errno value, what() one sentence that names the object and the remedy.
class error : public std::runtime_error {
   public:
    error(int code, const std::string& sentence) : std::runtime_error(sentence), code_(code) {}
    [[nodiscard]] int code() const noexcept { return code_; }

   private:
    int code_;
};

namespace detail {

// Returns a count or 0, throws for -errno.
inline int check(int status, const yoke_session* session) {
    if (status < 0) {
        throw error(-status, yoke_error(session));
    }
    return status;
}

template <typename T>
concept Plain = std::is_trivially_copyable_v<T>;

}  // namespace detail

// Time without end, for the functions that wait.
inline constexpr std::chrono::nanoseconds forever = std::chrono::nanoseconds::max();

// Memory of a session's arena. To be destroyed before the session.
class Buffer {
   public:
    Buffer() = default;
    Buffer(yoke_session* session, std::size_t bytes) : session_(session), bytes_(bytes) {
        detail::check(yoke_alloc(session, bytes, &memory_), session);
    }
    Buffer(Buffer&& other) noexcept
        : session_(other.session_),
          memory_(std::exchange(other.memory_, nullptr)),
          bytes_(std::exchange(other.bytes_, 0)) {}
    Buffer& operator=(Buffer&& other) noexcept {
        std::swap(session_, other.session_);
        std::swap(memory_, other.memory_);
        std::swap(bytes_, other.bytes_);
        return *this;
    }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() {
        if (memory_ != nullptr) {
            yoke_free(session_, memory_);
        }
    }

    [[nodiscard]] std::byte* data() const noexcept { return static_cast<std::byte*>(memory_); }
    [[nodiscard]] std::size_t size() const noexcept { return bytes_; }
    [[nodiscard]] std::span<std::byte> bytes() const noexcept { return {data(), bytes_}; }
    operator std::span<std::byte>() const noexcept { return bytes(); }
    operator std::span<const std::byte>() const noexcept { return bytes(); }
    // The memory as an array of T; a rest too short for a T is left out.
    template <detail::Plain T>
    [[nodiscard]] std::span<T> as() const noexcept {
        return {static_cast<T*>(memory_), bytes_ / sizeof(T)};
    }

   private:
    yoke_session* session_ = nullptr;
    void* memory_ = nullptr;
    std::size_t bytes_ = 0;
};

// A key for the service that it was made for. To be destroyed before its session.
class Key {
   public:
    Key(yoke_session* session, std::uint16_t service, std::span<const std::byte> bytes) : session_(session) {
        detail::check(yoke_key_create(session, service, bytes.data(), bytes.size(), &key_), session);
    }
    Key(Key&& other) noexcept : session_(other.session_), key_(std::exchange(other.key_, nullptr)) {}
    Key& operator=(Key&& other) noexcept {
        std::swap(session_, other.session_);
        std::swap(key_, other.key_);
        return *this;
    }
    Key(const Key&) = delete;
    Key& operator=(const Key&) = delete;
    ~Key() {
        if (key_ != nullptr) {
            yoke_key_destroy(session_, key_);
        }
    }

    [[nodiscard]] const yoke_key* get() const noexcept { return key_; }

   private:
    yoke_session* session_;
    yoke_key* key_ = nullptr;
};

// One call: out = service(in). Setters return the call, so that they can be chained. Copies its parameters, but not the
// data.
class Call {
   public:
    Call(std::uint16_t service, std::span<const std::byte> in, std::span<std::byte> out) {
        call_.service = service;
        call_.in = in.data();
        call_.in_length = in.size();
        call_.out = out.data();
        call_.out_length = out.size();
    }
    Call& key(const Key& key) {
        call_.key = key.get();
        return *this;
    }
    Call& decrypt(bool decrypt = true) {
        call_.flags = decrypt ? YOKE_FLAG_DECRYPT : 0;
        return *this;
    }
    // One of struct yoke_params_*.
    template <detail::Plain Params>
    requires(sizeof(Params) == YOKE_PAYLOAD_BYTES) Call& params(const Params& params) {
        std::memcpy(params_.data(), &params, sizeof(params));
        has_params_ = true;
        return *this;
    }
    Call& aux(std::span<const std::byte> aux) {
        call_.aux = aux.data();
        call_.aux_length = aux.size();
        return *this;
    }
    Call& place(yoke_place place) {
        call_.place = static_cast<std::uint8_t>(place);
        return *this;
    }
    Call& timeout(std::chrono::nanoseconds timeout) {
        call_.timeout_ns = static_cast<std::uint64_t>(std::max<std::int64_t>(timeout.count(), 1));
        return *this;
    }
    // The call for the C interface; valid as long as this object, which therefore must not be a temporary one.
    yoke_call raw() const&& = delete;
    [[nodiscard]] yoke_call raw() const& {
        yoke_call call = call_;
        call.params = has_params_ ? params_.data() : nullptr;
        return call;
    }

   private:
    yoke_call call_{};
    std::array<std::byte, YOKE_PAYLOAD_BYTES> params_{};
    bool has_params_ = false;
};

class Session {
   public:
    // Called with the result of a submitted call. What it throws is thrown by dispatch(), wait() or call().
    using Done = std::function<void(const yoke_result&)>;

    explicit Session(const yoke_options& options = {}) : callbacks_(std::make_unique<Callbacks>()) {
        detail::check(yoke_open(&session_, &options), nullptr);
    }
    // A session without a worker: every call runs in the caller.
    static Session local() {
        yoke_options options{};
        options.flags = YOKE_OPEN_LOCAL;
        return Session(options);
    }
    Session(Session&& other) noexcept
        : session_(std::exchange(other.session_, nullptr)), callbacks_(std::move(other.callbacks_)) {}
    Session& operator=(Session&& other) noexcept {
        std::swap(session_, other.session_);
        std::swap(callbacks_, other.callbacks_);
        return *this;
    }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    ~Session() { yoke_close(session_); }

    [[nodiscard]] yoke_session* get() const noexcept { return session_; }
    [[nodiscard]] Buffer alloc(std::size_t bytes) { return {session_, bytes}; }
    [[nodiscard]] Key key(std::uint16_t service, std::span<const std::byte> bytes) {
        return {session_, service, bytes};
    }
    [[nodiscard]] yoke_session_info info() {
        yoke_session_info info{};
        detail::check(yoke_info(session_, &info), session_);
        return info;
    }

    // Executes a call and waits for its end; throws when it failed.
    yoke_result call(const Call& call) {
        yoke_result result{};
        const yoke_call raw = call.raw();
        const int status = yoke_call_sync(session_, &raw, &result);
        rethrow();
        detail::check(status, session_);
        return result;
    }
    // The same for an output that overlaps the input.
    yoke_result call_inplace(const Call& call) {
        yoke_result result{};
        const yoke_call raw = call.raw();
        const int status = yoke_call_inplace(session_, &raw, &result);
        rethrow();
        detail::check(status, session_);
        return result;
    }
    // Submits a call whose end wait() reports.
    [[nodiscard]] yoke_ticket submit(const Call& call) {
        const yoke_call raw = call.raw();
        yoke_ticket ticket = 0;
        detail::check(yoke_submit(session_, &raw, nullptr, nullptr, &ticket), session_);
        return ticket;
    }
    // Submits a call whose end `done` hears of, from inside dispatch() or any function that waits.
    yoke_ticket submit(const Call& call, Done done) {
        const yoke_call raw = call.raw();
        const auto place =
            callbacks_->waiting.insert(callbacks_->waiting.end(), Waiting{callbacks_.get(), std::move(done), {}});
        place->place = place;
        yoke_ticket ticket = 0;
        const int status = yoke_submit(session_, &raw, ended, &*place, &ticket);
        if (status < 0) {
            callbacks_->waiting.erase(place);
            detail::check(status, session_);
        }
        return ticket;
    }
    // The result of a ticket; nothing when it has not ended in time. A failed call is a result, not an exception.
    std::optional<yoke_result> wait(yoke_ticket ticket, std::chrono::nanoseconds timeout = forever) {
        yoke_result result{};
        const int status = yoke_wait(session_, ticket, count(timeout), &result);
        rethrow();
        if (status == -EAGAIN) {
            return std::nullopt;
        }
        detail::check(status, session_);
        return result;
    }
    int dispatch(std::chrono::nanoseconds timeout = forever) {
        const int callbacks = yoke_dispatch(session_, count(timeout));
        rethrow();
        return detail::check(callbacks, session_);
    }
    void cancel(yoke_ticket ticket) { detail::check(yoke_cancel(session_, ticket), session_); }

   private:
    struct Callbacks;
    struct Waiting {
        Callbacks* owner;
        Done done;
        std::list<Waiting>::iterator place;
    };
    struct Callbacks {
        std::list<Waiting> waiting;
        std::exception_ptr thrown;
    };

    static std::uint64_t count(std::chrono::nanoseconds timeout) {
        return timeout == forever ? UINT64_MAX : static_cast<std::uint64_t>(std::max<std::int64_t>(timeout.count(), 0));
    }
    static void ended(void* user, yoke_ticket, const yoke_result* result) noexcept {
        auto* waiting = static_cast<Waiting*>(user);
        Callbacks* const owner = waiting->owner;
        const Done done = std::move(waiting->done);
        owner->waiting.erase(waiting->place);
        try {
            done(*result);
        } catch (...) {
            owner->thrown = std::current_exception();
        }
    }
    void rethrow() {
        if (callbacks_->thrown) {
            std::rethrow_exception(std::exchange(callbacks_->thrown, nullptr));
        }
    }

    yoke_session* session_ = nullptr;
    std::unique_ptr<Callbacks> callbacks_;
};

// Template of a port: Form("f32", {640, 480}).
struct Form : yoke_template {
    Form(const std::string& element, std::initializer_list<std::uint64_t> extents, std::uint64_t row_bytes = 0)
        : yoke_template{} {
        if (element.size() >= sizeof(type) || extents.size() > 3) {
            throw error(EINVAL, "a template has a type of at most 15 characters and at most 3 extents");
        }
        std::copy(element.begin(), element.end(), type);
        std::fill(std::begin(extent), std::end(extent), 1);
        std::copy(extents.begin(), extents.end(), extent);
        stride = row_bytes;
    }
};

// Argument of a kernel: the name of a port of its ptask ("in"), or the bytes of a constant.
class Argument {
   public:
    Argument(const char* port) : port_(port) {}
    template <detail::Plain T>
    requires(sizeof(T) <= 64 && !std::is_pointer_v<T> && !std::is_array_v<T>) Argument(const T& constant)
        : bytes_(sizeof(T)) {
        std::memcpy(bytes_.data(), &constant, sizeof(T));
    }
    [[nodiscard]] yoke_argument raw() const {
        return bytes_.empty() ? yoke_argument{port_.c_str(), nullptr, 0}
                              : yoke_argument{nullptr, bytes_.data(), bytes_.size()};
    }

   private:
    std::string port_;
    std::vector<std::byte> bytes_;
};

// A port with everything that it can be: Port("in", YOKE_IN, Form("u8", {64})).sticky().
class Port {
   public:
    Port(yoke_direction direction, const Form& form) {
        port_.form = form;
        port_.direction = direction;
    }
    Port& sticky() { return flag(YOKE_PORT_STICKY); }
    Port& hold() { return flag(YOKE_PORT_HOLD); }
    Port& variable() { return flag(YOKE_PORT_VARIABLE); }
    // Makes datablocks of zeros, or of one element, itself.
    Port& init() { return flag(YOKE_PORT_INIT); }
    template <detail::Plain T>
    Port& init(const T& element) {
        initial_.resize(sizeof(T));
        std::memcpy(initial_.data(), &element, sizeof(T));
        return init();
    }
    // Tells the size of another port of the ptask, by name ("out").
    Port& size_of(const std::string& port) {
        of_ = port;
        port_.meta = YOKE_META_SIZE;
        return *this;
    }
    Port& iterations() {
        port_.meta = YOKE_META_ITERATIONS;
        return *this;
    }
    Port& describes(const std::string& port) {
        of_ = port;
        return flag(YOKE_PORT_DESCRIPTOR);
    }
    // Valid as long as this object, which therefore must not be a temporary one.
    yoke_port raw() const&& = delete;
    [[nodiscard]] yoke_port raw() const& {
        yoke_port port = port_;
        port.initial = initial_.data();
        port.initial_bytes = static_cast<std::uint32_t>(initial_.size());
        port.of = of_.empty() ? nullptr : of_.c_str();
        return port;
    }

   private:
    Port& flag(std::uint32_t flag) {
        port_.flags |= flag;
        return *this;
    }
    yoke_port port_{};
    std::vector<std::byte> initial_;
    std::string of_;
};

// A channel with everything that it can be; empty names are the outside.
struct Channel {
    std::string source{};
    std::string destination{};
    std::uint32_t capacity = 0;
    bool back = false;
    std::string source_when{};  // predicates, "on begin|end"; empty: always
    std::string destination_when{};
    yoke_endpoint endpoint = YOKE_ENDPOINT_NONE;
    std::string path{};
    bool repeat = false;
    bool raw = false;
};

// How to push: signals and extents that go with the datablock, YOKE_FLAG_END, and how long to wait (0: for ever).
struct PushOptions {
    std::uint32_t signals = 0;
    std::array<std::uint64_t, 3> extent{};
    std::uint32_t flags = 0;
    std::chrono::nanoseconds timeout{0};
};

// A graph, terminated with its owner unless released or persistent. Names of its objects are given without the graph's:
// "blur", "blur:in".
class Graph {
   public:
    Graph(Session& session, std::string name) : session_(session.get()), name_(std::move(name)) {
        check(yoke_open_graph(session_, name_.c_str()));
    }
    // A graph that outlives the session, or one with a mode.
    Graph(Session& session, std::string name, bool persist, std::uint32_t mode = 0)
        : session_(session.get()), name_(std::move(name)), kept_(persist) {
        check(yoke_open_graph_as(session_, name_.c_str(), persist ? 1 : 0, mode));
    }
    // From a file (docs/graph.md).
    static Graph load(Session& session, const std::string& path) {
        std::array<char, 256> name{};
        detail::check(yoke_load_graph(session.get(), path.c_str(), name.data(), name.size()), session.get());
        return Graph(session, name.data());
    }
    Graph(Graph&& other) noexcept
        : session_(std::exchange(other.session_, nullptr)), name_(std::move(other.name_)), kept_(other.kept_) {}
    Graph& operator=(Graph&&) = delete;
    Graph(const Graph&) = delete;
    Graph& operator=(const Graph&) = delete;
    ~Graph() {
        if (session_ != nullptr && !kept_) {
            yoke_terminate_graph(session_, name_.c_str());
        }
    }

    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    void port(const std::string& name, const Port& port) {
        const yoke_port raw = port.raw();
        check(yoke_open_port_as(session_, full(name).c_str(), &raw));
    }
    void ptask(const std::string& name, const yoke_ptask& ptask) {
        check(yoke_open_ptask_as(session_, full(name).c_str(), &ptask));
    }
    // A ptask that is a function of this process: `ports` are its arguments. See serve().
    void client_ptask(const std::string& name, std::initializer_list<std::string> ports) {
        std::vector<yoke_ptask_argument> arguments;
        for (const std::string& port : ports) {
            arguments.push_back({port.c_str(), nullptr, 0, YOKE_TELLS_DATABLOCK, 0});
        }
        yoke_form form{};
        form.form = "client";
        yoke_ptask ptask{};
        ptask.forms = &form;
        ptask.form_count = 1;
        ptask.arguments = arguments.data();
        ptask.argument_count = arguments.size();
        this->ptask(name, ptask);
    }
    // Serves such a ptask from inside Session::dispatch(); see yoke_serve_function. `user` must stay as long as the
    // session.
    void serve(const std::string& ptask, yoke_function function, void* user) {
        check(yoke_serve_function(session_, full(ptask).c_str(), function, user));
    }
    std::uint32_t channel(const std::string& name, const Channel& channel) {
        const std::string from = full(channel.source);
        const std::string to = full(channel.destination);
        yoke_channel raw{};
        raw.source = channel.source.empty() ? nullptr : from.c_str();
        raw.destination = channel.destination.empty() ? nullptr : to.c_str();
        raw.source_when = channel.source_when.empty() ? nullptr : channel.source_when.c_str();
        raw.destination_when = channel.destination_when.empty() ? nullptr : channel.destination_when.c_str();
        raw.path = channel.path.empty() ? nullptr : channel.path.c_str();
        raw.endpoint = channel.endpoint;
        raw.capacity = channel.capacity;
        raw.flags = (channel.back ? YOKE_CHANNEL_BACK : 0) | (channel.repeat ? YOKE_CHANNEL_REPEAT : 0) |
                    (channel.raw ? YOKE_CHANNEL_RAW : 0);
        std::uint32_t id = 0;
        check(yoke_open_channel_as(session_, full(name).c_str(), &raw, &id));
        return id;
    }
    // Priority, 0 to 10, of a ptask, or without name of all.
    void priority(std::uint32_t priority, const std::string& ptask = "") {
        check(yoke_set_ptask_prio(session_, ptask.empty() ? name_.c_str() : full(ptask).c_str(), priority));
    }
    // Why the graph does not move, as JSON; "[]" when it can.
    [[nodiscard]] std::string why() const {
        char* json = nullptr;
        check(yoke_graph_why(session_, name_.c_str(), &json));
        std::string text(json);
        std::free(json);
        return text;
    }
    void push(std::uint32_t channel, std::span<const std::byte> data, const PushOptions& options) {
        yoke_push_options raw{};
        std::copy(options.extent.begin(), options.extent.end(), raw.extent);
        raw.timeout_ns = static_cast<std::uint64_t>(options.timeout.count());
        raw.signals = options.signals;
        raw.flags = options.flags;
        check(yoke_push_with(session_, channel, data.data(), data.size(), &raw, nullptr));
    }
    // The next datablock, which stays where it is; nothing at the end of the stream.
    std::optional<yoke_result> peek(std::uint32_t channel, std::span<std::byte> data,
                                    std::chrono::nanoseconds timeout = std::chrono::nanoseconds{0}) {
        return pull_with(channel, data, YOKE_FLAG_PEEK, timeout);
    }
    // Drops what waits in a channel; returns how many datablocks that were.
    std::uint64_t drain(std::uint32_t channel) {
        const auto result = pull_with(channel, {}, YOKE_FLAG_DRAIN, std::chrono::nanoseconds{0});
        return result ? result->detail : 0;
    }
    // Hands the next datablock of one channel to another; nothing at the end of the stream.
    std::optional<yoke_result> move(std::uint32_t from, std::uint32_t to,
                                    std::chrono::nanoseconds timeout = std::chrono::nanoseconds{0}) {
        yoke_result result{};
        return taken(yoke_move(session_, from, to, static_cast<std::uint64_t>(timeout.count()), &result), result);
    }
    void port(const std::string& name, yoke_direction direction, const Form& form) {
        check(yoke_open_port(session_, full(name).c_str(), direction, &form));
    }
    void ptask(const std::string& name, const yoke_kernel& kernel, std::initializer_list<Argument> arguments) {
        std::vector<yoke_argument> raw;
        for (const Argument& argument : arguments) {
            raw.push_back(argument.raw());
        }
        check(yoke_open_ptask(session_, full(name).c_str(), &kernel, raw.data(), raw.size()));
    }
    // Channel from port to port; an empty name is the outside. Returns the id for push and pull.
    std::uint32_t channel(const std::string& name, const std::string& source, const std::string& destination,
                          std::uint32_t capacity = 0) {
        std::uint32_t id = 0;
        const std::string from = full(source);
        const std::string to = full(destination);
        check(yoke_open_channel(session_, full(name).c_str(), source.empty() ? nullptr : from.c_str(),
                                destination.empty() ? nullptr : to.c_str(), capacity, &id));
        return id;
    }
    void run() { check(yoke_run_graph(session_, name_.c_str())); }
    void push(std::uint32_t channel, std::span<const std::byte> data, std::uint8_t flags = 0,
              std::chrono::nanoseconds timeout = std::chrono::nanoseconds{0}) {
        check(yoke_push(session_, channel, data.data(), data.size(), flags, static_cast<std::uint64_t>(timeout.count()),
                        nullptr));
    }
    // The next datablock's result; nothing at the end of the stream.
    std::optional<yoke_result> pull(std::uint32_t channel, std::span<std::byte> data,
                                    std::chrono::nanoseconds timeout = std::chrono::nanoseconds{0}) {
        return pull_with(channel, data, 0, timeout);
    }
    // Leaves the graph to whoever terminates it by name.
    void release() noexcept { session_ = nullptr; }

   private:
    [[nodiscard]] std::string full(const std::string& name) const { return name_ + "/" + name; }
    void check(int status) const { detail::check(status, session_); }
    std::optional<yoke_result> taken(int status, const yoke_result& result) const {
        if (status == -ENODATA) {
            return std::nullopt;
        }
        check(status);
        return result;
    }
    std::optional<yoke_result> pull_with(std::uint32_t channel, std::span<std::byte> data, std::uint32_t flags,
                                         std::chrono::nanoseconds timeout) {
        yoke_result result{};
        const int status = yoke_pull_with(session_, channel, data.data(), data.size(), flags,
                                          static_cast<std::uint64_t>(timeout.count()), &result);
        return taken(status, result);
    }

    yoke_session* session_;
    std::string name_;
    bool kept_ = false;  // persists
};

}  // namespace yoke

#endif  // YOKE_YOKE_HPP
