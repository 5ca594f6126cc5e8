// SPDX-License-Identifier: BSD-2-Clause
//
// Reconcile against the real socket table, in a network namespace of the test's own. Its packets
// pass nothing there: connections without a flow are ordinary connections, and flows without a
// socket are made by packets through BPF_PROG_TEST_RUN.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <net/if.h>
#include <sys/socket.h>

#include <array>
#include <optional>

#include "kernel/convert.hpp"
#include "kernel/map_view.hpp"
#include "kernel/reconcile.hpp"
#include "kernel/sandbox.hpp"
#include "kernel/told_ledger.hpp"
#include "kernel/totals.hpp"

namespace tallygate::test {
namespace {

using kernel::Reconcile;
using namespace std::chrono_literals;

constexpr std::uint16_t port = 25;
constexpr std::uint16_t smtp = 1;
constexpr const char *server_ipv4 = "198.51.100.25";
constexpr const char *server_ipv6 = "2001:db8:25::25";
constexpr const char *client_ipv4 = "192.0.2.1";
constexpr const char *client_ipv6 = "2001:db8:1::1";

/// Both ends of a TCP connection, which the kernel made.
struct Connection {
    Fd client;
    Fd server;

    /// Whose FIN is sent, and then read by the other side.
    static void finish(const Fd &from, const Fd &to)
    {
        char byte = 0;
        ASSERT_EQ(::shutdown(from.get(), SHUT_WR), 0);
        ASSERT_EQ(::read(to.get(), &byte, 1), 0);
    }
};

std::uint16_t port_of(const Fd &socket)
{
    sockaddr_in name{};
    socklen_t length = sizeof(name);
    EXPECT_EQ(::getsockname(socket.get(), reinterpret_cast<sockaddr *>(&name), &length), 0);
    return ntohs(name.sin_port);
}

sockaddr_storage name_of(const std::string &address, std::uint16_t named_port)
{
    sockaddr_storage name{};
    if (address.find(':') == std::string::npos) {
        auto &ipv4 = reinterpret_cast<sockaddr_in &>(name);
        ipv4.sin_family = AF_INET;
        ipv4.sin_port = htons(named_port);
        ::inet_pton(AF_INET, address.c_str(), &ipv4.sin_addr);
    } else {
        auto &ipv6 = reinterpret_cast<sockaddr_in6 &>(name);
        ipv6.sin6_family = AF_INET6;
        ipv6.sin6_port = htons(named_port);
        ::inet_pton(AF_INET6, address.c_str(), &ipv6.sin6_addr);
    }
    return name;
}

const sockaddr *as_sockaddr(const sockaddr_storage &name)
{
    return reinterpret_cast<const sockaddr *>(&name);
}

/// From a port of its own.
void connect_from(const char *own, std::uint16_t own_port, const char *other,
                  std::uint16_t other_port, const Fd &socket)
{
    const auto own_name = name_of(own, own_port);
    const auto name = name_of(other, other_port);
    ASSERT_EQ(::bind(socket.get(), as_sockaddr(own_name), sizeof(sockaddr_in6)), 0);
    ASSERT_EQ(::connect(socket.get(), as_sockaddr(name), sizeof(sockaddr_in6)), 0);
}

class Listener {
public:
    explicit Listener(const std::string &address, std::uint16_t listened_port = port)
        : family_(address.find(':') == std::string::npos ? AF_INET : AF_INET6),
          fd_(::socket(family_, SOCK_STREAM | SOCK_CLOEXEC, 0))
    {
        const int yes = 1;
        ::setsockopt(fd_.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
        const auto name = name_of(address, listened_port);
        EXPECT_EQ(::bind(fd_.get(), as_sockaddr(name), sizeof(sockaddr_in6)), 0);
        EXPECT_EQ(::listen(fd_.get(), 128), 0);
    }

    Connection connect(const std::string &address, std::uint16_t connected_port = port)
    {
        const int family = address.find(':') == std::string::npos ? AF_INET : AF_INET6;
        Fd client{::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        connect_from(family == AF_INET ? client_ipv4 : client_ipv6, 0, address.c_str(),
                     connected_port, client);
        Fd server{::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC)};
        EXPECT_TRUE(server);
        return {std::move(client), std::move(server)};
    }

private:
    int family_;
    Fd fd_;
};

class ReconcileTest : public ProgramTest {
protected:
    void SetUp() override
    {
        ProgramTest::SetUp();
        run("ip link set lo up");
        for (const auto *own : {server_ipv4, client_ipv4})
            run("ip address add " + std::string(own) + "/32 dev lo");
        for (const auto *own : {server_ipv6, client_ipv6})
            run("ip address add " + std::string(own) + "/128 dev lo");
        watch(port);
        reconcile_.emplace(must(Reconcile::load(program())));
        reconcile_->take_arrivals({::if_nametoindex("lo")});
        configure({});
    }

