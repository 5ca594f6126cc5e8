// SPDX-License-Identifier: BSD-2-Clause
//
// The HTTP interface's way in: a method and a target become a question, or a refusal that says
// what would have been right. Pure functions over bytes. docs/control.md is their contract.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/question.hpp"

namespace tallygate::frontend {

/// The block of a question as it was asked: an answer repeats it.
struct AskedBlock {
    std::string text;
    bool folded = false; ///< host bits were cleared
};

struct LiveRequest {
    core::LiveQuestion question;
    AskedBlock asked;
};

struct CountRequest {
    core::CountQuestion question;
    AskedBlock asked;
};

struct TopRequest {
    core::TopQuestion question;
};

struct NetworksRequest {};
struct StatusRequest {};
struct MetricsRequest {};
struct PageRequest {};
struct ReloadRequest {};

using ControlRequest = std::variant<LiveRequest, CountRequest, TopRequest, NetworksRequest,
                                    StatusRequest, MetricsRequest, PageRequest, ReloadRequest>;

struct ControlRefusal {
    unsigned status = 400; ///< of HTTP
    std::string message = {};
    std::vector<std::string> known = {}; ///< what would have been right, if that is a list
    std::string allow = {};              ///< for a 405
};

std::variant<ControlRequest, ControlRefusal> parse_control(std::string_view method,
                                                           std::string_view target);

/// "connections", "live" or "syn", as `by=` takes it.
std::string_view top_by_name(core::TopBy by);

} // namespace tallygate::frontend
