// Skips every test, with the reason, on a machine without a CUDA device.
#include <gtest/gtest.h>

#include "device/cuda/driver.hpp"

namespace {

class NeedsDevice final : public testing::Environment {
   public:
    void SetUp() override {
        if (const auto context = yoke::device::cuda::primary_context(); !context) {
            GTEST_SKIP() << context.error().message;
        }
    }
};

}  // namespace

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    testing::AddGlobalTestEnvironment(new NeedsDevice);
    return RUN_ALL_TESTS();
}
