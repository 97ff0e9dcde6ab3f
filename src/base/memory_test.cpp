// Mappings share bytes and seals hold. Descriptors that are no sealed memory (files, pipes, huge pages, wrong sizes)
// are refused, and missing seals are named.
#include "base/memory.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <array>
#include <cstdio>
#include <vector>

namespace yoke {
namespace {

Fd plain_memfd(unsigned flags, off_t bytes) {
    Fd fd(::memfd_create("test", MFD_CLOEXEC | flags));
    EXPECT_TRUE(fd.valid());
    EXPECT_EQ(::ftruncate(fd.get(), bytes), 0);
    return fd;
}

std::vector<std::byte> bytes_of(std::string_view text) {
    const auto view = std::as_bytes(std::span(text));
    return {view.begin(), view.end()};
}

TEST(Memory, MappingsOfOneMemfdShareBytes) {
    auto fd = create_sealed_memfd("test", 8192);
    ASSERT_TRUE(fd) << fd.error().message;
    auto writer = Mapping::map(*fd, 8192, true);
    auto reader = Mapping::map(*fd, 8192, false);
    ASSERT_TRUE(writer && reader);
    writer->data()[8191] = std::byte{7};
    EXPECT_EQ(reader->data()[8191], std::byte{7});
    EXPECT_EQ(reader->size(), 8192U);
}

TEST(Memory, MovedMappingIsUnmappedOnce) {
    auto fd = create_sealed_memfd("test", 4096);
    ASSERT_TRUE(fd);
    auto first = Mapping::map(*fd, 4096, true);
    ASSERT_TRUE(first);
    std::byte* const address = first->data();
    Mapping second(std::move(*first));
    EXPECT_EQ(first->data(), nullptr);
    EXPECT_EQ(second.data(), address);
    second = Mapping();
    unsigned char resident = 0;
    EXPECT_EQ(::mincore(address, 4096, &resident), -1);
    EXPECT_EQ(errno, ENOMEM);
}

TEST(Memory, SealedMemfdKeepsItsSize) {
    auto fd = create_sealed_memfd("test", 4096);
    ASSERT_TRUE(fd);
    EXPECT_EQ(::ftruncate(fd->get(), 0), -1);
    EXPECT_EQ(::ftruncate(fd->get(), 8192), -1);
    EXPECT_EQ(::fcntl(fd->get(), F_ADD_SEALS, F_SEAL_WRITE), -1);
    EXPECT_EQ(::fcntl(fd->get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

TEST(Memory, FutureWritesSealKeepsOldMappingsWritable) {
    auto fd = create_sealed_memfd("test", 4096, false);
    ASSERT_TRUE(fd);
    auto old = Mapping::map(*fd, 4096, true);
    ASSERT_TRUE(old);
    ASSERT_TRUE(seal_future_writes(*fd));
    old->data()[0] = std::byte{1};
    auto fresh = Mapping::map(*fd, 4096, true);
    ASSERT_FALSE(fresh);
    EXPECT_EQ(fresh.error().code, EPERM);
    auto reader = Mapping::map(*fd, 4096, false);
    ASSERT_TRUE(reader) << reader.error().message;
    EXPECT_EQ(reader->data()[0], std::byte{1});
    EXPECT_EQ(::mprotect(reader->data(), 4096, PROT_READ | PROT_WRITE), -1);
    EXPECT_FALSE(seal_future_writes(*fd)) << "F_SEAL_SEAL forbids more seals";
}

TEST(Memory, ContentRoundTrip) {
    const auto content = bytes_of("key material");
    auto fd = create_content_memfd("test", content);
    ASSERT_TRUE(fd);
    auto size = check_untrusted_memfd(*fd, 1, 64, true);
    ASSERT_TRUE(size) << size.error().message;
    EXPECT_EQ(*size, content.size());
    std::vector<std::byte> copy(*size);
    ASSERT_TRUE(read_content(*fd, copy));
    EXPECT_EQ(copy, content);
    EXPECT_EQ(::pwrite(fd->get(), "x", 1, 0), -1);
    EXPECT_EQ(::fallocate(fd->get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4), -1);
    std::array<std::byte, 64> more{};
    auto short_read = read_content(*fd, more);
    ASSERT_FALSE(short_read);
    EXPECT_EQ(short_read.error().code, ENODATA);
}

TEST(Memory, EmptyContent) {
    auto fd = create_content_memfd("test", {});
    ASSERT_TRUE(fd);
    EXPECT_EQ(*check_untrusted_memfd(*fd, 0, 0, true), 0U);
}

TEST(Memory, TooLargeIsAnError) {
    auto fd = create_sealed_memfd("test", ~std::size_t{0});
    ASSERT_FALSE(fd);
    EXPECT_EQ(fd.error().code, EFBIG);
}

TEST(MaliciousMemory, MissingSealsAreNamed) {
    const Fd fd = plain_memfd(MFD_ALLOW_SEALING, 4096);
    ASSERT_EQ(::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_GROW), 0);
    auto checked = check_untrusted_memfd(fd, 1, 4096, true);
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, EINVAL);
    EXPECT_EQ(checked.error().message, "the memfd lacks seals: F_SEAL_SHRINK F_SEAL_WRITE");
}

TEST(MaliciousMemory, FutureWriteSealIsNotImmutable) {
    auto fd = create_sealed_memfd("test", 4096, false);
    ASSERT_TRUE(fd);
    ASSERT_TRUE(seal_future_writes(*fd));
    EXPECT_FALSE(check_untrusted_memfd(*fd, 1, 4096, true));
    EXPECT_TRUE(check_untrusted_memfd(*fd, 1, 4096, false));
}

TEST(MaliciousMemory, SizeOutsideItsLimits) {
    auto fd = create_sealed_memfd("test", 4096);
    ASSERT_TRUE(fd);
    EXPECT_EQ(check_untrusted_memfd(*fd, 4097, 8192, false).error().code, EMSGSIZE);
    EXPECT_EQ(check_untrusted_memfd(*fd, 1, 4095, false).error().code, EMSGSIZE);
    EXPECT_TRUE(check_untrusted_memfd(*fd, 4096, 4096, false));
}

TEST(MaliciousMemory, OtherKindsOfDescriptors) {
    std::array<int, 2> pipe_fds{};
    ASSERT_EQ(::pipe2(pipe_fds.data(), O_CLOEXEC), 0);
    const Fd reader(pipe_fds[0]);
    const Fd writer(pipe_fds[1]);
    const Fd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    const Fd unsealable = plain_memfd(0, 4096);
    const Fd path(::open("/", O_PATH | O_CLOEXEC));
    const Fd closed;
    for (const Fd* fd : {&reader, &writer, &file, &unsealable, &path, &closed}) {
        auto checked = check_untrusted_memfd(*fd, 0, 1U << 30U, false);
        ASSERT_FALSE(checked);
        EXPECT_EQ(checked.error().code, EINVAL);
    }
}

TEST(MaliciousMemory, HugePagesAreRefused) {
    Fd fd(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB));
    if (!fd) {
        GTEST_SKIP() << "no hugetlbfs here";
    }
    ASSERT_EQ(::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    auto checked = check_untrusted_memfd(fd, 0, 1U << 30U, false);
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, EINVAL);
}

}  // namespace
}  // namespace yoke
