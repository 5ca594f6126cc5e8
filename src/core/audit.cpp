// SPDX-License-Identifier: BSD-2-Clause
#include "core/audit.hpp"

namespace tallygate::core {

std::string Requester::text() const
{
    if (is_daemon())
        return "tallygated";
    std::string text =
        (user.empty() ? std::string("somebody") : user) + " (uid " + std::to_string(*uid);
    if (pid)
        text += ", pid " + std::to_string(*pid);
    if (remote_address)
        text += ", from " + remote_address->text();
    return text + ")";
}

std::string AuditRecord::text() const
{
    std::string text = who.text() + ": " + action;
    if (!what.empty())
        text += " " + what;
    if (!before.empty() || !after.empty())
        text += ": " + (before.empty() ? "nothing" : before) + " -> " +
                (after.empty() ? "nothing" : after);
    return text + ": " + result;
}

} // namespace tallygate::core
