// Builds for measurements leave one stage of an express call out, so that its share of the time is known; their answers
// are wrong. -DYOKE_NSK_LEFT_OUT=input, output, fence. Others are right: early_input leaves a choice out (input is read
// and the key copied when the entry has been judged), clocks nothing (each completion says when its stages ended, see
// bench/nsk_bench.cpp).
#pragma once

#ifndef YOKE_NSK_LEFT_OUT
#define YOKE_NSK_LEFT_OUT nothing
#endif

namespace yoke::executive::cuda {

enum class Stage { nothing, input, output, fence, early_input, clocks };

constexpr Stage left_out = Stage::YOKE_NSK_LEFT_OUT;
constexpr bool reads_input = left_out != Stage::input;
constexpr bool writes_output = left_out != Stage::output;
constexpr bool fences_output = left_out != Stage::fence && left_out != Stage::output;
constexpr bool reads_early = left_out != Stage::early_input;
constexpr bool tells_clocks = left_out == Stage::clocks;

}  // namespace yoke::executive::cuda
