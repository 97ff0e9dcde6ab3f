// The ten-line hello world: the SHA-256 of a word, wherever that is computed fastest.
#include <cstdio>
#include <cstring>

#include <yoke/yoke.hpp>

int main() try {
    yoke::Session session;  // starts a private daemon if none runs
    const yoke::Buffer text = session.alloc(5);
    const yoke::Buffer digest = session.alloc(32);
    std::memcpy(text.data(), "hello", 5);
    session.call(yoke::Call(YOKE_SERVICE_SHA256, text, digest));
    for (const std::byte byte : digest.bytes()) {
        std::printf("%02x", std::to_integer<unsigned>(byte));
    }
    std::printf("\n");
} catch (const yoke::error& failure) {
    std::fprintf(stderr, "%s\n", failure.what());
    return 1;
}
