// Predicates as text: every kind and every set of signals there and back, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/graph_file.hpp"

namespace yoke::control {
namespace {

using Kind = Predicate::Kind;
using testing::HasSubstr;

TEST(Predicate, TextAndBack) {
    for (const Kind kind : {Kind::on, Kind::unless, Kind::open_on, Kind::close_on}) {
        for (unsigned signals = 1; signals < 128; ++signals) {
            const Predicate predicate{kind, static_cast<std::uint8_t>(signals)};
            auto parsed = parse_predicate(predicate_text(predicate));
            ASSERT_TRUE(parsed) << parsed.error().message;
            EXPECT_EQ(*parsed, predicate);
        }
    }
    EXPECT_EQ(*parse_predicate(predicate_text({Kind::always, 0})), (Predicate{Kind::always, 0}));
    EXPECT_EQ(*parse_predicate(predicate_text({Kind::never, 0})), (Predicate{Kind::never, 0}));
}

TEST(Predicate, IsWrittenAsInTheDocumentation) {
    EXPECT_EQ(predicate_text({Kind::on, 0x03}), "on begin|end");
    EXPECT_EQ(predicate_text({Kind::open_on, 0x60}), "open-on user-1|user-2");
    EXPECT_EQ(signals_text(0x1c), "iteration-begin|iteration-end|drop");
    EXPECT_EQ(signals_text(0), "");
}

TEST(Predicate, RefusesWhatItDoesNotKnow) {
    for (const char* const text : {"", "on", "on ", "on begin|", "on |end", "on Begin", "on begin end", "always end",
                                   "never ", "if begin", "open on begin", " on begin", "on begin||end"}) {
        auto parsed = parse_predicate(text);
        ASSERT_FALSE(parsed) << text;
        EXPECT_EQ(parsed.error().code, EINVAL);
    }
    EXPECT_THAT(parse_predicate("on start").error().message, HasSubstr("\"start\" is no control signal; known are "));
    EXPECT_THAT(parse_predicate("on\x1b").error().message, HasSubstr("\\x1b"));
}

}  // namespace
}  // namespace yoke::control
