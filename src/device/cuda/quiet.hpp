// Driver calls that wait for every kernel of the context, and the kernel that never ends.
//
// PROBLEM. Loading and unloading code, freeing memory and unpinning it wait until all kernels of the context have
// ended. The resident kernel (executive/cuda) does not end by itself, so such a call would wait for ever.
//
// MODEL. Who keeps a kernel resident is the tenant and says so once. Who makes such a call holds a Quiet meanwhile: the
// tenant has left when it is constructed, and may come back when it is destroyed. One Quiet at a time.
#pragma once

#include <mutex>

namespace yoke::device::cuda {

class Tenant {
   public:
    Tenant() = default;
    Tenant(const Tenant&) = delete;
    Tenant& operator=(const Tenant&) = delete;
    // Returns when no kernel is resident; none comes until stay() has been called.
    virtual void leave_context() = 0;
    virtual void stay() = 0;

   protected:
    ~Tenant() = default;
};

// Null: nobody. Waits for a Quiet that is held. Any thread.
void set_tenant(Tenant* tenant);

class Quiet {
   public:
    Quiet();
    Quiet(const Quiet&) = delete;
    Quiet& operator=(const Quiet&) = delete;
    ~Quiet();

   private:
    std::unique_lock<std::mutex> lock_;
};

}  // namespace yoke::device::cuda
