// SPDX-License-Identifier: BSD-2-Clause
//
// The configuration file, tallygate.toml, into the structs of config.hpp.
//
// Every mistake in the file is one line of the error's message, "FILE:LINE:COLUMN: what is
// wrong: what was expected", in the file's order and without a newline after the last.
//
// To add a setting: a field with its default in config.hpp, one line where its section is read
// (config_toml.cpp, config_limits.cpp, config_lists.cpp), and one in tallygate.toml. To add a
// section: one row in the table of sections in config_toml.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "config/config.hpp"

namespace tallygate::config {

/// No configuration comes near it, and it keeps a wrong path from filling the memory.
inline constexpr std::size_t file_bytes_max = 1U << 20;

/// What the file is read for: a replay of a capture needs no interface.
enum class Purpose : std::uint8_t { daemon, replay };

/// Reads a whole file's `text`. `file` is its name, for messages alone.
Result<Config> parse_config(std::string_view text, std::string file,
                            Purpose purpose = Purpose::daemon);

/// Reads the file at `path`. One that cannot be read is "read PATH: the reason".
Result<Config> load_config(const std::string &path, Purpose purpose = Purpose::daemon);

/// gate.pin_dir of the file at `path`, or its default. Nothing else in the file is looked at,
/// so that detaching works while another setting is wrong.
Result<std::string> load_pin_dir(const std::string &path);

} // namespace tallygate::config
