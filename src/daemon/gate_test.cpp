// What the worker can see through its descriptor, and that it can write by no way.
#include "daemon/gate.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>

namespace yoke::daemon {
namespace {

TEST(Gate, IsSeenByTheWorkerThroughAPageThatItCannotWrite) {
    auto gate = Gate::create(1000, 3, 500);
    ASSERT_TRUE(gate) << gate.error().message;
    const auto shared = gate->share();
    ASSERT_TRUE(shared);
    EXPECT_EQ(::mmap(nullptr, control::gate_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, shared->get(), 0), MAP_FAILED);
    const char byte = 0;
    EXPECT_EQ(::pwrite(shared->get(), &byte, 1, 0), -1);
    EXPECT_NE(::ftruncate(shared->get(), 0), 0);
    auto mapping = Mapping::map(*shared, control::gate_bytes, false);
    ASSERT_TRUE(mapping) << mapping.error().message;
    EXPECT_NE(::mprotect(mapping->data(), control::gate_bytes, PROT_READ | PROT_WRITE), 0);
    const auto& page = *reinterpret_cast<const control::GatePage*>(mapping->data());
    EXPECT_EQ(page.account, 1000U);
    EXPECT_EQ(control::gate_state(page, 499), control::GateState::open);
    EXPECT_EQ(control::gate_state(page, 500), control::GateState::expired);
    gate->renew(900);
    EXPECT_EQ(control::gate_state(page, 500), control::GateState::open);
}

}  // namespace
}  // namespace yoke::daemon
