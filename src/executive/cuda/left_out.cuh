// Builds for measurements leave one stage of an express call out, so that its share of the time is known; their answers
// are wrong. -DYOKE_NSK_LEFT_OUT=input, output, fence. Others are right and leave a choice out: early_input (input is
// read when its entry has been judged), lookups (the address of a look-up is an index times its size, as the compiler
// makes it, and not put together from bits), clocks nothing (each completion says when its stages ended, see
// bench/nsk_bench.cpp).
#pragma once

#ifndef YOKE_NSK_LEFT_OUT
#define YOKE_NSK_LEFT_OUT nothing
#endif

namespace yoke::executive::cuda {

enum class Stage { nothing, input, output, fence, early_input, lookups, clocks };

constexpr Stage left_out = Stage::YOKE_NSK_LEFT_OUT;
constexpr bool reads_input = left_out != Stage::input;
constexpr bool writes_output = left_out != Stage::output;
constexpr bool fences_output = left_out != Stage::fence && left_out != Stage::output;
constexpr bool reads_early = left_out != Stage::early_input;
constexpr bool cuts_lookups = left_out != Stage::lookups;
constexpr bool tells_clocks = left_out == Stage::clocks;

}  // namespace yoke::executive::cuda
