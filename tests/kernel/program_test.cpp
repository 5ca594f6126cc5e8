// SPDX-License-Identifier: BSD-2-Clause
//
// Loading: new maps, adopted maps, and maps that are not ours to adopt.
#include "kernel/program.hpp"

#include <gmock/gmock.h>

#include <optional>

#include "kernel/map_view.hpp"
#include "kernel/sandbox.hpp"

namespace tallygate::test {
namespace {

using kernel::PinDir;
using kernel::Program;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Programs : public PinTest {
protected:
    void SetUp() override { pins_.emplace(must(PinDir::lock(pin_dir()))); }

    const PinDir &pins() const { return *pins_; }

    Program load(const kernel::TableSizes &sizes = small_sizes()) const
    {
        return must(Program::load(*pins_, sizes));
    }

    /// As the daemon's first start.
    Program load_and_publish() const
    {
        auto program = load();
        publish_maps(*pins_, program);
        return program;
    }

    static tg_settings settings(const Program &program)
    {
        const auto view = must(kernel::MapView<std::uint32_t, tg_settings>::open(
            program.map_fd("settings"), "settings"));
        return *must(view.find(0));
    }

    static std::uint32_t map_id(const Program &program, const char *name)
    {
        return map_info(program, name).id;
    }

    static bpf_map_info map_info(const Program &program, const char *name)
    {
        bpf_map_info info{};
        std::uint32_t size = sizeof(info);
        EXPECT_EQ(bpf_obj_get_info_by_fd(program.map_fd(name), &info, &size), 0) << name;
        return info;
    }

    std::optional<PinDir> pins_;
};

TEST_F(Programs, LoadWithMapsOfTheConfiguredSizes)
{
    const auto program = load();
    EXPECT_FALSE(program.maps_adopted());
    EXPECT_THAT(program.warnings(), IsEmpty());
    EXPECT_EQ(map_info(program, "sources").max_entries, 64U);
    EXPECT_EQ(map_info(program, "source_index").max_entries, 64U);
    EXPECT_EQ(map_info(program, "freed_slots").max_entries, 64U);
    EXPECT_EQ(map_info(program, "claims").max_entries, 256U) << "of four";
    EXPECT_EQ(map_info(program, "rates").max_entries, 64U);
    EXPECT_EQ(map_info(program, "ipv6_prefixes").max_entries, 64U);
    EXPECT_EQ(map_info(program, "proven_filter").max_entries, 64U);
    EXPECT_EQ(map_info(program, "network_nodes").max_entries, 17U);
    EXPECT_EQ(map_info(program, "repeats").max_entries,
              static_cast<std::uint32_t>(libbpf_num_possible_cpus()) * TG_REPEATS);
    EXPECT_EQ(map_info(program, "flows").max_entries, 256U);
    EXPECT_EQ(map_info(program, "pending").max_entries, 512U);

    EXPECT_NE(settings(program).hash_seed[0], 0U);
    EXPECT_NE(settings(program).hash_seed[1], 0U);
    EXPECT_EQ(settings(program).ipv6_source_bits, 64U);
    EXPECT_EQ(program.tag().size(), 16U);
    EXPECT_EQ(program.tag().find_first_not_of("0123456789abcdef"), std::string::npos);
    for (const int fd : {program.xdp_fd(), program.tc_ingress_fd(), program.tc_egress_fd()})
        EXPECT_GE(fd, 0);
}

TEST_F(Programs, HaveSeedsOfTheirOwn)
{
    EXPECT_NE(settings(load()).hash_seed[0], settings(load()).hash_seed[0]);
}

TEST_F(Programs, AdoptWhatIsPinned)
{
    std::optional<Program> first{load_and_publish()};
    const auto before = settings(*first);
    const auto sources = map_id(*first, "sources");
    const tg_port smtp{.service = 1, .listed = 0, .leaving = 0};
    const std::uint32_t port = 25;
    ASSERT_EQ(bpf_map_update_elem(first->map_fd("ports"), &port, &smtp, BPF_ANY), 0);
    Traffic{*first}.connect("192.0.2.10");
    first.reset();

    const auto second = load();
    EXPECT_TRUE(second.maps_adopted());
    EXPECT_THAT(second.warnings(), IsEmpty());
    EXPECT_EQ(map_id(second, "sources"), sources);
    for (const int i : {0, 1})
        EXPECT_EQ(settings(second).hash_seed[i], before.hash_seed[i])
            << "the tables were filled under it";
    const auto slots =
        must(kernel::MapView<std::uint32_t, tg_source>::open(second.map_fd("sources"), "sources"));
    EXPECT_EQ(must(slots.find(0))->tally.opened, 1U);
}

TEST_F(Programs, FinishTheHandshakesOfTheOnesBefore)
{
    std::optional<Program> first{load_and_publish()};
    const tg_port smtp{.service = 1, .listed = 0, .leaving = 0};
    const std::uint32_t port = 25;
    ASSERT_EQ(bpf_map_update_elem(first->map_fd("ports"), &port, &smtp, BPF_ANY), 0);
    Traffic before{*first};
    const auto conversation = before.connect("192.0.2.10");

    const auto second = load();
    Traffic{second}.disconnect(conversation);
    const auto slots =
        must(kernel::MapView<std::uint32_t, tg_source>::open(second.map_fd("sources"), "sources"));
    EXPECT_EQ(must(slots.find(0))->tally.closed, 1U);
}

struct SizeCase {
    const char *table;
    std::uint32_t kernel::TableSizes::*size;
    std::uint32_t wanted;
    const char *sentence;
};

// clang-format off
const SizeCase size_cases[] = {
    {"sources",         &kernel::TableSizes::sources_max,  128,
     "table sources keeps room for 64 entries; the configured 128"},
    {"claims",          &kernel::TableSizes::claims_max,   2048,
     "table claims keeps room for 1024 entries; the configured 2048"},
    {"rates",           &kernel::TableSizes::rates_max,    512,
     "table rates keeps room for 256 entries; the configured 512"},
    {"ipv6_prefixes",   &kernel::TableSizes::ipv6_prefixes_max, 128,
     "table ipv6_prefixes keeps room for 256 entries; the configured 128"},
    {"flows",           &kernel::TableSizes::flows_max,    16,
     "table flows keeps room for 256 entries; the configured 16"},
    {"pending",         &kernel::TableSizes::pending_max,  512,
     "table pending keeps room for 1024 entries; the configured 512"},
    {"network_records", &kernel::TableSizes::networks_max, 32,
     "table networks keeps room for 16 entries; the configured 32"},
};
// clang-format on

TEST_F(Programs, KeepTheSizesThatArePinned)
{
    const auto first = load_and_publish();
    for (const auto &row : size_cases) {
        auto sizes = small_sizes();
        sizes.*row.size = row.wanted;
        const auto second = load(sizes);
        EXPECT_THAT(second.warnings(), ElementsAre(HasSubstr(row.sentence))) << row.table;
        EXPECT_EQ(map_info(second, row.table).max_entries, map_info(first, row.table).max_entries);
    }
}

TEST_F(Programs, KeepTheLengthOfIpv6Sources)
{
    {
        const auto first = load_and_publish();
        const tg_port smtp{.service = 1, .listed = 0, .leaving = 0};
        const std::uint32_t port = 25;
        ASSERT_EQ(bpf_map_update_elem(first.map_fd("ports"), &port, &smtp, BPF_ANY), 0);
    }
    auto sizes = small_sizes();
    sizes.ipv6_source_bits = 128;
    const auto second = load(sizes);
    EXPECT_THAT(second.warnings(), ElementsAre(HasSubstr("sources of IPv6 stay /64")));
    EXPECT_EQ(settings(second).ipv6_source_bits, 64U);
    Traffic{second}.connect("2001:db8::1:2:3:4");
    const auto slots =
        must(kernel::MapView<std::uint32_t, tg_source>::open(second.map_fd("sources"), "sources"));
    EXPECT_EQ(must(slots.find(0))->key.addr.words[3], 0U);
}

struct LengthCase {
    unsigned bits;
    std::uint32_t third;
    std::uint32_t fourth;
};

TEST_F(Programs, CutIpv6SourcesToTheConfiguredLength)
{
    const LengthCase cases[] = {{64, 0, 0},
                                {65, 0x80000000, 0},
                                {80, 0xffff0000, 0},
                                {96, 0xffffffff, 0},
                                {97, 0xffffffff, 0x80000000},
                                {127, 0xffffffff, 0xfffffffe},
                                {128, 0xffffffff, 0xffffffff}};
    for (const auto &row : cases) {
        auto sizes = small_sizes();
        sizes.ipv6_source_bits = row.bits;
        const auto program = load(sizes);
        const tg_port smtp{.service = 1, .listed = 0, .leaving = 0};
        const std::uint32_t port = 25;
        ASSERT_EQ(bpf_map_update_elem(program.map_fd("ports"), &port, &smtp, BPF_ANY), 0);
        Traffic{program}.connect("2001:db8::ffff:ffff:ffff:ffff");
        const auto slots = must(
            kernel::MapView<std::uint32_t, tg_source>::open(program.map_fd("sources"), "sources"));
        const auto slot = must(slots.find(0));
        EXPECT_EQ(slot->tally.opened, 1U);
        EXPECT_EQ(slot->key.addr.words[2], htonl(row.third)) << row.bits;
        EXPECT_EQ(slot->key.addr.words[3], htonl(row.fourth)) << row.bits;
    }
}

class ForeignPins : public Programs {
protected:
    void SetUp() override
    {
        Programs::SetUp();
        load_and_publish();
    }

