// The first warp of a team: it polls the rings, judges what it finds, runs short calls and has the team run the others.
//
// Each group of four lanes waits for one entry. While a team has few rings, several groups wait for entries of one ring
// that follow one another, and a batch of them is taken at once: a poll costs a round trip over PCIe however many lines
// it reads. What a lane needs for its next look is kept in registers; all entries of a batch are judged side by side,
// one by each lane, and the only entry of a batch by all lanes, which then hold all that a short call needs. The input
// of an only entry is on its way while the entry is judged: judging takes as long as half a round trip. If it is a
// cipher's, the other warps make copies of the key meanwhile.
//
// Rules of code that never ends: each entry is read by acquiring loads, nothing read from memory that others write is
// kept beyond its call except names of keys, which a `sync` takes back, and no vote or shuffle stands behind a
// condition that lanes could see differently.
#pragma once

#include "executive/cuda/team.cuh"

namespace yoke::executive::cuda {

// Calls up to here are faster with one warp than with four and two barriers.
constexpr std::uint32_t alone_bytes_echo = 4096;
constexpr std::uint32_t alone_bytes_cipher = 256;
constexpr std::uint64_t heartbeat_cycles = 50'000'000;
constexpr unsigned polls_per_clock = 16;
constexpr std::uint32_t nobody = rings_per_team;
constexpr std::uint32_t first_lanes = 0x11111111U;  // of each group
constexpr unsigned object_word = offsetof(yoke_submission, object) / 4;

// A bit for each group, at its first lane, whose four lanes say yes.
__device__ __forceinline__ std::uint32_t agreed(bool yes) {
    std::uint32_t lanes = __ballot_sync(full_warp, yes);
    lanes &= lanes >> 1;
    lanes &= lanes >> 2;
    return lanes & first_lanes;
}

struct Leader {
    const Launch& launch;
    const unsigned number;  // of the team
    const unsigned here;    // in this block
    const unsigned lane;
    // The same in all lanes:
    std::uint32_t attached = 0;  // bits
    std::uint32_t sequence = 0;
    std::uint32_t unreported = 0;    // rings whose totals the worker does not know yet
    std::uint32_t window_lanes = 4;  // whose groups wait for entries of one ring
    std::uint32_t heads = 0;         // groups that wait for the next entry of a ring
    std::uint64_t beat = 0;
    // Of the lane's group: what it waits for.
    std::uint32_t mine = nobody;    // ring
    std::uint32_t ahead = 0;        // of the ring's head
    std::uint32_t groups_mine = 0;  // those of the same ring, at their first lanes
    bool expects_params = false;    // the last entry of this ring had some
    std::uint32_t tag = 0;          // 0: waits for nothing
    std::uint32_t slot = 0;
    const yoke_quarter* quarter = nullptr;  // the lane's, of the entry
    const yoke_quarter* params = nullptr;

    struct Found {
        Job job;
        bool runs;
    };

    static constexpr unsigned early_parts = early_bytes / sizeof(Block) / 32;
    // What is on its way while an entry is judged: an echo's input to this warp, or a cipher's to all.
    struct Early {
        Block v[early_parts];
        std::uint32_t blocks;  // of the echo; 0: none
        bool by_team;          // the other warps have begun and wait for the job
    };

    __device__ __forceinline__ TeamState& team() const { return states[here]; }
    __device__ __forceinline__ Report& report_of(unsigned r) const {
        return launch.reports[number * rings_per_team + r];
    }
    __device__ __forceinline__ std::uint64_t clock() const { return __shfl_sync(full_warp, cycles(), 0); }

    // Where the lane looks next.
    __device__ __forceinline__ void aim() {
        tag = 0;
        if (mine != nobody) {
            const Ring& ring = team().ring[mine];
            const std::uint64_t position = ring.head + ahead;
            slot = static_cast<std::uint32_t>(position) & ((1U << ring.slots_log2) - 1);
            tag = static_cast<std::uint32_t>((position >> ring.slots_log2) % 0xffffffffU) + 1U;
            quarter = &ring.submission[slot].quarter[lane % 4];
            params = &ring.params[slot].quarter[lane % 4];
        }
        __syncwarp();
    }

