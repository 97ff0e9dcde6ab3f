// What a port, a ptask and a channel must be by themselves, before anything is known of the rest of their graph.
//
// A schema can say that a member is a string; that a sticky port takes datablocks, or that a service needs no program,
// it cannot. Readers of graph files, clients and workers all ask here, so that they say the same.
#pragma once

#include <string_view>

#include "base/error.hpp"
#include "control/graph_file.hpp"

namespace yoke::control {

// EINVAL with a sentence that names the object. Names and the template are not looked at.
Status check_port(const PortDefinition& port);
Status check_ptask(const PtaskDefinition& ptask);
Status check_channel(const ChannelDefinition& channel);

// Whether `form` is one of KernelDefinition's.
bool is_kernel_form(std::string_view form);
// The form of a kernel file by the end of its name: .cu, .ptx, .cubin, else "opencl".
std::string_view form_of_file(std::string_view file);
// Whether the bytes of a form's source are text, which fits a message as it is.
bool is_text_form(std::string_view form);

// "in", "out", "in-out".
std::string_view direction_text(Direction direction);
// "file", "fifo", "socket", "v4l2", "uinput".
std::string_view endpoint_text(EndpointDefinition::Kind kind);
std::optional<EndpointDefinition::Kind> endpoint_kind(std::string_view text);

}  // namespace yoke::control
