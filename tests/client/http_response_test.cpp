// SPDX-License-Identifier: BSD-2-Clause
#include "client/http_response.hpp"

#include <gtest/gtest.h>

#include <string>

namespace tallygate::test {
namespace {

using client::ResponseReader;
using Progress = ResponseReader::Progress;

const std::string good_head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";

TEST(HttpResponse, ReadsWhatOurServerSends)
{
    const struct {
        const char *name;
        std::string bytes;
        Progress progress;
        unsigned status;
        const char *body;
        bool keeps_alive;
    } rows[] = {
        {"an answer", good_head + "12345", Progress::done, 200, "12345", true},
        {"no body", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", Progress::done, 204, "",
         true},
        {"no reason", "HTTP/1.1 404\r\ncontent-length: 1\r\n\r\nx", Progress::done, 404, "x", true},
        {"it hangs up", "HTTP/1.1 200 OK\r\nConnection:  Close \r\nContent-Length: 1\r\n\r\nx",
         Progress::done, 200, "x", false},
        {"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", Progress::done, 200, "x",
         false},
        {"half a status line", "HTTP/1.1 20", Progress::more, 0, "", true},
        {"half a head", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r", Progress::more, 0, "", true},
        {"half a body", good_head + "123", Progress::more, 200, "123", true},
    };
    for (const auto &row : rows) {
        SCOPED_TRACE(row.name);
        ResponseReader whole;
        EXPECT_EQ(whole.take(row.bytes), row.progress);
        ResponseReader pieces;
        auto progress = Progress::more;
        for (const char each : row.bytes)
            progress = pieces.take({&each, 1});
        EXPECT_EQ(progress, row.progress) << "byte by byte";
        if (row.progress != Progress::done)
            continue;
        EXPECT_EQ(whole.status(), row.status);
        EXPECT_EQ(whole.keeps_alive(), row.keeps_alive);
        EXPECT_EQ(whole.take_body(), row.body);
        EXPECT_EQ(pieces.take_body(), row.body);
    }
}

TEST(HttpResponse, TakesNothingElse)
{
    const struct {
        const char *name;
        std::string bytes;
    } rows[] = {
        {"another protocol", "220 mail.example.com ESMTP\r\n\r\n"},
        {"no status", "HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n"},
        {"a status too long", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"},
        {"a status that is no answer", "HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n"},
        {"a negative status", "HTTP/1.1 -20 OK\r\nContent-Length: 0\r\n\r\n"},
        {"no length", "HTTP/1.1 200 OK\r\n\r\n"},
        {"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx"},
        {"a length that is no number", "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n"},
        {"a length below zero", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"},
        {"a length beyond all reason",
         "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n"},
        {"more than 64 MiB", "HTTP/1.1 200 OK\r\nContent-Length: 67108865\r\n\r\n"},
        {"pieces", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {"a header without a name", "HTTP/1.1 200 OK\r\n: 5\r\n\r\n"},
        {"a line without end", "HTTP/1.1 200 " + std::string(9000, 'x')},
        {"more than was announced", good_head + "123456"},
        {"an empty line", "\r\n\r\n"},
        {"zeros", std::string(9000, '\0')},
    };
    for (const auto &row : rows) {
        SCOPED_TRACE(row.name);
        ResponseReader whole;
        EXPECT_EQ(whole.take(row.bytes), Progress::broken);
        ResponseReader pieces;
        auto progress = Progress::more;
        for (std::size_t i = 0; i < row.bytes.size() && progress == Progress::more; i++)
            progress = pieces.take({&row.bytes[i], 1});
        // Byte by byte, what follows a whole answer is nobody's business here.
        EXPECT_NE(progress, Progress::more);
    }
}

} // namespace
} // namespace tallygate::test
