// SPDX-License-Identifier: BSD-2-Clause
//
// Postfix's own files, changed so that it reads the one text or the other, and nothing between.
#pragma once

#include <string>

#include "base/result.hpp"

namespace tallygate::cli {

/// Empty if it cannot be read.
std::string text_of(const std::string &path);

/// With the owner and the mode of the original: Postfix is particular about both.
Result<void> copy_file(const std::string &from, const std::string &to);

Result<void> move_file(const std::string &from, const std::string &to);

/// The file keeps its owner and mode.
Result<void> rewrite_file(const std::string &path, const std::string &text);

} // namespace tallygate::cli
