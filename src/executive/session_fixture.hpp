// For tests and benchmarks: a session with its memory, seen from both sides within one process.
#pragma once

#include <sys/eventfd.h>

#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/clock.hpp"
#include "base/memory.hpp"
#include "executive/executive.hpp"
#include "ring/layout.hpp"
#include "ring/producer.hpp"
#include "ring/waiter.hpp"

namespace yoke::executive {

inline std::unique_ptr<Executive> make_executive(const Limits& limits = {.bulk_threads = 3},
                                                 StreamSink* sink = nullptr) {
    auto executive = Executive::create(limits, sink);
    EXPECT_TRUE(executive) << executive.error().message;
    return std::move(*executive);
}

inline void fill(std::byte* to, std::size_t bytes, unsigned seed) {
    for (std::size_t i = 0; i < bytes; ++i) {
        to[i] = static_cast<std::byte>((i * 131 + seed) >> 2);
    }
}

// The client's side of a session: arena read-write, status page read-only. Both sides use one mapping of the arena, so
// that ThreadSanitizer, which knows addresses and not pages, checks what orders their accesses. It goes with the
// session: keep_arena() maps the arena for looks at it afterwards.
class TestClient {
   public:
    explicit TestClient(const ring::Geometry& geometry = {.arena_bytes = 4U << 20}) {
        auto layout = ring::make_layout(geometry);
        EXPECT_TRUE(layout) << layout.error().message;
        layout_ = *layout;
        auto arena = create_sealed_memfd("arena", layout_.arena_bytes);
        auto status = create_sealed_memfd("status", layout_.status_bytes, false);
        EXPECT_TRUE(arena && status);
        arena_fd_ = std::move(*arena);
        worker_.layout = layout_;
        worker_.arena = std::move(*Mapping::map(arena_fd_, layout_.arena_bytes, true));
        worker_.status = std::move(*Mapping::map(*status, layout_.status_bytes, true));
        EXPECT_TRUE(seal_future_writes(*status));
        status_ = std::move(*Mapping::map(*status, layout_.status_bytes, false));
        bell_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        worker_.bell.reset(::dup(bell_.get()));
        view_ = {worker_.arena.data(), status_.data(), layout_, bell_.get()};
        express = std::make_unique<ring::Producer>(view_, YOKE_RING_EXPRESS);
        bulk = std::make_unique<ring::Producer>(view_, YOKE_RING_BULK);
        waiter = std::make_unique<ring::Waiter>(view_);
    }

    // What add_session takes; once.
    SessionMemory take_worker_side() { return std::move(worker_); }

    [[nodiscard]] const yoke_layout& layout() const { return layout_; }
    [[nodiscard]] const ring::ClientView& view() const { return view_; }
    [[nodiscard]] const Fd& arena_fd() const { return arena_fd_; }
    [[nodiscard]] std::byte* data(std::uint64_t offset = 0) const { return view_.arena + layout_.data + offset; }
    // From now on data() is in a mapping of its own. Producers must not be used any more.
    void keep_arena() {
        arena_ = std::move(*Mapping::map(arena_fd_, layout_.arena_bytes, true));
        view_.arena = arena_.data();
    }
    [[nodiscard]] bool has_completion(unsigned ring, std::uint32_t slot, std::uint32_t tag) const {
        yoke_completion completion;
        const auto* const lines = reinterpret_cast<const yoke_line*>(view_.arena + layout_.ring[ring].completion);
        return yoke_line_read(&lines[slot], &completion, tag) != 0;
    }
    [[nodiscard]] std::uint64_t data_bytes() const { return layout_.arena_bytes - layout_.data; }
    ring::Producer& producer(unsigned ring) { return ring == YOKE_RING_EXPRESS ? *express : *bulk; }

    // An echo of `length` bytes at data(from) to data(to).
    [[nodiscard]] yoke_submission echo(std::uint64_t from, std::uint64_t to, std::uint32_t length) const {
        yoke_submission s{};
        s.opcode = YOKE_OP_CALL;
        s.service = YOKE_SERVICE_ECHO;
        s.in_offset = layout_.data + from;
        s.out_offset = layout_.data + to;
        s.in_length = length;
        s.out_length = length;
        return s;
    }

    // Waits for one position. False after ten seconds: the completion never came.
    [[nodiscard]] bool wait(unsigned ring, std::uint64_t position, yoke_completion& completion,
                            std::uint64_t spin_ns = 20'000) {
        return wait_for([&] { return producer(ring).take_completion(position, completion); }, spin_ns);
    }
    [[nodiscard]] bool wait_for(const std::function<bool()>& look, std::uint64_t spin_ns = 20'000) {
        const std::uint64_t until = now_ns() + 10'000'000'000U;
        for (;;) {
            const ring::Waited waited = waiter->wait(look, spin_ns, until);
            if (waited != ring::Waited::slice) {
                return waited == ring::Waited::found;
            }
        }
    }
    // Submits and waits; a completion with status -1 if there was none.
    yoke_completion call(unsigned ring, const yoke_submission& submission, const void* params = nullptr) {
        yoke_completion completion{};
        const std::int64_t position = producer(ring).submit(submission, params);
        if (position < 0 || !wait(ring, static_cast<std::uint64_t>(position), completion)) {
            completion.status = -1;
        }
        return completion;
    }

    std::unique_ptr<ring::Producer> express;
    std::unique_ptr<ring::Producer> bulk;
    std::unique_ptr<ring::Waiter> waiter;

   private:
    yoke_layout layout_{};
    SessionMemory worker_;
    Fd arena_fd_;
    Mapping arena_;
    Mapping status_;
    Fd bell_;
    ring::ClientView view_;
};

}  // namespace yoke::executive
