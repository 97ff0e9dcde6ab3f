// Which kernels this process may be running, so that a signal handler can tell whose fault its death is.
//
// A fault says at which instruction it happened, and so in which kernel function, but not for which ptask; and where
// everything may be broken, nothing may be asked. So each ptask has a mark in memory that never moves: its name, its
// function, and when it was launched last. Of ptasks with the same function the one launched last is named.
// TRADE-OFF. Fixed room: ptasks beyond it run all the same, and their faults are nobody's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace yoke::graph {

class KernelMark {
   public:
    KernelMark() = default;  // marks nothing
    KernelMark(std::string_view ptask, std::string_view function);
    KernelMark(KernelMark&& other) noexcept;
    KernelMark& operator=(KernelMark&& other) noexcept;
    KernelMark(const KernelMark&) = delete;
    KernelMark& operator=(const KernelMark&) = delete;
    ~KernelMark();

    void launched() const;

   private:
    std::size_t place_ = 0;  // 0: none
};

// Name of the ptask with that function, "" any, that was launched last; nullptr: none was. For signal handlers, too.
const char* last_launched(std::string_view function) noexcept;

}  // namespace yoke::graph
