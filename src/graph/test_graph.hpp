// For tests: a runtime on some device, graphs in a line of code, and transfers that can be waited for.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "device/cpu/host_device.hpp"
#include "graph/runtime.hpp"

namespace yoke::graph {

using Values = std::vector<std::int32_t>;

constexpr std::uint64_t far_ns = 60'000'000'000ULL;  // a test that waits longer has failed

// A transfer of 32-bit integers in flight.
class Flight final : public TransferSink {
   public:
    explicit Flight(Values values_given = {}) : values(std::move(values_given)) {}

    void complete(const Transfer& /*transfer*/, const yoke_completion& completion_given) noexcept override {
        const std::lock_guard lock(mutex_);
        completion_ = completion_given;
        ++completions_;
        changed_.notify_all();
    }

    const yoke_completion& wait() {
        std::unique_lock lock(mutex_);
        EXPECT_TRUE(changed_.wait_for(lock, std::chrono::nanoseconds(far_ns), [this] { return completions_ > 0; }));
        EXPECT_EQ(completions_, 1);
        return completion_;
    }

    [[nodiscard]] bool over() {
        const std::lock_guard lock(mutex_);
        return completions_ > 0;
    }

    Values values;

   private:
    std::mutex mutex_;
    std::condition_variable changed_;
    yoke_completion completion_{};
    int completions_ = 0;
};

class TestRuntime {
   public:
    explicit TestRuntime(device::Device& device, const Limits& limits = {}) {
        auto made = Runtime::create(device, limits);
        EXPECT_TRUE(made) << made.error().message;
        runtime_ = std::move(*made);
    }

    explicit TestRuntime(std::unique_ptr<Runtime> runtime) : runtime_(std::move(runtime)) {}

    Runtime& operator*() { return *runtime_; }
    Runtime* operator->() { return runtime_.get(); }

    Status open_port(const std::string& name, bool out, std::uint64_t items, std::uint32_t session = 1) {
        return dropped(runtime_->open_port(
            session, {name, out ? control::Direction::out : control::Direction::in, {"i32", {items, 1, 1}, 0}}));
    }

    // A ptask `name` that runs `function` over ports ("a", in), ("=o", out) and constants, in the order of the
    // arguments.
    Status open_ptask(const std::string& name, const std::string& function, std::uint64_t items,
                      const std::vector<std::string>& ports, const Values& constants = {}, std::uint32_t session = 1) {
        control::PtaskDefinition ptask;
        ptask.name = name;
        ptask.kernel.source = source;
        ptask.kernel.source_name = "test.cl";
        ptask.kernel.function = function;
        for (const std::string& port : ports) {
            const bool out = port.starts_with('=');
            const std::string full = name + ":" + (out ? port.substr(1) : port);
            if (auto opened = open_port(full, out, items, session); !opened) {
                return opened;
            }
            ptask.arguments.push_back({full, {}});
        }
        for (const std::int32_t constant : constants) {
            std::vector<std::uint8_t> bytes(sizeof constant);
            std::memcpy(bytes.data(), &constant, sizeof constant);
            ptask.arguments.push_back({std::nullopt, bytes});
        }
        return dropped(runtime_->open_ptask(session, ptask));
    }

    // Returns the channel's id.
    Result<std::uint32_t> open_channel(const std::string& name, std::optional<std::string> from,
                                       std::optional<std::string> to, std::uint32_t capacity = 8,
                                       std::uint32_t session = 1) {
        auto opened = runtime_->open_channel(session, {name, std::move(from), std::move(to), capacity});
        return opened ? Result<std::uint32_t>(opened->channel) : tl::unexpected(opened.error());
    }

    // Graph /NAME of `length` ptasks that each add `constant`; returns the ids of its ends.
    std::pair<std::uint32_t, std::uint32_t> open_chain(const std::string& graph, int length, std::uint64_t items,
                                                       std::uint32_t capacity = 8, std::int32_t constant = 1,
                                                       std::uint32_t session = 1) {
        EXPECT_TRUE(runtime_->open_graph(session, graph));
        for (int i = 0; i < length; ++i) {
            must(open_ptask(fmt::format("{}/p{}", graph, i), "add", items, {"in", "=out"}, {constant}, session));
            if (i > 0) {
                const auto inner =
                    open_channel(fmt::format("{}/c{}", graph, i), fmt::format("{}/p{}:out", graph, i - 1),
                                 fmt::format("{}/p{}:in", graph, i), capacity, session);
                EXPECT_TRUE(inner) << inner.error().message;
                EXPECT_EQ(*inner, 0U);
            }
        }
        const auto in = open_channel(graph + "/in", std::nullopt, graph + "/p0:in", capacity, session);
        const auto out =
            open_channel(graph + "/out", fmt::format("{}/p{}:out", graph, length - 1), std::nullopt, capacity, session);
        EXPECT_TRUE(in && out);
        must(runtime_->run_graph(session, graph));
        return {*in, *out};
    }

    static void must(const Status& status) { EXPECT_TRUE(status) << (status ? "" : status.error().message); }

    std::shared_ptr<Flight> push(std::uint32_t channel, const Values& values, std::uint8_t flags = 0,
                                 std::uint64_t deadline = 0, std::uint32_t session = 1, std::uint64_t key = 0) {
        auto flight = keep(std::make_shared<Flight>(values));
        runtime_->push(transfer(*flight, channel, flags, deadline, session, key));
        return flight;
    }

