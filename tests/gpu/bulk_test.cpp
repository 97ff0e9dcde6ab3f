// Bulk calls by copy engines and launches: right answers for every mode and cut, many at a time, each where it has to
// run.
#include <openssl/evp.h>

#include <cstdlib>
#include <fstream>

#include "device_session.hpp"
#include "gpu/piece_trace.hpp"

namespace yoke::executive {
namespace {

class GpuBulk : public DeviceTest {
   protected:
    // Calls of AES-256-XTS, `depth` at a time.
    testing::AssertionResult encrypts(std::uint32_t bytes, unsigned calls, unsigned depth) {
        vectors::Random random(vectors::test_seed());
        const auto key = executive_->add_key(session, *service::find(std::uint16_t{YOKE_SERVICE_AES_XTS}),
                                             vectors::random_bytes(random, 64));
        if (!key) {
            return testing::AssertionFailure() << key.error().message;
        }
        yoke_params_aes_xts params{};
        params.unit = 4096;
        std::vector<std::int64_t> positions;
        for (std::size_t done = 0; done < calls;) {
            if (positions.size() < calls && positions.size() - done < depth) {
                const std::uint64_t in = 2 * (positions.size() % depth) * bytes;
                yoke_submission s = client_->echo(in, in + bytes, bytes);
                s.service = YOKE_SERVICE_AES_XTS;
                s.flags = YOKE_FLAG_PARAMS;
                s.object = *key;
                positions.push_back(client_->bulk->submit(s, &params));
                continue;
            }
            yoke_completion completion{};
            if (positions[done] < 0 ||
                !client_->wait(YOKE_RING_BULK, static_cast<std::uint64_t>(positions[done]), completion) ||
                completion.status != 0 || completion.where != YOKE_WHERE_CUDA) {
                return testing::AssertionFailure()
                       << "call " << done << " ended with " << completion.status << " at " << int{completion.where};
            }
            ++done;
        }
        return testing::AssertionSuccess();
    }
};

TEST_F(GpuBulk, HoldsOfficialVectors) {
    const auto loaded = vectors::load(vectors::default_directory());
    ASSERT_TRUE(loaded.has_value()) << loaded.error();
    std::size_t n = 0;
    KindCounts taken;
    for (const vectors::Case& test : loaded->cases) {
        if (test.key_error == 0) {
            const bool takes = is_for_lane(test);
            ASSERT_TRUE(holds(test, YOKE_RING_BULK, 64 + n % 64, takes ? YOKE_WHERE_CUDA : YOKE_WHERE_CPU));
            ++n;
            taken[kind_of(test)].calls += takes ? 1 : 0;
            taken[kind_of(test)].on_device += takes ? 1 : 0;
        }
    }
    EXPECT_TRUE(std::all_of(taken.begin(), taken.end(), [](const auto& each) {
        const Kind& kind = each.first;
        const bool chain = kind.service == YOKE_SERVICE_AES_CBC && !kind.decrypts;
        return kind.service == YOKE_SERVICE_SHA256 || (each.second.on_device != 0) == !chain;
    })) << text_of(taken);
    RecordProperty("on_device", static_cast<int>(executed_[YOKE_WHERE_CUDA]));
    RecordProperty("cases", static_cast<int>(n));
    RecordProperty("kinds", text_of(kinds_));
}

// The lane hashes many messages of one length: each official message stands among others, which OpenSSL hashes.
TEST_F(GpuBulk, HoldsOfficialMessagesAmongOthers) {
    const auto loaded = vectors::load(vectors::default_directory());
    ASSERT_TRUE(loaded.has_value()) << loaded.error();
    constexpr std::size_t messages = 256;
    constexpr std::size_t digest = 32;
    vectors::Random random(vectors::test_seed());
    std::size_t n = 0;
    for (const vectors::Case& test : loaded->cases) {
        const std::size_t length = test.in.size();
        if (test.service != YOKE_SERVICE_SHA256 || length == 0) {
            continue;
        }
        vectors::Case batch = test;
        batch.flags |= YOKE_FLAG_PARAMS;
        const auto message = static_cast<std::uint32_t>(length);
        std::memcpy(batch.params.data(), &message, sizeof message);
        batch.in = vectors::random_bytes(random, messages * length);
        batch.expected.resize(messages * digest);
        for (std::size_t i = 0; i < messages; ++i) {
            if (i == n % messages) {
                std::copy(test.in.begin(), test.in.end(), batch.in.begin() + static_cast<std::ptrdiff_t>(i * length));
                std::copy(test.expected.begin(), test.expected.end(),
                          batch.expected.begin() + static_cast<std::ptrdiff_t>(i * digest));
            } else {
                ASSERT_EQ(EVP_Digest(batch.in.data() + i * length, length,
                                     reinterpret_cast<unsigned char*>(batch.expected.data() + i * digest), nullptr,
                                     EVP_sha256(), nullptr),
                          1);
            }
        }
        ASSERT_TRUE(holds(batch, YOKE_RING_BULK, 64 + n % 64, YOKE_WHERE_CUDA));
        ++n;
    }
    EXPECT_GT(n, 100U);
    RecordProperty("messages", static_cast<int>(n));
}

TEST_F(GpuBulk, RandomCallsHold) {
    vectors::Random random(vectors::test_seed());
    for (unsigned round = 0; round < vectors::test_rounds(140); ++round) {
        const std::uint16_t service = device_services[round % std::size(device_services)];
        const auto test = vectors::random_case(random, service, 0, round % 10 == 9 ? 24U << 20 : 3U << 20);
        ASSERT_TRUE(test.has_value()) << test.error();
        ASSERT_TRUE(holds(*test, YOKE_RING_BULK, 64 + vectors::random_between(random, 0, 63),
                          is_for_lane(*test) ? YOKE_WHERE_CUDA : YOKE_WHERE_CPU))
            << "round " << round << "; repeat with YOKE_TEST_SEED=" << vectors::test_seed();
    }
    RecordProperty("on_device", static_cast<int>(executed_[YOKE_WHERE_CUDA]));
    RecordProperty("kinds", text_of(kinds_));
}

TEST_F(GpuBulk, ManyCallsAtATime) {
    constexpr std::uint32_t bytes = 1U << 20;
    constexpr unsigned depth = 12;
    for (unsigned round = 0; round < 20; ++round) {
        std::array<std::uint64_t, depth> positions{};
        for (unsigned i = 0; i < depth; ++i) {
            fill(client_->data(std::size_t{i} * bytes), bytes, round * 100 + i);
            std::memset(client_->data(std::size_t{depth + i} * bytes), 0xa5, bytes);
            const auto position = client_->bulk->submit(
                client_->echo(std::uint64_t{i} * bytes, std::uint64_t{depth + i} * bytes, bytes), nullptr);
            ASSERT_GE(position, 0);
            positions[i] = static_cast<std::uint64_t>(position);
        }
        for (unsigned i = 0; i < depth; ++i) {
            yoke_completion done{};
            ASSERT_TRUE(client_->wait(YOKE_RING_BULK, positions[i], done));
            ASSERT_EQ(done.status, 0);
            ASSERT_EQ(done.where, YOKE_WHERE_CUDA);
            ASSERT_EQ(std::memcmp(client_->data(std::size_t{i} * bytes), client_->data(std::size_t{depth + i} * bytes),
                                  bytes),
                      0);
        }
    }
}

// The engines and the processors work on different calls at the same time. $YOKE_TRACE names a file for the trace.
TEST_F(GpuBulk, StagesOfDifferentCallsOverlap) {
    constexpr std::uint32_t bytes = 16U << 20;
    constexpr unsigned depth = 8;
    constexpr unsigned calls = 32;
    PieceTrace trace;
    Limits limits = device_limits();
    limits.device_trace = &trace;
    start(limits, std::uint64_t{2} * depth * bytes + (2U << 20));
    const testing::AssertionResult encrypted = encrypts(bytes, calls, depth);
    executive_->remove_session(session);
    client_.reset();
    executive_.reset();  // the last pieces have been told
    ASSERT_TRUE(encrypted);
    EXPECT_GE(trace.size(), calls);
    const PieceTrace::Stages stages = trace.stages();
    const double overlap = PieceTrace::overlap_us(stages);
    EXPECT_GT(overlap, 0.0) << "no copy in, run and copy out of three calls at the same time";
    const nlohmann::json document{{"displayTimeUnit", "ns"},
                                  {"traceEvents", PieceTrace::events(stages)},
                                  {"otherData",
                                   {{"call_bytes", bytes},
                                    {"calls", calls},
                                    {"depth", depth},
                                    {"length_us", PieceTrace::length_us(stages)},
                                    {"copy_in_us", PieceTrace::busy_us(stages[PieceTrace::copy_in])},
                                    {"run_us", PieceTrace::busy_us(stages[PieceTrace::run])},
                                    {"copy_out_us", PieceTrace::busy_us(stages[PieceTrace::copy_out])},
                                    {"all_three_of_different_calls_us", overlap}}}};
    if (const char* const file = std::getenv("YOKE_TRACE"); file != nullptr) {
        std::ofstream(file) << document.dump() << '\n';
    }
    RecordProperty("overlap", document["otherData"].dump());
}

}  // namespace
}  // namespace yoke::executive
