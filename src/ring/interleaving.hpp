// Checks a protocol of a few shared words by running every interleaving of its threads, with store buffers.
//
// Problem: the sleeping protocol is right only if no order of steps, and no store that waits in a processor's buffer
// while a later load runs, lets both sides sleep. Tests on real threads meet such orders once in a million runs.
//
// Model: a thread is a short program over shared words. Its stores go to a buffer of its own and reach memory later, in
// any order that the memory model allows: one queue (TSO: x86) or one queue per word (PSO: weaker, as on processors
// that reorder stores). Loads see the own buffer first. Fences, read-modify-writes and system calls wait until the
// buffer is empty. All reachable states are visited once. A state in which no thread can move and not all are done is a
// lost wake-up. Sleeps have no time limit here, so none is saved by one.
//
// Trade-off: loads are not reordered; the programs mark where the real code relies on acquire by loading in order.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace yoke::ring {

enum class MemoryModel { tso, pso };

struct Instruction {
    enum Kind : std::uint8_t {
        store,       // word = value
        load,        // accumulator = word
        remember,    // seen = word
        fence,       // until the buffer is empty
        jump,        // to target
        jump_if,     // to target if accumulator == value
        maybe_jump,  // either way
        increment,   // word += 1, atomically
        futex_wait,  // sleeps if word == seen, compared by the kernel
        futex_wake,  // wakes all who sleep on word
        ring,        // makes an edge on an eventfd: word = 1 in the kernel
        wait_rung,   // sleeps until word is 1 in the kernel, then clears it
        done,
    };
    Kind kind = done;
    std::uint8_t word = 0;
    std::uint8_t value = 0;
    std::uint8_t target = 0;
};

// A program under construction; labels are positions in it.
class Program {
   public:
    Program& store(unsigned word, unsigned value) { return add(Instruction::store, word, value); }
    Program& load(unsigned word) { return add(Instruction::load, word); }
    Program& remember(unsigned word) { return add(Instruction::remember, word); }
    Program& fence() { return add(Instruction::fence); }
    Program& jump(unsigned target) { return add(Instruction::jump, 0, 0, target); }
    Program& jump_if(unsigned value, unsigned target) { return add(Instruction::jump_if, 0, value, target); }
    Program& maybe_jump(unsigned target) { return add(Instruction::maybe_jump, 0, 0, target); }
    Program& increment(unsigned word) { return add(Instruction::increment, word); }
    Program& futex_wait(unsigned word) { return add(Instruction::futex_wait, word); }
    Program& futex_wake(unsigned word) { return add(Instruction::futex_wake, word); }
    Program& ring(unsigned word) { return add(Instruction::ring, word); }
    Program& wait_rung(unsigned word) { return add(Instruction::wait_rung, word); }
    Program& done() { return add(Instruction::done); }
    [[nodiscard]] unsigned here() const { return static_cast<unsigned>(code_.size()); }
    // Sets the target of the jump at `from` to here.
    void land(unsigned from) { code_[from].target = static_cast<std::uint8_t>(here()); }
    [[nodiscard]] const std::vector<Instruction>& code() const { return code_; }

   private:
    Program& add(Instruction::Kind kind, unsigned word = 0, unsigned value = 0, unsigned target = 0) {
        code_.push_back({kind, static_cast<std::uint8_t>(word), static_cast<std::uint8_t>(value),
                         static_cast<std::uint8_t>(target)});
        return *this;
    }
    std::vector<Instruction> code_;
};

class Interleavings {
   public:
    static constexpr std::size_t words_max = 10;
    static constexpr std::size_t threads_max = 3;
    static constexpr std::size_t buffer_max = 4;  // stores that wait; a further one waits for room

    struct Result {
        bool wake_up_lost = false;
        std::size_t states = 0;
    };

    Interleavings(std::vector<Program> programs, std::array<std::uint8_t, words_max> initial, MemoryModel model)
        : programs_(std::move(programs)), model_(model) {
        start_.memory = initial;
    }

    Result run() {
        Result result;
        std::vector<State> open = {start_};
        std::unordered_set<std::string> seen = {key(start_)};
        std::vector<State> next;
        while (!open.empty()) {
            const State state = open.back();
            open.pop_back();
            next.clear();
            bool all_done = true;
            for (std::size_t t = 0; t < programs_.size(); ++t) {
                all_done = all_done && at(state, t).kind == Instruction::done && state.threads[t].buffered == 0;
                drain(state, t, next);
                step(state, t, next);
            }
            result.wake_up_lost = result.wake_up_lost || (next.empty() && !all_done);
            for (const State& reached : next) {
                if (seen.insert(key(reached)).second) {
                    open.push_back(reached);
                }
            }
        }
        result.states = seen.size();
        return result;
    }

