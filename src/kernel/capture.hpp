// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"

// libpcap's; only capture.cpp needs to know it.
struct pcap;

namespace tallygate::kernel {

/// A packet of a capture, as an Ethernet frame. Bytes that follow its headers may be left out.
struct Frame {
    std::span<const std::uint8_t> bytes; ///< what there is of it, good until the next one
    std::uint32_t wire_bytes = 0;        ///< its length on the wire
    bool is_cut = false;                 ///< the capture has less of it than the wire had
    std::chrono::nanoseconds time{};     ///< since 1970
};

/// A pcap or pcapng file, through libpcap. Packets of links without Ethernet headers (Linux
/// cooked, raw IP, BSD loopback) get one put before them.
class Capture {
public:
    /// More than any headers have, and less than BPF_PROG_TEST_RUN refuses (a page with its own
    /// needs taken off): no frame has more bytes than this.
    static constexpr std::size_t frame_bytes_max = 3072;

    /// What is no capture, or of a link that we cannot read, is an error that says so.
    static Result<Capture> open(const std::string &path);
    /// Takes the stream over. `name` is for messages alone.
    static Result<Capture> read(std::FILE *stream, std::string name);

    Capture(Capture &&) noexcept;
    Capture &operator=(Capture &&) = delete;
    ~Capture();

    /// The next packet; nothing at the end. An error says after which packet the file is damaged,
    /// and there is no going on.
    Result<std::optional<Frame>> next();

    /// Of the file, read so far and in all; 0 in all if nobody knows, as with a pipe.
    std::uint64_t bytes_read() const;
    std::uint64_t bytes_total() const { return bytes_total_; }

private:
    struct Close {
        void operator()(struct pcap *handle) const;
    };

    Capture() = default;
    Frame make_frame(std::span<const std::uint8_t> captured, std::uint32_t wire_bytes);

    std::string name_;
    std::unique_ptr<struct pcap, Close> handle_;
    int link_ = 0;
    std::uint64_t bytes_total_ = 0;
    std::uint64_t packets_ = 0;
    std::vector<std::uint8_t> frame_;
};

} // namespace tallygate::kernel
