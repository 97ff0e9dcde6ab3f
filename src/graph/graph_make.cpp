// Graph: the datablocks that a run is given to write: outputs, copies of what others still see, what ports make
// themselves, and descriptions.
#include <algorithm>

#include "base/text.hpp"
#include "graph/extent.hpp"
#include "graph/graph.hpp"

namespace yoke::graph {

bool Graph::make_own(Port& port, Datablock& datablock) {
    auto block = pool_->take(port.bytes, reserved_);
    Status copied = block ? queue_->copy(block->buffer(), port.pattern.buffer(), port.bytes) : Status{};
    if (!block || !copied) {
        fail_with(fmt::format("port {} cannot make its datablock: {}", port.definition.name,
                              !block ? block.error().message : copied.error().message));
        return false;
    }
    queued_ = true;
    datablock = {std::move(*block), port.bytes, port.definition.form.extent, 0, false, nullptr};
    return true;
}

// Copies what others still see before the kernel writes it.
bool Graph::make_exclusive(Ptask& ptask, Ptask::Binding& input) {
    if (input.datablock.block.exclusive()) {
        return true;
    }
    auto block = pool_->take(input.port->bytes, reserved_);
    Status copied =
        block ? queue_->copy(block->buffer(), input.datablock.block.buffer(), input.datablock.bytes) : Status{};
    if (!block || !copied) {
        fail_with(fmt::format("ptask {} cannot copy the datablock of port {}: {}", ptask.definition.name,
                              input.port->definition.name, !block ? block.error().message : copied.error().message));
        return false;
    }
    queued_ = true;
    leave_fence(input.datablock);
    input.datablock.block = std::move(*block);
    return !failed_.load(std::memory_order_relaxed);
}

bool Graph::make_outputs(Ptask& ptask) {
    const auto read =
        std::find_if(ptask.inputs.begin(), ptask.inputs.end(), [](const auto& b) { return bool(b.datablock.block); });
    const device::Buffer* const input = read != ptask.inputs.end() ? &read->datablock.block.buffer() : nullptr;
    for (Ptask::Binding& output : ptask.outputs) {
        Port& port = *output.port;
        auto block = pool_->take(port.bytes, reserved_, input);
        if (!block) {
            fail_with(fmt::format("ptask {} has no memory for its output {}: {}", ptask.definition.name,
                                  port.definition.name, block.error().message));
            return false;
        }
        output.datablock = {std::move(*block), port.bytes, port.definition.form.extent, 0, false, nullptr};
        if (port.definition.variable && !size_output(ptask, port, output.datablock)) {
            return false;
        }
    }
    return std::all_of(ptask.descriptors.begin(), ptask.descriptors.end(),
                       [&](Ptask::Binding& descriptor) { return describe_input(ptask, descriptor); });
}

// As many elements as the meta port says, else as the first variable input has.
bool Graph::size_output(const Ptask& ptask, const Port& port, Datablock& datablock) {
    std::uint64_t count = 0;
    std::string reason;
    if (const Port* const meta = ptask.meta(control::Meta::size, &port)) {
        count = meta->number();
        reason = fmt::format("port {} asks for", meta->definition.name);
    } else {
        const auto like = std::find_if(ptask.inputs.begin(), ptask.inputs.end(),
                                       [](const auto& b) { return b.port->definition.variable && !b.port->is_meta(); });
        if (like == ptask.inputs.end()) {
            return true;
        }
        count = like->datablock.bytes / like->port->element_bytes;
        reason = fmt::format("port {} has", like->port->definition.name);
        if (like->port->definition.form.extent == port.definition.form.extent && port.definition.form.stride == 0) {
            datablock.extent = like->datablock.extent;
            datablock.bytes = count * port.element_bytes;
            return true;
        }
    }
    if (count > port.bytes / port.element_bytes) {
        fail_with(fmt::format("{} {}, but port {} can make {}; give it an extent of {} in all", reason,
                              counted(count, "element"), port.definition.name, port.bytes / port.element_bytes, count));
        return false;
    }
    datablock.bytes = count * port.element_bytes;
    datablock.extent = extent_of(port.definition.form, port.element_bytes, datablock.bytes);
    return true;
}

bool Graph::describe_input(const Ptask& ptask, Ptask::Binding& descriptor) {
    const auto described = std::find_if(ptask.inputs.begin(), ptask.inputs.end(),
                                        [&](const auto& b) { return b.port == descriptor.port->of; });
    DescriptorWrite& write = descriptor_writes_.take();
    const Datablock& what = described->datablock;
    write.words = {what.bytes, what.extent[0], what.extent[1], what.extent[2]};
    auto block = pool_->take(descriptor.port->bytes, reserved_);
    Status written;
    if (block) {
        written = queue_->write(block->buffer(), reinterpret_cast<const std::byte*>(write.words.data()),
                                descriptor_bytes, write);
    }
    if (!block || !written) {
        write.done(0);
        fail_with(fmt::format("port {} cannot make its datablock: {}", descriptor.port->definition.name,
                              !block ? block.error().message : written.error().message));
        return false;
    }
    queued_ = true;
    descriptor.datablock = {
        std::move(*block), descriptor_bytes, descriptor.port->definition.form.extent, 0, false, nullptr};
    return true;
}

}  // namespace yoke::graph
