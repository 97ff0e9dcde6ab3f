// What is kept is kept, what is forgotten is wiped, and a child of fork sees nothing.
#include "client/vault.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include <gtest/gtest.h>

namespace yoke::client {
namespace {

std::array<std::byte, 64> pattern(int seed) {
    std::array<std::byte, 64> bytes{};
    for (std::size_t k = 0; k < bytes.size(); k++) {
        bytes[k] = static_cast<std::byte>(k * 7 + static_cast<std::size_t>(seed) + 1);
    }
    return bytes;
}

TEST(Vault, KeepsMoreKeysThanAPageHolds) {
    Vault vault;
    std::vector<Secret> secrets;
    for (int k = 0; k < 200; k++) {
        auto secret = vault.keep(pattern(k));
        ASSERT_TRUE(secret) << secret.error().message;
        secrets.push_back(std::move(*secret));
    }
    for (int k = 0; k < 200; k++) {
        EXPECT_TRUE(std::ranges::equal(secrets[static_cast<std::size_t>(k)].bytes(), pattern(k))) << k;
    }
}

TEST(Vault, WipesWhatIsForgotten) {
    Vault vault;
    auto kept = vault.keep(pattern(0));
    const std::byte* place = nullptr;
    {
        auto secret = vault.keep(pattern(1));
        ASSERT_TRUE(secret);
        place = secret->bytes().data();
        EXPECT_NE(place[0], std::byte{0});
    }
    EXPECT_TRUE(std::all_of(place, place + 64, [](std::byte b) { return b == std::byte{0}; }));
}

TEST(Vault, RefusesWhatIsLongerThanAKey) {
    Vault vault;
    const std::array<std::byte, 65> bytes{};
    const auto secret = vault.keep(bytes);
    ASSERT_FALSE(secret);
    EXPECT_EQ(secret.error().code, EMSGSIZE);
}

TEST(Vault, IsEmptyInAChild) {
    Vault vault;
    auto secret = vault.keep(pattern(3));
    ASSERT_TRUE(secret);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        const auto bytes = secret->bytes();
        ::_exit(std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; }) ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0) << "the key's bytes reached the child";
}

}  // namespace
}  // namespace yoke::client
