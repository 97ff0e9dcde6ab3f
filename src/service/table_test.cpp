// The table names every service once, and a stranger finds nothing in it.
#include <gtest/gtest.h>

#include <set>

#include "service/service.hpp"

namespace yoke::service {
namespace {

TEST(Table, FindsEveryServiceByIdAndByName) {
    std::set<std::uint16_t> ids;
    std::set<std::string_view> names;
    for (const Service* service : all()) {
        EXPECT_EQ(find(service->id()), service);
        EXPECT_EQ(find(service->name()), service);
        EXPECT_FALSE(service->summary().empty()) << service->name();
        EXPECT_NE(service->id(), YOKE_SERVICE_NONE);
        EXPECT_LT(service->id(), YOKE_SERVICES_MAX) << "no place in the cost table of the status page";
        ids.insert(service->id());
        names.insert(service->name());
    }
    EXPECT_EQ(ids.size(), all().size());
    EXPECT_EQ(names.size(), all().size());
}

TEST(MaliciousTable, KnowsNoOther) {
    EXPECT_EQ(find(std::uint16_t{0}), nullptr);
    EXPECT_EQ(find(std::uint16_t{0xffff}), nullptr);
    EXPECT_EQ(find("ech"), nullptr);
    EXPECT_EQ(find("echo\n"), nullptr);
    EXPECT_EQ(find(""), nullptr);
}

}  // namespace
}  // namespace yoke::service
