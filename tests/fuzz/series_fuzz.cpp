// SPDX-License-Identifier: BSD-2-Clause
//
// Any bytes as a file of series, and as the body of one whose header is right: refused in a
// sentence, or taken, and then counted, added to, listed and written again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "core/series_file.hpp"

namespace {

using namespace tallygate;

constexpr core::UnixTime now{std::chrono::seconds{1'763'726'400}};

void require(bool holds)
{
    if (!holds)
        std::abort();
}

void use(core::AuditSeries &series)
{
    for (const auto &definition : series.definitions()) {
        const core::SeriesName which{definition.name, definition.monitor.text(), definition.type};
        const char *const key = definition.type == core::SeriesType::string ? "ann"
                                : definition.type == core::SeriesType::cidr ? "192.0.2.0/24"
                                                                            : "2001:db8::/32";
        require(
            static_cast<bool>(series.count(which, key, 0, definition.monitor.windows - 1, now)));
        require(static_cast<bool>(series.add(which, key, 1, now)));
        require(static_cast<bool>(
            series.items(which, 0, definition.monitor.windows - 1, {}, 100, now)));
        require(static_cast<bool>(series.remove_item(which, key)));
    }
    series.forget_old(now);
}

void check(std::string_view bytes)
{
    auto decoded = core::decode_series(bytes, now);
    if (!decoded) {
        require(!decoded.error().message.empty());
        return;
    }
    core::AuditSeries series;
    series.restore(std::move(*decoded));
    const auto once = core::encode_series(series.all(), now);
    core::AuditSeries again;
    auto decoded_again = core::decode_series(once, now);
    require(static_cast<bool>(decoded_again));
    again.restore(std::move(*decoded_again));
    require(core::encode_series(again.all(), now) == once);
    use(series);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    const std::string_view bytes{reinterpret_cast<const char *>(data), size};
    check(bytes);
    check(core::seal_series(bytes));
    return 0;
}
