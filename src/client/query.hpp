// SPDX-License-Identifier: BSD-2-Clause
//
// The target of a request: a path and its parameters. Pure.
#pragma once

#include <string>
#include <string_view>

namespace tallygate::client {

/// For the value of a query parameter: everything but letters, digits and ".-_~:/,[]".
std::string percent_encoded(std::string_view text);

/// Query("/v1/live").with("cidr", "192.0.2.0/24").text()
class Query {
public:
    explicit Query(std::string_view path) : text_(path) {}

    Query &with(std::string_view name, std::string_view value);
    const std::string &text() const { return text_; }

private:
    std::string text_;
    char separator_ = '?';
};

} // namespace tallygate::client
