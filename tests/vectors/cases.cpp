// One function per kind of file turns a record into a case; a record that lacks a field is an error with its line.
#include "vectors/cases.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <sstream>

namespace yoke::vectors {
namespace {

// What Debian 12's package holds. Fewer means that vectors were lost on the way.
const std::map<std::uint16_t, std::size_t> least_cases = {
    {YOKE_SERVICE_AES_ECB, 2138}, {YOKE_SERVICE_AES_CBC, 2138},  {YOKE_SERVICE_AES_CTR, 9},
    {YOKE_SERVICE_AES_XTS, 2800}, {YOKE_SERVICE_AES_GCM, 47250}, {YOKE_SERVICE_SHA256, 129},
};

constexpr std::size_t monte_carlo_links = 100;
constexpr std::size_t key_192_bytes = 24;
const std::string remedy = "apt install python3-cryptography-vectors";

// Reads fields of one record and remembers the first that is missing or malformed.
class Fields {
   public:
    explicit Fields(const Record& record) : record_(record) {}

    [[nodiscard]] bool has(const std::string& name) const { return record_.fields.contains(name); }

    Bytes hex(const std::string& name) {
        const auto found = record_.fields.find(name);
        if (found == record_.fields.end()) {
            return blame(name, "is missing");
        }
        auto bytes = parse_hex(found->second);
        return bytes ? *bytes : blame(name, bytes.error());
    }

    std::uint64_t number(const std::string& name) {
        const auto found = record_.fields.find(name);
        std::uint64_t value = 0;
        if (found == record_.fields.end()) {
            blame(name, "is missing");
            return value;
        }
        const char* const end = found->second.data() + found->second.size();
        const auto [stop, code] = std::from_chars(found->second.data(), end, value);
        if (code != std::errc{} || stop != end) {
            blame(name, "is not a number");
        }
        return value;
    }

    void block(const std::string& name, std::uint8_t (&to)[16]) {
        const Bytes bytes = hex(name);
        if (bytes.size() == sizeof to) {
            std::memcpy(to, bytes.data(), sizeof to);
        } else {
            blame(name, "is not 16 bytes");
        }
    }

    [[nodiscard]] bool fails() const { return record_.fail; }

    // True for [ENCRYPT], false for [DECRYPT].
    bool encrypts() {
        if (record_.section != "ENCRYPT" && record_.section != "DECRYPT") {
            blame("section", "is neither ENCRYPT nor DECRYPT");
        }
        return record_.section == "ENCRYPT";
    }

    [[nodiscard]] const std::string& error() const { return error_; }

   private:
    Bytes blame(const std::string& name, const std::string& what) {
        if (error_.empty()) {
            error_ = "line " + std::to_string(record_.line) + ": " + name + " " + what;
        }
        return {};
    }

