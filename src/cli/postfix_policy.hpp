// SPDX-License-Identifier: BSD-2-Clause
//
// The line of Postfix's main.cf that lets it ask tallygate's policy server. docs/policy.md. Pure.
#pragma once

#include <string>

namespace tallygate::cli {

/// Where Postfix asks: "smtpd_client_restrictions" for "connect", "smtpd_recipient_restrictions"
/// for "rcpt".
std::string restrictions_at(const std::string &when);

bool asks_policy(const std::string &restrictions);
/// The same with the question behind all others. Clients of our own networks are let in first,
/// where nothing stood.
std::string with_policy(const std::string &restrictions);
/// The same without it; empty if nothing is left of what with_policy() made of nothing.
std::string without_policy(const std::string &restrictions);

} // namespace tallygate::cli
