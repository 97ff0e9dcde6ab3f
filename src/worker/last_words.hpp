// What a worker that dies says of it to yoked: which ptask's kernel it was, and what it did.
//
// Kernels run in the worker. One that writes outside its buffers, or never ends, takes the worker along, and yoked sees
// no more than a signal or an exit status. So on a fault the worker sends yoked one last message over its link, from
// the signal handler, with the name of the ptask that the fault belongs to as far as that can be known; then it dies as
// it would have died. yoked tells the clients, who would otherwise run the same kernel again.
#pragma once

#include <string>

namespace yoke::worker {

// Has faults of this process told. Handlers that were there before are called afterwards.
void tell_faults();

// Where yoked listens; -1: nowhere.
void set_last_words_socket(int socket);

// For a worker that ends itself. `object`: the ptask or graph that is to blame.
void say_last_words(const std::string& object, const std::string& why);

}  // namespace yoke::worker
