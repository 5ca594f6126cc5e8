// SPDX-License-Identifier: BSD-2-Clause
//
// What mail servers say on the sessions socket: a line of JSON becomes a request, or a refusal
// that says what would have been right; and the lines that answer. Pure functions over bytes.
// docs/sessions.md is their contract.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/address.hpp"
#include "core/reports.hpp"
#include "frontend/rates.hpp"

namespace tallygate::frontend {

inline constexpr unsigned sessions_version = 1;
inline constexpr std::size_t sessions_line_bytes_max = 16 * 1024;

struct HelloRequest {
    unsigned version = 0;
    std::string client; ///< for the log; printable
};

struct OpenRequest {
    std::string session;
    Address address;
    std::vector<Block> blocks; ///< that hold the address: whose sessions to count
};

struct DeliverRequest {
    std::string session;
    std::string domain; ///< in lower case
    std::optional<std::uint64_t> max;
};

struct CloseRequest {
    std::string session;
};

struct BlocksRequest {
    std::vector<Block> blocks; ///< whose sessions to count
};

struct RateRequest {
    Rates::Wanted wanted;
};

struct ReportRequest {
    core::Reported event = core::Reported::receptions;
    std::optional<std::string> service;
    Address address;
    std::uint64_t amount = 1;
};

/// How a request wants to be told from others, as JSON: a number, or a text in quotes. Empty: it
/// asks for no answer.
using RequestId = std::string;

struct SessionsRequest {
    RequestId id;
    std::variant<HelloRequest, OpenRequest, DeliverRequest, CloseRequest, BlocksRequest,
                 RateRequest, ReportRequest>
        what;
};

/// Why a request is not served. Clients may go by the code.
struct SessionsRefusal {
    enum class Code : std::uint8_t {
        malformed, ///< no request at all: the connection ends
        wrong,     ///< a request with a mistake
        version,   ///< no hello, or of a version that is not spoken here: the connection ends
        full,      ///< no room for another session
        failed,    ///< our fault
    };

    Code code = Code::wrong;
    std::string message;
    RequestId id = {};
};

/// "malformed", ...
std::string_view sessions_code_name(SessionsRefusal::Code code);

/// `line` is without its end.
std::variant<SessionsRequest, SessionsRefusal> parse_sessions_line(std::string_view line);

/// How many sessions are open, of each block that was asked for.
struct SessionsLive {
    std::vector<std::uint64_t> live;
    std::vector<std::uint64_t> told; ///< of these, by clients; empty: all of them
};

// The answers, each a line with its end.

std::string sessions_greeting(std::string_view daemon_version, std::string_view count_from);
std::string sessions_done(const RequestId &id);
std::string sessions_live(const RequestId &id, const SessionsLive &counts);
std::string sessions_opened(const RequestId &id, const SessionsLive &counts, bool is_allowed);
std::string sessions_delivery(const RequestId &id, std::uint64_t live, bool opened);
std::string sessions_rate(const RequestId &id, const Rates::Taken &taken);
std::string sessions_refused(const SessionsRefusal &refusal);

} // namespace tallygate::frontend
