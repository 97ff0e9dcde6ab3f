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

// Entry x of lane l at x * 32 + l; the inverse box has one copy, of words. A byte becomes an address by one shift and
// one operation that cuts it out and puts the lane in.
struct SharedTables {
    std::uint32_t lane_bytes;  // 4 * lane

    __device__ explicit SharedTables(unsigned lane) : lane_bytes(4 * lane) {}

    template <unsigned byte>
    __device__ __forceinline__ std::uint32_t encrypt(std::uint32_t word) const {
        return at(0, (shifted<byte, 7>(word) & 0x7f80U) | lane_bytes);
    }
    template <unsigned byte>
    __device__ __forceinline__ std::uint32_t decrypt(std::uint32_t word) const {
        return at(256 * 32 * 4, (shifted<byte, 7>(word) & 0x7f80U) | lane_bytes);
    }
    template <unsigned byte>
    __device__ __forceinline__ std::uint32_t inverse(std::uint32_t word) const {
        return at(2 * 256 * 32 * 4, shifted<byte, 2>(word) & 0x3fcU);
    }

   private:
    // The byte where its number times 2^places would have it.
    template <unsigned byte, unsigned places>
    __device__ __forceinline__ static std::uint32_t shifted(std::uint32_t word) {
        return 8 * byte >= places ? word >> (8 * byte >= places ? 8 * byte - places : 0)
                                  : word << (8 * byte >= places ? 0 : places - 8 * byte);
    }
    __device__ __forceinline__ static std::uint32_t at(std::uint32_t base, std::uint32_t bytes) {
        return *reinterpret_cast<const std::uint32_t*>(reinterpret_cast<const std::uint8_t*>(table_memory) + base +
                                                       bytes);
    }
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
    return SharedTables(threadIdx.x % 32);
}

}  // namespace yoke::executive::cuda
