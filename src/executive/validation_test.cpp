// Entries of a hostile client against the session's private layout: ranges that are outside by one byte, overflow or
// overlap, wrong flags, services and keys; each refusal must name the member that is wrong.
#include "executive/validation.hpp"

#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "service/aes/aes.hpp"

namespace yoke::executive {
namespace {

constexpr std::uint64_t data_begin = 4096;
constexpr std::uint64_t arena_end = 4096 + (1 << 20);
constexpr std::uint64_t huge = std::numeric_limits<std::uint64_t>::max();

class Validation : public testing::Test {
   protected:
    Validation() : arena_(arena_end), bounds_{arena_.data(), data_begin, arena_end} {
        const std::array<std::byte, 64> bytes = [] {
            std::array<std::byte, 64> b{};
            for (std::size_t i = 0; i < b.size(); ++i) {
                b[i] = static_cast<std::byte>(i);
            }
            return b;
        }();
        xts_key_ = *keys_.add(service::aes_xts(), std::move(*service::aes_xts().make_key(bytes, 1)));
        gcm_key_ =
            *keys_.add(service::aes_gcm(), std::move(*service::aes_gcm().make_key(std::span(bytes).first(32), 1)));
    }

    // A right call of 4096 bytes: echo, or another service with its parameters.
    static ring::Entry echo() {
        ring::Entry e;
        e.submission.opcode = YOKE_OP_CALL;
        e.submission.service = YOKE_SERVICE_ECHO;
        e.submission.in_offset = data_begin;
        e.submission.out_offset = data_begin + 8192;
        e.submission.in_length = 4096;
        e.submission.out_length = 4096;
        return e;
    }
    ring::Entry gcm() const {
        ring::Entry e = echo();
        e.submission.service = YOKE_SERVICE_AES_GCM;
        e.submission.object = gcm_key_;
        e.submission.out_length = 4096 + 16;
        e.submission.aux_offset = data_begin + 16384;
        yoke_params_aes_gcm params{};
        params.iv_length = 12;
        params.aad_length = 20;
        params.tag_length = 16;
        set_params(e, params);
        return e;
    }
    template <typename T>
    static void set_params(ring::Entry& e, const T& params) {
        e.params = std::bit_cast<decltype(e.params)>(params);
        e.params_valid = true;
        e.submission.flags = static_cast<std::uint8_t>(e.submission.flags | YOKE_FLAG_PARAMS);
    }

    Verdict check(const ring::Entry& e, unsigned ring = YOKE_RING_BULK) {
        call_ = {};
        return check_call(e, ring, bounds_, keys_, call_);
    }
    void expect(const ring::Entry& e, yoke_status_code code, yoke_member member, unsigned ring = YOKE_RING_BULK) {
        const Verdict verdict = check(e, ring);
        EXPECT_EQ(verdict.status, -static_cast<int>(code));
        EXPECT_EQ(verdict.detail, static_cast<std::uint64_t>(member));
    }

