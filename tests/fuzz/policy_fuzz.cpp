// SPDX-License-Identifier: BSD-2-Clause
//
// Any bytes as a stream of policy requests: each ends where its empty line is, whatever comes
// behind it, and what was found of a client is one line that Postfix can read.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "frontend/policy_codec.hpp"

namespace {

using namespace tallygate;
using Kind = frontend::PolicyInput::Kind;

void require(bool holds)
{
    if (!holds)
        std::abort();
}

void check_reply(const frontend::PolicyRequest &request)
{
    for (std::size_t i = 0; i < core::check_action_count; i++) {
        const auto reply = frontend::policy_reply(
            {.check = "a", .action = static_cast<core::CheckAction>(i), .text = "no"});
        require(reply.starts_with("action=") && reply.ends_with("\n\n"));
        require(reply.find('\n') == reply.size() - 2);
    }
    require(request.request.find('\n') == std::string::npos);
    require(request.client_address.find('\0') == std::string::npos);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    std::string_view input{reinterpret_cast<const char *>(data), size};

    for (;;) {
        const auto parsed = frontend::parse_policy(input);
        if (parsed.kind != Kind::request)
            break;
        require(parsed.taken > 0 && parsed.taken <= input.size());
        check_reply(parsed.request);
        const auto alone = frontend::parse_policy(input.substr(0, parsed.taken));
        require(alone.kind == Kind::request && alone.taken == parsed.taken);
        require(alone.request.client_address == parsed.request.client_address);
        const auto cut = frontend::parse_policy(input.substr(0, parsed.taken - 1));
        require(cut.kind == Kind::incomplete);
        input.remove_prefix(parsed.taken);
    }
    return 0;
}
