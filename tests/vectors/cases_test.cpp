// The files of NIST are read in full, and a folder that lost some of them is an error, not a test that passes.
#include "vectors/cases.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <memory>

namespace yoke::vectors {
namespace {

TEST(Cases, AllFilesAreReadInFull) {
    const auto vectors = load(default_directory());
    ASSERT_TRUE(vectors.has_value()) << vectors.error();
    const auto count = [&](auto wanted) { return std::count_if(vectors->cases.begin(), vectors->cases.end(), wanted); };
    EXPECT_GT(count([](const Case& c) { return c.key_error == EKEYREJECTED; }), 0);
    EXPECT_GT(count([](const Case& c) { return c.status == -EBADMSG; }), 0);
    EXPECT_GT(count([](const Case& c) { return (c.flags & YOKE_FLAG_DECRYPT) != 0; }), 0);
    EXPECT_EQ(vectors->skipped, 1200U) << "data units of 130, 140 and 250 bits";
}

TEST(Cases, AnEmptyFolderIsAnError) {
    const auto folder = std::filesystem::temp_directory_path() / ("yoke-vectors-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder);
    const auto vectors = load(folder.string());
    std::filesystem::remove_all(folder);
    ASSERT_FALSE(vectors.has_value());
    EXPECT_NE(vectors.error().find("apt install python3-cryptography-vectors"), std::string::npos);
}

TEST(Cases, FilesThatLostTheirRecordsAreAnError) {
    const auto folder = std::filesystem::temp_directory_path() / ("yoke-vectors-cut-" + std::to_string(::getpid()));
    const auto whole = std::filesystem::path(default_directory());
    for (const char* part : {"ciphers/AES", "hashes/SHA2"}) {
        std::filesystem::create_directories(folder / part);
        std::filesystem::copy(whole / part, folder / part, std::filesystem::copy_options::recursive);
    }
    const auto remove = [&](const void*) { std::filesystem::remove_all(folder); };
    const std::unique_ptr<const void, decltype(remove)> at_end(&folder, remove);
    EXPECT_TRUE(load(folder.string()).has_value());
    std::ofstream(folder / "ciphers/AES/CBC/CBCVarTxt256.rsp", std::ios::trunc) << "# nothing\n";
    const auto vectors = load(folder.string());
    ASSERT_FALSE(vectors.has_value());
    EXPECT_NE(vectors.error().find("of at least"), std::string::npos);
}

}  // namespace
}  // namespace yoke::vectors
