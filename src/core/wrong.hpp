// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <utility>

#include "base/result.hpp"

namespace tallygate::core {

/// How a question can be wrong: the code of an Error. Front-ends map it to their own codes; 0 is
/// nobody's fault who asked.
enum class Wrong : int {
    malformed = 1,
    unknown = 2,  ///< a name that is not there; the message has those that are
    conflict = 3, ///< it is there already, and is something else
};

inline Error malformed(std::string message)
{
    return {std::move(message), static_cast<int>(Wrong::malformed)};
}

inline Error unknown(std::string message)
{
    return {std::move(message), static_cast<int>(Wrong::unknown)};
}

inline Error conflict(std::string message)
{
    return {std::move(message), static_cast<int>(Wrong::conflict)};
}

} // namespace tallygate::core
