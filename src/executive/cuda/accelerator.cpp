// The CUDA device behind the executive's interface, opened on a thread of its own: that takes up to a second, and until
// then the host executes everything. Keys that are made meanwhile wait in their device form.
#include <atomic>
#include <vector>

#include "base/log.hpp"
#include "executive/cuda/copy_lane.hpp"
#include "executive/cuda/open.hpp"
#include "executive/cuda/resident.hpp"
#include "executive/host/thread.hpp"
#include "service/device/key.hpp"

namespace yoke::executive::cuda {
namespace {

class CudaAccelerator final : public Accelerator {
   public:
    CudaAccelerator(const Limits& limits, Lender& lender) : limits_(limits), lender_(lender) {}
    ~CudaAccelerator() override {
        if (opener_.joinable()) {
            opener_.join();
        }
        drop_waiting_keys();
    }

    Status start() {
        return start_thread(opener_, "yoke-device", [this] { open(); });
    }

    void join(Session& session) override { session.device = std::make_unique<Side>(usable_); }

    void leave(Session& session) override {
        {
            const std::lock_guard lock(mutex_);
            std::erase_if(waiting_, [&session](WaitingKey& waiting) {
                const bool gone = waiting.session == &session;
                if (gone) {
                    service::device::wipe(waiting.key);
                }
                return gone;
            });
        }
        if (open_.load(std::memory_order_acquire)) {
            resident_->leave(session);
        }
    }

    void bury(std::unique_ptr<DeviceSide> side, SessionMemory memory) noexcept override {
        if (open_.load(std::memory_order_acquire)) {
            resident_->bury(std::move(side), std::move(memory));
        }
    }

    bool offer(Session& session) noexcept override {
        return open_.load(std::memory_order_acquire) && resident_->offer(session);
    }

    bool take(Session& session, BulkCall& call) noexcept override {
        return open_.load(std::memory_order_acquire) && lane_->take(session, call);
    }

    void add_key(Session& session, std::uint32_t id, std::uint16_t service, std::span<const std::byte> bytes) override {
        Key key = service::device::make_key(service, bytes);
        const std::lock_guard lock(mutex_);
        if (open_.load(std::memory_order_acquire)) {
            put_key(session, id, key);
        } else if (report_.state == "opening") {
            waiting_.push_back({&session, id, key});
        }
        service::device::wipe(key);
    }

    void remove_key(Session& session, std::uint32_t id) override {
        const std::lock_guard lock(mutex_);
        std::erase_if(waiting_, [&](WaitingKey& waiting) {
            const bool gone = waiting.session == &session && waiting.id == id;
            if (gone) {
                service::device::wipe(waiting.key);
            }
            return gone;
        });
        if (open_.load(std::memory_order_acquire)) {
            resident_->remove_key(session, id);
        }
    }

    [[nodiscard]] DeviceReport report() const override {
        DeviceReport report;
        {
            const std::lock_guard lock(mutex_);
            report = report_;
        }
        if (open_.load(std::memory_order_acquire)) {
            resident_->report(report);
            report.bulk_calls = lane_->calls();
        }
        return report;
    }

   private:
    struct WaitingKey {
        Session* session;
        std::uint32_t id;
        Key key;
    };

    void open() {
        auto parts = open_parts();
        const std::lock_guard lock(mutex_);
        if (!parts) {
            report_.state = parts.error().code == ENODEV ? "none" : "failed";
            report_.error = parts.error().message;
            if (parts.error().code == ENODEV) {
                log_info(Topic::executive, "there is no CUDA device", {{"why", parts.error().message}});
            } else {
                log_warning(Topic::executive, "calls are served without the CUDA device",
                            {{"why", parts.error().message}});
            }
        } else {
            report_.state = "open";
            report_.description = device_->context().name;
            for (WaitingKey& waiting : waiting_) {
                put_key(*waiting.session, waiting.id, waiting.key);
            }
            usable_.store(device_.get(), std::memory_order_release);
            open_.store(true, std::memory_order_release);
        }
        drop_waiting_keys();
    }

    Status open_parts() {
        auto device = Device::open(limits_);
        if (!device) {
            return tl::unexpected(device.error());
        }
        device_ = std::move(*device);
        auto lane = CopyLane::create(*device_, limits_, lender_);
        if (!lane) {
            return tl::unexpected(lane.error());
        }
        lane_ = std::move(*lane);
        auto resident = Resident::create(*device_, limits_, lender_);
        if (!resident) {
            return tl::unexpected(resident.error());
        }
        resident_ = std::move(*resident);
        return {};
    }

    void put_key(Session& session, std::uint32_t id, const Key& key) {
        if (auto place = device_->put_key(key)) {
            resident_->add_key(session, id, static_cast<std::uint16_t>(key.service), std::move(place));
        } else {
            log_warning(Topic::executive, "the device's table of keys is full: the host uses this key",
                        {{"session", session.id}, {"key", id}});
        }
    }

    void drop_waiting_keys() {
        for (WaitingKey& waiting : waiting_) {
            service::device::wipe(waiting.key);
        }
        waiting_.clear();
    }

    const Limits limits_;
    Lender& lender_;
    mutable std::mutex mutex_;
    DeviceReport report_{.state = "opening", .description = {}, .error = {}};
    std::vector<WaitingKey> waiting_;
    std::unique_ptr<Device> device_;
    std::unique_ptr<CopyLane> lane_;
    std::unique_ptr<Resident> resident_;
    std::atomic<bool> open_{false};
    std::atomic<const Device*> usable_{nullptr};
    std::thread opener_;
};

}  // namespace

Result<std::unique_ptr<Accelerator>> open_accelerator(const Limits& limits, Lender& lender) {
    auto accelerator = std::make_unique<CudaAccelerator>(limits, lender);
    if (Status started = accelerator->start(); !started) {
        return tl::unexpected(started.error());
    }
    return accelerator;
}

}  // namespace yoke::executive::cuda
