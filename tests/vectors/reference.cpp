// Data units and messages are taken one by one, in the plainest way.
#include "vectors/reference.hpp"

#include <gcrypt.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <span>

namespace yoke::vectors {
namespace {

using Cipher = std::unique_ptr<std::remove_pointer_t<gcry_cipher_hd_t>, decltype(&gcry_cipher_close)>;

bool started() {
    static const bool ready = [] {
        return gcry_check_version(nullptr) != nullptr && gcry_control(GCRYCTL_DISABLE_SECMEM, 0) == 0 &&
               gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0) == 0;
    }();
    return ready;
}

tl::unexpected<std::string> failed(gcry_error_t code) {
    return tl::unexpected(std::string("libgcrypt: ") + gcry_strerror(code));
}

int mode_of(std::uint16_t service) {
    switch (service) {
        case YOKE_SERVICE_AES_ECB:
            return GCRY_CIPHER_MODE_ECB;
        case YOKE_SERVICE_AES_CBC:
            return GCRY_CIPHER_MODE_CBC;
        case YOKE_SERVICE_AES_CTR:
            return GCRY_CIPHER_MODE_CTR;
        case YOKE_SERVICE_AES_XTS:
            return GCRY_CIPHER_MODE_XTS;
        default:
            return GCRY_CIPHER_MODE_GCM;
    }
}

gcry_error_t pass(gcry_cipher_hd_t cipher, bool decrypt, std::span<std::byte> out, std::span<const std::byte> in) {
    return decrypt ? gcry_cipher_decrypt(cipher, out.data(), out.size(), in.data(), in.size())
                   : gcry_cipher_encrypt(cipher, out.data(), out.size(), in.data(), in.size());
}

void increment(std::span<std::uint8_t, 16> little_endian) {
    for (std::uint8_t& byte : little_endian) {
        if (++byte != 0) {
            return;
        }
    }
}

Result<Bytes> xts(gcry_cipher_hd_t cipher, const Case& call, bool decrypt) {
    auto params = std::bit_cast<yoke_params_aes_xts>(call.params);
    Bytes out(call.in.size());
    for (std::size_t begin = 0; begin < out.size(); begin += params.unit) {
        const std::size_t length = std::min<std::size_t>(params.unit, out.size() - begin);
        gcry_error_t code = gcry_cipher_setiv(cipher, params.start, sizeof params.start);
        if (code == 0) {
            code =
                pass(cipher, decrypt, std::span(out).subspan(begin, length), std::span(call.in).subspan(begin, length));
        }
        if (code != 0) {
            return failed(code);
        }
        increment(params.start);
    }
    return out;
}

Result<Bytes> gcm(gcry_cipher_hd_t cipher, const Case& call, bool decrypt) {
    const auto params = std::bit_cast<yoke_params_aes_gcm>(call.params);
    const std::size_t text = decrypt ? call.in.size() - params.tag_length : call.in.size();
    Bytes out(text);
    gcry_error_t code = gcry_cipher_setiv(cipher, call.aux.data(), params.iv_length);
    if (code == 0) {
        code = gcry_cipher_authenticate(cipher, call.aux.data() + params.iv_length, params.aad_length);
    }
    if (code == 0) {
        code = gcry_cipher_final(cipher);
    }
    if (code == 0) {
        code = pass(cipher, decrypt, out, std::span(call.in).first(text));
    }
    if (code == 0 && decrypt) {
        code = gcry_cipher_checktag(cipher, call.in.data() + text, params.tag_length);
    }
    if (code == 0 && !decrypt) {
        out.resize(text + params.tag_length);
        code = gcry_cipher_gettag(cipher, out.data() + text, params.tag_length);
    }
    return code == 0 ? Result<Bytes>(std::move(out)) : failed(code);
}

Result<Bytes> aes(const Case& call) {
    const bool decrypt = (call.flags & YOKE_FLAG_DECRYPT) != 0;
    const std::size_t keys = call.service == YOKE_SERVICE_AES_XTS ? 2 : 1;
    gcry_cipher_hd_t opened = nullptr;
    gcry_error_t code = gcry_cipher_open(
        &opened, call.key.size() == 16 * keys ? GCRY_CIPHER_AES128 : GCRY_CIPHER_AES256, mode_of(call.service), 0);
    const Cipher cipher(opened, &gcry_cipher_close);
    if (code == 0) {
        code = gcry_cipher_setkey(opened, call.key.data(), call.key.size());
    }
    if (code != 0) {
        return failed(code);
    }
    if (call.service == YOKE_SERVICE_AES_XTS) {
        return xts(opened, call, decrypt);
    }
    if (call.service == YOKE_SERVICE_AES_GCM) {
        return gcm(opened, call, decrypt);
    }
    const auto params = std::bit_cast<yoke_params_aes_iv>(call.params);
    if (call.service == YOKE_SERVICE_AES_CBC) {
        code = gcry_cipher_setiv(opened, params.iv, sizeof params.iv);
    } else if (call.service == YOKE_SERVICE_AES_CTR) {
        code = gcry_cipher_setctr(opened, params.iv, sizeof params.iv);
    }
    Bytes out(call.in.size());
    if (code == 0) {
        code = pass(opened, decrypt, out, call.in);
    }
    return code == 0 ? Result<Bytes>(std::move(out)) : failed(code);
}

Bytes sha256(const Case& call) {
    constexpr std::size_t digest_bytes = 32;
    const std::size_t asked = std::bit_cast<yoke_params_sha256>(call.params).message;
    const std::size_t message = asked == 0 ? call.in.size() : asked;
    const std::size_t messages = asked == 0 ? 1 : call.in.size() / asked;
    Bytes out(messages * digest_bytes);
    for (std::size_t i = 0; i < messages; ++i) {
        gcry_md_hash_buffer(GCRY_MD_SHA256, out.data() + i * digest_bytes, call.in.data() + i * message, message);
    }
    return out;
}

}  // namespace

Result<Bytes> reference(const Case& call) {
    if (!started()) {
        return tl::unexpected(std::string("libgcrypt did not start; apt install libgcrypt20-dev"));
    }
    switch (call.service) {
        case YOKE_SERVICE_ECHO:
            return call.in;
        case YOKE_SERVICE_SHA256:
            return sha256(call);
        case YOKE_SERVICE_AES_ECB:
        case YOKE_SERVICE_AES_CBC:
        case YOKE_SERVICE_AES_CTR:
        case YOKE_SERVICE_AES_XTS:
        case YOKE_SERVICE_AES_GCM:
            return aes(call);
        default:
            return tl::unexpected("no reference for service " + std::to_string(call.service));
    }
}

}  // namespace yoke::vectors
