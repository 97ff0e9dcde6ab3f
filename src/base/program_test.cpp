// Which folder wins when a program is looked for, and what is not taken for a program.
#include "base/program.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace yoke {
namespace {

class Program : public testing::Test {
   protected:
    void SetUp() override {
        std::string pattern = testing::TempDir() + "/program-XXXXXX";
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
        ASSERT_EQ(::setenv("YOKE_LIBEXEC_DIR", folder_.c_str(), 1), 0);
    }
    void TearDown() override {
        ::unsetenv("YOKE_LIBEXEC_DIR");
        std::filesystem::remove_all(folder_);
    }
    std::string make(const std::string& name, mode_t mode) {
        std::string path = folder_ + "/" + name;
        std::ofstream(path) << "#!/bin/sh\n";
        EXPECT_EQ(::chmod(path.c_str(), mode), 0);
        return path;
    }

    std::string folder_;
};

TEST_F(Program, ChosenFolderComesFirst) {
    const std::string path = make("base_test", 0755);
    EXPECT_EQ(*find_program("base_test"), path);
}

TEST_F(Program, FolderOfTheRunningProgram) {
    auto found = find_program("base_test");
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_TRUE(std::filesystem::equivalent(*found, "/proc/self/exe"));
}

TEST_F(Program, NotExecutableAndFoldersAreNoPrograms) {
    make("yoke-none", 0644);
    std::filesystem::create_directory(folder_ + "/yoke-folder");
    for (const char* name : {"yoke-none", "yoke-folder"}) {
        auto found = find_program(name);
        ASSERT_FALSE(found);
        EXPECT_EQ(found.error().code, ENOENT);
        EXPECT_NE(found.error().message.find(folder_), std::string::npos);
        EXPECT_NE(found.error().message.find("/usr/libexec/yoke"), std::string::npos);
    }
}

TEST_F(Program, RelativeFolderIsIgnored) {
    make("yoke-here", 0755);
    ASSERT_EQ(::setenv("YOKE_LIBEXEC_DIR", std::filesystem::relative(folder_).c_str(), 1), 0);
    EXPECT_FALSE(find_program("yoke-here"));
}

TEST_F(Program, NamesAreNoPaths) {
    for (const char* name : {"", "../yoked", "/bin/sh", "a/b"}) {
        auto found = find_program(name);
        ASSERT_FALSE(found);
        EXPECT_EQ(found.error().code, EINVAL);
    }
}

}  // namespace
}  // namespace yoke
