// SPDX-License-Identifier: BSD-2-Clause
//
// Transcripts of the sessions socket: what mail servers say, and what comes back. Codec, service,
// table and rates are the real ones; the gate, the clock and the ledger say what the test wants.
//
// A transcript is a file of lines in transcripts/sessions:
//     # ...          a comment
//     1> TEXT        client 1 sends a line; a client's first one connects it
//     1< TEXT        and is told this next
//     1= TEXT        sends a line and is told nothing
//     1 leaves       its stream ends, by whatever cause
//     1 is gone      we have ended it
//     wait 10        seconds pass
//     reported TEXT  the next event that came to the ledger
//     gate 4         the gate counts so many flows from now on
#include "frontend/sessions_service.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "core/ledger.hpp"
#include "frontend/fake_gate.hpp"

namespace tallygate::test {
namespace {

using namespace std::chrono_literals;
using frontend::CountFrom;
using frontend::SessionsService;

constexpr core::UnixTime noon{1'763'726'400s}; // 2025-11-21 12:00:00 UTC

struct FakeReporter : core::Reporter {
    std::deque<std::string> reports;

    void report(const core::Report &report) override
    {
        reports.push_back(std::string(core::reported_name(report.event)) + " " + report.service +
                          " " + report.client.text() + " " + std::to_string(report.amount));
    }
};

class Script {
public:
    explicit Script(CountFrom count_from)
        : count_from_(count_from),
          service_(questions_, reporter_,
                   [](const Address &address) { return address.text() == "203.0.113.9"; },
                   {.count_from = count_from,
                    .services = {"smtp"},
                    .version = "1.2.3",
                    .bounds = {.sessions_max = 6, .client_sessions_max = 5}})
    {
        clock_.time = noon;
        questions_.set_services({{"smtp", 1}});
    }

    void play(const std::filesystem::path &file)
    {
        std::ifstream lines{file};
        std::string line;

        ASSERT_TRUE(lines) << file;
        for (int number = 1; std::getline(lines, line); number++) {
            SCOPED_TRACE(file.filename().string() + ":" + std::to_string(number) + ": " + line);
            if (!line.empty() && line[0] != '#')
                step(line);
        }
        for (const auto &[name, client] : clients_)
            EXPECT_EQ(client.output, "") << "nobody expected what client " << name << " was told";
        EXPECT_TRUE(reporter_.reports.empty());
    }

private:
    struct Client {
        std::unique_ptr<net::Conversation> stream;
        std::string output;
    };

    void step(const std::string &line)
    {
        std::istringstream words{line};
        std::string first;
        std::string second;
        words >> first >> second;

        if (first == "wait")
            clock_.time += std::chrono::seconds{std::stoi(second)};
        else if (first == "gate")
            set_gate(std::stoull(second));
        else if (first == "reported")
            expect_report(line.substr(9));
        else if (second == "leaves")
            clients_.erase(first);
        else if (second == "is")
            EXPECT_EQ(clients_[first].stream, nullptr);
        else
            speak(first.substr(0, 1), line[1], line.substr(3));
    }

    void speak(const std::string &name, char how, const std::string &text)
    {
        auto &client = clients_[name];
        if (how == '<') {
            const auto end = client.output.find('\n');
            ASSERT_NE(end, std::string::npos) << "client " << name << " was told nothing more";
            EXPECT_EQ(client.output.substr(0, end), text);
            client.output.erase(0, end + 1);
            return;
        }
        if (!client.stream) {
            client.stream = service_.opener()({});
            EXPECT_EQ(client.stream->greeting(),
                      frontend::sessions_greeting("1.2.3", count_from_name(count_from_)));
        }
        const auto before = client.output;
        const auto step = client.stream->receive(text + "\nrest", false, client.output);
        EXPECT_EQ(step.taken, text.size() + 1);
        if (step.close)
            client.stream.reset();
        if (how == '=') {
            EXPECT_EQ(client.output, before);
        }
    }

    void expect_report(const std::string &report)
    {
        ASSERT_FALSE(reporter_.reports.empty());
        EXPECT_EQ(reporter_.reports.front(), report);
        reporter_.reports.pop_front();
    }

    void set_gate(std::uint64_t flows)
    {
        const bool more = flows > flows_;
        const auto by = more ? flows - flows_ : flows_ - flows;
        ledger_.record({.source = *Address::parse("192.0.2.1"),
                        .service = 1,
                        .opened = more ? by : 0,
                        .closed = more ? 0 : by},
                       clock_.time);
        flows_ = flows;
    }

    CountFrom count_from_;
    core::Ledger ledger_{{{60, 10}}};
    FakeGate gate_;
    FakeClock clock_;
    core::Questions questions_{ledger_, gate_, clock_};
    FakeReporter reporter_;
    SessionsService service_;
    std::uint64_t flows_ = 0;
    std::map<std::string, Client> clients_;
};

TEST(SessionsService, AnswersAsTheTranscriptsSay)
{
    int played = 0;

    for (const auto &file : std::filesystem::directory_iterator{SESSIONS_TRANSCRIPTS}) {
        const bool at_gate = file.path().stem().string().starts_with("gate");
        Script{at_gate ? CountFrom::gate : CountFrom::sessions}.play(file);
        played++;
    }
    EXPECT_GE(played, 7);
}

class SessionsStream : public testing::Test {
protected:
    core::Ledger ledger_{{{60, 10}}};
    FakeGate gate_;
    FakeClock clock_;
    core::Questions questions_{ledger_, gate_, clock_};
    FakeReporter reporter_;
    SessionsService service_{questions_, reporter_, [](const Address &) { return false; }, {}};
    std::unique_ptr<net::Conversation> stream_ = service_.opener()({});
    std::string output_;
};

TEST_F(SessionsStream, WaitsForTheRestOfALine)
{
    const std::string line = R"({"do":"hello","version":1,"id":1})";

    for (std::size_t i = 0; i <= line.size(); i++)
        EXPECT_EQ(stream_->receive(line.substr(0, i), false, output_).taken, 0U);
    EXPECT_EQ(output_, "");
    EXPECT_EQ(stream_->receive(line + "\r\n", false, output_).taken, line.size() + 2);
    EXPECT_EQ(output_, "{\"id\":1,\"done\":true}\n");
}

TEST_F(SessionsStream, DropsHalfALineAtTheEnd)
{
    const auto step = stream_->receive(R"({"do":"hel)", true, output_);

    EXPECT_EQ(step.taken, 10U);
    EXPECT_TRUE(step.close);
    EXPECT_EQ(output_, "");
}

TEST_F(SessionsStream, EndsWithALineThatHasNoEnd)
{
    const std::string input(frontend::sessions_line_bytes_max, '{');

    EXPECT_EQ(stream_->receive(input, false, output_).taken, 0U);
    const auto step = stream_->receive(input + "{", false, output_);
    EXPECT_EQ(step.taken, input.size() + 1);
    EXPECT_TRUE(step.close);
    EXPECT_EQ(output_, "{\"error\":\"this line is longer than 16384 bytes\","
                       "\"code\":\"malformed\"}\n");
    EXPECT_LT(frontend::sessions_line_bytes_max, SessionsService::limits().input_bytes_max);
}

TEST_F(SessionsStream, AStreamThatGoesTakesItsSessionsAlong)
{
    stream_->receive("{\"do\":\"hello\",\"version\":1}\n", false, output_);
    for (int i = 0; i < 100; i++)
        stream_->receive(R"({"do":"open","address":"192.0.2.1","session":")" + std::to_string(i) +
                             "\"}\n",
                         false, output_);
    EXPECT_EQ(output_, "");
    EXPECT_EQ(service_.table().sessions(), 100U);
    EXPECT_EQ(service_.facts().sessions, 100U);
    EXPECT_EQ(service_.facts().events.front().count, 101U);
    stream_.reset();
    EXPECT_EQ(service_.table().sessions(), 0U);
    EXPECT_EQ(service_.table().clients(), 0U);
}

} // namespace
} // namespace tallygate::test
