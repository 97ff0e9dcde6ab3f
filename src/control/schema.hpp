// Schemas of control messages: which members an object must or may have, and of which type and range.
//
// A schema is a constant table; check() walks a message along it and refuses the first thing that does not fit, naming
// it by its path ("template.extent[1]").
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "control/message.hpp"

namespace yoke::control {

enum class Kind : std::uint8_t {
    boolean,
    unsigned_number,
    string,  // without NUL
    hex,     // bytes in hexadecimal
    name,    // of an object (name.hpp)
    name_or_null,
    object,
    array,
    strings,    // an array of strings, each with as many bytes as `values` says
    predicate,  // of a channel's end (graph_file.hpp)
    record,     // an object that describes something and is only shown: any members, a few values in each
};

struct Range {
    std::uint64_t min = 0;
    std::uint64_t max = UINT64_MAX;
};

struct Schema;

struct Member {
    std::string_view name;
    Kind kind = Kind::string;
    bool required = true;
    Range range{};                    // of the number; of the bytes of a string or hex; of the elements of an array
    const Schema* element = nullptr;  // of an object, or of each element of an array
    Range values{};                   // of each number of an array without `element`, of the bytes of each string
    std::span<const std::string_view> choices{};  // of a string: what it may be; empty: anything
};

struct Schema {
    std::span<const Member> members;
    bool exactly_one = false;  // the members exclude each other, and one must be there
    bool records = false;      // any members: a record
};

// EBADMSG with the path of the first misfit: unknown member, missing member, wrong type, out of range.
Status check(const Json& object, const Schema& schema);

// Schema of a request by its op, without "op" and "id", which check_request() handles. nullptr: unknown op.
enum class Peer : std::uint8_t { client_to_broker, client_to_worker, worker_to_broker, broker_to_worker };
const Schema* request_schema(Peer peer, std::string_view op);
// Checks "op", "id" and the members of a request; returns its op (a view into it). ENOSYS: unknown op, EBADMSG: misfit.
Result<std::string_view> check_request(Peer peer, const Json& request);

}  // namespace yoke::control
