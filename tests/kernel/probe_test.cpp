// SPDX-License-Identifier: BSD-2-Clause
//
// What `tallygated probe` says: by rows where it judges, and on this kernel where it tries.
#include "kernel/probe.hpp"

#include <gmock/gmock.h>
#include <linux/capability.h>
#include <net/if.h>

#include <algorithm>
#include <string>

#include "kernel/probe_parts.hpp"
#include "kernel/sandbox.hpp"

namespace tallygate::test {
namespace {

using kernel::Finding;
using kernel::InterfaceFacts;
using kernel::ProbeLine;
using testing::HasSubstr;
using testing::SizeIs;

struct InterfaceRow {
    const char *name;
    InterfaceFacts facts;
    bool takes_fragments;
    const char *mend; ///< what the one warning's mend says; empty if there is no warning
};

const InterfaceRow interface_rows[] = {
    {"a plain card", {.name = "eth0", .driver = "ice", .mtu = 1500}, true, ""},
    {"our own program", {.name = "eth0", .mtu = 1500, .xdp_program = "gate_xdp"}, true, ""},
    {"somebody else's program",
     {.name = "eth0", .mtu = 1500, .xdp_program = "katran"},
     true,
     "ip link set dev eth0 xdp off"},
    {"LRO", {.name = "eth0", .mtu = 1500, .lro = true}, true, "ethtool -K eth0 lro off"},
    {"GRO by hardware",
     {.name = "eth0", .mtu = 1500, .gro_hw = true},
     true,
     "ethtool -K eth0 rx-gro-hw off"},
    {"the largest frames of one page", {.name = "eth0", .mtu = 3498}, false, ""},
    {"frames of more than a page", {.name = "eth0", .mtu = 3499}, false, "mtu 3498"},
    {"large frames where programs take them", {.name = "eth0", .mtu = 9000}, true, ""},
};

TEST(Probe, JudgesInterfaces)
{
    for (const auto &row : interface_rows) {
        SCOPED_TRACE(row.name);
        const auto lines = kernel::judge_interface(row.facts, row.takes_fragments);
        const bool warns = *row.mend != '\0';
        ASSERT_THAT(lines, SizeIs(warns ? 2 : 1));
        EXPECT_EQ(lines.front().finding, Finding::ok);
        EXPECT_EQ(lines.front().what, "interface eth0");
        EXPECT_EQ(lines.back().finding, warns ? Finding::warn : Finding::ok);
        EXPECT_THAT(lines.back().mend, HasSubstr(row.mend));
    }
}

struct RightsRow {
    const char *name;
    std::vector<unsigned> capabilities;
    const char *missing; ///< empty if all that we need is there
};

const RightsRow rights_rows[] = {
    {"none", {}, "CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN, CAP_SYS_ADMIN missing"},
    {"each of them", {CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN, CAP_SYS_ADMIN}, ""},
    {"the capability that holds the others", {CAP_SYS_ADMIN, CAP_NET_ADMIN}, ""},
    {"no right to the network", {CAP_SYS_ADMIN}, "CAP_NET_ADMIN missing"},
    {"no right to trace", {CAP_BPF, CAP_NET_ADMIN}, "CAP_PERFMON, CAP_SYS_ADMIN missing"},
    {"what the first start needs", {CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN}, "CAP_SYS_ADMIN missing"},
};

TEST(Probe, JudgesRights)
{
    for (const auto &row : rights_rows) {
        SCOPED_TRACE(row.name);
        std::uint64_t mask = 0;
        for (const auto number : row.capabilities)
            mask |= 1ULL << number;
        const auto line = kernel::judge_rights(mask);
        const bool complete = *row.missing == '\0';
        EXPECT_EQ(line.finding, complete ? Finding::ok : Finding::fail);
        EXPECT_EQ(line.mend.empty(), complete);
        EXPECT_THAT(line.detail, HasSubstr(complete ? "CAP_BPF" : row.missing));
    }
}

/// The line about `what`, as this machine has it.
ProbeLine line_about(const std::vector<ProbeLine> &lines, const std::string &what)
{
    const auto found = std::find_if(lines.begin(), lines.end(),
                                    [&](const auto &line) { return line.what == what; });
    return found == lines.end() ? ProbeLine{.finding = Finding::fail, .what = "no such line"}
                                : *found;
}

std::vector<std::string> interface_names()
{
    std::vector<std::string> names;
    auto *const all = ::if_nameindex();
    for (const auto *each = all; each->if_index != 0; each++)
        names.emplace_back(each->if_name);
    ::if_freenameindex(all);
    return names;
}

/// One probe for all of these tests, because loading the programs twice takes a second.
class ProbeOfThisKernel : public testing::Test {
protected:
    static void SetUpTestSuite()
    {
        const OwnNetwork network;
        interfaces_before = interface_names();
        lines = kernel::probe({"lo", "absent0"});
        interfaces_after = interface_names();
    }

