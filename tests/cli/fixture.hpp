// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "cli/command_line.hpp"
#include "net/http_server.hpp"
#include "net/loop_thread.hpp"
#include "net/temp_dir.hpp"

namespace tallygate::test {

using Arguments = std::vector<std::string>;

/// The command line, and a daemon that notes what it was asked and answers what the test says.
class CommandLine : public testing::Test {
protected:
    void SetUp() override
    {
        ::unsetenv("TALLYGATE_SOCKET");
        ::unsetenv("SSH_CONNECTION");
        auto listener = net::Listener::on_path(path_);
        ASSERT_TRUE(listener) << listener.error().message;
        server_.emplace(loop_, std::move(*listener), [this](const net::Request &request) {
            asked_ = request.method + " " + request.target;
            return answer_;
        });
        thread_.start();
    }

    void TearDown() override
    {
        thread_.stop();
        server_.reset();
        ::unsetenv("TALLYGATE_SOCKET");
        ::unsetenv("SSH_CONNECTION");
    }

    cli::Outcome run(Arguments arguments)
    {
        arguments.insert(arguments.begin(), {"--socket", path_});
        return cli::run(arguments);
    }

    TempDir dir_;
    std::string path_ = dir_ / "control.sock";
    net::Response answer_{.body = "{\"schema\":1,\"value\":12345}\n"};
    std::string asked_;
    net::Loop loop_;
    std::optional<net::HttpServer> server_;
    LoopThread thread_{loop_};
};

} // namespace tallygate::test
