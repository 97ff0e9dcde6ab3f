// Memory of the device, taken once and lent again and again.
//
// PROBLEM. Freeing memory waits for every kernel of the context (quiet.hpp), and asking the driver takes microseconds.
// MODEL. Blocks come in classes of sizes, four to a doubling. A block that is given back is lent again when the
// commands that used it have ended; who gives it back says how to tell. Only when the driver has no more is what is
// free given back to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "base/error.hpp"
#include "device/cuda/driver.hpp"

namespace yoke::device::cuda {

// Tells whether the commands that used a block have ended.
class Rest {
   public:
    Rest() = default;
    Rest(const Rest&) = delete;
    Rest& operator=(const Rest&) = delete;
    virtual ~Rest() = default;
    [[nodiscard]] virtual bool ended() const = 0;
};

class MemoryPool {
   public:
    explicit MemoryPool(const Context& context) : context_(context) {}
    MemoryPool(const MemoryPool&) = delete;
    MemoryPool& operator=(const MemoryPool&) = delete;
    ~MemoryPool();  // everything lent has been given back

    // At least `bytes`, aligned to 256 bytes. ENOMEM. Any thread.
    Result<CUdeviceptr> take(std::size_t bytes);
    // `bytes` as in take(). `rest` may be null: nothing uses the block. Any thread.
    void give_back(CUdeviceptr block, std::size_t bytes, std::unique_ptr<Rest> rest);
    // The size of the block that take() gives for so many bytes.
    [[nodiscard]] static std::size_t class_of(std::size_t bytes);

   private:
    struct Free {
        CUdeviceptr block = 0;
        std::unique_ptr<Rest> rest;
    };
    bool take_free(std::size_t size, CUdeviceptr& block);
    // Gives every block that rests back to the driver, which waits for kernels: nobody else waits meanwhile, but for
    // those who want to trim, too.
    void trim();

    const Context& context_;
    std::mutex trimming_;  // before mutex_
    std::mutex mutex_;     // of free_; no driver call is made with it
    std::map<std::size_t, std::vector<Free>> free_;
};

}  // namespace yoke::device::cuda