    // Deals the groups out to the rings: 8, 4, 2 groups or one for each.
    __device__ __forceinline__ void deal_out() {
        const unsigned rings = static_cast<unsigned>(__popc(attached));
        const unsigned window_log2 = rings <= 1 ? 3 : rings <= 2 ? 2 : rings <= 4 ? 1 : 0;
        window_lanes = 4U << window_log2;
        const unsigned group = lane / 4;
        unsigned which = group >> window_log2;
        mine = nobody;
        for (unsigned r = 0; r < rings_per_team; ++r) {
            if ((attached >> r & 1U) != 0) {
                mine = which == 0 ? r : mine;
                --which;
            }
        }
        ahead = group & ((1U << window_log2) - 1);
        groups_mine = __match_any_sync(full_warp, mine) & first_lanes;
        heads = agreed(ahead == 0);
        expects_params = false;
        aim();
    }

    // Those of the groups that have all before them of the same ring among them.
    __device__ __forceinline__ std::uint32_t without_gaps(std::uint32_t groups) const {
        std::uint32_t kept = groups & heads;
        YOKE_UNROLL
        for (unsigned i = 1; i < 8; ++i) {
            kept |= groups & kept << 4 & ~heads;
        }
        return kept;
    }

    // Lane 0 tells the worker what its totals have become.
    __device__ __forceinline__ void tell_totals(unsigned r) const {
        const Totals& totals = team().totals[r];
        store_relaxed_pair(&report_of(r).calls, totals.calls, totals.bytes_in);
        store_relaxed_pair(&report_of(r).bytes_out, totals.bytes_out, totals.busy_cycles);
    }

    __device__ __forceinline__ void release(unsigned r, Why why) {
        if (lane == 0) {
            Report& report = report_of(r);
            tell_totals(r);
            store_relaxed64(&report.head, team().ring[r].head);
            store_relaxed32(&report.why, static_cast<std::uint32_t>(why));
            store_release32(&report.released, team().ring[r].attachment);
        }
        attached &= ~(1U << r);
        __syncwarp();
        deal_out();
    }

    // The protocol of uapi/yoke.h: asleep = 1; fence; look once more.
    __device__ __forceinline__ void release_if_idle(unsigned r) {
        if (lane == 0) {
            store_relaxed32(team().ring[r].asleep, 1);
        }
        fence_full();
        __syncwarp();
        const bool looks = mine == r && ahead == 0;
        Quarter q{0, 0};
        if (looks) {
            q = load_relaxed(quarter);
        }
        if (__any_sync(full_warp, looks && tag_of(q) == tag)) {
            if (lane == 0) {
                store_relaxed32(team().ring[r].asleep, 0);
                team().last_work[r] = cycles();
            }
            __syncwarp();
        } else {
            release(r, Why::idle);
        }
    }

    // A key may go behind this order: so do the copies that the team's warps have. They wait for the next job
    // meanwhile.
    __device__ __forceinline__ void forget_keys() const {
        static_assert(sizeof(Key) % sizeof(Block) == 0);
        auto* const parts = reinterpret_cast<Block*>(&staged[static_cast<std::size_t>(here * warps_per_team)]);
        for (unsigned i = lane; i < warps_per_team * (sizeof(Key) / sizeof(Block)); i += 32) {
            parts[i] = Block{};
        }
        __syncwarp();
    }

    // Returns false when the team is to leave.
    __device__ __forceinline__ bool obey(const Quarter& order) {
        const auto command = static_cast<Command>(static_cast<std::uint32_t>(order.high));
        const unsigned r = static_cast<std::uint32_t>(order.high >> 32) % rings_per_team;
        fence_system();
        __syncwarp();
        if (lane < rings_per_team) {
            team().last_name[lane] = 0;
        }
        if (command != Command::attach) {
            forget_keys();
        }
        if (command == Command::attach) {
            if (lane == 0) {
                team().ring[r] = launch.rings[number * rings_per_team + r];
                team().totals[r] = {};
                team().last_work[r] = cycles();
            }
            attached |= 1U << r;
            __syncwarp();
            deal_out();
        } else if (command == Command::detach && (attached >> r & 1U) != 0) {
            release(r, Why::asked);
        } else if (command == Command::park) {
            for (unsigned ring = 0; ring < rings_per_team; ++ring) {
                if ((attached >> ring & 1U) != 0) {
                    release(ring, Why::asked);
                }
            }
        }
        __syncwarp();
        sequence = static_cast<std::uint32_t>(order.low);
        if (lane == 0) {
            store_release32(&launch.progress[number].acknowledged, sequence);
        }
        return command != Command::park;
    }

