// SPDX-License-Identifier: BSD-2-Clause
//
// tcx is in Linux since 6.6; Debian 12's headers and libbpf know neither its numbers nor its links.
#pragma once

#include <cstdint>

namespace tallygate::kernel {

inline constexpr int attach_tcx_ingress = 46;      ///< BPF_TCX_INGRESS
inline constexpr int attach_tcx_egress = 47;       ///< BPF_TCX_EGRESS
inline constexpr std::uint32_t link_type_tcx = 11; ///< BPF_LINK_TYPE_TCX

} // namespace tallygate::kernel
