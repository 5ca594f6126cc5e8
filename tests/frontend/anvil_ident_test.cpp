// SPDX-License-Identifier: BSD-2-Clause
#include "frontend/anvil_ident.hpp"

#include <gtest/gtest.h>

#include <string>

namespace tallygate::frontend {
namespace {

struct Row {
    const char *ident;
    std::string service; ///< empty: opaque
    std::string client;
};

const Row rows[] = {
    {"smtp:192.0.2.2", "smtp", "192.0.2.2/32"},
    {"submission:192.0.2.2", "submission", "192.0.2.2/32"},
    {"smtpd:192.0.2.2", "smtpd", "192.0.2.2/32"},
    {"2527:192.0.2.2", "2527", "192.0.2.2/32"},
    {"25:209.85.222.42", "25", "209.85.222.42/32"},
    {"192.0.2.1:2525:192.0.2.3", "192.0.2.1:2525", "192.0.2.3/32"},
    {"192.0.2.1:2525:2001:db8::3", "192.0.2.1:2525", "2001:db8::3/128"},
    {"mail.example.com:2525:192.0.2.3", "mail.example.com:2525", "192.0.2.3/32"},
    {"[2001:db8::1]:2526:2001:db8::1", "[2001:db8::1]:2526", "2001:db8::1/128"},
    {"[2001:db8::1]:2526:192.0.2.3", "[2001:db8::1]:2526", "192.0.2.3/32"},
    {"smtp:2001:db8::2", "smtp", "2001:db8::2/128"},
    {"25:2001:db8::2", "25", "2001:db8::2/128"},
    {"smtp:::1", "smtp", "::1/128"},
    {"smtp:::ffff:192.0.2.9", "smtp", "192.0.2.9/32"},
    {"smtp:192.0.2.0/24", "smtp", "192.0.2.0/24"},
    {"smtp:255.255.255.240/28", "smtp", "255.255.255.240/28"},
    {"smtp:2001:db8::/84", "smtp", "2001:db8::/84"},
    {"smtp:::/0", "smtp", "::/0"},
    {"smtp:0.0.0.0/0", "smtp", "0.0.0.0/0"},
    {"smtp:unknown", "", ""},
    {"smtp:", "", ""},
    {":192.0.2.1", "", ""},
    {"", "", ""},
    {"smtp", "", ""},
    {"a=b c", "", ""},
    {"smtp:192.0.2.1/33", "", ""},
    {"smtp:[2001:db8::1]", "", ""},
    {"[2001:db8::1]", "", ""},
    {"[2001:db8::1]:2526", "", ""},
    {"[", "", ""},
    {"192.0.2.1:2525:", "", ""},
    {"192.0.2.1:2525", "", ""},
    {"smtp:mail.example.com", "", ""},
};

TEST(AnvilIdentTest, every_form_that_postfix_writes)
{
    for (const auto &row : rows) {
        const auto decoded = decode_anvil_ident(row.ident);
        ASSERT_EQ(decoded.has_value(), !row.service.empty()) << row.ident;
        if (!decoded)
            continue;
        EXPECT_EQ(decoded->service, row.service) << row.ident;
        EXPECT_EQ(decoded->client.text(), row.client) << row.ident;
    }
}

} // namespace
} // namespace tallygate::frontend
