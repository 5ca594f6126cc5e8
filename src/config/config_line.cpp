// SPDX-License-Identifier: BSD-2-Clause
//
// [line] and [ask], and what they have in common with other front-ends on a Unix socket.
#include "config/draft.hpp"
#include "config/rules.hpp"

namespace tallygate::config {

FrontEndSocket read_socket(TableReader &table, FrontEndSocket socket)
{
    if (const auto path = table.find("socket", absolute_path(socket_bytes_max)))
        socket.path = path->value;
    socket.mode = table.value("socket_mode", socket_mode(), socket.mode);
    return socket;
}

void read_ask(TableReader &table, Draft &draft)
{
    draft.config.ask.socket = read_socket(table);
}

void read_line(TableReader &table, Draft &draft)
{
    draft.config.line.socket = read_socket(table);
}

} // namespace tallygate::config
