// SPDX-License-Identifier: BSD-2-Clause
//
// Any bytes as a file of rates, and as the body of one whose header is right: refused in a
// sentence, or rates that are the same after bytes again and can go on being used.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "frontend/rates.hpp"

namespace {

using namespace tallygate;
using frontend::Rates;

constexpr core::UnixTime noon{std::chrono::seconds{1'763'726'400}};

void require(bool holds)
{
    if (!holds)
        std::abort();
}

void check(std::string_view bytes)
{
    Rates rates;
    const auto restored = rates.restore(bytes);

    if (!restored) {
        require(!restored.error().message.empty() && rates.counters() == 0);
        return;
    }
    const auto again = rates.encode();
    Rates other;
    require(other.restore(again) && other.encode() == again);
    const auto taken = rates.take({"rate_conn", "192.0.2.1", 1, std::chrono::seconds{60}}, noon);
    require(taken.count >= 1 && taken.retry.count() >= 0 && taken.retry.count() <= 60'000);
    rates.forget_old(noon + std::chrono::hours{24} * 400);
    require(rates.bytes() <= Rates::bytes_max_default);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    const std::string_view bytes{reinterpret_cast<const char *>(data), size};
    check(bytes);
    check(frontend::seal_rates(bytes));
    return 0;
}
