// SPDX-License-Identifier: BSD-2-Clause
//
// Services in the real tables: whose packet is whose, and which number a name keeps.
#include <gmock/gmock.h>

#include "kernel/convert.hpp"
#include "kernel/map_view.hpp"
#include "kernel/sandbox.hpp"
#include "kernel/services.hpp"
#include "kernel/totals.hpp"

namespace tallygate::test {
namespace {

using kernel::ServiceTable;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

class Services : public ProgramTest {
protected:
    ServiceTable open() const { return must(ServiceTable::open(program())); }

    tg_port port(std::uint32_t number) const
    {
        tg_port entry{};
        EXPECT_EQ(bpf_map_lookup_elem(program().map_fd("ports"), &number, &entry), 0);
        return entry;
    }

    /// The service that a port has everywhere, and whether listed addresses have another.
    std::pair<int, int> port_entry(std::uint32_t number) const
    {
        const auto entry = port(number);
        return {entry.service, entry.listed};
    }

    std::vector<std::pair<std::string, std::uint32_t>> listeners() const
    {
        std::vector<std::pair<std::string, std::uint32_t>> found;
        const auto view = must(kernel::MapView<tg_listener, std::uint32_t>::open(
            program().map_fd("listeners"), "listeners"));
        must(view.for_each([&](const tg_listener &listener, std::uint32_t id) {
            const Endpoint end{kernel::to_address(listener.addr), ntohs(listener.port)};
            found.emplace_back(end.text(), id);
        }));
        return found;
    }

