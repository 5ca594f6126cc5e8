// SPDX-License-Identifier: BSD-2-Clause
//
// Any bytes as a line of the sessions socket: a request within its bounds, or a refusal that can
// be sent back on one line.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "frontend/sessions_codec.hpp"

namespace {

using namespace tallygate;
using namespace tallygate::frontend;

void require(bool holds)
{
    if (!holds)
        std::abort();
}

void check_line(std::string_view line)
{
    require(line.starts_with("{") && line.ends_with("}\n"));
    require(line.find('\n') == line.size() - 1);
}

void check_name(std::string_view name, std::size_t bytes_max)
{
    require(!name.empty() && name.size() <= bytes_max);
}

struct Check {
    void operator()(const HelloRequest &hello) const { require(hello.version >= 1); }
    void operator()(const OpenRequest &open) const
    {
        check_name(open.session, 128);
        require(!open.blocks.empty() && open.blocks.size() <= 32);
    }
    void operator()(const DeliverRequest &deliver) const
    {
        check_name(deliver.session, 128);
        check_name(deliver.domain, 255);
    }
    void operator()(const CloseRequest &close) const { check_name(close.session, 128); }
    void operator()(const BlocksRequest &asked) const
    {
        require(!asked.blocks.empty() && asked.blocks.size() <= 32);
    }
    void operator()(const RateRequest &rate) const
    {
        check_name(rate.wanted.rate, Rates::rate_bytes_max);
        check_name(rate.wanted.key, Rates::key_bytes_max);
        require(rate.wanted.limit >= 1 && rate.wanted.limit <= Rates::limit_max);
        require(rate.wanted.span.count() >= 1 && rate.wanted.span <= Rates::span_max);
        require(rate.wanted.amount <= Rates::amount_max);
    }
    void operator()(const ReportRequest &report) const
    {
        require(report.amount >= 1 && report.amount <= Rates::amount_max);
    }
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    const std::string_view bytes{reinterpret_cast<const char *>(data), size};
    const auto parsed = parse_sessions_line(bytes.substr(0, bytes.find('\n')));

    if (const auto *refusal = std::get_if<SessionsRefusal>(&parsed)) {
        require(!refusal->message.empty());
        check_line(sessions_refused(*refusal));
        return 0;
    }
    const auto &request = std::get<SessionsRequest>(parsed);
    std::visit(Check{}, request.what);
    check_line(sessions_opened(request.id, {{1, 2}, {1, 1}}, true));
    return 0;
}
