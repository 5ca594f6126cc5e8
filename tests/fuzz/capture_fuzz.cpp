// SPDX-License-Identifier: BSD-2-Clause
//
// Any bytes as a capture file, and its packets through the gate's parser on this side: no byte
// is read that is not there, and what is found in part of a packet holds for the whole.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <vector>

#include "kernel/capture.hpp"
#include "kernel/packet_facts.h"

namespace {

using namespace tallygate;

void require(bool holds)
{
    if (!holds)
        std::abort();
}

/// In memory that ends where the frame does, so that a read beyond it is seen.
class Placed {
public:
    explicit Placed(std::span<const std::uint8_t> bytes) : bytes_(2)
    {
        bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
        bytes_.shrink_to_fit();
    }

    const std::uint8_t *frame() const { return bytes_.data() + 2; }
    std::uint32_t size() const { return static_cast<std::uint32_t>(bytes_.size() - 2); }

private:
    std::vector<std::uint8_t> bytes_;
};

void check_facts(std::span<const std::uint8_t> bytes, std::uint32_t wire_bytes)
{
    const Placed whole{bytes};
    const auto facts = find_packet_facts(whole.frame(), whole.size(), wire_bytes);
    packet_facts inner{};
    tg_addr sender{};

    require(facts.refused < TG_VERDICT_COUNT && !tg_verdict_drops(facts.refused));
    require(facts.refused != TG_UNDECIDED || facts.ports_known);
    if (find_tunnel_facts(whole.frame(), whole.size(), wire_bytes, &sender, &inner))
        require(inner.refused < TG_VERDICT_COUNT);

    const Placed half{bytes.first(bytes.size() / 2)};
    const auto less = find_packet_facts(half.frame(), half.size(), wire_bytes);
    require(less.ran_out || less.refused == facts.refused);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    std::vector<std::uint8_t> file{data, data + size};
    std::FILE *stream = size == 0 ? nullptr : ::fmemopen(file.data(), size, "rb");
    if (!stream)
        return 0;
    auto capture = kernel::Capture::read(stream, "fuzz");
    if (!capture) {
        require(!capture.error().message.empty());
        return 0;
    }
    for (auto frame = capture->next(); frame && *frame; frame = capture->next()) {
        const auto &found = **frame;
        require(found.bytes.size() <= kernel::Capture::frame_bytes_max);
        require(found.is_cut || found.wire_bytes >= found.bytes.size());
        check_facts(found.bytes, found.wire_bytes);
    }
    return 0;
}
