// SPDX-License-Identifier: BSD-2-Clause
//
// [line] and [ask], and what they have in common with other front-ends on a Unix socket.
#include <filesystem>

#include "config/draft.hpp"
#include "config/rules.hpp"

namespace tallygate::config {

void take_socket(TableReader &table, Draft &draft, const std::string &owner,
                 const std::string &path)
{
    // Another spelling is the same file, as far as a name tells.
    const auto spelled = std::filesystem::path("/" + path).lexically_normal().string();
    const auto [first, added] = draft.sockets.emplace(spelled, owner + ".socket");
    if (!added)
        table.note("socket", "is the path of " + first->second + ": expected one of its own");
}

FrontEndSocket read_socket(TableReader &table, Draft &draft, const std::string &owner,
                           FrontEndSocket socket)
{
    if (const auto path = table.find("socket", absolute_path(socket_bytes_max))) {
        socket.path = path->value;
        take_socket(table, draft, owner, path->value);
    }
    socket.mode = table.value("socket_mode", socket_mode(), socket.mode);
    return socket;
}

void read_ask(TableReader &table, Draft &draft)
{
    draft.config.ask.socket = read_socket(table, draft, "ask");
}

void read_line(TableReader &table, Draft &draft)
{
    draft.config.line.socket = read_socket(table, draft, "line");
}

} // namespace tallygate::config
