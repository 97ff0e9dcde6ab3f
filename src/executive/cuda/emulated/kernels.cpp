// The device code as it is, in the words of block.hpp and instructions.hpp.
#include "executive/cuda/emulated/kernels.hpp"

#include <cstddef>
#include <cstring>
#include <functional>

#include "executive/cuda/kernels.cu"

namespace yoke::executive::cuda {

thread_local std::uint32_t table_memory[table_bytes / sizeof(std::uint32_t)];

namespace emulated {

void run_nsk(const Launch& launch, unsigned block, unsigned blocks_in_all, unsigned teams_in_block) {
    run_block(block, blocks_in_all, teams_in_block * warps_per_team * 32, [&launch] { nsk(launch); });
}

bool block_holds(const service::device::Block& first_of_schedule) {
    bool any = false;
    for (const Key& key : staged) {
        any = any || std::memcmp(&key.encrypt[0], &first_of_schedule, sizeof(first_of_schedule)) == 0;
    }
    return any;
}

void run_kernel(const char* name, unsigned blocks, unsigned threads, const void* argument) {
    for (unsigned i = 0; i < blocks; ++i) {
        run_block(i, blocks, threads, [&] {
            if (std::strcmp(name, "read_clock") == 0) {
                read_clock(*static_cast<std::uint64_t* const*>(argument));
                return;
            }
            const BulkWork& work = *static_cast<const BulkWork*>(argument);
            std::strcmp(name, "bulk") == 0         ? bulk(work)
            : std::strcmp(name, "bulk_begin") == 0 ? bulk_begin(work)
                                                   : bulk_tag(work);
        });
    }
}

}  // namespace emulated
}  // namespace yoke::executive::cuda
