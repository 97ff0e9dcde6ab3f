// The device code of the executive, embedded; see kernels.cu.
#pragma once

#include "executive/cuda/protocol.hpp"

extern "C" const unsigned char yoke_executive_kernels[];  // a fat binary

namespace yoke::executive::cuda {

// Arguments of `bulk`: a range of the grains of one call whose ranges are in device memory.
struct BulkWork {
    Call call;
    const Key* key;
    std::uint32_t first;
    std::uint32_t last;
    std::uint32_t* hash;   // GCM: four words that the parts of the hash are added to
    std::uint32_t* start;  // GCM: the first counter block, four words, found by `bulk_begin`
};

constexpr unsigned nsk_threads = teams_per_block * warps_per_team * 32;
constexpr unsigned table_bytes = (2 * 256 * 32 + 256) * 4;  // AES tables in shared memory, one copy for each bank
constexpr unsigned bulk_threads = 256;
constexpr unsigned bulk_blocks_resident = 3;  // of a multiprocessor, whose shared memory holds the tables so often
constexpr unsigned bulk_blocks_max = 256;     // a power of two: GHASH walks in strides of all threads
constexpr unsigned hash_threads = 64;         // SHA-256: few threads a block, so that few messages fill many processors

}  // namespace yoke::executive::cuda
