// Counting, with honest numbers and with others.
#include "daemon/inventory.hpp"

#include <gtest/gtest.h>

namespace yoke::daemon {
namespace {

TEST(Inventory, CountsWhatIsThere) {
    const Inventory inventory(control::Json::parse(
        R"({"sessions":[{"session":1,"arena_bytes":100},{"session":2}],"graphs":[{"name":"/g"}],"adopted":5})"));
    EXPECT_EQ(inventory.count("sessions"), 2U);
    EXPECT_EQ(inventory.count("graphs"), 1U);
    EXPECT_EQ(inventory.count("ports"), 0U);
    EXPECT_EQ(inventory.arena_bytes(), 100U);
    EXPECT_EQ(inventory.adopted(), 5U);
    EXPECT_EQ(inventory.of("graphs")[0]["name"], "/g");
}

TEST(Inventory, MaliciousNumbersNeitherOverflowNorCount) {
    const Inventory inventory(control::Json::parse(
        R"({"sessions":[{"arena_bytes":18446744073709551615},{"arena_bytes":18446744073709551615},)"
        R"({"arena_bytes":-5},{"arena_bytes":"much"}]})"));
    EXPECT_EQ(inventory.arena_bytes(), UINT64_MAX);
    EXPECT_EQ(inventory.count("sessions"), 4U);
}

}  // namespace
}  // namespace yoke::daemon
