// SPDX-License-Identifier: BSD-2-Clause
#include "core/seams.hpp"

namespace tallygate::core {

Tally &Tally::operator+=(const Tally &other)
{
    syn += other.syn;
    opened += other.opened;
    closed += other.closed;
    dropped += other.dropped;
    would_drop += other.would_drop;
    return *this;
}

} // namespace tallygate::core
