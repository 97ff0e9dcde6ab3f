// The examples of docs/ptask.md: each graph is loaded from the page, and what the page says goes in and must come out.
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <sstream>

#include "support/client.hpp"

namespace yoke::test {
namespace {

using namespace std::chrono_literals;

struct Example {
    std::string title;
    std::vector<std::string> graphs;  // all at once
    std::vector<std::string> script;
};

struct Page {
    std::vector<Example> examples;
    std::set<std::string> titles;  // as links name them
    std::vector<std::string> links;
};

std::string anchor_of(const std::string& title) {
    std::string anchor;
    for (const char c : title) {
        if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-') {
            anchor += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        } else if (c == ' ') {
            anchor += '-';
        }
    }
    return anchor;
}

void read_links(const std::string& line, std::vector<std::string>& links) {
    for (std::size_t at = 0; (at = line.find("](#", at)) != std::string::npos;) {
        at += 3;
        links.push_back(line.substr(at, line.find(')', at) - at));
    }
}

// An example is a title, one fence with TOML or several, a fence with lines; a title may have several of them.
Page read_page() {
    std::ifstream file(YOKE_SOURCE_DIR "/docs/ptask.md");
    Page page;
    std::string fence;
    std::string title;
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("```")) {
            fence = fence.empty() ? line : std::string();
            if (fence == "```toml") {
                if (page.examples.empty() || !page.examples.back().script.empty()) {
                    page.examples.push_back({title, {}, {}});
                }
                page.examples.back().graphs.emplace_back();
            }
        } else if (fence == "```toml") {
            page.examples.back().graphs.back() += line + "\n";
        } else if (fence == "```") {
            page.examples.back().script.push_back(line);
        } else if (line.starts_with("### ")) {
            title = line.substr(4);
            page.titles.insert(anchor_of(title));
        } else {
            read_links(line, page.links);
        }
    }
    return page;
}

std::uint32_t signal_of(const std::string& word) {
    static const std::map<std::string, std::uint32_t> signals{
        {"begin", YOKE_SIGNAL_BEGIN},   {"iteration-begin", YOKE_SIGNAL_ITERATION_BEGIN},
        {"end", YOKE_SIGNAL_END},       {"iteration-end", YOKE_SIGNAL_ITERATION_END},
        {"drop", YOKE_SIGNAL_DROP},     {"user-1", YOKE_SIGNAL_USER_1},
        {"user-2", YOKE_SIGNAL_USER_2},
    };
    const auto found = signals.find(word);
    return found == signals.end() ? 0 : found->second;
}

// A line of a script: a verb, the name of a channel or ptask, and what the verb wants.
struct Line {
    explicit Line(const std::string& text) : words(text) { words >> verb >> name; }

    // Values, up to the first signal.
    void read_values() {
        for (std::string word; words >> word;) {
            if (const std::uint32_t signal = signal_of(word); signal != 0) {
                signals |= signal;
            } else {
                values.push_back(static_cast<std::int32_t>(std::stol(word)));
            }
        }
    }

    std::istringstream words;
    std::string verb;
    std::string name;
    std::vector<std::int32_t> values;
    std::uint32_t signals = 0;
};

// A function of this process: each output is twice its input.
int double_each(void* /*user*/, const yoke_datablock* inputs, std::size_t count, yoke_datablock* outputs,
                std::size_t /*output_count*/) {
    for (std::size_t k = 0; k < count; ++k) {
        for (std::size_t i = 0; i < inputs[k].length / sizeof(std::int32_t); ++i) {
            static_cast<std::int32_t*>(outputs[k].data)[i] = 2 * static_cast<const std::int32_t*>(inputs[k].data)[i];
        }
    }
    return 0;
}

// A running example: its graphs, and where their channels are.
class Running {
   public:
    Running(const Instance& instance, Session& session) : instance_(instance), session_(session) {}

    void load(const std::vector<std::string>& texts) {
        const std::filesystem::path file = std::filesystem::path(instance_.directory()) / "example.toml";
        for (const std::string& text : texts) {
            std::ofstream(file) << text;
            graphs_.push_back(Graph::load(session_, file.string()));
            graphs_.back().run();
        }
        for (const Graph& graph : graphs_) {
            ASSERT_TRUE(eventually([&] { return find_channels(graph.name() + "/"); })) << graph.name();
        }
    }

    void follow(const std::string& text) {
        SCOPED_TRACE(text);
        Line line(text);
        if (line.verb == "serve") {
            graphs_.front().serve(line.name, double_each, nullptr);
        } else if (line.verb == "priority") {
            set_priority(line);
        } else if (line.verb == "why") {
            expect_why(line);
        } else if (line.verb == "move") {
            std::string to;
            line.words >> to;
            EXPECT_TRUE(graphs_.front().move(channels_.at(line.name), channels_.at(to), 60s));
        } else {
            ASSERT_TRUE(channels_.contains(line.name));
            line.read_values();
            transfer(line);
        }
    }

   private:
    using Json = nlohmann::json;

    // As `yoke ls KIND` has it.
    Json list(const std::string& kind) const {
        char* answer = nullptr;
        const yoke_options options = options_for(instance_);
        EXPECT_EQ(yoke_ask_daemon(options.socket, 0, Json{{"op", "list"}, {"kind", kind}}.dump().c_str(), &answer), 0);
        const auto all = Json::parse(answer != nullptr ? answer : "{}");
        std::free(answer);
        return all.value(kind, Json::array());
    }

    // Whether there is one whose name begins so.
    bool find_channels(const std::string& graph) {
        bool found = false;
        for (const Json& channel : list("channels")) {
            if (const auto name = channel.value("name", std::string()); name.starts_with(graph)) {
                channels_[name.substr(graph.size())] = channel.value("id", 0U);
                found = true;
            }
        }
        return found;
    }

