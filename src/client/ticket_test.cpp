// Tickets: numbers never repeat, stale ones are recognised, callbacks are queued in the order of the ends.
#include "client/ticket.hpp"

#include <set>

#include <gtest/gtest.h>

namespace yoke::client {
namespace {

void nothing(void*, yoke_ticket, const yoke_result*) {}

TEST(Tickets, NumbersNeverRepeatAndStaleOnesAreUnknown) {
    Tickets tickets(4);
    std::set<yoke_ticket> seen;
    for (int round = 0; round < 100; round++) {
        const std::uint32_t index = tickets.take(0, nullptr, nullptr);
        ASSERT_NE(index, Tickets::none);
        const yoke_ticket id = tickets[index].id;
        EXPECT_NE(id, 0U);
        EXPECT_TRUE(seen.insert(id).second);
        EXPECT_EQ(tickets.find(id), index);
        tickets.end(index);
        tickets.give_back(index);
        EXPECT_EQ(tickets.find(id), Tickets::none);
    }
    EXPECT_EQ(tickets.find(0), Tickets::none);
    EXPECT_EQ(tickets.find(~yoke_ticket{0}), Tickets::none);
}

TEST(Tickets, KeepsTheReserve) {
    Tickets tickets(3);
    EXPECT_NE(tickets.take(1, nullptr, nullptr), Tickets::none);
    EXPECT_NE(tickets.take(1, nullptr, nullptr), Tickets::none);
    EXPECT_EQ(tickets.take(1, nullptr, nullptr), Tickets::none);
    EXPECT_NE(tickets.take(0, nullptr, nullptr), Tickets::none);
    EXPECT_EQ(tickets.take(0, nullptr, nullptr), Tickets::none);
    EXPECT_EQ(tickets.in_flight(), 3U);
}

TEST(Tickets, EndsWithCallbacksComeOutInOrder) {
    Tickets tickets(8);
    const std::uint32_t a = tickets.take(0, nothing, nullptr);
    const std::uint32_t b = tickets.take(0, nullptr, nullptr);
    const std::uint32_t c = tickets.take(0, nothing, nullptr);
    EXPECT_EQ(tickets.awaiting_callback(), 2U);
    EXPECT_FALSE(tickets.has_ended());
    tickets.end(c);
    tickets.end(b);
    tickets.end(a);
    EXPECT_EQ(tickets.awaiting_callback(), 0U);
    EXPECT_EQ(tickets.take_ended(), c);
    EXPECT_EQ(tickets.take_ended(), a);
    EXPECT_EQ(tickets.take_ended(), Tickets::none);
    EXPECT_EQ(tickets.in_flight(), 0U);
}

TEST(Tickets, AnAbandonedTicketIsFree) {
    Tickets tickets(1);
    const std::uint32_t index = tickets.take(0, nothing, nullptr);
    const yoke_ticket id = tickets[index].id;
    tickets.abandon(index);
    EXPECT_EQ(tickets.find(id), Tickets::none);
    EXPECT_EQ(tickets.awaiting_callback(), 0U);
    EXPECT_NE(tickets.take(0, nullptr, nullptr), Tickets::none);
}

}  // namespace
}  // namespace yoke::client
