// SPDX-License-Identifier: BSD-2-Clause
//
// What front-ends may ask the daemon to do, and who asks. The daemon decides, writes the audit
// log, and keeps DaemonFacts true.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/address.hpp"
#include "base/result.hpp"
#include "core/audit.hpp"
#include "core/lists.hpp"
#include "core/seams.hpp"

namespace tallygate::frontend {

/// Somebody on the other side of a socket, before anybody looked up a name.
struct Asker {
    std::optional<std::uint32_t> uid = {};
    std::optional<std::int32_t> pid = {};
    std::optional<Address> remote_address = {}; ///< where his own connection comes from
};

/// An entry of control, to be.
struct WantedEntry {
    core::ListKind kind = core::ListKind::block;
    Block block = Block::all(Family::ipv4);
    std::optional<std::chrono::seconds> span = {}; ///< as the policy has it, if not given
    std::string reason = {};
};

/// Errors of add, remove and set_mode have a core::Refused as their code; 0 is the machine's
/// failure, and nobody's who asked.
class Actions {
public:
    virtual ~Actions() = default;

    /// The entry that is on the list then.
    virtual Result<core::ListEntry> add(const WantedEntry &wanted, const Asker &asker) = 0;
    /// The entry that was on the list.
    virtual Result<core::ListEntry> remove(core::ListKind kind, const Block &block,
                                           const Asker &asker) = 0;
    /// With `confirm` the mode before comes back after that time, unless this is called again.
    virtual Result<void> set_mode(core::Mode mode, std::optional<std::chrono::seconds> confirm,
                                  const Asker &asker) = 0;
    /// Takes the configuration anew, or says why not: code 0 is a mistake in the file, which has
    /// changed nothing; any other is the machine's errno.
    virtual Result<void> reload(const Asker &asker) = 0;

    virtual const core::Lists &lists() const = 0;
};

} // namespace tallygate::frontend
