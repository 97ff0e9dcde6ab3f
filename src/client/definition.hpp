// Definitions of graph objects out of the C structures. Pointers and numbers are checked here; what the definitions
// mean is checked by control/definition.hpp, before anything is sent.
#pragma once

#include <string>

#include <yoke/yoke.h>

#include "base/error.hpp"
#include "control/graph_file.hpp"

namespace yoke::client {

// EINVAL with a sentence that names the object.
control::TemplateDefinition template_of(const yoke_template& form);
Result<control::PortDefinition> port_of(const std::string& name, const yoke_port& port);
Result<control::PtaskDefinition> ptask_of(const std::string& name, const yoke_ptask& ptask);
Result<control::ChannelDefinition> channel_of(const std::string& name, const yoke_channel& channel);

}  // namespace yoke::client
