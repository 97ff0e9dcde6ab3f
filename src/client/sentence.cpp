// See sentence.hpp.
#include "client/sentence.hpp"
#include "base/text.hpp"

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace yoke::client {

namespace {

const char* name_of_member(std::uint64_t member) {
    switch (member) {
        case YOKE_MEMBER_OPCODE:
            return "place or a reserved member";
        case YOKE_MEMBER_FLAGS:
            return "flags";
        case YOKE_MEMBER_SERVICE:
            return "service";
        case YOKE_MEMBER_OBJECT:
            return "key or channel";
        case YOKE_MEMBER_INPUT:
            return "input";
        case YOKE_MEMBER_OUTPUT:
            return "output";
        case YOKE_MEMBER_AUX:
            return "aux";
        case YOKE_MEMBER_PARAMS:
            return "parameters";
        case YOKE_MEMBER_SLOT:
            return "slot";
        default:
            return "arguments";
    }
}

std::string sentence_for_size(const yoke_result& result, std::string_view what) {
    if (result.out_length != 0) {
        return fmt::format("{}: the output needs room for {}; give more", what, counted(result.out_length, "byte"));
    }
    return fmt::format("{}: the {} is too long; a call takes at most {} bytes, so cut it into several calls", what,
                       name_of_member(result.detail), YOKE_CALL_BYTES_MAX);
}

std::string sentence_for_invalid(const yoke_result& result, std::string_view what) {
    if (result.detail == YOKE_MEMBER_OVERLAP) {
        return fmt::format("{}: the output overlaps the input or aux; use yoke_call_inplace", what);
    }
    if (result.detail == YOKE_MEMBER_INPUT && result.out_length != 0) {
        return fmt::format(
            "{}: a datablock of this channel has {}; push that much (less, by whole elements, only if its "
            "port is variable), or give the port the extent of what you push",
            what, counted(result.out_length, "byte"));
    }
    return fmt::format("{}: invalid {}; docs/services.md says what it takes", what, name_of_member(result.detail));
}

}  // namespace

std::string_view stream_name(std::uint8_t opcode) {
    return opcode == YOKE_OP_PUSH ? "push" : opcode == YOKE_OP_PULL ? "pull" : "move";
}

std::string sentence_for(const yoke_result& result, std::string_view what) {
    switch (-result.status) {
        case EINVAL:
            return sentence_for_invalid(result, what);
        case EMSGSIZE:
            return sentence_for_size(result, what);
        case ENOSYS:
            return fmt::format("{}: no such service or operation here; 'yoke ls services' lists the services", what);
        case ENOKEY:
            return fmt::format("{}: it needs a key of this service; make one with yoke_key_create", what);
        case EFAULT:
            return fmt::format("{}: the {} is not memory of the session's arena; take it from yoke_alloc", what,
                               name_of_member(result.detail));
        case EBUSY:
            return fmt::format("{}: its memory is quarantined, an executor may still write it; use other memory", what);
        case ETIME:
            return fmt::format("{}: not completed before its deadline; allow more time", what);
        case ECANCELED:
            return fmt::format("{}: cancelled", what);
        case EBADMSG:
            return fmt::format("{}: authentication failed; the input, the key or aux is not what was encrypted", what);
        case EIO:
            return fmt::format("{}: the executor failed and the call could not be repeated; try it again", what);
        case ENOTCONN:
            return fmt::format("{}: no worker can be reached; 'yoke doctor' says why", what);
        case EPROTO:
            return fmt::format("{}: the worker no longer serves this session; close it and open another", what);
        case ERESTART:
            return fmt::format("{}: the worker died and the graph was restarted; {} {} lost", what,
                               counted(result.detail, "datablock"), result.detail == 1 ? "was" : "were");
        case ENODATA:
            return fmt::format("{}: the stream has ended", what);
        case EPIPE:
            return fmt::format("{}: the graph has ended and takes no more datablocks", what);
        case ENOENT:
            return fmt::format("{}: no such channel; open it with yoke_open_channel", what);
        default:
            return fmt::format("{}: {}", what, std::strerror(-result.status));
    }
}

}  // namespace yoke::client
