// See key.hpp.
#include "client/key.hpp"

#include <algorithm>

#include "base/memory.hpp"

namespace yoke::client {

Result<Key*> Keys::create(std::uint16_t service, std::span<const std::byte> bytes) {
    const service::Service* found = service::find(service);
    if (found == nullptr) {
        return fail(ENOSYS, "no service has the number {}; 'yoke ls services' lists them", service);
    }
    if (!found->needs_key()) {
        return fail(ENOSYS, "service {} takes no key; call it without", found->name());
    }
    auto local = found->make_key(bytes, 1);
    if (!local) {
        return tl::unexpected(local.error());
    }
    auto secret = vault_.keep(bytes);
    if (!secret) {
        return tl::unexpected(secret.error());
    }
    return &keys_.emplace_back(*found, std::move(*local), std::move(*secret), ++last_number_);
}

Status Keys::send(Key& key, Link& link, std::uint64_t deadline_ns) {
    auto content = create_content_memfd("yoke-key", key.bytes());
    if (!content) {
        return tl::unexpected(content.error());
    }
    const int fd = content->get();
    auto answer =
        link.request({{"op", "create_key"}, {"service", key.service().name()}}, std::span(&fd, 1), deadline_ns);
    if (!answer) {
        return tl::unexpected(answer.error());
    }
    const auto id = answer->body.find("key");
    if (id == answer->body.end() || !id->is_number_unsigned() || id->get<std::uint64_t>() == 0 ||
        id->get<std::uint64_t>() > UINT32_MAX) {
        return fail(EPROTO, "the worker's answer to create_key has no key; is it of another version of yoke?");
    }
    key.remote = id->get<std::uint32_t>();
    return {};
}

Status Keys::send_all(Link& link, std::uint64_t deadline_ns) {
    for (Key& key : keys_) {
        if (key.condemned && key.uses == 0) {
            continue;
        }
        if (auto sent = send(key, link, deadline_ns); !sent) {
            return sent;
        }
    }
    return {};
}

void Keys::forget_remote() {
    for (Key& key : keys_) {
        key.remote = 0;
    }
}

bool Keys::knows(const Key* key) const {
    return std::ranges::any_of(keys_, [key](const Key& known) { return &known == key && !known.condemned; });
}

void Keys::condemn(Key& key) {
    key.condemned = true;
    condemned_++;
}

void Keys::collect(Link* link, std::uint64_t deadline_ns) {
    for (auto key = keys_.begin(); key != keys_.end();) {
        if (!key->condemned || key->uses != 0) {
            ++key;
            continue;
        }
        if (link != nullptr && key->remote != 0) {
            // A worker that does not answer is lost or about to be; its keys go with it.
            (void)link->request({{"op", "destroy_key"}, {"key", key->remote}}, {}, deadline_ns);
        }
        key = keys_.erase(key);
        condemned_--;
    }
}

control::Json Keys::for_worker(const control::Json& body) const {
    control::Json translated = body;
    const auto translate = [this](control::Json& kernel) {
        if (const auto number = kernel.find("key"); number != kernel.end()) {
            const auto key = std::ranges::find(keys_, number->get<std::uint32_t>(), &Key::number);
            *number = key != keys_.end() && key->remote != 0 ? key->remote : UINT32_MAX;
        }
    };
    if (translated.at("op") == "open_ptask") {
        translate(translated["kernel"]);
        if (translated.contains("others")) {
            std::ranges::for_each(translated["others"], translate);
        }
    }
    return translated;
}

void Keys::erase(const Key* key) {
    keys_.remove_if([key](const Key& known) { return &known == key; });
}

}  // namespace yoke::client
