// SPDX-License-Identifier: BSD-2-Clause
//
// What all answers in JSON have in common. For the .cpp files of this room that write them.
#pragma once

#include <boost/json.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "core/seams.hpp"

namespace tallygate::frontend {

/// Stays while fields are only added.
inline constexpr int schema = 1;

/// One line, with its end. Numbers have no exponent.
std::string line(const boost::json::object &object);

/// Unix seconds, to the microsecond: a double has no room for more.
double seconds(core::UnixTime time);
double seconds(std::chrono::nanoseconds span);

boost::json::value optional_text(const std::optional<std::string> &text);
boost::json::value optional_number(const std::optional<std::uint64_t> &number);
boost::json::value optional_time(const std::optional<core::UnixTime> &time);
boost::json::array array_of(const std::vector<std::string> &texts);
boost::json::object tally_object(const core::Tally &tally);

template <typename T>
boost::json::array array_of(const std::vector<T> &items,
                            boost::json::object (*object_of)(const T &))
{
    boost::json::array array;
    for (const auto &item : items)
        array.push_back(object_of(item));
    return array;
}

} // namespace tallygate::frontend
