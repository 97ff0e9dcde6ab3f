// The examples of docs/ptask.md: each graph is loaded from the page, and what the page says goes in and must come out.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "support/client.hpp"

namespace yoke::test {
namespace {

using namespace std::chrono_literals;

struct Example {
    std::string title;
    std::string graph;
    std::vector<std::string> script;
};

// Blocks of the page: a title, a fence with TOML, a fence with lines.
std::vector<Example> read_examples() {
    std::ifstream page(YOKE_SOURCE_DIR "/docs/ptask.md");
    std::vector<Example> examples;
    std::string fence;
    for (std::string line; std::getline(page, line);) {
        if (fence.empty() && line.starts_with("### ")) {
            examples.push_back({line.substr(4), {}, {}});
        } else if (line.starts_with("```")) {
            fence = fence.empty() ? line : std::string();
        } else if (fence == "```toml") {
            examples.back().graph += line + "\n";
        } else if (fence == "```") {
            examples.back().script.push_back(line);
        }
    }
    return examples;
}

std::uint32_t signal_of(const std::string& word) {
    static const std::map<std::string, std::uint32_t> signals{{"user-1", YOKE_SIGNAL_USER_1},
                                                              {"user-2", YOKE_SIGNAL_USER_2}};
    const auto found = signals.find(word);
    return found == signals.end() ? 0 : found->second;
}

class PtaskExample : public ClientTest {
   protected:
    // Numbers of a graph's channels by name, as yoked lists them.
    std::map<std::string, std::uint32_t> channels_of(const std::string& graph) {
        std::map<std::string, std::uint32_t> channels;
        char* answer = nullptr;
        const yoke_options options = options_for(instance_);
        EXPECT_EQ(yoke_ask_daemon(options.socket, 0, R"({"op": "list", "kind": "channels"})", &answer), 0);
        const auto list = nlohmann::json::parse(answer != nullptr ? answer : "{}");
        std::free(answer);
        for (const auto& channel : list.value("channels", nlohmann::json::array())) {
            const auto name = channel.value("name", std::string());
            if (name.starts_with(graph + "/")) {
                channels[name.substr(graph.size() + 1)] = channel.value("id", 0U);
            }
        }
        return channels;
    }

    static void follow(Session& session, Graph& graph, const std::map<std::string, std::uint32_t>& channels,
                       const std::string& line) {
        std::istringstream words(line);
        std::string verb;
        std::string channel;
        words >> verb >> channel;
        ASSERT_TRUE(channels.contains(channel)) << line;
        const std::uint32_t id = channels.at(channel);
        std::vector<std::int32_t> values;
        PushOptions options{.timeout = 60s};
        for (std::string word; words >> word;) {
            if (word == "end") {
                options.flags = YOKE_FLAG_END;
            } else if (const std::uint32_t signal = signal_of(word); signal != 0) {
                options.signals |= signal;
            } else {
                values.push_back(static_cast<std::int32_t>(std::stol(word)));
            }
        }
        constexpr std::size_t room = 64;
        Buffer memory = session.alloc(room * sizeof(std::int32_t));
        const auto ints = memory.as<std::int32_t>();
        if (verb == "push") {
            std::ranges::copy(values, ints.begin());
            graph.push(id, memory.bytes().first(values.size() * sizeof(std::int32_t)), options);
            return;
        }
        const auto result = graph.pull(id, memory, 60s);
        if (verb == "end") {
            EXPECT_FALSE(result) << line;
            return;
        }
        ASSERT_EQ(verb, "pull") << line;
        ASSERT_TRUE(result) << line;
        ASSERT_EQ(result->out_length, values.size() * sizeof(std::int32_t)) << line;
        EXPECT_TRUE(std::ranges::equal(values, ints.first(values.size()))) << line;
    }
};

TEST_F(PtaskExample, AllDoWhatThePageSays) {
    const auto examples = read_examples();
    ASSERT_GE(examples.size(), 12U);
    Session session(options_for(instance_));
    const std::filesystem::path file = std::filesystem::path(instance_.directory()) / "example.toml";
    for (const Example& example : examples) {
        SCOPED_TRACE(example.title);
        ASSERT_FALSE(example.script.empty());
        std::ofstream(file) << example.graph;
        Graph graph = Graph::load(session, file.string());
        graph.run();
        std::map<std::string, std::uint32_t> channels;
        ASSERT_TRUE(eventually([&] {
            channels = channels_of(graph.name());
            return !channels.empty();
        }));
        for (const std::string& line : example.script) {
            ASSERT_NO_FATAL_FAILURE(follow(session, graph, channels, line));
        }
    }
}

}  // namespace
}  // namespace yoke::test
