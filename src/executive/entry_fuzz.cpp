// Fuzz target: the path of an entry from hostile memory to the service that executes it.
//
// The input describes an arena: its first byte says how, then either raw bytes for both rings' lines, or records that
// become lines with right tags, so that the fuzzer reaches what lies behind the tags. Everything that is accepted is
// executed. The arena is a heap block of exactly its size: AddressSanitizer reports every access beside it.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "executive/key_table.hpp"
#include "executive/validation.hpp"
#include "ring/layout.hpp"
#include "service/service.hpp"

namespace {

using namespace yoke;

constexpr std::uint32_t slots = 4;

// One session's memory and keys, made once. The lines are cleared for every input.
struct Session {
    Session() {
        layout = *ring::make_layout({.arena_bytes = YOKE_ARENA_BYTES_MIN, .express_slots = slots, .bulk_slots = slots});
        arena = std::make_unique<std::byte[]>(layout.arena_bytes);
        status = std::make_unique<std::byte[]>(layout.status_bytes);
        std::array<std::byte, 64> bytes;
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            bytes[i] = static_cast<std::byte>(i);
        }
        for (const service::Service* service : service::all()) {
            for (const std::size_t length : {std::size_t{16}, std::size_t{32}, std::size_t{64}}) {
                auto key = service->make_key(std::span(bytes).first(length), 1);
                if (key && !keys.add(*service, std::move(*key))) {
                    std::abort();
                }
            }
        }
    }
    yoke_layout layout{};
    std::unique_ptr<std::byte[]> arena;
    std::unique_ptr<std::byte[]> status;
    executive::KeyTable keys{32};
};

class Input {
   public:
    Input(const std::uint8_t* data, std::size_t size) : data_(data), left_(size) {}
    [[nodiscard]] std::size_t left() const { return left_; }
    template <typename T>
    T take() {
        T value{};
        const std::size_t bytes = std::min(sizeof(T), left_);
        std::memcpy(&value, data_, bytes);
        data_ += bytes;
        left_ -= bytes;
        return value;
    }

   private:
    const std::uint8_t* data_;
    std::size_t left_;
};

// A record: how to bend the offsets into the data area, the entry, its parameters.
struct Record {
    std::uint8_t bend;
    yoke_submission submission;
    std::array<std::uint8_t, YOKE_PAYLOAD_BYTES> params;
};

void write_record(const Session& session, unsigned ring, std::uint64_t position, Record record) {
    const std::uint64_t data_bytes = session.layout.arena_bytes - session.layout.data;
    yoke_submission& s = record.submission;
    unsigned bit = 0;
    for (auto* offset : {&s.in_offset, &s.out_offset, &s.aux_offset}) {
        if ((record.bend & (1U << bit++)) != 0) {
            *offset = session.layout.data + *offset % data_bytes;
        }
    }
    for (auto* length : {&s.in_length, &s.out_length}) {
        if ((record.bend & (1U << bit++)) != 0) {
            *length %= 8192;
        }
    }
    const yoke_ring_layout& place = session.layout.ring[ring];
    const std::uint32_t slot = static_cast<std::uint32_t>(position) % slots;
    const std::uint32_t tag = yoke_lap_tag(position, 2);
    auto* const lines = reinterpret_cast<yoke_line*>(session.arena.get() + place.submission);
    auto* const params = reinterpret_cast<yoke_line*>(session.arena.get() + place.params);
    yoke_line_write(&params[slot], record.params.data(), (record.bend & 0x40) != 0 ? tag + 1 : tag);
    yoke_line_write(&lines[slot], &s, tag);
}

// Executes what is accepted and completes it, or leaves it busy. False: a fault.
bool serve(Session& session, ring::Consumer& consumer, unsigned ring, bool leave_busy) {
    const executive::Bounds bounds{session.arena.get(), session.layout.data, session.layout.arena_bytes};
    ring::Entry entry;
    for (;;) {
        const ring::Take taken = consumer.take(entry);
        if (taken == ring::Take::nothing || taken == ring::Take::fault) {
            return taken == ring::Take::nothing;
        }
        if (taken == ring::Take::skipped) {
            continue;
        }
        yoke_completion completion{};
        const std::uint8_t opcode = entry.submission.opcode;
        if (opcode == YOKE_OP_PUSH || opcode == YOKE_OP_PULL || opcode == YOKE_OP_MOVE) {
            executive::StreamEntry stream;
            completion.status = executive::check_stream(entry, ring, bounds, stream).status;
            if (completion.status == 0 && (stream.signals & ~YOKE_SIGNALS_PUSHABLE) != 0) {
                std::abort();
            }
            if (completion.status == 0 && opcode == YOKE_OP_MOVE &&
                (stream.channel == 0 || stream.to == 0 || stream.data != nullptr)) {
                std::abort();
            }
            if (completion.status == 0 && stream.length != 0) {
                // As a sink would: the whole range must be there.
                std::memset(stream.data, 0, stream.length);
            }
        } else {
            executive::CheckedCall call;
            const executive::Verdict verdict = executive::check_call(entry, ring, bounds, session.keys, call);
            completion.status = verdict.status;
            for (std::uint32_t chunk = 0; completion.status == 0 && chunk < call.work.plan.chunks; ++chunk) {
                completion.status = call.service->run(call.work, chunk, 0);
            }
        }
        if (completion.status > 0 || completion.status < -200) {
            std::abort();  // not a status of the ABI
        }
        if (!leave_busy && !consumer.complete(entry.slot, entry.tag, completion)) {
            std::abort();  // what was taken is in flight
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static Session session;
    std::memset(session.arena.get(), 0, session.layout.data);
    Input input(data, size);
    const auto how = input.take<std::uint8_t>();
    const unsigned ring = how & 1U;
    const ring::WorkerView view{session.arena.get(), session.status.get(), session.layout};
    ring::Consumer consumer(view, ring);
    if ((how & 2U) != 0) {
        std::memcpy(session.arena.get(), data, std::min<std::size_t>(size, session.layout.data));
        serve(session, consumer, ring, false);
        return 0;
    }
    for (std::uint64_t position = 0; input.left() != 0 && position < 64; ++position) {
        const auto record = input.take<Record>();
        write_record(session, ring, position, record);
        if (!serve(session, consumer, ring, (record.bend & 0x80) != 0)) {
            return 0;
        }
    }
    return 0;
}
