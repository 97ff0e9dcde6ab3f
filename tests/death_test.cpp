// Deaths by SIGKILL of clients, workers and yoked while calls are in flight: others notice nothing, what the dead held
// is given back, and a new yoked knows all that the old one did.
//
// Clients that die are processes of their own: this test's program again, told by an environment variable to be one.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>

#include "support/client.hpp"
#include "support/footprint.hpp"
#include "support/neighbour.hpp"
#include "support/raw_session.hpp"

namespace yoke::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* client_variable = "YOKE_TEST_DYING_CLIENT";

// The life of a client that will be killed: calls of both rings, a key, a graph with data on its way, without an end.
// Writes one byte to `ready` after some thousand calls.
[[noreturn]] void live_until_killed(const std::string& socket, int ready) {
    yoke_options options{};
    options.socket = socket.c_str();
    options.arena_bytes = 16U << 20U;
    Session session(options);
    const Key key = session.key(YOKE_SERVICE_AES_XTS, key_bytes());
    Graph graph(session, "/dying" + std::to_string(::getpid()));
    graph.port("p:in", YOKE_IN, Form("u8", {65536}));
    graph.port("p:out", YOKE_OUT, Form("u8", {65536}));
    yoke_kernel kernel{};
    kernel.source =
        "kernel void copy(global const uchar *in, global uchar *out) { out[get_global_id(0)] = in[get_global_id(0)]; }";
    kernel.function = "copy";
    graph.ptask("p", kernel, {"in", "out"});
    const std::uint32_t in = graph.channel("in", "", "p:in");
    graph.channel("out", "p:out", "");
    graph.run();
    constexpr std::size_t block = 128 * 1024;
    constexpr std::size_t places = 16;
    Buffer from = session.alloc(block);
    Buffer to = session.alloc(places * block);
    fill(from, 1);
    std::size_t ended = 0;
    for (std::size_t k = 0;; k++) {
        const std::size_t bytes = k % 8 == 0 ? block : 512;
        const auto target = to.bytes().subspan(k % places * block, bytes);
        if (k < places) {
            session.submit(Call(YOKE_SERVICE_AES_XTS, from.bytes().first(bytes), target)
                               .key(key)
                               .params(xts(k))
                               .place(YOKE_PLACE_WORKER),
                           [&ended](const yoke_result&) { ended++; });
            yoke_ticket ticket = 0;  // the fourth waits for ever: nobody pulls
            yoke_submit_push(session.get(), in, from.data(), 65536, 0, 0, nullptr, nullptr, &ticket);
        }
        session.call(Call(YOKE_SERVICE_ECHO, from.bytes().first(bytes), target).place(YOKE_PLACE_WORKER));
        if (k == 4000 && ::write(ready, "r", 1) != 1) {
            ::_exit(1);
        }
    }
}

// Starts such a client and waits until it is in the middle of its calls.
pid_t start_client(const Instance& instance) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe(ends.data()), 0);
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::setenv(client_variable, std::to_string(ends[1]).c_str(), 1);
        ::setenv("YOKE_SOCKET", instance.socket().c_str(), 1);
        ::execl("/proc/self/exe", "dying-client", nullptr);
        ::_exit(127);
    }
    ::close(ends[1]);
    char byte = 0;
    EXPECT_EQ(::read(ends[0], &byte, 1), 1) << "the client ended before it was killed";
    ::close(ends[0]);
    return pid;
}

void kill_client(pid_t pid) {
    ::kill(pid, SIGKILL);
    EXPECT_EQ(::waitpid(pid, nullptr, 0), pid);
}

using Death = ClientTest;

TEST_F(Death, AClientTakesOnlyItsOwnAlong) {
    const Neighbour neighbour(instance_.socket());
    for (int round = 0; round < 3; round++) {  // allocators keep what such clients need
        const std::array<pid_t, 2> clients{start_client(instance_), start_client(instance_)};
        for (const pid_t pid : clients) {
            kill_client(pid);
        }
    }
    EXPECT_TRUE(neighbour.is_served());
    constexpr std::size_t slack_kib = 8192;  // one client in two that left its data would be twice that
    const Footprint before = settled_footprint_of(neighbour.worker());
    for (int round = 0; round < 6; round++) {
        const std::array<pid_t, 2> clients{start_client(instance_), start_client(instance_)};
        const auto busy = instance_.ask({{"op", "list"}});
        ASSERT_TRUE(busy) << busy.error().message;
        EXPECT_EQ(busy->body["sessions"].size(), 3U);
        EXPECT_EQ(busy->body["graphs"].size(), 2U);
        for (const pid_t pid : clients) {
            kill_client(pid);
        }
        EXPECT_TRUE(eventually([&] {
            const auto list = instance_.ask({{"op", "list"}});
            return list && list->body["sessions"].size() == 1 && list->body["graphs"].empty() &&
                   list->body["channels"].empty();
        })) << "what the dead clients had is still listed";
        EXPECT_TRUE(neighbour.is_served());
    }
    EXPECT_TRUE(eventually([&] {
        const auto now = footprint_of(neighbour.worker());
        return now && within(*now, before, slack_kib);
    })) << "the worker had "
        << before << " and has " << settled_footprint_of(neighbour.worker());
}

