// SPDX-License-Identifier: BSD-2-Clause
#include "frontend/anvil_ident.hpp"

#include <cstddef>

namespace tallygate::frontend {
namespace {

bool is_number(std::string_view text)
{
    return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// Where the colon stands that ends the service; npos if there is none.
std::size_t end_of_service(std::string_view ident)
{
    if (ident.starts_with('[')) {
        const auto port = ident.find("]:");
        return port != std::string_view::npos ? ident.find(':', port + 2) : port;
    }
    const auto first = ident.find(':');
    if (first == std::string_view::npos)
        return first;
    const auto second = ident.find(':', first + 1);
    if (second != std::string_view::npos &&
        ident.substr(0, first).find('.') != std::string_view::npos &&
        is_number(ident.substr(first + 1, second - first - 1)))
        return second;
    return first;
}

} // namespace

std::optional<AnvilIdent> decode_anvil_ident(std::string_view ident)
{
    const auto end = end_of_service(ident);
    if (end == std::string_view::npos || end == 0)
        return std::nullopt;
    // Postfix writes no brackets around a client, which the parser would take.
    const auto client = ident.substr(end + 1);
    if (client.starts_with('['))
        return std::nullopt;
    const auto block = Block::parse(client);
    if (!block)
        return std::nullopt;
    return AnvilIdent{ident.substr(0, end), *block};
}

} // namespace tallygate::frontend
