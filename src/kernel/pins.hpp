// SPDX-License-Identifier: BSD-2-Clause
//
// The pin directory: what outlives the daemon, and how a daemon finds it again.
//
//     <pin_dir>/v<layout>/<map>                               every map, by its name
//     <pin_dir>/v<layout>/links/<netns>-<ifindex>-<kind>      every attachment
//
// <netns> is the inode of the network namespace: an interface's index is unique only there.
// <kind> is "xdp", "tcx_ingress", "tcx_egress" (pinned links), or "clsact_ingress",
// "clsact_egress" (pinned programs of filters, which have no link): where in the stack a program
// is, and not which program. While `tallygated detach` works on a layout's directory, and until
// the next daemon opens it, there is a directory "detaching" in it.
#pragma once

#include <tallygate/abi.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace tallygate::kernel {

/// What a file under links/ is about.
struct LinkName {
    std::uint64_t netns = 0;
    int ifindex = 0;
    std::string kind;

    std::string text() const;
    static Result<LinkName> parse(const std::string &text);
};

/// The pin directory, locked against a second daemon for as long as this lives.
class PinDir {
public:
    /// Makes the directory if needed. Errors: not a BPF file system, no permission, a daemon
    /// that holds it. Tests play a daemon of another layout.
    static Result<PinDir> lock(const std::string &path, unsigned layout = TG_ABI_VERSION);

    const std::string &path() const { return path_; }
    std::string layout_path() const;
    std::string links_path() const { return layout_path() + "/links"; }
    std::string map_path(const std::string &map) const { return layout_path() + "/" + map; }
    std::string link_path(const LinkName &name) const { return links_path() + "/" + name.text(); }
    bool has_layout() const;

    /// Pins `maps` (name, descriptor) so that either all of them are there or none: they are
    /// pinned beside the layout's directory, which then takes its name.
    Result<void> publish(const std::vector<std::pair<std::string, int>> &maps) const;

    /// Takes back what publish() did, for a start that failed and was the first. The links must
    /// be off by then.
    Result<void> unpublish() const;

    /// Directories of other layouts, which a daemon of another version left.
    std::vector<std::string> other_layouts() const;
    /// And what they have pinned under links/, as whole paths.
    std::vector<std::string> other_links() const;

    /// Makes links/ if somebody removed it, and ends what a `tallygated detach` has begun.
    Result<void> open_links() const;
    /// Whether `tallygated detach` has taken, or is about to take, everything off.
    bool is_detached() const;

private:
    PinDir(std::string path, std::string layout, Fd lock)
        : path_(std::move(path)), layout_(std::move(layout)), lock_(std::move(lock))
    {
    }

    std::string path_;
    std::string layout_; ///< "v2"
    Fd lock_;
};

/// The number of the network namespace that this process is in.
Result<std::uint64_t> current_netns();

/// The names in a directory, in order; empty if there is no such directory.
std::vector<std::string> list_directory(const std::string &path);

/// Detaches and removes everything below `pin_dir`, of every layout, and says line by line what
/// it did. Needs no daemon, no configuration and no particular network namespace.
Result<std::vector<std::string>> detach_all(const std::string &pin_dir);

} // namespace tallygate::kernel
