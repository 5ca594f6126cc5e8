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

/// A [[limit]] by one SYN a second with `line`; four lines.
inline std::string limit(const std::string &name, const std::string &line)
{
    return "[[limit]]\nname = \"" + name + "\"\nsyn_rate = \"1/s\"\n" + line + "\n";
}

/// `lines` in the only [[limit]], from line 8 on.
inline std::string in_limit(const std::string &lines)
{
    return after("[[limit]]\nname = \"a\"\n" + lines);
}

/// Networks n0, n1 and so on, each within the one before; three lines each.
inline std::string nested_networks(int count)
{
    std::string text;
    for (int i = 0; i < count; i++)
        text += "[[network]]\nname = \"n" + std::to_string(i) + "\"\ncidrs = [\"10.0.0.0/" +
                std::to_string(8 + i) + "\", \"2001:db8::/" + std::to_string(32 + i) + "\"]\n";
    return text;
}

} // namespace tallygate::test
