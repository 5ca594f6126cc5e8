// SPDX-License-Identifier: BSD-2-Clause
//
// One program on one hook of an interface: put there, found again, exchanged, taken off. Each
// is pinned, so it stays when the daemon ends, and the next daemon replaces the program through
// it, also a daemon of another layout: no packet goes by unseen. Which interface needs which
// programs is left to attachment.hpp.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "core/seams.hpp"
#include "kernel/options.hpp"
#include "kernel/pins.hpp"
#include "kernel/program.hpp"

namespace tallygate::kernel {

/// What a program watches, and so which one it is.
enum class Duty : std::uint8_t {
    ingress, ///< what clients send, as it comes in: XDP, or tc
    egress,  ///< what our services send, as it goes out: tc
    inside,  ///< the same as it comes in at a gateway's inner card: XDP, or tc
};

struct Target {
    std::string interface;
    int ifindex = 0;
    Duty duty = Duty::ingress;
};

/// A program that is in place, or was.
struct Attached {
    LinkName name;
    core::AttachmentStatus status;
};

/// An attachment that was made, and how to have all as it was before. Call `undo` while the
/// hooks are there, or never.
struct Change {
    Attached attached;
    std::function<void()> undo;
};

/// Borrows the pins and the program.
class Hooks {
public:
    /// Which ways onto tc exist is probed by trying. Tests can take tcx away.
    enum class Tcx : std::uint8_t { allowed, denied };

    /// `netns` is the one that this thread is in.
    Hooks(const PinDir &pins, const Program &program, std::uint64_t netns, Tcx tcx)
        : pins_(&pins), program_(&program), netns_(netns), tcx_(tcx)
    {
    }

    /// Adopts what is in place, or attaches. `attach` is about XDP: egress is on tc anyway.
    Result<Change> put(const Target &target, Attach attach) const;
    /// Whether it is what it was: at this moment, by asking the kernel.
    bool is_in_place(const Attached &one) const;
    /// Takes off all of ours in this namespace but `kept`, also what other layouts pinned.
    void take_off_all_but(const std::vector<LinkName> &kept) const;
    /// Removes the pin of what is no longer on any interface.
    void unpin_dead(const Attached &one) const;

private:
    Result<std::optional<Change>> adopt(const Target &target, const std::string &kind) const;
    Result<std::optional<Change>> adopt_link(const Target &target, const LinkName &name,
                                             const std::string &pin) const;
    Result<std::optional<Change>> adopt_filter(const Target &target, const LinkName &name,
                                               const std::string &pin) const;
    Result<Change> exchange(const Target &target, const Change &old, Attach attach) const;
    Result<Change> attach_new(const Target &target, Attach attach) const;
    Result<Change> attach_xdp(const Target &target, Attach attach) const;
    Result<Change> attach_tc(const Target &target) const;
    Change made(const Target &target, const LinkName &name, const std::string &how,
                const std::string &note) const;
    Result<void> create_link(const LinkName &name, int program_fd, int type, unsigned flags) const;
    void give_back_link(const LinkName &name, int program_fd, const std::string &pin) const;
    void give_back_filter(const LinkName &name, int program_fd, const std::string &pin) const;
    void take_off(const LinkName &name) const { take_off(name, pins_->link_path(name)); }
    void take_off(const LinkName &name, const std::string &pin) const;
    bool is_own_under_another_pin(const LinkName &name, const std::string &pin) const;
    int program_for(const Target &target, const std::string &kind) const;

    const PinDir *pins_;
    const Program *program_;
    std::uint64_t netns_;
    Tcx tcx_;
};

} // namespace tallygate::kernel
