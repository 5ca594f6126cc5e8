// SPDX-License-Identifier: BSD-2-Clause
//
// Configurations that are good but for what a row is about.
#pragma once

#include <string>

namespace tallygate::test {

/// Lines 1 and 2 of a file.
inline const std::string gate = "[gate]\ninterfaces = [\"eth0\"]\n";
/// Three lines.
inline const std::string service = "[[service]]\nname = \"smtp\"\nports = [25]\n";

/// `lines` in [gate], from line 3 on.
inline std::string in_gate(const std::string &lines)
{
    return gate + lines + "\n" + service;
}

/// `lines` after [gate] and a [[service]], from line 6 on.
inline std::string after(const std::string &lines)
{
    return gate + service + lines + "\n";
}

/// `lines` in the only [[service]], from line 4 on.
inline std::string in_service(const std::string &lines)
{
    return gate + "[[service]]\n" + lines + "\n";
}

} // namespace tallygate::test