// A call of which the worker is in the middle when it is stopped; its deadline passes meanwhile.
void* give_up_in_the_middle(Session& session, const Key& key, const Buffer& in, pid_t worker) {
    void* late = nullptr;
    EXPECT_EQ(yoke_alloc(session.get(), in.size(), &late), 0);
    std::memset(late, 0xee, in.size());
    const std::span<std::byte> out(static_cast<std::byte*>(late), in.size());
    const yoke_ticket ticket = session.submit(Call(YOKE_SERVICE_AES_XTS, in, out)
                                                  .key(key)
                                                  .params(xts(0, 16))  // small units take the worker long
                                                  .place(YOKE_PLACE_WORKER)
                                                  .timeout(500ms));
    const volatile std::byte* const first = out.data();
    // Until it has begun to write, unless the call ends before that is seen.
    std::optional<yoke_result> result;
    while (*first == std::byte{0xee} && !result) {
        result = session.wait(ticket, 0ns);
    }
    if (result) {
        yoke_free(session.get(), late);
        return nullptr;
    }
    ::kill(worker, SIGSTOP);
    result = session.wait(ticket, 60s);
    EXPECT_TRUE(result);
    if (result && result->status == -ETIME) {
        EXPECT_EQ(yoke_free(session.get(), late), 0);
        return late;
    }
    ::kill(worker, SIGCONT);  // it was faster
    yoke_free(session.get(), late);
    return nullptr;
}

// Two seconds after its call was given up, the worker goes on and writes the rest of what it has in hand.
TEST_F(Death, AWorkerTwoSecondsLateWritesOnlyWhatNobodyUses) {
    Session session(options_for(instance_, 64U << 20U));
    const Key key = session.key(YOKE_SERVICE_AES_XTS, key_bytes());
    Buffer in = session.alloc(16U << 20U);
    std::memset(in.data(), 0x11, in.size());
    std::vector<std::byte> seen(in.size());
    bool written_late = false;
    for (int attempt = 0; attempt < 20 && !written_late; attempt++) {
        const auto* const late =
            static_cast<const std::byte*>(give_up_in_the_middle(session, key, in, worker(session)));
        if (late == nullptr) {
            continue;
        }
        const std::span<const std::byte> given_up(late, in.size());
        std::vector<Buffer> others;  // everything that can be had is in use now
        for (std::size_t bytes = in.size(); bytes >= 4096; bytes /= 2) {
            void* memory = nullptr;
            while (yoke_alloc(session.get(), bytes, &memory) == 0) {
                yoke_free(session.get(), memory);
                others.push_back(session.alloc(bytes));
                std::memset(others.back().data(), attempt, bytes);
            }
        }
        std::this_thread::sleep_for(2s);
        EXPECT_GE(session.info().quarantined, in.size());
        std::ranges::copy(given_up, seen.begin());
        ::kill(worker(session), SIGCONT);
        EXPECT_TRUE(eventually([&] { return session.info().quarantined == 0; }));
        written_late = !std::ranges::equal(given_up, seen);
        for (const Buffer& other : others) {
            ASSERT_TRUE(std::ranges::all_of(other.bytes(), [&](std::byte b) { return b == std::byte(attempt); }))
                << "memory in use has changed";
            ASSERT_TRUE(other.data() + other.size() <= late || other.data() >= late + in.size());
        }
    }
    EXPECT_TRUE(written_late) << "the worker was never caught in the middle, so nothing was tested";
    EXPECT_EQ(session.info().reconnects, 0U);
}

// Names and numbers of all objects that yoked lists, by kind.
std::map<std::string, std::multiset<std::string>> objects_of(const Instance& instance) {
    std::map<std::string, std::multiset<std::string>> all;
    const auto list = instance.ask({{"op", "list"}});
    EXPECT_TRUE(list) << list.error().message;
    for (const auto& [kind, array] : list->body.items()) {
        if (!array.is_array()) {
            continue;
        }
        for (const auto& object : array) {
            std::string text;
            for (const char* member : {"name", "session", "count", "account", "pid"}) {
                text += object.contains(member) ? object[member].dump() + " " : "";
            }
            all[kind].insert(text);
        }
    }
    return all;
}

