// The table of services: the one place that names them all. A new service is one include and one line here.
#include <algorithm>

#include "service/aes/aes.hpp"
#include "service/echo/echo.hpp"
#include "service/service.hpp"
#include "service/sha256/sha256.hpp"

namespace yoke::service {

std::span<const Service* const> all() {
    static const std::array table = {
        &echo(), &aes_ecb(), &aes_cbc(), &aes_ctr(), &aes_xts(), &aes_gcm(), &sha256(),
    };
    return table;
}

const Service* find(std::uint16_t id) {
    const auto services = all();
    const auto found = std::find_if(services.begin(), services.end(), [id](const Service* s) { return s->id() == id; });
    return found == services.end() ? nullptr : *found;
}

const Service* find(std::string_view name) {
    const auto services = all();
    const auto found =
        std::find_if(services.begin(), services.end(), [name](const Service* s) { return s->name() == name; });
    return found == services.end() ? nullptr : *found;
}

}  // namespace yoke::service
