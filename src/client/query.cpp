// SPDX-License-Identifier: BSD-2-Clause
#include "client/query.hpp"

#include <utility>

namespace tallygate::client {

std::string percent_encoded(std::string_view text)
{
    constexpr std::string_view kept = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789.-_~:/,[]";
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string encoded;

    for (const char each : text) {
        const auto byte = static_cast<unsigned char>(each);
        if (kept.find(each) != std::string_view::npos)
            encoded += each;
        else
            encoded += {'%', digits[byte >> 4], digits[byte & 0xf]};
    }
    return encoded;
}

Query &Query::with(std::string_view name, std::string_view value)
{
    text_ += std::exchange(separator_, '&');
    text_ += name;
    text_ += '=';
    text_ += percent_encoded(value);
    return *this;
}

} // namespace tallygate::client
