// SPDX-License-Identifier: BSD-2-Clause
//
// Any bytes as a method and a target: a question within its bounds, or a refusal that can be
// sent back. The first byte picks the method.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "frontend/control_codec.hpp"
#include "frontend/control_json.hpp"

namespace {

using namespace tallygate;

void require(bool holds)
{
    if (!holds)
        std::abort();
}

void check_json(std::string_view line)
{
    require(line.starts_with("{\"schema\":1,") && line.ends_with("}\n"));
    for (const char byte : line.substr(0, line.size() - 1))
        require(byte >= 0x20 && byte < 0x7f);
}

void check_block(const Block &block, const frontend::AskedBlock &asked)
{
    require(block.first() == block.first().masked(block.length_bits()));
    const auto again = Block::parse(block.text());
    require(again && *again == block);
    require(asked.folded == Block::has_host_bits(asked.text));
}

void check_request(const frontend::ControlRequest &request)
{
    if (const auto *live = std::get_if<frontend::LiveRequest>(&request)) {
        check_block(live->question.block, live->asked);
        check_json(frontend::live_json(*live, {}));
    }
    if (const auto *count = std::get_if<frontend::CountRequest>(&request)) {
        check_block(count->question.block, count->asked);
        require(count->question.start < core::Monitor::windows_max);
        require(count->question.end.value_or(0) < core::Monitor::windows_max);
        check_json(frontend::count_json(*count, {}));
    }
    if (const auto *check = std::get_if<frontend::CheckRequest>(&request)) {
        require(static_cast<bool>(Address::parse(check->subject.address.text())));
        check_json(frontend::check_json(*check, {}, {}));
    }
    if (const auto *top = std::get_if<frontend::TopRequest>(&request))
        require(top->question.rows_max >= 1 && top->question.rows_max <= core::Questions::rows_max);
}

void check_refusal(const frontend::ControlRefusal &refusal)
{
    require(refusal.status == 400 || refusal.status == 404 || refusal.status == 405);
    require(!refusal.message.empty());
    require(refusal.allow.empty() == (refusal.status != 405));
    check_json(frontend::error_json(refusal.message, refusal.known));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    if (size == 0)
        return 0;
    const std::string_view target{reinterpret_cast<const char *>(data) + 1, size - 1};
    const auto *const method = data[0] == 'P'   ? "POST"
                               : data[0] == 'U' ? "PUT"
                               : data[0] == 'D' ? "DELETE"
                                                : "GET";
    const auto parsed = frontend::parse_control(method, target);

    if (const auto *request = std::get_if<frontend::ControlRequest>(&parsed))
        check_request(*request);
    else
        check_refusal(std::get<frontend::ControlRefusal>(parsed));
    return 0;
}