    void configure(const kernel::ReconcileOptions &options,
                   Reconcile::Sockets sockets = Reconcile::Sockets::here)
    {
        reconcile_->configure(options, sockets);
    }

    /// A whole round, ten seconds after the last one, and long after all that has happened.
    void round(Reconcile::Adopt adopt = Reconcile::Adopt::after_two_rounds)
    {
        must(reconcile_->begin(now_ += 10s, adopt));
        while (!must(reconcile_->step())) {
        }
    }

    void rounds(int count)
    {
        for (int i = 0; i < count; i++)
            round();
    }

    std::vector<std::pair<tg_flow_key, tg_flow>> flows()
    {
        std::vector<std::pair<tg_flow_key, tg_flow>> all;
        const auto view =
            must(kernel::MapView<tg_flow_key, tg_flow>::open(program().map_fd("flows"), "flows"));
        must(view.for_each(
            [&](const tg_flow_key &key, const tg_flow &flow) { all.emplace_back(key, flow); }));
        return all;
    }

    core::Tally tally(Family family = Family::ipv4)
    {
        return must(kernel::Totals::open(program().object())).service(smtp, family);
    }

    tg_progress progress()
    {
        const auto view = must(kernel::MapView<std::uint32_t, tg_progress>::open(
            program().map_fd("progress"), "progress"));
        return *must(view.find(0));
    }

    std::optional<tg_flow> find_flow(std::uint16_t client_port)
    {
        for (const auto &[key, flow] : flows())
            if (key.client_port == htons(client_port))
                return flow;
        return std::nullopt;
    }

    void change_flow(const std::function<void(tg_flow &)> &change)
    {
        auto [key, flow] = flows().at(0);
        change(flow);
        put("flows", key, flow);
    }