    std::vector<std::byte> arena_;
    Bounds bounds_;
    KeyTable keys_{8};
    std::uint32_t xts_key_ = 0;
    std::uint32_t gcm_key_ = 0;
    CheckedCall call_;
};

TEST_F(Validation, a_right_call_gets_its_pointers) {
    ASSERT_EQ(check(echo()).status, 0);
    EXPECT_EQ(call_.work.in, arena_.data() + data_begin);
    EXPECT_EQ(call_.work.out, arena_.data() + data_begin + 8192);
    EXPECT_EQ(call_.work.plan.out_length, 4096U);
    ASSERT_EQ(check(gcm()).status, 0);
    EXPECT_EQ(call_.work.aux, arena_.data() + data_begin + 16384);
    EXPECT_EQ(call_.work.plan.aux_length, 32U);
    EXPECT_EQ(call_.work.plan.out_length, 4096U + 16);
}

TEST_F(Validation, ranges_may_touch_the_ends_and_each_other) {
    ring::Entry e = echo();
    e.submission.in_offset = arena_end - 4096;
    e.submission.out_offset = data_begin;
    EXPECT_EQ(check(e).status, 0);
    e.submission.in_offset = data_begin + 4096;
    EXPECT_EQ(check(e).status, 0);
    // Input and aux may overlap.
    ring::Entry g = gcm();
    g.submission.aux_offset = g.submission.in_offset;
    EXPECT_EQ(check(g).status, 0);
}

TEST_F(Validation, Malicious_ranges_outside_or_overflowing) {
    const std::vector<std::uint64_t> wrong = {0,        1,           data_begin - 1, arena_end - 4095, arena_end, huge,
                                              huge - 1, huge - 4095, huge - 4096,    1ULL << 63,       1ULL << 32};
    for (const std::uint64_t offset : wrong) {
        ring::Entry e = echo();
        e.submission.in_offset = offset;
        expect(e, YOKE_EFAULT, YOKE_MEMBER_INPUT);
        e = echo();
        e.submission.out_offset = offset;
        expect(e, YOKE_EFAULT, YOKE_MEMBER_OUTPUT);
    }
    for (const std::uint64_t offset : {std::uint64_t{0}, data_begin - 1, arena_end - 31, arena_end, huge, huge - 31}) {
        ring::Entry g = gcm();
        g.submission.aux_offset = offset;
        expect(g, YOKE_EFAULT, YOKE_MEMBER_AUX);
    }
    ring::Entry e = echo();
    e.submission.in_length = YOKE_CALL_BYTES_MAX;
    expect(e, YOKE_EFAULT, YOKE_MEMBER_INPUT);
    e.submission.in_length = YOKE_CALL_BYTES_MAX + 1;
    expect(e, YOKE_EMSGSIZE, YOKE_MEMBER_INPUT);
    e.submission.in_length = 0xffffffffU;
    expect(e, YOKE_EMSGSIZE, YOKE_MEMBER_INPUT);
    e = echo();
    e.submission.out_length = 0xffffffffU;
    expect(e, YOKE_EFAULT, YOKE_MEMBER_OUTPUT);
}

TEST_F(Validation, an_empty_range_may_be_anywhere_and_points_into_the_data) {
    ring::Entry e = echo();
    e.submission.in_length = 0;
    e.submission.in_offset = huge;
    ASSERT_EQ(check(e).status, 0);
    EXPECT_EQ(call_.work.in, arena_.data() + data_begin);
    e.submission.out_length = 0;
    e.submission.out_offset = huge;
    ASSERT_EQ(check(e).status, 0);
    EXPECT_EQ(call_.work.out, arena_.data() + data_begin);
}

TEST_F(Validation, Malicious_output_over_input_or_aux) {
    for (const std::uint64_t offset : {data_begin, data_begin + 1, data_begin + 4095}) {
        ring::Entry e = echo();
        e.submission.out_offset = offset;
        expect(e, YOKE_EINVAL, YOKE_MEMBER_OVERLAP);
        std::swap(e.submission.in_offset, e.submission.out_offset);
        expect(e, YOKE_EINVAL, YOKE_MEMBER_OVERLAP);
    }
    ring::Entry g = gcm();
    g.submission.aux_offset = g.submission.out_offset + 4096 + 15;
    expect(g, YOKE_EINVAL, YOKE_MEMBER_OVERLAP);
    g.submission.aux_offset = g.submission.out_offset - 31;
    expect(g, YOKE_EINVAL, YOKE_MEMBER_OVERLAP);
    g.submission.aux_offset = g.submission.out_offset - 32;
    EXPECT_EQ(check(g).status, 0);
}

TEST_F(Validation, Malicious_flags_service_and_key) {
    ring::Entry e = echo();
    e.submission.flags = YOKE_FLAG_END;
    expect(e, YOKE_EINVAL, YOKE_MEMBER_FLAGS);
    e.submission.flags = 0x80;
    expect(e, YOKE_EINVAL, YOKE_MEMBER_FLAGS);
    e = echo();
    e.submission.flags = YOKE_FLAG_PARAMS;  // but the line did not carry the tag
    expect(e, YOKE_EINVAL, YOKE_MEMBER_PARAMS);
    for (const unsigned service : {0U, 8U, 31U, 32U, 0xffffU}) {
        e = echo();
        e.submission.service = static_cast<std::uint16_t>(service);
        expect(e, YOKE_ENOSYS, YOKE_MEMBER_SERVICE);
    }
    e = echo();
    e.submission.object = xts_key_;  // echo takes none
    expect(e, YOKE_EINVAL, YOKE_MEMBER_OBJECT);
    ring::Entry g = gcm();
    for (const std::uint32_t key : {0U, xts_key_, 77U, 0xffffffffU}) {
        g.submission.object = key;
        expect(g, YOKE_ENOKEY, YOKE_MEMBER_OBJECT);
    }
    g = gcm();
    ASSERT_TRUE(keys_.remove(gcm_key_));
    expect(g, YOKE_ENOKEY, YOKE_MEMBER_OBJECT);
}

TEST_F(Validation, output_too_short_says_what_is_needed) {
    ring::Entry e = echo();
    e.submission.out_length = 4095;
    expect(e, YOKE_EMSGSIZE, YOKE_MEMBER_OUTPUT);
    EXPECT_EQ(check(e).out_length, 4096U);
    ring::Entry g = gcm();
    g.submission.out_length = 4096;
    expect(g, YOKE_EMSGSIZE, YOKE_MEMBER_OUTPUT);
    EXPECT_EQ(check(g).out_length, 4096U + 16);
}

TEST_F(Validation, express_calls_are_short) {
    ring::Entry e = echo();
    e.submission.in_length = YOKE_EXPRESS_BYTES_MAX;
    e.submission.out_length = YOKE_EXPRESS_BYTES_MAX;
    e.submission.out_offset = data_begin + (512 << 10);
    EXPECT_EQ(check(e, YOKE_RING_EXPRESS).status, 0);
    e.submission.in_length += 1;
    e.submission.out_length += 1;
    expect(e, YOKE_EMSGSIZE, YOKE_MEMBER_INPUT, YOKE_RING_EXPRESS);
    EXPECT_EQ(check(e, YOKE_RING_BULK).status, 0);
    // Room for a tag behind the longest input.
    ring::Entry g = gcm();
    g.submission.in_length = YOKE_EXPRESS_BYTES_MAX;
    g.submission.out_length = YOKE_EXPRESS_BYTES_MAX + 16;
    g.submission.out_offset = data_begin + (512 << 10);
    g.submission.aux_offset = data_begin + (256 << 10);
    EXPECT_EQ(check(g, YOKE_RING_EXPRESS).status, 0);
    // Short input, long output: digests of one-byte messages.
    ring::Entry s = echo();
    s.submission.service = YOKE_SERVICE_SHA256;
    s.submission.in_length = 4096;
    s.submission.out_length = 4096 * 32;
    s.submission.out_offset = data_begin + (512 << 10);
    yoke_params_sha256 params{};
    params.message = 1;
    set_params(s, params);
    expect(s, YOKE_EMSGSIZE, YOKE_MEMBER_OUTPUT, YOKE_RING_EXPRESS);
    EXPECT_EQ(check(s, YOKE_RING_BULK).status, 0);
}

TEST_F(Validation, streams_check_the_range_that_they_use) {
    ring::Entry e;
    e.submission.opcode = YOKE_OP_PUSH;
    e.submission.object = 3;
    e.submission.in_offset = data_begin;
    e.submission.in_length = 100;
    e.submission.out_offset = huge;  // not used by push
    e.submission.out_length = 100;
    e.submission.flags = YOKE_FLAG_END;
    e.submission.deadline_ns = 77;
    StreamEntry stream;
    ASSERT_EQ(check_stream(e, YOKE_RING_BULK, bounds_, stream).status, 0);
    EXPECT_EQ(stream.channel, 3U);
    EXPECT_EQ(stream.data, arena_.data() + data_begin);
    EXPECT_EQ(stream.length, 100U);
    EXPECT_EQ(stream.flags, YOKE_FLAG_END);
    EXPECT_EQ(stream.deadline_ns, 77U);

    const auto refused = [&](const ring::Entry& entry, yoke_status_code code, yoke_member member, unsigned ring) {
        const Verdict verdict = check_stream(entry, ring, bounds_, stream);
        EXPECT_EQ(verdict.status, -static_cast<int>(code));
        EXPECT_EQ(verdict.detail, static_cast<std::uint64_t>(member));
    };
    ring::Entry pull = e;
    pull.submission.opcode = YOKE_OP_PULL;
    refused(pull, YOKE_EINVAL, YOKE_MEMBER_FLAGS, YOKE_RING_BULK);  // END is a push's
    pull.submission.flags = 0;
    refused(pull, YOKE_EFAULT, YOKE_MEMBER_OUTPUT, YOKE_RING_BULK);
    pull.submission.out_offset = arena_end - 99;
    refused(pull, YOKE_EFAULT, YOKE_MEMBER_OUTPUT, YOKE_RING_BULK);
    pull.submission.out_offset = arena_end - 100;
    EXPECT_EQ(check_stream(pull, YOKE_RING_BULK, bounds_, stream).status, 0);
    ring::Entry wrong = e;
    wrong.submission.in_offset = data_begin - 1;
    refused(wrong, YOKE_EFAULT, YOKE_MEMBER_INPUT, YOKE_RING_BULK);
    wrong = e;
    wrong.submission.object = 0;
    refused(wrong, YOKE_EINVAL, YOKE_MEMBER_OBJECT, YOKE_RING_BULK);
    wrong = e;
    wrong.submission.service = YOKE_SERVICE_ECHO;
    refused(wrong, YOKE_EINVAL, YOKE_MEMBER_SERVICE, YOKE_RING_BULK);
    wrong = e;
    wrong.submission.in_length = YOKE_EXPRESS_BYTES_MAX + 1;
    refused(wrong, YOKE_EMSGSIZE, YOKE_MEMBER_INPUT, YOKE_RING_EXPRESS);
    wrong.submission.in_length = 0xffffffffU;
    refused(wrong, YOKE_EMSGSIZE, YOKE_MEMBER_INPUT, YOKE_RING_BULK);
}

class StreamValidation : public Validation {
   protected:
    static ring::Entry entry(std::uint8_t opcode) {
        ring::Entry e;
        e.submission.opcode = opcode;
        e.submission.object = 3;
        return e;
    }
    void refused(const ring::Entry& e, yoke_member member) {
        const Verdict verdict = check_stream(e, YOKE_RING_BULK, bounds_, stream_);
        EXPECT_EQ(verdict.status, -YOKE_EINVAL);
        EXPECT_EQ(verdict.detail, static_cast<std::uint64_t>(member));
    }
    StreamEntry stream_;
};

TEST_F(StreamValidation, push_takes_only_signals_that_may_be_pushed) {
    for (unsigned bit = 0; bit < 32; ++bit) {
        ring::Entry e = entry(YOKE_OP_PUSH);
        yoke_params_push params{};
        params.signals = 1U << bit;
        set_params(e, params);
        if ((params.signals & YOKE_SIGNALS_PUSHABLE) != 0) {
            ASSERT_EQ(check_stream(e, YOKE_RING_BULK, bounds_, stream_).status, 0) << bit;
            EXPECT_EQ(stream_.signals, params.signals);
        } else {
            refused(e, YOKE_MEMBER_PARAMS);
        }
    }
}

TEST_F(StreamValidation, push_checks_every_zero_byte_and_that_parameters_are_there) {
    yoke_params_push params{};
    for (std::uint8_t& byte : params.zero) {
        byte = 1;
        ring::Entry e = entry(YOKE_OP_PUSH);
        set_params(e, params);
        refused(e, YOKE_MEMBER_PARAMS);
        byte = 0;
    }
    ring::Entry torn = entry(YOKE_OP_PUSH);
    set_params(torn, params);
    torn.params_valid = false;
    refused(torn, YOKE_MEMBER_PARAMS);
}

TEST_F(StreamValidation, each_opcode_has_its_flags) {
    for (unsigned flags = 0; flags < 256; ++flags) {
        ring::Entry e = entry(YOKE_OP_PULL);
        e.submission.flags = static_cast<std::uint8_t>(flags);
        e.params_valid = true;
        const unsigned pulls = flags & ~YOKE_FLAG_NOWAIT;
        if (pulls == 0 || pulls == YOKE_FLAG_PEEK || pulls == YOKE_FLAG_DRAIN) {
            ASSERT_EQ(check_stream(e, YOKE_RING_BULK, bounds_, stream_).status, 0) << flags;
            EXPECT_EQ(stream_.flags, flags);
        } else {
            refused(e, YOKE_MEMBER_FLAGS);
        }
        e.submission.opcode = YOKE_OP_MOVE;
        e.submission.aux_offset = 4;
        if ((flags & ~YOKE_FLAG_NOWAIT) != 0) {
            refused(e, YOKE_MEMBER_FLAGS);
        } else {
            EXPECT_EQ(check_stream(e, YOKE_RING_BULK, bounds_, stream_).status, 0) << flags;
            EXPECT_EQ(stream_.flags, flags);
        }
        e.submission.opcode = YOKE_OP_PUSH;
        if ((flags & ~(YOKE_FLAG_NOWAIT | YOKE_FLAG_END | YOKE_FLAG_PARAMS)) != 0) {
            refused(e, YOKE_MEMBER_FLAGS);
        } else {
            EXPECT_EQ(check_stream(e, YOKE_RING_BULK, bounds_, stream_).status, 0) << flags;
        }
    }
}

TEST_F(StreamValidation, move_names_two_channels_and_no_memory) {
    ring::Entry good = entry(YOKE_OP_MOVE);
    good.submission.aux_offset = UINT32_MAX;
    good.submission.deadline_ns = 5;
    good.submission.in_offset = huge;  // no memory, so these are nothing
    good.submission.out_offset = huge;
    ASSERT_EQ(check_stream(good, YOKE_RING_EXPRESS, bounds_, stream_).status, 0);
    EXPECT_EQ(stream_.op, YOKE_OP_MOVE);
    EXPECT_EQ(stream_.channel, 3U);
    EXPECT_EQ(stream_.to, UINT32_MAX);
    EXPECT_EQ(stream_.data, nullptr);
    EXPECT_EQ(stream_.length, 0U);
    EXPECT_EQ(stream_.deadline_ns, 5U);
    const auto changed = [&](auto&& change) {
        ring::Entry e = good;
        change(e.submission);
        return e;
    };
    refused(changed([](yoke_submission& s) { s.object = 0; }), YOKE_MEMBER_OBJECT);
    refused(changed([](yoke_submission& s) { s.aux_offset = 0; }), YOKE_MEMBER_AUX);
    refused(changed([](yoke_submission& s) { s.aux_offset = 1ULL << 32U; }), YOKE_MEMBER_AUX);
    refused(changed([](yoke_submission& s) { s.aux_offset = huge; }), YOKE_MEMBER_AUX);
    refused(changed([](yoke_submission& s) { s.in_length = 1; }), YOKE_MEMBER_INPUT);
    refused(changed([](yoke_submission& s) { s.out_length = 1; }), YOKE_MEMBER_OUTPUT);
    refused(changed([](yoke_submission& s) { s.service = YOKE_SERVICE_ECHO; }), YOKE_MEMBER_SERVICE);
}

}  // namespace
}  // namespace yoke::executive
