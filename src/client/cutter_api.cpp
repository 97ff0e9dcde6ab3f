// The C interface: cutters (control/datablock_cutter.hpp).
#include <new>

#include <yoke/stage.h>

#include "client/definition.hpp"
#include "control/datablock_cutter.hpp"

struct yoke_cutter {
    yoke::control::DatablockCutter cutter;
    std::string error{};
};

namespace {

using yoke::control::DatablockCutter;

thread_local std::string open_error;

yoke::Result<DatablockCutter> make_cutter(const yoke_cutter_options* options) {
    if (options == nullptr || options->input == nullptr || options->port == nullptr) {
        return yoke::fail(EINVAL, "a cutter needs the names of its input and its port; give them");
    }
    DatablockCutter::Setup setup;
    setup.input = options->input;
    setup.port = options->port;
    setup.form = yoke::client::template_of(options->template_);
    setup.variable = options->variable != 0;
    setup.raw = options->raw != 0;
    if (options->raw_option != nullptr) {
        setup.raw_option = options->raw_option;
    }
    return DatablockCutter::create(std::move(setup));
}

}  // namespace

int yoke_cutter_open(yoke_cutter** cutter, const yoke_cutter_options* options) {
    if (cutter == nullptr) {
        return -EINVAL;
    }
    *cutter = nullptr;
    try {
        auto made = make_cutter(options);
        if (!made) {
            open_error = made.error().message;
            return -made.error().code;
        }
        *cutter = new yoke_cutter{std::move(*made)};
        return 0;
    } catch (const std::bad_alloc&) {
        return -ENOMEM;
    }
}

void yoke_cutter_close(yoke_cutter* cutter) {
    delete cutter;
}

int yoke_cutter_next(yoke_cutter* cutter, void* room, void** to, size_t* length) {
    if (cutter == nullptr || room == nullptr || to == nullptr || length == nullptr) {
        return -EINVAL;
    }
    try {
        const auto next = cutter->cutter.next({static_cast<std::byte*>(room), cutter->cutter.datablock_bytes()});
        if (!next) {
            cutter->error = next.error().message;
            return -next.error().code;
        }
        const bool reads = next->cut == DatablockCutter::Cut::read;
        *to = next->to.data();
        *length = reads ? next->to.size() : cutter->cutter.length();
        return reads ? YOKE_CUT_READ : next->cut == DatablockCutter::Cut::whole ? YOKE_CUT_WHOLE : YOKE_CUT_OVER;
    } catch (const std::bad_alloc&) {
        return -ENOMEM;
    }
}

void yoke_cutter_took(yoke_cutter* cutter, size_t count) {
    if (cutter != nullptr) {
        cutter->cutter.took(count);
    }
}

const char* yoke_cutter_error(const yoke_cutter* cutter) {
    return cutter != nullptr ? cutter->error.c_str() : open_error.c_str();
}
