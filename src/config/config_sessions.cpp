// SPDX-License-Identifier: BSD-2-Clause
//
// [sessions]: the socket for Haraka and other mail servers.
#include "config/draft.hpp"
#include "config/rules.hpp"

namespace tallygate::config {

void read_sessions(TableReader &table, Draft &draft)
{
    Sessions &sessions = draft.config.sessions;
    Seen<std::string> services;

    sessions.socket = read_socket(table, draft, "sessions");
    sessions.count_from =
        table.value("count_from",
                    choice<Sessions::CountFrom>({{"sessions", Sessions::CountFrom::sessions},
                                                 {"gate", Sessions::CountFrom::gate}}),
                    sessions.count_from);
    sessions.services = read_names(table, "services", draft.service_names, "[[service]]", services);
}

} // namespace tallygate::config
