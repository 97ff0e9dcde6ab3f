// The parts of the reader of graph files: one function for each kind of table.
//
// All work on one GraphReading. Mistakes are kept by its TOML reader, the first of them with its place; what is read
// after one is thrown away, so that nobody need look after every member.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "control/graph_file.hpp"
#include "control/name.hpp"
#include "control/toml_reader.hpp"

namespace yoke::control {

struct GraphReading {
    GraphReading(std::string file, std::string folder) : toml(std::move(file)), directory(std::move(folder)) {}

    TomlReader toml;
    std::string directory;  // of kernel files; "": they are not read
    GraphDefinition graph;
    std::set<std::string> members;
    // Where the objects of `graph` stand.
    std::vector<toml::source_region> port_places;
    std::vector<toml::source_region> ptask_places;
    std::vector<toml::source_region> channel_places;

    void check_name(const toml::source_region& at, const std::string& name, NameKind kind);
    // "/graph/filter" of "filter"; a ptask and a channel must not have the same.
    std::string member_name(const toml::key& key);
    // "/graph/filter:in" of "in".
    std::string port_name(const std::string& ptask, const toml::node* node, std::string_view what);
    // One to three integers; missing ones are 1.
    std::array<std::uint64_t, 3> extent(const toml::node* node, std::string_view name, std::uint64_t max);
    // Of a file that the graph file names: a relative one begins at the folder of the graph file.
    [[nodiscard]] std::string path_of(const std::string& file) const;
};

void read_ptask(GraphReading& reading, const toml::key& key, const toml::table& table);
void read_channel(GraphReading& reading, const toml::key& key, const toml::table& table);
// Returns the index of the port in the graph.
std::size_t read_port(GraphReading& reading, const std::string& ptask, const toml::key& key, const toml::table& table);
// A kernel form out of a table, a ptask's or one of its forms', of which `first` is the ptask's; nullptr: this is it.
KernelDefinition read_kernel(GraphReading& reading, const std::string& ptask, const std::string& what,
                             const toml::table& table, const KernelDefinition* first);

}  // namespace yoke::control
