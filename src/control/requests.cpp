// The schemas of all requests, as docs/control.md describes them.
#include <uapi/yoke.h>

#include <array>

#include "control/graph_file.hpp"
#include "control/name.hpp"
#include "control/schema.hpp"

namespace yoke::control {

namespace {

constexpr Range arena_range{YOKE_ARENA_BYTES_MIN,
                            1ULL << 40U};  // beyond any machine's memory that is pinned for a device
constexpr Range slots_range{YOKE_SLOTS_MIN, YOKE_SLOTS_MAX};
constexpr Range u32_range{0, UINT32_MAX};
constexpr Range token_range{32, 32};         // HMAC-SHA256
constexpr Range inventory_range{0, 65'536};  // objects of one kind
constexpr Range work_range{0, work_items_max};

// Client to broker.
constexpr std::array<std::string_view, 10> list_kinds{"workers",  "sessions", "graphs",  "ptasks", "ports",
                                                      "channels", "services", "devices", "keys",   "pipes"};
constexpr std::array<Member, 2> connect_members{{
    {"version", Kind::unsigned_number, true, u32_range},
    {"suspects", Kind::unsigned_number, false, u32_range},
}};
constexpr std::array<Member, 1> list_members{{{"kind", Kind::string, false, {}, nullptr, {}, list_kinds}}};

// Client to worker.
constexpr std::array<Member, 5> open_session_members{{
    {"arena_bytes", Kind::unsigned_number, true, arena_range},
    {"express_slots", Kind::unsigned_number, true, slots_range},
    {"bulk_slots", Kind::unsigned_number, true, slots_range},
    {"features", Kind::unsigned_number, true, u32_range},
    {"handover", Kind::boolean, true},
}};
constexpr std::array<Member, 1> create_key_members{{{"service", Kind::string, true, {1, 32}}}};
constexpr std::array<Member, 1> destroy_key_members{{{"key", Kind::unsigned_number, true, {1, UINT32_MAX}}}};
constexpr std::array<Member, 1> name_members{{{"name", Kind::name}}};
constexpr std::array<Member, 3> template_members{{
    {"type", Kind::string, true, {2, 15}},
    {"extent", Kind::array, true, {3, 3}, nullptr, {1, extent_max}},
    {"stride", Kind::unsigned_number, true, {0, extent_max}},
}};
constexpr Schema template_schema{template_members};
constexpr Range mode_range{0, mode_max};
constexpr Range form_range{1, 15};
constexpr Range from_range{0, name_bytes_max};  // of each dimension of geometry_from
constexpr Range priority_range{0, priority_max};
constexpr std::array<Member, 3> open_graph_members{{
    {"name", Kind::name},
    {"persist", Kind::boolean, false},
    {"mode", Kind::unsigned_number, false, mode_range},
}};
constexpr std::array<Member, 2> set_priority_members{{
    {"name", Kind::name},
    {"priority", Kind::unsigned_number, true, priority_range},
}};
constexpr std::array<std::string_view, 3> directions{"in", "out", "in-out"};
constexpr std::array<std::string_view, 2> metas{"size", "iterations"};
constexpr std::array<Member, 11> open_port_members{{
    {"name", Kind::name},
    {"direction", Kind::string, true, {}, nullptr, {}, directions},
    {"template", Kind::object, true, {}, &template_schema},
    {"sticky", Kind::boolean, false},
    {"init", Kind::boolean, false},
    {"hold", Kind::boolean, false},
    {"variable", Kind::boolean, false},
    {"descriptor", Kind::boolean, false},
    {"meta", Kind::string, false, {}, nullptr, {}, metas},
    {"of", Kind::name, false},
    {"initial", Kind::hex, false, {1, initial_bytes_max}},
}};
constexpr std::array<std::string_view, 2> pipe_ends{"in", "out"};
constexpr std::array<Member, 5> claim_pipe_members{{
    {"direction", Kind::string, true, {}, nullptr, {}, pipe_ends},
    {"fd", Kind::unsigned_number, true, {0, INT32_MAX}},
    {"template", Kind::object, true, {}, &template_schema},
    {"variable", Kind::boolean},
    {"raw", Kind::boolean},  // bytes without records
}};
constexpr std::array<std::string_view, 2> pipe_states{"pipe", "joined"};
constexpr std::array<Member, 3> pipe_state_members{{
    {"pair", Kind::unsigned_number},
    {"state", Kind::string, true, {}, nullptr, {}, pipe_states},
    {"why", Kind::string, true, {0, 255}},
}};
constexpr std::array<Member, 12> kernel_members{{
    {"form", Kind::string, false, form_range},
    {"source", Kind::string, false, {1, kernel_bytes_max}},
    {"source_hex", Kind::hex, false, {1, kernel_bytes_max}},
    {"source_name", Kind::string, false, {0, source_name_bytes_max}},
    {"function", Kind::string, false, {0, function_bytes_max}},
    {"options", Kind::string, false, {0, options_bytes_max}},
    {"geometry", Kind::array, false, {3, 3}, nullptr, work_range},
    {"geometry_from", Kind::strings, false, {3, 3}, nullptr, from_range},
    {"local", Kind::array, false, {3, 3}, nullptr, work_range},
    {"parameters", Kind::hex, false, {1, YOKE_PAYLOAD_BYTES}},
    {"decrypt", Kind::boolean, false},
    {"key", Kind::unsigned_number, false, {1, UINT32_MAX}},
}};
constexpr Schema kernel_schema{kernel_members};
constexpr std::array<Member, 4> argument_members{{
    {"port", Kind::name, false},
    {"count", Kind::name, false},
    {"extent", Kind::name, false},
    {"constant", Kind::hex, false, {1, constant_bytes_max}},
}};
constexpr Schema argument_schema{argument_members, true};
constexpr std::array<Member, 6> open_ptask_members{{
    {"name", Kind::name},
    {"kernel", Kind::object, true, {}, &kernel_schema},
    {"arguments", Kind::array, true, {0, arguments_max}, &argument_schema},
    {"others", Kind::array, false, {1, forms_max}, &kernel_schema},
    {"priority", Kind::unsigned_number, false, priority_range},
    {"deadline_ns", Kind::unsigned_number, false, {0, ptask_deadline_ns_max}},
}};
constexpr std::array<std::string_view, 5> endpoint_kinds{"file", "fifo", "socket", "v4l2", "uinput"};
constexpr std::array<Member, 4> endpoint_members{{
    {"kind", Kind::string, true, {}, nullptr, {}, endpoint_kinds},
    {"path", Kind::string, true, {1, endpoint_path_bytes_max}},
    {"repeat", Kind::boolean, false},
    {"raw", Kind::boolean, false},
}};
constexpr Schema endpoint_schema{endpoint_members};
constexpr std::array<Member, 8> open_channel_members{{
    {"name", Kind::name},
    {"source", Kind::name_or_null},
    {"destination", Kind::name_or_null},
    {"capacity", Kind::unsigned_number, true, {1, capacity_max}},
    {"back", Kind::boolean, false},
    {"source_when", Kind::predicate, false},
    {"destination_when", Kind::predicate, false},
    {"endpoint", Kind::object, false, {}, &endpoint_schema},
}};
constexpr std::array<Member, 4> open_pipe_members{{
    {"name", Kind::name},
    {"template", Kind::object, true, {}, &template_schema},
    {"variable", Kind::boolean, false},
    {"capacity", Kind::unsigned_number, true, {1, capacity_max}},
}};

// Between yoked and worker.
constexpr Schema record_schema{{}, false, true};
constexpr std::array<Member, 9> inventory_members{{
    {"adopted", Kind::unsigned_number},
    {"sessions", Kind::array, false, inventory_range, &record_schema},
    {"graphs", Kind::array, false, inventory_range, &record_schema},
    {"ptasks", Kind::array, false, inventory_range, &record_schema},
    {"ports", Kind::array, false, inventory_range, &record_schema},
    {"channels", Kind::array, false, inventory_range, &record_schema},
    {"keys", Kind::array, false, inventory_range, &record_schema},
    {"devices", Kind::array, false, inventory_range, &record_schema},
    {"services", Kind::array, false, inventory_range, &record_schema},
}};
constexpr Schema inventory_schema{inventory_members};
constexpr std::array<Member, 5> register_members{{
    {"token", Kind::hex, true, token_range},
    {"account", Kind::unsigned_number, true, u32_range},
    {"generation", Kind::unsigned_number},
    {"pid", Kind::unsigned_number, true, {1, INT32_MAX}},
    {"inventory", Kind::object, true, {}, &inventory_schema},
}};
constexpr std::array<Member, 2> inventory_message_members{{
    {"inventory", Kind::object, true, {}, &inventory_schema},
    {"more", Kind::boolean, false},
}};
constexpr std::array<Member, 2> last_words_members{{
    {"object", Kind::string, true, {0, name_bytes_max}},
    {"why", Kind::string, true, {0, 1024}},
}};
constexpr std::array<Member, 5> limits_members{{
    {"sessions", Kind::unsigned_number, false},
    {"arena_bytes", Kind::unsigned_number, false},
    {"graphs", Kind::unsigned_number, false},
    {"objects", Kind::unsigned_number, false},
    {"keys", Kind::unsigned_number, false},
}};
constexpr Schema limits_schema{limits_members};
constexpr std::array<Member, 3> adopt_members{{
    {"client_pid", Kind::unsigned_number, true, {0, INT32_MAX}},  // 0: the client lives in another PID namespace
    {"client_uid", Kind::unsigned_number, true, u32_range},
    {"limits", Kind::object, true, {}, &limits_schema},
}};

constexpr Range without_range{1, name_bytes_max};
constexpr std::array<Member, 2> restore_members{{
    {"limits", Kind::object, true, {}, &limits_schema},
    {"without", Kind::strings, false, {0, 64}, nullptr, without_range},
}};

struct Request {
    Peer peer;
    std::string_view op;
    Schema schema;
};

constexpr Request requests[] = {
    {Peer::client_to_broker, "connect", {connect_members}},
    {Peer::client_to_broker, "status", {}},
    {Peer::client_to_broker, "list", {list_members}},
    {Peer::client_to_broker, "claim_pipe", {claim_pipe_members}},
    {Peer::client_to_broker, "pipe_state", {pipe_state_members}},
    {Peer::client_to_broker, "shutdown", {}},
    {Peer::client_to_worker, "open_session", {open_session_members}},
    {Peer::client_to_worker, "create_key", {create_key_members}},
    {Peer::client_to_worker, "destroy_key", {destroy_key_members}},
    {Peer::client_to_worker, "open_graph", {open_graph_members}},
    {Peer::client_to_worker, "open_port", {open_port_members}},
    {Peer::client_to_worker, "open_ptask", {open_ptask_members}},
    {Peer::client_to_worker, "open_channel", {open_channel_members}},
    {Peer::client_to_worker, "run_graph", {name_members}},
    {Peer::client_to_worker, "terminate_graph", {name_members}},
    {Peer::client_to_worker, "remove_graph", {name_members}},
    {Peer::client_to_worker, "set_priority", {set_priority_members}},
    {Peer::client_to_worker, "why", {name_members}},
    {Peer::client_to_worker, "open_pipe", {open_pipe_members}},
    {Peer::client_to_worker, "close_pipe", {name_members}},
    {Peer::worker_to_broker, "register", {register_members}},
    {Peer::worker_to_broker, "inventory", {inventory_message_members}},
    {Peer::worker_to_broker, "last_words", {last_words_members}},
    {Peer::broker_to_worker, "adopt", {adopt_members}},
    {Peer::broker_to_worker, "restore", {restore_members}},
    {Peer::broker_to_worker, "report", {}},
    {Peer::broker_to_worker, "end", {}},
};

}  // namespace

const Schema* request_schema(Peer peer, std::string_view op) {
    for (const Request& request : requests) {
        if (request.peer == peer && request.op == op) {
            return &request.schema;
        }
    }
    return nullptr;
}

}  // namespace yoke::control
