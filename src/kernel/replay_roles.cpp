// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/replay_roles.hpp"

#include <arpa/inet.h>

#include <functional>
#include <string_view>
#include <utility>

namespace tallygate::kernel {
namespace {

/// One key for both directions, and whether the sender is the lower end of it.
std::pair<tg_flow_key, bool> ordered(const tg_flow_key &sent)
{
    const tg_flow_key turned{.client = sent.server,
                             .server = sent.client,
                             .client_port = sent.server_port,
                             .server_port = sent.client_port};
    const bool sender_is_lower = std::memcmp(&sent, &turned, sizeof(sent)) <= 0;

    return {sender_is_lower ? sent : turned, sender_is_lower};
}

} // namespace

std::size_t ReplayRoles::Hash::operator()(const tg_flow_key &ends) const
{
    return std::hash<std::string_view>{}({reinterpret_cast<const char *>(&ends), sizeof(ends)});
}

bool ReplayRoles::is_from_client(const packet_facts &facts)
{
    const auto [key, sender_is_lower] = ordered(facts.ends);
    const bool is_syn = facts.syn && facts.refused == TG_UNDECIDED;
    const auto found = roles_.find(key);
    const bool is_known = found != roles_.end();
    const bool is_open = is_known && found->second.is_open;

    if (is_syn && !facts.ack) {
        if (!is_open)
            remember(key, sender_is_lower);
        return true;
    }
    if (is_syn && !is_open) {
        remember(key, !sender_is_lower);
        return false;
    }
    if (is_known)
        return found->second.client_is_lower == sender_is_lower;
    // Nothing opens here, whoever it is; servers tend to have the lower port.
    return ntohs(facts.ends.client_port) >= ntohs(facts.ends.server_port);
}

void ReplayRoles::note(const packet_facts &facts, tg_verdict verdict)
{
    if (verdict != TG_PASS_OPENED && verdict != TG_PASS_CLOSED_FIN &&
        verdict != TG_PASS_CLOSED_RST && verdict != TG_PASS_CLOSED_REUSE)
        return;

    const auto key = ordered(facts.ends).first;
    const auto found = roles_.find(key);
    if (found == roles_.end())
        return;
    if (verdict == TG_PASS_CLOSED_FIN || verdict == TG_PASS_CLOSED_RST)
        roles_.erase(found);
    else
        found->second.is_open = verdict == TG_PASS_OPENED;
}

void ReplayRoles::remember(const tg_flow_key &key, bool client_is_lower)
{
    if (roles_.size() >= sweep_at_)
        forget_old_handshakes();
    auto &role = roles_[key];
    role.client_is_lower = client_is_lower;
    role.seen = ++syns_;
}

/// Of a flood of SYNs, the older half. Open flows stay: the gate's own table bounds them.
void ReplayRoles::forget_old_handshakes()
{
    const auto oldest_kept = syns_ - std::min(syns_, std::uint64_t{roles_.size() / 2});
    std::size_t open = 0;

    for (auto each = roles_.begin(); each != roles_.end();) {
        open += each->second.is_open;
        each = each->second.is_open || each->second.seen > oldest_kept ? std::next(each)
                                                                       : roles_.erase(each);
    }
    sweep_at_ = std::max(sweep_at_, 2 * open);
}

} // namespace tallygate::kernel
