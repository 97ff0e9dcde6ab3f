// All of NIST's vectors, and random calls against libgcrypt, through libyoke: in the caller and through a real worker.
//
// The services' own tests prove the host code; these prove the paths. A call must give the same bytes, the same status
// and touch nothing else wherever it runs.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include <yoke/yoke.hpp>

#include "support/instance.hpp"
#include "vectors/cases.hpp"
#include "vectors/random_case.hpp"
#include "vectors/reference.hpp"

namespace yoke {
namespace {

constexpr std::byte poison{0xa5};
constexpr std::size_t guard_bytes = 64;

// A call in arena memory: output poisoned, with guards behind it.
class Placed {
   public:
    Placed(Session& session, const vectors::Case& call, const yoke_key* key, yoke_place place, std::size_t offset = 0)
        : expected_(call.expected), status_(call.status), params_(call.params) {
        in_ = session.alloc(call.in.size() + offset + 1);
        aux_ = session.alloc(call.aux.size() + 1);
        out_ = session.alloc(call.expected.size() + offset + guard_bytes);
        out_begin_ = out_.data() + offset;
        std::memset(out_.data(), std::to_integer<int>(poison), out_.size());
        copy(call.in, in_.data() + offset);
        copy(call.aux, aux_.data());
        raw_.service = call.service;
        raw_.flags = static_cast<std::uint8_t>(call.flags & YOKE_FLAG_DECRYPT);
        raw_.place = static_cast<std::uint8_t>(place);
        raw_.key = key;
        raw_.in = in_.data() + offset;
        raw_.in_length = call.in.size();
        raw_.out = out_begin_;
        raw_.out_length = call.expected.size();
        raw_.aux = call.aux.empty() ? nullptr : aux_.data();
        raw_.aux_length = call.aux.size();
        raw_.params = (call.flags & YOKE_FLAG_PARAMS) != 0 ? params_.data() : nullptr;
    }

    [[nodiscard]] const yoke_call& raw() const { return raw_; }
    [[nodiscard]] testing::AssertionResult holds(const yoke_result& result) const {
        if (result.status != status_) {
            return testing::AssertionFailure() << "status " << result.status << " instead of " << status_;
        }
        const auto where = raw_.place == YOKE_PLACE_CALLER ? YOKE_WHERE_CALLER : YOKE_WHERE_CPU;
        if (result.where != where) {
            return testing::AssertionFailure() << "ran at " << int{result.where} << " instead of " << where;
        }
        if (!expected_.empty() && std::memcmp(out_begin_, expected_.data(), expected_.size()) != 0) {
            return testing::AssertionFailure() << "the output differs";
        }
        for (const std::byte* b = out_begin_ + expected_.size(); b < out_.data() + out_.size(); ++b) {
            if (*b != poison) {
                return testing::AssertionFailure() << "a byte behind the output was written";
            }
        }
        return testing::AssertionSuccess();
    }

   private:
    static void copy(const vectors::Bytes& from, std::byte* to) {
        if (!from.empty()) {
            std::memcpy(to, from.data(), from.size());
        }
    }

    vectors::Bytes expected_;
    int status_;
    std::array<std::byte, YOKE_PAYLOAD_BYTES> params_;
    Buffer in_;
    Buffer aux_;
    Buffer out_;
    std::byte* out_begin_ = nullptr;
    yoke_call raw_{};
};

class LibraryVectors : public testing::Test {
   protected:
    void SetUp() override {
        ASSERT_TRUE(instance_.ready()) << instance_.error();
        yoke_options options{};
        options.socket = instance_.socket().c_str();
        options.arena_bytes = 128U << 20U;
        session_ = std::make_unique<Session>(options);
    }
    void TearDown() override { session_.reset(); }

    test::Instance instance_;
    std::unique_ptr<Session> session_;
};

struct Vectored {
    std::uint16_t service;
    const char* name;

