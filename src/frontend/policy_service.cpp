// SPDX-License-Identifier: BSD-2-Clause
#include "frontend/policy_service.hpp"

#include <algorithm>
#include <charconv>
#include <memory>
#include <utility>

namespace tallygate::frontend {
namespace {

class PolicyConversation : public net::Conversation {
public:
    explicit PolicyConversation(PolicyService &service) : service_(service) {}

    /// What is broken, or not for us, gets no answer: Postfix then does what its default_action
    /// says, and logs it.
    Step receive(std::string_view input, bool, std::string &output) override
    {
        const auto parsed = parse_policy(input);
        if (parsed.kind == PolicyInput::Kind::incomplete)
            return {};
        if (parsed.kind == PolicyInput::Kind::request) {
            if (const auto answer = service_.handle(parsed.request)) {
                output += answer->reply;
                return {.taken = parsed.taken, .delay = answer->delay};
            }
        }
        service_.count_broken();
        return {.close = true};
    }

private:
    PolicyService &service_;
};

template <typename T>
std::optional<T> number(std::string_view text)
{
    T value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);

    if (error != std::errc{} || end != text.data() + text.size())
        return std::nullopt;
    return value;
}

} // namespace

PolicyService::PolicyService(core::Checks &checks, core::Reporter &reporter, Found found)
    : checks_(checks), reporter_(reporter), found_(std::move(found))
{
}

net::StreamServer::Open PolicyService::conversations()
{
    return [this](const auto &) { return std::make_unique<PolicyConversation>(*this); };
}

std::optional<PolicyService::Answer> PolicyService::handle(const PolicyRequest &request)
{
    if (request.request != "smtpd_access_policy")
        return std::nullopt;
    const auto address = Address::parse(request.client_address);
    if (!address) {
        counts_.unknown_total++;
        counts_.answers_total[core::CheckAction::pass]++;
        return Answer{.reply = policy_reply({})};
    }
    const core::CheckSubject subject{.address = *address,
                                     .service = service_of(request),
                                     .state = request.state,
                                     .sender = request.sender,
                                     .recipient = request.recipient,
                                     .user = request.user,
                                     .instance = request.instance};
    if (options_.report)
        report(request, subject);
    const auto decision = checks_.decide(subject);
    if (decision.reported.is_exceeded())
        found_(subject, decision.reported, true);
    if (decision.finding.is_exceeded())
        found_(subject, decision.finding, options_.report_only);
    const auto finding = options_.report_only ? core::CheckFinding{} : decision.finding;
    counts_.answers_total[finding.action]++;
    return Answer{.reply = policy_reply(finding), .delay = finding.delay};
}

/// What the context names, if the operator gave one; else what is guarded at that address and
/// port. Where the address is not told, a port stands for all of its listeners.
std::optional<std::string> PolicyService::service_of(const PolicyRequest &request) const
{
    if (!request.context.empty())
        return request.context;
    const auto port = number<std::uint16_t>(request.server_port);
    const auto address = Address::parse(request.server_address);
    if (!port)
        return std::nullopt;
    const auto is_guarded = [&](const PolicyOptions::Service &service) {
        return std::ranges::find(service.ports, *port) != service.ports.end() ||
               std::ranges::any_of(service.listeners, [&](const Endpoint &listener) {
                   return listener.port == *port && (!address || listener.address == *address);
               });
    };
    const auto found = std::ranges::find_if(options_.services, is_guarded);
    if (found == options_.services.end())
        return std::nullopt;
    return found->name;
}

/// There, a message has come whole; what becomes of it is not known yet.
void PolicyService::report(const PolicyRequest &request, const core::CheckSubject &subject)
{
    if (request.state != "END-OF-MESSAGE")
        return;
    core::Report report{.event = core::Reported::receptions,
                        .service = subject.service.value_or("smtp"),
                        .client = Block{subject.address, 128}};
    reporter_.report(report);
    report.event = core::Reported::recipients;
    report.amount = number<std::uint32_t>(request.recipient_count).value_or(0);
    if (report.amount > 0)
        reporter_.report(report);
}

} // namespace tallygate::frontend
