// SPDX-License-Identifier: BSD-2-Clause
#include "frontend/sessions_table.hpp"

#include <utility>

namespace tallygate::frontend {

SessionsTable::Client SessionsTable::add_client()
{
    const auto client = next_client_++;
    clients_.try_emplace(client);
    return client;
}

void SessionsTable::remove_client(Client client)
{
    const auto found = clients_.find(client);

    if (found == clients_.end())
        return;
    for (const auto &[session, other] : found->second)
        count(other, -1);
    sessions_ -= found->second.size();
    clients_.erase(found);
}

bool SessionsTable::open(Client client, const std::string &session, const Address &address)
{
    auto &sessions = clients_[client];

    close(client, session);
    if (!has_room(sessions))
        return false;
    put(sessions, session, address);
    return true;
}

std::optional<SessionsTable::Delivery> SessionsTable::open(Client client,
                                                           const std::string &session,
                                                           const std::string &domain,
                                                           std::optional<std::uint64_t> max)
{
    auto &sessions = clients_[client];

    close(client, session);
    const auto count = live(domain) + 1;
    if (max && count > *max)
        return Delivery{count, false};
    if (!has_room(sessions))
        return std::nullopt;
    put(sessions, session, domain);
    return Delivery{count, true};
}

bool SessionsTable::close(Client client, const std::string &session)
{
    auto &sessions = clients_[client];
    const auto found = sessions.find(session);

    if (found == sessions.end())
        return false;
    count(found->second, -1);
    sessions.erase(found);
    sessions_--;
    return true;
}

std::uint64_t SessionsTable::live(const Block &block) const
{
    return static_cast<std::uint64_t>(addresses_.sum(block));
}

std::uint64_t SessionsTable::live(const std::string &domain) const
{
    const auto found = domains_.find(domain);
    return found == domains_.end() ? 0 : found->second;
}

bool SessionsTable::has_room(const Sessions &sessions) const
{
    return sessions_ < bounds_.sessions_max && sessions.size() < bounds_.client_sessions_max;
}

void SessionsTable::put(Sessions &sessions, const std::string &session, Other other)
{
    count(other, 1);
    sessions.insert_or_assign(session, std::move(other));
    sessions_++;
}

void SessionsTable::count(const Other &other, std::int64_t amount)
{
    if (const auto *address = std::get_if<Address>(&other)) {
        addresses_.add(*address, amount);
        return;
    }
    const auto &domain = std::get<std::string>(other);
    auto &live = domains_[domain];
    live += static_cast<std::uint64_t>(amount);
    if (live == 0)
        domains_.erase(domain);
}

} // namespace tallygate::frontend
