// Tokens against OpenSSL's command line, and the life of the file.
#include "daemon/secret.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>

namespace yoke::daemon {
namespace {

class SecretFile : public testing::Test {
   protected:
    SecretFile() {
        std::string name = (std::filesystem::temp_directory_path() / "yoke-secret-XXXXXX").string();
        directory_ = ::mkdtemp(name.data());
        path_ = directory_ + "/secret";
    }
    ~SecretFile() override { std::filesystem::remove_all(directory_); }
    std::string directory_;
    std::string path_;
};

TEST(Secret, TokensAreHmacSha256) {
    std::array<unsigned char, Secret::bytes> key{};
    std::iota(key.begin(), key.end(), static_cast<unsigned char>(0));
    // printf '1000|7' | openssl dgst -sha256 -mac HMAC -macopt hexkey:000102...1f
    EXPECT_EQ(Secret(key).token(1000, 7), "daf4ce2e9b9202b0790b5600384e6dd6aedeb6c4116d698563937a427afc35d7");
}

TEST(Secret, ATokenHoldsForItsAccountAndGenerationOnly) {
    const Secret secret({1, 2, 3});
    const std::string token = secret.token(1000, 7);
    EXPECT_TRUE(secret.verify(token, 1000, 7));
    EXPECT_FALSE(secret.verify(token, 1000, 8));
    EXPECT_FALSE(secret.verify(token, 1001, 7));
    EXPECT_FALSE(secret.verify(token.substr(1), 1000, 7));
    EXPECT_FALSE(secret.verify(token + "0", 1000, 7));
    EXPECT_FALSE(secret.verify("", 1000, 7));
    EXPECT_FALSE(Secret({3, 2, 1}).verify(token, 1000, 7));
}

TEST_F(SecretFile, IsMadeOnceAndReadByTheNext) {
    const auto first = Secret::load_or_create(path_);
    ASSERT_TRUE(first) << first.error().message;
    struct stat info {};
    ASSERT_EQ(::stat(path_.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0600U);
    const auto second = Secret::load_or_create(path_);
    ASSERT_TRUE(second);
    EXPECT_EQ(first->token(1, 1), second->token(1, 1));
}

TEST_F(SecretFile, OneThatOthersCanReadOrOfWrongLengthIsReplaced) {
    const auto first = Secret::load_or_create(path_);
    ASSERT_EQ(::chmod(path_.c_str(), 0644), 0);
    const auto second = Secret::load_or_create(path_);
    ASSERT_TRUE(first && second);
    EXPECT_NE(first->token(1, 1), second->token(1, 1));
    std::ofstream(path_) << "short";
    const auto third = Secret::load_or_create(path_);
    ASSERT_TRUE(third);
    EXPECT_NE(second->token(1, 1), third->token(1, 1));
    EXPECT_EQ(std::filesystem::file_size(path_), Secret::bytes);
}

}  // namespace
}  // namespace yoke::daemon
