// SPDX-License-Identifier: BSD-2-Clause
//
// Streams of Postfix that speak with an anvil service, without sockets, at a time that is set.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/reports.hpp"
#include "frontend/anvil_service.hpp"
#include "frontend/fake_gate.hpp"

namespace tallygate::frontend::test {

struct NotedReports : core::Reporter {
    void report(const core::Report &report) override { reports.push_back(report); }
    std::vector<core::Report> reports;
};

/// "connect smtp:192.0.2.1" as Postfix writes it.
inline std::string request(std::string_view name, std::string_view ident)
{
    return "request=" + std::string(name) + "\nident=" + std::string(ident) + "\n\n";
}

/// Rows write replies with "|" where a line ends: "status=0|rate=1". The empty line is implied.
inline std::string lines(std::string_view row)
{
    std::string text{row};
    for (char &each : text)
        if (each == '|')
            each = '\n';
    return text + "\n\n";
}

class AnvilScene : public testing::Test {
protected:
    static constexpr std::string_view closed = "closed";

    AnvilScene()
    {
        clock_.time = begin_;
        start({});
    }

    void start(AnvilService::Options options,
               std::chrono::seconds time_unit = std::chrono::seconds{6})
    {
        streams_.clear();
        table_ = std::make_unique<AnvilTable>(
            AnvilTable::Options{.time_unit = time_unit, .hash_seed = 7});
        options.warn = [this](const std::string &sentence) { warnings_.push_back(sentence); };
        service_ = std::make_unique<AnvilService>(*table_, reporter_, clock_, std::move(options));
    }

    /// All that is answered to `bytes` on a stream, which is opened by its first use; and "closed"
    /// behind it, if the stream is.
    std::string send(const std::string &stream, std::string_view bytes, bool ended = false)
    {
        auto &talk = streams_[stream];
        if (!talk)
            talk = service_->open();
        auto &input = unread_[stream];
        std::string output;
        input += bytes;
        while (!input.empty()) {
            const auto step = talk->receive(input, ended, output);
            input.erase(0, step.taken);
            if (step.close) {
                close(stream);
                return output + std::string(closed);
            }
            if (step.taken == 0)
                break;
        }
        if (ended) {
            output += talk->farewell() + std::string(closed);
            close(stream);
        }
        return output;
    }

    std::string say(const std::string &stream, std::string_view name, std::string_view ident)
    {
        return send(stream, request(name, ident));
    }

    void close(const std::string &stream)
    {
        streams_.erase(stream);
        unread_.erase(stream);
    }

    AnvilCounts kept(std::string_view ident)
    {
        return table_->lookup(ident, std::chrono::floor<std::chrono::seconds>(clock_.time));
    }

    static constexpr core::UnixTime begin_{std::chrono::seconds{1'700'000'000}};

    tallygate::test::FakeClock clock_;
    NotedReports reporter_;
    std::unique_ptr<AnvilTable> table_;
    std::unique_ptr<AnvilService> service_;
    std::vector<std::string> warnings_;
    std::map<std::string, std::unique_ptr<net::Conversation>> streams_;
    std::map<std::string, std::string> unread_;
};

} // namespace tallygate::frontend::test
