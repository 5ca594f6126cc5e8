// SPDX-License-Identifier: BSD-2-Clause
//
// Files in memory as frames: each link, times, and what is wrong with a file.
#include "kernel/capture.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

namespace tallygate::test {
namespace {

using kernel::Capture;
using testing::ElementsAre;
using testing::HasSubstr;
using Bytes = std::vector<std::uint8_t>;

constexpr std::uint32_t microseconds = 0xa1b2c3d4;
constexpr std::uint32_t nanoseconds = 0xa1b23c4d;
constexpr std::uint32_t ethernet = 1;

/// A pcap file in this machine's byte order.
class File {
public:
    explicit File(std::uint32_t link, std::uint32_t magic = microseconds)
    {
        for (const std::uint32_t word : {magic, 0x00040002U, 0U, 0U, 65535U, link})
            put(word);
    }

    File &record(const Bytes &bytes, std::uint32_t wire_bytes, std::uint32_t seconds = 1,
                 std::uint32_t fraction = 0)
    {
        for (const auto word :
             {seconds, fraction, static_cast<std::uint32_t>(bytes.size()), wire_bytes})
            put(word);
        bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
        return *this;
    }

    File &record(const Bytes &bytes)
    {
        return record(bytes, static_cast<std::uint32_t>(bytes.size()));
    }

    File &cut(std::size_t bytes)
    {
        bytes_.resize(bytes_.size() - bytes);
        return *this;
    }

    Result<Capture> open()
    {
        return Capture::read(::fmemopen(bytes_.data(), bytes_.size(), "rb"), "a.pcap");
    }

private:
    void put(std::uint32_t word)
    {
        const auto *bytes = reinterpret_cast<const std::uint8_t *>(&word);
        bytes_.insert(bytes_.end(), bytes, bytes + sizeof(word));
    }

