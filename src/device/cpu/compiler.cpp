// The worker's side of compiling: the cache first, then the spawner; see compiler.hpp. The key is made of the program's
// text, its launch, and what the driver says of itself and the processor. A program that may read files has no such
// key, so it is compiled every time.
#include "device/cpu/compiler.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>

#include "base/log.hpp"
#include "base/memory.hpp"
#include "base/text.hpp"

namespace yoke::device {

namespace {

constexpr std::size_t binary_bytes_max = 256U << 20U;  // as RLIMIT_FSIZE of the compiler

Result<BinaryCache::Key> key_of(const CompileRequest& request, const std::string& fingerprint) {
    const Program& program = request.program;
    const auto& global = program.geometry.global;
    const auto& local = program.geometry.local;
    const std::array<std::string, 7> parts{
        fingerprint,
        program.form,
        program.source,
        program.source_name,
        program.function,
        program.options,
        fmt::format("{} {} {} / {} {} {}", global[0], global[1], global[2], local[0], local[1], local[2])};
    return BinaryCache::key_of(parts);
}

// Whether the program may be made of more than its text: then the key does not name everything that the binary depends
// on. Words that stand in a comment only cost a compilation.
bool reads_files(const Program& program) {
    const auto has = [](const std::string& text, std::initializer_list<const char*> words) {
        return std::any_of(words.begin(), words.end(),
                           [&](const char* word) { return text.find(word) != std::string::npos; });
    };
    return has(program.source, {"include", "import", "embed"}) || has(program.options, {"-I", "-i", "@"});
}

}  // namespace

Result<control::Message> Compiler::ask(const control::Json& request) {
    const std::lock_guard lock(mutex_);
    auto answer = control::request(spawner_, request);
    if (!answer && (answer.error().code == ECONNRESET || answer.error().code == EPIPE)) {
        return fail(EIO, "the process that starts the kernel compiler is gone; restart the worker");
    }
    return answer;
}

Status Compiler::entrust(const std::string& directory) {
    auto answer = ask({{"op", "scratch"}, {"path", directory}});
    return answer ? Status{} : tl::unexpected(answer.error());
}

Result<Compiler::Outcome> Compiler::compile(const CompileRequest& request, const std::string& fingerprint, bool fresh) {
    BinaryCache::Key key{};
    const bool keeps = cache_ && !reads_files(request.program);
    if (keeps) {
        auto made = key_of(request, fingerprint);
        if (!made) {
            return tl::unexpected(made.error());
        }
        key = *made;
        if (fresh) {
            cache_->remove(key);
        } else if (auto entry = cache_->load(key)) {
            return Outcome{std::move(*entry), true};
        }
    }
    auto message = ask(json_of(request));
    if (!message) {
        return tl::unexpected(message.error());
    }
    auto answer = answer_from(message->body);
    if (!answer) {
        return tl::unexpected(answer.error());
    }
    if (message->fds.size() != 1) {
        return fail(EBADMSG, "the kernel compiler gave no binary of {}", printable(request.program.source_name));
    }
    auto bytes = check_untrusted_memfd(message->fds[0], 1, binary_bytes_max, true);
    if (!bytes) {
        return tl::unexpected(bytes.error());
    }
    auto mapping = Mapping::map(message->fds[0], *bytes, false);
    if (!mapping) {
        return tl::unexpected(mapping.error());
    }
    Outcome outcome;
    std::copy(answer->local.begin(), answer->local.end(), outcome.entry.local.begin());
    outcome.entry.log = std::move(answer->log);
    const auto* const data = reinterpret_cast<const unsigned char*>(mapping->data());
    outcome.entry.binary.assign(data, data + *bytes);
    log_info(Topic::device, "kernel compiled",
             {{"function", request.program.function}, {"source", request.program.source_name}, {"bytes", *bytes}});
    if (keeps) {
        cache_->store(key, outcome.entry);
    }
    return outcome;
}

}  // namespace yoke::device
