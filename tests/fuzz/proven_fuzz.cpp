// SPDX-License-Identifier: BSD-2-Clause
//
// Any bytes as a list of proven sources, and as the body of one whose header is right: refused in a
// sentence, or a list that is the same after bytes again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/proven.hpp"

namespace {

using namespace tallygate;

void require(bool holds)
{
    if (!holds)
        std::abort();
}

void check(std::string_view bytes)
{
    const auto sources = core::decode_proven(bytes);
    if (!sources) {
        require(!sources.error().message.empty());
        return;
    }
    const auto again = core::encode_proven(*sources);
    const auto decoded = core::decode_proven(again);
    require(decoded && core::encode_proven(*decoded) == again);
    for (const std::size_t room : {0, 1, 1000}) {
        std::size_t left = 0;
        for (const auto &[service, those] : core::latest(*sources, {}, room))
            left += those.size();
        require(left <= room);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    const std::string_view bytes{reinterpret_cast<const char *>(data), size};
    check(bytes);
    check(core::seal_proven(bytes));
    return 0;
}
