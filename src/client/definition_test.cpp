// The C structures of graph objects into definitions, and what is refused before a worker is asked.
#include "client/definition.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace yoke::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

yoke_port port(std::uint32_t direction, std::uint32_t flags = 0) {
    yoke_port made{};
    std::strcpy(made.form.type, "u32");
    std::ranges::fill(made.form.extent, 1);
    made.direction = direction;
    made.flags = flags;
    return made;
}

TEST(ClientDefinition, Ports) {
    const std::uint32_t seven = 7;
    yoke_port made = port(YOKE_IN_OUT, YOKE_PORT_INIT | YOKE_PORT_VARIABLE);
    made.initial = &seven;
    made.initial_bytes = sizeof(seven);
    auto defined = port_of("/g/p:x", made);
    ASSERT_TRUE(defined) << defined.error().message;
    EXPECT_EQ(defined->direction, control::Direction::in_out);
    EXPECT_TRUE(defined->init && defined->variable && !defined->sticky);
    EXPECT_THAT(defined->initial, ElementsAre(7, 0, 0, 0));
    made = port(YOKE_IN);
    made.meta = YOKE_META_SIZE;
    made.of = "out";
    defined = port_of("/g/p:n", made);
    ASSERT_TRUE(defined) << defined.error().message;
    EXPECT_EQ(defined->of, "/g/p:out");
    EXPECT_EQ(defined->meta, control::Meta::size);
}

TEST(ClientDefinition, WrongPorts) {
    EXPECT_EQ(port_of("/g/p:x", port(0)).error().code, EINVAL);
    EXPECT_EQ(port_of("/g/p:x", port(4)).error().code, EINVAL);
    EXPECT_EQ(port_of("/g/p:x", port(YOKE_IN, 1U << 5U)).error().code, EINVAL);
    EXPECT_THAT(port_of("/g/p:x", port(YOKE_OUT, YOKE_PORT_STICKY)).error().message, HasSubstr("is sticky"));
    yoke_port made = port(YOKE_IN);
    made.meta = 3;
    EXPECT_EQ(port_of("/g/p:x", made).error().code, EINVAL);
    made = port(YOKE_IN, YOKE_PORT_INIT);
    made.initial_bytes = 4;
    EXPECT_THAT(port_of("/g/p:x", made).error().message, HasSubstr("no initial value"));
}

TEST(ClientDefinition, PtasksWithSeveralForms) {
    std::array<yoke_form, 3> forms{};
    forms[0].source = "kernel";
    forms[0].function = "f";
    forms[0].geometry_from[0] = "in";
    forms[0].geometry_from[1] = "largest-input";
    forms[1].form = "cubin";
    forms[1].source = "a\0b";
    forms[1].source_bytes = 3;
    forms[1].function = "f";
    forms[2].form = "service";
    forms[2].function = "sha256";
    yoke_params_sha256 params{};
    params.message = 64;
    forms[2].params = &params;
    const float half = 0.5F;
    const std::array<yoke_ptask_argument, 2> arguments{
        {{"in", nullptr, 0, YOKE_TELLS_COUNT, 0}, {nullptr, &half, sizeof(half), 0, 0}}};
    yoke_ptask made{};
    made.forms = forms.data();
    made.form_count = forms.size();
    made.arguments = arguments.data();
    made.argument_count = arguments.size();
    made.priority = 9;
    auto defined = ptask_of("/g/p", made);
    ASSERT_TRUE(defined) << defined.error().message;
    EXPECT_THAT(defined->kernel.geometry_from, ElementsAre("/g/p:in", "largest-input", ""));
    ASSERT_EQ(defined->others.size(), 2U);
    EXPECT_EQ(defined->others[0].source, std::string("a\0b", 3));
    EXPECT_EQ(defined->others[1].parameters.size(), 48U);
    EXPECT_EQ(defined->arguments[0].tells, control::ArgumentDefinition::Tells::count);
    EXPECT_EQ(defined->arguments[1].constant.size(), 4U);
    EXPECT_EQ(defined->priority, 9);
    made.priority = 0;
    EXPECT_EQ(ptask_of("/g/p", made)->priority, control::priority_default);
    made.form_count = 0;
    EXPECT_THAT(ptask_of("/g/p", made).error().message, HasSubstr("has 0 forms"));
    made.form_count = 1;
    forms[0].source = nullptr;
    EXPECT_THAT(ptask_of("/g/p", made).error().message, HasSubstr("a kernel without program"));
    forms[0].source = "kernel";
    forms[0].flags = YOKE_FLAG_END;
    EXPECT_EQ(ptask_of("/g/p", made).error().code, EINVAL);
}

TEST(ClientDefinition, Channels) {
    yoke_channel made{};
    made.destination = "/g/p:in";
    made.endpoint = YOKE_ENDPOINT_FILE;
    made.path = "frames.raw";
    made.flags = YOKE_CHANNEL_REPEAT | YOKE_CHANNEL_RAW;
    made.destination_when = "unless drop";
    auto defined = channel_of("/g/c", made);
    ASSERT_TRUE(defined) << defined.error().message;
    EXPECT_EQ(defined->endpoint->path, std::filesystem::current_path() / "frames.raw");
    EXPECT_TRUE(defined->endpoint->repeat);
    EXPECT_TRUE(defined->endpoint->raw);
    EXPECT_EQ(control::predicate_text(defined->destination_when), "unless drop");
    EXPECT_EQ(defined->capacity, control::capacity_default);
    made.endpoint = YOKE_ENDPOINT_V4L2;
    made.flags = YOKE_CHANNEL_RAW;
    EXPECT_THAT(channel_of("/g/c", made).error().message, HasSubstr("is raw but reads no file, FIFO or socket"));
    made.endpoint = YOKE_ENDPOINT_UINPUT;
    EXPECT_THAT(channel_of("/g/c", made).error().message, HasSubstr("begins at uinput"));
    made.endpoint = YOKE_ENDPOINT_NONE;
    EXPECT_THAT(channel_of("/g/c", made).error().message, HasSubstr("has no endpoint"));
    made.path = nullptr;
    made.flags = YOKE_CHANNEL_BACK;
    EXPECT_THAT(channel_of("/g/c", made).error().message, HasSubstr("marked back"));
    made.flags = 0;
    made.source_when = "on start";
    EXPECT_THAT(channel_of("/g/c", made).error().message, HasSubstr("no control signal"));
}

}  // namespace
}  // namespace yoke::client
