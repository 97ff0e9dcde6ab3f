// A neighbour's kernel: a fixed amount of work spread over a shape of blocks, so that it takes longer, and not less
// work, when somebody takes part of the machine away. What it waits for matters as much as its shape: arithmetic that
// fills every issue slot, memory bandwidth, or the latency of one load after the other.
#pragma once

#include <atomic>
#include <thread>

#include "check.hpp"
#include "samples.hpp"

namespace measure {

constexpr uint32_t kBurnThreads = 256;
constexpr uint32_t kBurnBlocksPerSm = 8;  // fills every thread slot of an SM

struct Shape {
    const char* name;
    uint32_t blocks_per_sm;
};

constexpr Shape kShapes[] = {{"leaves room", 4}, {"one exact wave", 8}, {"four waves", 32}};

enum class Kind { arithmetic, bandwidth, latency };

constexpr Kind kKinds[] = {Kind::arithmetic, Kind::bandwidth, Kind::latency};

const char* name_of(Kind kind);

// Device memory that all kernels read; larger than the L2 cache.
class Ground {
   public:
    static constexpr uint32_t kVectors = 1u << 24;

    Ground();
    ~Ground();
    Ground(const Ground&) = delete;
    Ground& operator=(const Ground&) = delete;

    const uint4* data() const { return data_; }

   private:
    uint4* data_ = nullptr;
};

class Burn {
   public:
    // Calibrates to @duration_ns on an otherwise idle device.
    Burn(const Ground& ground, Kind kind, const Shape& shape, uint32_t sms, uint64_t duration_ns, cudaStream_t stream);

    void launch(cudaStream_t stream) const;
    uint64_t measured_ns() const { return measured_ns_; }
    double work() const { return static_cast<double>(blocks_) * rounds_; }  // comparable within a kind
    Burn with_blocks(uint32_t blocks) const;                                // the same blocks, another number of them

   private:
    double time_ns(cudaStream_t stream, uint32_t repeats) const;

    const uint4* data_;
    Kind kind_;
    uint32_t blocks_;
    uint32_t rounds_;
    uint64_t measured_ns_ = 0;
};

// Keeps a few kernels queued in a stream from a thread of its own, until it is destroyed.
class Feeder {
   public:
    Feeder(const Burn& burn, cudaStream_t stream);
    ~Feeder();

   private:
    void run();

    const Burn& burn_;
    cudaStream_t stream_;
    std::atomic<bool> stop_ = false;
    std::thread thread_;
};

}  // namespace measure
