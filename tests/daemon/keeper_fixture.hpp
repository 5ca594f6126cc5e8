// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include <chrono>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "daemon/audit_log.hpp"
#include "frontend/fake_gate.hpp"
#include "net/temp_dir.hpp"

namespace tallygate::test {

inline constexpr core::UnixTime noon{std::chrono::seconds{1'763'726'400}}; // 2025-11-21

/// A state directory, a gate and a clock of the test's own, and an audit log that can be read.
class KeeperTest : public testing::Test {
protected:
    void SetUp() override { clock_.time = noon; }

    /// "ACTION WHAT: BEFORE -> AFTER: RESULT", one for each record so far.
    std::vector<std::string> audited() const
    {
        std::vector<std::string> records;
        std::ifstream file{audit_.path()};
        for (std::string line; std::getline(file, line);) {
            const auto value = boost::json::parse(line);
            const auto text = [&](const char *key) {
                return std::string(value.as_object().at(key).as_string());
            };
            records.push_back(text("action") + " " + text("what") + ": " + text("before") + " -> " +
                              text("after") + ": " + text("result"));
        }
        return records;
    }

    static std::string read(const std::string &path)
    {
        std::ostringstream text;
        text << std::ifstream{path}.rdbuf();
        return text.str();
    }

    static void write(const std::string &path, const std::string &text)
    {
        std::ofstream{path} << text;
    }

    TempDir dir_;
    FakeGate gate_;
    FakeClock clock_;
    daemon::AuditLog audit_{dir_ / "state", clock_};
    const core::Requester ada_{.uid = 1000, .pid = 812, .user = "ada"};
};

} // namespace tallygate::test
