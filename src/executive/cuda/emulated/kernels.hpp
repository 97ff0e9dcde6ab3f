// kernels.cu, compiled for a host.
#pragma once

#include "executive/cuda/kernels.hpp"

namespace yoke::executive::cuda::emulated {

// Runs one block of the resident kernel, with so many teams, until it has left. The calling thread is the block.
void run_nsk(const Launch& launch, unsigned block, unsigned blocks_in_all, unsigned teams_in_block);

// Whether the block that the calling thread is has a copy of a key that begins so.
bool block_holds(const service::device::Block& first_of_schedule);

// Runs any other kernel to its end, block by block.
void run_kernel(const char* name, unsigned blocks, unsigned threads, const void* argument);

}  // namespace yoke::executive::cuda::emulated
