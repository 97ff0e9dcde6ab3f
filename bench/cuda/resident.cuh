// A resident executive reduced to its footprint: warp 0 of block 0 polls host memory and answers null calls, every
// other warp and block waits on device memory. It parks when asked to, and by itself after its limit.
#pragma once

#include "mailbox.cuh"

namespace measure {

class Resident {
   public:
    explicit Resident(cudaStream_t stream, uint32_t blocks = 1, uint32_t threads = 256,
                      uint64_t limit_ns = 30'000'000'000u);
    ~Resident();
    Resident(const Resident&) = delete;
    Resident& operator=(const Resident&) = delete;

    void launch();  // returns at once; the ring is served as soon as the device has room
    void park();    // returns when the kernel is gone

    Mailbox& mailbox() { return mailbox_; }

   private:
    Arena arena_{kMailboxBytes};
    Mailbox mailbox_{arena_};
    cudaStream_t stream_;
    uint32_t blocks_;
    uint32_t threads_;
    uint64_t limit_ns_;
    uint32_t* parked_ = nullptr;
    uint32_t turn_ = 0;
};

}  // namespace measure
