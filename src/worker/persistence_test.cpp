// Definitions on disk: what comes back is what was recorded, and what others have changed does not come back.
#include "worker/persistence.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace yoke::worker {
namespace {

using control::Json;
using control::KeptState;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class PersistenceTest : public testing::Test {
   protected:
    void SetUp() override {
        std::string pattern = (std::filesystem::temp_directory_path() / "yoke-persist.XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        directory_ = pattern;
    }
    void TearDown() override { std::filesystem::remove_all(directory_); }

    [[nodiscard]] std::string state() const { return directory_ + "/deep/state"; }
    [[nodiscard]] std::string file(KeptState kept = KeptState::running) const {
        return control::kept_path(state(), kept, "/g");
    }
    static Json graph_request(const std::string& name = "/g") {
        return {{"op", "open_graph"}, {"id", 7}, {"name", name}, {"persist", true}};
    }
    static Json port_request() {
        return {{"op", "open_port"},
                {"name", "/g/p:in"},
                {"direction", "in"},
                {"template", {{"type", "u8"}, {"extent", {4, 1, 1}}, {"stride", 0}}}};
    }
    static Json priority_request(unsigned priority) {
        return {{"op", "set_priority"}, {"name", "/g"}, {"priority", priority}};
    }
    static void keep_one(Persistence& persistence) {
        persistence.begin(graph_request());
        persistence.record("/g", port_request());
        const Status kept = persistence.keep("/g");
        ASSERT_TRUE(kept) << kept.error().message;
    }
    void replace_file(const std::string& text) const { std::ofstream(file()) << text; }

    std::string directory_;
};

TEST_F(PersistenceTest, KeepsWhatWasRecorded) {
    Persistence persistence(state());
    EXPECT_FALSE(persistence.records("/g"));
    EXPECT_FALSE(persistence.keeps("/g"));
    keep_one(persistence);
    EXPECT_TRUE(persistence.records("/g"));

    Persistence later(state());
    EXPECT_THAT(later.kept(KeptState::running), ElementsAre("/g"));
    EXPECT_THAT(later.kept(KeptState::stopped), IsEmpty());
    EXPECT_TRUE(later.keeps("/g"));
    const auto requests = later.load("/g");
    ASSERT_TRUE(requests) << requests.error().message;
    Json graph = graph_request();
    graph.erase("id");
    EXPECT_THAT(*requests, ElementsAre(graph, port_request()));
}

TEST_F(PersistenceTest, OnlyTheOwnerCanReadIt) {
    Persistence persistence(state());
    keep_one(persistence);
    struct stat info {};
    ASSERT_EQ(::stat(file().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0600U);
    ASSERT_EQ(::stat(state().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0700U);
}

TEST_F(PersistenceTest, LastPriorityCounts) {
    Persistence persistence(state());
    persistence.begin(graph_request());
    for (unsigned priority = 0; priority <= 9; ++priority) {
        persistence.record("/g", priority_request(priority));
    }
    ASSERT_TRUE(persistence.keep("/g"));
    const auto requests = persistence.load("/g");
    ASSERT_TRUE(requests);
    EXPECT_EQ(requests->size(), 2U);
    EXPECT_EQ(requests->back(), priority_request(9));
}

TEST_F(PersistenceTest, StopKeepsAndRemoveDoesNot) {
    Persistence persistence(state());
    keep_one(persistence);
    ASSERT_TRUE(persistence.stop("/g"));
    EXPECT_FALSE(persistence.records("/g"));
    EXPECT_THAT(persistence.kept(KeptState::running), IsEmpty());
    EXPECT_THAT(persistence.kept(KeptState::stopped), ElementsAre("/g"));
    EXPECT_TRUE(persistence.load("/g"));
    ASSERT_TRUE(persistence.stop("/g"));  // nothing to stop
    keep_one(persistence);                // runs again, perhaps otherwise
    EXPECT_THAT(persistence.kept(KeptState::running), ElementsAre("/g"));
    EXPECT_THAT(persistence.kept(KeptState::stopped), IsEmpty());
    EXPECT_EQ(persistence.remove("/g").value(), true);
    EXPECT_EQ(persistence.remove("/g").value(), false);
    EXPECT_FALSE(persistence.keeps("/g"));
    EXPECT_FALSE(persistence.load("/g"));
}

TEST_F(PersistenceTest, WithoutAFolderNothingPersists) {
    Persistence persistence("");
    const Status checked = persistence.check();
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, ENOTSUP);
    EXPECT_THAT(persistence.kept(KeptState::running), IsEmpty());
    EXPECT_TRUE(persistence.stop("/g"));
    EXPECT_EQ(persistence.remove("/g").value(), false);
}

TEST_F(PersistenceTest, OneWorkerAtATime) {
    {
        Persistence first(state());
        ASSERT_TRUE(first.check());
        ASSERT_TRUE(first.check());
        Persistence second(state());
        const Status checked = second.check();
        ASSERT_FALSE(checked);
        EXPECT_EQ(checked.error().code, EBUSY);
        EXPECT_THAT(checked.error().message, HasSubstr(state()));
    }
    Persistence third(state());
    EXPECT_TRUE(third.check());
}

TEST_F(PersistenceTest, MaliciousFilesAreRefused) {
    Persistence persistence(state());
    keep_one(persistence);
    const std::string graph = R"({"op":"open_graph","name":"/g"})";
    const auto refused = [&](const std::string& text, const std::string& what) {
        replace_file(text);
        const auto requests = persistence.load("/g");
        ASSERT_FALSE(requests) << text;
        EXPECT_THAT(requests.error().message, HasSubstr(file()));
        EXPECT_THAT(requests.error().message, HasSubstr(what));
    };
    refused("", "empty");
    refused("no JSON\n", "line 1");
    refused(graph + "\n{}\n", "line 2");
    refused(graph + "\n" + graph + "\n", "line 2");                                        // twice
    refused(R"({"op":"open_graph","name":"/other"})", "does not make graph /g");           // another graph
    refused(graph + "\n" + R"({"op":"terminate_graph","name":"/g"})", "terminate_graph");  // makes nothing
    refused(graph + "\n" + R"({"op":"set_priority","name":"/h/p","priority":1})", "does not make graph /g");
    refused(graph + "\n" + R"({"op":"set_priority","name":"/g","priority":99})", "line 2");  // schema
    refused(R"({"op":"open_graph","name":"/g","extra":1})", "extra");
    replace_file(graph);  // without an end of line
    EXPECT_TRUE(persistence.load("/g"));
}

TEST_F(PersistenceTest, MaliciousOwnersAreRefused) {
    Persistence persistence(state());
    keep_one(persistence);
    ASSERT_EQ(::chmod(file().c_str(), 0620), 0);
    auto requests = persistence.load("/g");
    ASSERT_FALSE(requests);
    EXPECT_EQ(requests.error().code, EACCES);
    std::filesystem::rename(file(), directory_ + "/elsewhere");
    std::filesystem::permissions(directory_ + "/elsewhere", std::filesystem::perms(0600));
    std::filesystem::create_symlink(directory_ + "/elsewhere", file());
    requests = persistence.load("/g");
    ASSERT_FALSE(requests);
    EXPECT_EQ(requests.error().code, EACCES);
}

TEST_F(PersistenceTest, FolderThatCannotBeWrittenIsAnError) {
    std::ofstream(directory_ + "/deep") << "a file where a folder should be";
    Persistence persistence(state());
    persistence.begin(graph_request());
    const Status kept = persistence.keep("/g");
    ASSERT_FALSE(kept);
    EXPECT_THAT(kept.error().message, HasSubstr("/deep"));
}

}  // namespace
}  // namespace yoke::worker