TEST_F(Death, ANewYokedKnowsAllObjects) {
    const pid_t client = start_client(instance_);
    Session session(options_for(instance_));
    const Key first = session.key(YOKE_SERVICE_AES_XTS, key_bytes());
    const auto bytes = key_bytes();
    const Key second = session.key(YOKE_SERVICE_AES_CTR, std::span(bytes).first(16));
    Graph graph(session, "/kept");
    graph.port("p:in", YOKE_IN, Form("u8", {64}));
    graph.port("p:out", YOKE_OUT, Form("u8", {64}));
    yoke_kernel kernel{};
    kernel.source =
        "kernel void twice(global const uchar *in, global uchar *out) { int i = get_global_id(0); out[i] = "
        "2 * in[i]; }";
    kernel.function = "twice";
    graph.ptask("p", kernel, {"in", "out"});
    const std::uint32_t in = graph.channel("in", "", "p:in");
    const std::uint32_t out = graph.channel("out", "p:out", "");
    graph.run();
    Buffer data = session.alloc(64);
    Buffer back = session.alloc(64);
    const auto before = objects_of(instance_);
    ASSERT_EQ(before.at("sessions").size(), 2U);
    ASSERT_EQ(before.at("graphs").size(), 2U);
    ASSERT_EQ(before.at("keys").size(), 2U) << "one record per session, with their number";
    ASSERT_EQ(before.at("ports").size(), 4U);
    for (int round = 0; round < 3; round++) {
        instance_.kill_yoked();
        fill(data, static_cast<std::uint64_t>(round));
        graph.push(in, data);
        ASSERT_TRUE(graph.pull(out, back, 60s)) << "graphs go on without yoked";
        for (std::size_t k = 0; k < 64; k++) {
            ASSERT_EQ(std::to_integer<unsigned>(back.data()[k]), 2 * std::to_integer<unsigned>(data.data()[k]) % 256);
        }
        ASSERT_TRUE(instance_.start()) << instance_.error();
        EXPECT_EQ(objects_of(instance_), before) << "round " << round;
    }
    EXPECT_EQ(session.info().reconnects, 0U);
    kill_client(client);
}

// Entries of a folder whose names begin as ours do.
std::set<std::string> ours_in(const std::filesystem::path& folder) {
    std::set<std::string> names;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
        const std::string name = entry.path().filename();
        if (name.find("yoke") != std::string::npos) {
            names.insert(name);
        }
    }
    return names;
}

// What instances of yoke have left in their directory, but for the configuration, the log and the cache of compiled
// kernels, which are there to stay.
std::set<std::string> left_in(const std::string& directory) {
    std::set<std::string> left;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
        const std::string name = std::filesystem::relative(entry.path(), directory);
        if (!entry.is_directory() && name != "log" && name != "yoke.toml" && !name.ends_with(".bin")) {
            left.insert(name);
        }
    }
    return left;
}

// Everything is killed at once, so nobody can clean up. Only files with a fixed place remain: yoked's own, which the
// next yoked takes over, and those that PoCL unpacks, which the next worker removes.
TEST_F(Death, OfEverythingLeavesOnlyWhatTheNextRemoves) {
    const std::filesystem::path temporary = std::filesystem::temp_directory_path();
    const std::set<std::string> before = ours_in(temporary);
    const std::set<std::string> shared_before = ours_in("/dev/shm");
    const std::array<pid_t, 2> clients{start_client(instance_), start_client(instance_)};
    for (const auto& process : yoke_descendants()) {
        ::kill(process.pid, SIGKILL);
    }
    for (const pid_t pid : clients) {
        kill_client(pid);
    }
    EXPECT_TRUE(eventually(
        [] {
            reap_orphans(-1);
            return yoke_descendants().empty();
        },
        30'000))
        << "a process is left";
    EXPECT_EQ(ours_in("/dev/shm"), shared_before);
    EXPECT_EQ(ours_in(temporary), before);
    const std::set<std::string> known{"yoke.sock", "secret", "workers", "lock"};
    for (const std::string& name : left_in(instance_.directory())) {
        EXPECT_TRUE(known.contains(name) || name.starts_with("cache/yoke/scratch-")) << name;
    }
    ASSERT_TRUE(instance_.start()) << instance_.error();
    kill_client(start_client(instance_));  // a whole life, kernels included
    instance_.stop(SIGTERM);
    EXPECT_TRUE(eventually([&] { return left_in(instance_.directory()).empty(); }))
        << testing::PrintToString(left_in(instance_.directory()));
}

}  // namespace
}  // namespace yoke::test

// A client that is to die is this program, executed again.
int main(int argc, char** argv) {
    if (const char* const ready = std::getenv(yoke::test::client_variable); ready != nullptr) {
        try {
            yoke::test::live_until_killed(std::getenv("YOKE_SOCKET"), std::atoi(ready));
        } catch (const yoke::error& failure) {
            std::fprintf(stderr, "client: %s\n", failure.what());
            return 1;
        }
    }
    testing::InitGoogleTest(&argc, argv);
    // Temporary files in a folder of its own: what other tests leave for a moment is not ours.
    std::string temporary = std::filesystem::temp_directory_path() / "yoke-death-XXXXXX";
    if (::mkdtemp(temporary.data()) == nullptr || ::setenv("TMPDIR", temporary.c_str(), 1) != 0) {
        std::perror(temporary.c_str());
        return 1;
    }
    const int result = RUN_ALL_TESTS();
    std::error_code ignored;
    std::filesystem::remove_all(temporary, ignored);
    return result;
}
