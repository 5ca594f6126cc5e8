// SPDX-License-Identifier: BSD-2-Clause
#include "client/http_response.hpp"

#include <algorithm>
#include <charconv>

namespace tallygate::client {
namespace {

using Progress = ResponseReader::Progress;

constexpr std::string_view head_end = "\r\n\r\n";

char lower(char each)
{
    return each >= 'A' && each <= 'Z' ? static_cast<char>(each - 'A' + 'a') : each;
}

bool is_same_word(std::string_view one, std::string_view other)
{
    return std::ranges::equal(one, other, {}, lower, lower);
}

std::string_view trimmed(std::string_view text)
{
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
        text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
        text.remove_suffix(1);
    return text;
}

/// Decimal digits and nothing else.
template <typename Number>
bool read_number(std::string_view text, Number &number)
{
    const auto *const last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, number);
    return !text.empty() && text.front() != '-' && error == std::errc{} && end == last;
}

} // namespace

Progress ResponseReader::take(std::string_view bytes)
{
    return in_body_ ? take_into_body(bytes) : take_head(bytes);
}

Progress ResponseReader::take_head(std::string_view bytes)
{
    // The end of the head may lie across two pieces.
    const std::size_t searched =
        head_.size() < head_end.size() ? 0 : head_.size() - (head_end.size() - 1);
    const auto kept = std::min(bytes.size(), head_bytes_max + head_end.size() - head_.size());
    head_.append(bytes.substr(0, kept));
    const auto end = head_.find(head_end, searched);
    if (end == std::string::npos)
        return head_.size() < head_bytes_max ? Progress::more : Progress::broken;

    const auto behind_head = bytes.substr(kept - (head_.size() - end - head_end.size()));
    std::string_view lines = std::string_view{head_}.substr(0, end);
    for (bool is_first = true; !lines.empty(); is_first = false) {
        const auto line = lines.substr(0, lines.find("\r\n"));
        lines.remove_prefix(std::min(line.size() + 2, lines.size()));
        if (!(is_first ? read_status_line(line) : read_header(line)))
            return Progress::broken;
    }
    if (status_ == 0 || !has_length_)
        return Progress::broken;
    in_body_ = true;
    return take_into_body(behind_head);
}

Progress ResponseReader::take_into_body(std::string_view bytes)
{
    if (bytes.size() > body_bytes_ - body_.size())
        return Progress::broken; // nobody asked for what follows
    body_.append(bytes);
    return body_.size() == body_bytes_ ? Progress::done : Progress::more;
}

bool ResponseReader::read_status_line(std::string_view line)
{
    constexpr std::string_view version = "HTTP/1.";

    if (!line.starts_with(version) || line.size() < 12 || line[8] != ' ')
        return false;
    keeps_alive_ = line[7] == '1';
    // A 1xx is not the answer, and our server sends none.
    return read_number(line.substr(9, 3), status_) && status_ >= 200 && status_ <= 599 &&
           (line.size() == 12 || line[12] == ' ');
}

bool ResponseReader::read_header(std::string_view line)
{
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0)
        return false;
    const auto name = line.substr(0, colon);
    const auto value = trimmed(line.substr(colon + 1));

    if (is_same_word(name, "content-length")) {
        if (has_length_ || !read_number(value, body_bytes_) || body_bytes_ > body_bytes_max)
            return false;
        has_length_ = true;
    }
    if (is_same_word(name, "connection") && is_same_word(value, "close"))
        keeps_alive_ = false;
    return !is_same_word(name, "transfer-encoding");
}

} // namespace tallygate::client
