// When the stages of bulk calls' pieces ran, whether stages of different calls ran at the same time, and all that as a
// trace that chrome://tracing and Perfetto show.
//
// PROBLEM. The device says when a stage ended; it began when its own turn had come in its stream and the engine or the
// processors had done with the stage of the same kind before it. MODEL. So its beginning is the later of the two, which
// makes it rather too short than too long: what overlaps here did so on the device.
#pragma once

#include <algorithm>
#include <array>
#include <fstream>
#include <mutex>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "executive/executive.hpp"

namespace yoke::executive {

class PieceTrace final : public PieceSink {
   public:
    enum Stage : std::size_t { copy_in = 0, run = 1, copy_out = 2 };
    struct Interval {
        std::uint64_t call = 0;
        std::uint32_t piece = 0;
        std::uint64_t bytes = 0;
        double begin_us = 0;
        double end_us = 0;
    };
    using Stages = std::array<std::vector<Interval>, 3>;

    void piece(const PieceTimes& times) noexcept override {
        const std::lock_guard lock(mutex_);
        pieces_.push_back(times);
    }
    [[nodiscard]] std::size_t size() const {
        const std::lock_guard lock(mutex_);
        return pieces_.size();
    }

    // By stage, each in the order of its intervals, which do not overlap within a stage.
    [[nodiscard]] Stages stages() const {
        Stages stages;
        {
            const std::lock_guard lock(mutex_);
            for (const PieceTimes& p : pieces_) {
                stages[copy_in].push_back({p.call, p.piece, p.bytes_in, p.queued_us, p.copied_in_us});
                stages[run].push_back({p.call, p.piece, p.bytes_in, p.copied_in_us, p.run_us});
                stages[copy_out].push_back({p.call, p.piece, p.bytes_out, p.run_us, p.copied_out_us});
            }
        }
        for (std::vector<Interval>& stage : stages) {
            std::sort(stage.begin(), stage.end(),
                      [](const Interval& a, const Interval& b) { return a.end_us < b.end_us; });
            for (std::size_t i = 1; i < stage.size(); ++i) {
                stage[i].begin_us = std::max(stage[i].begin_us, stage[i - 1].end_us);
            }
        }
        return stages;
    }

    // For how long a copy in, a run and a copy out of three different calls went on at the same time, microseconds.
    [[nodiscard]] static double overlap_us(const Stages& stages) {
        double sum = 0;
        for (const Interval& middle : stages[run]) {
            for (const Interval& in : stages[copy_in]) {
                for (const Interval& out : stages[copy_out]) {
                    if (in.call != middle.call && out.call != middle.call && in.call != out.call) {
                        sum += std::max(0.0, std::min({middle.end_us, in.end_us, out.end_us}) -
                                                 std::max({middle.begin_us, in.begin_us, out.begin_us}));
                    }
                }
            }
        }
        return sum;
    }

    // From the first beginning to the last end, and the sum of a stage's intervals, microseconds.
    [[nodiscard]] static double length_us(const Stages& stages) {
        double begin = 1e30;
        for (const Interval& in : stages[copy_in]) {
            begin = std::min(begin, in.begin_us);
        }
        return stages[copy_out].empty() ? 0 : stages[copy_out].back().end_us - begin;
    }
    [[nodiscard]] static double busy_us(const std::vector<Interval>& stage) {
        double sum = 0;
        for (const Interval& interval : stage) {
            sum += interval.end_us - interval.begin_us;
        }
        return sum;
    }

    // The trace event format: complete events, a line ("thread") for each stage.
    [[nodiscard]] static nlohmann::json events(const Stages& stages) {
        nlohmann::json events = nlohmann::json::array();
        const std::array<const char*, 3> names{"copy in", "run", "copy out"};
        events.push_back({{"name", "process_name"}, {"ph", "M"}, {"pid", 1}, {"args", {{"name", "bulk lane"}}}});
        for (std::size_t s = 0; s < stages.size(); ++s) {
            events.push_back(
                {{"name", "thread_name"}, {"ph", "M"}, {"pid", 1}, {"tid", s + 1}, {"args", {{"name", names[s]}}}});
            for (const Interval& interval : stages[s]) {
                events.push_back({{"name", "call " + std::to_string(interval.call)},
                                  {"cat", names[s]},
                                  {"ph", "X"},
                                  {"pid", 1},
                                  {"tid", s + 1},
                                  {"ts", interval.begin_us},
                                  {"dur", interval.end_us - interval.begin_us},
                                  {"args", {{"piece", interval.piece}, {"bytes", interval.bytes}}}});
            }
        }
        return events;
    }

   private:
    mutable std::mutex mutex_;
    std::vector<PieceTimes> pieces_;
};

}  // namespace yoke::executive
