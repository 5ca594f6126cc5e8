// SPDX-License-Identifier: BSD-2-Clause
//
// A configuration that is being read, and the sections that have a file of their own.
#pragma once

#include <climits>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/config.hpp"
#include "config/config_toml.hpp"
#include "config/toml_reader.hpp"

namespace tallygate::config {

inline constexpr std::size_t path_bytes_max = PATH_MAX - 1;
inline constexpr std::size_t socket_bytes_max = 107; ///< sockaddr_un's sun_path without its zero

/// A network that limits name.
struct LimitedNetwork {
    SourcePosition position; ///< where the first of them does
    std::size_t limits = 0;
};

/// What the sections have given so far, and what later ones must not repeat or exceed.
struct Draft {
    Config config;
    Purpose purpose = Purpose::daemon;
    Seen<std::string> service_names;
    Seen<std::uint16_t> ports;
    Seen<Endpoint> listeners;
    Seen<std::string> network_names;
    Seen<Block> blocks; ///< of networks
    Seen<std::string> limit_names;
    Seen<std::string> check_names;
    std::map<std::string, std::string> sockets;                  ///< by path: "control.socket"
    std::map<std::pair<std::string, Family>, std::size_t> rules; ///< by service
    std::map<std::string, LimitedNetwork> limited_networks;
    std::size_t budgets = 0;
    std::size_t list_entries = 0;
};

template <typename T>
std::vector<T> values(const std::vector<Placed<T>> &items)
{
    std::vector<T> result;

    result.reserve(items.size());
    for (const auto &item : items)
        result.push_back(item.value);
    return result;
}

/// The names under `key`, each of them in `known` and none in `seen`, which it goes into.
/// `section` has the names: "[[service]]".
std::vector<std::string> read_names(TableReader &table, std::string_view key,
                                    const Seen<std::string> &known, const std::string &section,
                                    Seen<std::string> &seen);

/// [[limit]]; services and networks must have been read.
void read_limit(TableReader &table, Draft &draft);
/// What only all limits and all networks together tell.
void check_limited_networks(const Draft &draft, Mistakes &mistakes);

/// Notes a socket that another section has already. `owner` is "control" of "control.socket".
void take_socket(TableReader &table, Draft &draft, const std::string &owner,
                 const std::string &path);
/// Front-ends, one file each. `socket` and `socket_mode` are the same for all.
FrontEndSocket read_socket(TableReader &table, Draft &draft, const std::string &owner,
                           FrontEndSocket otherwise = {});
void read_ask(TableReader &table, Draft &draft);
void read_line(TableReader &table, Draft &draft);
void read_anvil(TableReader &table, Draft &draft);
/// Services must have been read.
void read_sessions(TableReader &table, Draft &draft);
void read_policy(TableReader &table, Draft &draft);

/// [[check]]; services and monitors must have been read.
void read_check(TableReader &table, Draft &draft);

void read_lists(TableReader &table, Draft &draft);
/// [[block]]; [lists] must have been read.
void read_block(TableReader &table, Draft &draft);
void read_allow(TableReader &table, Draft &draft);

} // namespace tallygate::config
