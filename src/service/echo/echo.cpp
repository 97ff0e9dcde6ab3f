// echo copies its input, chunk by chunk. It takes no parameters, no flags and no key, so whatever a caller sends
// besides data is refused rather than ignored.
#include "service/echo/echo.hpp"

#include <cstring>

#include "service/plan.hpp"

namespace yoke::service {
namespace {

class Echo final : public Service {
   public:
    [[nodiscard]] std::uint16_t id() const override { return YOKE_SERVICE_ECHO; }
    [[nodiscard]] std::string_view name() const override { return "echo"; }
    [[nodiscard]] std::string_view summary() const override {
        return "copies its input; measures the path to a service";
    }
    [[nodiscard]] bool needs_key() const override { return false; }

    [[nodiscard]] Result<std::unique_ptr<Key>> make_key(std::span<const std::byte> /*bytes*/,
                                                        unsigned /*lanes*/) const override {
        return fail(ENOSYS, "service echo takes no key; call it without one");
    }

    [[nodiscard]] Plan plan(const Shape& shape) const noexcept override {
        if (unknown_flags(shape, 0)) {
            return refuse(EINVAL, YOKE_MEMBER_FLAGS);
        }
        if (shape.key != nullptr) {
            return refuse(EINVAL, YOKE_MEMBER_OBJECT);
        }
        if (shape.params != Params{}) {
            return refuse(EINVAL, YOKE_MEMBER_PARAMS);
        }
        return finish(shape, shape.in_length, 0, divide_up(shape.in_length, chunk_bytes));
    }

    [[nodiscard]] int run(const Work& work, std::uint32_t chunk, unsigned /*lane*/) const noexcept override {
        const Range range = chunk_range(work.shape.in_length, chunk_bytes, chunk);
        std::memcpy(work.out + range.begin, work.in + range.begin, range.length);
        return 0;
    }
};

}  // namespace

const Service& echo() {
    static const Echo service;
    return service;
}

}  // namespace yoke::service
