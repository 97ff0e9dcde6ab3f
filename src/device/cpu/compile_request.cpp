// Requests to and answers from the compiler's process as control messages; see compile_request.hpp. A message that
// lacks a member, or has one of another type, is EBADMSG; bytes that are not UTF-8 are escaped, since JSON has none.
#include "device/cpu/compile_request.hpp"

#include "base/text.hpp"

namespace yoke::device {

namespace {

using control::Json;

// Sources and logs can hold any bytes, JSON only UTF-8.
std::string clean(const std::string& text) {
    return is_utf8(text) ? text : printable(text, text.size() * 4);
}

tl::unexpected<Error> misfit(const Json::exception& e) {
    return fail(EBADMSG, "message to or from the kernel compiler does not fit: {}", e.what());
}

}  // namespace

Json json_of(const CompileRequest& request) {
    const Program& program = request.program;
    return {{"op", "compile"},
            {"platform", clean(request.platform)},
            {"form", clean(program.form)},
            {"source", clean(program.source)},
            {"source_name", clean(program.source_name)},
            {"function", clean(program.function)},
            {"options", clean(program.options)},
            {"global", program.geometry.global},
            {"local", program.geometry.local}};
}

Json json_of(const CompileAnswer& answer) {
    return {{"ok", true}, {"local", answer.local}, {"log", clean(answer.log)}};
}

Result<CompileRequest> request_from(const Json& json) {
    try {
        CompileRequest request;
        json.at("platform").get_to(request.platform);
        json.at("form").get_to(request.program.form);
        json.at("source").get_to(request.program.source);
        json.at("source_name").get_to(request.program.source_name);
        json.at("function").get_to(request.program.function);
        json.at("options").get_to(request.program.options);
        json.at("global").get_to(request.program.geometry.global);
        json.at("local").get_to(request.program.geometry.local);
        return request;
    } catch (const Json::exception& e) {
        return misfit(e);
    }
}

Result<CompileAnswer> answer_from(const Json& json) {
    try {
        CompileAnswer answer;
        json.at("local").get_to(answer.local);
        json.at("log").get_to(answer.log);
        return answer;
    } catch (const Json::exception& e) {
        return misfit(e);
    }
}

}  // namespace yoke::device
