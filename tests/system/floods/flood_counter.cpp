// SPDX-License-Identifier: BSD-2-Clause
//
// What a flood has sent, by block: the same senders once more, from the same seed. So a test knows
// what the gate must have counted, and asks nobody who looked at a packet.
//
//     flood_counter SEED SENT CIDR...
//
// Prints one line of JSON: how many of the first SENT packets came from each block.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "base/address.hpp"
#include "bench/distribution.h"

namespace {

struct Counted {
    const char *text;
    std::uint32_t first;
    std::uint32_t mask;
    std::uint64_t count = 0;
};

/// As next_random() of tests/bench/flood.bpf.c.
std::uint64_t next_random(std::uint64_t &state)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state >> 8;
}

int fail(const char *what, const char *text)
{
    std::fprintf(stderr, "flood_counter: %s '%s'\n", what, text);
    return 1;
}

} // namespace

int main(int argc, char **argv)
{
    using tallygate::Block;
    std::vector<Counted> blocks;

    if (argc < 4)
        return fail("expected SEED SENT CIDR..., not", argc > 1 ? argv[1] : "");
    std::uint64_t state = std::strtoull(argv[1], nullptr, 10) * 0x9e3779b97f4a7c15ULL | 1;
    const std::uint64_t sent = std::strtoull(argv[2], nullptr, 10);
    for (int i = 3; i < argc; i++) {
        const auto block = Block::parse(argv[i]);
        if (!block || block->family() != tallygate::Family::ipv4)
            return fail("not a block of IPv4:", argv[i]);
        const auto &bytes = block->first().bytes;
        const unsigned bits = block->length_bits() - 96;
        blocks.push_back({argv[i],
                          std::uint32_t{bytes[12]} << 24 | std::uint32_t{bytes[13]} << 16 |
                              std::uint32_t{bytes[14]} << 8 | bytes[15],
                          bits == 0 ? 0 : ~std::uint32_t{0} << (32 - bits)});
    }

    for (std::uint64_t i = 0; i < sent; i++) {
        const auto sender =
            sender_address(DISTRIBUTION_RANDOM, static_cast<std::uint32_t>(next_random(state)));
        for (auto &block : blocks)
            block.count += (sender & block.mask) == block.first;
    }
    std::printf("{");
    for (std::size_t i = 0; i < blocks.size(); i++)
        std::printf("%s\"%s\": %llu", i == 0 ? "" : ", ", blocks[i].text,
                    static_cast<unsigned long long>(blocks[i].count));
    std::printf("}\n");
    return 0;
}
