// See recipe.hpp.
#include "cli/recipe.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "cli/file.hpp"
#include "cli/number.hpp"

namespace yoke::cli {
namespace {

constexpr std::size_t piece_bytes_default = 1U << 20U;  // long enough that a call's fixed cost vanishes
constexpr std::size_t aad_bytes_max = 16U << 20U;
constexpr std::uint32_t iv_bytes_max = 128;          // uapi: yoke_params_aes_gcm.iv_length
constexpr std::uint32_t unit_bytes_max = 1U << 24U;  // uapi: yoke_params_aes_xts.unit
constexpr std::size_t block_bytes = 16;

struct Entry {
    const char* name;
    std::uint16_t id;
};
constexpr std::array<Entry, 7> services{{{"aes-cbc", YOKE_SERVICE_AES_CBC},
                                         {"aes-ctr", YOKE_SERVICE_AES_CTR},
                                         {"aes-ecb", YOKE_SERVICE_AES_ECB},
                                         {"aes-gcm", YOKE_SERVICE_AES_GCM},
                                         {"aes-xts", YOKE_SERVICE_AES_XTS},
                                         {"echo", YOKE_SERVICE_ECHO},
                                         {"sha256", YOKE_SERVICE_SHA256}}};

const char* name_of(std::uint16_t service) {
    const auto* entry = std::find_if(services.begin(), services.end(), [&](const Entry& e) { return e.id == service; });
    return entry == services.end() ? "?" : entry->name;
}

Done refuse_foreign(const CallOptions& options, const Recipe& recipe) {
    const auto service = recipe.service();
    const bool cipher = recipe.needs_key();
    const bool with_iv =
        service == YOKE_SERVICE_AES_CBC || service == YOKE_SERVICE_AES_CTR || service == YOKE_SERVICE_AES_GCM;
    struct Rule {
        bool given;
        bool belongs;
        const char* option;
        const char* owner;
    };
    const std::array<Rule, 9> rules{
        {{options.key_file.has_value(), cipher, "--key-file", "the aes services"},
         {options.decrypt, cipher, "--decrypt", "the aes services"},
         {options.unit.has_value(), service == YOKE_SERVICE_AES_XTS, "--unit", "aes-xts"},
         {options.start.has_value(), service == YOKE_SERVICE_AES_XTS, "--start", "aes-xts"},
         {options.iv.has_value(), with_iv, "--iv", "aes-cbc, aes-ctr and aes-gcm"},
         {options.aad_file.has_value(), service == YOKE_SERVICE_AES_GCM, "--aad-file", "aes-gcm"},
         {options.tag_length.has_value(), service == YOKE_SERVICE_AES_GCM, "--tag-length", "aes-gcm"},
         {options.message.has_value(), service == YOKE_SERVICE_SHA256, "--message", "sha256"},
         {options.binary, service == YOKE_SERVICE_SHA256, "--binary", "sha256"}}};
    for (const Rule& rule : rules) {
        if (rule.given && !rule.belongs) {
            return fail(exit_usage, "{} is for {}, not for {}", rule.option, rule.owner, options.service);
        }
    }
    if (cipher && !options.key_file) {
        return fail(exit_usage, "{} needs a key; name a file with its raw bytes: --key-file FILE", options.service);
    }
    if (with_iv && !options.iv) {
        return fail(exit_usage, "{} needs --iv HEX", options.service);
    }
    return {};
}

}  // namespace

std::string Recipe::service_names() {
    std::string text;
    for (const Entry& entry : services) {
        text += (text.empty() ? "" : ", ") + std::string(entry.name);
    }
    return text;
}

Outcome<Recipe> Recipe::make(const CallOptions& options) {
    const auto* entry =
        std::find_if(services.begin(), services.end(), [&](const Entry& e) { return options.service == e.name; });
    if (entry == services.end()) {
        return fail(exit_no_object, "there is no service {}; there are {}", options.service, service_names());
    }
    Recipe recipe;
    recipe.service_ = entry->id;
    recipe.decrypt_ = options.decrypt;
    if (auto done = refuse_foreign(options, recipe); !done) {
        return tl::unexpected<Failure>(done.error());
    }
    if (auto done = recipe.take_options(options); !done) {
        return tl::unexpected<Failure>(done.error());
    }
    recipe.choose_piece();
    return recipe;
}

Done Recipe::take_options(const CallOptions& options) {
    unit_ = options.unit.value_or(unit_);
    tag_length_ = options.tag_length.value_or(tag_length_);
    message_ = options.message.value_or(0);
    if (unit_ < block_bytes || unit_ > unit_bytes_max) {
        return fail(exit_usage, "--unit {} is not between {} and {} bytes", unit_, block_bytes, unit_bytes_max);
    }
    if (tag_length_ != 4 && tag_length_ != 8 && (tag_length_ < 12 || tag_length_ > 16)) {
        return fail(exit_usage, "--tag-length {} is none of 4, 8, 12, 13, 14, 15, 16 bytes", tag_length_);
    }
    if ((options.message && message_ == 0) || message_ > YOKE_CALL_BYTES_MAX) {
        return fail(exit_usage, "--message {} is not between 1 and {} bytes", message_, YOKE_CALL_BYTES_MAX);
    }
    if (options.start) {
        const auto number = parse_number128(*options.start);
        if (!number) {
            return fail(exit_usage, "--start: {}", number.error().message);
        }
        position_.assign(number->begin(), number->end());
    }
    if (auto done = take_iv(options.iv); !done) {
        return done;
    }
    return take_aad(options.aad_file);
}

Done Recipe::take_iv(const std::optional<std::string>& text) {
    if (!text) {
        return {};
    }
    auto bytes = parse_hex(*text);
    if (!bytes) {
        return fail(exit_usage, "--iv: {}", bytes.error().message);
    }
    if (service_ == YOKE_SERVICE_AES_GCM) {
        if (bytes->empty() || bytes->size() > iv_bytes_max) {
            return fail(exit_usage, "--iv has {}; aes-gcm takes 1 to {} (12 is usual)", counted(bytes->size(), "byte"),
                        iv_bytes_max);
        }
        iv_length_ = static_cast<std::uint32_t>(bytes->size());
        aux_ = std::move(*bytes);
        return {};
    }
    if (bytes->size() != block_bytes) {
        return fail(exit_usage, "--iv has {}; {} takes {}", counted(bytes->size(), "byte"), name_of(service_),
                    block_bytes);
    }
    position_ = std::move(*bytes);
    return {};
}

Done Recipe::take_aad(const std::optional<std::string>& path) {
    if (!path) {
        return {};
    }
    const auto bytes = read_small_file(*path, aad_bytes_max, "AAD file");
    if (!bytes) {
        return tl::unexpected<Failure>(bytes.error());
    }
    aux_.insert(aux_.end(), bytes->begin(), bytes->end());
    return {};
}

void Recipe::choose_piece() {
    std::size_t granule = 1;
    switch (service_) {
        case YOKE_SERVICE_AES_ECB:
        case YOKE_SERVICE_AES_CBC:
        case YOKE_SERVICE_AES_CTR:
            granule = block_bytes;
            break;
        case YOKE_SERVICE_AES_XTS:
            granule = unit_;
            break;
        case YOKE_SERVICE_SHA256:
            granule = std::max<std::size_t>(message_, 1);
            break;
        default:
            break;
    }
    piece_bytes_ = std::max(granule, piece_bytes_default / granule * granule);
}

bool Recipe::whole() const {
    return service_ == YOKE_SERVICE_AES_GCM || (service_ == YOKE_SERVICE_SHA256 && message_ == 0);
}

std::size_t Recipe::out_bytes(std::size_t in_bytes) const {
    constexpr std::size_t digest_bytes = 32;
    switch (service_) {
        case YOKE_SERVICE_SHA256:
            return message_ == 0 ? digest_bytes : in_bytes / message_ * digest_bytes;
        case YOKE_SERVICE_AES_GCM:
            return decrypt_ ? in_bytes - std::min<std::size_t>(tag_length_, in_bytes) : in_bytes + tag_length_;
        default:
            return in_bytes;
    }
}

Done Recipe::check_last(std::size_t piece, std::uint64_t total) const {
    switch (service_) {
        case YOKE_SERVICE_AES_ECB:
        case YOKE_SERVICE_AES_CBC:
            if (piece % block_bytes != 0) {
                return fail(exit_failed, "the input has {}; {} takes whole blocks of {}, so pad it first",
                            counted(total, "byte"), name_of(service_), block_bytes);
            }
            break;
        case YOKE_SERVICE_AES_XTS:
            if (const auto rest = piece % unit_; rest != 0 && rest < block_bytes) {
                return fail(exit_failed,
                            "the input has {}, so its last data unit would have {}; aes-xts needs at least {}, so pad "
                            "the input or choose another --unit",
                            counted(total, "byte"), rest, block_bytes);
            }
            break;
        case YOKE_SERVICE_SHA256:
            if (message_ != 0 && piece % message_ != 0) {
                return fail(exit_failed, "the input has {}, which is no whole number of messages of {}",
                            counted(total, "byte"), message_);
            }
            break;
        case YOKE_SERVICE_AES_GCM:
            if (decrypt_ && piece < tag_length_) {
                return fail(exit_failed, "the input has {}, less than its tag of {}; is it the right file?",
                            counted(total, "byte"), tag_length_);
            }
            break;
        default:
            break;
    }
    return {};
}

void Recipe::next(std::span<const std::byte> in, std::span<std::byte, YOKE_PAYLOAD_BYTES> params) {
    std::fill(params.begin(), params.end(), std::byte{0});
    const std::span<std::byte, 16> position(position_);
    switch (service_) {
        case YOKE_SERVICE_AES_XTS: {
            yoke_params_aes_xts xts{};
            std::memcpy(xts.start, position_.data(), sizeof xts.start);
            xts.unit = unit_;
            std::memcpy(params.data(), &xts, sizeof xts);
            add_little_endian(position, (in.size() + unit_ - 1) / unit_);
            break;
        }
        case YOKE_SERVICE_AES_CTR:
            std::copy(position.begin(), position.end(), params.begin());
            add_big_endian(position, (in.size() + block_bytes - 1) / block_bytes);
            break;
        case YOKE_SERVICE_AES_CBC:
            std::copy(position.begin(), position.end(), params.begin());
            if (decrypt_ && in.size() >= block_bytes) {
                std::copy_n(in.end() - block_bytes, block_bytes, position.begin());
            }
            break;
        case YOKE_SERVICE_AES_GCM: {
            yoke_params_aes_gcm gcm{};
            gcm.iv_length = iv_length_;
            gcm.aad_length = static_cast<std::uint32_t>(aux_.size()) - iv_length_;
            gcm.tag_length = tag_length_;
            std::memcpy(params.data(), &gcm, sizeof gcm);
            break;
        }
        case YOKE_SERVICE_SHA256: {
            yoke_params_sha256 sha256{};
            sha256.message = message_;
            std::memcpy(params.data(), &sha256, sizeof sha256);
            break;
        }
        default:
            break;
    }
}

void Recipe::done(std::span<const std::byte> out) {
    if (serial() && out.size() >= block_bytes) {
        std::copy_n(out.end() - block_bytes, block_bytes, position_.begin());
    }
}

Done check_key_length(std::uint16_t service, std::size_t bytes, const std::string& name) {
    const bool xts = service == YOKE_SERVICE_AES_XTS;
    if (bytes == 32 || bytes == (xts ? 64 : 16)) {
        return {};
    }
    return fail(exit_failed, "key file {} has {}; {} takes {}", name, counted(bytes, "byte"), name_of(service),
                xts ? "32 or 64" : "16 or 32");
}

}  // namespace yoke::cli
