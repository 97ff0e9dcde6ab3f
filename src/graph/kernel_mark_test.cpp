// Marks of kernels: who is named, when marks go, and what happens when there are no more.
#include "graph/kernel_mark.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace yoke::graph {
namespace {

TEST(KernelMark, NamesThePtaskThatWasLaunchedLast) {
    const KernelMark first("/g/first", "mark_f");
    EXPECT_EQ(last_launched("mark_f"), nullptr) << "never launched";
    first.launched();
    EXPECT_STREQ(last_launched("mark_f"), "/g/first");
    {
        KernelMark second("/h/second", "mark_f");
        const KernelMark other("/h/other", "mark_g");
        second.launched();
        other.launched();
        EXPECT_STREQ(last_launched("mark_f"), "/h/second");
        EXPECT_STREQ(last_launched("mark_g"), "/h/other");
        const KernelMark moved = std::move(second);
        EXPECT_STREQ(last_launched("mark_f"), "/h/second");
    }
    EXPECT_STREQ(last_launched("mark_f"), "/g/first") << "the others are gone";
    EXPECT_EQ(last_launched("mark_g"), nullptr);
}

TEST(KernelMark, MoreThanThereIsRoomForAreNotNamed) {
    std::vector<KernelMark> many;
    for (int k = 0; k < 2000; ++k) {
        many.emplace_back(std::string(300, 'x'), "mark_many");
        many.back().launched();
    }
    EXPECT_NE(last_launched("mark_many"), nullptr);
    many.clear();
    const KernelMark next("/g/next", "mark_many");
    next.launched();
    EXPECT_STREQ(last_launched("mark_many"), "/g/next");
}

}  // namespace
}  // namespace yoke::graph
