// The C interface: stages.
#include <new>

#include "client/stage.hpp"

using yoke::Status;
using yoke::client::Stage;

namespace {

thread_local std::string open_error;

// Runs `body(stage)`, which returns a Status, a Result or an errno value, unless the stage cannot be used.
template <typename Body>
int guarded(yoke_stage* handle, Body&& body) noexcept {
    if (handle == nullptr) {
        return -EINVAL;
    }
    Stage& stage = *reinterpret_cast<Stage*>(handle);
    try {
        if (!stage.usable()) {
            return stage.refuse({ECHILD, "the process forked since the stage was opened; use it in the parent only"});
        }
        const Status done = body(stage);
        return done ? 0 : stage.refuse(done.error());
    } catch (const std::bad_alloc&) {
        return -ENOMEM;
    } catch (...) {
        return -EIO;
    }
}

Status missing(const char* what) {
    return yoke::fail(EINVAL, "{} is NULL; give one", what);
}

}  // namespace

int yoke_stage_open(yoke_stage** stage, const yoke_stage_options* options) {
    if (stage == nullptr) {
        return -EINVAL;
    }
    *stage = nullptr;
    try {
        auto opened = Stage::open(options != nullptr ? *options : yoke_stage_options{});
        if (!opened) {
            open_error = opened.error().message;
            return -opened.error().code;
        }
        *stage = reinterpret_cast<yoke_stage*>(opened->release());
        return 0;
    } catch (const std::bad_alloc&) {
        return -ENOMEM;
    } catch (...) {
        return -EIO;
    }
}

void yoke_stage_close(yoke_stage* stage) {
    delete reinterpret_cast<Stage*>(stage);
}

const char* yoke_stage_error(const yoke_stage* stage) {
    return stage != nullptr ? reinterpret_cast<const Stage*>(stage)->error().c_str() : open_error.c_str();
}

int yoke_stage_input(yoke_stage* handle, yoke_stream* stream) {
    return guarded(handle, [&](Stage& stage) { return stream == nullptr ? missing("stream") : stage.input(*stream); });
}

const char* yoke_stage_parameter(const yoke_stage* stage, const char* name) {
    return stage == nullptr || name == nullptr ? nullptr : reinterpret_cast<const Stage*>(stage)->parameter(name);
}

int yoke_stage_set_parameter(yoke_stage* handle, const char* name, const char* value) {
    return guarded(handle,
                   [&](Stage& stage) { return name == nullptr ? missing("name") : stage.set_parameter(name, value); });
}

int yoke_stage_output(yoke_stage* handle, const yoke_stream* stream) {
    return guarded(handle, [&](Stage& stage) { return stream == nullptr ? missing("stream") : stage.output(*stream); });
}

int yoke_stage_read(yoke_stage* handle, void* record, size_t room, size_t* length) {
    return guarded(handle, [&](Stage& stage) -> Status {
        if (record == nullptr && room != 0) {
            return missing("record");
        }
        auto bytes = stage.read({static_cast<std::byte*>(record), room});
        if (!bytes) {
            return tl::unexpected(bytes.error());
        }
        if (!*bytes) {
            return yoke::fail(ENODATA, "the input has ended");
        }
        if (length != nullptr) {
            *length = **bytes;
        }
        return {};
    });
}

int yoke_stage_write(yoke_stage* handle, const void* record, size_t length) {
    return guarded(handle, [&](Stage& stage) -> Status {
        if (record == nullptr && length != 0) {
            return missing("record");
        }
        return stage.write({static_cast<const std::byte*>(record), length});
    });
}

int yoke_stage_room(yoke_stage* handle, size_t bytes, void** room) {
    return guarded(handle, [&](Stage& stage) -> Status {
        if (room == nullptr) {
            return missing("room");
        }
        auto memory = stage.room(bytes);
        if (!memory) {
            return tl::unexpected(memory.error());
        }
        *room = memory->data();
        return {};
    });
}

int yoke_stage_end(yoke_stage* handle) {
    return guarded(handle, [&](Stage& stage) { return stage.end(); });
}

yoke_session* yoke_stage_session(yoke_stage* handle, uint64_t bytes) {
    yoke_session* session = nullptr;
    const int status = guarded(handle, [&](Stage& stage) -> Status {
        auto opened = stage.session(bytes);
        if (!opened) {
            return tl::unexpected(opened.error());
        }
        session = *opened;
        return {};
    });
    return status == 0 ? session : nullptr;
}

const char* yoke_stage_graph_name(yoke_stage* stage) {
    return stage != nullptr ? reinterpret_cast<Stage*>(stage)->graph_name().c_str() : "";
}

int yoke_stage_kernel(yoke_stage* handle, const yoke_kernel* kernel, const yoke_argument* arguments,
                      size_t argument_count) {
    return guarded(handle, [&](Stage& stage) {
        if (kernel == nullptr || (arguments == nullptr && argument_count != 0)) {
            return missing(kernel == nullptr ? "kernel" : "arguments");
        }
        return stage.kernel(*kernel, {arguments, argument_count});
    });
}

int yoke_stage_graph(yoke_stage* handle, const char* in, const char* out) {
    return guarded(handle, [&](Stage& stage) {
        return in == nullptr || out == nullptr ? missing(in == nullptr ? "in" : "out") : stage.graph(in, out);
    });
}

int yoke_stage_run(yoke_stage* handle) {
    return guarded(handle, [&](Stage& stage) { return stage.run(); });
}
