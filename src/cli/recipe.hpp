// What one service makes of a stream: how it is cut into calls, and how the parameters move on from one to the next.
//
// A call is a pure function of one range of memory. A stream longer than that is cut where the service allows it: XTS
// counts data units on, CTR counts blocks on, CBC hands the last ciphertext block to the next piece, ECB, echo and
// SHA-256 of many messages need nothing. One long SHA-256 and GCM are chains that no parameter can carry on, so their
// input must fit into one call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <uapi/yoke.h>

#include "cli/failure.hpp"

namespace yoke::cli {

// What `yoke call` was asked for, as text.
struct CallOptions {
    std::string service;
    std::string input = "-";
    std::string output = "-";
    std::string place = "auto";
    bool decrypt = false;
    bool binary = false;
    bool json = false;
    std::optional<std::string> key_file;
    std::optional<std::uint32_t> unit;
    std::optional<std::string> start;
    std::optional<std::string> iv;
    std::optional<std::string> aad_file;
    std::optional<std::uint32_t> tag_length;
    std::optional<std::uint32_t> message;
    std::string socket;
};

class Recipe {
   public:
    // Checks the options against the service: exit 5 for an unknown service, 2 for an option that is missing or
    // foreign.
    static Outcome<Recipe> make(const CallOptions& options);
    [[nodiscard]] static std::string service_names();

    [[nodiscard]] std::uint16_t service() const { return service_; }
    [[nodiscard]] std::uint8_t flags() const { return decrypt_ ? std::uint8_t{YOKE_FLAG_DECRYPT} : std::uint8_t{0}; }
    [[nodiscard]] bool needs_key() const { return service_ != YOKE_SERVICE_ECHO && service_ != YOKE_SERVICE_SHA256; }
    // The whole input must be in one call.
    [[nodiscard]] bool whole() const;
    // A piece needs the output of the piece before.
    [[nodiscard]] bool serial() const { return service_ == YOKE_SERVICE_AES_CBC && !decrypt_; }
    // Every piece but the last is so long.
    [[nodiscard]] std::size_t piece_bytes() const { return piece_bytes_; }
    [[nodiscard]] std::size_t out_bytes(std::size_t in_bytes) const;
    // Second input (GCM: IV, then AAD).
    [[nodiscard]] std::span<const std::byte> aux() const { return aux_; }
    // Refuses a last piece that the service cannot take.
    [[nodiscard]] Done check_last(std::size_t piece, std::uint64_t total) const;

    // Parameters of the next piece, whose input is @in; moves on past it as far as that is known now.
    void next(std::span<const std::byte> in, std::span<std::byte, YOKE_PAYLOAD_BYTES> params);
    // Tells the output of that piece.
    void done(std::span<const std::byte> out);

   private:
    [[nodiscard]] Done take_options(const CallOptions& options);
    [[nodiscard]] Done take_iv(const std::optional<std::string>& text);
    [[nodiscard]] Done take_aad(const std::optional<std::string>& path);
    void choose_piece();

    std::uint16_t service_ = YOKE_SERVICE_NONE;
    bool decrypt_ = false;
    std::uint32_t unit_ = 512;       // bytes of an XTS data unit
    std::uint32_t tag_length_ = 16;  // bytes
    std::uint32_t message_ = 0;      // bytes; 0: the input is one message
    std::size_t piece_bytes_ = 0;
    std::vector<std::byte> position_ = std::vector<std::byte>(16);  // IV, counter block or number of the data unit
    std::uint32_t iv_length_ = 0;                                   // bytes at the start of aux_
    std::vector<std::byte> aux_;
};

// Checks the key's length for the service (exit 1): better here, where the file can be named, than in the worker.
[[nodiscard]] Done check_key_length(std::uint16_t service, std::size_t bytes, const std::string& name);

}  // namespace yoke::cli
