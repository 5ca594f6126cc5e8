// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace tallygate::config {

/// All that `file` has from here on. An error is "read PATH: the reason"; more than `bytes_max`
/// is "larger than WHAT may be", with WHAT as in "a configuration".
Result<std::string> read_all(const Fd &file, const std::string &path, std::size_t bytes_max,
                             std::string_view what);

/// As read_all() of the file at `path`, which may be a pipe.
Result<std::string> read_file(const std::string &path, std::size_t bytes_max,
                              std::string_view what);

} // namespace tallygate::config