    // Reads the twelve words of the line that group `group` holds.
    __device__ __forceinline__ static void spread(const Quarter& q, unsigned group, std::uint32_t (&words)[12]) {
        YOKE_UNROLL
        for (unsigned i = 0; i < 12; ++i) {
            words[i] = __shfl_sync(full_warp, word_of(q, i % 3), 4 * group + i / 3);
        }
    }

    // The parameter lines of the groups in `wanting`: those read with the entry, if they had arrived, or read now.
    // Returns the groups whose lines carry the entry's tag.
    __device__ __forceinline__ std::uint32_t read_params(std::uint32_t wanting, Quarter& p) const {
        const bool wants = (wanting >> (lane & ~3U) & 1U) != 0;
        std::uint32_t there = agreed(tag_of(p) == tag);
        if ((wanting & ~there) != 0) {
            if (wants && (there >> (lane & ~3U) & 1U) == 0) {
                p = load_acquire(params);
            }
            __syncwarp();
            there = agreed(tag_of(p) == tag);
        }
        return there;
    }

    // The session's key with this number: its service in the upper half, its place in the lower; 0: none.
    __device__ __forceinline__ std::uint32_t find_key(std::uint32_t object, unsigned r) const {
        std::uint64_t name = team().last_name[r];
        if (static_cast<std::uint32_t>(name) != object) {
            name = load_relaxed64(launch.names + std::size_t{number * rings_per_team + r} * keys_per_ring +
                                  (object - 1) % keys_per_ring);
        }
        return static_cast<std::uint32_t>(name) == object ? static_cast<std::uint32_t>(name >> 32) : 0;
    }

    // Each lane judges the entry of group `group`, of ring `r`, if it is one of those taken; `words` are the entry's,
    // `key` what find_key() says of its object. `p` becomes the parameter line if that came late.
    __device__ __forceinline__ Found judge_entry(unsigned group, std::uint32_t taken, const Quarter& q, Quarter& p,
                                                 const std::uint32_t (&words)[12], unsigned r, std::uint32_t key) {
        // What the group's own lanes know of their entry.
        const std::uint32_t flags = __shfl_sync(full_warp, word_of(q, 0), lane & ~3U) >> 8;
        const std::uint32_t wanting = agreed((flags & YOKE_FLAG_PARAMS) != 0) & taken;
        std::uint32_t found[12] = {};
        std::uint32_t there = 0;
        if (wanting != 0) {
            there = read_params(wanting, p) & wanting;
            spread(p, group, found);
        }
        expects_params = (taken & groups_mine) != 0 ? (wanting & groups_mine) != 0 : expects_params;
        const bool params_valid = (there >> (4 * group) & 1U) != 0;
        Found result{};
        Job& job = result.job;
        job.ring = r;
        job.slot = __shfl_sync(full_warp, slot, 4 * group);
        job.tag = __shfl_sync(full_warp, tag, 4 * group);
        if ((taken >> (4 * group) & 1U) == 0) {
            return result;
        }
        yoke_submission s;
        memcpy(&s, words, sizeof(s));
        std::uint32_t params_words[12];
        YOKE_UNROLL
        for (unsigned i = 0; i < 12; ++i) {
            params_words[i] = params_valid ? found[i] : 0;
        }
        const Ring& ring = team().ring[r];
        const Judgement judged = judge(s, params_words, params_valid, key >> 16, ring);
        result.runs = judged.run;
        if (s.deadline_ns != 0 && static_cast<std::int64_t>(s.deadline_ns) <=
                                      static_cast<std::int64_t>(device_ns()) + launch.monotonic_ahead_ns) {
            result.runs = false;
        }
        job.call = make_call(s, params_words, ring);
        job.out_length = judged.out_length;
        job.key_place = key & 0xffffU;
        job.key = static_cast<std::uint64_t>(key) << 32 | s.object;
        return result;
    }

