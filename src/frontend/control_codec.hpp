// SPDX-License-Identifier: BSD-2-Clause
//
// The HTTP interface's way in: a method and a target become a question, or a refusal that says
// what would have been right. Pure functions over bytes. docs/control.md is their contract.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/checks.hpp"
#include "core/lists.hpp"
#include "core/question.hpp"
#include "core/series.hpp"

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
struct LimitsRequest {};

/// The operator's own address: where the connection comes from on which he works.
using RemoteAddress = std::optional<Address>;

struct ReloadRequest {
    RemoteAddress remote_address = {};
};

struct ListAddRequest {
    core::ListKind kind = core::ListKind::block;
    Block block = Block::all(Family::ipv4);
    AskedBlock asked = {};
    std::optional<std::chrono::seconds> span = {};
    std::string reason = {};
    RemoteAddress remote_address = {};
};

struct ListRemoveRequest {
    core::ListKind kind = core::ListKind::block;
    Block block = Block::all(Family::ipv4);
    AskedBlock asked = {};
    RemoteAddress remote_address = {};
};

struct ListsRequest {
    static constexpr std::uint32_t rows_max = 10'000;

    std::optional<core::ListKind> kind = {}; ///< both, if it is not given
    std::size_t rows = 1'000;
};

struct ExplainRequest {
    Address address = {};
    std::optional<std::string> service = {}; ///< all, if it is not given
};

struct CheckRequest {
    core::CheckSubject subject;
};

struct EventRequest {
    core::Report report;
    AskedBlock asked = {};
};

struct ModeRequest {
    core::Mode mode = core::Mode::observe;
    std::optional<std::chrono::seconds> confirm = {};
    RemoteAddress remote_address = {};
};

struct SeriesDefineRequest {
    core::SeriesDefinition definition;
};

struct SeriesUndefineRequest {
    core::SeriesName which;
};

struct SeriesListRequest {};

struct SeriesAddRequest {
    core::SeriesName which;
    std::string key = {};
    std::int64_t amount = 1;
};

struct SeriesCountRequest {
    core::SeriesName which;
    std::string key = {};
    std::uint32_t start = 0;
    std::optional<std::uint32_t> end = {};
};

struct SeriesItemRequest {
    core::SeriesName which;
    std::string key = {};
};

struct SeriesItemsRequest {
    core::SeriesName which;
    std::uint32_t start = 0;
    std::optional<std::uint32_t> end = {};
    std::optional<std::string> after = {};
    std::size_t rows = core::AuditSeries::items_max;
};

/// About named series.
using SeriesRequest =
    std::variant<SeriesDefineRequest, SeriesUndefineRequest, SeriesListRequest, SeriesAddRequest,
                 SeriesCountRequest, SeriesItemRequest, SeriesItemsRequest>;

using ControlRequest =
    std::variant<LiveRequest, CountRequest, TopRequest, NetworksRequest, StatusRequest,
                 MetricsRequest, PageRequest, ReloadRequest, ListAddRequest, ListRemoveRequest,
                 ListsRequest, LimitsRequest, ExplainRequest, ModeRequest, EventRequest,
                 CheckRequest, SeriesRequest>;

struct ControlRefusal {
    unsigned status = 400; ///< of HTTP
    std::string message = {};
    std::vector<std::string> known = {}; ///< what would have been right, if that is a list
    std::string allow = {};              ///< for a 405
};

std::variant<ControlRequest, ControlRefusal> parse_control(std::string_view method,
                                                           std::string_view target);

/// Whether clients of a read-only listener may ask for it: no writes, and nothing of who is on
/// which list, and why.
bool is_for_everybody(const ControlRequest &request);
/// Whether it is a mail server's business: what everybody may ask, what the checks advise, and to
/// report events and keep series. None of it says who is let in.
bool is_for_policy(const ControlRequest &request);

/// "connections", "live" or "syn", as `by=` takes it.
std::string_view top_by_name(core::TopBy by);

} // namespace tallygate::frontend
