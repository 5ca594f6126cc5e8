// SPDX-License-Identifier: BSD-2-Clause
//
// The programs of the gate, and what they say of a packet.
#pragma once

#include <tallygate/abi.h>

#include <algorithm>

#include "kernel/packet.hpp"

namespace tallygate::test {

inline const char *verdict_name(tg_verdict verdict)
{
    // clang-format off
    static constexpr const char *labels[] = {
        "undecided",
#define TG_LABEL(name, action, label) label,
        TG_VERDICTS(TG_LABEL)
#undef TG_LABEL
    };
    // clang-format on
    return labels[verdict];
}

/// A program of the gate. Those of one direction are the same judge behind different doors: a
/// client's packets meet one of the first two, a server's one of the others, of which two are
/// for a gateway's inner card.
enum class Program { xdp, tc_ingress, tc_egress, xdp_inside, tc_inside };
inline constexpr Program ingress_programs[] = {Program::xdp, Program::tc_ingress};
inline constexpr Program egress_programs[] = {Program::tc_egress, Program::xdp_inside,
                                              Program::tc_inside};

inline const char *program_name(Program program)
{
    static constexpr const char *names[] = {"XDP", "tc ingress", "tc egress", "XDP inside",
                                            "tc inside"};
    return names[static_cast<int>(program)];
}

inline bool is_xdp(Program program)
{
    return program == Program::xdp || program == Program::xdp_inside;
}

inline tg_hook hook_of(Program program)
{
    return std::ranges::count(ingress_programs, program) ? TG_HOOK_INGRESS : TG_HOOK_EGRESS;
}

/// Where a connection's packets meet the gate: each program with one of the other direction.
struct Path {
    Program ingress;
    Program egress;
};
inline constexpr Path paths[] = {{Program::xdp, Program::tc_egress},
                                 {Program::tc_ingress, Program::tc_egress},
                                 {Program::xdp, Program::xdp_inside},
                                 {Program::tc_ingress, Program::tc_inside}};

/// BPF_PROG_TEST_RUN gives tc no packet that is shorter than Ethernet and the IP it announces.
inline bool fits(const Packet &packet, Program program)
{
    return is_xdp(program) || packet.wire().size() >= (packet.ipv6 ? 54u : 34u);
}

} // namespace tallygate::test
