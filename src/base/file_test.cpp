// What can be read whole, and that everything else is an error with a name: also what streams would throw or wait for.
#include "base/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "base/fd.hpp"

namespace yoke {
namespace {

class File : public testing::Test {
   protected:
    void SetUp() override {
        std::string pattern = testing::TempDir() + "/file-XXXXXX";
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }
    [[nodiscard]] std::string write(const std::string& content) const {
        std::ofstream(folder_ + "/f", std::ios::binary) << content;
        return folder_ + "/f";
    }
    std::string folder_;
};

TEST_F(File, IsReadWholeUpToItsLimit) {
    EXPECT_EQ(*read_file(write("")), "");
    EXPECT_EQ(*read_file(write(std::string("a\0b\n", 4))), std::string("a\0b\n", 4));
    for (const std::size_t bytes : {4095U, 4096U, 4097U, 100'000U}) {
        const std::string content(bytes, 'x');
        const std::string path = write(content);
        EXPECT_EQ(*read_file(path, bytes), content);
        EXPECT_EQ(read_file(path, bytes - 1).error().code, EMSGSIZE);
    }
}

TEST_F(File, FilesOfProcHaveNoSize) {
    EXPECT_TRUE(read_file("/proc/self/stat")->starts_with(std::to_string(::getpid())));
    EXPECT_GT(read_file("/proc/self/maps")->size(), 1000U);
}

TEST_F(File, WhatCannotBeReadIsNamed) {
    EXPECT_EQ(read_file(folder_ + "/none").error().code, ENOENT);
    EXPECT_EQ(read_file(folder_).error().code, EINVAL);
    EXPECT_EQ(read_file("/dev/zero").error().code, EINVAL);
    EXPECT_EQ(*read_file("/dev/null"), "");
    ASSERT_EQ(::mkfifo((folder_ + "/fifo").c_str(), 0600), 0);
    EXPECT_EQ(read_file(folder_ + "/fifo").error().code, EINVAL);
    EXPECT_NE(read_file(folder_ + "/none").error().message.find(folder_ + "/none"), std::string::npos);
}

// Opening succeeds, through the descriptor of a file that was opened in time; reading says that the process is gone.
TEST_F(File, OfAProcessThatEndsMeanwhileIsAnError) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        ::_exit(0);
    }
    const Fd open(::open(("/proc/" + std::to_string(child) + "/stat").c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(open);
    const std::string path = "/proc/self/fd/" + std::to_string(open.get());
    EXPECT_TRUE(read_file(path)) << "of a zombie";
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    EXPECT_EQ(read_file(path).error().code, ESRCH);
}

}  // namespace
}  // namespace yoke
