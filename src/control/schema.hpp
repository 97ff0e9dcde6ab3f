// Schemas of control messages: which members an object must or may have, and of which type and range.
//
// A schema is a constant table; check() walks a message along it and refuses the first thing that does not fit, naming
// it by its path ("template.extent[1]").
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

#include "control/message.hpp"

namespace yoke::control {

enum class Kind : std::uint8_t { boolean, unsigned_number, string, string_or_null, object, array };

struct Schema;

struct Member {
    std::string_view name;
    Kind kind = Kind::string;
    bool required = true;
    std::uint64_t max = 0;           // unsigned: largest value; string: bytes; array: elements. 0: no limit of its own
    const Schema* element = nullptr;  // of an object, or of each element of an array; null for arrays of unsigned numbers
};

struct Schema {
    std::span<const Member> members;
};

// EBADMSG with the path of the first misfit: unknown member, missing member, wrong type, too large.
Status check(const Json& object, const Schema& schema);

// Schema of a request by its op, without "op" and "id", which check_request() handles. nullptr: unknown op.
enum class Peer : std::uint8_t { client_to_broker, client_to_worker, worker_to_broker, broker_to_worker };
const Schema* request_schema(Peer peer, std::string_view op);
// Checks "op", "id" and the members of a request; returns its op. ENOSYS: unknown op, EBADMSG: misfit.
Result<std::string_view> check_request(Peer peer, const Json& request);

}  // namespace yoke::control