    __device__ __forceinline__ bool is_short(const Call& call) const {
        switch (call.service) {
            case YOKE_SERVICE_ECHO:
                return call.in_length <= alone_bytes_echo;
            case YOKE_SERVICE_AES_GCM:
                return true;
            default:
                return call.in_length <= alone_bytes_cipher;
        }
    }

    // Begins to read an echo's input, all loads on their way before the first is needed.
    __device__ __forceinline__ void begin_echo(Early& early, const std::uint8_t* in, std::uint32_t count) const {
        early.blocks = count;
        YOKE_UNROLL
        for (unsigned k = 0; k < early_parts; ++k) {
            const unsigned block = lane + k * 32;
            service::device::load_if(early.v[k], in + sizeof(Block) * block, reads_input && block < count);
        }
    }

    // Has all warps begin with a cipher's call; the lanes of `group` hold its parameter line, if it has one.
    __device__ __forceinline__ void begin_cipher(Early& early, const yoke_submission& untrusted, unsigned group,
                                                 std::uint32_t key, const Quarter& p, const Ring& ring) const {
        TeamState& state = team();
        const std::uint32_t count = untrusted.in_length / std::uint32_t{sizeof(Block)};
        Call& call = state.early_untrusted;
        if (lane == 0) {
            call.service = untrusted.service;
            call.flags = untrusted.flags;
            call.in_length = untrusted.in_length;
            call.in = place_at<const std::uint8_t>(ring, untrusted.in_offset);
            state.early_key_place = key & 0xffffU;
            state.early_blocks = count;
        }
        if (lane / 4 == group) {
            YOKE_UNROLL
            for (unsigned i = 0; i < 3; ++i) {
                call.params[lane % 4 * 3 + i] = word_of(p, i);
            }
        }
        __syncwarp();
        team_barrier(here);
        begin_input(here, 0, place_at<const std::uint8_t>(ring, untrusted.in_offset), count);
        early.by_team = true;
    }

    // Begins with the only entry, in `words`, before anybody has judged it: reads only what is the client's to read,
    // and only a key that is the session's and of the service. All lanes say the same.
    __device__ __forceinline__ void begin_early(Early& early, const std::uint32_t (&words)[12], unsigned group,
                                                std::uint32_t key, const Quarter& p, const Ring& ring) const {
        yoke_submission untrusted;
        memcpy(&untrusted, words, sizeof(untrusted));
        const auto* const in = place_at<const std::uint8_t>(ring, untrusted.in_offset);
        const bool wanted = untrusted.opcode == YOKE_OP_CALL && untrusted.in_length - 1 < early_bytes &&
                            (untrusted.in_length | untrusted.in_offset) % sizeof(Block) == 0 &&
                            inside(ring, untrusted.in_offset, untrusted.in_length);
        if (untrusted.service == YOKE_SERVICE_ECHO) {
            begin_echo(early, in, wanted ? untrusted.in_length / std::uint32_t{sizeof(Block)} : 0);
            return;
        }
        const bool needs_params =
            untrusted.service == YOKE_SERVICE_AES_CTR || untrusted.service == YOKE_SERVICE_AES_XTS;
        if (!wanted || (!needs_params && untrusted.service != YOKE_SERVICE_AES_ECB) || key >> 16 != untrusted.service ||
            untrusted.in_length <= alone_bytes_cipher || untrusted.out_offset % sizeof(Block) != 0) {
            return;
        }
        const bool has_params = (untrusted.flags & YOKE_FLAG_PARAMS) != 0;
        if (!needs_params || (has_params && (agreed(tag_of(p) == tag) >> (4 * group) & 1U) != 0)) {
            begin_cipher(early, untrusted, group, key, p, ring);
        }
    }

    // All warps forget the call that they have begun.
    __device__ __forceinline__ void drop_early(Early& early) const {
        if (lane == 0) {
            team().job_count = 0;
        }
        __syncwarp();
        team_barrier(here);
        wait_copies();
        team_barrier(here);
        if (lane == 0) {
            team().early_blocks = 0;
        }
        early.by_team = false;
        __syncwarp();
    }

