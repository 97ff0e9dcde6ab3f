// Where key schedules lie, and what is left of them.
#include "worker/locked_heap.hpp"

#include <gtest/gtest.h>
#include <openssl/crypto.h>
#include <sys/mman.h>

#include <array>
#include <cstring>
#include <fstream>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "base/memory.hpp"
#include "service/service.hpp"
#include "support/raw_session.hpp"

namespace yoke::worker {
namespace {

// Before main, since OpenSSL takes no other allocator once it has allocated.
const bool installed = LockedHeap::install();

bool may_lock() {
    constexpr std::size_t bytes = 1U << 20U;
    void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const bool may = memory != MAP_FAILED && ::mlock(memory, bytes) == 0;
    ::munmap(memory, bytes);
    return may;
}

class LockedHeapTest : public testing::Test {
   protected:
    void SetUp() override {
        ASSERT_TRUE(installed) << "OpenSSL allocated before the heap was there";
        if (!may_lock()) {
            GTEST_SKIP() << "this user may not lock 1 MiB";
        }
    }
};

std::array<std::byte, 32> some_key() {
    std::array<std::byte, 32> bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<std::byte>(0xa5U ^ (i * 37U));
    }
    return bytes;
}

// How often the key stands in readable memory that belongs to the heap. A schedule begins with the key itself.
std::size_t copies_in_heap(std::span<const std::byte> key) {
    std::ifstream maps("/proc/self/maps");
    std::size_t copies = 0;
    for (std::string line; std::getline(maps, line);) {
        std::uintptr_t begin = 0;
        std::uintptr_t end = 0;
        char readable = 0;
        if (std::sscanf(line.c_str(), "%lx-%lx %c", &begin, &end, &readable) != 3 || readable != 'r' ||
            !LockedHeap::owns(reinterpret_cast<const void*>(begin))) {
            continue;
        }
        const std::string_view memory(reinterpret_cast<const char*>(begin), end - begin);
        const std::string_view wanted(reinterpret_cast<const char*>(key.data()), key.size());
        for (std::size_t at = memory.find(wanted); at != memory.npos; at = memory.find(wanted, at + 1)) {
            ++copies;
        }
    }
    return copies;
}

TEST_F(LockedHeapTest, HoldsTheSchedulesOfAKeyAndWipesThem) {
    const auto bytes = some_key();
    const service::Service* const service = service::find("aes-cbc");
    ASSERT_NE(service, nullptr);
    constexpr unsigned lanes = 3;
    {
        const LockedHeap::Scope scope;
        const auto key = service->make_key(bytes, lanes);
        ASSERT_TRUE(key) << key.error().message;
        EXPECT_GE(copies_in_heap(bytes), lanes) << "one schedule for each lane that encrypts";
    }
    EXPECT_EQ(copies_in_heap(bytes), 0U);
    EXPECT_GT(LockedHeap::locked_bytes(), 0U);
}

TEST_F(LockedHeapTest, TakesNothingOutsideAScope) {
    void* const plain = OPENSSL_malloc(100);
    EXPECT_FALSE(LockedHeap::owns(plain));
    const LockedHeap::Scope scope;
    void* const locked = OPENSSL_malloc(100);
    EXPECT_TRUE(LockedHeap::owns(locked));
    void* const grown = OPENSSL_realloc(plain, 200);
    EXPECT_FALSE(LockedHeap::owns(grown)) << "what began on the heap stays there";
    OPENSSL_free(grown);
    OPENSSL_free(locked);
}

TEST_F(LockedHeapTest, GrowsKeepContentAndStayLocked) {
    char* memory = nullptr;
    {
        const LockedHeap::Scope scope;
        memory = static_cast<char*>(OPENSSL_malloc(64));
    }
    std::memset(memory, 'k', 64);
    memory = static_cast<char*>(OPENSSL_realloc(memory, 1000));
    EXPECT_TRUE(LockedHeap::owns(memory));
    EXPECT_EQ(std::string(memory, 64), std::string(64, 'k'));
    OPENSSL_free(memory);
}

TEST_F(LockedHeapTest, WhatDoesNotFitGoesToTheHeap) {
    const LockedHeap::Scope scope;
    std::vector<void*> blocks;
    // More than the range has: the last ones come from malloc, and all of them work.
    for (std::size_t i = 0; i < 20'000; ++i) {
        blocks.push_back(OPENSSL_malloc(4096));
        ASSERT_NE(blocks.back(), nullptr);
        std::memset(blocks.back(), 1, 4096);
    }
    EXPECT_TRUE(LockedHeap::owns(blocks.front()));
    EXPECT_FALSE(LockedHeap::owns(blocks.back()));
    for (void* const block : blocks) {
        OPENSSL_free(block);
    }
}

// The number behind "VmLck:" of a process, in KiB.
std::size_t locked_kib_of(pid_t pid) {
    std::ifstream status(fmt::format("/proc/{}/status", pid));
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with("VmLck:")) {
            return std::stoul(line.substr(6));
        }
    }
    return 0;
}

TEST_F(LockedHeapTest, AWorkerLocksTheKeysOfItsSessions) {
    test::Instance instance;
    ASSERT_TRUE(instance.ready()) << instance.error();
    auto session = test::RawSession::open(instance);
    ASSERT_TRUE(session) << session.error().message;
    const pid_t worker = (*session)->connected().worker;
    EXPECT_EQ(locked_kib_of(worker), 0U);
    const auto memfd = create_content_memfd("key", some_key());
    ASSERT_TRUE(memfd);
    const int fd = memfd->get();
    const auto answer = control::request((*session)->socket(), {{"op", "create_key"}, {"service", "aes-cbc"}},
                                         std::span(&fd, 1), 20'000);
    ASSERT_TRUE(answer) << answer.error().message;
#ifndef __SANITIZE_ADDRESS__  // which makes mlock() do nothing
    EXPECT_GT(locked_kib_of(worker), 0U);
#endif
}

}  // namespace
}  // namespace yoke::worker
