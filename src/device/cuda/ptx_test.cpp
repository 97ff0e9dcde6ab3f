// The rewrites that make PTX of the OpenCL driver run by the CUDA driver, on texts as that driver makes them.
#include "device/cuda/ptx.hpp"

#include <gtest/gtest.h>

namespace yoke::device::cuda {
namespace {

TEST(Ptx, GivesTheOpenclRuntimesRegistersAMeaning) {
    auto ptx = rewrite_opencl_ptx(
        "mov.b32 %r0, %envreg1;\nmov.b32 %r1, %envreg3;\nmov.b32 %r2, %envreg7;\nmov.u32 %r3, %ctaid.x;\n");
    ASSERT_TRUE(ptx);
    EXPECT_EQ(*ptx, "mov.b32 %r0, 0;\nmov.b32 %r1, 0;\nmov.b32 %r2, %nctaid.y;\nmov.u32 %r3, %ctaid.x;\n");
}

TEST(Ptx, TakesAwayPointersToSharedMemory) {
    auto ptx = rewrite_opencl_ptx(
        ".param .u64 .ptr .shared .align 4 f_param_1,\n.param .u64 .ptr .global .align 4 f_param_0\n");
    ASSERT_TRUE(ptx);
    EXPECT_EQ(*ptx, ".param .u64 f_param_1,\n.param .u64 .ptr .global .align 4 f_param_0\n");
}

TEST(Ptx, RefusesWhatItDoesNotKnow) {
    for (const char* text : {"%envreg9", "%envreg10", "%envreg31", "%envreg", "mov.b32 %r1, %envreg33;"}) {
        auto ptx = rewrite_opencl_ptx(text);
        ASSERT_FALSE(ptx) << text;
        EXPECT_EQ(ptx.error().code, ENOTSUP);
    }
}

}  // namespace
}  // namespace yoke::device::cuda
