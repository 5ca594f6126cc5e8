// SPDX-License-Identifier: BSD-2-Clause
#include "core/proven.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "core/support.hpp"

namespace tallygate::core::test {
namespace {

std::chrono::sys_seconds second(std::int64_t number)
{
    return std::chrono::sys_seconds{std::chrono::seconds{number}};
}

ProvenSources some()
{
    return {{"smtp",
             {{address("2001:db8::"), second(300)},
              {address("192.0.2.1"), second(200)},
              {address("192.0.2.2"), second(100)}}},
            {"submission", {{address("192.0.2.1"), second(200)}}}};
}

std::size_t size(const ProvenSources &sources)
{
    std::size_t size = 0;
    for (const auto &[service, those] : sources)
        size += those.size();
    return size;
}

TEST(Proven, is_the_same_after_bytes_and_in_order)
{
    auto ordered = some();
    for (auto &[service, those] : ordered)
        std::ranges::sort(those);

    const auto decoded = decode_proven(encode_proven(some()));
    ASSERT_TRUE(decoded) << decoded.error().message;
    EXPECT_EQ(*decoded, ordered);
    EXPECT_EQ(*decode_proven(encode_proven({})), ProvenSources{});
}

TEST(Proven, no_changed_byte_is_believed)
{
    const auto whole = encode_proven(some());

    for (std::size_t i = 0; i < whole.size(); i++) {
        auto changed = whole;
        changed[i] = static_cast<char>(changed[i] ^ 0x10);
        EXPECT_FALSE(decode_proven(changed)) << "byte " << i;
        EXPECT_FALSE(decode_proven(whole.substr(0, i))) << i << " bytes";
    }
}

TEST(Proven, says_what_is_wrong_with_a_body)
{
    const std::string none = "\x01\x04smtp";
    const std::string address(16, '\x20');
    const std::pair<std::string, const char *> rows[] = {
        {none + "\x7f", "a number of sources in it is out of range"},
        {none + "\x01" + address + "\xff\xff\xff\xff\x1f", "a time in it is out of range"},
        {none + std::string("\x00more", 5), "more follows its end"},
        {none + "\x01" + address.substr(1) + "\x81", "it ends in the middle"},
    };
    for (const auto &[body, sentence] : rows) {
        const auto decoded = decode_proven(seal_proven(body));
        ASSERT_FALSE(decoded) << sentence;
        EXPECT_EQ(decoded.error().message, sentence);
    }
}

TEST(Proven, forgets_those_who_were_not_seen_for_long)
{
    const auto left = latest(some(), second(200), 100);

    EXPECT_EQ(size(left), 3u);
    EXPECT_EQ(left.at("smtp").back().source, address("192.0.2.1"));
}

TEST(Proven, keeps_those_who_were_seen_last_where_there_is_no_room_for_all)
{
    for (std::size_t room = 0; room <= 5; room++)
        EXPECT_EQ(size(latest(some(), second(0), room)), std::min<std::size_t>(room, 4)) << room;
    const auto one = latest(some(), second(0), 1);
    EXPECT_EQ(one.at("smtp").front().source, address("2001:db8::"));
    const auto three = latest(some(), second(0), 3);
    EXPECT_EQ(three.at("smtp").size(), 2u);
    EXPECT_EQ(three.at("submission").size(), 1u);
}

} // namespace
} // namespace tallygate::core::test