    std::size_t ports_in_use() const
    {
        std::size_t count = 0;
        for (std::uint32_t number = 0; number < 65536; number++)
            count += port_entry(number) != std::pair{0, 0};
        return count;
    }
};

TEST_F(Services, StandUnderTheirPortsAndListeners)
{
    auto table = open();
    must(
        table.apply({{"smtp", {25, 2525}, {}},
                     {"submission", {}, {endpoint("192.0.2.1:587"), endpoint("[2001:db8::1]:587")}},
                     {"bulk", {}, {endpoint("192.0.2.1:25")}}}));

    EXPECT_EQ(port_entry(25), (std::pair{1, 1})) << "smtp anywhere, bulk on one address";
    EXPECT_EQ(port_entry(2525), (std::pair{1, 0}));
    EXPECT_EQ(port_entry(587), (std::pair{0, 1}));
    EXPECT_EQ(ports_in_use(), 3U);
    EXPECT_THAT(listeners(),
                UnorderedElementsAre(Pair("192.0.2.1:587", 2), Pair("[2001:db8::1]:587", 2),
                                     Pair("192.0.2.1:25", 3)));
    EXPECT_THAT(table.ids(),
                testing::ElementsAre(Pair("bulk", 3), Pair("smtp", 1), Pair("submission", 2)));
}

TEST_F(Services, ThatAreTakenOutAreFollowedToTheirEnd)
{
    auto table = open();
    must(table.apply({{"smtp", {25, 2525}, {}}, {"bulk", {}, {endpoint("192.0.2.1:25")}}}));

    must(table.apply({{"smtp", {25}, {}}}));
    EXPECT_EQ(port_entry(25), (std::pair{1, 0}));
    EXPECT_EQ(port(25).leaving, 0);
    EXPECT_EQ(port_entry(2525), (std::pair{1, 0}));
    EXPECT_EQ(port(2525).leaving, 1);
    EXPECT_THAT(listeners(), IsEmpty()) << "its flows are followed on any address";
    EXPECT_THAT(table.ids(), testing::ElementsAre(Pair("smtp", 1)));

    must(table.apply({}));
    EXPECT_EQ(port(25).leaving, 1);
    EXPECT_EQ(ports_in_use(), 2U);
    EXPECT_THAT(table.ids(), IsEmpty());

    must(table.apply({{"smtp", {25, 2525}, {}}}));
    EXPECT_EQ(port(25).leaving, 0);
    EXPECT_EQ(port(2525).leaving, 0);
}

TEST_F(Services, ListenersThatAreTakenOutAreFollowedToTheirEnd)
{
    auto table = open();
    must(table.apply({{"bulk", {}, {endpoint("192.0.2.1:25"), endpoint("192.0.2.2:25")}}}));
    must(table.apply({{"bulk", {}, {endpoint("192.0.2.2:25")}}}));
    EXPECT_THAT(listeners(), UnorderedElementsAre(Pair("192.0.2.1:25", 1 | TG_LEAVING),
                                                  Pair("192.0.2.2:25", 1)));
    must(table.apply({}));
    EXPECT_EQ(port_entry(25), (std::pair{0, 1}));
    EXPECT_THAT(listeners(), UnorderedElementsAre(Pair("192.0.2.1:25", 1 | TG_LEAVING),
                                                  Pair("192.0.2.2:25", 1 | TG_LEAVING)));
}

TEST_F(Services, MoveFromAPortToAListenerAndBack)
{
    auto table = open();
    must(table.apply({{"smtp", {25}, {}}}));
    must(table.apply({{"smtp", {}, {endpoint("192.0.2.1:25")}}}));
    EXPECT_EQ(port_entry(25), (std::pair{1, 1}));
    EXPECT_EQ(port(25).leaving, 1) << "on the other addresses";
    must(table.apply({{"smtp", {25}, {}}}));
    EXPECT_EQ(port_entry(25), (std::pair{1, 0}));
    EXPECT_EQ(port(25).leaving, 0);
    EXPECT_THAT(listeners(), IsEmpty());
}

TEST_F(Services, KeepTheirNumbersOverReloadsAndRestarts)
{
    {
        auto table = open();
        must(table.apply({{"smtp", {25}, {}}, {"submission", {587}, {}}}));
        must(table.apply({{"submission", {587}, {}}}));
        EXPECT_EQ(table.ids().at("submission"), 2);
        must(table.apply({{"new", {26}, {}}, {"submission", {587}, {}}}));
        EXPECT_EQ(table.ids().at("new"), 3) << "smtp is away and keeps its number";
    }
    auto table = open();
    EXPECT_THAT(table.ids(), IsEmpty()) << "nothing is configured yet";
    must(table.apply({{"newest", {28}, {}}, {"smtp", {25}, {}}, {"new", {26}, {}}}));
    EXPECT_THAT(table.ids(),
                testing::ElementsAre(Pair("new", 3), Pair("newest", 4), Pair("smtp", 1)));
    EXPECT_EQ(port(587).leaving, 1) << "what the last daemon guarded and we do not";
}

TEST_F(Services, CountWhereTheTablesSay)
{
    auto table = open();
    must(table.apply({{"other", {2525}, {}}, {"smtp", {25}, {}}}));
    Traffic traffic{program()};
    traffic.send_syn("192.0.2.10");
    traffic.send_syn("192.0.2.10");

    const auto totals = must(kernel::Totals::open(program().object()));
    EXPECT_EQ(totals.service(2, Family::ipv4).syn, 2U);
}

std::vector<kernel::ServiceOption> numbered_services(unsigned first, unsigned count)
{
    std::vector<kernel::ServiceOption> services;
    for (unsigned i = first; i < first + count; i++)
        services.push_back(
            {"service-" + std::to_string(i), {static_cast<std::uint16_t>(1000 + i)}, {}});
    return services;
}

TEST_F(Services, MayBe255)
{
    auto table = open();
    must(table.apply(numbered_services(0, 255)));
    EXPECT_EQ(table.ids().size(), 255U);
    EXPECT_EQ(port_entry(1000), (std::pair{1, 0}));
    EXPECT_EQ(port_entry(1254), (std::pair{255, 0}));
}

TEST_F(Services, StayAsTheyWereWhenNoNumberIsLeft)
{
    auto table = open();
    must(table.apply(numbered_services(0, 254)));

    const auto refused = table.apply(numbered_services(10, 254));
    EXPECT_THAT(message_of(refused), HasSubstr("no number is left for service service-255"));
    EXPECT_THAT(message_of(refused), HasSubstr("detach"));
    EXPECT_EQ(table.ids().size(), 254U);
    EXPECT_EQ(port_entry(1000), (std::pair{1, 0}));
    EXPECT_EQ(port_entry(1254), (std::pair{0, 0}));
    must(open().apply(numbered_services(0, 255)));
}

/// `count` addresses from 198.51.<third>.0 on, with this port.
std::vector<Endpoint> many_listeners(unsigned third, unsigned count, std::uint16_t port)
{
    std::vector<Endpoint> ends;
    for (unsigned i = 0; i < count; i++)
        ends.push_back(
            {address("198.51." + std::to_string(third + i / 256) + "." + std::to_string(i % 256)),
             port});
    return ends;
}

TEST_F(Services, OfMoreListenersThanThereIsRoomForAreRefused)
{
    auto table = open();
    must(table.apply({{"smtp", {}, {endpoint("192.0.2.1:25")}}}));
    EXPECT_EQ(message_of(table.apply({{"many", {}, many_listeners(0, 4097, 26)}})),
              "4097 listeners are too many: there is room for 4096 of all services together");
    must(table.apply({{"many", {}, many_listeners(0, 4095, 26)}}));
    EXPECT_EQ(listeners().size(), 4096U) << "with the one that is leaving";
}

TEST_F(Services, ThatTheTableRefusesLeaveTheOldOnes)
{
    auto table = open();
    must(table.apply(
        {{"smtp", {}, {endpoint("192.0.2.1:25")}}, {"a", {}, many_listeners(0, 3000, 25)}}));
    const auto before = listeners();

    // They would fit in the end, but old and new stand together for a moment.
    const auto refused = table.apply(
        {{"b", {}, {endpoint("192.0.2.1:25")}}, {"a", {}, many_listeners(100, 3000, 26)}});
    EXPECT_THAT(message_of(refused), HasSubstr("write to listeners"));
    EXPECT_THAT(listeners(), testing::UnorderedElementsAreArray(before));
    EXPECT_EQ(port_entry(25), (std::pair{0, 1}));
    EXPECT_EQ(port_entry(26), (std::pair{0, 0}));
    EXPECT_THAT(table.ids(), testing::ElementsAre(Pair("a", 2), Pair("smtp", 1)));
}

} // namespace
} // namespace tallygate::test
