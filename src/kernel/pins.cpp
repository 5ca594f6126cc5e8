// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/pins.hpp"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <tallygate/abi.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "kernel/clsact.hpp"
#include "kernel/tcx.hpp"

namespace tallygate::kernel {
namespace {

namespace fs = std::filesystem;

constexpr auto detaching = "/detaching";

/// "v1", or "v1-new" which a crash left behind.
bool is_layout_name(const std::string &name)
{
    const auto digits_end = std::find_if_not(name.begin() + (name.empty() ? 0 : 1), name.end(),
                                             [](char c) { return c >= '0' && c <= '9'; });
    const std::string rest{digits_end, name.end()};
    return name.size() > 1 && name.front() == 'v' && digits_end > name.begin() + 1 &&
           (rest.empty() || rest == "-new");
}

/// The file system decides by the nearest directory that exists.
Result<void> check_bpffs(const std::string &path)
{
    fs::path existing{path};
    std::error_code ignored;
    struct statfs info {};

    while (!fs::exists(existing, ignored) && existing.has_relative_path())
        existing = existing.parent_path();
    if (::statfs(existing.c_str(), &info) != 0)
        return Error::system("look at " + existing.string());
    if (info.f_type != BPF_FS_MAGIC)
        return Error{path + " is not on a BPF file system: mount one with " +
                     "`mount -t bpf bpf /sys/fs/bpf`"};
    return {};
}

Result<void> make_directory(const std::string &path)
{
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
        return Error::system("make directory " + path);
    return {};
}

/// Removes a directory of pins, one level of subdirectories deep.
Result<void> remove_pins(const std::string &path)
{
    for (const auto &name : list_directory(path)) {
        const auto entry = path + "/" + name;
        if (::unlink(entry.c_str()) == 0)
            continue;
        if (errno != EISDIR && errno != EPERM)
            return Error::system("remove " + entry);
        const auto removed = remove_pins(entry);
        if (!removed)
            return removed;
    }
    if (::rmdir(path.c_str()) != 0)
        return Error::system("remove " + path);
    return {};
}

bool is_link(int fd)
{
    bpf_link_info info{};
    std::uint32_t size = sizeof(info);
    // A map or a program answers too, with what does not fit a link's type and interface.
    return bpf_obj_get_info_by_fd(fd, &info, &size) == 0 &&
           (info.type == BPF_LINK_TYPE_XDP || info.type == link_type_tcx);
}

/// Takes one attachment off its interface. A link's end of life is forced: a daemon that still
/// holds it open would otherwise keep it.
Result<std::string> detach_one(const std::string &path, const std::string &name)
{
    const auto link = LinkName::parse(name);
    if (!link)
        return link.error();

    const auto what = link->kind + " program from interface " + std::to_string(link->ifindex) +
                      " of network namespace " + std::to_string(link->netns);
    if (link->kind.starts_with("clsact")) {
        const auto removed = remove_clsact(*link);
        if (!removed)
            return removed.error();
    } else {
        const Fd fd{bpf_obj_get(path.c_str())};
        if (!fd)
            return Error::system("open " + path);
        if (!is_link(fd.get()))
            return Error{path + " is no link: left alone"};
        if (bpf_link_detach(fd.get()) != 0 && errno != ENOLINK)
            return Error::system("detach the " + what);
    }
    if (::unlink(path.c_str()) != 0)
        return Error::system("remove " + path);
    return "detached the " + what;
}

} // namespace

Result<PinDir> PinDir::lock(const std::string &path, unsigned layout)
{
    const auto checked = check_bpffs(path);
    if (!checked)
        return checked.error();
    const auto made = make_directory(path);
    if (!made)
        return made.error();

    Fd directory{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!directory)
        return Error::system("open " + path);
    if (::flock(directory.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            return Error{"another tallygated holds " + path +
                         ": stop it, or give this one a gate.pin_dir of its own"};
        return Error::system("lock " + path);
    }
    return PinDir{path, "v" + std::to_string(layout), std::move(directory)};
}

std::string PinDir::layout_path() const
{
    return path_ + "/" + layout_;
}

bool PinDir::has_layout() const
{
    std::error_code ignored;
    return fs::is_directory(layout_path(), ignored);
}

Result<void> PinDir::publish(const std::vector<std::pair<std::string, int>> &maps) const
{
    const auto unfinished = layout_path() + "-new";
    if (!list_directory(unfinished).empty()) {
        const auto removed = remove_pins(unfinished);
        if (!removed)
            return removed;
    }
    for (const auto &directory : {unfinished, unfinished + "/links"}) {
        const auto made = make_directory(directory);
        if (!made)
            return made;
    }
    for (const auto &[name, fd] : maps)
        if (bpf_obj_pin(fd, (unfinished + "/" + name).c_str()) != 0)
            return Error::system("pin map " + name + " in " + unfinished);
    if (::rename(unfinished.c_str(), layout_path().c_str()) != 0)
        return Error::system("rename " + unfinished);
    return {};
}

Result<void> PinDir::unpublish() const
{
    return remove_pins(layout_path());
}

std::vector<std::string> PinDir::other_layouts() const
{
    auto names = list_directory(path_);
    std::erase_if(names, [this](const auto &name) {
        return !is_layout_name(name) || name == layout_ || name == layout_ + "-new";
    });
    return names;
}

std::vector<std::string> PinDir::other_links() const
{
    std::vector<std::string> paths;
    for (const auto &layout : other_layouts()) {
        const auto directory = path_ + "/" + layout + "/links";
        for (const auto &name : list_directory(directory))
            paths.push_back(directory + "/" + name);
    }
    return paths;
}

Result<void> PinDir::open_links() const
{
    ::rmdir((layout_path() + detaching).c_str());
    return make_directory(links_path());
}

bool PinDir::is_detached() const
{
    std::error_code ignored;
    return !has_layout() || fs::exists(layout_path() + detaching, ignored);
}

Result<std::uint64_t> current_netns()
{
    struct stat info {};
    if (::stat("/proc/thread-self/ns/net", &info) != 0)
        return Error::system("look at the network namespace of this process");
    return std::uint64_t{info.st_ino};
}

std::string LinkName::text() const
{
    return std::to_string(netns) + "-" + std::to_string(ifindex) + "-" + kind;
}

Result<LinkName> LinkName::parse(const std::string &text)
{
    LinkName name;
    const char *const end = text.data() + text.size();
    const auto [after_netns, netns_error] = std::from_chars(text.data(), end, name.netns);
    if (netns_error == std::errc{} && after_netns != end && *after_netns == '-') {
        const auto [after_index, index_error] = std::from_chars(after_netns + 1, end, name.ifindex);
        if (index_error == std::errc{} && after_index != end && *after_index == '-')
            name.kind.assign(after_index + 1, end);
        if (!name.kind.empty())
            return name;
    }
    return Error{"'" + text + "' is not the name of a pinned attachment"};
}

std::vector<std::string> list_directory(const std::string &path)
{
    std::vector<std::string> names;
    std::error_code ignored;
    for (const auto &entry : fs::directory_iterator(path, ignored))
        names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
}

Result<std::vector<std::string>> detach_all(const std::string &pin_dir)
{
    std::vector<std::string> done;
    std::string problems;
    const auto checked = check_bpffs(pin_dir);
    if (!checked)
        return checked.error();
    if (::access(pin_dir.c_str(), R_OK | X_OK) != 0 && errno != ENOENT)
        return Error::system("open " + pin_dir);

    auto layouts = list_directory(pin_dir);
    std::erase_if(layouts, [](const auto &name) { return !is_layout_name(name); });
    // A daemon that runs would attach again what it misses.
    for (const auto &layout : layouts)
        ::mkdir((pin_dir + "/" + layout + detaching).c_str(), 0700);
    for (const auto &layout : layouts) {
        const auto path = pin_dir + "/" + layout;
        for (const auto &name : list_directory(path + "/links")) {
            const auto detached = detach_one(path + "/links/" + name, name);
            // The way out goes on past what it cannot remove: the next link may be the one.
            if (detached)
                done.push_back(*detached);
            else
                problems += (problems.empty() ? "" : "; ") + detached.error().message;
        }
        if (!problems.empty())
            continue;
        const auto removed = remove_pins(path);
        if (!removed)
            return removed.error();
        done.push_back("removed the maps in " + path);
    }
    if (!problems.empty())
        return Error{problems + (done.empty() ? "" : "; all else is detached")};
    // Gone if it is empty and ours alone; anything else in there stays, with the directory.
    if (!done.empty())
        ::rmdir(pin_dir.c_str());
    return done;
}

} // namespace tallygate::kernel
