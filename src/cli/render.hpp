// SPDX-License-Identifier: BSD-2-Clause
//
// Text for people: fields out of the daemon's answer, and columns that line up.
#pragma once

#include <boost/json/fwd.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tallygate::cli {

/// Fields of an answer. What is missing, or of another type than expected (another version of
/// the daemon may answer), reads as "", 0 or empty.
std::string text_at(const boost::json::object &object, std::string_view key);
double number_at(const boost::json::object &object, std::string_view key);
bool is_set_at(const boost::json::object &object, std::string_view key);
const boost::json::object &object_at(const boost::json::object &object, std::string_view key);
/// The objects in an array of them.
std::vector<const boost::json::object *> objects_at(const boost::json::object &object,
                                                    std::string_view key);
/// The texts in an array of them.
std::vector<std::string> texts_at(const boost::json::object &object, std::string_view key);

/// "1,234,567", or "-" if there is no whole number.
std::string grouped_at(const boost::json::object &object, std::string_view key);
/// As the daemon wrote it, "1234567"; "" if there is no whole number.
std::string plain_at(const boost::json::object &object, std::string_view key);

/// "2026-11-21 02:48:12 UTC"
std::string time_text(double unix_seconds);
/// "3 d 4 h", "12 min 5 s"
std::string span_text(double seconds);

/// 0.2504 is "250"
std::string milliseconds_text(double seconds);
/// "2026-11-21 02:48:12 UTC", or "for good" where there is none.
std::string end_at(const boost::json::object &object, std::string_view key);

/// Who set a mode, and until when: " (set by control, ...)"; nothing if it is the configuration's.
std::string mode_origin_text(const boost::json::object &mode);
/// "control", "tallygate.toml:31:1", with the reason in quotes if there is one.
std::string grounds_text(const boost::json::object &entry);

/// Rows of cells in columns: the first to the left, numbers to the right of theirs.
class Table {
public:
    enum class Align { left, right };

    explicit Table(std::vector<Align> columns) : columns_(std::move(columns)) {}

    void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
    bool empty() const { return rows_.empty(); }
    std::string text() const;

private:
    std::vector<Align> columns_;
    std::vector<std::vector<std::string>> rows_;
};

} // namespace tallygate::cli
