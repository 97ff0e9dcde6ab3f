// The tables of AES in the shared memory of a block: one copy for each bank, so that no two lanes ever collide.
#pragma once

#include "executive/cuda/kernels.hpp"

namespace yoke::executive::cuda {

using service::device::AesTables;
using service::device::SharedTables;

__device__ const AesTables aes_tables = service::device::make_aes_tables();

// All threads of the block; `memory` has table_bytes.
__device__ inline SharedTables fill_tables(std::uint32_t* memory) {
    std::uint32_t* const te = memory;
    std::uint32_t* const td = memory + 256 * 32;
    std::uint32_t* const si = memory + 2 * 256 * 32;
    for (unsigned i = threadIdx.x; i < 256 * 32; i += blockDim.x) {
        te[i] = aes_tables.encrypt[i / 32];
        td[i] = aes_tables.decrypt[i / 32];
    }
    for (unsigned i = threadIdx.x; i < 256; i += blockDim.x) {
        si[i] = aes_tables.inverse[i];
    }
    __syncthreads();
    const unsigned lane = threadIdx.x % 32;
    return {te + lane, td + lane, si};
}

}  // namespace yoke::executive::cuda