    Bytes bytes_;
};

Bytes operator+(Bytes first, const Bytes &more)
{
    first.insert(first.end(), more.begin(), more.end());
    return first;
}

const Bytes ipv4 = Bytes{0x45} + Bytes(39, 1);
const Bytes ipv6 = Bytes{0x60} + Bytes(59, 1);

std::uint16_t type_of(const kernel::Frame &frame)
{
    return static_cast<std::uint16_t>(frame.bytes[12] << 8 | frame.bytes[13]);
}

TEST(CaptureTest, PutsAnEthernetHeaderBeforeEachLinksPackets)
{
    const Bytes cooked(14, 0), cooked2(18, 0);
    const struct {
        const char *name;
        std::uint32_t link;
        Bytes header;
        Bytes packet;
        std::uint16_t type;
    } rows[] = {
        {"cooked", 113, cooked + Bytes{8, 0}, ipv4, 0x0800},
        {"cooked, IPv6", 113, cooked + Bytes{0x86, 0xdd}, ipv6, 0x86dd},
        {"cooked, a VLAN", 113, cooked + Bytes{0x81, 0}, Bytes{0, 5, 8, 0} + ipv4, 0x8100},
        {"cooked of the second kind", 276, Bytes{8, 0} + cooked2, ipv4, 0x0800},
        {"raw", 101, {}, ipv4, 0x0800},
        {"raw, IPv6", 12, {}, ipv6, 0x86dd},
        {"raw of OpenBSD", 14, {}, ipv6, 0x86dd},
        {"raw of no version", 101, {}, Bytes(20, 0xff), 0},
        {"IPv4", 228, {}, ipv4, 0x0800},
        {"IPv6", 229, {}, ipv6, 0x86dd},
        {"loopback of a little-endian machine", 0, {2, 0, 0, 0}, ipv4, 0x0800},
        {"loopback of a big-endian machine", 0, {0, 0, 0, 2}, ipv4, 0x0800},
        {"loopback of FreeBSD, IPv6", 0, {28, 0, 0, 0}, ipv6, 0x86dd},
        {"loopback of Darwin, IPv6", 0, {30, 0, 0, 0}, ipv6, 0x86dd},
        {"loopback of OpenBSD, IPv6", 108, {0, 0, 0, 24}, ipv6, 0x86dd},
        {"loopback of something else", 0, {7, 0, 0, 0}, ipv4, 0},
    };

    for (const auto &row : rows) {
        SCOPED_TRACE(row.name);
        auto capture = File{row.link}.record(row.header + row.packet).open();
        ASSERT_TRUE(capture) << capture.error().message;
        const auto frame = capture->next();
        ASSERT_TRUE(frame && *frame);
        EXPECT_EQ(type_of(**frame), row.type);
        EXPECT_EQ(Bytes((**frame).bytes.begin() + 14, (**frame).bytes.end()), row.packet);
        EXPECT_EQ((**frame).wire_bytes, 14 + row.packet.size());
        EXPECT_FALSE((**frame).is_cut);
    }
}

TEST(CaptureTest, LeavesEthernetAsItIs)
{
    const Bytes sent(100, 7);
    auto capture = File{ethernet}.record(sent, 1500).record(Bytes(5000, 8)).open();
    ASSERT_TRUE(capture);

    const auto first = capture->next();
    ASSERT_TRUE(first && *first);
    EXPECT_EQ(Bytes((**first).bytes.begin(), (**first).bytes.end()), sent);
    EXPECT_EQ((**first).wire_bytes, 1500u);
    EXPECT_TRUE((**first).is_cut);

    const auto second = capture->next();
    ASSERT_TRUE(second && *second);
    EXPECT_EQ((**second).bytes.size(), Capture::frame_bytes_max);
    EXPECT_EQ((**second).wire_bytes, 5000u);
    EXPECT_FALSE((**second).is_cut);

    const auto end = capture->next();
    EXPECT_TRUE(end && !*end);
}

TEST(CaptureTest, HasNothingOfARecordThatEndsWithinItsLinksHeader)
{
    auto capture = File{113}.record(Bytes(9, 0)).record(Bytes(9, 0), 60).record({}, 60).open();
    ASSERT_TRUE(capture);
    std::vector<std::pair<bool, bool>> found;

    for (auto frame = capture->next(); frame && *frame; frame = capture->next()) {
        EXPECT_TRUE((**frame).bytes.empty());
        found.emplace_back((**frame).is_cut, (**frame).wire_bytes > 0);
    }
    EXPECT_THAT(found,
                ElementsAre(std::pair(false, false), std::pair(true, true), std::pair(true, true)));
}

TEST(CaptureTest, KeepsNanoseconds)
{
    using namespace std::chrono_literals;
    auto fine = File{ethernet, nanoseconds}.record(ipv4, 40, 3, 123'456'789).open();
    auto coarse = File{ethernet}.record(ipv4, 40, 3, 123'456).open();

    EXPECT_EQ((**fine->next()).time, 3s + 123'456'789ns);
    EXPECT_EQ((**coarse->next()).time, 3s + 123'456us);
}

TEST(CaptureTest, SaysWhereAFileIsDamaged)
{
    auto capture = File{ethernet}.record(ipv4).record(ipv4).record(ipv4).cut(1).open();
    ASSERT_TRUE(capture);

    EXPECT_TRUE(*capture->next());
    EXPECT_TRUE(*capture->next());
    const auto third = capture->next();
    ASSERT_FALSE(third);
    EXPECT_THAT(third.error().message, HasSubstr("read a.pcap: damaged after packet 2: "));
}

TEST(CaptureTest, NamesALinkThatItCannotRead)
{
    const auto wireless = File{105}.open();
    const auto unknown = File{4000}.open();

    ASSERT_FALSE(wireless);
    EXPECT_THAT(wireless.error().message, HasSubstr("IEEE802_11"));
    ASSERT_FALSE(unknown);
    EXPECT_THAT(unknown.error().message, HasSubstr("4000"));
}

TEST(CaptureTest, RefusesWhatIsNoCapture)
{
    const auto missing = Capture::open("/nowhere/a.pcap");
    const auto wrong = File{ethernet, 0x12345678}.open();

    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().message, "read /nowhere/a.pcap: No such file or directory");
    ASSERT_FALSE(wrong);
    EXPECT_THAT(wrong.error().message, HasSubstr("read a.pcap: this is no pcap or pcapng capture"));
}

} // namespace
} // namespace tallygate::test
