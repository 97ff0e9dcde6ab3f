// A client that keeps several calls of all kinds in flight, each with a key of its own, and checks every answer.
//
// PROBLEM. Mistakes of a device show where calls meet: a team that stages one call's key while another one's is in use,
// a piece that goes through a buffer before the last one has left it. One call at a time cannot find them. MODEL. Each
// mixer has a session with a pool of cases, at least so many of each kind; what is expected of a case has come from
// libgcrypt and was confirmed by OpenSSL, through the service's host code, before the first call. Cases come in a new
// random order each time that all have come up, into places of the arena, at odd offsets, outputs and their
// surroundings poisoned. Keys go and come while other calls are in flight.
#pragma once

#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "gpu/device_session.hpp"
#include "service/trial.hpp"

namespace yoke::executive {

// What a mixer does.
struct Mix {
    unsigned ring = YOKE_RING_EXPRESS;
    unsigned depth = 8;
    unsigned calls = 1000;
    unsigned cases_per_kind = 2;
    std::size_t least_bytes = 0;
    std::size_t most_bytes = 16U << 10;
    unsigned calls_per_renewal = 64;  // after so many a key goes and comes again
};

class Mixer {
   public:
    Mixer(Executive& executive, SessionId session, const Mix& mix, std::uint64_t seed)
        : executive_(executive), session_(session), mix_(mix), random_(seed) {
        make_pool();
        room_ = room_of(mix.most_bytes + spare_bytes);
        client_ =
            std::make_unique<TestClient>(ring::Geometry{.arena_bytes = std::uint64_t{mix.depth} * room_ + (1U << 20)});
        if (!executive.add_session(session, client_->take_worker_side())) {
            problem_ = "the session is refused";
        }
    }
    Mixer(const Mixer&) = delete;
    Mixer& operator=(const Mixer&) = delete;
    ~Mixer() {
        if (thread_.joinable()) {
            thread_.join();
        }
        executive_.remove_session(session_);
    }

    void begin() {
        thread_ = std::thread([this] { run(); });
    }
    // Empty, or what went wrong.
    const std::string& end() {
        thread_.join();
        return problem_;
    }
    [[nodiscard]] const KindCounts& counts() const { return counts_; }

   private:
    static constexpr std::size_t guard = 32;
    static constexpr std::size_t spare_bytes = 256U << 10;  // of what comes in beside the input, or goes out
    static constexpr std::byte poison{0xa5};

    struct Place {
        std::size_t which = 0;  // of the pool
        std::uint64_t position = 0;
        std::size_t out = 0;
    };

    static std::size_t room_of(std::size_t bytes) { return 3 * ((bytes + 4095) / 4096 * 4096 + 4096); }
    [[nodiscard]] bool is_served(const vectors::Case& test) const {
        // Digests of short messages are longer than the messages: more than a place has room for.
        return test.expected.size() <= mix_.most_bytes + spare_bytes &&
               (mix_.ring == YOKE_RING_EXPRESS ? is_for_nsk(test) : is_for_lane(test));
    }

    // By OpenSSL.
    static bool is_confirmed(const vectors::Case& test) {
        const service::Trial trial(test, 1, 3);
        int status = 0;
        for (std::uint32_t chunk = 0; chunk < trial.chunks() && status == 0; ++chunk) {
            status = trial.run(chunk, 0);
        }
        return static_cast<bool>(trial.check(status));
    }

    void make_pool() {
        for (const Kind& kind : device_kinds()) {
            for (unsigned n = 0; n < mix_.cases_per_kind && problem_.empty();) {
                auto test = vectors::random_case(random_, kind.service, mix_.least_bytes, mix_.most_bytes);
                if (!test) {
                    problem_ = test.error();
                } else if (kind_of(*test) == kind && is_served(*test)) {
                    problem_ = is_confirmed(*test) ? "" : test->name + ": OpenSSL does not confirm libgcrypt";
                    pool_.push_back(std::move(*test));
                    ++n;
                }
            }
        }
        keys_.resize(pool_.size());
    }

    bool make_key(std::size_t which) {
        const vectors::Case& test = pool_[which];
        if (test.key.empty()) {
            return true;
        }
        if (keys_[which] != 0 && !executive_.remove_key(session_, keys_[which])) {
            problem_ = test.name + ": its key cannot be removed";
            return false;
        }
        auto key = executive_.add_key(session_, *service::find(test.service), test.key);
        keys_[which] = key ? *key : 0;
        problem_ = key ? "" : key.error().message;
        return key.has_value();
    }

    void run() {
        for (std::size_t which = 0; which < pool_.size() && problem_.empty(); ++which) {
            make_key(which);
        }
        if (problem_.empty() && mix_.ring == YOKE_RING_EXPRESS) {
            reach_nsk();
        }
        places_.resize(mix_.depth);
        unsigned done = 0;
        for (unsigned begun = 0; done < mix_.calls && problem_.empty();) {
            if (begun < mix_.calls && begun - done < mix_.depth) {
                submit(places_[begun % mix_.depth], begun % mix_.depth);
                ++begun;
            } else {
                check(places_[done % mix_.depth]);
                ++done;
                if (done % mix_.calls_per_renewal == 0 && problem_.empty()) {
                    renew(done, begun);
                }
            }
        }
    }

