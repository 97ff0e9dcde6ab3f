// Folders of graphs that are kept, as workers write them and as somebody malicious would.
#include "control/kept_graph.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace yoke::control {
namespace {

class KeptGraphTest : public testing::Test {
   protected:
    void SetUp() override {
        std::string pattern = (std::filesystem::temp_directory_path() / "yoke-kept.XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        directory_ = pattern;
    }
    void TearDown() override { std::filesystem::remove_all(directory_); }
    void touch(KeptState state, const std::string& name) const {
        std::filesystem::create_directories(kept_directory(directory_, state));
        std::ofstream(kept_directory(directory_, state) + "/" + name) << "{}";
    }

    std::string directory_;
};

TEST_F(KeptGraphTest, AreListedByState) {
    EXPECT_THAT(kept_graphs(directory_, KeptState::running), testing::IsEmpty());
    touch(KeptState::running, "b.json");
    touch(KeptState::running, "a.json");
    touch(KeptState::stopped, "c.json");
    EXPECT_THAT(kept_graphs(directory_, KeptState::running), testing::ElementsAre("/a", "/b"));
    EXPECT_THAT(kept_graphs(directory_, KeptState::stopped), testing::ElementsAre("/c"));
    EXPECT_EQ(kept_path("/state", KeptState::stopped, "/c"), "/state/stopped/c.json");
    EXPECT_THAT(kept_graphs("", KeptState::running), testing::IsEmpty());
}

TEST_F(KeptGraphTest, MaliciousNamesArePassedOver) {
    for (const char* name : {"a.json.new", ".json", "..json", "-a.json", "a b.json", "a\n.json", "notes"}) {
        touch(KeptState::running, name);
    }
    touch(KeptState::running, std::string(64, 'x') + ".json");
    touch(KeptState::running, "good.json");
    EXPECT_THAT(kept_graphs(directory_, KeptState::running), testing::ElementsAre("/good"));
}

TEST_F(KeptGraphTest, MaliciousLinkIsNotFollowed) {
    touch(KeptState::running, "secret.json");
    std::filesystem::create_directory_symlink(kept_directory(directory_, KeptState::running),
                                              kept_directory(directory_, KeptState::stopped));
    EXPECT_THAT(kept_graphs(directory_, KeptState::stopped), testing::IsEmpty());
}

TEST_F(KeptGraphTest, MaliciousMultitudeIsCut) {
    for (std::size_t i = 0; i < 3 * kept_graphs_max; ++i) {
        touch(KeptState::running, "g" + std::to_string(i) + ".json");
    }
    EXPECT_LE(kept_graphs(directory_, KeptState::running).size(), kept_graphs_max);
}

}  // namespace
}  // namespace yoke::control
