// Sealed keys, and descriptors that are none.
#include "worker/key_bytes.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/memory.hpp"

namespace yoke::worker {
namespace {

TEST(KeyBytes, CopiesASealedMemfd) {
    std::array<std::byte, 32> bytes{};
    std::generate(bytes.begin(), bytes.end(), [n = 0]() mutable { return static_cast<std::byte>(++n); });
    const auto memfd = create_content_memfd("key", bytes);
    ASSERT_TRUE(memfd);
    const auto key = KeyBytes::read_untrusted(*memfd);
    ASSERT_TRUE(key) << key.error().message;
    EXPECT_TRUE(std::equal(key->view().begin(), key->view().end(), bytes.begin(), bytes.end()));
}

TEST(KeyBytes, MaliciousDescriptorsAreRefused) {
    Fd open_to_writes(::memfd_create("key", MFD_ALLOW_SEALING | MFD_CLOEXEC));
    ASSERT_EQ(::ftruncate(open_to_writes.get(), 32), 0);
    EXPECT_FALSE(KeyBytes::read_untrusted(open_to_writes)) << "without seals";
    ASSERT_EQ(::fcntl(open_to_writes.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    EXPECT_FALSE(KeyBytes::read_untrusted(open_to_writes)) << "still writable";
    const auto empty = create_content_memfd("key", {});
    EXPECT_FALSE(empty && KeyBytes::read_untrusted(*empty));
    const std::vector<std::byte> large(KeyBytes::bytes_max + 1);
    const auto too_large = create_content_memfd("key", large);
    ASSERT_TRUE(too_large);
    const auto refused = KeyBytes::read_untrusted(*too_large);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, EMSGSIZE);
    EXPECT_FALSE(KeyBytes::read_untrusted(Fd(::open("/dev/zero", O_RDONLY | O_CLOEXEC))));
}

}  // namespace
}  // namespace yoke::worker