    void reach_nsk() {
        const std::uint64_t until = now_ns() + 20'000'000'000;
        while (client_->call(YOKE_RING_EXPRESS, client_->echo(0, 8192, 64)).where != YOKE_WHERE_NSK) {
            if (now_ns() > until) {
                problem_ = "no call was executed by the resident kernel";
                return;
            }
        }
    }

    // A key that no call in flight has goes and comes again.
    void renew(unsigned done, unsigned begun) {
        const std::size_t which = vectors::random_between(random_, 0, pool_.size() - 1);
        for (unsigned i = done; i < begun; ++i) {
            if (places_[i % mix_.depth].which == which) {
                return;
            }
        }
        make_key(which);
    }

    std::size_t next_case() {
        if (order_.empty()) {
            order_.resize(pool_.size());
            std::iota(order_.begin(), order_.end(), std::size_t{0});
            std::shuffle(order_.begin(), order_.end(), random_);
        }
        const std::size_t which = order_.back();
        order_.pop_back();
        return which;
    }

    void submit(Place& place, unsigned number) {
        place.which = next_case();
        const vectors::Case& test = pool_[place.which];
        const std::size_t in = number * room_ + vectors::random_between(random_, 0, 63);
        const std::size_t aux = in + test.in.size() + vectors::random_between(random_, 0, 63);
        place.out = aux + test.aux.size() + guard + vectors::random_between(random_, 0, 63);
        std::copy(test.in.begin(), test.in.end(), client_->data(in));
        std::copy(test.aux.begin(), test.aux.end(), client_->data(aux));
        std::fill_n(client_->data(place.out - guard), test.expected.size() + 2 * guard, poison);
        yoke_submission s{};
        s.opcode = YOKE_OP_CALL;
        s.service = test.service;
        s.flags = test.flags;
        s.object = keys_[place.which];
        s.in_offset = client_->layout().data + in;
        s.aux_offset = client_->layout().data + aux;
        s.out_offset = client_->layout().data + place.out;
        s.in_length = static_cast<std::uint32_t>(test.in.size());
        s.out_length = static_cast<std::uint32_t>(test.expected.size());
        const bool params = (test.flags & YOKE_FLAG_PARAMS) != 0;
        const std::int64_t position = client_->producer(mix_.ring).submit(s, params ? test.params.data() : nullptr);
        place.position = static_cast<std::uint64_t>(position);
        if (position < 0) {
            problem_ = "the ring takes no entry";
        }
    }

    void check(const Place& place) {
        const vectors::Case& test = pool_[place.which];
        yoke_completion done{};
        if (!client_->wait(mix_.ring, place.position, done)) {
            problem_ = test.name + " never ended";
            return;
        }
        const std::byte* const out = client_->data(place.out);
        const auto is_poison = [](std::byte b) { return b == poison; };
        if (done.status != test.status || done.out_length != test.expected.size()) {
            problem_ = test.name + " ended with " + std::to_string(done.status) + ", " +
                       std::to_string(done.out_length) + " bytes";
        } else if (!std::equal(test.expected.begin(), test.expected.end(), out)) {
            problem_ = test.name + ": wrong output";
        } else if (!std::all_of(out - guard, out, is_poison) ||
                   !std::all_of(out + test.expected.size(), out + test.expected.size() + guard, is_poison)) {
            problem_ = test.name + ": wrote beside the output";
        }
        KindCount& count = counts_[kind_of(test)];
        ++count.calls;
        count.on_device += done.where == (mix_.ring == YOKE_RING_EXPRESS ? YOKE_WHERE_NSK : YOKE_WHERE_CUDA) ? 1 : 0;
    }

    Executive& executive_;
    const SessionId session_;
    const Mix mix_;
    vectors::Random random_;
    std::vector<vectors::Case> pool_;
    std::vector<std::uint32_t> keys_;
    std::vector<std::size_t> order_;
    std::size_t room_ = 0;
    std::unique_ptr<TestClient> client_;
    std::vector<Place> places_;
    KindCounts counts_;
    std::string problem_;
    std::thread thread_;
};

// Mixers of both lanes at once: every answer right, and every kind executed by the device. What is counted of a lane is
// added to `counts`.
inline void run_mixers(Executive& executive, unsigned express, const Mix& small, unsigned bulk, const Mix& large,
                       std::map<unsigned, KindCounts>& counts) {
    std::vector<std::unique_ptr<Mixer>> mixers;
    for (unsigned i = 0; i < express + bulk; ++i) {
        mixers.push_back(
            std::make_unique<Mixer>(executive, 100 + i, i < express ? small : large, vectors::test_seed() + i));
    }
    for (const auto& mixer : mixers) {
        mixer->begin();
    }
    for (unsigned i = 0; i < express + bulk; ++i) {
        EXPECT_EQ(mixers[i]->end(), "") << "mixer " << i << "; repeat with YOKE_TEST_SEED=" << vectors::test_seed();
        for (const auto& [kind, count] : mixers[i]->counts()) {
            KindCount& sum = counts[i < express ? YOKE_RING_EXPRESS : YOKE_RING_BULK][kind];
            sum.calls += count.calls;
            sum.on_device += count.on_device;
        }
    }
}

}  // namespace yoke::executive