    __device__ __forceinline__ void lay_out(const Job& job) const {
        if (lane == 0) {
            team().jobs[0] = job;
            team().job_count = 1;
            team().divided = 1;
        }
        __syncwarp();
    }

    __device__ __forceinline__ void finish_echo(Job& job, const Early& early) const {
        if (tells_clocks) {
            // Behind a branch on what was read: the clock is not read before it is there.
            std::uint32_t read = 0;
            YOKE_UNROLL
            for (unsigned k = 0; k < early_parts; ++k) {
                read ^= early.v[k].w[0];
            }
            job.loaded = __any_sync(full_warp, read == 0x9e3779b9U) ? 0 : short_cycles();
        }
        std::uint8_t* const out = job.call.out + sizeof(Block) * lane;
        YOKE_UNROLL
        for (unsigned k = 0; k < early_parts; ++k) {
            if (writes_output && lane + 32 * k < early.blocks) {
                *reinterpret_cast<Block*>(out + 32 * sizeof(Block) * k) = early.v[k];
            }
        }
    }

    // All lanes hold the job.
    __device__ __forceinline__ void run_one(Job& job, Early& early) {
        TeamState& state = team();
        yoke_line* const completion = state.ring[job.ring].completion;
        if (lane == 0) {
            store_relaxed32(&state.ring[job.ring].running[job.slot], job.tag);
        }
        if (tells_clocks) {
            job.judged = short_cycles();
        }
        if (early.by_team && service::device::is_blockwise(job.call)) {
            lay_out(job);
            team_barrier(here);
            if (lane == 0) {
                state.early_blocks = 0;
            }
            run_early(here, 0);
            return;
        }
        if (early.by_team) {
            drop_early(early);
        }
        int status = 0;
        if (job.call.service == YOKE_SERVICE_ECHO && service::device::is_plain(job.call) &&
            early.blocks * sizeof(Block) == job.call.in_length) {
            finish_echo(job, early);
        } else {
            lay_out(job);
            if (!is_short(job.call)) {
                team_barrier(here);
                run_jobs(here, 0, launch.keys);
                return;
            }
            status = run_part(here, 0, launch.keys, 0, 1);
        }
        if (tells_clocks) {
            job.stored = short_cycles();
        }
        __syncwarp();
        write_completion(completion, state, job, status, lane);
    }

    // Jobs of the groups in `runs`, at least one, each held by its group.
    __device__ __forceinline__ void run_many(const Job& job, std::uint32_t runs) const {
        TeamState& state = team();
        const bool first = (runs >> lane & 1U) != 0;
        if (first) {
            state.jobs[__popc(runs & ((1U << lane) - 1))] = job;
            store_relaxed32(&state.ring[job.ring].running[job.slot], job.tag);
        }
        if (lane == 0) {
            state.job_count = static_cast<std::uint32_t>(__popc(runs));
            state.divided = 0;
        }
        __syncwarp();
        team_barrier(here);
        run_jobs(here, 0, launch.keys);
    }

    // Books what the groups in `runs` have done; each holds its job, or all lanes that of the only one.
    __device__ __forceinline__ void account(const Job& job, std::uint32_t runs, std::uint64_t now) {
        const unsigned group_first = lane & ~3U;
        const bool counts = lane == group_first && (runs >> lane & 1U) != 0;
        std::uint32_t in = counts ? job.call.in_length : 0U;
        std::uint32_t out = counts ? job.out_length : 0U;
        for (unsigned step = 4; step < window_lanes; step *= 2) {
            in += __shfl_xor_sync(full_warp, in, step);
            out += __shfl_xor_sync(full_warp, out, step);
        }
        const std::uint32_t calls = static_cast<std::uint32_t>(__popc(runs & groups_mine));
        if (calls != 0 && lane == group_first && ahead == 0) {
            TeamState& state = team();
            Totals& totals = state.totals[mine];
            totals.calls += calls;
            totals.bytes_in += in;
            totals.bytes_out += out;
            totals.busy_cycles += static_cast<std::uint32_t>(now) - job.begin;
            state.last_work[mine] = now;
            if (job.key != 0) {
                state.last_name[mine] = job.key;
            }
            state.ring[mine].head += calls;
        }
        unreported |= __reduce_or_sync(full_warp, calls != 0 ? 1U << (mine % rings_per_team) : 0U);
    }

