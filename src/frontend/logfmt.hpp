// SPDX-License-Identifier: BSD-2-Clause
//
// Lines of key=value, as shells and logs read them. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tallygate::frontend {

/// One line. Keys are ours: letters and underscores. A value that is empty, or has a blank, a
/// quote or an equals sign, stands in quotes, with a backslash before each quote and backslash;
/// what is not printable ASCII becomes a question mark.
class Logfmt {
public:
    Logfmt &add(std::string_view key, std::string_view value);
    /// For anything a pointer would else make a bool of.
    Logfmt &add(std::string_view key, const char *value)
    {
        return add(key, std::string_view{value});
    }
    Logfmt &add(std::string_view key, std::int64_t value);
    Logfmt &add(std::string_view key, std::uint64_t value);
    /// The shortest decimal that reads back as the same number, without an exponent.
    Logfmt &add(std::string_view key, double value);
    Logfmt &add(std::string_view key, bool value);

    /// With its end.
    std::string line() const { return text_ + "\n"; }

private:
    Logfmt &add_bare(std::string_view key, std::string_view value);

    std::string text_;
};

} // namespace tallygate::frontend