    void set_priority(Line& line) {
        unsigned priority = 0;
        line.words >> priority;
        const auto now = [&] {
            for (const Json& ptask : list("ptasks")) {
                if (ptask.value("name", std::string()) == graphs_.front().name() + "/" + line.name) {
                    return ptask.value("priority", ~0U);
                }
            }
            return ~0U;
        };
        EXPECT_NE(now(), priority);
        graphs_.front().priority(priority, line.name);
        EXPECT_EQ(now(), priority);
    }

    // What is said of the channel, sooner or later, has the words.
    void expect_why(Line& line) {
        const std::string channel = graphs_.front().name() + "/" + line.name;
        const std::vector<std::string> wanted(std::istream_iterator<std::string>(line.words), {});
        Json reasons;
        EXPECT_TRUE(eventually([&] {
            reasons = Json::parse(graphs_.front().why());
            return std::ranges::any_of(reasons, [&](const Json& reason) {
                const auto has = [said = reason.at("sentence").get<std::string>()](const std::string& word) {
                    return said.find(word) != std::string::npos;
                };
                return reason.at("channel") == channel && std::ranges::all_of(wanted, has);
            });
        })) << reasons.dump(1);
    }

    void transfer(const Line& line) {
        constexpr std::size_t room = 64;
        ASSERT_LE(line.values.size(), room);
        Graph& graph = graphs_.front();
        const std::uint32_t id = channels_.at(line.name);
        Buffer memory = session_.alloc(room * sizeof(std::int32_t));
        const auto ints = memory.as<std::int32_t>();
        const auto bytes = memory.bytes().first(line.values.size() * sizeof(std::int32_t));
        if (line.verb == "push" || line.verb == "full") {
            std::ranges::copy(line.values, ints.begin());
            const bool full = line.verb == "full";
            PushOptions options{.signals = line.signals & ~static_cast<std::uint32_t>(YOKE_SIGNAL_END)};
            options.flags = (line.signals & YOKE_SIGNAL_END) != 0 ? YOKE_FLAG_END : 0U;
            options.timeout = full ? 1ms : std::chrono::nanoseconds(60s);
            const int code = code_of([&] { graph.push(id, bytes, options); });
            EXPECT_EQ(code, full ? ETIME : 0);
        } else if (line.verb == "empty") {
            EXPECT_EQ(code_of([&] { graph.pull(id, memory, 1ms); }), ETIME);
        } else if (line.verb == "end") {
            EXPECT_FALSE(graph.pull(id, memory, 60s));
        } else if (line.verb == "drain") {
            ASSERT_EQ(line.values.size(), 1U);
            EXPECT_EQ(graph.drain(id), static_cast<std::uint64_t>(line.values[0]));
        } else {
            ASSERT_TRUE(line.verb == "pull" || line.verb == "peek") << "no such verb";
            const yoke_result result = pull(id, memory, line.verb == "peek" ? YOKE_FLAG_PEEK : 0);
            ASSERT_EQ(result.status, 0);
            EXPECT_EQ(result.signal & line.signals, line.signals) << "signals " << unsigned{result.signal};
            ASSERT_EQ(result.out_length, bytes.size());
            const auto got = ints.first(line.values.size());
            EXPECT_EQ(std::vector(got.begin(), got.end()), line.values);
        }
    }

    // Runs the function that is served meanwhile.
    yoke_result pull(std::uint32_t channel, std::span<std::byte> memory, std::uint32_t flags) {
        std::optional<yoke_result> result;
        const auto done = [](void* user, yoke_ticket, const yoke_result* told) {
            *static_cast<std::optional<yoke_result>*>(user) = *told;
        };
        EXPECT_EQ(yoke_submit_pull_with(session_.get(), channel, memory.data(), memory.size(), flags, 60'000'000'000,
                                        done, &result, nullptr),
                  0)
            << yoke_error(session_.get());
        while (!result) {
            session_.dispatch(1s);
        }
        return *result;
    }

    // The errno with which it ends, 0 if with none.
    template <typename Job>
    static int code_of(Job&& job) {
        try {
            job();
        } catch (const error& failure) {
            return failure.code();
        }
        return 0;
    }

    const Instance& instance_;
    Session& session_;
    std::vector<Graph> graphs_;
    std::map<std::string, std::uint32_t> channels_;
};

class PtaskExample : public ClientTest {};

TEST_F(PtaskExample, AllDoWhatThePageSays) {
    const Page page = read_page();
    ASSERT_GE(page.examples.size(), 21U);
    Session session(options_for(instance_));
    for (const Example& example : page.examples) {
        SCOPED_TRACE(example.title);
        ASSERT_FALSE(example.script.empty());
        Running running(instance_, session);
        ASSERT_NO_FATAL_FAILURE(running.load(example.graphs));
        for (const std::string& line : example.script) {
            ASSERT_NO_THROW(running.follow(line)) << line;
            ASSERT_FALSE(HasFatalFailure());
        }
    }
}

TEST(PtaskPage, EveryTermLeadsToAnExampleAndEveryExampleIsLedTo) {
    const Page page = read_page();
    ASSERT_GE(page.links.size(), 30U);
    const std::set<std::string> links(page.links.begin(), page.links.end());
    EXPECT_EQ(links, page.titles);
    std::set<std::string> examples;
    for (const Example& example : page.examples) {
        examples.insert(anchor_of(example.title));
    }
    EXPECT_EQ(examples, page.titles);
}

}  // namespace
}  // namespace yoke::test
