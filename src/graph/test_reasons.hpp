// For tests: a graph /g of functions of the host, and what why() says of it.
#pragma once

#include <algorithm>

#include "graph/test_builder.hpp"

namespace yoke::graph {

class ReasonsTest : public testing::Test {
   protected:
    ReasonsTest() {
        add_test_functions(device_);
        add_port_functions(device_);
    }

    // Whether a sentence of why() has all the words.
    bool says(const std::string& reason, const std::vector<std::string>& words) {
        const auto reasons = runtime_->why(1, "/g");
        for (const control::Json& one : *reasons) {
            const auto& sentence = one["sentence"].get_ref<const std::string&>();
            if (one["reason"] == reason && std::all_of(words.begin(), words.end(), [&](const std::string& word) {
                    return sentence.find(word) != std::string::npos;
                })) {
                return true;
            }
        }
        ADD_FAILURE() << reasons->dump(1);
        return false;
    }

    device::HostDevice device_;
    TestRuntime runtime_{device_};
};

}  // namespace yoke::graph
