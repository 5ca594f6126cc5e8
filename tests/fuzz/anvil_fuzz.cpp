// SPDX-License-Identifier: BSD-2-Clause
//
// Any bytes on a stream of anvil: requests and replies, or the end of the stream; the same however
// the bytes are cut. Any bytes as the file that outlives the daemon.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "frontend/anvil_ident.hpp"
#include "frontend/anvil_saved.hpp"
#include "frontend/anvil_service.hpp"

namespace {

using namespace tallygate;
using namespace tallygate::frontend;

void require(bool holds)
{
    if (!holds)
        std::abort();
}

struct StoppedClock : core::Clock {
    core::UnixTime now() const override { return core::UnixTime{std::chrono::seconds{1000}}; }
};

struct Nobody : core::Reporter {
    void report(const core::Report &report) override { require(report.amount == 1); }
};

/// All replies to `text`, of which `piece` bytes come at a time; "lost" if some of it was lost,
/// which hangs on the pieces.
std::string converse(std::string_view text, std::size_t piece)
{
    const StoppedClock clock;
    Nobody nobody;
    AnvilTable table{{.idents_max = 8, .hash_seed = 1}};
    bool lost = false;
    AnvilService service{table, nobody, clock, {.warn = [&](const std::string &sentence) {
                             lost = lost || sentence.find("terminator") != std::string::npos;
                         }}};
    const auto talk = service.open();
    std::string input;
    std::string output;

    while (!text.empty()) {
        input += text.substr(0, piece);
        text.remove_prefix(std::min(piece, text.size()));
        for (bool again = true; again;) {
            const auto step = talk->receive(input, false, output);
            require(step.taken <= input.size());
            if (step.close)
                return lost ? "lost" : output + "closed";
            input.erase(0, step.taken);
            again = step.taken > 0 && !input.empty();
        }
    }
    require(input.empty() || talk->receive(input, true, output).taken == 0);
    return lost ? "lost" : output;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    const std::string_view text{reinterpret_cast<const char *>(data), size};

    const auto whole = converse(text, text.size() + 1);
    for (const std::size_t piece : {1, 7})
        if (const auto same = converse(text, piece); whole != "lost" && same != "lost")
            require(same == whole);
    if (const auto ident = decode_anvil_ident(text))
        require(!ident->service.empty() && text.starts_with(ident->service));
    if (const auto saved = decode_anvil_saved(text))
        require(encode_anvil_saved(*saved).size() <= size);
    return 0;
}
