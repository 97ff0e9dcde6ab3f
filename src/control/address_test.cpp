// Where the socket is looked for, who may bind it, what becomes of stale and foreign ones: with real sockets in a
// folder of the test's own.
#include "control/address.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "control/message.hpp"

namespace yoke::control {
namespace {

using testing::HasSubstr;

class Address : public testing::Test {
   protected:
    void SetUp() override {
        std::string pattern = testing::TempDir() + "/address-XXXXXX";
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
        if (const char* const old = std::getenv("XDG_RUNTIME_DIR")) {
            old_runtime_ = old;
        }
    }
    void TearDown() override {
        if (old_runtime_.empty()) {
            ::unsetenv("XDG_RUNTIME_DIR");
        } else {
            ::setenv("XDG_RUNTIME_DIR", old_runtime_.c_str(), 1);
        }
        std::filesystem::remove_all(folder_);
    }
    static mode_t mode_of(const std::string& path) {
        struct stat st {};
        EXPECT_EQ(::stat(path.c_str(), &st), 0);
        return st.st_mode & 07777U;
    }

    std::string folder_;
    std::string old_runtime_;
};

TEST_F(Address, PrivateDirectoryIsMade) {
    ::setenv("XDG_RUNTIME_DIR", folder_.c_str(), 1);
    for (int i = 0; i < 2; ++i) {
        auto path = private_directory();
        ASSERT_TRUE(path) << path.error().message;
        EXPECT_EQ(*path, folder_ + "/yoke");
        EXPECT_EQ(mode_of(*path), 0700U);
    }
}

TEST_F(Address, PrivateDirectoryThatIsNotPrivate) {
    ::setenv("XDG_RUNTIME_DIR", folder_.c_str(), 1);
    const std::string path = folder_ + "/yoke";
    ASSERT_EQ(::mkdir(path.c_str(), 0700), 0);
    ASSERT_EQ(::chmod(path.c_str(), 0770), 0);
    EXPECT_EQ(private_directory().error().code, EACCES);
    std::filesystem::remove(path);
    std::filesystem::create_directory(folder_ + "/elsewhere");
    std::filesystem::create_directory_symlink(folder_ + "/elsewhere", path);
    EXPECT_EQ(private_directory().error().code, EACCES) << "a link";
    std::filesystem::remove(path);
    std::ofstream(path) << "x";
    EXPECT_EQ(private_directory().error().code, EACCES) << "a file";
    if (::geteuid() == 0) {
        std::filesystem::remove(path);
        ASSERT_EQ(::mkdir(path.c_str(), 0700), 0);
        ASSERT_EQ(::chown(path.c_str(), 65534, 65534), 0);
        auto foreign = private_directory();
        ASSERT_FALSE(foreign);
        EXPECT_EQ(foreign.error().code, EACCES);
        EXPECT_THAT(foreign.error().message, HasSubstr("belongs to user 65534"));
    }
}

TEST_F(Address, RuntimeDirectoryThatIsNotThere) {
    ::setenv("XDG_RUNTIME_DIR", (folder_ + "/none").c_str(), 1);
    auto path = private_directory();
    ASSERT_FALSE(path);
    EXPECT_EQ(path.error().code, ENOENT);
    EXPECT_THAT(path.error().message, HasSubstr("XDG_RUNTIME_DIR"));
}

TEST_F(Address, ListenConnectAndCredentials) {
    const std::string path = folder_ + "/yoke.sock";
    auto listener = listen_at(path, 0660);
    ASSERT_TRUE(listener) << listener.error().message;
    EXPECT_EQ(mode_of(path), 0660U);
    EXPECT_EQ(::accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC), -1);
    EXPECT_EQ(errno, EAGAIN) << "the listener doesn't block";
    auto client = connect_to(path);
    ASSERT_TRUE(client) << client.error().message;
    const Fd server(::accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC));
    ASSERT_TRUE(server.valid());
    ASSERT_TRUE(send(*client, {{"op", "status"}}));
    EXPECT_TRUE(receive(server));
    auto peer = peer_of(server);
    ASSERT_TRUE(peer);
    EXPECT_EQ(peer->pid, ::getpid());
    EXPECT_EQ(peer->uid, ::geteuid());
    EXPECT_EQ(peer->gid, ::getegid());
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1) << "no other file is left";
}

TEST_F(Address, SecondListenerIsRefused) {
    const std::string path = folder_ + "/yoke.sock";
    auto first = listen_at(path, 0600);
    ASSERT_TRUE(first);
    auto second = listen_at(path, 0600);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, EADDRINUSE);
    EXPECT_TRUE(connect_to(path)) << "the first one still listens";
}

TEST_F(Address, StaleSocketIsReplaced) {
    const std::string path = folder_ + "/yoke.sock";
    ASSERT_TRUE(listen_at(path, 0600));
    EXPECT_EQ(connect_to(path).error().code, ECONNREFUSED);
    auto again = listen_at(path, 0600);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_TRUE(connect_to(path));
}

TEST_F(Address, FilesThatAreNoSocketStay) {
    const std::string path = folder_ + "/yoke.sock";
    std::ofstream(path) << "precious";
    auto listener = listen_at(path, 0600);
    ASSERT_FALSE(listener);
    EXPECT_EQ(listener.error().code, EADDRINUSE);
    EXPECT_EQ(std::filesystem::file_size(path), 8U);
}

TEST_F(Address, OneOfManyTakesOverAStaleSocket) {
    const std::string path = folder_ + "/yoke.sock";
    for (int round = 0; round < 20; ++round) {
        std::atomic<int> winners{0};
        std::vector<std::thread> threads;
        std::vector<Fd> listeners(4);
        threads.reserve(listeners.size());
        for (Fd& place : listeners) {
            threads.emplace_back([&] {
                if (auto listener = listen_at(path, 0600)) {
                    place = std::move(*listener);
                    ++winners;
                }
            });
        }
        for (std::thread& thread : threads) {
            thread.join();
        }
        ASSERT_EQ(winners, 1);
        ASSERT_TRUE(connect_to(path));
    }
}

TEST_F(Address, FolderOpenToOthersIsLockedByAFileOfOurs) {
    ASSERT_EQ(::chmod(folder_.c_str(), 0755), 0);
    const std::string path = folder_ + "/yoke.sock";
    // Anybody who can open the folder could hold this lock.
    const Fd hostile(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_EQ(::flock(hostile.get(), LOCK_EX), 0);
    auto listener = listen_at(path, 0666);
    ASSERT_TRUE(listener) << listener.error().message;
    EXPECT_EQ(mode_of(path + ".lock"), 0600U);
}

TEST_F(Address, PathsThatCannotBe) {
    const std::string longest = folder_ + "/" + std::string(107 - folder_.size() - 1, 'x');
    EXPECT_TRUE(listen_at(longest, 0600));
    EXPECT_EQ(listen_at(longest + "x", 0600).error().code, ENAMETOOLONG);
    EXPECT_EQ(connect_to(longest + "x").error().code, ENAMETOOLONG);
    EXPECT_EQ(connect_to("").error().code, EINVAL);
    EXPECT_EQ(connect_to(std::string("\0yoke", 5)).error().code, EINVAL);
    EXPECT_EQ(connect_to(folder_ + "/none").error().code, ENOENT);
    EXPECT_EQ(listen_at(folder_ + "/none/yoke.sock", 0600).error().code, ENOENT);
}

}  // namespace
}  // namespace yoke::control
