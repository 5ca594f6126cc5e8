// SPDX-License-Identifier: BSD-2-Clause
//
// The part of control_codec that is about named series.
#pragma once

#include <array>
#include <string_view>

#include "frontend/control_codec.hpp"
#include "frontend/parameters.hpp"

namespace tallygate::frontend {

inline constexpr std::array<std::string_view, 4> series_define_parameters = {"name", "type",
                                                                             "monitor", "persist"};
inline constexpr std::array<std::string_view, 3> series_undefine_parameters = {"name", "monitor",
                                                                               "type"};
inline constexpr std::array<std::string_view, 4> series_add_parameters = {"name", "monitor", "key",
                                                                          "amount"};
inline constexpr std::array<std::string_view, 5> series_count_parameters = {"name", "monitor",
                                                                            "key", "start", "end"};
inline constexpr std::array<std::string_view, 3> series_item_parameters = {"name", "monitor",
                                                                           "key"};
inline constexpr std::array<std::string_view, 7> series_items_parameters = {
    "name", "monitor", "type", "start", "end", "after", "rows"};

ControlRequest parse_series_define(Parameters &parameters);
ControlRequest parse_series_undefine(Parameters &parameters);
ControlRequest parse_series_list(Parameters &parameters);
ControlRequest parse_series_add(Parameters &parameters);
ControlRequest parse_series_count(Parameters &parameters);
ControlRequest parse_series_item(Parameters &parameters);
ControlRequest parse_series_items(Parameters &parameters);

} // namespace tallygate::frontend