    static inline std::vector<ProbeLine> lines;
    static inline std::vector<std::string> interfaces_before;
    static inline std::vector<std::string> interfaces_after;
};

TEST_F(ProbeOfThisKernel, FindsWhatTheTestsOfThisFolderNeed)
{
    for (const auto *what : {"programs", "native XDP (on veth)", "generic XDP", "clsact",
                             "links that are taken over", "atomic compare-and-swap",
                             "arrays mapped into memory", "helper bpf_ktime_get_coarse_ns"}) {
        const auto line = line_about(lines, what);
        EXPECT_EQ(line.finding, Finding::ok) << what << ": " << line.what << line.detail;
        EXPECT_TRUE(line.here) << what << ": " << line.detail;
    }
}

TEST_F(ProbeOfThisKernel, SaysWhatMendsEachFinding)
{
    for (const auto &line : lines)
        EXPECT_EQ(line.mend.empty(), line.finding == Finding::ok) << line.what;
}

TEST_F(ProbeOfThisKernel, SaysWhatStandsInForWhatIsMissing)
{
    for (const auto &line : lines) {
        if (line.here || line.finding != Finding::ok)
            continue;
        EXPECT_FALSE(line.stand_in.empty()) << line.what;
        EXPECT_THAT(line.detail, HasSubstr(line.stand_in)) << line.what;
    }
}

TEST_F(ProbeOfThisKernel, NamesAnInterfaceThatDoesNotExist)
{
    const auto line = line_about(lines, "interface absent0");
    EXPECT_EQ(line.finding, Finding::fail);
    EXPECT_EQ(line.detail, "does not exist");
}

TEST_F(ProbeOfThisKernel, LeavesNoInterfaceBehind)
{
    EXPECT_EQ(interfaces_after, interfaces_before);
}

/// An interface in a namespace of the test's own.
class ProbeOfAnInterface : public ProgramTest {
protected:
    void SetUp() override
    {
        ProgramTest::SetUp();
        run("ip link add mail0 type veth peer name world0");
        run("ip link set mail0 mtu 1400 up");
    }

private:
    OwnNetwork network_;
};

TEST_F(ProbeOfAnInterface, LooksAtThoseThatAreUp)
{
    const auto lines = kernel::probe_interfaces({}, true);
    ASSERT_THAT(lines, SizeIs(1)) << "world0 is down";
    EXPECT_EQ(lines[0].what, "interface mail0");
    EXPECT_THAT(lines[0].detail, HasSubstr("veth, "));
    EXPECT_THAT(lines[0].detail, HasSubstr("MTU 1400"));
}

TEST_F(ProbeOfAnInterface, KnowsOurOwnProgram)
{
    const auto ifindex = static_cast<int>(::if_nametoindex("mail0"));
    const Fd link{bpf_link_create(program().xdp_fd(), ifindex, BPF_XDP, nullptr)};
    ASSERT_TRUE(link);
    const auto lines = kernel::probe_interfaces({"mail0"}, true);
    ASSERT_THAT(lines, SizeIs(1));
    EXPECT_THAT(lines[0].detail, HasSubstr("guarded by tallygate"));
}

} // namespace
} // namespace tallygate::test
