// SPDX-License-Identifier: BSD-2-Clause
//
// What a machine can do for tallygate, by trying. Nothing here is decided by a version number:
// `since` is only for the reader, and for docs/kernels.md, which is made from these lines.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tallygate::kernel {

enum class Finding : unsigned char { ok, warn, fail };

/// One thing that tallygate needs or can use, and whether it is here.
struct ProbeLine {
    Finding finding = Finding::ok;
    std::string what{};
    std::string detail{};
    std::string mend{}; ///< what to do about it; empty if there is nothing to do

    // Of what a kernel offers; empty for what belongs to this machine.
    std::string since{};    ///< the first Linux that has it
    std::string stand_in{}; ///< what we use where it is missing; empty if we need it
    bool here = true;       ///< the thing itself, not its stand-in
};

/// Tries what this machine can do, by loading the very programs and by attaching them in a
/// network namespace of their own, and looks at `interfaces` (all that are up, if none are
/// named). Touches no interface that exists, and leaves nothing behind.
std::vector<ProbeLine> probe(const std::vector<std::string> &interfaces);

/// What its driver and the kernel say of an interface.
struct InterfaceFacts {
    std::string name{};
    std::string driver{}; ///< empty if the driver does not say
    unsigned queues = 0;  ///< for receiving; 0 if the driver does not say
    unsigned queues_max = 0;
    unsigned mtu = 0;
    bool lro = false;
    bool gro_hw = false;
    std::string xdp_program{}; ///< the name of what is attached; empty if nothing is
};

/// A line about the interface, and one for each thing that should be mended.
std::vector<ProbeLine> judge_interface(const InterfaceFacts &facts, bool takes_fragments);

/// Of a mask of capabilities, as in /proc/self/status.
ProbeLine judge_rights(std::uint64_t effective);

} // namespace tallygate::kernel
