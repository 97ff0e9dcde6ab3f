// How the non-stop kernel comes and goes, and how it is told what to do; see resident.hpp.
#include <cstring>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "executive/cuda/resident.hpp"
#include "ring/futex.hpp"

namespace yoke::executive::cuda {
namespace {

constexpr unsigned reserved_multiprocessors = blocks;
// Until a launch has its turn: kernels of the same worker, of other processes or a debugger's may be before it.
constexpr std::uint64_t begin_ns = 30'000'000'000;
constexpr std::uint64_t calibration_ns = 10'000'000'000;  // the clocks drift apart by microseconds in that time
constexpr std::uint64_t grave_bytes_max = 256ULL << 20;
constexpr std::uint64_t grave_ns_max = 1'000'000'000;
constexpr unsigned clock_rounds = 8;

}  // namespace

Status Resident::prepare() {
    auto orders = device_.allocate(teams * sizeof(Order));
    auto rings = device_.allocate(rings_max * sizeof(Ring));
    auto names = device_.allocate(std::size_t{rings_max} * keys_per_ring * sizeof(KeyName));
    auto staging = device_.allocate_pinned<Ring>(rings_max);
    auto reports = device_.allocate_pinned<Report>(rings_max);
    auto progress = device_.allocate_pinned<TeamReport>(teams);
    auto clock = device_.allocate_pinned<std::uint64_t>(1);
    auto stream = device_.create_stream(device_.priority_high);
    for (const Error* error : {orders ? nullptr : &orders.error(), rings ? nullptr : &rings.error(),
                               names ? nullptr : &names.error(), staging ? nullptr : &staging.error(),
                               reports ? nullptr : &reports.error(), progress ? nullptr : &progress.error(),
                               clock ? nullptr : &clock.error(), stream ? nullptr : &stream.error()}) {
        if (error != nullptr) {
            return tl::unexpected(*error);
        }
    }
    order_words_ = *orders;
    rings_ = *rings;
    names_ = *names;
    ring_staging_ = *staging;
    reports_ = *reports;
    progress_ = *progress;
    clock_ = *clock;
    orders_ = *stream;
    offers_.reserve(rings_max);
    if (Status reserved = reserve_stream(); !reserved) {
        // Beside long kernels of the same worker a relaunch then waits for room.
        log_info(Topic::executive, "no processors can be kept for the resident kernel",
                 {{"error", reserved.error().message}});
        auto plain = device_.create_stream(device_.priority_high);
        if (!plain) {
            return tl::unexpected(plain.error());
        }
        stream_ = *plain;
    }
    return calibrate_clock();
}

// A green context of a few multiprocessors: there is always room for the kernel (docs/measurements/express.md).
Status Resident::reserve_stream() {
    const driver::Driver& api = device_.api();
    const CUdevice device = device_.context().device;
    CUdevResource all{};
    CUdevResource part{};
    CUdevResource rest{};
    unsigned groups = 1;
    CUdevResourceDesc description = nullptr;
    CUgreenCtx green = nullptr;
    Status done = driver::check(api.cuDeviceGetDevResource(device, &all, CU_DEV_RESOURCE_TYPE_SM),
                                "the device does not tell its processors");
    done = done ? driver::check(api.cuDevSmResourceSplitByCount(&part, &groups, &all, &rest,
                                                                CU_DEV_SM_RESOURCE_SPLIT_IGNORE_SM_COSCHEDULING,
                                                                reserved_multiprocessors),
                                "the device's processors cannot be divided")
                : done;
    done = done ? driver::check(api.cuDevResourceGenerateDesc(&description, &part, 1), "a part cannot be described")
                : done;
    done = done ? driver::check(api.cuGreenCtxCreate(&green, description, device, CU_GREEN_CTX_DEFAULT_STREAM),
                                "a part has no context")
                : done;
    return done ? driver::check(
                      api.cuGreenCtxStreamCreate(&stream_, green, CU_STREAM_NON_BLOCKING, device_.priority_high),
                      "a part has no stream")
                : done;
}

// The least of a few differences: what a launch takes can only make it look larger.
Status Resident::calibrate_clock() {
    std::int64_t least = INT64_MAX;
    for (unsigned round = 0; round < clock_rounds; ++round) {
        void* arguments[] = {&clock_.device};
        Status done = driver::check(
            device_.api().cuLaunchKernel(device_.read_clock, 1, 1, 1, 1, 1, 1, 0, stream_, arguments, nullptr),
            "the device's clock cannot be read");
        done = done ? driver::check(device_.api().cuStreamSynchronize(stream_), "the device's clock cannot be read")
                    : done;
        if (!done) {
            return done;
        }
        least = std::min(least, static_cast<std::int64_t>(now_ns()) - static_cast<std::int64_t>(*clock_.host));
    }
    monotonic_ahead_ns_ = least;
    calibrated_ns_ = now_ns();
    return {};
}

void Resident::launch(std::uint64_t now) {
    const driver::Driver& api = device_.api();
    ++number_;
    sequence_.fill(0);
    heart_ns_.fill(now);
    device_.must(api.cuMemsetD32Async(order_words_, 0, teams * sizeof(Order) / 4, orders_), "orders cannot be cleared");
    device_.must(api.cuStreamSynchronize(orders_), "orders cannot be cleared");
    for (std::uint32_t team = 0; team < teams; ++team) {
        __atomic_store_n(&progress_.host[team].acknowledged, 0, __ATOMIC_RELEASE);
    }
    Launch launch{driver::pointer_to<Order>(order_words_),
                  driver::pointer_to<Ring>(rings_),
                  driver::pointer_to<KeyName>(names_),
                  device_.keys(),
                  reports_.device,
                  progress_.device,
                  number_,
                  0,
                  limits_.device_idle_ns * device_.cycles_per_us / 1000,
                  (1000U << 16) / device_.cycles_per_us,
                  0,
                  monotonic_ahead_ns_};
    void* arguments[] = {&launch};
    device_.must(
        api.cuLaunchKernel(device_.nsk, blocks, 1, 1, nsk_threads, 1, 1, table_bytes, stream_, arguments, nullptr),
        "the resident kernel cannot be launched");
    resident_ = true;
    empty_since_ns_ = now;
}

void Resident::park() {
    if (!resident_) {
        return;
    }
    for (std::uint32_t team = 0; team < teams; ++team) {
        order(team, Command::park, 0);
    }
    for (std::uint32_t team = 0; team < teams; ++team) {
        await(team, sequence_[team]);
    }
    device_.must(device_.api().cuStreamSynchronize(stream_), "the resident kernel does not end");
    resident_ = false;
    for (Session* session : lent_) {
        if (session != nullptr) {
            collect(*session);
        }
    }
}

// Parks while nobody waits, which is the time to compare the clocks anew: those of a machine drift apart. How far they
// may in one residence does no harm, since the host looks at the deadlines of what the kernel gives back itself.
void Resident::rest(std::uint64_t now) {
    park();
    if (now - calibrated_ns_ > calibration_ns) {
        if (Status done = calibrate_clock(); !done) {
            driver::lost(done.error());
        }
    }
}

void Resident::attach(Session& session, std::uint32_t slot, std::uint64_t now) {
    const driver::Driver& api = device_.api();
    if (!resident_) {
        launch(now);
    }
    Side& side = side_of(session);
    const yoke_layout& layout = session.memory.layout;
    const yoke_ring_layout& place = layout.ring[YOKE_RING_EXPRESS];
    const ring::Consumer& ring = session.rings[YOKE_RING_EXPRESS];
    Ring& record = ring_staging_.host[slot];
    record.submission = reinterpret_cast<const yoke_line*>(side.arena + place.submission);
    record.params = reinterpret_cast<const yoke_line*>(side.arena + place.params);
    record.completion = reinterpret_cast<yoke_line*>(side.arena + place.completion);
    record.running = reinterpret_cast<std::uint32_t*>(side.status + place.running);
    record.asleep = reinterpret_cast<std::uint32_t*>(side.status + offsetof(yoke_status_page, ring));
    record.arena = side.arena;
    record.data = layout.data;
    record.end = layout.arena_bytes;
    record.head = ring.position();
    record.slots_log2 = static_cast<std::uint32_t>(__builtin_ctz(place.slots));
    record.attachment = ++attachments_;
    record.faults = limits_.device_faults ? 1 : 0;
    side.away = true;
    side.slot = slot;
    side.attachment = attachments_;
    side.watched = record.head;
    side.seen = {};
    reports_.host[slot] = {};
    lent_[slot] = &session;
    ++lent_count_;
    needed_ns_ = now;
    // Some 10 us in all: nothing waits for the device but the order before this one.
    const CUdeviceptr names = names_ + std::size_t{slot} * keys_per_ring * sizeof(KeyName);
    if (!side.names.empty()) {
        device_.must(api.cuMemcpyHtoDAsync(names, side.names.data(), keys_per_ring * sizeof(KeyName), orders_),
                     "names of keys cannot be copied");
    } else if (named_[slot]) {
        device_.must(api.cuMemsetD8Async(names, 0, keys_per_ring * sizeof(KeyName), orders_),
                     "names of keys cannot be cleared");
    }
    named_[slot] = !side.names.empty();
    device_.must(api.cuMemcpyHtoDAsync(rings_ + slot * sizeof(Ring), &record, sizeof(Ring), orders_),
                 "a ring cannot be handed over");
    order(slot / rings_per_team, Command::attach, slot % rings_per_team);
}

std::uint32_t Resident::order(std::uint32_t team, Command command, std::uint32_t ring) {
    await(team, sequence_[team]);
    const std::uint32_t sequence = ++sequence_[team];
    const CUdeviceptr at = order_words_ + team * sizeof(Order);
    const std::uint64_t what = static_cast<std::uint32_t>(command) | std::uint64_t{ring} << 32;
    device_.must(device_.api().cuStreamWriteValue64(orders_, at + offsetof(Order, command), what, 0),
                 "the resident kernel cannot be told");
    device_.must(device_.api().cuStreamWriteValue32(orders_, at + offsetof(Order, sequence), sequence, 0),
                 "the resident kernel cannot be told");
    return sequence;
}

void Resident::await(std::uint32_t team, std::uint32_t sequence) {
    const TeamReport& report = progress_.host[team];
    const std::uint64_t asked = now_ns();
    std::uint64_t since = asked;  // it could answer
    while (__atomic_load_n(&report.acknowledged, __ATOMIC_ACQUIRE) != sequence) {
        ring::cpu_relax();
        const std::uint64_t now = now_ns();
        if (__atomic_load_n(&report.begun, __ATOMIC_ACQUIRE) != number_) {
            if (now - asked > begin_ns) {
                driver::lost({EIO, "the resident kernel does not begin"});
            }
            since = now;
        } else if (now - since > limits_.device_answer_ns) {
            driver::lost({EIO, "the resident kernel does not answer"});
        }
    }
}

void Resident::watch_heart(std::uint64_t now) {
    for (std::uint32_t team = 0; team < teams; ++team) {
        const TeamReport& report = progress_.host[team];
        const std::uint32_t heart = __atomic_load_n(&report.heartbeat, __ATOMIC_ACQUIRE);
        if (heart != heart_[team] || __atomic_load_n(&report.begun, __ATOMIC_ACQUIRE) != number_) {
            heart_[team] = heart;
            heart_ns_[team] = now;
        } else if (now - heart_ns_[team] > limits_.device_answer_ns) {
            driver::lost({EIO, "the resident kernel stands still"});
        }
    }
}

void Resident::copy_name(const Side& side, std::uint32_t place) {
    if (!side.away) {
        return;  // all names are copied when the ring is attached
    }
    device_.context().make_current();
    const std::size_t at = std::size_t{side.slot} * keys_per_ring + place;
    device_.must(
        device_.api().cuMemcpyHtoDAsync(names_ + at * sizeof(KeyName), &side.names[place], sizeof(KeyName), orders_),
        "the name of a key cannot be copied");
    device_.must(device_.api().cuStreamSynchronize(orders_), "the name of a key cannot be copied");
    named_[side.slot] = true;
}

// Unpinning waits for every kernel of the context: all graves at a time, and not while the resident kernel runs.
void Resident::unpin_graves(std::uint64_t now, bool forced) {
    if (graves_.empty()) {
        return;
    }
    if (resident_ && (forced || grave_bytes_ > grave_bytes_max || now - grave_since_ns_ > grave_ns_max)) {
        park();
    }
    if (resident_) {
        return;
    }
    for (Grave& grave : graves_) {
        device_.unpin(grave.memory.arena.data());
        if (static_cast<Side&>(*grave.side).status_pinned) {
            device_.unpin(grave.memory.status.data());
        }
    }
    graves_.clear();
    grave_bytes_ = 0;
}

}  // namespace yoke::executive::cuda
