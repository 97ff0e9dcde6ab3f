// What is told of a graph that stands still: the causes first, then what follows from them.
#include <algorithm>

#include "graph/test_reasons.hpp"

namespace yoke::graph {
namespace {

constexpr std::size_t wide = 4;

class StandstillTest : public ReasonsTest {};

// Eight ptasks in a row, whose names say nothing of their order.
TEST_F(StandstillTest, TheCauseComesFirstAndWhatFollowsInTheOrderOfTheFlow) {
    Builder g(runtime_, "/g");
    const std::vector<std::string> row{"m", "c", "x", "a", "z", "b", "k", "d"};
    for (const std::string& p : row) {
        g.port(p + ":in", Direction::in, wide);
        g.port(p + ":out", Direction::out, wide);
        g.ptask(p, "add", {"in", "out"}, {1});
    }
    const auto in = g.channel("in", "", "m:in");
    for (std::size_t i = 1; i < row.size(); ++i) {
        g.channel("to-" + row[i], row[i - 1] + ":out", row[i] + ":in", 1);
    }
    const auto out = g.channel("out", "d:out", "", 2);
    g.run();
    const auto check = [&](std::size_t count, const std::string& object, const std::string& what) {
        const auto reasons = *runtime_->why(1, "/g");
        ASSERT_EQ(reasons.size(), count) << reasons.dump(1);
        EXPECT_EQ(reasons[0]["object"], object);
        EXPECT_EQ(reasons[0]["reason"], what);
        EXPECT_EQ(reasons[0]["follows"], false);
        std::size_t place = 0;
        for (std::size_t i = 1; i < count; ++i) {
            EXPECT_EQ(reasons[i]["follows"], true) << i;
            const auto at = std::find(row.begin(), row.end(), reasons[i]["object"].get<std::string>().substr(3));
            EXPECT_GE(static_cast<std::size_t>(at - row.begin()), place) << reasons.dump(1);
            place = static_cast<std::size_t>(at - row.begin());
        }
    };
    check(row.size(), "/g/m", "nobody pushes");
    EXPECT_TRUE(says("nobody pushes", {"yoke push /g/in"}));
    for (int i = 0; i < 9 + 8; ++i) {  // two in the last channel, one in each between, eight in the first one
        EXPECT_EQ(runtime_.push(in, Values(wide, 1))->wait().status, 0);
    }
    check(row.size(), "/g/d", "nobody pulls");
    EXPECT_TRUE(says("nobody pulls", {"full (2 datablocks)", "yoke pull /g/out"}));
    EXPECT_EQ(runtime_.pull(out, wide)->wait().status, 0);
}

TEST_F(StandstillTest, NamesTheEndpointInsteadOfAskingForAPush) {
    using Kind = control::EndpointDefinition::Kind;
    const auto served = [](Kind kind, const std::string& path) {
        return [=](control::ChannelDefinition& channel) { channel.endpoint = {kind, path, false}; };
    };
    const std::map<Kind, std::vector<std::string>> words{{Kind::file, {"file /x/a", "free space"}},
                                                         {Kind::fifo, {"fifo /x/a", "reads it"}},
                                                         {Kind::socket, {"socket /x/a", "reads it"}},
                                                         {Kind::uinput, {"uinput /x/a", "events"}}};
    for (const auto& [kind, sink_words] : words) {
        Builder g(runtime_, "/g");
        g.port("p:in", Direction::in, wide);
        g.port("p:out", Direction::out, wide);
        g.ptask("p", "add", {"in", "out"}, {1});
        const auto in = g.channel("in", "", "p:in");
        g.channel("out", "p:out", "", 1, served(kind, "/x/a"));
        g.run();
        for (int i = 0; i < 2; ++i) {
            EXPECT_EQ(runtime_.push(in, Values(wide, 1))->wait().status, 0);
        }
        EXPECT_TRUE(says("endpoint takes nothing", sink_words));
        g.terminate();
    }
    const std::map<Kind, std::vector<std::string>> source_words{{Kind::file, {"file /x/b", "is being read"}},
                                                                {Kind::fifo, {"fifo /x/b", "16 bytes"}},
                                                                {Kind::socket, {"socket /x/b", "16 bytes"}},
                                                                {Kind::v4l2, {"v4l2 /x/b", "no frame"}}};
    for (const auto& [kind, expected] : source_words) {
        Builder g(runtime_, "/g");
        g.port("p:in", Direction::in, wide);
        g.port("p:out", Direction::out, wide);
        g.ptask("p", "add", {"in", "out"}, {1});
        g.channel("in", "", "p:in", 8, served(kind, "/x/b"));
        g.channel("out", "p:out", "");
        g.run();
        EXPECT_TRUE(says("endpoint gives nothing", expected));
        const control::Json reasons = *runtime_->why(1, "/g");
        for (const control::Json& reason : reasons) {
            EXPECT_EQ(reason["sentence"].get<std::string>().find("yoke push"), std::string::npos);
        }
        g.terminate();
    }
}

TEST_F(StandstillTest, NamesAFunctionThatItsProgramDoesNotRun) {
    Builder g(runtime_, "/g");
    for (const std::string p : {"f", "q"}) {
        g.port(p + ":in", Direction::in, wide);
        g.port(p + ":out", Direction::out, wide);
    }
    control::PtaskDefinition client = g.definition("f", "f", {"in", "out"});
    client.kernel.form = "client";
    ASSERT_TRUE(runtime_->open_ptask(1, client));
    g.ptask("q", "add", {"in", "out"}, {1});
    const auto in = g.channel("in", "", "f:in");
    g.channel("inner", "f:out", "q:in");
    g.channel("out", "q:out", "");
    g.run();
    EXPECT_TRUE(says("nobody pushes", {"/g/f:in"}));
    EXPECT_EQ(runtime_.push(in, Values(wide, 1))->wait().status, 0);
    EXPECT_TRUE(says("function does not run", {"/g/f", "yoke_dispatch"}));
    EXPECT_TRUE(says("no datablock", {"/g/q", "/g/f", "/g/inner"}));
}

// Its only input keeps its datablock, and nothing new comes.
TEST_F(StandstillTest, ASoleStickyInputWaitsForSomethingNew) {
    Builder g(runtime_, "/g");
    g.port("p:in", Direction::in, wide, [](PortDefinition& port) { port.sticky = true; });
    g.port("p:out", Direction::out, wide);
    g.ptask("p", "add", {"in", "out"}, {1});
    const auto in = g.channel("in", "", "p:in");
    g.channel("out", "p:out", "");
    g.run();
    EXPECT_EQ(runtime_.push(in, Values(wide, 1))->wait().status, 0);
    EXPECT_TRUE(says("nobody pushes", {"/g/p:in"}));
}

}  // namespace
}  // namespace yoke::graph
