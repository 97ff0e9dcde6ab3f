// A stage's claim of one end of a pipe: a connection to yoked that is held as long as the stage may want to join.
//
// yoked introduces the stages at both ends to each other, and parts them when a third one comes. A stage without a
// claim (no yoked, no pipe, YOKE_STAGE=pipe) goes on through its descriptor.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "client/stage_pact.hpp"
#include "control/stage_header.hpp"

namespace yoke::client {

enum class StageEnd : std::uint8_t { reader, writer };

// Where a stage may join: what its streams are made of, and who introduces it.
struct ClaimOptions {
    std::string socket;  // of yoked; empty: as everywhere
    int fd = -1;
    StageEnd end = StageEnd::reader;
    control::StreamForm stream;
    bool raw = false;  // bytes without records
};

class StageClaim {
   public:
    // Nothing where the descriptor is no anonymous pipe, YOKE_STAGE says pipe, or yoked does not take the claim.
    static std::unique_ptr<StageClaim> make(const ClaimOptions& options);

    // Reads what yoked says. Never blocks.
    void look();
    // The other stage, once after yoked has introduced it.
    std::optional<StagePact> take_introduced();
    // Whether yoked has parted the pair (or is gone, which parts nobody).
    [[nodiscard]] bool parted(std::uint64_t pair) const { return parted_ == pair; }
    // What people see in `yoke ls pipes`.
    void tell(std::uint64_t pair, const char* state, const std::string& why);
    [[nodiscard]] const Fd& socket() const { return socket_; }  // none once yoked is gone

   private:
    explicit StageClaim(Fd socket) : socket_(std::move(socket)) {}
    Fd socket_;
    std::optional<StagePact> introduced_;
    std::uint64_t parted_ = 0;
};

}  // namespace yoke::client
