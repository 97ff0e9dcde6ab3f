// For each request a good message; then, by rule, the same with each member missing, unknown, of another type or out
// of range, which must be refused by that member's name.
#include "control/schema.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace yoke::control {
namespace {

using testing::HasSubstr;

struct Good {
    Peer peer;
    Json request;                       // with every member
    std::vector<std::string> optional;  // members that may be missing
};

std::vector<Good> good_requests() {
    const Json record{{"name", "/g"}, {"runs", 3}, {"extent", {640, 480, 1}}, {"mean", 0.5}, {"last", nullptr}};
    Json inventory{{"adopted", 3}};
    for (const char* const kind :
         {"sessions", "graphs", "ptasks", "ports", "channels", "keys", "devices", "services"}) {
        inventory[kind] = Json::array({record, Json::object()});
    }
    const Json kernel{{"form", "opencl"},          {"source", "kernel void f() {}"},
                      {"source_hex", "7f454c46"},  {"source_name", "f.cl"},
                      {"function", "f"},           {"options", ""},
                      {"geometry", {640, 480, 1}}, {"geometry_from", {"/g/p:i", "first-output", ""}},
                      {"local", {0, 0, 0}},        {"parameters", "40000000"},
                      {"decrypt", true},           {"key", 1}};
    const Json form{{"type", "f32x4"}, {"extent", {640, 480, 1}}, {"stride", 0}};
    using enum Peer;
    return {
        {client_to_broker, {{"op", "connect"}, {"version", 1}, {"suspects", 0}}, {"suspects"}},
        {client_to_broker, {{"op", "status"}}, {}},
        {client_to_broker, {{"op", "list"}, {"kind", "graphs"}}, {"kind"}},
        {client_to_broker,
         {{"op", "claim_pipe"},
          {"direction", "out"},
          {"fd", 1},
          {"template", form},
          {"variable", false},
          {"raw", false}},
         {}},
        {client_to_broker, {{"op", "pipe_state"}, {"pair", 7}, {"state", "joined"}, {"why", "x"}}, {}},
        {client_to_broker, {{"op", "shutdown"}}, {}},
        {client_to_worker,
         {{"op", "open_session"},
          {"arena_bytes", 1 << 20},
          {"express_slots", 2},
          {"bulk_slots", 4096},
          {"features", 15},
          {"handover", false}},
         {}},
        {client_to_worker, {{"op", "create_key"}, {"service", "aes-xts"}}, {}},
        {client_to_worker, {{"op", "destroy_key"}, {"key", 1}}, {}},
        {client_to_worker,
         {{"op", "open_graph"}, {"name", "/g"}, {"persist", true}, {"mode", 0640}},
         {"persist", "mode"}},
        {client_to_worker,
         {{"op", "open_port"},
          {"name", "/g/p:i"},
          {"direction", "in-out"},
          {"template", form},
          {"sticky", true},
          {"init", true},
          {"hold", true},
          {"variable", true},
          {"descriptor", false},
          {"meta", "size"},
          {"of", "/g/p:o"},
          {"initial", "00000000"}},
         {"sticky", "init", "hold", "variable", "descriptor", "meta", "of", "initial"}},
        {client_to_worker,
         {{"op", "open_ptask"},
          {"name", "/g/p"},
          {"kernel", kernel},
          {"arguments", Json::array({{{"port", "/g/p:i"}}, {{"constant", "0000803f"}}, {{"count", "/g/p:i"}}})},
          {"others", Json::array({kernel, Json::object()})},
          {"priority", 5},
          {"deadline_ns", 1}},
         {"others", "priority", "deadline_ns"}},
        {client_to_worker,
         {{"op", "open_channel"},
          {"name", "/g/c"},
          {"source", nullptr},
          {"destination", "/g/p:i"},
          {"capacity", 8},
          {"back", false},
          {"source_when", "on begin|end"},
          {"destination_when", "always"},
          {"endpoint", {{"kind", "file"}, {"path", "/dev/zero"}, {"repeat", true}, {"raw", true}}}},
         {"back", "source_when", "destination_when", "endpoint"}},
        {client_to_worker, {{"op", "set_priority"}, {"name", "/g/p"}, {"priority", 10}}, {}},
        {client_to_worker, {{"op", "why"}, {"name", "/g"}}, {}},
        {client_to_worker,
         {{"op", "open_pipe"}, {"name", "/pipe-1-2"}, {"template", form}, {"variable", true}, {"capacity", 8}},
         {"variable"}},
        {client_to_worker, {{"op", "close_pipe"}, {"name", "/pipe-1-2"}}, {}},
        {client_to_worker, {{"op", "run_graph"}, {"name", "/g"}}, {}},
        {client_to_worker, {{"op", "terminate_graph"}, {"name", "/g"}}, {}},
        {worker_to_broker,
         {{"op", "register"},
          {"token", std::string(64, 'a')},
          {"account", 1000},
          {"generation", 1},
          {"pid", 4711},
          {"inventory", inventory}},
         {}},
        {worker_to_broker, {{"op", "inventory"}, {"inventory", inventory}}, {}},
        {broker_to_worker,
         {{"op", "adopt"},
          {"client_pid", 4712},
          {"client_uid", 1000},
          {"limits", {{"sessions", 1}, {"arena_bytes", 2}, {"graphs", 3}, {"objects", 4}, {"keys", 5}}}},
         {}},
        {broker_to_worker, {{"op", "report"}}, {}},
        {broker_to_worker, {{"op", "end"}}, {}},
    };
}

std::string refusal_of(Peer peer, const Json& request, int code = EBADMSG) {
    auto checked = check_request(peer, request);
    EXPECT_FALSE(checked) << request.dump().substr(0, 200);
    if (checked) {
        return "accepted";
    }
    EXPECT_EQ(checked.error().code, code);
    return checked.error().message;
}

// A good request of `op` with the value at `pointer` replaced; null removes it.
std::pair<Peer, Json> changed(std::string_view op, const std::string& pointer, const Json& value) {
    for (const Good& good : good_requests()) {
        if (good.request.at("op") == op) {
            Json request = good.request;
            request[Json::json_pointer(pointer)] = value;
            return {good.peer, request};
        }
    }
    ADD_FAILURE() << "no request " << op;
    return {};
}

std::string refusal_of_change(std::string_view op, const std::string& pointer, const Json& value) {
    const auto [peer, request] = changed(op, pointer, value);
    return refusal_of(peer, request);
}

bool accepts_change(std::string_view op, const std::string& pointer, const Json& value) {
    const auto [peer, request] = changed(op, pointer, value);
    return check_request(peer, request).has_value();
}

// All places in `value` where an object has a schema: the message and objects and arrays of objects below.
void visit_objects(const Json& value, const Json::json_pointer& at, std::vector<Json::json_pointer>& places) {
    if (value.is_object()) {
        places.push_back(at);
    }
    if (value.is_structured()) {
        for (const auto& item : value.items()) {
            visit_objects(item.value(), value.is_array() ? at / std::stoul(item.key()) : at / item.key(), places);
        }
    }
}

bool in_record(const Json::json_pointer& place) {
    return place.to_string().find("/inventory/") != std::string::npos;
}

TEST(Schema, GoodRequests) {
    for (const Good& good : good_requests()) {
        auto op = check_request(good.peer, good.request);
        ASSERT_TRUE(op) << op.error().message;
        EXPECT_EQ(*op, good.request.at("op").get<std::string>());
        Json with_id = good.request;
        with_id["id"] = UINT64_MAX;
        EXPECT_TRUE(check_request(good.peer, with_id));
        for (const Peer other :
             {Peer::client_to_broker, Peer::client_to_worker, Peer::worker_to_broker, Peer::broker_to_worker}) {
            if (other != good.peer) {
                EXPECT_THAT(refusal_of(other, good.request, ENOSYS), HasSubstr("is no request that is known here"));
            }
        }
    }
}

TEST(Schema, EachMemberMissing) {
    for (const Good& good : good_requests()) {
        for (const auto& item : good.request.items()) {
            Json request = good.request;
            request.erase(item.key());
            const bool may = std::find(good.optional.begin(), good.optional.end(), item.key()) != good.optional.end();
            if (may) {
                EXPECT_TRUE(check_request(good.peer, request)) << request.dump();
            } else if (item.key() != "op") {
                EXPECT_THAT(refusal_of(good.peer, request),
                            HasSubstr("member " + item.key() + " of the control message is missing"));
            }
        }
    }
    auto [worker, inventory] = changed("inventory", "/id", 1);
    inventory["inventory"].erase("adopted");
    EXPECT_THAT(refusal_of(worker, inventory), HasSubstr("inventory.adopted of the control message is missing"));
    inventory["inventory"] = {{"adopted", 0}};
    EXPECT_TRUE(check_request(worker, inventory)) << "the arrays may be missing";
    for (const char* const member : {"type", "extent", "stride"}) {
        auto [peer, request] = changed("open_port", "/id", 1);
        request["template"].erase(member);
        EXPECT_THAT(refusal_of(peer, request), HasSubstr(std::string("template.") + member + " of the control"));
    }
    for (const char* const member : {"kind", "path"}) {
        auto [peer, request] = changed("open_channel", "/id", 1);
        request["endpoint"].erase(member);
        EXPECT_THAT(refusal_of(peer, request), HasSubstr(std::string("endpoint.") + member + " of the control"));
    }
}

TEST(Schema, UnknownMembersAtEveryPlace) {
    for (const Good& good : good_requests()) {
        std::vector<Json::json_pointer> places;
        visit_objects(good.request, Json::json_pointer(), places);
        for (const Json::json_pointer& place : places) {
            Json request = good.request;
            request[place]["surprise"] = 1;
            if (in_record(place)) {
                EXPECT_TRUE(check_request(good.peer, request)) << place;
            } else {
                EXPECT_THAT(refusal_of(good.peer, request), HasSubstr("surprise of the control message is unknown"));
            }
        }
    }
}

TEST(Schema, WrongTypesOfEachMember) {
    const std::vector<Json> values{nullptr,        true,          -1, 1.5, "\n", Json::array(), Json::array({"x"}),
                                   Json::object(), Json{{"x", 1}}};
    for (const Good& good : good_requests()) {
        for (const auto& item : good.request.items()) {
            for (const Json& value : values) {
                const bool may = (value.is_null() && (item.key() == "source" || item.key() == "destination")) ||
                                 (value.is_boolean() && item.value().is_boolean()) ||
                                 (value.is_string() && (item.key() == "service" || item.key() == "why")) ||
                                 (value == Json::array() && item.key() == "arguments") ||
                                 (value == Json::object() && (item.key() == "limits" || item.key() == "kernel"));
                Json request = good.request;
                request[item.key()] = value;
                EXPECT_EQ(check_request(good.peer, request).has_value(), may) << request.dump().substr(0, 300);
            }
        }
    }
}

TEST(Schema, Ranges) {
    struct Case {
        std::string op;
        std::string pointer;
        Json smallest;
        Json largest;
        Json below;
        Json above;
    };
    const Json huge = UINT64_MAX;
    const auto text = [](std::size_t bytes) { return std::string(bytes, 'x'); };
    const auto name = [](std::size_t bytes) { return "/" + std::string(bytes, 'x'); };
    const std::vector<Case> cases{
        {"open_session", "/arena_bytes", 1U << 20U, 1ULL << 40U, (1U << 20U) - 1, (1ULL << 40U) + 1},
        {"open_session", "/express_slots", 2, 4096, 1, 4097},
        {"open_session", "/bulk_slots", 2, 4096, 0, huge},
        {"open_session", "/features", 0, UINT32_MAX, -1, 1ULL << 32U},
        {"destroy_key", "/key", 1, UINT32_MAX, 0, 1ULL << 32U},
        {"open_channel", "/capacity", 1, 4096, 0, 4097},
        {"open_port", "/template/extent/0", 1, 1U << 30U, 0, (1U << 30U) + 1},
        {"open_port", "/template/stride", 0, 1U << 30U, -1, (1U << 30U) + 1},
        {"open_port", "/template/type", "u8", text(15), "u", text(16)},
        {"open_ptask", "/kernel/source", "x", text(1U << 20U), "", text((1U << 20U) + 1)},
        {"open_ptask", "/kernel/source_name", "", text(255), 1, text(256)},
        {"open_ptask", "/kernel/function", "", text(255), 1, text(256)},
        {"open_ptask", "/kernel/options", "", text(4096), 1, text(4097)},
        {"open_ptask", "/kernel/geometry/2", 0, UINT32_MAX, -1, 1ULL << 32U},
        {"open_ptask", "/kernel/local/0", 0, UINT32_MAX, -1, 1ULL << 32U},
        {"open_ptask", "/arguments/1/constant", "00", std::string(128, '0'), "", std::string(130, '0')},
        {"open_graph", "/mode", 0, 0777, -1, 01000},
        {"set_priority", "/priority", 0, 10, -1, 11},
        {"open_port", "/initial", "00", std::string(256, '0'), "", std::string(258, '0')},
        {"open_ptask", "/kernel/parameters", "00", std::string(96, '0'), "", std::string(98, '0')},
        {"open_ptask", "/kernel/geometry_from/1", "", text(192), 1, text(193)},
        {"open_ptask", "/deadline_ns", 0, 86'400'000'000'000, -1, 86'400'000'000'001},
        {"open_channel", "/endpoint/path", "x", text(4095), "", text(4096)},
        {"open_pipe", "/capacity", 1, 4096, 0, 4097},
        {"claim_pipe", "/fd", 0, INT32_MAX, -1, 1ULL << 31U},
        {"pipe_state", "/why", "", text(255), 1, text(256)},
        {"open_graph", "/name", "/x", name(63), "/", name(64)},
        {"adopt", "/client_pid", 0, INT32_MAX, -1, 1ULL << 31U},
        {"register", "/pid", 1, INT32_MAX, 0, 1ULL << 31U},
        {"register", "/token", std::string(64, '0'), std::string(64, 'f'), std::string(62, '0'), std::string(66, '0')},
    };
    for (const Case& range : cases) {
        EXPECT_TRUE(accepts_change(range.op, range.pointer, range.smallest)) << range.pointer;
        EXPECT_TRUE(accepts_change(range.op, range.pointer, range.largest)) << range.pointer;
        EXPECT_FALSE(accepts_change(range.op, range.pointer, range.below)) << range.pointer;
        EXPECT_FALSE(accepts_change(range.op, range.pointer, range.above)) << range.pointer;
    }
}

TEST(Schema, MisfitsAreNamedByTheirPath) {
    EXPECT_EQ(refusal_of_change("open_port", "/template/extent/1", "480"),
              "member template.extent[1] of the control message must be an unsigned number");
    EXPECT_EQ(refusal_of_change("open_port", "/template/extent", Json::array({1, 2})),
              "member template.extent of the control message is 2 elements long; exactly 3 are allowed");
    EXPECT_EQ(refusal_of_change("open_port", "/template/extent/3", 1),
              "member template.extent of the control message is 4 elements long; exactly 3 are allowed");
    EXPECT_EQ(refusal_of_change("open_port", "/direction", "up"),
              "member direction of the control message is \"up\"; it must be one of in, out, in-out");
    EXPECT_THAT(refusal_of_change("list", "/kind", "secrets"), HasSubstr("it must be one of workers, sessions"));
    EXPECT_EQ(refusal_of_change("open_ptask", "/arguments/1/port", "/g/p:i"),
              "member arguments[1] of the control message must have exactly one member; it has 2");
    EXPECT_EQ(refusal_of_change("open_ptask", "/arguments/0", Json::object()),
              "member arguments[0] of the control message must have exactly one member; it has 0");
    EXPECT_THAT(refusal_of_change("open_ptask", "/arguments/1/constant", "0g"), HasSubstr("character 2 of the"));
    EXPECT_THAT(refusal_of_change("open_ptask", "/arguments/1/constant", "000"), HasSubstr("odd number of digits"));
    EXPECT_THAT(refusal_of_change("open_ptask", "/kernel/options", std::string("-D\0", 3)), HasSubstr("NUL"));
    EXPECT_THAT(refusal_of_change("open_channel", "/source_when", "on start"), HasSubstr("\"start\" is no control"));
    EXPECT_THAT(refusal_of_change("open_channel", "/source_when", 3), HasSubstr("must be a predicate"));
    EXPECT_THAT(refusal_of_change("open_channel", "/endpoint/kind", "pipe"), HasSubstr("must be one of file, fifo"));
    EXPECT_THAT(refusal_of_change("open_ptask", "/kernel/geometry_from", "x"), HasSubstr("must be an array"));
    EXPECT_THAT(refusal_of_change("open_channel", "/source", "g"), HasSubstr("\"g\" is no name of an object"));
    EXPECT_THAT(refusal_of_change("adopt", "/limits/gpus", 1), HasSubstr("member limits.gpus"));
}

TEST(Schema, OpAndId) {
    EXPECT_THAT(refusal_of(Peer::client_to_broker, Json::object()), HasSubstr("member op"));
    EXPECT_THAT(refusal_of(Peer::client_to_broker, {{"op", 7}}), HasSubstr("member op"));
    EXPECT_THAT(refusal_of(Peer::client_to_broker, {{"op", "status"}, {"id", "7"}}), HasSubstr("member id"));
    EXPECT_THAT(refusal_of(Peer::client_to_broker, {{"op", "status"}, {"id", -7}}), HasSubstr("member id"));
    EXPECT_THAT(refusal_of(Peer::client_to_broker, {{"op", "sta\ntus"}}, ENOSYS), HasSubstr("\"sta\\ntus\""));
    EXPECT_EQ(request_schema(Peer::client_to_worker, ""), nullptr);
}

TEST(MaliciousSchema, Records) {
    EXPECT_TRUE(accepts_change("inventory", "/inventory/graphs/0/a", {{"b", {1, 2}}}));
    EXPECT_FALSE(accepts_change("inventory", "/inventory/graphs/0/a", {{"b", {{"c", {1}}}}})) << "too deep";
    EXPECT_FALSE(accepts_change("inventory", "/inventory/graphs/0/a", std::string(4097, 'x')));
    EXPECT_FALSE(accepts_change("inventory", "/inventory/graphs/0/a b", 1)) << "name of a member";
    EXPECT_FALSE(accepts_change("inventory", "/inventory/graphs/0", 1));
    EXPECT_FALSE(accepts_change("inventory", "/inventory/graphs/0/a", std::vector<int>(65))) << "long array";
    Json wide;
    for (int i = 0; i < 65; ++i) {
        wide["m" + std::to_string(i)] = i;
    }
    EXPECT_FALSE(accepts_change("inventory", "/inventory/graphs/0", wide));
    EXPECT_FALSE(accepts_change("inventory", "/inventory/graphs", std::vector<Json>(65'537, Json::object())));
    EXPECT_THAT(refusal_of_change("inventory", "/inventory/graphs/0/\x1b[31m", 1),
                HasSubstr("inventory.graphs[0].\\x1b[31m"));
}

}  // namespace
}  // namespace yoke::control
