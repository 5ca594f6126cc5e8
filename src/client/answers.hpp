// SPDX-License-Identifier: BSD-2-Clause
//
// What the daemon's JSON says, as libtallygate hands it on. Pure. Only for libtallygate: this is
// where it keeps Boost.JSON, out of everybody's sight.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tallygate/tallygate.h"

namespace tallygate::client {

struct SeriesItem {
    std::string key;
    std::int64_t value = 0;
};

/// A part of the items of a series, in the order of their keys.
struct SeriesItems {
    std::vector<SeriesItem> items;
    std::uint64_t total = 0; ///< these, and those behind them
};

struct SeriesDefinition {
    std::string name;
    std::string type;
    std::string monitor;
    bool persist = false;
};

/// Nothing if the text is not such an answer.
std::optional<tallygate_answer> read_answer(std::string_view json);
std::optional<tallygate_advice> read_advice(std::string_view json);
std::optional<SeriesItems> read_items(std::string_view json);
std::optional<std::vector<SeriesDefinition>> read_definitions(std::string_view json);
/// The sentence of an error; "" if there is none.
std::string read_error(std::string_view json);

} // namespace tallygate::client
