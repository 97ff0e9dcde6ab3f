// What really reaches stderr: fields, levels per topic, priorities for the journal, and hostile text that must stay
// in its line.
#include "base/log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <functional>

#include "base/fd.hpp"

namespace yoke {
namespace {

using testing::HasSubstr;
using testing::Not;

// Loggers are made once in a process, for the stderr that it has then: so each test logs in a child of its own.

// What a child process that runs `body` writes to its stderr. With `journal`, that is announced as the journal's
// socket.
std::string stderr_of(const std::function<void()>& body, bool journal = false) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    Fd reader(ends[0]);
    Fd writer(ends[1]);
    const pid_t child = ::fork();
    if (child == 0) {
        ::dup2(writer.get(), STDERR_FILENO);
        struct stat st {};
        ::fstat(STDERR_FILENO, &st);
        const std::string stream = fmt::format("{}:{}", st.st_dev, st.st_ino);
        ::setenv("JOURNAL_STREAM", journal ? stream.c_str() : "0:0", 1);
        body();
        ::_exit(0);
    }
    writer.reset();
    std::string text;
    std::array<char, 4096> buffer{};
    for (ssize_t n = 0; (n = ::read(reader.get(), buffer.data(), buffer.size())) > 0;) {
        text.append(buffer.data(), static_cast<std::size_t>(n));
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    return text;
}

TEST(Log, FieldsAreKeyValue) {
    EXPECT_EQ(log_text("worker started", {{"pid", 4711}, {"bytes", 1U << 31U}, {"late", true}, {"name", "alice"}}),
              "worker started pid=4711 bytes=2147483648 late=true name=alice");
    EXPECT_EQ(log_text("x", {{"rate", 1.5}, {"delta", -3}}), "x rate=1.5 delta=-3");
}

TEST(Log, ForeignTextCannotForgeALine) {
    EXPECT_EQ(log_text("x", {{"name", "a\ninfo daemon: all is well"}}), R"(x name="a\ninfo daemon: all is well")");
    EXPECT_EQ(log_text("x", {{"name", "pid=1"}}), R"(x name="pid=1")");
    EXPECT_EQ(log_text("x", {{"name", ""}}), R"(x name="")");
    EXPECT_LT(log_text("x", {{"name", std::string(100'000, 'y')}}).size(), 600U);
}

TEST(Log, LevelsPerTopic) {
    const std::string text = stderr_of([] {
        log_info(Topic::daemon, "before configuration");
        log_warning(Topic::client, "library warning");
        if (!configure_log("info,graph=debug,worker=off")) {
            ::_exit(1);
        }
        log_info(Topic::daemon, "daemon info", {{"pid", 1}});
        log_debug(Topic::daemon, "daemon debug");
        log_debug(Topic::graph, "graph debug");
        log_error(Topic::worker, "worker error");
    });
    EXPECT_THAT(text, Not(HasSubstr("before configuration")));
    EXPECT_THAT(text, HasSubstr("warning client: library warning\n"));
    EXPECT_THAT(text, HasSubstr("info daemon: daemon info pid=1\n"));
    EXPECT_THAT(text, Not(HasSubstr("daemon debug")));
    EXPECT_THAT(text, HasSubstr("debug graph: graph debug\n"));
    EXPECT_THAT(text, Not(HasSubstr("worker error")));
    EXPECT_THAT(text, Not(HasSubstr("\033"))) << "colours only on a terminal";
}

TEST(Log, PrioritiesForTheJournal) {
    const std::string text = stderr_of(
        [] {
            if (!configure_log("debug")) {
                ::_exit(1);
            }
            log_debug(Topic::control, "a");
            log_info(Topic::control, "b");
            log_warning(Topic::control, "c");
            log_error(Topic::control, "d");
        },
        true);
    EXPECT_EQ(text, "<7>control: a\n<6>control: b\n<4>control: c\n<3>control: d\n");
}

TEST(Log, WrongSpecIsNamedAndChangesNothing) {
    const std::string text = stderr_of([] {
        const bool refused = !configure_log("debug,graf=info") && !configure_log("debug,graph=loud") &&
                             !configure_log("=") && !log_enabled(Topic::graph, Level::debug);
        const auto unknown = configure_log("debug,graf=info");
        if (!refused || unknown || unknown.error().code != EINVAL) {
            ::_exit(1);
        }
        log_error(Topic::control, unknown.error().message);
    });
    EXPECT_THAT(text, HasSubstr("\"graf=info\""));
    EXPECT_THAT(text, HasSubstr("executive, graph"));
}

}  // namespace
}  // namespace yoke
