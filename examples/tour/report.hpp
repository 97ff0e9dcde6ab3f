// What the tour found: one row per path, as a table for people and as JSON.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <yoke/yoke.h>

namespace tour {

// One path of the data: how fast, where it ran, and whether what came out is right.
struct Row {
    std::string what;  // "encrypt, worker"
    std::uint64_t bytes = 0;
    double seconds = 0;
    std::string where;     // "cpu (asked)"; what executed it and why there
    std::string compared;  // "= libgcrypt", "= plain C++"; empty: a reference itself
    bool right = true;
    std::string note;  // why something was not done, or a number worth telling
};

class Report {
   public:
    void add(Row row) { rows_.push_back(std::move(row)); }
    void add_picture(const std::string& path) { pictures_.push_back(path); }
    void set_subject(const std::string& name, const std::string& value) { subjects_.emplace_back(name, value); }
    [[nodiscard]] bool all_right() const;
    [[nodiscard]] std::string table() const;
    [[nodiscard]] std::string json() const;

   private:
    std::vector<Row> rows_;
    std::vector<std::string> pictures_;
    std::vector<std::pair<std::string, std::string>> subjects_;
};

// "cpu (asked)"
std::string place_of(const yoke_result& result);

// One line of progress on the standard error; on a terminal it replaces the line before.
class Progress {
   public:
    explicit Progress(std::string what);
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;
    void at(std::uint64_t done, std::uint64_t total);

   private:
    std::string what_;
    bool terminal_;
    unsigned shown_percent_ = 1000;
};

}  // namespace tour
