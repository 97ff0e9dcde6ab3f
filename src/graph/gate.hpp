// A predicate at one end of a channel, with what it remembers: whether it has opened or closed.
#pragma once

#include <cstdint>

#include "control/graph_file.hpp"

namespace yoke::graph {

class Gate {
   public:
    Gate() = default;
    explicit Gate(const control::Predicate& predicate) : predicate_(predicate) {}

    // Whether a datablock with these signals passes. To be asked once for each, in order.
    bool pass(std::uint8_t signals) {
        using Kind = control::Predicate::Kind;
        const bool matches = (signals & predicate_.signals) != 0;
        turned_ = turned_ || matches;
        switch (predicate_.kind) {
            case Kind::always:
                return true;
            case Kind::never:
                return false;
            case Kind::on:
                return matches;
            case Kind::unless:
                return !matches;
            case Kind::open_on:
                return turned_;
            case Kind::close_on:
                return !turned_;
        }
        return true;
    }

   private:
    control::Predicate predicate_;
    bool turned_ = false;  // a datablock with one of the signals has come
};

}  // namespace yoke::graph
