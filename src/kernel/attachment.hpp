// SPDX-License-Identifier: BSD-2-Clause
//
// Programs on interfaces. Each attachment is pinned, so it stays when the daemon ends, and the
// next daemon replaces the program through it: no packet goes by unseen, and the card, which
// may lose its link for seconds when XDP comes or goes, notices nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "core/seams.hpp"
#include "kernel/options.hpp"
#include "kernel/pins.hpp"
#include "kernel/program.hpp"

namespace tallygate::kernel {

/// Both hooks on all interfaces of one network namespace. Borrows the pins and the program.
class Attachments {
public:
    /// Which ways onto tc exist is probed by trying. Tests can take tcx away.
    enum class Tcx : std::uint8_t { allowed, denied };

    static Result<Attachments> open(const PinDir &pins, const Program &program,
                                    Tcx tcx = Tcx::allowed);

    /// Makes the attachments be exactly these interfaces: adopts what is in place, attaches
    /// what is missing, and then takes our programs off interfaces that are not named. After
    /// an error, what this call had newly attached is off again, and what it had taken off to
    /// attach in another way is on again.
    Result<void> apply(const std::vector<std::string> &interfaces, Attach attach);

    /// As it is at this moment: looks at every attachment.
    std::vector<core::AttachmentStatus> status() const;
    bool empty() const { return attached_.empty(); }
    /// A sentence for each attachment that is no longer what it was.
    std::vector<std::string> problems() const;

private:
    struct Attached {
        LinkName name;
        core::AttachmentStatus status;
        std::optional<Attach> replaced; ///< the other way in which it was attached before
    };

    Attachments(const PinDir &pins, const Program &program, std::uint64_t netns, Tcx tcx)
        : pins_(&pins), program_(&program), netns_(netns), tcx_(tcx)
    {
    }

    struct Target {
        std::string interface;
        int ifindex;
    };

    std::string problem_of(const Attached &one) const;
    Result<Attached> attach_ingress(const Target &target, Attach attach) const;
    Result<Attached> attach_new_ingress(const Target &target, Attach attach) const;
    Result<Attached> exchange_ingress(const Target &target, const Attached &old,
                                      Attach attach) const;
    void restore_ingress(const Target &target, Attach attach) const;
    Result<Attached> attach_egress(const Target &target) const;
    Result<Attached> attach_xdp(const Target &target, Attach attach) const;
    Result<Attached> attach_tc(const Target &target, const std::string &direction) const;
    Result<Attached> adopt(const Target &target, const std::string &kind) const;
    Result<void> create_link(const LinkName &name, int program_fd, int type, unsigned flags) const;
    std::string pin_path(const LinkName &name) const;
    int program_for(const std::string &kind) const;
    bool is_pinned(const LinkName &name) const;
    void take_off(const LinkName &name) const;
    void take_off_unwanted() const;

    const PinDir *pins_;
    const Program *program_;
    std::uint64_t netns_;
    Tcx tcx_;
    std::vector<Attached> attached_;
};

} // namespace tallygate::kernel
