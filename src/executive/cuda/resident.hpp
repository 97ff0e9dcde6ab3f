// The keeper of the non-stop kernel: launches and parks it, lends it rings and takes them back, rings bells for it.
//
// One thread looks after everything that the NSK cannot do itself: system calls. While rings are lent it wakes every
// watch_ns, books what the NSK has done, wakes clients that sleep, and watches the NSK's heartbeat; with a client
// asleep it looks without pause for a while, since that client waits for it. When for a while no client has slept and
// no ring has been handed back it looks less often: most of what a look costs is the processor's time to fall asleep
// and wake. Without rings the NSK is parked after a while, and the thread sleeps until the next offer.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "device/cuda/quiet.hpp"
#include "executive/cuda/device.hpp"

namespace yoke::executive::cuda {

class Resident final : private driver::Tenant {
   public:
    static Result<std::unique_ptr<Resident>> create(Device& device, const Limits& limits, Lender& lender);
    Resident(const Resident&) = delete;
    Resident& operator=(const Resident&) = delete;
    ~Resident();  // parks

    bool offer(Session& session) noexcept;
    void leave(Session& session);
    void bury(std::unique_ptr<DeviceSide> side, SessionMemory memory) noexcept;
    void add_key(Session& session, std::uint32_t id, std::uint16_t service, std::shared_ptr<Device::KeyPlace> place);
    void remove_key(Session& session, std::uint32_t id);
    void report(DeviceReport& report) const;

   private:
    struct Grave {
        std::unique_ptr<DeviceSide> side;
        SessionMemory memory;
    };

    Resident(Device& device, const Limits& limits, Lender& lender)
        : device_(device), limits_(limits), lender_(lender) {}
    void leave_context() override;
    void stay() override;
    Status prepare();
    Status reserve_stream();
    Status calibrate_clock();
    void run();
    // All with mutex_:
    bool look_around(std::uint64_t now);  // true: a client sleeps and waits for a completion
    void take_offers(std::uint64_t now);
    void attach(Session& session, std::uint32_t slot, std::uint64_t now);
    void collect(Session& session);
    void book(Session& session);
    bool watch(Session& session, std::uint64_t now);
    [[nodiscard]] std::unique_lock<std::mutex> enter() const;
    void signal();
    void watch_heart(std::uint64_t now);
    void rest(std::uint64_t now);
    void launch(std::uint64_t now);
    void park();
    void unpin_graves(std::uint64_t now, bool forced);
    std::uint32_t order(std::uint32_t team, Command command, std::uint32_t ring);
    void await(std::uint32_t team, std::uint32_t sequence);
    void copy_name(const Side& side, std::uint32_t place);

    Device& device_;
    const Limits limits_;
    Lender& lender_;
    CUstream stream_ = nullptr;  // the kernel's, of the processors kept for it
    CUstream orders_ = nullptr;  // what is written beside it
    CUdeviceptr order_words_ = 0;
    CUdeviceptr rings_ = 0;
    CUdeviceptr names_ = 0;
    Pinned<Ring> ring_staging_;
    Pinned<Report> reports_;
    Pinned<TeamReport> progress_;
    Pinned<std::uint64_t> clock_;  // the device's, as a kernel read it
    std::int64_t monotonic_ahead_ns_ = 0;
    std::uint64_t calibrated_ns_ = 0;

    mutable std::mutex mutex_;
    mutable std::atomic<std::uint32_t> waiting_{0};  // threads that want mutex_: the keeper makes room for them
    std::atomic<std::uint32_t> signal_{0};           // futex: there is something to do
    std::uint64_t bell_ns_ = 0;                      // when a client was last woken
    std::uint64_t needed_ns_ = 0;                    // when a client last slept, or a ring came or went back
    bool stopping_ = false;
    bool resident_ = false;
    bool away_ = false;         // another part of the worker wants no kernel to be resident
    std::uint32_t number_ = 0;  // of launches
    std::uint32_t attachments_ = 0;
    std::uint64_t calls_ = 0;
    std::array<std::uint32_t, teams> sequence_{};
    std::array<std::uint32_t, teams> heart_{};
    std::array<std::uint64_t, teams> heart_ns_{};
    std::array<Session*, rings_max> lent_{};
    std::array<bool, rings_max> named_{};  // the device's names of this ring are not all zero
    std::uint32_t lent_count_ = 0;
    std::uint64_t empty_since_ns_ = 0;
    std::vector<Grave> graves_;
    std::uint64_t grave_bytes_ = 0;
    std::uint64_t grave_since_ns_ = 0;

    std::mutex offers_mutex_;
    std::vector<Session*> offers_;
    std::thread thread_;
};

}  // namespace yoke::executive::cuda