    // `taken`: groups whose entries are whole and behind no missing one of their ring. `params_line`: read with the
    // entry, perhaps too early.
    __device__ __forceinline__ void serve(std::uint32_t taken, const Quarter& q, Quarter params_line) {
        const std::uint64_t now = clock();
        const bool single = (taken & (taken - 1)) == 0;
        const unsigned group = single ? static_cast<unsigned>(__ffs(static_cast<int>(taken)) - 1) / 4 : lane / 4;
        std::uint32_t words[12];
        spread(q, group, words);
        const unsigned ring = __shfl_sync(full_warp, mine, 4 * group) % rings_per_team;
        const std::uint32_t object = words[object_word];
        std::uint32_t key = object != 0 && (taken >> (4 * group) & 1U) != 0 ? find_key(object, ring) : 0;
        Early early{};
        if (single && object != 0) {
            key = __shfl_sync(full_warp, key, 0);  // lanes may have found different ones while it changed
        }
        if (single && reads_early) {
            begin_early(early, words, group, key, params_line, team().ring[ring]);
        }
        Found found = judge_entry(group, taken, q, params_line, words, ring, key);
        found.job.begin = static_cast<std::uint32_t>(now);
        // Of each ring, what comes before the first that is the worker's.
        const std::uint32_t runs = without_gaps(agreed(found.runs) & taken);
        if (single && runs != 0) {
            if (!reads_early) {
                begin_early(early, words, group, key, params_line, team().ring[ring]);
            }
            run_one(found.job, early);
        } else if (runs != 0) {
            run_many(found.job, runs);
        } else if (early.by_team) {
            drop_early(early);
        }
        account(found.job, runs, clock());
        const std::uint32_t refused =
            __reduce_or_sync(full_warp, (taken & ~runs & groups_mine) != 0 ? 1U << (mine % rings_per_team) : 0U);
        __syncwarp();
        for (unsigned r = 0; r < rings_per_team; ++r) {
            if ((refused >> r & 1U) != 0) {
                release(r, Why::entry);
            }
        }
        aim();
    }

    __device__ __forceinline__ void look_around() {
        const std::uint64_t now = clock();
        if (now - beat > heartbeat_cycles) {
            beat = now;
            if (lane == 0) {
                store_relaxed32(&launch.progress[number].heartbeat,
                                static_cast<std::uint32_t>(now / heartbeat_cycles) | 1U);
            }
        }
        for (unsigned r = 0; r < rings_per_team; ++r) {
            if ((unreported >> r & attached >> r & 1U) != 0 && lane == 0) {
                tell_totals(r);
            }
        }
        unreported = 0;
        __syncwarp();
        for (unsigned r = 0; r < rings_per_team; ++r) {
            const std::uint64_t last = team().last_work[r];
            if ((attached >> r & 1U) != 0 && now > last && now - last > launch.idle_cycles) {
                release_if_idle(r);
            }
        }
    }

    __device__ __forceinline__ void lead() {
        deal_out();
        for (unsigned polls = 0;; ++polls) {
            const Quarter order = load_relaxed(&launch.orders[number]);
            Quarter q{0, 0};
            Quarter guess{0, 0};
            if (tag != 0) {
                if (expects_params) {
                    guess = load_relaxed(params);
                }
                q = load_acquire(quarter);
            }
            __syncwarp();
            const std::uint32_t taken = without_gaps(agreed(tag != 0 && tag_of(q) == tag));
            if (taken != 0) {
                serve(taken, q, guess);
            } else if (attached == 0) {
                __nanosleep(300);
            }
            if (__any_sync(full_warp, static_cast<std::uint32_t>(order.low) != sequence)) {
                // Lanes may have read different orders while it changed: all take that of the first.
                Quarter first = load_relaxed(&launch.orders[number]);
                first.low = __shfl_sync(full_warp, first.low, 0);
                first.high = __shfl_sync(full_warp, first.high, 0);
                if (static_cast<std::uint32_t>(first.low) != sequence && !obey(first)) {
                    return;
                }
            }
            if (polls % polls_per_clock == 0) {
                look_around();
            }
        }
    }
};

}  // namespace yoke::executive::cuda