    friend void PrintTo(const Vectored& vectored, std::ostream* stream) { *stream << vectored.name; }
};
constexpr std::array vectored{Vectored{YOKE_SERVICE_AES_ECB, "AesEcb"}, Vectored{YOKE_SERVICE_AES_CBC, "AesCbc"},
                              Vectored{YOKE_SERVICE_AES_CTR, "AesCtr"}, Vectored{YOKE_SERVICE_AES_XTS, "AesXts"},
                              Vectored{YOKE_SERVICE_AES_GCM, "AesGcm"}, Vectored{YOKE_SERVICE_SHA256, "Sha256"}};

// One service per test, so that they run beside each other.
class AllVectors : public LibraryVectors, public testing::WithParamInterface<Vectored> {};

TEST_P(AllVectors, HoldInTheCallerAndThroughTheWorker) {
    const auto loaded = vectors::load(vectors::default_directory());
    ASSERT_TRUE(loaded.has_value()) << loaded.error();
    std::size_t held = 0;
    for (const vectors::Case& call : loaded->cases) {
        if (call.service != GetParam().service) {
            continue;
        }
        std::optional<Key> key;
        if (!call.key.empty()) {
            try {
                key.emplace(session_->key(call.service, call.key));
                ASSERT_EQ(call.key_error, 0) << call.name << ": the key was taken";
            } catch (const error& refused) {
                ASSERT_EQ(refused.code(), call.key_error) << call.name << ": " << refused.what();
                ++held;
                continue;
            }
        }
        for (const yoke_place place : {YOKE_PLACE_CALLER, YOKE_PLACE_WORKER}) {
            const Placed placed(*session_, call, key ? key->get() : nullptr, place);
            yoke_result result{};
            const int status = yoke_call_sync(session_->get(), &placed.raw(), &result);
            ASSERT_EQ(status, result.status) << call.name;
            ASSERT_TRUE(placed.holds(result)) << call.name << " in place " << place;
        }
        ++held;
    }
    EXPECT_GT(held, 0U);
    EXPECT_EQ(held, loaded->counts.at(GetParam().service));
    const auto info = session_->info();
    EXPECT_EQ(info.in_flight, 0U);
    EXPECT_EQ(info.fallbacks, 0U);
}

INSTANTIATE_TEST_SUITE_P(Services, AllVectors, testing::ValuesIn(vectored),
                         [](const auto& service) { return std::string(service.param.name); });

TEST(Vectors, OfNoServiceAreLeftOut) {
    const auto loaded = vectors::load(vectors::default_directory());
    ASSERT_TRUE(loaded.has_value()) << loaded.error();
    for (const auto& [service, count] : loaded->counts) {
        EXPECT_TRUE(std::ranges::any_of(vectored, [&](const Vectored& known) { return known.service == service; }))
            << count << " vectors of service " << service;
    }
}

// Several calls of all services in flight, each with a key of its own, finished in whatever order.
TEST_F(LibraryVectors, RandomCallsInFlightTogetherAgreeWithLibgcrypt) {
    constexpr std::size_t together = 24;
    constexpr std::array services{YOKE_SERVICE_ECHO,    YOKE_SERVICE_AES_ECB, YOKE_SERVICE_AES_CBC,
                                  YOKE_SERVICE_AES_CTR, YOKE_SERVICE_AES_XTS, YOKE_SERVICE_AES_GCM,
                                  YOKE_SERVICE_SHA256};
    vectors::Random random(vectors::test_seed());
    const unsigned rounds = vectors::test_rounds(30);
    for (unsigned round = 0; round < rounds; ++round) {
        SCOPED_TRACE(testing::Message() << "YOKE_TEST_SEED=" << vectors::test_seed() << " round " << round);
        std::vector<vectors::Case> cases;
        std::vector<Key> keys;
        std::vector<std::unique_ptr<Placed>> placed;
        std::vector<yoke_ticket> tickets;
        for (std::size_t n = 0; n < together; ++n) {
            const auto service = services[vectors::random_between(random, 0, services.size() - 1)];
            // One in eight rounds has a long call: up to 16 MiB.
            const std::size_t most = n == 0 && round % 8 == 0 ? 16U << 20U : 200U << 10U;
            auto call = vectors::random_case(random, static_cast<std::uint16_t>(service), 16, most);
            ASSERT_TRUE(call.has_value()) << call.error();
            const yoke_key* key = nullptr;
            if (!call->key.empty()) {
                keys.push_back(session_->key(call->service, call->key));
                key = keys.back().get();
            }
            placed.push_back(std::make_unique<Placed>(*session_, *call, key, YOKE_PLACE_WORKER,
                                                      vectors::random_between(random, 0, 63)));
            yoke_ticket ticket = 0;
            ASSERT_EQ(yoke_submit(session_->get(), &placed.back()->raw(), nullptr, nullptr, &ticket), 0)
                << yoke_error(session_->get());
            tickets.push_back(ticket);
            cases.push_back(std::move(*call));
        }
        for (std::size_t n = together; n-- > 0;) {
            yoke_result result{};
            ASSERT_EQ(yoke_wait(session_->get(), tickets[n], UINT64_MAX, &result), 0);
            EXPECT_TRUE(placed[n]->holds(result)) << cases[n].name;
        }
    }
    EXPECT_EQ(session_->info().in_flight, 0U);
}

}  // namespace
}  // namespace yoke
