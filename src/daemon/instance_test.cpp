// Two instances in one directory, modes of sockets, and directories that are not safe.
#include "daemon/instance.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "control/address.hpp"

namespace yoke::daemon {
namespace {

using testing::HasSubstr;

class InstanceTest : public testing::Test {
   protected:
    InstanceTest() {
        std::string name = (std::filesystem::temp_directory_path() / "yoke-instance-XXXXXX").string();
        directory_ = ::mkdtemp(name.data());
        socket_ = directory_ + "/yoke.sock";
    }
    ~InstanceTest() override { std::filesystem::remove_all(directory_); }
    std::string directory_;
    std::string socket_;
};

TEST_F(InstanceTest, HoldsTheDirectoryUntilItCleansUp) {
    auto first = Instance::claim(socket_, true);
    ASSERT_TRUE(first) << first.error().message;
    EXPECT_FALSE(first->served_by_another());
    EXPECT_EQ(first->directory(), directory_);
    const Fd listener = first->take_listener();
    struct stat info {};
    ASSERT_EQ(::stat(socket_.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0600U);

    const auto second = Instance::claim(socket_, true);
    ASSERT_TRUE(second) << second.error().message;
    EXPECT_TRUE(second->served_by_another());

    first->clean_up();
    EXPECT_TRUE(std::filesystem::is_empty(directory_));
    auto third = Instance::claim(socket_, true);
    ASSERT_TRUE(third) << third.error().message;
    EXPECT_FALSE(third->served_by_another());
}

TEST_F(InstanceTest, TheSystemsSocketIsForEverybody) {
    auto instance = Instance::claim(socket_, false);
    ASSERT_TRUE(instance) << instance.error().message;
    struct stat info {};
    ASSERT_EQ(::stat(socket_.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0666U);
    EXPECT_TRUE(control::connect_to(socket_));
    instance->stop_listening();
    EXPECT_FALSE(control::connect_to(socket_));
}

TEST_F(InstanceTest, RefusesADirectoryThatOthersCanWriteTo) {
    ASSERT_EQ(::chmod(directory_.c_str(), 0770), 0);
    const auto refused = Instance::claim(socket_, true);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, EACCES);
    EXPECT_THAT(refused.error().message, HasSubstr(directory_));
    const auto missing = Instance::claim(directory_ + "/none/yoke.sock", true);
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, ENOENT);
}

}  // namespace
}  // namespace yoke::daemon