    void expect_a_way_out() const
    {
        const auto refused = Program::load(pins(), small_sizes());
        EXPECT_THAT(message_of(refused),
                    HasSubstr("`tallygated detach --pin-dir " + pin_dir() + "` removes it"));
    }

    /// Another map under the name of one of ours.
    void replace(const std::string &name, bpf_map_type type, std::uint32_t key_bytes,
                 std::uint32_t value_bytes, std::uint32_t entries_max) const
    {
        const auto path = pins().map_path(name);
        const Fd fd{bpf_map_create(type, "tgunit", key_bytes, value_bytes, entries_max, nullptr)};
        ASSERT_EQ(::unlink(path.c_str()), 0);
        ASSERT_EQ(bpf_obj_pin(fd.get(), path.c_str()), 0);
    }
};

TEST_F(ForeignPins, OfAnotherShapeAreRefused)
{
    replace("claims", BPF_MAP_TYPE_LRU_HASH, sizeof(tg_source_key), 8, 1024);
    expect_a_way_out();
}

TEST_F(ForeignPins, OfAnotherKindAreRefused)
{
    replace("flows", BPF_MAP_TYPE_LRU_HASH, sizeof(tg_flow_key), sizeof(tg_flow), 256);
    expect_a_way_out();
}

TEST_F(ForeignPins, OfOtherFlagsAreRefused)
{
    replace("sources", BPF_MAP_TYPE_ARRAY, 4, sizeof(tg_source), 64); // cannot be mapped
    expect_a_way_out();
}

TEST_F(ForeignPins, OfAnotherSizeThatIsNotConfigurationAreRefused)
{
    replace("ports", BPF_MAP_TYPE_ARRAY, 4, sizeof(tg_port), 1024);
    expect_a_way_out();
}

TEST_F(ForeignPins, InPlaceOfTheSettingsAreRefused)
{
    replace("settings", BPF_MAP_TYPE_ARRAY, 4, 8, 1);
    expect_a_way_out();
}

TEST_F(ForeignPins, ThatAreNoMapsAreRefused)
{
    const auto path = pins().map_path("progress");
    const auto fd = load_stranger();
    ASSERT_EQ(::unlink(path.c_str()), 0);
    ASSERT_EQ(bpf_obj_pin(fd.get(), path.c_str()), 0);
    expect_a_way_out();
}

TEST_F(ForeignPins, OfWhichOneIsMissingAreRefused)
{
    for (const auto *name : {"progress", "settings"}) {
        ASSERT_EQ(::unlink(pins().map_path(name).c_str()), 0);
        expect_a_way_out();
    }
}

TEST_F(ForeignPins, AreGoneAfterDetach)
{
    replace("ports", BPF_MAP_TYPE_ARRAY, 4, sizeof(tg_port), 1024);
    must(kernel::detach_all(pin_dir()));
    pins_.emplace(must(PinDir::lock(pin_dir())));
    EXPECT_FALSE(load().maps_adopted());
}

} // namespace
} // namespace tallygate::test