    std::shared_ptr<Flight> pull(std::uint32_t channel, std::size_t items, std::uint64_t deadline = 0,
                                 std::uint32_t session = 1, std::uint64_t key = 0) {
        auto flight = keep(std::make_shared<Flight>(Values(items)));
        runtime_->pull(transfer(*flight, channel, 0, deadline, session, key));
        return flight;
    }

    // A push with signals, of any number of values.
    std::shared_ptr<Flight> push_with(std::uint32_t channel, const Values& values, std::uint8_t signals,
                                      std::uint8_t flags = 0, std::array<std::uint64_t, 3> extent = {}) {
        auto flight = keep(std::make_shared<Flight>(values));
        Transfer t = transfer(*flight, channel, flags, 0, 1, 0);
        t.signals = signals;
        t.extent = extent;
        runtime_->push(t);
        return flight;
    }

    std::shared_ptr<Flight> pull_with(std::uint32_t channel, std::size_t items, std::uint8_t flags,
                                      std::uint32_t session = 1) {
        auto flight = keep(std::make_shared<Flight>(Values(items)));
        runtime_->pull(transfer(*flight, channel, flags, 0, session, 0));
        return flight;
    }

    std::shared_ptr<Flight> move(std::uint32_t from, std::uint32_t to, std::uint32_t session = 1,
                                 std::uint64_t deadline = 0, std::uint64_t key = 0, std::uint8_t flags = 0) {
        auto flight = keep(std::make_shared<Flight>());
        Transfer t = transfer(*flight, from, 0, deadline, session, key);
        t.to = to;
        t.flags = flags;
        runtime_->move(t);
        return flight;
    }

    control::Json find(const std::string& kind, const std::string& name) {
        const control::Json inventory = runtime_->inventory();
        for (const control::Json& object : inventory.at(kind)) {
            if (object["name"] == name) {
                return object;
            }
        }
        return {};
    }

    // Frees the flights, all of which must be over.
    void forget_flights() {
        const std::lock_guard lock(mutex_);
        flights_.clear();
    }

    // The same functions in OpenCL C and, by add_test_functions() and add_port_functions(), in C++.
    static constexpr const char* source = R"(
kernel void add(global const int* in, global int* out, int n) { size_t i = get_global_id(0); out[i] = in[i] + n; }
kernel void sum(global const int* a, global const int* b, global int* out) {
    size_t i = get_global_id(0); out[i] = a[i] + b[i]; }
kernel void split(global const int* in, global int* a, global int* b) {
    size_t i = get_global_id(0); a[i] = in[i] * 3; b[i] = in[i] - 5; }
kernel void grow(global int* x, int n) { x[get_global_id(0)] += n; }
kernel void first(global const int* in, global int* out, int in_count, int out_count) {
    int i = get_global_id(0); if (i < in_count && i < out_count) out[i] = in[i]; }
kernel void extents(global const int* in, global int* out, uint4 extent) {
    if (get_global_id(0) == 0) { out[0] = extent.x; out[1] = extent.y; out[2] = extent.z; out[3] = extent.w; } }
)";

   private:
    // A flight lives until the runtime is gone, also one that nobody waits for.
    std::shared_ptr<Flight> keep(std::shared_ptr<Flight> flight) {
        const std::lock_guard lock(mutex_);
        flights_.push_back(flight);
        return flight;
    }

    static Status dropped(const Result<Opened>& opened) { return opened ? Status{} : tl::unexpected(opened.error()); }

    static Transfer transfer(Flight& flight, std::uint32_t channel, std::uint8_t flags, std::uint64_t deadline,
                             std::uint32_t session, std::uint64_t key) {
        Transfer t;
        t.sink = &flight;
        t.channel = channel;
        t.session = session;
        t.key = key;
        t.flags = flags;
        t.data = reinterpret_cast<std::byte*>(flight.values.data());
        t.length = static_cast<std::uint32_t>(flight.values.size() * sizeof(std::int32_t));
        t.deadline_ns = deadline;
        return t;
    }

    std::mutex mutex_;
    std::vector<std::shared_ptr<Flight>> flights_;
    std::unique_ptr<Runtime> runtime_;
};

inline std::span<std::int32_t> ints(const device::HostArgument& argument) {
    return {reinterpret_cast<std::int32_t*>(argument.data()), argument.size() / sizeof(std::int32_t)};
}

inline void add_test_functions(device::HostDevice& device) {
    using device::Geometry;
    using device::HostArgument;
    using device::Parameter;
    const Parameter buffer{Parameter::Kind::buffer, 0, "buffer", "int*"};
    const Parameter number{Parameter::Kind::constant, 4, "n", "int"};
    device.add("add", {buffer, buffer, number}, [](std::span<const HostArgument> a, const Geometry& geometry) {
        for (std::size_t i = 0; i < geometry.global[0]; ++i) {
            ints(a[1])[i] = ints(a[0])[i] + ints(a[2])[0];
        }
        return 0;
    });
    device.add("sum", {buffer, buffer, buffer}, [](std::span<const HostArgument> a, const Geometry& geometry) {
        for (std::size_t i = 0; i < geometry.global[0]; ++i) {
            ints(a[2])[i] = ints(a[0])[i] + ints(a[1])[i];
        }
        return 0;
    });
    device.add("split", {buffer, buffer, buffer}, [](std::span<const HostArgument> a, const Geometry& geometry) {
        for (std::size_t i = 0; i < geometry.global[0]; ++i) {
            ints(a[1])[i] = ints(a[0])[i] * 3;
            ints(a[2])[i] = ints(a[0])[i] - 5;
        }
        return 0;
    });
}

}  // namespace yoke::graph
