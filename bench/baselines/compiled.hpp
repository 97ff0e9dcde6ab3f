// The kernels of a pipeline as machine code, compiled as the CUDA device compiles them: same source, options and
// work-groups. They can be written to a folder for other processes.
#pragma once

#include <array>
#include <cstddef>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "baselines/cuda.hpp"
#include "device/cuda/cuda_build.hpp"
#include "device/cuda/image.hpp"
#include "gesture/pipeline.hpp"

namespace yoke::bench {

struct Compiled {
    std::array<std::size_t, 3> local{};
    std::vector<unsigned char> image;
};

inline std::string text_of(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    if (!stream || text.empty()) {
        die("cannot read " + path);
    }
    return text;
}

// Of each step. @folder: where the kernels are.
inline std::vector<Compiled> compile(const gesture::Pipeline& pipeline, const std::string& folder) {
    std::map<std::string, Compiled> seen;
    std::vector<Compiled> all;
    for (const gesture::Step& step : pipeline.steps) {
        device::CompileRequest request;
        request.platform = cuda::platform_prefix + context().architecture;
        request.program.source = text_of(folder + "/" + step.file);
        request.program.source_name = step.file;
        request.program.function = step.function;
        request.program.options = step.options;
        request.program.geometry.global = {step.geometry[0], step.geometry[1], 1};
        if (step.local != 0) {
            request.program.geometry.local = {step.local, 1, 1};
        }
        Compiled& compiled = seen[fmt::format("{} {} {} {} {}", step.file, step.function, step.options,
                                              step.geometry[0], step.geometry[1])];
        if (compiled.image.empty()) {
            auto built = must(cuda::build_cuda(request));
            std::copy(built.answer.local.begin(), built.answer.local.end(), compiled.local.begin());
            compiled.image = std::move(built.bytes);
        }
        all.push_back(compiled);
    }
    return all;
}

inline void save(const std::vector<Compiled>& kernels, const std::string& folder) {
    for (std::size_t k = 0; k < kernels.size(); ++k) {
        std::ofstream stream(folder + "/" + std::to_string(k), std::ios::binary);
        stream.write(reinterpret_cast<const char*>(kernels[k].local.data()), sizeof kernels[k].local);
        stream.write(reinterpret_cast<const char*>(kernels[k].image.data()),
                     static_cast<std::streamsize>(kernels[k].image.size()));
    }
}

// Of those steps.
inline std::vector<Compiled> load(const std::string& folder, std::size_t first, std::size_t last) {
    std::vector<Compiled> kernels(last - first);
    for (std::size_t k = first; k < last; ++k) {
        const std::string bytes = text_of(folder + "/" + std::to_string(k));
        Compiled& kernel = kernels[k - first];
        std::memcpy(kernel.local.data(), bytes.data(), sizeof kernel.local);
        kernel.image.assign(bytes.begin() + sizeof kernel.local, bytes.end());
    }
    return kernels;
}

}  // namespace yoke::bench
