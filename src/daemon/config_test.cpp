// What is read, what is refused and where, and that the packaged file is the default.
#include "daemon/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

namespace yoke::daemon {
namespace {

using testing::HasSubstr;

std::string error_of(const std::string& text) {
    const auto config = parse_config(text, "y.toml");
    return config ? "accepted" : config.error().message;
}

TEST(Config, AnEmptyFileGivesTheDefaults) {
    const auto config = parse_config("", "y.toml");
    ASSERT_TRUE(config);
    EXPECT_EQ(config->account_sessions, Config().account_sessions);
    EXPECT_EQ(config->worker_alone_s, 30U);
    EXPECT_EQ(log_spec(*config), "info");
}

TEST(Config, ReadsEveryKindOfOption) {
    const auto config = parse_config(
        "[log]\nlevel = \"warning\"\n[log.topics]\ngraph = \"debug\"\n[limits.account]\nsessions = 3\n"
        "[limits.total]\narena_bytes = 1073741824\n[lifetime]\nidle_exit_s = 0\n[supervision]\nbar_s = 7\n",
        "y.toml");
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(log_spec(*config), "warning,graph=debug");
    EXPECT_EQ(config->account_sessions, 3U);
    EXPECT_EQ(config->total_arena_bytes, 1ULL << 30);
    EXPECT_EQ(config->idle_exit_s, 0U);
    EXPECT_EQ(config->bar_s, 7U);
}

TEST(Config, RefusesWithFileLineAndColumn) {
    EXPECT_THAT(error_of("[limits.account]\nsesions = 3\n"),
                HasSubstr("y.toml:2:1: there is no option limits.account.sesions"));
    EXPECT_THAT(error_of("\n[limit]\n"), HasSubstr("y.toml:2:"));
    EXPECT_THAT(error_of("[lifetime]\nidle_exit_s = \"ten\"\n"),
                HasSubstr("y.toml:2:15: lifetime.idle_exit_s must be"));
    EXPECT_THAT(error_of("[lifetime]\nidle_exit_s = -1\n"), HasSubstr("from 0 to"));
    EXPECT_THAT(error_of("[lifetime]\nlease_ms = 99\n"), HasSubstr("from 100 to 60000"));
    EXPECT_THAT(error_of("[lifetime]\nlease_ms = 1e3\n"), HasSubstr("whole number"));
    EXPECT_THAT(error_of("[lifetime\n"), HasSubstr("y.toml:1:"));
    EXPECT_THAT(error_of("[log]\nlevel = \"loud\"\n"), HasSubstr("y.toml:2:9: log.level must be one of debug"));
    EXPECT_THAT(error_of("[log.topics]\nkitchen = \"info\"\n"), HasSubstr("y.toml:2:1: there is no log topic kitchen"));
    EXPECT_THAT(error_of("lifetime = 3\n"), HasSubstr("y.toml:1:1"));
    EXPECT_THAT(error_of("[lifetime]\nlease_ms = 500\nlease_ms = 500\n"), HasSubstr("y.toml:3:"));
}

TEST(Config, TheDefaultTextNamesEveryOptionAndIsValidWithAndWithoutComments) {
    const std::string text = default_config();
    EXPECT_TRUE(parse_config(text, "d"));
    std::string uncommented = text;  // options stand right behind their #, sentences do not
    for (std::size_t at = 0; (at = uncommented.find("\n#", at)) != std::string::npos; ++at) {
        if (uncommented[at + 2] != ' ') {
            uncommented.erase(at + 1, 1);
        }
    }
    const auto active = parse_config(uncommented, "d");
    ASSERT_TRUE(active) << active.error().message;
    const Config config;
    EXPECT_EQ(active->total_workers, config.total_workers);
    EXPECT_EQ(active->suspects_window_s, config.suspects_window_s);
    EXPECT_EQ(active->log_topics.size(), 6U);
    EXPECT_THAT(text, HasSubstr("\n#idle_exit_s = 10\n"));
}

TEST(Config, ThePackagedFileIsTheDefault) {
    std::ifstream stream(YOKE_PACKAGING "/yoke.toml");
    const std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    EXPECT_EQ(text, default_config()) << "yoked --default-config > packaging/yoke.toml";
}

TEST(Config, AFileThatIsNotThereIsAnErrorOnlyWhenItWasNamed) {
    EXPECT_TRUE(load_config("/nonexistent/yoke.toml", false));
    const auto named = load_config("/nonexistent/yoke.toml", true);
    ASSERT_FALSE(named);
    EXPECT_EQ(named.error().code, ENOENT);
    EXPECT_THAT(named.error().message, HasSubstr("/nonexistent/yoke.toml"));
}

}  // namespace
}  // namespace yoke::daemon
