// Keys are found until they are removed, never under an old number, and wiped once: by whoever is the last to use
// them, also when users and removers race.
#include "executive/key_table.hpp"

#include <atomic>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "service/echo/echo.hpp"
#include "service/sha256/sha256.hpp"

namespace yoke::executive {
namespace {

// Tells when it is wiped.
class CountedKey : public service::Key {
   public:
    explicit CountedKey(std::atomic<int>& alive) : Key(YOKE_SERVICE_ECHO), alive_(alive) { ++alive_; }
    ~CountedKey() override { --alive_; }
    CountedKey(const CountedKey&) = delete;
    CountedKey& operator=(const CountedKey&) = delete;

   private:
    std::atomic<int>& alive_;
};

TEST(KeyTable, finds_what_was_added_until_it_is_removed) {
    std::atomic<int> alive{0};
    KeyTable keys(4);
    EXPECT_FALSE(keys.use(1));
    const auto id = keys.add(service::echo(), std::make_unique<CountedKey>(alive));
    ASSERT_TRUE(id);
    EXPECT_NE(*id, 0U);
    EXPECT_EQ(keys.count(), 1U);
    {
        const auto use = keys.use(*id);
        ASSERT_TRUE(use);
        EXPECT_EQ(use.service(), &service::echo());
        EXPECT_NE(use.key(), nullptr);
    }
    for (const std::uint32_t wrong : {0U, *id + 1, *id + 4, 0xffffffffU}) {
        EXPECT_FALSE(keys.use(wrong));
        EXPECT_EQ(keys.remove(wrong).error().code, ENOKEY);
    }
    EXPECT_TRUE(keys.remove(*id));
    EXPECT_EQ(alive, 0);
    EXPECT_FALSE(keys.use(*id));
    EXPECT_EQ(keys.remove(*id).error().code, ENOKEY);
    EXPECT_EQ(keys.count(), 0U);
}

TEST(KeyTable, a_key_in_use_is_wiped_after_its_last_use) {
    std::atomic<int> alive{0};
    KeyTable keys(1);
    const auto id = keys.add(service::echo(), std::make_unique<CountedKey>(alive));
    ASSERT_TRUE(id);
    auto first = keys.use(*id);
    auto second = keys.use(*id);
    ASSERT_TRUE(keys.remove(*id));
    EXPECT_FALSE(keys.use(*id));
    EXPECT_EQ(keys.remove(*id).error().code, ENOKEY);
    first.end();
    EXPECT_EQ(alive, 1);
    // Its place is not free before.
    EXPECT_EQ(keys.add(service::echo(), std::make_unique<CountedKey>(alive)).error().code, ENOBUFS);
    EXPECT_EQ(alive, 1);
    KeyTable::Use moved = std::move(second);
    moved.end();
    moved.end();
    EXPECT_EQ(alive, 0);
    EXPECT_TRUE(keys.add(service::echo(), std::make_unique<CountedKey>(alive)));
}

TEST(KeyTable, ids_never_come_back) {
    std::atomic<int> alive{0};
    KeyTable keys(3);
    std::set<std::uint32_t> seen;
    for (unsigned i = 0; i < 3000; ++i) {
        const auto id = keys.add(service::sha256(), std::make_unique<CountedKey>(alive));
        ASSERT_TRUE(id);
        EXPECT_TRUE(seen.insert(*id).second);
        ASSERT_TRUE(keys.remove(*id));
    }
    EXPECT_EQ(alive, 0);
}

TEST(KeyTable, users_and_removers_agree_on_who_wipes) {
    std::atomic<int> alive{0};
    KeyTable keys(8);
    std::atomic<std::uint32_t> current{0};
    std::atomic<bool> stop{false};
    std::vector<std::thread> users;
    for (unsigned t = 0; t < 3; ++t) {
        users.emplace_back([&] {
            while (!stop) {
                const auto use = keys.use(current);
                if (use) {
                    EXPECT_NE(use.key(), nullptr);
                    EXPECT_GT(alive, 0);
                }
            }
        });
    }
    for (unsigned i = 0; i < 5000; ++i) {
        const auto id = keys.add(service::echo(), std::make_unique<CountedKey>(alive));
        if (!id) {
            EXPECT_EQ(id.error().code, ENOBUFS);  // all places wait for users
            std::this_thread::yield();
            continue;
        }
        current = *id;
        ASSERT_TRUE(keys.remove(*id));
    }
    stop = true;
    for (std::thread& user : users) {
        user.join();
    }
    EXPECT_EQ(alive, 0);
    EXPECT_EQ(keys.count(), 0U);
}

}  // namespace
}  // namespace yoke::executive
