// The bulk lane on a CUDA device: one thread that keeps the five stages of a call overlapped.
//
// PROBLEM. A large call is bounded by PCIe, which carries both directions at once; a call alone would use one direction
// after the other. MODEL. A call is cut into pieces. Each piece goes through a slot (a stream with its device buffers):
// copy in, kernel, copy out, and a word in host memory that says so. With several slots the copy engines and the
// processors work on different pieces, of one call or of several, at the same time. Calls take turns piece by piece.
//
// The thread polls the words while pieces are under way, and sleeps otherwise.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <thread>

#include "executive/cuda/device.hpp"

namespace yoke::executive::cuda {

class CopyLane {
   public:
    static Result<std::unique_ptr<CopyLane>> create(Device& device, const Limits& limits, Lender& lender);
    CopyLane(const CopyLane&) = delete;
    CopyLane& operator=(const CopyLane&) = delete;
    ~CopyLane();  // no call is left

    bool take(Session& session, BulkCall& call) noexcept;
    [[nodiscard]] std::uint64_t calls() const { return calls_.load(std::memory_order_relaxed); }

   private:
    static constexpr unsigned slots = 8;
    static constexpr unsigned hash_places = 16;  // GCM calls under way at a time

    struct Active {
        Session* session = nullptr;
        BulkCall* call = nullptr;
        std::shared_ptr<Device::KeyPlace> key;
        BulkWork work{};  // with host addresses of the call
        std::uint32_t grains = 0;
        std::uint32_t per_piece = 0;
        std::uint32_t next = 0;  // first grain that is not in a piece yet
        unsigned under_way = 0;  // pieces
        std::uint64_t begun_ns = 0;
        std::uint64_t number = 0;  // of the lane's calls
        int status = 0;
        int hash_place = -1;   // GCM
        bool tagging = false;  // GCM: all pieces have ended, the tag is on its way
    };
    struct Slot {
        CUstream stream = nullptr;
        CUdeviceptr in = 0;
        CUdeviceptr out = 0;
        std::uint32_t sequence = 0;
        Active* active = nullptr;  // null: free
        std::uint64_t tried_ns = 0;
        // With Limits::device_trace: before the copy in, and behind each stage.
        std::array<CUevent, 4> stages{};
        PieceTimes times;
        bool traced = false;  // what is under way is a piece
    };
    struct HashPlace {
        CUdeviceptr aux = 0;
        CUdeviceptr words = 0;  // hash, then start
        CUevent begun = nullptr;
        bool used = false;
    };

    CopyLane(Device& device, const Limits& limits, Lender& lender)
        : device_(device), limits_(limits), lender_(lender) {}
    Status prepare();
    Status prepare_trace();
    void run();
    bool admit();
    bool advance();
    bool issue(Slot& slot, Active& active);
    void begin_hash(Slot& slot, Active& active);
    void issue_tag(Slot& slot, Active& active);
    void mark(Slot& slot, Active& active);
    void stage(Slot& slot, unsigned number);
    void retire(Slot& slot);
    void tell_times(Slot& slot);
    bool finish_if_done(std::list<Active>::iterator active);

    Device& device_;
    const Limits limits_;
    Lender& lender_;
    std::array<Slot, slots> slots_;
    std::array<HashPlace, hash_places> hashes_;
    Pinned<std::uint32_t> words_;  // one for each slot
    Pinned<std::array<std::uint32_t, 4>> tags_;
    std::list<Active> active_;
    std::uint64_t taken_ = 0;  // calls
    CUevent origin_ = nullptr;

    std::mutex mutex_;
    std::deque<Active> arrived_;
    std::atomic<std::uint32_t> signal_{0};  // futex
    std::atomic<bool> stopping_{false};
    std::atomic<std::uint64_t> calls_{0};
    std::thread thread_;
};

}  // namespace yoke::executive::cuda
