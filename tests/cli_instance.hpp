// Tests of the command line with a daemon of their own.
#pragma once

#include <optional>

#include "cli_program.hpp"
#include "support/instance.hpp"

namespace yoke::test {

class CliInstanceTest : public CliTest {
   protected:
    void SetUp() override {
        CliTest::SetUp();
        instance.emplace();
        ASSERT_TRUE(instance->ready()) << instance->error();
        environment["YOKE_SOCKET"] = instance->socket();
    }
    void TearDown() override {
        instance.reset();
        CliTest::TearDown();
    }

    std::optional<Instance> instance;
};

}  // namespace yoke::test
