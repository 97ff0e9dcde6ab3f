// See datablock_cutter.hpp.
#include "control/datablock_cutter.hpp"

#include <algorithm>
#include <cstring>

#include "base/text.hpp"
#include "control/stage_header.hpp"

namespace yoke::control {
namespace {

constexpr std::string_view header_begin = "YOKESTREAM ";  // of every version

std::string records_text(const TemplateDefinition& form) {
    TemplateDefinition packed = form;
    packed.stride = 0;
    return template_text(packed);
}

}  // namespace

Result<DatablockCutter> DatablockCutter::create(Setup setup) {
    const auto bytes = template_bytes(setup.form);
    if (!bytes) {
        return fail(bytes.error().code, "port {}: {}", setup.port, bytes.error().message);
    }
    const std::size_t element_bytes = parse_element_type(setup.form.type)->bytes();
    return DatablockCutter(std::move(setup), *bytes, element_bytes);
}

void DatablockCutter::took(std::size_t count) {
    taken_ += count;
    if (count == 0) {
        ended_ = true;
    } else if (!header_known_) {
        begin_ += static_cast<char>(letter_);
    } else if (lengths_ && record_length_filled_ < record_length_.size()) {
        record_length_filled_ += count;
    } else {
        filled_ += count;
    }
}

std::size_t DatablockCutter::begin_again() {
    const std::size_t dropped = filled_ + (begin_.size() - begin_taken_) + record_length_filled_;
    header_known_ = setup_.raw;
    ended_ = lengths_ = stream_ = false;
    begin_.clear();
    begin_taken_ = record_length_filled_ = filled_ = length_ = 0;
    taken_ = count_ = 0;
    return dropped;
}

// Until header_known_, one byte after the other.
Status DatablockCutter::look_for_header() {
    const bool like_header = begin_.starts_with(header_begin);
    if (like_header && begin_.ends_with('\n')) {
        return take_header();
    }
    if (like_header && (ended_ || begin_.size() == stage_header_bytes_max)) {
        return fail(EPROTO,
                    "{} begins with the header of a stream that has no end: the line is cut off, or longer than {} "
                    "bytes; {} takes it as data",
                    setup_.input, stage_header_bytes_max, setup_.raw_option);
    }
    header_known_ = ended_ || (!like_header && !header_begin.starts_with(begin_));
    return {};
}

Status DatablockCutter::take_header() {
    const auto header = parse_stage_header(std::string_view(begin_).substr(0, begin_.size() - 1));
    if (!header) {
        return fail(EPROTO, "{} begins with the header of a stream that means nothing: {}; {} takes it as data",
                    setup_.input, header.error().message, setup_.raw_option);
    }
    const StreamForm& stream = header->stream;
    const auto refuse = [&](const std::string& why) -> Status {
        return fail(EPROTO, "{} is a stream of {} {} records, but port {} takes {}{}", setup_.input,
                    stream.variable ? "variable" : "fixed", records_text(stream.form), setup_.port,
                    records_text(setup_.form), why);
    };
    if (stream.form.type != setup_.form.type || stream.form.extent != setup_.form.extent) {
        return refuse(fmt::format("; push what fits, or {} to take the bytes as they are", setup_.raw_option));
    }
    if (stream.variable && !setup_.variable) {
        return refuse(" of that size only; make the port variable");
    }
    if (!same_form(stream.form, setup_.form)) {
        return refuse(
            fmt::format(" with rows of {}; the rows of a stream have no gaps", counted(setup_.form.stride, "byte")));
    }
    stream_ = true;
    lengths_ = stream.variable;
    begin_.clear();
    header_known_ = true;
    return {};
}

// Of a record of variable size, which is there.
Status DatablockCutter::take_length() {
    std::uint64_t bytes_untrusted = 0;
    for (std::size_t i = record_length_.size(); i-- > 0;) {
        bytes_untrusted = bytes_untrusted << 8U | std::to_integer<std::uint64_t>(record_length_[i]);
    }
    if (bytes_untrusted == 0 || bytes_untrusted > bytes_ || bytes_untrusted % element_bytes_ != 0) {
        return fail(EPROTO, "a record of {} has {}; port {} takes 1 to {} of {}", setup_.input,
                    counted(bytes_untrusted, "byte"), setup_.port, counted(bytes_ / element_bytes_, "element"),
                    counted(element_bytes_, "byte"));
    }
    record_bytes_ = bytes_untrusted;
    return {};
}

// Where a stream is cut off in its first datablock, its datablocks may all be shorter than those of the port.
tl::unexpected<Error> DatablockCutter::cut_off(std::size_t whole) const {
    std::string hint;
    if (setup_.variable && !stream_) {
        hint = fmt::format(", and elements have {}", counted(element_bytes_, "byte"));
    } else if (!stream_ && count_ == 0 && filled_ % element_bytes_ == 0) {
        hint = fmt::format(" ({}); give it as many, or the ports of its ptask an extent of {}",
                           records_text(setup_.form), filled_ / element_bytes_);
    }
    return fail(EPROTO, "{} ends at byte {}, in the middle of a datablock: {} {} left of {} that {} takes{}",
                setup_.input, taken_, counted(filled_, "byte"), filled_ == 1 ? "is" : "are", whole, setup_.port, hint);
}

DatablockCutter::Next DatablockCutter::whole() {
    length_ = std::exchange(filled_, 0);
    record_length_filled_ = 0;
    ++count_;
    return {Cut::whole};
}

Result<DatablockCutter::Next> DatablockCutter::next(std::span<std::byte> room) {
    if (room.size() < bytes_) {
        return fail(EINVAL, "a datablock of port {} needs room for {}, not for {}", setup_.port,
                    counted(bytes_, "byte"), room.size());
    }
    if (!header_known_) {
        if (auto looked = look_for_header(); !looked) {
            return tl::unexpected(looked.error());
        }
        if (!header_known_) {
            return Next{Cut::read, {&letter_, 1}};
        }
    }
    if (lengths_ && record_length_filled_ < record_length_.size()) {
        if (ended_ && record_length_filled_ != 0) {
            return fail(EPROTO, "{} ends at byte {}, in the middle of a record's length", setup_.input, taken_);
        }
        length_ = 0;
        return ended_ ? Next{Cut::over} : Next{Cut::read, std::span(record_length_).subspan(record_length_filled_)};
    }
    if (lengths_) {
        if (auto known = take_length(); !known) {
            return tl::unexpected(known.error());
        }
    }
    const std::size_t full = lengths_ ? record_bytes_ : bytes_;
    const std::size_t kept = std::min(full - filled_, begin_.size() - begin_taken_);
    std::memcpy(room.data() + filled_, begin_.data() + begin_taken_, kept);
    begin_taken_ += kept;
    filled_ += kept;
    if (filled_ == full) {
        return whole();
    }
    if (!ended_) {
        return Next{Cut::read, room.subspan(filled_, full - filled_)};
    }
    if (lengths_ || (filled_ != 0 && (stream_ || !setup_.variable || filled_ % element_bytes_ != 0))) {
        return cut_off(full);
    }
    length_ = std::exchange(filled_, 0);
    return Next{Cut::over};
}

}  // namespace yoke::control
