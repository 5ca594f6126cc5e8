// SPDX-License-Identifier: BSD-2-Clause
//
// Between the layouts of abi.h and the daemon's own types. A new counter in tg_tally needs one
// line here.
#pragma once

#include <tallygate/abi.h>

#include <cstring>

#include "base/address.hpp"
#include "core/seams.hpp"

namespace tallygate::kernel {

inline Address to_address(const tg_addr &addr)
{
    Address address;
    std::memcpy(address.bytes.data(), &addr, sizeof(addr));
    return address;
}

inline tg_addr from_address(const Address &address)
{
    tg_addr addr{};
    std::memcpy(&addr, address.bytes.data(), sizeof(addr));
    return addr;
}

inline tg_prefix from_block(const Block &block)
{
    return {.length_bits = block.length_bits(), .addr = from_address(block.first())};
}

inline Block to_block(const tg_prefix &prefix)
{
    return Block{to_address(prefix.addr), prefix.length_bits};
}

/// Reads `closed` before `opened`, so that what is read never shows more closed than opened.
inline core::Tally to_tally(const volatile tg_tally &tally)
{
    core::Tally result;
    result.closed = tally.closed;
    result.opened = tally.opened;
    result.syn = tally.syn;
    result.dropped = tally.dropped;
    result.would_drop = tally.would_drop;
    return result;
}

} // namespace tallygate::kernel
