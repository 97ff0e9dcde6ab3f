// An image of compiled code: what is written is read again, and what is cut or changed is refused.
#include "device/cuda/image.hpp"

#include <gtest/gtest.h>

namespace yoke::device::cuda {
namespace {

Image sample() {
    Image image;
    image.symbol = "_Z3addPiS_i";
    image.has_parameters = true;
    image.parameters.push_back({Parameter::Kind::buffer, 0, "in", "int*", "i32", true});
    image.parameters.push_back({Parameter::Kind::constant, 0, "n", "int"});
    image.code = {1, 2, 3, 0, 255};
    return image;
}

TEST(CudaImage, ComesBackAsItWas) {
    const Image image = sample();
    auto again = image_from_untrusted(bytes_of(image));
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(again->symbol, image.symbol);
    EXPECT_TRUE(again->has_parameters);
    ASSERT_EQ(again->parameters.size(), 2U);
    EXPECT_EQ(again->parameters[0].kind, Parameter::Kind::buffer);
    EXPECT_EQ(again->parameters[0].element, "i32");
    EXPECT_TRUE(again->parameters[0].read_only);
    EXPECT_EQ(again->parameters[1].element, "");
    EXPECT_FALSE(again->parameters[1].read_only);
    EXPECT_EQ(again->parameters[1].name, "n");
    EXPECT_EQ(again->parameters[1].type, "int");
    EXPECT_EQ(again->code, image.code);
}

TEST(CudaImage, MaliciousBytesAreRefused) {
    const std::vector<unsigned char> whole = bytes_of(sample());
    for (std::size_t length = 0; length + sample().code.size() <= whole.size(); ++length) {
        EXPECT_FALSE(image_from_untrusted(std::span(whole).first(length))) << length;
    }
    for (std::size_t at = 0; at < whole.size() - sample().code.size(); ++at) {
        for (const unsigned change : {0x01U, 0x80U, 0xffU}) {
            std::vector<unsigned char> bytes = whole;
            bytes[at] = static_cast<unsigned char>(bytes[at] ^ change);
            auto image = image_from_untrusted(bytes);  // may be another image, never more bytes than there are
            EXPECT_TRUE(!image || image->code.size() <= bytes.size());
        }
    }
    std::vector<unsigned char> kind = whole;
    const std::string text(kind.begin(), kind.end());
    kind[text.find("\"kind\":1") + 7] = '9';
    EXPECT_EQ(image_from_untrusted(kind).error().code, EBADMSG);
}

}  // namespace
}  // namespace yoke::device::cuda
