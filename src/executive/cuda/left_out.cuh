// Builds for measurements leave one stage of an express call out, so that its share of the time is known; their answers
// are wrong. -DYOKE_NSK_LEFT_OUT=input, output, fence. Others leave a choice out and are right: batches (one entry of a
// ring at a time), fence_instruction (completions are releasing stores instead). `clocks` leaves nothing out and writes
// into each completion when its stages ended (bench/nsk_bench.cpp).
#pragma once

#ifndef YOKE_NSK_LEFT_OUT
#define YOKE_NSK_LEFT_OUT nothing
#endif

namespace yoke::executive::cuda {

enum class Stage { nothing, input, output, fence, batches, fence_instruction, clocks };

constexpr Stage left_out = Stage::YOKE_NSK_LEFT_OUT;
constexpr bool reads_input = left_out != Stage::input;
constexpr bool writes_output = left_out != Stage::output;
constexpr bool fences_output = left_out != Stage::fence && left_out != Stage::output;
constexpr bool takes_batches = left_out != Stage::batches;
constexpr bool releases_by_store = left_out == Stage::fence_instruction;
constexpr bool tells_clocks = left_out == Stage::clocks;

}  // namespace yoke::executive::cuda
