// SPDX-License-Identifier: BSD-2-Clause
//
// Any bytes as what a daemon answers, in one piece and in two: the same response both times, or
// none. And any bytes as the JSON in it: numbers within their bounds, or nothing.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "client/answers.hpp"
#include "client/http_response.hpp"

namespace {

using tallygate::client::ResponseReader;
using Progress = ResponseReader::Progress;

void require(bool holds)
{
    if (!holds)
        std::abort();
}

void read_json(std::string_view body)
{
    using namespace tallygate::client;
    const auto answer = read_answer(body);
    require(!answer || answer->exact == 0 || answer->exact == 1);
    const auto items = read_items(body);
    require(!items || items->items.size() <= body.size());
    const auto definitions = read_definitions(body);
    require(!definitions || definitions->size() <= body.size());
    require(read_error(body).size() <= body.size());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    if (size == 0)
        return 0;
    const std::string_view bytes{reinterpret_cast<const char *>(data) + 1, size - 1};
    const auto cut = bytes.size() * data[0] / 256;

    read_json(bytes);
    ResponseReader whole;
    const auto progress = whole.take(bytes);
    ResponseReader pieces;
    auto piecemeal = pieces.take(bytes.substr(0, cut));
    if (piecemeal != Progress::more)
        return 0; // what comes after the end belongs to nobody
    piecemeal = pieces.take(bytes.substr(cut));

    require(piecemeal == progress);
    if (progress != Progress::done)
        return 0;
    require(whole.status() >= 200 && whole.status() <= 599);
    require(whole.status() == pieces.status() && whole.keeps_alive() == pieces.keeps_alive());
    require(whole.take_body() == pieces.take_body());
    return 0;
}
