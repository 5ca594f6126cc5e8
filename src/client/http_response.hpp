// SPDX-License-Identifier: BSD-2-Clause
//
// One HTTP/1.1 response, read as its bytes come. Pure. It knows as much of HTTP as our own server
// sends: a status, headers, a body with a length.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace tallygate::client {

class ResponseReader {
public:
    static constexpr std::size_t head_bytes_max = 8 * 1024;
    static constexpr std::size_t body_bytes_max = 64 << 20;

    enum class Progress {
        more,   ///< not whole yet
        done,   ///< take nothing further
        broken, ///< not HTTP, or more of it than anybody should send
    };

    Progress take(std::string_view bytes);

    /// The rest is only true of what is done.
    unsigned status() const { return status_; }
    std::string take_body() { return std::move(body_); }
    /// Whether the connection serves another request.
    bool keeps_alive() const { return keeps_alive_; }

private:
    Progress take_head(std::string_view bytes);
    Progress take_into_body(std::string_view bytes);
    bool read_status_line(std::string_view line);
    bool read_header(std::string_view line);

    std::string head_;
    std::string body_;
    std::size_t body_bytes_ = 0;
    unsigned status_ = 0;
    bool has_length_ = false;
    bool keeps_alive_ = true;
    bool in_body_ = false;
};

} // namespace tallygate::client
