// Locked memory for the key schedules that OpenSSL keeps.
//
// PROBLEM. A key stays in the worker as long as its session wants it, as key schedules inside OpenSSL's cipher
// contexts. Those lie on the heap: they could be written to swap, and OpenSSL has no way to say where one object goes.
//
// MODEL. OpenSSL takes allocation functions for the whole process. Ours pass everything on to malloc, except for what a
// thread allocates while it holds a Scope: that comes from slabs that are locked, left out of dumps, and wiped on free.
// All slabs lie in one reserved range, so that a look at the address tells whose memory is freed.
//
// TRADE-OFF. Locked memory is scarce (8 MiB for a user by default, a key takes about 20 KiB). When it is used up,
// further schedules go to the plain heap, which is logged once: a key that works beats one that does not.
#pragma once

#include <cstddef>

namespace yoke::worker {

class LockedHeap {
   public:
    // What OpenSSL allocates on this thread while a Scope lives goes to locked memory. Scopes may nest.
    class Scope {
       public:
        Scope();
        Scope(const Scope&) = delete;
        Scope& operator=(const Scope&) = delete;
        ~Scope();
    };

    // Gives OpenSSL these functions. Once, before OpenSSL has allocated anything; false: it has, and nothing is
    // changed.
    static bool install();
    // Whether `memory` is of this heap.
    [[nodiscard]] static bool owns(const void* memory);
    // Bytes that are locked, used or not.
    [[nodiscard]] static std::size_t locked_bytes();
};

}  // namespace yoke::worker
