// Running a chunk allocates nothing: neither OpenSSL, whose allocator is counted, nor our own code.
#include <gtest/gtest.h>
#include <openssl/crypto.h>

#include <cstdlib>
#include <new>

#include "service/trial.hpp"
#include "vectors/random_case.hpp"

namespace {

thread_local std::size_t allocations = 0;

void* counted_malloc(std::size_t size, const char* /*file*/, int /*line*/) {
    ++allocations;
    return std::malloc(size);
}

void* counted_realloc(void* memory, std::size_t size, const char* /*file*/, int /*line*/) {
    ++allocations;
    return std::realloc(memory, size);
}

void plain_free(void* memory, const char* /*file*/, int /*line*/) {
    std::free(memory);
}

// Before main, since OpenSSL takes no other allocator once it has allocated.
const bool counted = CRYPTO_set_mem_functions(counted_malloc, counted_realloc, plain_free) == 1;

}  // namespace

// Not inlined: the compiler must not see that what new returns comes from malloc.
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t& /*tag*/) noexcept {
    ++allocations;
    return std::malloc(size);
}
[[gnu::noinline]] void* operator new(std::size_t size) {
    if (void* memory = ::operator new(size, std::nothrow); memory != nullptr) {
        return memory;
    }
    throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
    std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t /*size*/) noexcept {
    std::free(memory);
}

namespace yoke::service {
namespace {

TEST(Allocation, TheCountersCount) {
    ASSERT_TRUE(counted) << "OpenSSL allocated before the counters were there";
    std::size_t before = allocations;
    ::operator delete(::operator new(16));
    EXPECT_EQ(allocations, before + 1);
    before = allocations;
    OPENSSL_free(OPENSSL_malloc(16));
    EXPECT_EQ(allocations, before + 1);
}

TEST(Allocation, PlansAndChunksAllocateNothing) {
    ASSERT_TRUE(counted);
    vectors::Random random(vectors::test_seed());
    for (const Service* service : all()) {
        for (unsigned round = 0; round < 40; ++round) {
            vectors::Case call = vectors::random_case(random, service->id(), 0, 200000).value();
            if (service->id() == YOKE_SERVICE_AES_GCM && (call.flags & YOKE_FLAG_DECRYPT) != 0 && round % 2 == 0) {
                call.in.back() ^= std::byte{1};
                call.status = -EBADMSG;
                call.expected.assign(call.expected.size(), std::byte{0});
            }
            const Trial trial(call, 2, round);
            const std::size_t before = allocations;
            int status = trial.plan_again();
            for (std::uint32_t chunk = 0; chunk < trial.chunks(); ++chunk) {
                status = trial.run(chunk, chunk % 2);
            }
            EXPECT_EQ(allocations, before) << call.name;
            EXPECT_TRUE(trial.check(status));
        }
    }
}

}  // namespace
}  // namespace yoke::service