    const Record& record_;
    std::string error_;
};

template <typename T>
void set_params(Case& made, const T& params) {
    made.flags |= YOKE_FLAG_PARAMS;
    made.params = std::bit_cast<decltype(made.params)>(params);
}

void set_direction(Case& made, bool encrypts, Bytes plain, Bytes cipher) {
    if (!encrypts) {
        made.flags |= YOKE_FLAG_DECRYPT;
    }
    made.in = encrypts ? plain : cipher;
    made.expected = encrypts ? std::move(cipher) : std::move(plain);
}

Bytes joined(Bytes first, const Bytes& second) {
    first.insert(first.end(), second.begin(), second.end());
    return first;
}

// Each function fills a case from the fields of a record and returns false if the ABI has no place for it.
using Fill = bool (*)(Fields& fields, Case& made);

bool fill_ecb(Fields& fields, Case& made) {
    made.key = fields.hex("key");
    set_direction(made, fields.encrypts(), fields.hex("plaintext"), fields.hex("ciphertext"));
    return true;
}

bool fill_iv(Fields& fields, Case& made) {
    yoke_params_aes_iv params{};
    fields.block("iv", params.iv);
    set_params(made, params);
    return fill_ecb(fields, made);
}

bool fill_xts(Fields& fields, Case& made) {
    made.key = fields.hex("key");
    yoke_params_aes_xts params{};
    if (fields.has("i")) {
        fields.block("i", params.start);
    } else {
        const std::uint64_t unit = fields.number("dataunitseqnumber");
        for (unsigned i = 0; i < 8; ++i) {
            params.start[i] = static_cast<std::uint8_t>(unit >> (8 * i));
        }
    }
    const std::uint64_t bits = fields.number("dataunitlen");
    params.unit = static_cast<std::uint32_t>(bits / 8);
    set_params(made, params);
    set_direction(made, fields.encrypts(), fields.hex("pt"), fields.hex("ct"));
    return bits % 8 == 0;
}

bool fill_gcm(Fields& fields, Case& made, bool encrypts) {
    made.key = fields.hex("key");
    const Bytes iv = fields.hex("iv");
    const Bytes aad = fields.hex("aad");
    const Bytes tag = fields.hex("tag");
    const Bytes cipher = fields.hex("ct");
    const Bytes plain = fields.fails() ? Bytes(cipher.size()) : fields.hex("pt");
    yoke_params_aes_gcm params{};
    params.iv_length = static_cast<std::uint32_t>(iv.size());
    params.aad_length = static_cast<std::uint32_t>(aad.size());
    params.tag_length = static_cast<std::uint32_t>(tag.size());
    set_params(made, params);
    made.aux = joined(iv, aad);
    set_direction(made, encrypts, plain, joined(cipher, tag));
    made.status = fields.fails() ? -EBADMSG : 0;
    return true;
}

bool fill_gcm_encrypt(Fields& fields, Case& made) {
    return fill_gcm(fields, made, true);
}
bool fill_gcm_decrypt(Fields& fields, Case& made) {
    return fill_gcm(fields, made, false);
}

bool fill_sha256(Fields& fields, Case& made) {
    made.in = fields.hex("msg");
    made.in.resize(std::min<std::size_t>(made.in.size(), fields.number("len") / 8));  // the empty message reads "00"
    made.expected = fields.hex("md");
    set_params(made, yoke_params_sha256{});
    return true;
}

// Files whose names differ only in the parts put where '*' and '#' stand.
struct Family {
    std::uint16_t service;
    const char* path;
    std::vector<const char*> kinds;  // '*'
    std::vector<const char*> bits;   // '#'
    Fill fill;
};

std::vector<Family> families() {
    const std::vector<const char*> bits = {"128", "192", "256"};
    const std::vector<const char*> kinds = {"GFSbox", "KeySbox", "MMT", "VarKey", "VarTxt"};
    return {
        {YOKE_SERVICE_AES_ECB, "ciphers/AES/ECB/ECB*#.rsp", kinds, bits, fill_ecb},
        {YOKE_SERVICE_AES_CBC, "ciphers/AES/CBC/CBC*#.rsp", kinds, bits, fill_iv},
        {YOKE_SERVICE_AES_CTR, "ciphers/AES/CTR/aes-#-ctr.txt", {""}, bits, fill_iv},
        {YOKE_SERVICE_AES_XTS,
         "ciphers/AES/XTS/tweak-*/XTSGenAES#.rsp",
         {"128hexstr", "dataunitseqno"},
         {"128", "256"},
         fill_xts},
        {YOKE_SERVICE_AES_GCM, "ciphers/AES/GCM/gcmEncryptExtIV#.rsp", {""}, bits, fill_gcm_encrypt},
        {YOKE_SERVICE_AES_GCM, "ciphers/AES/GCM/gcmDecrypt#.rsp", {""}, bits, fill_gcm_decrypt},
        {YOKE_SERVICE_SHA256, "hashes/SHA2/SHA256*Msg.rsp", {"Short", "Long"}, {""}, fill_sha256},
    };
}

std::string file_name(const Family& family, const char* kind, const char* bits) {
    std::string name;
    for (const char* at = family.path; *at != '\0'; ++at) {
        name += *at == '*' ? kind : *at == '#' ? bits : std::string(1, *at);
    }
    return name;
}

Result<void> load_file(const std::string& directory, const std::string& file, const Family& family, Vectors& vectors) {
    const auto records = read_rsp(directory + "/" + file);
    if (!records) {
        return tl::unexpected(records.error());
    }
    for (const Record& record : *records) {
        Fields fields(record);
        Case made;
        made.name = file + ":" + std::to_string(record.line);
        made.service = family.service;
        const bool has_place = family.fill(fields, made);
        if (!fields.error().empty()) {
            return tl::unexpected("file " + file + ": " + fields.error());
        }
        if (made.key.size() == key_192_bytes) {
            made.key_error = EKEYREJECTED;
        }
        if (has_place) {
            ++vectors.counts[made.service];
            vectors.cases.push_back(std::move(made));
        } else {
            ++vectors.skipped;
        }
    }
    return {};
}

Result<void> load_monte_carlo(const std::string& directory, Vectors& vectors) {
    const std::string file = "hashes/SHA2/SHA256Monte.rsp";
    const auto records = read_rsp(directory + "/" + file);
    if (!records) {
        return tl::unexpected(records.error());
    }
    MonteCarlo test;
    test.name = file;
    test.service = YOKE_SERVICE_SHA256;
    for (const Record& record : *records) {
        Fields fields(record);
        if (fields.has("seed")) {
            test.seed = fields.hex("seed");
        } else {
            test.expected.push_back(fields.hex("md"));
        }
        if (!fields.error().empty()) {
            return tl::unexpected("file " + file + ": " + fields.error());
        }
    }
    if (test.seed.empty() || test.expected.size() < monte_carlo_links) {
        return tl::unexpected("file " + file + " is cut short; " + remedy);
    }
    vectors.monte_carlo.push_back(std::move(test));
    return {};
}

}  // namespace

std::string default_directory() {
    const char* const chosen = std::getenv("YOKE_VECTORS");
    return chosen != nullptr ? chosen : "/usr/lib/python3/dist-packages/cryptography_vectors";
}

Result<Vectors> load(const std::string& directory) {
    Vectors vectors;
    for (const Family& family : families()) {
        for (const char* kind : family.kinds) {
            for (const char* bits : family.bits) {
                const auto loaded = load_file(directory, file_name(family, kind, bits), family, vectors);
                if (!loaded) {
                    return tl::unexpected(loaded.error());
                }
            }
        }
    }
    if (const auto loaded = load_monte_carlo(directory, vectors); !loaded) {
        return tl::unexpected(loaded.error());
    }
    for (const auto& [service, least] : least_cases) {
        if (vectors.counts[service] < least) {
            std::ostringstream message;
            message << "folder " << directory << " has " << vectors.counts[service] << " of at least " << least
                    << " vectors for service " << service << "; " << remedy;
            return tl::unexpected(message.str());
        }
    }
    return vectors;
}

}  // namespace yoke::vectors
