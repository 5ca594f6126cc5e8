// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/hooks.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <vector>

#include "base/fd.hpp"
#include "base/log.hpp"
#include "kernel/clsact.hpp"
#include "kernel/tcx.hpp"

namespace tallygate::kernel {
namespace {

struct LinkFacts {
    std::uint32_t id = 0;
    std::uint32_t program_id = 0;
    int ifindex = 0; ///< 0 once the interface is gone, or the program was taken off
};

Result<LinkFacts> inspect_link(int fd)
{
    bpf_link_info info{};
    std::uint32_t size = sizeof(info);

    if (bpf_obj_get_info_by_fd(fd, &info, &size) != 0)
        return Error::system("inspect a pinned link");
    if (info.type != BPF_LINK_TYPE_XDP && info.type != link_type_tcx)
        return Error{"what is pinned is no link", EINVAL};
    // A tcx link says its interface in the same place as an XDP link.
    return LinkFacts{info.id, info.prog_id, static_cast<int>(info.xdp.ifindex)};
}

std::string program_name(std::uint32_t id)
{
    const Fd fd{bpf_prog_get_fd_by_id(id)};
    bpf_prog_info info{};
    std::uint32_t size = sizeof(info);

    return fd && bpf_obj_get_info_by_fd(fd.get(), &info, &size) == 0 ? info.name : "?";
}

bpf_xdp_query_opts query_xdp(int ifindex)
{
    bpf_xdp_query_opts query{};
    query.sz = sizeof(query);
    bpf_xdp_query(ifindex, 0, &query);
    return query;
}

/// Why an interface takes no XDP program of ours: whose is there, and what to do about it.
Error refuse_occupied(const Target &target)
{
    const auto id = query_xdp(target.ifindex).prog_id;
    const auto name = program_name(id);

    if (name.starts_with("gate_xdp"))
        return Error{
            target.interface + " is guarded by another tallygate, pinned elsewhere or by " +
                "another version: `tallygated detach --pin-dir ITS_DIRECTORY` takes it off",
            EBUSY};
    return Error{target.interface + " has an XDP program of somebody else's, '" + name + "' (id " +
                     std::to_string(id) + "): take it off, or set gate.attach = \"tc\"",
                 EBUSY};
}

bool is_filter(const LinkName &name)
{
    return name.kind.starts_with("clsact");
}

std::string how_of(const LinkName &name)
{
    if (name.kind == "xdp")
        return query_xdp(name.ifindex).attach_mode == XDP_ATTACHED_SKB ? "generic" : "native";
    return name.kind.substr(0, name.kind.find('_'));
}

/// What is not as good as it could be, for an attachment whose history we do not know.
std::string note_of(const std::string &how)
{
    if (how == "generic")
        return "generic XDP runs after the kernel has made a buffer: slower than native";
    return "";
}

std::string direction_of(Duty duty)
{
    return duty == Duty::ingress ? "ingress" : "egress";
}

bool satisfies(const Attached &one, Attach attach)
{
    switch (attach) {
    case Attach::automatic:
        return true;
    case Attach::native:
    case Attach::generic:
        return one.status.how == (attach == Attach::native ? "native" : "generic");
    case Attach::tc:
        return one.name.kind != "xdp";
    }
    return false;
}

/// The setting that gives what is attached so.
Attach attach_of(const std::string &how)
{
    if (how == "native")
        return Attach::native;
    return how == "generic" ? Attach::generic : Attach::tc;
}

Attached adopted(const Target &target, const LinkName &name)
{
    const auto how = how_of(name);
    return {name, {target.interface, direction_of(target.duty), how, note_of(how), true, true}};
}

/// Pins in the place of what may be there.
Result<void> pin_over(int fd, const std::string &path)
{
    ::unlink(path.c_str());
    if (bpf_obj_pin(fd, path.c_str()) != 0)
        return Error::system("pin " + path);
    return {};
}

} // namespace

int Hooks::program_for(const Target &target, const std::string &kind) const
{
    if (target.duty == Duty::egress)
        return program_->tc_egress_fd();
    if (target.duty == Duty::inside)
        return kind == "xdp" ? program_->xdp_inside_fd() : program_->tc_inside_fd();
    return kind == "xdp" ? program_->xdp_fd() : program_->tc_ingress_fd();
}

Result<Change> Hooks::put(const Target &target, Attach attach) const
{
    using Kinds = std::vector<const char *>;
    const auto kinds = target.duty == Duty::egress ? Kinds{"tcx_egress", "clsact_egress"}
                                                   : Kinds{"xdp", "tcx_ingress", "clsact_ingress"};

    for (const auto *kind : kinds) {
        auto found = adopt(target, kind);
        if (!found)
            return found.error();
        if (!*found)
            continue;
        if (target.duty == Duty::egress || satisfies((*found)->attached, attach))
            return **found;
        return exchange(target, **found, attach);
    }
    return attach_new(target, target.duty == Duty::egress ? Attach::tc : attach);
}

/// Nothing, if none of this kind lives. Pins of dead ones go.
Result<std::optional<Change>> Hooks::adopt(const Target &target, const std::string &kind) const
{
    const LinkName name{netns_, target.ifindex, kind};
    std::vector<std::string> pins{pins_->link_path(name)};
    for (auto &path : pins_->other_links())
        if (std::filesystem::path(path).filename() == name.text())
            pins.push_back(std::move(path));

    for (const auto &pin : pins) {
        if (::access(pin.c_str(), F_OK) != 0)
            continue;
        auto found =
            is_filter(name) ? adopt_filter(target, name, pin) : adopt_link(target, name, pin);
        if (!found || !*found) {
            if (!found)
                return found;
            continue;
        }
        if (pin != pins.front())
            spdlog::info("{} {}: took over what another layout had pinned as {}", target.interface,
                         (*found)->attached.status.direction, pin);
        return found;
    }
    return std::optional<Change>{};
}

/// Replaces the program of a link that lives, and moves its pin here.
Result<std::optional<Change>> Hooks::adopt_link(const Target &target, const LinkName &name,
                                                const std::string &pin) const
{
    const bool is_own = pin == pins_->link_path(name);
    const Fd link{bpf_obj_get(pin.c_str())};
    const auto facts = inspect_link(link.get());

    if (!facts || facts->ifindex != target.ifindex) {
        if (facts || is_own)
            ::unlink(pin.c_str());
        return std::optional<Change>{};
    }
    if (!is_own && !program_name(facts->program_id).starts_with("gate_"))
        return std::optional<Change>{};

    const auto before = std::make_shared<Fd>(bpf_prog_get_fd_by_id(facts->program_id));
    if (bpf_link_update(link.get(), program_for(target, name.kind), nullptr) != 0)
        return Error::system("replace the " + name.kind + " program of " + target.interface);
    if (!is_own) {
        if (const auto pinned = pin_over(link.get(), pins_->link_path(name)); !pinned) {
            bpf_link_update(link.get(), before->get(), nullptr);
            return pinned.error();
        }
        ::unlink(pin.c_str());
    }
    return std::optional{Change{adopted(target, name), [this, name, before, pin] {
                                    give_back_link(name, before->get(), pin);
                                }}};
}

void Hooks::give_back_link(const LinkName &name, int program_fd, const std::string &pin) const
{
    const auto own_pin = pins_->link_path(name);
    const Fd link{bpf_obj_get(own_pin.c_str())};

    if (bpf_link_update(link.get(), program_fd, nullptr) != 0) {
        spdlog::error("put back the program that was pinned as {}: {}", pin, strerror(errno));
        return;
    }
    if (pin == own_pin)
        return;
    if (const auto pinned = pin_over(link.get(), pin); !pinned)
        spdlog::error("{}", pinned.error().message);
    else
        ::unlink(own_pin.c_str());
}

/// Replaces a filter, which is ours by its handle and priority, and moves its pin here.
Result<std::optional<Change>> Hooks::adopt_filter(const Target &target, const LinkName &name,
                                                  const std::string &pin) const
{
    const auto own_pin = pins_->link_path(name);
    const auto before_id = clsact_program(name);
    const int program_fd = program_for(target, name.kind);

    if (before_id == 0) {
        ::unlink(pin.c_str());
        return std::optional<Change>{};
    }
    const auto before = std::make_shared<Fd>(bpf_prog_get_fd_by_id(before_id));
    if (const auto put = put_clsact(name, program_fd); !put)
        return put.error();
    auto undo = [this, name, before, pin] { give_back_filter(name, before->get(), pin); };
    if (const auto pinned = pin_over(program_fd, own_pin); !pinned) {
        undo();
        return pinned.error();
    }
    if (pin != own_pin)
        ::unlink(pin.c_str());
    return std::optional{Change{adopted(target, name), std::move(undo)}};
}

void Hooks::give_back_filter(const LinkName &name, int program_fd, const std::string &pin) const
{
    const auto own_pin = pins_->link_path(name);
    const auto put = put_clsact(name, program_fd);
    const auto pinned = put ? pin_over(program_fd, pin) : put;

    if (!pinned)
        spdlog::error("put back the program that was pinned as {}: {}", pin,
                      pinned.error().message);
    else if (pin != own_pin)
        ::unlink(own_pin.c_str());
}

/// Another way onto the card. If it cannot be had, the old one comes back.
Result<Change> Hooks::exchange(const Target &target, const Change &old, Attach attach) const
{
    const auto restore = [this, target, old] {
        const auto restored = attach_new(target, attach_of(old.attached.status.how));
        if (restored)
            old.undo();
        else
            spdlog::error("attach to {} again as it was: {}", target.interface,
                          restored.error().message);
    };

    spdlog::info("{}: taking off the {} program to attach as configured", target.interface,
                 old.attached.status.how);
    take_off(old.attached.name);
    auto done = attach_new(target, attach);
    if (!done) {
        restore();
        return done;
    }
    return Change{done->attached, [take_it_off = done->undo, restore] {
                      take_it_off();
                      restore();
                  }};
}

Change Hooks::made(const Target &target, const LinkName &name, const std::string &how,
                   const std::string &note) const
{
    return {{name, {target.interface, direction_of(target.duty), how, note, false, true}},
            [this, name] { take_off(name); }};
}

Result<Change> Hooks::attach_new(const Target &target, Attach attach) const
{
    if (attach == Attach::tc)
        return attach_tc(target);
    auto xdp = attach_xdp(target, attach);
    if (xdp || attach != Attach::automatic || xdp.error().code == EBUSY)
        return xdp;
    auto tc = attach_tc(target);
    if (tc)
        tc->attached.status.note = xdp.error().message;
    return tc;
}

Result<void> Hooks::create_link(const LinkName &name, int program_fd, int type,
                                unsigned flags) const
{
    bpf_link_create_opts options{};
    options.sz = sizeof(options);
    options.flags = flags;
    const Fd link{
        bpf_link_create(program_fd, name.ifindex, static_cast<bpf_attach_type>(type), &options)};

    if (!link)
        return Error::system("attach");
    return pin_over(link.get(), pins_->link_path(name));
}

Result<Change> Hooks::attach_xdp(const Target &target, Attach attach) const
{
    const LinkName name{netns_, target.ifindex, "xdp"};
    const int program_fd = program_for(target, name.kind);
    std::string note;

    if (attach != Attach::generic) {
        const auto native = create_link(name, program_fd, BPF_XDP, XDP_FLAGS_DRV_MODE);
        if (native)
            return made(target, name, "native", "");
        if (native.error().code == EBUSY || native.error().code == EEXIST)
            return refuse_occupied(target);
        if (attach == Attach::native)
            return Error{"native XDP on " + target.interface + ": " + native.error().message +
                             ": set gate.attach = \"auto\" to take the next best",
                         native.error().code};
        note = "native XDP refused: " + std::string(strerror(native.error().code)) + "; ";
    }

    const auto generic = create_link(name, program_fd, BPF_XDP, XDP_FLAGS_SKB_MODE);
    if (generic)
        return made(target, name, "generic", note + note_of("generic"));
    if (generic.error().code == EBUSY || generic.error().code == EEXIST)
        return refuse_occupied(target);
    return Error{"generic XDP on " + target.interface + ": " + generic.error().message,
                 generic.error().code};
}

Result<Change> Hooks::attach_tc(const Target &target) const
{
    const bool goes_out = target.duty == Duty::egress;
    const int type = goes_out ? attach_tcx_egress : attach_tcx_ingress;
    const LinkName tcx{netns_, target.ifindex, goes_out ? "tcx_egress" : "tcx_ingress"};
    const LinkName filter{netns_, target.ifindex, goes_out ? "clsact_egress" : "clsact_ingress"};
    const int program_fd = program_for(target, tcx.kind);

    if (tcx_ == Tcx::allowed && create_link(tcx, program_fd, type, 0))
        return made(target, tcx, "tcx", "");

    const auto put = put_clsact(filter, program_fd);
    if (!put)
        return put.error();
    if (const auto pinned = pin_over(program_fd, pins_->link_path(filter)); !pinned) {
        take_off(filter);
        return pinned.error();
    }
    return made(target, filter, "clsact", "no tcx here");
}

void Hooks::take_off(const LinkName &name, const std::string &pin) const
{
    if (is_filter(name)) {
        if (const auto removed = remove_clsact(name); !removed)
            spdlog::warn("{}", removed.error().message);
    } else {
        const Fd link{bpf_obj_get(pin.c_str())};
        if (link)
            bpf_link_detach(link.get());
    }
    ::unlink(pin.c_str());
}

/// A crash while a pin moves from one layout to another leaves one attachment with two pins.
bool Hooks::is_own_under_another_pin(const LinkName &name, const std::string &pin) const
{
    const Fd own{bpf_obj_get(pins_->link_path(name).c_str())};
    const Fd other{bpf_obj_get(pin.c_str())};
    const auto own_facts = inspect_link(own.get());
    const auto other_facts = inspect_link(other.get());

    if (is_filter(name))
        return true; // one handle, one filter
    return own_facts && other_facts && own_facts->id == other_facts->id;
}

void Hooks::take_off_all_but(const std::vector<LinkName> &kept) const
{
    std::vector<std::string> pins = pins_->other_links();
    for (const auto &text : list_directory(pins_->links_path()))
        pins.push_back(pins_->links_path() + "/" + text);

    for (const auto &pin : pins) {
        const auto name = LinkName::parse(std::filesystem::path(pin).filename());
        if (!name || name->netns != netns_)
            continue;
        const bool is_kept = std::any_of(
            kept.begin(), kept.end(), [&](const auto &one) { return one.text() == name->text(); });
        if (is_kept && pin == pins_->link_path(*name))
            continue;
        if (is_kept && is_own_under_another_pin(*name, pin)) {
            ::unlink(pin.c_str());
            continue;
        }
        std::array<char, IF_NAMESIZE> card{};
        if (::if_indextoname(static_cast<unsigned>(name->ifindex), card.data()) != nullptr)
            spdlog::info("{}: taking off the {} program, which is no longer configured",
                         card.data(), name->kind);
        take_off(*name, pin);
    }
}

bool Hooks::is_in_place(const Attached &one) const
{
    const auto pin = pins_->link_path(one.name);

    if (::access(pin.c_str(), F_OK) != 0)
        return false;
    if (is_filter(one.name))
        return clsact_program(one.name) != 0;
    const Fd link{bpf_obj_get(pin.c_str())};
    const auto facts = inspect_link(link.get());
    return facts && facts->ifindex == one.name.ifindex;
}

void Hooks::unpin_dead(const Attached &one) const
{
    if (!is_in_place(one))
        ::unlink(pins_->link_path(one.name).c_str());
}

} // namespace tallygate::kernel
