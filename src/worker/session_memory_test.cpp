// What a client can do to its memory, and arenas that are refused.
#include "worker/session_memory.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ring/layout.hpp"

namespace yoke::worker {
namespace {

yoke_layout layout() {
    return ring::make_layout({.arena_bytes = 1U << 20U, .express_slots = 4, .bulk_slots = 4}).value();
}

TEST(SessionMemory, TheClientGetsASealedArenaAStatusPageToReadAndABell) {
    auto parts = make_session_memory(layout(), 7, std::nullopt);
    ASSERT_TRUE(parts) << parts.error().message;
    ASSERT_EQ(parts->for_client.size(), 3U);
    const int arena = parts->for_client[0].get();
    const int status = parts->for_client[1].get();
    EXPECT_EQ(::fcntl(arena, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    EXPECT_NE(::ftruncate(arena, 0), 0);
    EXPECT_EQ(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, status, 0), MAP_FAILED);
    const char byte = 1;
    EXPECT_EQ(::pwrite(status, &byte, 1, 0), -1);
    auto mapped = Mapping::map(parts->for_client[1], layout().status_bytes, false);
    ASSERT_TRUE(mapped);
    EXPECT_NE(::mprotect(mapped->data(), 4096, PROT_READ | PROT_WRITE), 0);
    const auto& page = *reinterpret_cast<const yoke_status_page*>(mapped->data());
    EXPECT_EQ(page.magic, YOKE_ABI_MAGIC);
    EXPECT_EQ(page.session, 7U);
    EXPECT_EQ(page.worker_pid, static_cast<__u32>(::getpid()));
    reinterpret_cast<yoke_status_page*>(parts->memory.status.data())->bell = 5;
    EXPECT_EQ(page.bell, 5U) << "the worker's mapping is the same page and stays writable";
    EXPECT_NE(::fcntl(parts->for_client[2].get(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_FALSE(parts->memory.handed_over);
}

TEST(SessionMemory, TakesTheArenaOfADeadWorkerWithItsContent) {
    auto first = make_session_memory(layout(), 1, std::nullopt);
    ASSERT_TRUE(first);
    first->memory.arena.data()[layout().data] = std::byte{42};
    auto second = make_session_memory(layout(), 2, std::move(first->for_client[0]));
    ASSERT_TRUE(second) << second.error().message;
    EXPECT_TRUE(second->memory.handed_over);
    EXPECT_EQ(second->memory.arena.data()[layout().data], std::byte{42});
}

Fd memfd(std::size_t bytes, int seals, unsigned flags = MFD_ALLOW_SEALING) {
    Fd fd(::memfd_create("test", flags | MFD_CLOEXEC));
    EXPECT_EQ(::ftruncate(fd.get(), static_cast<off_t>(bytes)), 0);
    if (seals != 0) {
        EXPECT_EQ(::fcntl(fd.get(), F_ADD_SEALS, seals), 0);
    }
    return fd;
}

TEST(SessionMemory, MaliciousArenasAreRefused) {
    const std::size_t right = layout().arena_bytes;
    const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    const auto refused = [](Fd arena) { return !make_session_memory(layout(), 1, std::move(arena)); };
    EXPECT_FALSE(refused(memfd(right, seals)));
    EXPECT_TRUE(refused(memfd(right - 4096, seals)));
    EXPECT_TRUE(refused(memfd(right + 4096, seals)));
    EXPECT_TRUE(refused(memfd(right, F_SEAL_SHRINK | F_SEAL_GROW))) << "seals could be added later";
    EXPECT_TRUE(refused(memfd(right, F_SEAL_SHRINK | F_SEAL_SEAL)));
    EXPECT_TRUE(refused(memfd(right, F_SEAL_GROW | F_SEAL_SEAL)));
    EXPECT_TRUE(refused(memfd(right, seals | F_SEAL_WRITE))) << "completions cannot be written";
    EXPECT_TRUE(refused(memfd(right, 0)));
    EXPECT_TRUE(refused(Fd(::open("/dev/null", O_RDWR | O_CLOEXEC))));
    EXPECT_TRUE(refused(Fd(::open("/", O_RDONLY | O_CLOEXEC))));
}

TEST(SessionMemory, TheLayoutMessageHasEveryMember) {
    const control::Json message = layout_message(layout());
    EXPECT_EQ(message["arena_bytes"], layout().arena_bytes);
    EXPECT_EQ(message["ring"].size(), 2U);
    EXPECT_EQ(message["ring"][YOKE_RING_BULK]["running"], layout().ring[YOKE_RING_BULK].running);
}

}  // namespace
}  // namespace yoke::worker
