// The tables of AES in the shared memory of a block: one copy for each bank, so that no two lanes ever collide.
//
// They are named, not pointed to: through a pointer the compiler must load as if the memory could be any, with 64-bit
// addresses, and that is what the rounds of a cipher consist of.
#pragma once

#include "executive/cuda/kernels.hpp"

namespace yoke::executive::cuda {

using service::device::AesTables;

__device__ const AesTables aes_tables = service::device::make_aes_tables();

extern __shared__ std::uint32_t table_memory[];  // table_bytes, if the kernel needs tables

// Entry x of lane l at x * 32 + l; the inverse box has one copy, of words.
struct SharedTables {
    unsigned lane;
    __device__ __forceinline__ std::uint32_t encrypt(std::uint32_t x) const { return table_memory[x * 32 + lane]; }
    __device__ __forceinline__ std::uint32_t decrypt(std::uint32_t x) const {
        return table_memory[256 * 32 + x * 32 + lane];
    }
    __device__ __forceinline__ std::uint32_t inverse(std::uint32_t x) const { return table_memory[2 * 256 * 32 + x]; }
};

// All threads of the block.
__device__ inline SharedTables fill_tables() {
    for (unsigned i = threadIdx.x; i < 256 * 32; i += blockDim.x) {
        table_memory[i] = aes_tables.encrypt[i / 32];
        table_memory[256 * 32 + i] = aes_tables.decrypt[i / 32];
    }
    for (unsigned i = threadIdx.x; i < 256; i += blockDim.x) {
        table_memory[2 * 256 * 32 + i] = aes_tables.inverse[i];
    }
    __syncthreads();
    return {threadIdx.x % 32};
}

}  // namespace yoke::executive::cuda