    Reconcile &reconcile() { return *reconcile_; }

private:
    OwnNetwork network_;
    std::optional<Reconcile> reconcile_;
    std::chrono::nanoseconds now_ = 10000h;
};

TEST_F(ReconcileTest, AdoptsWhatWasOpenBefore)
{
    Listener listener{server_ipv4};
    const std::array connections{listener.connect(server_ipv4), listener.connect(server_ipv4)};

    round(Reconcile::Adopt::at_once);
    EXPECT_EQ(flows().size(), 2u);
    EXPECT_EQ(tally().opened, 2u);
    EXPECT_EQ(progress().reconcile_adopted, 2u);
    round(Reconcile::Adopt::at_once);
    EXPECT_EQ(flows().size(), 2u);
    EXPECT_EQ(tally().opened, 2u);
    EXPECT_EQ(progress().sources_high_water, 1u);
}

TEST_F(ReconcileTest, AdoptsAConnectionThatTwoRoundsHaveMissed)
{
    Listener listener{server_ipv4};
    const auto connection = listener.connect(server_ipv4);

    round();
    EXPECT_EQ(flows().size(), 0u);
    EXPECT_EQ(reconcile().doubts(), 1u);
    round();
    EXPECT_EQ(flows().size(), 1u);
    EXPECT_EQ(reconcile().doubts(), 0u);
    EXPECT_EQ(progress().reconcile_adopted, 1u);
}

TEST_F(ReconcileTest, AdoptsBothFamiliesThroughOneSocket)
{
    Listener listener{"::"};
    const std::array connections{listener.connect(server_ipv4), listener.connect(server_ipv6),
                                 listener.connect(server_ipv6)};

    round(Reconcile::Adopt::at_once);
    EXPECT_EQ(tally(Family::ipv4).opened, 1u);
    EXPECT_EQ(tally(Family::ipv6).opened, 2u);
}

TEST_F(ReconcileTest, KnowsTheEndsOfWhatItAdopts)
{
    Listener listener{server_ipv4};
    const auto connection = listener.connect(server_ipv4);
    round(Reconcile::Adopt::at_once);
    const auto [key, flow] = flows().at(0);
    EXPECT_EQ(kernel::to_address(key.server), address(server_ipv4));
    EXPECT_EQ(key.server_port, htons(port));
    EXPECT_EQ(key.client_port, htons(port_of(connection.client)));
    EXPECT_EQ(flow.service, smtp);
    EXPECT_EQ(flow.client_fin_seen, 0);
    EXPECT_EQ(flow.server_fin_seen, 0);
}

struct End {
    const char *name;
    void (*end)(Connection &connection);
    bool live;
    bool client_fin;
    bool server_fin;
};

const End ends[] = {
    {"nothing", [](Connection &) {}, true, false, false},
    {"the client's FIN",
     [](Connection &connection) { Connection::finish(connection.client, connection.server); }, true,
     true, false},
    {"the server's FIN",
     [](Connection &connection) { Connection::finish(connection.server, connection.client); }, true,
     false, true},
    {"an orphan, which the kernel keeps for a minute",
     [](Connection &connection) {
         Connection::finish(connection.server, connection.client);
         connection.server = Fd{};
     },
     true, false, true},
    {"the client's FIN and then the server's",
     [](Connection &connection) {
         Connection::finish(connection.client, connection.server);
         Connection::finish(connection.server, connection.client);
     },
     false, false, false},
    {"the server's FIN and then the client's",
     [](Connection &connection) {
         Connection::finish(connection.server, connection.client);
         Connection::finish(connection.client, connection.server);
     },
     false, false, false},
};

TEST_F(ReconcileTest, CountsALiveConnectionAsAFlowDoes)
{
    for (const auto &end : ends) {
        SCOPED_TRACE(end.name);
        Listener listener{server_ipv4};
        auto connection = listener.connect(server_ipv4);
        const auto client_port = port_of(connection.client);
        end.end(connection);
        round(Reconcile::Adopt::at_once);
        const auto flow = find_flow(client_port);
        ASSERT_EQ(flow.has_value(), end.live);
        if (!flow)
            continue;
        EXPECT_EQ(flow->client_fin_seen, end.client_fin);
        EXPECT_EQ(flow->server_fin_seen, end.server_fin);
    }
}

TEST_F(ReconcileTest, LeavesAloneWhatDoesNotComeInByOurInterfaces)
{
    Listener listener{server_ipv4};
    const auto connection = listener.connect(server_ipv4);
    reconcile().take_arrivals({::if_nametoindex("lo") + 1});
    rounds(3);
    round(Reconcile::Adopt::at_once);
    EXPECT_EQ(flows().size(), 0u);
}

TEST_F(ReconcileTest, LeavesAloneWhatIsNotAService)
{
    Listener listener{server_ipv4, 2525};
    const auto other = listener.connect(server_ipv4, 2525);
    rounds(3);
    round(Reconcile::Adopt::at_once);
    EXPECT_EQ(flows().size(), 0u);
}

TEST_F(ReconcileTest, AdoptsNothingForAServiceThatLeaves)
{
    Listener listener{server_ipv4};
    const auto connection = listener.connect(server_ipv4);
    put("ports", std::uint32_t{port}, tg_port{.service = smtp, .listed = 0, .leaving = 1});
    round(Reconcile::Adopt::at_once);
    EXPECT_EQ(flows().size(), 0u);
}

TEST_F(ReconcileTest, ClosesAFlowWhoseSocketIsGoneForTwoRounds)
{
    Listener listener{server_ipv4};
    auto connection = std::optional{listener.connect(server_ipv4)};
    round(Reconcile::Adopt::at_once);
    rounds(3);
    connection.reset();

    round();
    EXPECT_EQ(flows().size(), 1u);
    EXPECT_EQ(reconcile().doubts(), 1u);
    round();
    EXPECT_EQ(flows().size(), 0u);
    EXPECT_EQ(reconcile().doubts(), 0u);
    EXPECT_EQ(tally().opened, 1u);
    EXPECT_EQ(tally().closed, 1u);
    EXPECT_EQ(progress().reconcile_closed, 1u);
}

TEST_F(ReconcileTest, MarksTheSlotsOfWhatItOpensAndCloses)
{
    auto walk = must(kernel::SourceWalk::open(program()));
    ToldLedger ledger;
    Listener listener{server_ipv4};
    auto first = std::optional{listener.connect(server_ipv4)};
    round(Reconcile::Adopt::at_once);
    walk.walk(ledger.sink());
    EXPECT_EQ(ledger.of(client_ipv4).opened, 1U);

    // From now on the slot is known, and looked at when it is marked.
    const auto second = listener.connect(server_ipv4);
    round(Reconcile::Adopt::at_once);
    walk.walk(ledger.sink());
    EXPECT_EQ(ledger.of(client_ipv4).opened, 2U);
    first.reset();
    rounds(3);
    walk.walk(ledger.sink());
    EXPECT_EQ(ledger.of(client_ipv4).closed, 1U);
}

TEST_F(ReconcileTest, KeepsAFlowThroughWhichPacketsPass)
{
    Traffic traffic{program()};
    const auto conversation = traffic.connect("192.0.2.1");
    change_flow([](tg_flow &flow) { flow.socket_seen = 1; });
    for (int i = 0; i < 5; i++) {
        round();
        traffic.send(conversation, {Side::server, ack, 1, 1, 0, TG_PASS_OPEN_FLOW});
    }
    EXPECT_EQ(flows().size(), 1u);
    rounds(2);
    EXPECT_EQ(flows().size(), 0u);
}

TEST_F(ReconcileTest, DoesNotJudgeByAbsenceWhereNoSocketWasEverSeen)
{
    Traffic traffic{program()};
    traffic.connect("192.0.2.1");
    rounds(20);
    EXPECT_EQ(flows().size(), 1u);
    EXPECT_EQ(reconcile().elsewhere(), 1u);
}

TEST_F(ReconcileTest, DoesNotJudgeByTheSocketsOfOthers)
{
    Traffic traffic{program()};
    traffic.connect("192.0.2.1");
    Listener listener{server_ipv4};
    const auto connection = listener.connect(server_ipv4);
    rounds(10);
    EXPECT_EQ(flows().size(), 2u);
    EXPECT_EQ(progress().reconcile_closed, 0u);
}

TEST_F(ReconcileTest, LeavesAloneWhatTheHostConnectsFromAGuardedPort)
{
    Listener other{client_ipv4, 2525};
    Fd outgoing{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    connect_from(server_ipv4, port, client_ipv4, 2525, outgoing);
    rounds(3);
    round(Reconcile::Adopt::at_once);
    EXPECT_EQ(flows().size(), 0u);
}

TEST_F(ReconcileTest, ANewFlowDoesNotAgeInTheRoundThatSawItOpen)
{
    Traffic traffic{program()};
    traffic.connect("192.0.2.1");
    must(reconcile().begin(0ns));
    while (!must(reconcile().step())) {
    }
    EXPECT_EQ(flows().at(0).second.absent_rounds, 0);
    EXPECT_EQ(flows().at(0).second.quiet_seconds, 0);
}

struct Idle {
    const char *name;
    bool client_fin;
    bool server_fin;
    int rounds; ///< of 10 seconds, until it is closed
};

const Idle idles[] = {
    {"open", false, false, 7},
    {"the client's FIN", true, false, 5},
    {"the server's FIN", false, true, 5},
    {"both FINs, not acknowledged", true, true, 3},
};

TEST_F(ReconcileTest, ClosesByIdleTimesOnAGateway)
{
    configure({.interval = 10s, .idle_open = 60s, .idle_half_closed = 40s, .idle_closing = 20s},
              Reconcile::Sockets::elsewhere);
    Traffic traffic{program()};
    std::uint64_t closed = 0;
    for (const auto &row : idles) {
        SCOPED_TRACE(row.name);
        traffic.connect("192.0.2.1");
        change_flow([&](tg_flow &flow) {
            flow.client_fin_seen = row.client_fin;
            flow.server_fin_seen = row.server_fin;
        });
        rounds(row.rounds - 1);
        EXPECT_EQ(flows().size(), 1u);
        EXPECT_EQ(reconcile().half_closed(), row.client_fin != row.server_fin ? 1u : 0u);
        round();
        EXPECT_EQ(flows().size(), 0u);
        EXPECT_EQ(progress().idle_closed, ++closed);
        EXPECT_EQ(progress().reconcile_closed, 0u);
    }
}

TEST_F(ReconcileTest, APacketEndsTheIdleTime)
{
    configure({.interval = 10s, .idle_open = 20s, .idle_half_closed = 20s, .idle_closing = 20s},
              Reconcile::Sockets::elsewhere);
    Traffic traffic{program()};
    const auto conversation = traffic.connect("192.0.2.1");
    for (int i = 0; i < 5; i++) {
        rounds(2);
        traffic.send(conversation, {Side::client, ack, 1, 1, 0, TG_PASS_OPEN_FLOW});
    }
    EXPECT_EQ(flows().size(), 1u);
    rounds(3);
    EXPECT_EQ(flows().size(), 0u);
}

TEST_F(ReconcileTest, AnAdoptedFlowClosesByItsPackets)
{
    Listener listener{server_ipv4};
    const auto connection = listener.connect(server_ipv4);
    round(Reconcile::Adopt::at_once);
    const auto [key, flow] = flows().at(0);

    Conversation conversation;
    conversation.client_address = client_ipv4;
    conversation.server_address = server_ipv4;
    conversation.client_port = ntohs(key.client_port);
    conversation.server_port = port;
    conversation.client_start = flow.client_end - 1;
    conversation.server_start = flow.server_end - 1;
    Traffic{program()}.send(conversation, {Side::server, rst, 1, 0, 0, TG_PASS_CLOSED_RST});
    EXPECT_EQ(flows().size(), 0u);
    EXPECT_EQ(tally().closed, 1u);
}

class FullReconcileTest : public ReconcileTest {
protected:
    kernel::TableSizes sizes() const override
    {
        auto sizes = small_sizes();
        sizes.flows_max = 1;
        return sizes;
    }
};

TEST_F(FullReconcileTest, SaysHowManyFoundNoRoom)
{
    Listener listener{server_ipv4};
    std::vector<Connection> connections;
    for (int i = 0; i < 10; i++)
        connections.push_back(listener.connect(server_ipv4));
    rounds(2);
    const auto adopted = progress().reconcile_adopted;
    EXPECT_EQ(adopted + reconcile().unadopted(), 10u);
    EXPECT_GT(reconcile().unadopted(), 0u);
    EXPECT_EQ(tally().opened, adopted);
}

} // namespace
} // namespace tallygate::test
