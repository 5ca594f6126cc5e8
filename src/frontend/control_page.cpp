// SPDX-License-Identifier: BSD-2-Clause
#include "frontend/control_page.hpp"

#include <string_view>

namespace tallygate::frontend {
namespace {

constexpr std::string_view head = R"(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>tallygate</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46em; margin: 2em auto; padding: 0 1em }
table { border-collapse: collapse } th, td { padding: .2em .8em; text-align: right }
th:first-child, td:first-child { text-align: left } tr + tr { border-top: 1px solid #ccc }
.warning { border-left: 4px solid #c60; padding-left: .8em }
</style>
<h1>tallygate</h1>
<p>Counts the TCP connections of this mail server's clients, by address and by network.</p>
)";

constexpr std::string_view tail = R"(<p>
<a href="/v1/status">status</a> ·
<a href="/v1/live?cidr=0.0.0.0/0">live, IPv4</a> ·
<a href="/v1/live?cidr=::/0">live, IPv6</a> ·
<a href="/v1/top">top</a> ·
<a href="/v1/networks">networks</a> ·
<a href="/metrics">metrics</a>
</p>
</html>
)";

std::string escaped(std::string_view text)
{
    std::string safe;
    for (const char each : text) {
        switch (each) {
        case '&':
            safe += "&amp;";
            break;
        case '<':
            safe += "&lt;";
            break;
        case '>':
            safe += "&gt;";
            break;
        case '"':
            safe += "&quot;";
            break;
        default:
            safe += each;
        }
    }
    return safe;
}

std::string service_rows(const std::vector<ServiceTallies> &services)
{
    std::string html =
        "<table><tr><th>service<th>live<th>opened<th>closed<th>SYNs<th>dropped</tr>\n";
    for (const auto &service : services) {
        const auto tally = service.sum();
        html += "<tr><td>" + escaped(service.name);
        for (const auto number :
             {tally.live(), tally.opened, tally.closed, tally.syn, tally.dropped})
            html += "<td>" + std::to_string(number);
        html += "</tr>\n";
    }
    return html + "</table>\n";
}

} // namespace

std::string page_html(const StatusReport &report)
{
    std::string html{head};

    for (const auto &warning : report.warnings())
        html += "<p class=\"warning\">" + escaped(warning) + "</p>\n";
    html += "<p>Version " + escaped(report.daemon.version) + ". Mode: <b>" +
            escaped(report.gate.mode) + "</b>. Attached:</p>\n<ul>\n";
    for (const auto &attachment : report.gate.attachments)
        html += "<li>" + escaped(attachment.interface) + ", " + escaped(attachment.direction) +
                ": " + escaped(attachment.how) +
                (attachment.note.empty() ? "" : " (" + escaped(attachment.note) + ")") + "\n";
    if (report.gate.attachments.empty())
        html += "<li>nowhere\n";
    html += "</ul>\n" + service_rows(report.services);
    return html + std::string(tail);
}

} // namespace tallygate::frontend
