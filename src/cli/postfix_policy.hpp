// SPDX-License-Identifier: BSD-2-Clause
//
// What lets Postfix ask tallygate's policy server, in the text of its main.cf: docs/policy.md.
// Pure. postconf would make one line of what its operator wrote in several.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tallygate::cli {

/// Where Postfix asks: "smtpd_client_restrictions" for "connect", "smtpd_recipient_restrictions"
/// for "rcpt".
std::string restrictions_at(const std::string &when);

/// Whether a restriction asks our server, whatever else its operator has made of it.
bool asks_policy(const std::string &restrictions);

/// What stands for a setting in main.cf, with its continuation lines; empty if it is not there.
std::string_view setting_in(std::string_view main_cf, std::string_view name);

/// The whole text with the question behind all other restrictions of the setting, but before one
/// that ends them all, such as `permit`; in an empty setting as `restrictions_alone`. Nothing if
/// there is no such setting: then those are to be set.
std::optional<std::string> with_policy(const std::string &main_cf, const std::string &name);

/// For where nothing stood: clients of our own networks are let in first.
std::string restrictions_alone();

/// The whole text without the question: as it was before, if nobody has changed what stands
/// around it. Nothing if nothing would be left of the setting but what `restrictions_alone` put
/// there.
std::optional<std::string> without_policy(const std::string &main_cf, const std::string &name);

} // namespace tallygate::cli
