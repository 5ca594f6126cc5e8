// SPDX-License-Identifier: BSD-2-Clause
//
// Whose tunnels count, as it is configured: in the real trie, by packets through the programs.
#include "kernel/tunnels.hpp"

#include "kernel/convert.hpp"
#include "kernel/sandbox.hpp"

namespace tallygate::test {
namespace {

using kernel::TunnelTable;

class Tunnels : public ProgramTest {
protected:
    void SetUp() override
    {
        ProgramTest::SetUp();
        watch(25);
    }

    /// As the daemon does it: with nobody configured, packets are spared the trie.
    void apply(const std::vector<std::string> &senders) const
    {
        std::vector<Block> blocks;
        for (const auto &sender : senders)
            blocks.push_back(block(sender));
        must(TunnelTable{program()}.apply(blocks));
        tg_settings settings{};
        settings.tunnels_configured = static_cast<std::uint32_t>(senders.size());
        put("settings", 0U, settings);
    }

    /// Whether a SYN in a tunnel from there counts for the client inside.
    bool counts(const std::string &sender) const
    {
        const auto before = syns();
        const auto inner = Ethernet{} / Ipv4{} / Tcp{};
        const auto outer = sender.find(':') == std::string::npos
                               ? Ethernet{} / Ipv4{.from = sender}
                               : Ethernet{} / Ipv6{.from = sender};
        auto wire = (outer / inner).wire();
        bpf_test_run_opts options{};
        options.sz = sizeof(options);
        options.data_in = wire.data();
        options.data_size_in = static_cast<std::uint32_t>(wire.size());
        EXPECT_EQ(bpf_prog_test_run_opts(program().xdp_fd(), &options), 0);
        return syns() > before;
    }

    std::size_t entries() const
    {
        std::size_t count = 0;
        tg_prefix key{};
        const tg_prefix *last = nullptr;
        for (tg_prefix next{}; bpf_map_get_next_key(program().map_fd("tunnels"), last, &next) == 0;
             count++) {
            key = next;
            last = &key;
        }
        return count;
    }

private:
    std::uint64_t syns() const { return claimed_syn("192.0.2.10"); }
};

TEST_F(Tunnels, CountFromThoseWhoAreNamed)
{
    EXPECT_FALSE(counts("203.0.113.9")) << "nobody is";
    apply({"203.0.113.8/29", "2001:db8:b::/64"});
    EXPECT_TRUE(counts("203.0.113.9"));
    EXPECT_TRUE(counts("2001:db8:b::9"));
    EXPECT_FALSE(counts("203.0.113.16"));
    EXPECT_FALSE(counts("2001:db8:b:1::9"));
}

TEST_F(Tunnels, CountFromThoseWhoAreNamedNow)
{
    apply({"203.0.113.8/29", "2001:db8:b::/64"});
    apply({"203.0.113.0/24"});
    EXPECT_TRUE(counts("203.0.113.9"));
    EXPECT_TRUE(counts("203.0.113.200"));
    EXPECT_FALSE(counts("2001:db8:b::9"));
    apply({});
    EXPECT_FALSE(counts("203.0.113.9"));
    EXPECT_EQ(entries(), 0U);
}

TEST_F(Tunnels, OfEverybodyInIpv6AreNotOfIpv4)
{
    apply({"::/0"});
    EXPECT_TRUE(counts("2001:db8:b::9"));
    EXPECT_FALSE(counts("203.0.113.9"));
    apply({"::/0", "0.0.0.0/0"});
    EXPECT_TRUE(counts("203.0.113.9"));
    apply({"::/0", "203.0.113.9/32"});
    EXPECT_TRUE(counts("203.0.113.9"));
    EXPECT_FALSE(counts("203.0.113.10"));
}

TEST_F(Tunnels, AreAsBeforeWhenThereIsNoRoom)
{
    apply({"203.0.113.8/29"});
    std::vector<Block> many;
    for (std::uint32_t i = 0; i < 2000; i++)
        many.push_back(Block{Address::from_ipv4(0xc0000200 + i), 128});
    EXPECT_FALSE(TunnelTable{program()}.apply(many));
    EXPECT_TRUE(counts("203.0.113.9"));
    EXPECT_FALSE(counts("192.0.2.77"));
    EXPECT_EQ(entries(), 2U);
}

} // namespace
} // namespace tallygate::test
