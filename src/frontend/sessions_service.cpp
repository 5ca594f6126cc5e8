// SPDX-License-Identifier: BSD-2-Clause
#include "frontend/sessions_service.hpp"

#include <algorithm>
#include <utility>

#include "base/log.hpp"

namespace tallygate::frontend {
namespace {

using Code = SessionsRefusal::Code;

// Counters that may be looked at in one tick: it takes a fraction of a millisecond.
constexpr std::size_t forgotten_max = 10'000;

SessionsRefusal no_room(const RequestId &id)
{
    return {Code::full, "there is no room for another session", id};
}

} // namespace

std::string_view count_from_name(CountFrom count_from)
{
    return count_from == CountFrom::gate ? "gate" : "sessions";
}

/// One connection: the sessions of one process of a mail server.
class SessionsService::Stream : public net::Conversation {
public:
    explicit Stream(SessionsService &service)
        : service_(service), client_(service.table_.add_client())
    {
    }
    Stream(const Stream &) = delete;
    Stream(Stream &&) = delete;
    Stream &operator=(const Stream &) = delete;
    Stream &operator=(Stream &&) = delete;
    ~Stream() override { service_.table_.remove_client(client_); }

    std::string greeting() override
    {
        return sessions_greeting(service_.options_.version,
                                 count_from_name(service_.options_.count_from));
    }

    Step receive(std::string_view input, bool ended, std::string &output) override
    {
        const auto end = input.find('\n');

        if (std::min(end, input.size()) > sessions_line_bytes_max) {
            output += service_.refuse(
                {Code::malformed,
                 "this line is longer than " + std::to_string(sessions_line_bytes_max) + " bytes"});
            return {input.size(), true};
        }
        if (end == input.npos)
            return {ended ? input.size() : 0, ended}; // half a line is nothing
        auto line = input.substr(0, end);
        if (line.ends_with('\r'))
            line.remove_suffix(1);
        const bool goes_on = line.empty() || take(line, output);
        return {end + 1, !goes_on};
    }

private:
    bool take(std::string_view line, std::string &output)
    {
        auto parsed = parse_sessions_line(line);

        service_.counts_.requests_total++;
        if (auto *refusal = std::get_if<SessionsRefusal>(&parsed)) {
            const bool goes_on = refusal->code != Code::malformed;
            output += service_.refuse(*refusal);
            return goes_on;
        }
        const auto &request = std::get<SessionsRequest>(parsed);
        if (const auto *hello = std::get_if<HelloRequest>(&request.what))
            is_greeted_ = hello->version == sessions_version;
        if (!is_greeted_) {
            output += service_.refuse(
                {Code::version, "expected {\"do\":\"hello\",\"version\":1} first", request.id});
            return false;
        }
        output += service_.answer(client_, request);
        return true;
    }

    SessionsService &service_;
    Client client_;
    bool is_greeted_ = false;
};

SessionsService::SessionsService(core::Questions &questions, core::Reporter &reporter,
                                 IsAllowed is_allowed, SessionsOptions options)
    : questions_(questions), reporter_(reporter), is_allowed_(std::move(is_allowed)),
      options_(std::move(options)), table_(options_.bounds), rates_(options_.rates_bytes_max)
{
}

net::StreamServer::Open SessionsService::opener()
{
    return [this](const std::optional<net::Peer> &) { return std::make_unique<Stream>(*this); };
}

net::StreamLimits SessionsService::limits()
{
    net::StreamLimits limits;

    // One that is too long is to be told so, and must therefore fit.
    limits.input_bytes_max = 2 * sessions_line_bytes_max;
    return limits;
}

void SessionsService::tick()
{
    rates_.forget_old(questions_.clock().now(), forgotten_max);
}

SessionsFacts SessionsService::facts() const
{
    return {.clients = table_.clients(),
            .sessions = table_.sessions(),
            .rates = rates_.counters(),
            .rate_bytes = rates_.bytes(),
            .events = {{"request", counts_.requests_total},
                       {"request_refused", counts_.refused_total},
                       {"session_without_room", counts_.full_total},
                       {"rate_evicted", rates_.evicted_total()},
                       {"gate_count_failed", counts_.gate_failed_total}}};
}

std::string SessionsService::answer(Client client, const SessionsRequest &request)
{
    auto text =
        std::visit([&](const auto &what) { return serve(client, request.id, what); }, request.what);

    // Who wants no answer is told what went wrong, and nothing else.
    if (request.id.empty() && !text.starts_with("{\"error\""))
        text.clear();
    return text;
}

std::string SessionsService::serve(Client, const RequestId &id, const HelloRequest &hello)
{
    spdlog::debug("sessions: {} is here", hello.client.empty() ? "somebody" : hello.client);
    return sessions_done(id);
}

std::string SessionsService::serve(Client client, const RequestId &id, const OpenRequest &open)
{
    if (!table_.open(client, open.session, open.address))
        return refuse(no_room(id));
    if (id.empty())
        return {};
    return sessions_opened(id, live(open.blocks), is_allowed_(open.address));
}

std::string SessionsService::serve(Client client, const RequestId &id,
                                   const DeliverRequest &deliver)
{
    const auto delivery = table_.open(client, deliver.session, deliver.domain, deliver.max);

    if (!delivery)
        return refuse(no_room(id));
    return sessions_delivery(id, delivery->live, delivery->opened);
}

std::string SessionsService::serve(Client client, const RequestId &id, const CloseRequest &close)
{
    table_.close(client, close.session);
    return sessions_done(id);
}

std::string SessionsService::serve(Client, const RequestId &id, const BlocksRequest &asked)
{
    return sessions_live(id, live(asked.blocks));
}

std::string SessionsService::serve(Client, const RequestId &id, const RateRequest &rate)
{
    return sessions_rate(id, rates_.take(rate.wanted, questions_.clock().now()));
}

std::string SessionsService::serve(Client, const RequestId &id, const ReportRequest &report)
{
    reporter_.report({report.event, report.service.value_or(options_.report_service),
                      Block{report.address, 128}, report.amount});
    return sessions_done(id);
}

std::string SessionsService::refuse(const SessionsRefusal &refusal)
{
    counts_.refused_total++;
    if (refusal.code == Code::full)
        counts_.full_total++;
    return sessions_refused(refusal);
}

SessionsLive SessionsService::live(const std::vector<Block> &blocks)
{
    SessionsLive counts;

    counts.live.reserve(blocks.size());
    for (const auto &block : blocks) {
        const auto told = table_.live(block);
        if (options_.count_from == CountFrom::gate) {
            // Behind a proxy the gate sees the proxy alone, and the mail server knows the client.
            counts.live.push_back(std::max(told, live_at_gate(block)));
            counts.told.push_back(told);
        } else {
            counts.live.push_back(told);
        }
    }
    return counts;
}

/// Of a part of an IPv6 source the gate could tell only by walking all flows, while everybody
/// waits; the sessions know it.
std::uint64_t SessionsService::live_at_gate(const Block &block)
{
    if (block.family() == Family::ipv6 &&
        block.length_bits() > questions_.gate().ipv6_source_bits())
        return 0;

    std::vector<std::optional<std::string>> services(options_.services.begin(),
                                                     options_.services.end());
    if (services.empty())
        services.emplace_back();
    std::uint64_t count = 0;
    for (const auto &service : services) {
        const auto answer = questions_.live({block, service, {}});
        if (answer)
            count += static_cast<std::uint64_t>(std::max<std::int64_t>(answer->value, 0));
        else
            counts_.gate_failed_total++;
    }
    return count;
}

} // namespace tallygate::frontend
