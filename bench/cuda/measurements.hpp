// The questions, one function each; every function returns its part of the report. @scale shrinks the number of rounds
// for a trial run (1: full).
#pragma once

#include "samples.hpp"

namespace measure {

Json measure_flow(double scale);          // entries and completions at full rate, as the protocol orders it
Json measure_rewriting(double scale);     // lines rewritten under the reader's eyes, outside the protocol
Json measure_polling(double scale);       // reads in flight against the round trip of a null call
Json measure_echo(double scale);          // 4 KiB by a few warps
Json measure_bulk_echo(double scale);     // the same through the bulk copy engine of an SM
Json measure_launches(double scale);      // the same by launches, streams and graphs
Json measure_threads(double scale);       // resident against launched, by number of threads: the paper's table
Json measure_staleness(double scale);     // new data at an old address
Json measure_relaunch(double scale);      // park and relaunch beside other kernels
Json measure_neighbours(double scale);    // what a resident executive costs others
Json measure_registration(double scale);  // who waits when memory is registered and unregistered

}  // namespace measure
