// SPDX-License-Identifier: BSD-2-Clause
#include "frontend/anvil_service.hpp"

#include <algorithm>
#include <utility>

#include "frontend/anvil_ident.hpp"

namespace tallygate::frontend {
namespace {

std::optional<core::Reported> reported_as(AnvilRate rate)
{
    switch (rate) {
    case AnvilRate::message:
        return core::Reported::receptions;
    case AnvilRate::recipient:
        return core::Reported::recipients;
    case AnvilRate::newtls:
        return core::Reported::tls;
    case AnvilRate::auth:
        return core::Reported::auth;
    case AnvilRate::connection: // the gate counts those
    case AnvilRate::tlstr:
        break;
    }
    return std::nullopt;
}

} // namespace

/// One stream: an smtpd, which lives for many sessions.
class AnvilService::Talk : public net::Conversation {
public:
    explicit Talk(AnvilService &service) : service_(service) {}
    Talk(const Talk &) = delete;
    Talk &operator=(const Talk &) = delete;
    ~Talk() override { service_.table_.end(link_, service_.now()); }

    std::string greeting() override
    {
        return service_.options_.greet ? std::string(anvil_greeting) : std::string();
    }

    /// Postfix's own answers the disconnect that the end of a stream means.
    std::string farewell() override
    {
        return link_.is_linked() ? encode_anvil_done() : std::string();
    }

    Step receive(std::string_view input, bool, std::string &output) override
    {
        using Kind = AnvilDecoded::Kind;
        const auto decoded = decode_anvil(input);

        if (decoded.kind == Kind::incomplete)
            return {};
        if (!decoded.wrong.empty())
            service_.warn(decoded.wrong);
        if (decoded.kind == Kind::malformed) {
            service_.totals_.malformed++;
            output += farewell();
            return {input.size(), true};
        }
        output += service_.answer(link_, decoded.request);
        return {decoded.taken, false};
    }

private:
    AnvilService &service_;
    AnvilLink link_;
};

AnvilService::AnvilService(AnvilTable &table, core::Reporter &reporter, const core::Clock &clock,
                           Options options)
    : table_(table), reporter_(reporter), clock_(clock), options_(std::move(options))
{
}

std::unique_ptr<net::Conversation> AnvilService::open()
{
    return std::make_unique<Talk>(*this);
}

std::string AnvilService::answer(AnvilLink &link, const AnvilRequest &request)
{
    totals_.requests++;
    if (const auto action = find_anvil_action(request.request))
        return act(link, *action, request.ident);
    totals_.unrecognized++;
    warn("unrecognized request: \"" + std::string(request.request.substr(0, 60)) + "\", ignored");
    return encode_anvil_failure();
}

std::string AnvilService::act(AnvilLink &link, const AnvilAction &action, std::string_view ident)
{
    switch (action.verb) {
    case AnvilVerb::connect:
        return encode_anvil_connected(as_gate_sees(table_.connect(link, ident, now()), ident));
    case AnvilVerb::disconnect:
        table_.disconnect(link, ident, now());
        return encode_anvil_done();
    case AnvilVerb::add: {
        const auto rate = table_.add(link, ident, action.rate, now());
        report(action.rate, ident);
        return encode_anvil_rate(rate);
    }
    case AnvilVerb::read:
        return encode_anvil_rate(table_.lookup(ident, now()).rate(action.rate));
    case AnvilVerb::lookup:
        return encode_anvil_lookup(as_gate_sees(table_.lookup(ident, now()), ident));
    }
    return encode_anvil_failure();
}

void AnvilService::report(AnvilRate rate, std::string_view ident)
{
    const auto event = reported_as(rate);
    if (!event)
        return;
    const auto decoded = decode_anvil_ident(ident);
    if (decoded)
        reporter_.report({*event, std::string(decoded->service), decoded->client, 1});
    else
        totals_.opaque++;
}

/// Never fewer than the sessions that Postfix itself told of: behind a proxy, or on a port that
/// nobody guards, the gate sees none of them.
AnvilCounts AnvilService::as_gate_sees(AnvilCounts counts, std::string_view ident)
{
    if (!options_.live)
        return counts;
    const auto decoded = decode_anvil_ident(ident);
    if (!decoded)
        return counts;
    if (const auto live = options_.live(decoded->client, counts.count)) {
        totals_.counted_by_gate++;
        counts.count = std::max(counts.count, *live);
    }
    return counts;
}

void AnvilService::warn(const std::string &sentence) const
{
    if (options_.warn)
        options_.warn(sentence);
}

AnvilTable::Time AnvilService::now() const
{
    return std::chrono::floor<std::chrono::seconds>(clock_.now());
}

} // namespace tallygate::frontend
