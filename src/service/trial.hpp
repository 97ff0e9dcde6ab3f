// Test support: one case of the vectors library, run by host code under watch.
//
// Input and output lie at any alignment between guard bytes; the output is poisoned before. Whoever runs a trial
// chooses the order of its chunks and the lane of each. Afterwards output, guards and untouched input are checked.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "service/service.hpp"
#include "vectors/cases.hpp"

namespace yoke::service {

// Memory of `size` bytes at `offset` from an aligned address, with guards on both sides.
class Guarded {
   public:
    Guarded(std::size_t size, std::size_t offset)
        : begin_(guard_bytes + offset % guard_bytes), size_(size), memory_(begin_ + size + guard_bytes, poison) {}
    Guarded(const vectors::Bytes& content, std::size_t offset) : Guarded(content.size(), offset) {
        std::copy(content.begin(), content.end(), data());
    }

    [[nodiscard]] std::byte* data() { return memory_.data() + begin_; }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool holds(const vectors::Bytes& content) const {
        return content.size() == size_ && std::equal(content.begin(), content.end(), memory_.data() + begin_);
    }
    [[nodiscard]] bool guards_are_whole() const {
        const auto whole = [](std::byte b) { return b == poison; };
        return std::all_of(memory_.data(), memory_.data() + begin_, whole) &&
               std::all_of(memory_.data() + begin_ + size_, memory_.data() + memory_.size(), whole);
    }

   private:
    static constexpr std::size_t guard_bytes = 64;
    static constexpr std::byte poison{0xa5};

    std::size_t begin_;
    std::size_t size_;
    std::vector<std::byte> memory_;
};

// Tests that are run for each service by id are named after it.
inline std::string name_of_test(const testing::TestParamInfo<std::uint16_t>& service) {
    std::string name(find(service.param)->name());
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

class Trial {
   public:
    // `offset` shifts input, aux and output by different amounts.
    Trial(const vectors::Case& call, unsigned lanes, std::size_t offset)
        : call_(call),
          service_(find(call.service)),
          in_(call.in, offset),
          aux_(call.aux, offset / 3),
          out_(call.expected.size(), offset * 7 / 5) {
        work_.shape.flags = call.flags;
        work_.shape.in_length = static_cast<std::uint32_t>(call.in.size());
        work_.shape.out_length = static_cast<std::uint32_t>(call.expected.size());
        work_.shape.params = call.params;
        work_.in = in_.data();
        work_.aux = aux_.data();
        work_.out = out_.data();
        if (service_ != nullptr && !call.key.empty()) {
            auto key = service_->make_key(call.key, lanes);
            key_error_ = key ? 0 : key.error().code;
            key_ = key ? std::move(*key) : nullptr;
        }
        work_.shape.key = key_.get();
        if (service_ != nullptr && key_error_ == 0) {
            work_.plan = service_->plan(work_.shape);
        }
    }

    [[nodiscard]] std::uint32_t chunks() const { return is_planned() ? work_.plan.chunks : 0; }

    [[nodiscard]] bool is_planned() const { return key_error_ == 0 && work_.plan.status == 0; }
    [[nodiscard]] bool guards_are_whole() const {
        return in_.guards_are_whole() && aux_.guards_are_whole() && out_.guards_are_whole();
    }
    // Input, second input and output, for those who play the client.
    [[nodiscard]] std::vector<std::pair<std::byte*, std::size_t>> memory() {
        return {{in_.data(), in_.size()}, {aux_.data(), aux_.size()}, {out_.data(), out_.size()}};
    }

    // The status of a plan made once more.
    [[nodiscard]] int plan_again() const { return service_->plan(work_.shape).status; }

    // Different chunks may run at the same time, on different lanes.
    [[nodiscard]] int run(std::uint32_t chunk, unsigned lane) const { return service_->run(work_, chunk, lane); }

    // `status` is what the chunks ended with, 0 if all were well.
    [[nodiscard]] testing::AssertionResult check(int status) const {
        if (service_ == nullptr) {
            return testing::AssertionFailure() << call_.name << ": no such service";
        }
        if (key_error_ != call_.key_error) {
            return testing::AssertionFailure() << call_.name << ": key ended with " << key_error_;
        }
        if (call_.key_error != 0) {
            return testing::AssertionSuccess();
        }
        if (work_.plan.status != 0 || work_.plan.out_length != call_.expected.size() ||
            work_.plan.aux_length != call_.aux.size()) {
            return testing::AssertionFailure()
                   << call_.name << ": plan says " << work_.plan.status << ", " << work_.plan.out_length
                   << " bytes out, " << work_.plan.aux_length << " bytes aux";
        }
        if (status != call_.status) {
            return testing::AssertionFailure() << call_.name << ": ended with " << status;
        }
        if (!out_.holds(call_.expected)) {
            return testing::AssertionFailure() << call_.name << ": wrong output";
        }
        if (!guards_are_whole() || !in_.holds(call_.in) || !aux_.holds(call_.aux)) {
            return testing::AssertionFailure() << call_.name << ": memory beside the output was written";
        }
        return testing::AssertionSuccess();
    }

   private:
    const vectors::Case& call_;
    const Service* service_;
    Guarded in_;
    Guarded aux_;
    Guarded out_;
    std::unique_ptr<Key> key_;
    int key_error_ = 0;
    Work work_;
};

}  // namespace yoke::service
