// Pieces through slots; see copy_lane.hpp.
#include "executive/cuda/copy_lane.hpp"

#include <algorithm>
#include <cstring>

#include "base/clock.hpp"
#include "executive/host/intake.hpp"
#include "executive/host/thread.hpp"
#include "ring/futex.hpp"

namespace yoke::executive::cuda {
namespace {

constexpr std::uint32_t piece_bytes_max = 8U << 20;  // long enough for the full rate of a copy engine
constexpr std::uint32_t piece_bytes_min = 4U << 20;  // shorter ones cost more in copies' beginnings than they overlap
constexpr std::uint32_t lead_bytes = 64;             // in front of a piece: CBC needs the block before
constexpr std::uint32_t aux_bytes_max = 64U << 10;
constexpr std::uint32_t hashed_messages_min = 256;  // fewer messages leave the device idle
constexpr std::uint32_t digest_bytes = 32;
constexpr std::uint64_t spin_ns = 30'000;
constexpr std::uint64_t pause_ns = 20'000;

bool is_decryption(const BulkCall& call) {
    return (call.entry.submission.flags & YOKE_FLAG_DECRYPT) != 0;
}

std::uint32_t word_at(const service::Params& params, unsigned index) {
    std::uint32_t word = 0;
    std::memcpy(&word, params.data() + std::size_t{4} * index, 4);
    return word;
}

// Whether device code serves such a call well.
bool has_device_form(const BulkCall& call) {
    const service::Work& work = call.call.work;
    switch (call.entry.submission.service) {
        case YOKE_SERVICE_AES_CBC:
            return is_decryption(call);
        case YOKE_SERVICE_AES_XTS: {
            const std::uint32_t unit = word_at(work.shape.params, 4);
            return unit % 16 == 0 || unit <= piece_bytes_min;
        }
        case YOKE_SERVICE_AES_GCM:
            return work.plan.aux_length <= aux_bytes_max;
        case YOKE_SERVICE_SHA256: {
            const std::uint32_t message = word_at(work.shape.params, 0);
            return message != 0 && message <= piece_bytes_min && work.shape.in_length / message >= hashed_messages_min;
        }
        default:
            return true;
    }
}

// Bytes [begin, end) of the input that grains [first, last) cover, and of the output.
struct Span {
    std::uint64_t in_begin;
    std::uint64_t in_end;
    std::uint64_t out_begin;
    std::uint64_t out_end;
};

Span span_of(const Call& call, std::uint32_t length, std::uint32_t grains, std::uint32_t first, std::uint32_t last) {
    if (call.service == YOKE_SERVICE_SHA256) {
        const std::uint64_t message = call.params[0];
        return {first * message, last * message, std::uint64_t{32} * first, std::uint64_t{32} * last};
    }
    const auto at = [&](std::uint32_t grain) -> std::uint64_t {
        if (grain == grains) {
            return length;
        }
        if (call.service != YOKE_SERVICE_AES_XTS) {
            return std::uint64_t{16} * grain;
        }
        const std::uint32_t per_unit = call.params[4] / 16;
        return std::uint64_t{grain / per_unit} * call.params[4] + std::uint64_t{16} * (grain % per_unit);
    };
    return {at(first), at(last), at(first), at(last)};
}

}  // namespace

Result<std::unique_ptr<CopyLane>> CopyLane::create(Device& device, const Limits& limits, Lender& lender) {
    std::unique_ptr<CopyLane> lane(new CopyLane(device, limits, lender));
    Status done = lane->prepare();
    done = done ? start_thread(lane->thread_, "yoke-copy", [self = lane.get()] { self->run(); }) : done;
    if (!done) {
        return tl::unexpected(done.error());
    }
    return lane;
}

CopyLane::~CopyLane() {
    stopping_.store(true, std::memory_order_release);
    signal_.fetch_add(1, std::memory_order_seq_cst);
    static_cast<void>(ring::futex_wake(reinterpret_cast<std::uint32_t*>(&signal_), 1));
    if (thread_.joinable()) {
        thread_.join();
    }
}

Status CopyLane::prepare() {
    auto words = device_.allocate_pinned<std::uint32_t>(slots);
    auto tags = device_.allocate_pinned<std::array<std::uint32_t, 4>>(hash_places);
    if (!words || !tags) {
        return tl::unexpected(words ? tags.error() : words.error());
    }
    words_ = *words;
    tags_ = *tags;
    for (Slot& slot : slots_) {
        auto stream = device_.create_stream(device_.priority_low);
        auto in = device_.allocate(piece_bytes_max + 2 * lead_bytes);
        auto out = device_.allocate(piece_bytes_max + 2 * lead_bytes);
        if (!stream || !in || !out) {
            return tl::unexpected(!stream ? stream.error() : !in ? in.error() : out.error());
        }
        slot.stream = *stream;
        slot.in = *in;
        slot.out = *out;
    }
    for (HashPlace& place : hashes_) {
        auto aux = device_.allocate(aux_bytes_max);
        auto words_of_place = device_.allocate(32);
        if (!aux || !words_of_place) {
            return tl::unexpected(aux ? words_of_place.error() : aux.error());
        }
        place.aux = *aux;
        place.words = *words_of_place;
        if (auto made = driver::check(device_.api().cuEventCreate(&place.begun, CU_EVENT_DISABLE_TIMING),
                                      "an event cannot be had");
            !made) {
            return made;
        }
    }
    return limits_.device_trace != nullptr ? prepare_trace() : Status();
}

Status CopyLane::prepare_trace() {
    const driver::Driver& api = device_.api();
    Status done = driver::check(api.cuEventCreate(&origin_, CU_EVENT_DEFAULT), "an event cannot be had");
    for (Slot& slot : slots_) {
        for (CUevent& event : slot.stages) {
            done = done ? driver::check(api.cuEventCreate(&event, CU_EVENT_DEFAULT), "an event cannot be had") : done;
        }
    }
    done = done ? driver::check(api.cuEventRecord(origin_, slots_[0].stream), "an event cannot be recorded") : done;
    return done ? driver::check(api.cuStreamSynchronize(slots_[0].stream), "an event cannot be recorded") : done;
}

bool CopyLane::take(Session& session, BulkCall& call) noexcept {
    const service::Work& work = call.call.work;
    if (work.shape.in_length < limits_.device_bulk_bytes || !has_device_form(call)) {
        return false;
    }
    Active active;
    active.session = &session;
    active.call = &call;
    Call& c = active.work.call;
    c.service = call.entry.submission.service;
    c.flags = call.entry.submission.flags;
    c.in_length = work.shape.in_length;
    c.in = reinterpret_cast<const std::uint8_t*>(work.in);
    c.aux = reinterpret_cast<const std::uint8_t*>(work.aux);
    c.out = reinterpret_cast<std::uint8_t*>(work.out);
    std::memcpy(c.params, work.shape.params.data(), sizeof(c.params));
    if (takes_key(c.service)) {
        Side& side = side_of(session);
        const std::lock_guard lock(side.key_mutex);
        const auto found = side.keys.find(call.entry.submission.object);
        if (found == side.keys.end()) {
            return false;  // the device's table of keys was full
        }
        active.key = found->second;
        active.work.key = device_.keys() + found->second->place;
    }
    active.grains = service::device::grains_of(c);
    if (active.grains == 0) {
        return false;
    }
    std::uint64_t bytes = std::clamp(c.in_length / 4, piece_bytes_min, piece_bytes_max);
    if (c.service == YOKE_SERVICE_SHA256) {
        active.per_piece = static_cast<std::uint32_t>(piece_bytes_max / std::max(c.params[0], digest_bytes));
    } else if (c.service == YOKE_SERVICE_AES_XTS && c.params[4] <= bytes) {
        active.per_piece = static_cast<std::uint32_t>(bytes / c.params[4]) * (c.params[4] / 16);
    } else {
        active.per_piece = static_cast<std::uint32_t>(bytes / 16);
    }
    {
        const std::lock_guard lock(mutex_);
        arrived_.push_back(std::move(active));
    }
    signal_.fetch_add(1, std::memory_order_seq_cst);
    static_cast<void>(ring::futex_wake(reinterpret_cast<std::uint32_t*>(&signal_), 1));
    return true;
}

void CopyLane::run() {
    device_.context().make_current();
    std::uint64_t worked_ns = now_ns();
    while (!stopping_.load(std::memory_order_acquire)) {
        const std::uint32_t seen = signal_.load(std::memory_order_seq_cst);
        const bool arrived = admit();
        const bool worked = advance() || arrived;
        if (active_.empty()) {
            ring::futex_wait(reinterpret_cast<std::uint32_t*>(&signal_), seen, 0);
            worked_ns = now_ns();
        } else if (worked) {
            worked_ns = now_ns();
        } else if (now_ns() - worked_ns < spin_ns) {
            ring::cpu_relax();
        } else {
            ring::futex_wait(reinterpret_cast<std::uint32_t*>(&signal_), seen, pause_ns);
        }
    }
}

bool CopyLane::admit() {
    std::deque<Active> arrived;
    {
        const std::lock_guard lock(mutex_);
        arrived.swap(arrived_);
    }
    for (Active& active : arrived) {
        pin_session(device_, *active.session);  // unpinned memory is copied too, only slower
        active.begun_ns = now_ns();
        active.number = ++taken_;
        active.session->rings[YOKE_RING_BULK].begin(active.call->entry.slot, active.call->entry.tag);
        active_.push_back(std::move(active));
    }
    return !arrived.empty();
}

bool CopyLane::advance() {
    bool worked = false;
    for (unsigned i = 0; i < slots; ++i) {
        Slot& slot = slots_[i];
        if (slot.active != nullptr && __atomic_load_n(&words_.host[i], __ATOMIC_ACQUIRE) == slot.sequence) {
            retire(slot);
            worked = true;
        }
    }
    for (auto it = active_.begin(); it != active_.end();) {
        const auto next = std::next(it);
        worked = finish_if_done(it) || worked;
        it = next;
    }
    for (Slot& slot : slots_) {
        if (slot.active != nullptr || active_.empty()) {
            continue;
        }
        for (std::size_t tries = active_.size(); tries > 0 && slot.active == nullptr; --tries) {
            active_.splice(active_.end(), active_, active_.begin());  // its turn comes again behind all others
            worked = issue(slot, active_.back()) || worked;
        }
        if (slot.active == nullptr) {
            break;
        }
    }
    if (worked) {
        return true;
    }
    // What fails on the device shows in the streams, not in the words.
    for (Slot& slot : slots_) {
        const std::uint64_t now = now_ns();
        if (slot.active != nullptr && now - slot.tried_ns > 50'000'000) {
            slot.tried_ns = now;
            const CUresult state = device_.api().cuStreamQuery(slot.stream);
            if (state != CUDA_ERROR_NOT_READY) {
                device_.must(state, "a bulk call failed on the device");
            }
        }
    }
    return false;
}

void CopyLane::mark(Slot& slot, Active& active) {
    const auto index = static_cast<std::size_t>(&slot - slots_.data());
    device_.must(device_.api().cuStreamWriteValue32(slot.stream, reinterpret_cast<CUdeviceptr>(words_.device + index),
                                                    ++slot.sequence, 0),
                 "the end of a piece cannot be marked");
    slot.active = &active;
    slot.tried_ns = now_ns();
    ++active.under_way;
}

// The next piece of a call, if there is one.
bool CopyLane::issue(Slot& slot, Active& active) {
    const driver::Driver& api = device_.api();
    if (active.next >= active.grains || active.status != 0) {
        return false;
    }
    if (int stop = stop_reason(*active.session, YOKE_RING_BULK, active.call->entry); stop != 0) {
        active.status = stop;
        return false;
    }
    if (active.work.call.service == YOKE_SERVICE_AES_GCM && active.next == 0) {
        begin_hash(slot, active);
        if (active.hash_place < 0) {
            return false;
        }
    }
    const Call& call = active.work.call;
    const std::uint32_t first = active.next;
    const std::uint32_t last = std::min(active.grains, first + active.per_piece);
    const bool gcm = call.service == YOKE_SERVICE_AES_GCM;
    const std::uint32_t length = gcm ? service::device::gcm_shape(call).length : call.in_length;
    const Span span = span_of(call, length, active.grains, first, last);
    const std::uint64_t before = call.service == YOKE_SERVICE_AES_CBC && span.in_begin != 0 ? 16 : 0;
    stage(slot, 0);
    device_.must(api.cuMemcpyHtoDAsync(slot.in + lead_bytes - before, call.in + span.in_begin - before,
                                       span.in_end - span.in_begin + before, slot.stream),
                 "a piece cannot be copied in");
    stage(slot, 1);
    BulkWork work = active.work;
    work.call.in = driver::pointer_to<const std::uint8_t>(slot.in + lead_bytes - span.in_begin);
    work.call.out = driver::pointer_to<std::uint8_t>(slot.out + lead_bytes - span.out_begin);
    work.first = first;
    work.last = last;
    if (gcm) {
        const HashPlace& place = hashes_[static_cast<std::size_t>(active.hash_place)];
        work.call.aux = driver::pointer_to<const std::uint8_t>(place.aux);
        device_.must(api.cuStreamWaitEvent(slot.stream, place.begun, 0), "a piece cannot wait for its call");
    }
    const bool hashes = call.service == YOKE_SERVICE_SHA256;
    const unsigned threads = hashes ? hash_threads : bulk_threads;
    unsigned count = 1;
    while (count < bulk_blocks_max && count * threads < last - first) {
        count *= 2;
    }
    void* arguments[] = {&work};
    device_.must(api.cuLaunchKernel(device_.bulk, count, 1, 1, threads, 1, 1, takes_key(call.service) ? table_bytes : 0,
                                    slot.stream, arguments, nullptr),
                 "a bulk kernel cannot be launched");
    stage(slot, 2);
    device_.must(api.cuMemcpyDtoHAsync(call.out + span.out_begin, slot.out + lead_bytes, span.out_end - span.out_begin,
                                       slot.stream),
                 "a piece cannot be copied out");
    stage(slot, 3);
    if (limits_.device_trace != nullptr) {
        slot.times = {.session = active.session->id,
                      .call = active.number,
                      .piece = first / active.per_piece,
                      .bytes_in = span.in_end - span.in_begin,
                      .bytes_out = span.out_end - span.out_begin};
        slot.traced = true;
    }
    active.next = last;
    mark(slot, active);
    return true;
}

void CopyLane::begin_hash(Slot& slot, Active& active) {
    const driver::Driver& api = device_.api();
    const auto place = std::find_if(hashes_.begin(), hashes_.end(), [](const HashPlace& p) { return !p.used; });
    if (place == hashes_.end()) {
        return;
    }
    place->used = true;
    active.hash_place = static_cast<int>(place - hashes_.begin());
    active.work.hash = driver::pointer_to<std::uint32_t>(place->words);
    active.work.start = driver::pointer_to<std::uint32_t>(place->words + 16);
    device_.must(
        api.cuMemcpyHtoDAsync(place->aux, active.work.call.aux, active.call->call.work.plan.aux_length, slot.stream),
        "additional data cannot be copied in");
    BulkWork work = active.work;
    work.call.aux = driver::pointer_to<const std::uint8_t>(place->aux);
    void* arguments[] = {&work};
    device_.must(api.cuLaunchKernel(device_.bulk_begin, 1, 1, 1, 32, 1, 1, 0, slot.stream, arguments, nullptr),
                 "a bulk kernel cannot be launched");
    device_.must(api.cuEventRecord(place->begun, slot.stream), "an event cannot be recorded");
}

void CopyLane::issue_tag(Slot& slot, Active& active) {
    const driver::Driver& api = device_.api();
    const auto place = static_cast<std::size_t>(active.hash_place);
    active.tagging = true;
    BulkWork work = active.work;
    void* arguments[] = {&work};
    device_.must(api.cuLaunchKernel(device_.bulk_tag, 1, 1, 1, 32, 1, 1, table_bytes, slot.stream, arguments, nullptr),
                 "a bulk kernel cannot be launched");
    device_.must(api.cuMemcpyDtoHAsync(&tags_.host[place], hashes_[place].words, 16, slot.stream),
                 "a tag cannot be copied out");
    mark(slot, active);
}

void CopyLane::stage(Slot& slot, unsigned number) {
    if (limits_.device_trace != nullptr) {
        device_.must(device_.api().cuEventRecord(slot.stages[number], slot.stream), "an event cannot be recorded");
    }
}

void CopyLane::tell_times(Slot& slot) {
    slot.traced = false;
    device_.must(device_.api().cuEventSynchronize(slot.stages.back()), "the time of an event cannot be read");
    double* const places[] = {&slot.times.queued_us, &slot.times.copied_in_us, &slot.times.run_us,
                              &slot.times.copied_out_us};
    for (unsigned i = 0; i < slot.stages.size(); ++i) {
        float milliseconds = 0;
        device_.must(device_.api().cuEventElapsedTime(&milliseconds, origin_, slot.stages[i]),
                     "the time of an event cannot be read");
        *places[i] = static_cast<double>(milliseconds) * 1e3;
    }
    limits_.device_trace->piece(slot.times);
}

void CopyLane::retire(Slot& slot) {
    if (slot.traced) {
        tell_times(slot);
    }
    --slot.active->under_way;
    slot.active = nullptr;
}

// True: the call has ended, or its tag was begun.
bool CopyLane::finish_if_done(std::list<Active>::iterator it) {
    Active& active = *it;
    if (active.under_way != 0 || (active.status == 0 && active.next < active.grains)) {
        return false;
    }
    if (active.hash_place >= 0 && active.status == 0 && !active.tagging) {
        const auto slot = std::find_if(slots_.begin(), slots_.end(), [](const Slot& s) { return s.active == nullptr; });
        if (slot == slots_.end()) {
            return false;
        }
        issue_tag(*slot, active);
        return true;
    }
    if (active.hash_place >= 0) {
        const auto place = static_cast<std::size_t>(active.hash_place);
        if (active.status == 0) {
            service::device::Block tag;
            std::memcpy(&tag, &tags_.host[place], sizeof(tag));
            if (!service::device::gcm_finish(active.work.call, tag)) {
                std::memset(active.work.call.out, 0, service::device::gcm_shape(active.work.call).length);
                active.status = -YOKE_EBADMSG;
            }
        }
        hashes_[place].used = false;
    }
    Session& session = *active.session;
    BulkCall& call = *active.call;
    const int status = active.status;
    const std::uint64_t begun_ns = active.begun_ns;
    active_.erase(it);  // with its hold on the key
    calls_.fetch_add(1, std::memory_order_relaxed);
    lender_.call_done(session, call, status, begun_ns);
    return true;
}

}  // namespace yoke::executive::cuda
