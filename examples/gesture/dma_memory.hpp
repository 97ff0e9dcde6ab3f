// Memory that one driver lends to another as a DMA-BUF, and that this program sees too.
//
// Some camera drivers write into no memory of programs (USERPTR), but into buffers of another driver (DMABUF), those of
// a GPU for example. Any DRM device gives such buffers: a "dumb" one is plain memory, exported as a descriptor and
// mapped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "gesture/depth_camera.hpp"

namespace gesture {

class DmaMemory {
   public:
    // Opens a DRM device, e.g. /dev/dri/card0. Throws yoke::error.
    explicit DmaMemory(std::string path);
    DmaMemory(const DmaMemory&) = delete;
    DmaMemory& operator=(const DmaMemory&) = delete;
    ~DmaMemory();

    // With a descriptor, which stays this object's. Throws yoke::error.
    DepthCamera::Room allocate(std::size_t bytes);
    // For a camera that ends before this object does.
    DepthCamera::Memory rooms();
    // Around what this processor reads of a buffer that a device has written.
    static void begin_reading(int descriptor);
    static void end_reading(int descriptor);

   private:
    void request(unsigned long code, void* argument, const char* what) const;

    std::string path_;
    int fd_;
    std::vector<DepthCamera::Room> buffers_;
};

}  // namespace gesture
