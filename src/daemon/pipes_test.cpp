// Which claims become a pair, and which claims end one.
#include "daemon/pipes.hpp"

#include <gtest/gtest.h>

#include <random>

namespace yoke::daemon {
namespace {

using What = PairChange::What;

Claim claim_of(PipeEnd end, std::uint64_t inode = 5, uid_t account = 1000, const std::string& form = "u8[4] fixed") {
    return {account, inode, end, form, 77};
}

std::string why(const Pipes& pipes, uid_t account = 1000) {
    return pipes.list(account).at(0).at("why");
}

TEST(Pipes, AWriterAndAReaderAreAPairInAnyOrder) {
    for (const auto& [first, second] :
         {std::pair(PipeEnd::writer, PipeEnd::reader), std::pair(PipeEnd::reader, PipeEnd::writer)}) {
        Pipes pipes(100);
        EXPECT_TRUE(pipes.claim(1, claim_of(first)).empty());
        EXPECT_EQ(why(pipes), first == PipeEnd::writer
                                  ? "its reader is no stage, has not begun, or has YOKE_STAGE=pipe"
                                  : "its writer is no stage, has not begun, or has YOKE_STAGE=pipe");
        const auto changes = pipes.claim(2, claim_of(second));
        ASSERT_EQ(changes.size(), 1U);
        EXPECT_EQ(changes[0].what, What::begins);
        EXPECT_EQ(changes[0].pair, 100U);
        EXPECT_EQ(changes[0].writer, first == PipeEnd::writer ? 1U : 2U);
        EXPECT_EQ(changes[0].reader, first == PipeEnd::writer ? 2U : 1U);
    }
}

TEST(Pipes, ASecondClaimEndsThePairAndItsReleaseMakesANewOne) {
    for (const PipeEnd third : {PipeEnd::writer, PipeEnd::reader}) {
        Pipes pipes(1);
        pipes.claim(1, claim_of(PipeEnd::writer));
        pipes.claim(2, claim_of(PipeEnd::reader));
        const auto ends = pipes.claim(3, claim_of(third));
        ASSERT_EQ(ends.size(), 1U);
        EXPECT_EQ(ends[0].what, What::ends);
        EXPECT_EQ(ends[0].pair, 1U);
        EXPECT_EQ(ends[0].writer, 1U);
        EXPECT_EQ(ends[0].reader, 2U);
        EXPECT_EQ(why(pipes), third == PipeEnd::writer ? "2 stages write it" : "2 stages read it");
        const auto begins = pipes.release(3);
        ASSERT_EQ(begins.size(), 1U);
        EXPECT_EQ(begins[0].what, What::begins);
        EXPECT_EQ(begins[0].pair, 2U);
    }
}

TEST(Pipes, OtherPipesOtherAccountsAndOtherRecordsAreNoPair) {
    Pipes pipes(1);
    pipes.claim(1, claim_of(PipeEnd::writer));
    EXPECT_TRUE(pipes.claim(2, claim_of(PipeEnd::reader, 6)).empty());
    EXPECT_TRUE(pipes.claim(3, claim_of(PipeEnd::reader, 5, 1001)).empty());
    EXPECT_TRUE(pipes.claim(4, claim_of(PipeEnd::reader, 5, 1000, "u8[5] fixed")).empty());
    EXPECT_EQ(why(pipes), "one writes u8[4] fixed, the other reads u8[5] fixed");
    EXPECT_EQ(pipes.list(1000).size(), 2U);
    EXPECT_EQ(pipes.list(1001).size(), 1U);
    EXPECT_TRUE(pipes.list(1002).empty());
}

TEST(Pipes, WhatThePairSaysIsShown) {
    Pipes pipes(9);
    pipes.claim(1, claim_of(PipeEnd::writer));
    pipes.claim(2, claim_of(PipeEnd::reader));
    EXPECT_TRUE(pipes.report(1, 9, "joined", ""));
    EXPECT_EQ(pipes.list(1000).at(0).at("state"), "joined");
    pipes.release(2);
    EXPECT_EQ(pipes.list(1000).at(0).at("state"), "pipe");
    EXPECT_EQ(why(pipes), "its reader is no stage, has not begun, or has YOKE_STAGE=pipe");
}

TEST(MaliciousPipes, MessagesOutOfOrderChangeNothing) {
    Pipes pipes(9);
    EXPECT_TRUE(pipes.release(4).empty());
    EXPECT_FALSE(pipes.report(4, 9, "joined", ""));
    pipes.claim(1, claim_of(PipeEnd::writer));
    EXPECT_FALSE(pipes.report(1, 0, "joined", ""));                  // no pair yet
    EXPECT_TRUE(pipes.claim(1, claim_of(PipeEnd::reader)).empty());  // twice by one
    EXPECT_EQ(pipes.size(), 1U);
    pipes.claim(2, claim_of(PipeEnd::reader));
    EXPECT_FALSE(pipes.report(2, 8, "joined", ""));
    EXPECT_EQ(pipes.list(1000).at(0).at("state"), "pipe");
    pipes.release(2);
    EXPECT_TRUE(pipes.release(2).empty());
    EXPECT_FALSE(pipes.report(1, 9, "joined", ""));  // the pair is over
}

// Whatever happens: every pair that began ends or is one of the claims that there are, nobody is in two, and where
// there is one of each there is a pair.
TEST(MaliciousPipes, RandomClaimsKeepOnePairPerPipe) {
    std::mt19937 random(7);
    Pipes pipes(1);
    std::map<ClaimId, Claim> alive;
    std::map<std::uint64_t, PairChange> pairs;
    for (ClaimId id = 1; id < 20'000; ++id) {
        std::vector<PairChange> changes;
        if (random() % 2 == 0 || alive.empty()) {
            const Claim claim = claim_of(random() % 2 == 0 ? PipeEnd::writer : PipeEnd::reader, random() % 3,
                                         random() % 2, random() % 4 == 0 ? "a" : "b");
            alive.emplace(id, claim);
            changes = pipes.claim(id, claim);
        } else {
            const auto victim = std::next(alive.begin(), static_cast<std::ptrdiff_t>(random() % alive.size()));
            changes = pipes.release(victim->first);
            alive.erase(victim);
        }
        ASSERT_LE(changes.size(), 2U);
        for (const PairChange& change : changes) {
            if (change.what == What::begins) {
                ASSERT_TRUE(pairs.emplace(change.pair, change).second);
                ASSERT_EQ(alive.at(change.writer).inode, alive.at(change.reader).inode);
                ASSERT_EQ(alive.at(change.writer).account, alive.at(change.reader).account);
                ASSERT_EQ(alive.at(change.writer).form, alive.at(change.reader).form);
            } else {
                ASSERT_EQ(pairs.erase(change.pair), 1U);
            }
        }
        std::size_t possible = 0;
        for (std::uint64_t inode = 0; inode < 3; ++inode) {
            for (uid_t account = 0; account < 2; ++account) {
                std::vector<const Claim*> here;
                for (const auto& [number, claim] : alive) {
                    if (claim.inode == inode && claim.account == account) {
                        here.push_back(&claim);
                    }
                }
                possible += here.size() == 2 && here[0]->end != here[1]->end && here[0]->form == here[1]->form ? 1 : 0;
            }
        }
        ASSERT_EQ(pairs.size(), possible);
        ASSERT_EQ(pipes.size(), alive.size());
    }
}

}  // namespace
}  // namespace yoke::daemon
