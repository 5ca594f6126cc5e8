// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/capture.hpp"

#include <linux/if_ether.h>
#include <pcap/pcap.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

namespace tallygate::kernel {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr int openbsd_raw = 14; ///< DLT_RAW as OpenBSD numbers it

/// What stands before the IP header, and what type of Ethernet's it names.
struct LinkHeader {
    std::size_t bytes = 0;
    std::uint16_t type = 0; ///< 0: nothing that we know
};

std::uint16_t number_at(Bytes bytes, std::size_t offset)
{
    return bytes.size() < offset + 2
               ? std::uint16_t{0}
               : static_cast<std::uint16_t>(bytes[offset] << 8 | bytes[offset + 1]);
}

std::uint16_t type_by_version(Bytes packet)
{
    switch (packet.empty() ? 0 : packet[0] >> 4) {
    case 4:
        return ETH_P_IP;
    case 6:
        return ETH_P_IPV6;
    default:
        return 0;
    }
}

/// An address family of BSD's loopback, in whatever byte order the machine had that captured it.
std::uint16_t type_by_family(Bytes header)
{
    // Systems agree on the number of IPv4 and on no other: Linux, NetBSD, FreeBSD, Darwin.
    constexpr std::uint8_t ipv6_families[] = {10, 24, 28, 30};
    const bool is_little = number_at(header, 2) == 0;
    const auto family = header.size() < 4 ? std::uint8_t{0} : is_little ? header[0] : header[3];

    if (family == 2)
        return ETH_P_IP;
    return std::ranges::find(ipv6_families, family) != std::end(ipv6_families) ? ETH_P_IPV6 : 0;
}

/// None if the link has no header that we can read, or if it has Ethernet's.
std::optional<LinkHeader> link_header(int link, Bytes packet)
{
    switch (link) {
    case DLT_LINUX_SLL:
        return LinkHeader{16, number_at(packet, 14)};
    case DLT_LINUX_SLL2:
        return LinkHeader{20, number_at(packet, 0)};
    case DLT_RAW:
    case openbsd_raw:
        return LinkHeader{0, type_by_version(packet)};
    case DLT_IPV4:
        return LinkHeader{0, ETH_P_IP};
    case DLT_IPV6:
        return LinkHeader{0, ETH_P_IPV6};
    case DLT_NULL:
    case DLT_LOOP:
        return LinkHeader{4, type_by_family(packet)};
    default:
        return std::nullopt;
    }
}

/// A damaged file may have any time at all; one before 1970 or after 2242 is taken for that.
std::chrono::nanoseconds time_of(const pcap_pkthdr &header)
{
    constexpr std::int64_t seconds_max = 1LL << 33;
    constexpr std::int64_t nanoseconds_max = 999'999'999;
    const auto seconds = std::clamp<std::int64_t>(header.ts.tv_sec, 0, seconds_max);
    // tv_usec are nanoseconds: that is how the file was opened.
    const auto fraction = std::clamp<std::int64_t>(header.ts.tv_usec, 0, nanoseconds_max);

    return std::chrono::seconds{seconds} + std::chrono::nanoseconds{fraction};
}

std::string link_name(int link)
{
    const char *name = ::pcap_datalink_val_to_name(link);
    const char *words = ::pcap_datalink_val_to_description(link);

    return (name ? std::string{name} : "number " + std::to_string(link)) +
           (words ? " (" + std::string{words} + ")" : "");
}

Error unreadable(const std::string &name, std::uint64_t bytes_total, bool is_file, const char *why)
{
    if (is_file && bytes_total == 0)
        return Error{"read " + name + ": the file is empty: expected a pcap or pcapng capture"};
    return Error{"read " + name + ": this is no pcap or pcapng capture that can be read: " + why};
}

} // namespace

void Capture::Close::operator()(struct pcap *handle) const
{
    ::pcap_close(handle);
}

Capture::Capture(Capture &&) noexcept = default;
Capture::~Capture() = default;

Result<Capture> Capture::open(const std::string &path)
{
    std::FILE *stream = std::fopen(path.c_str(), "rbe");

    if (!stream)
        return Error{"read " + path + ": " + std::strerror(errno)};
    return read(stream, path);
}

Result<Capture> Capture::read(std::FILE *stream, std::string name)
{
    std::array<char, PCAP_ERRBUF_SIZE> why{};
    struct stat status {};
    Capture capture;
    const int fd = ::fileno(stream);
    const bool is_file = fd >= 0 && ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);

    capture.name_ = std::move(name);
    capture.bytes_total_ = is_file ? static_cast<std::uint64_t>(status.st_size) : 0;
    capture.handle_.reset(
        ::pcap_fopen_offline_with_tstamp_precision(stream, PCAP_TSTAMP_PRECISION_NANO, why.data()));
    if (!capture.handle_) {
        std::fclose(stream);
        return unreadable(capture.name_, capture.bytes_total_, is_file, why.data());
    }
    capture.link_ = ::pcap_datalink(capture.handle_.get());
    if (capture.link_ != DLT_EN10MB && !link_header(capture.link_, {}))
        return Error{"read " + capture.name_ + ": its link type is " + link_name(capture.link_) +
                     ": expected Ethernet, Linux cooked, raw IP or BSD loopback"};
    return capture;
}

/// Ethernet frames are shown as they are; others are put together here.
Frame Capture::make_frame(Bytes captured, std::uint32_t wire_bytes)
{
    const bool is_cut = captured.size() < wire_bytes;
    const auto header = link_header(link_, captured);

    if (!header)
        return {captured.first(std::min(captured.size(), frame_bytes_max)), wire_bytes, is_cut, {}};

    // A record that ends within its link's header: no frame, or one of which we know nothing.
    if (captured.size() < header->bytes || (captured.empty() && is_cut))
        return {{}, is_cut ? std::max(wire_bytes, std::uint32_t{ETH_HLEN}) : 0, is_cut, {}};

    const auto packet = captured.subspan(header->bytes);
    const auto kept = std::min(packet.size(), frame_bytes_max - ETH_HLEN);
    const auto wire = std::uint64_t{wire_bytes} - header->bytes + ETH_HLEN;
    frame_.assign(ETH_HLEN, 0);
    frame_[ETH_HLEN - 2] = static_cast<std::uint8_t>(header->type >> 8);
    frame_[ETH_HLEN - 1] = static_cast<std::uint8_t>(header->type);
    frame_.insert(frame_.end(), packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(kept));
    return {frame_,
            static_cast<std::uint32_t>(
                std::min<std::uint64_t>(wire, std::numeric_limits<std::uint32_t>::max())),
            is_cut,
            {}};
}

Result<std::optional<Frame>> Capture::next()
{
    pcap_pkthdr *header = nullptr;
    const std::uint8_t *bytes = nullptr;
    const int got = ::pcap_next_ex(handle_.get(), &header, &bytes);

    if (got == PCAP_ERROR_BREAK)
        return std::optional<Frame>{};
    if (got != 1)
        return Error{"read " + name_ + ": damaged after packet " + std::to_string(packets_) + ": " +
                     ::pcap_geterr(handle_.get())};
    packets_++;

    // Some writers leave the wire's length out.
    auto frame = make_frame({bytes, header->caplen}, std::max(header->len, header->caplen));
    frame.time = time_of(*header);
    return std::optional{frame};
}

std::uint64_t Capture::bytes_read() const
{
    const auto position = ::ftello(::pcap_file(handle_.get()));

    return position < 0 ? 0 : static_cast<std::uint64_t>(position);
}

} // namespace tallygate::kernel