   private:
    struct Thread {
        std::uint8_t counter = 0;
        std::uint8_t accumulator = 0;
        std::uint8_t seen = 0;
        std::uint8_t sleeps_on = 0;  // word + 1; 0: awake
        std::uint8_t buffered = 0;
        std::array<std::array<std::uint8_t, 2>, buffer_max> buffer{};  // {word, value}, oldest first
    };
    struct State {
        std::array<std::uint8_t, words_max> memory{};
        std::array<Thread, threads_max> threads{};
    };
    static_assert(sizeof(Thread) == 5 + 2 * buffer_max && sizeof(State) == words_max + threads_max * sizeof(Thread));

    static std::string key(const State& state) { return {reinterpret_cast<const char*>(&state), sizeof(state)}; }
    [[nodiscard]] const Instruction& at(const State& state, std::size_t t) const {
        return programs_[t].code()[state.threads[t].counter];
    }

    // What a thread sees in a word.
    static std::uint8_t look(const State& state, const Thread& thread, std::uint8_t word) {
        for (std::size_t i = thread.buffered; i > 0; --i) {
            if (thread.buffer[i - 1][0] == word) {
                return thread.buffer[i - 1][1];
            }
        }
        return state.memory[word];
    }

    // One buffered store of thread t reaches memory, each way that is possible.
    void drain(const State& state, std::size_t t, std::vector<State>& next) const {
        const Thread& thread = state.threads[t];
        for (std::size_t i = 0; i < thread.buffered; ++i) {
            if (model_ == MemoryModel::tso && i > 0) {
                return;
            }
            const std::uint8_t word = thread.buffer[i][0];
            const bool oldest =
                std::none_of(thread.buffer.begin(), thread.buffer.begin() + static_cast<std::ptrdiff_t>(i),
                             [word](const auto& entry) { return entry[0] == word; });
            if (!oldest) {
                continue;
            }
            State reached = state;
            Thread& own = reached.threads[t];
            reached.memory[word] = thread.buffer[i][1];
            std::copy(own.buffer.begin() + static_cast<std::ptrdiff_t>(i) + 1, own.buffer.end(),
                      own.buffer.begin() + static_cast<std::ptrdiff_t>(i));
            own.buffer.back() = {};
            --own.buffered;
            next.push_back(reached);
        }
    }

    // Thread t executes one instruction, if it can.
    void step(const State& state, std::size_t t, std::vector<State>& next) const {
        const Instruction& in = at(state, t);
        State reached = state;
        Thread& own = reached.threads[t];
        if (own.sleeps_on != 0 || in.kind == Instruction::done) {
            return;
        }
        const bool needs_empty_buffer = in.kind == Instruction::fence || in.kind >= Instruction::increment;
        if (needs_empty_buffer && own.buffered != 0) {
            return;
        }
        ++own.counter;
        std::uint8_t& word = reached.memory[in.word];
        switch (in.kind) {
            case Instruction::store:
                if (own.buffered == buffer_max) {
                    return;
                }
                own.buffer[own.buffered++] = {in.word, in.value};
                break;
            case Instruction::load:
                own.accumulator = look(state, own, in.word);
                break;
            case Instruction::remember:
                own.seen = look(state, own, in.word);
                break;
            case Instruction::maybe_jump:
                next.push_back(reached);
                own.counter = in.target;
                break;
            case Instruction::jump:
                own.counter = in.target;
                break;
            case Instruction::jump_if:
                own.counter = own.accumulator == in.value ? in.target : own.counter;
                break;
            case Instruction::increment:
                ++word;
                break;
            case Instruction::futex_wait:
                own.sleeps_on = word == own.seen ? static_cast<std::uint8_t>(in.word + 1) : std::uint8_t{0};
                break;
            case Instruction::futex_wake:
                for (Thread& other : reached.threads) {
                    other.sleeps_on = other.sleeps_on == in.word + 1 ? std::uint8_t{0} : other.sleeps_on;
                }
                break;
            case Instruction::ring:
                word = 1;
                break;
            case Instruction::wait_rung:
                if (word == 0) {
                    return;
                }
                word = 0;
                break;
            case Instruction::fence:
            case Instruction::done:
                break;
        }
        next.push_back(reached);
    }

    const std::vector<Program> programs_;
    const MemoryModel model_;
    State start_;
};

}  // namespace yoke::ring
