// Element types, sizes of rows and datablocks, and the numbers that would overflow.
#include "control/template.hpp"

#include <gtest/gtest.h>

namespace yoke::control {
namespace {

TEST(Template, ElementTypes) {
    EXPECT_EQ(parse_element_type("u8")->bytes(), 1U);
    EXPECT_EQ(parse_element_type("i16x3")->bytes(), 6U);
    EXPECT_EQ(parse_element_type("f32x3")->bytes(), 12U);
    EXPECT_EQ(parse_element_type("f32x4")->bytes(), 16U);
    EXPECT_EQ(parse_element_type("f64x16")->bytes(), 128U);
    EXPECT_EQ(parse_element_type("f16x2")->scalar, ElementType::Scalar::floating);
    EXPECT_EQ(parse_element_type("i64")->scalar, ElementType::Scalar::signed_integer);
    EXPECT_EQ(parse_element_type("u32x8")->lanes, 8U);
    for (const char* const wrong :
         {"", "u", "u7", "u8x", "u8x1", "u8x5", "u8x04", "f8", "float", "U8", "u8 ", "u8x4x4"}) {
        EXPECT_EQ(parse_element_type(wrong).error().code, EINVAL) << wrong;
    }
}

TEST(Template, Bytes) {
    EXPECT_EQ(*template_bytes({"u16", {640, 480, 1}, 0}), 640U * 480 * 2);
    EXPECT_EQ(*template_bytes({"f32x3", {5, 2, 3}, 0}), 360U);
    EXPECT_EQ(*template_bytes({"u16", {640, 480, 2}, 2048}), 2048U * 480 * 2);
    EXPECT_EQ(*row_bytes({"u16", {640, 480, 2}, 2048}), 2048U);
    EXPECT_EQ(*row_bytes({"u16", {640, 480, 2}, 0}), 1280U);
    EXPECT_EQ(*template_bytes({"u8", {1U << 30U, 1, 1}, 0}), datablock_bytes_max);
}

TEST(Template, SameForm) {
    EXPECT_TRUE(same_form({"u16", {4, 2, 1}, 0}, {"u16", {4, 2, 1}, 8}));
    EXPECT_FALSE(same_form({"u16", {4, 2, 1}, 0}, {"u16", {4, 2, 1}, 16}));
    EXPECT_FALSE(same_form({"u16", {4, 2, 1}, 0}, {"i16", {4, 2, 1}, 0}));
    EXPECT_FALSE(same_form({"u16", {4, 2, 1}, 0}, {"u16", {2, 4, 1}, 0}));
    EXPECT_FALSE(same_form({"x", {4, 2, 1}, 0}, {"x", {4, 2, 1}, 0})) << "no valid template";
}

TEST(Template, Text) {
    EXPECT_EQ(template_text({"f32x4", {640, 480, 1}, 0}), "f32x4 640x480");
    EXPECT_EQ(template_text({"u8", {7, 1, 1}, 64}), "u8 7 stride 64");
    EXPECT_EQ(template_text({"u8", {7, 1, 2}, 0}), "u8 7x1x2");
}

TEST(MaliciousTemplate, ProductsThatOverflow) {
    constexpr std::uint64_t huge = ~std::uint64_t{0};
    for (const TemplateDefinition& form :
         {TemplateDefinition{"u8", {huge, 1, 1}, 0},
          TemplateDefinition{"f64x16", {extent_max, extent_max, extent_max}, 0},
          TemplateDefinition{"u8", {1, huge, huge}, 0}, TemplateDefinition{"u8", {1, 1U << 16U, 1U << 15U}, 0},
          TemplateDefinition{"u8", {1, 1, 1}, huge}, TemplateDefinition{"u8", {1, 2, 1}, extent_max},
          TemplateDefinition{"u8", {(1U << 30U) + 1, 1, 1}, 0}}) {
        auto bytes = template_bytes(form);
        ASSERT_FALSE(bytes) << template_text(form);
        EXPECT_EQ(bytes.error().code, EMSGSIZE);
    }
}

TEST(MaliciousTemplate, WhatIsNeverValid) {
    for (const TemplateDefinition& form :
         {TemplateDefinition{"u8", {0, 1, 1}, 0}, TemplateDefinition{"u8", {1, 0, 1}, 0},
          TemplateDefinition{"u8", {1, 1, 0}, 0}, TemplateDefinition{"u16", {4, 1, 1}, 7},
          TemplateDefinition{"u16", {4, 1, 1}, 9}, TemplateDefinition{"", {4, 1, 1}, 0}}) {
        auto bytes = template_bytes(form);
        ASSERT_FALSE(bytes) << template_text(form);
        EXPECT_EQ(bytes.error().code, EINVAL);
    }
}

}  // namespace
}  // namespace yoke::control
