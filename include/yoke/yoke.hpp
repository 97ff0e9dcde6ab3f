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

// A graph, terminated with its owner unless released. Names of its objects are given without the graph's: "blur",
// "blur:in".
class Graph {
   public:
    Graph(Session& session, std::string name) : session_(session.get()), name_(std::move(name)) {
        check(yoke_open_graph(session_, name_.c_str()));
    }
    // From a file (docs/graph.md).
    static Graph load(Session& session, const std::string& path) {
        std::array<char, 256> name{};
        detail::check(yoke_load_graph(session.get(), path.c_str(), name.data(), name.size()), session.get());
        return Graph(session, name.data());
    }
    Graph(Graph&& other) noexcept : session_(std::exchange(other.session_, nullptr)), name_(std::move(other.name_)) {}
    Graph& operator=(Graph&&) = delete;
    Graph(const Graph&) = delete;
    Graph& operator=(const Graph&) = delete;
    ~Graph() {
        if (session_ != nullptr) {
            yoke_terminate_graph(session_, name_.c_str());
        }
    }

    [[nodiscard]] const std::string& name() const noexcept { return name_; }
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
        yoke_result result{};
        const int status = yoke_pull(session_, channel, data.data(), data.size(),
                                     static_cast<std::uint64_t>(timeout.count()), &result);
        if (status == -ENODATA) {
            return std::nullopt;
        }
        check(status);
        return result;
    }
    // Leaves the graph to whoever terminates it by name.
    void release() noexcept { session_ = nullptr; }

   private:
    [[nodiscard]] std::string full(const std::string& name) const { return name_ + "/" + name; }
    void check(int status) const { detail::check(status, session_); }

    yoke_session* session_;
    std::string name_;
};

}  // namespace yoke

#endif  // YOKE_YOKE_HPP
