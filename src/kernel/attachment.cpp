// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/attachment.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/fd.hpp"
#include "base/log.hpp"
#include "kernel/clsact.hpp"
#include "kernel/tcx.hpp"

namespace tallygate::kernel {
namespace {

/// The index of the interface a pinned link is on; 0 once that interface is gone.
Result<int> link_ifindex(int link_fd)
{
    bpf_link_info info{};
    std::uint32_t size = sizeof(info);

    if (bpf_obj_get_info_by_fd(link_fd, &info, &size) != 0)
        return Error::system("inspect a pinned link");
    // A tcx link says its interface in the same place as an XDP link.
    return static_cast<int>(info.xdp.ifindex);
}

bpf_xdp_query_opts query_xdp(int ifindex)
{
    bpf_xdp_query_opts query{};
    query.sz = sizeof(query);
    bpf_xdp_query(ifindex, 0, &query);
    return query;
}

std::string xdp_mode(int ifindex)
{
    return query_xdp(ifindex).attach_mode == XDP_ATTACHED_SKB ? "generic" : "native";
}

/// Why an interface takes no XDP program of ours: whose is there, and what to do about it.
Error refuse_occupied(const std::string &interface, int ifindex)
{
    const auto id = query_xdp(ifindex).prog_id;
    const Fd fd{bpf_prog_get_fd_by_id(id)};
    bpf_prog_info info{};
    std::uint32_t size = sizeof(info);
    const bool known = fd && bpf_obj_get_info_by_fd(fd.get(), &info, &size) == 0;
    const std::string name = known ? info.name : "?";

    if (name == "gate_xdp")
        return Error{
            interface + " is guarded by another tallygate, pinned elsewhere or by " +
                "another version: `tallygated detach --pin-dir ITS_DIRECTORY` takes it off",
            EBUSY};
    return Error{interface + " has an XDP program of somebody else's, '" + name + "' (id " +
                     std::to_string(id) + "): take it off, or set gate.attach = \"tc\"",
                 EBUSY};
}

std::string how_of(const LinkName &name)
{
    if (name.kind == "xdp")
        return xdp_mode(name.ifindex);
    return name.kind.substr(0, name.kind.find('_'));
}

/// What is not as good as it could be, for an attachment whose history we do not know.
std::string note_of(const std::string &how)
{
    if (how == "generic")
        return "generic XDP runs after the kernel has made a buffer: slower than native";
    return "";
}

bool satisfies(const std::string &kind, const std::string &how, Attach attach)
{
    switch (attach) {
    case Attach::automatic:
        return true;
    case Attach::native:
    case Attach::generic:
        return how == (attach == Attach::native ? "native" : "generic");
    case Attach::tc:
        return kind != "xdp";
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

} // namespace

Result<Attachments> Attachments::open(const PinDir &pins, const Program &program, Tcx tcx)
{
    const auto netns = current_netns();
    if (!netns)
        return netns.error();
    // It is missing only if somebody removed it.
    if (::mkdir(pins.links_path().c_str(), 0700) != 0 && errno != EEXIST)
        return Error::system("make directory " + pins.links_path());
    return Attachments{pins, program, *netns, tcx};
}

std::string Attachments::pin_path(const LinkName &name) const
{
    return pins_->links_path() + "/" + name.text();
}

bool Attachments::is_pinned(const LinkName &name) const
{
    return ::access(pin_path(name).c_str(), F_OK) == 0;
}

int Attachments::program_for(const std::string &kind) const
{
    if (kind == "xdp")
        return program_->xdp_fd();
    return kind.ends_with("_egress") ? program_->tc_egress_fd() : program_->tc_ingress_fd();
}

void Attachments::take_off(const LinkName &name) const
{
    const auto path = pin_path(name);
    if (name.kind.starts_with("clsact")) {
        const auto removed = remove_clsact(name);
        if (!removed)
            spdlog::warn("{}", removed.error().message);
    } else {
        const Fd link{bpf_obj_get(path.c_str())};
        if (link)
            bpf_link_detach(link.get());
    }
    ::unlink(path.c_str());
}

/// Replaces the program of an attachment that is in place. An error means: there is none, or
/// none that lives, and its pin is gone.
Result<Attachments::Attached> Attachments::adopt(const Target &target,
                                                 const std::string &kind) const
{
    const LinkName name{netns_, target.ifindex, kind};
    const auto direction = kind.ends_with("_egress") ? "egress" : "ingress";

    if (!is_pinned(name))
        return Error{"not attached"};
    if (kind.starts_with("clsact")) {
        const auto put = put_clsact(name, program_for(kind));
        if (!put)
            return put.error();
        ::unlink(pin_path(name).c_str());
        if (bpf_obj_pin(program_for(kind), pin_path(name).c_str()) != 0)
            return Error::system("pin " + pin_path(name));
    } else {
        const Fd link{bpf_obj_get(pin_path(name).c_str())};
        const auto ifindex = link_ifindex(link.get());
        if (!ifindex || *ifindex != target.ifindex ||
            bpf_link_update(link.get(), program_for(kind), nullptr) != 0) {
            ::unlink(pin_path(name).c_str());
            return Error{"the pinned link is dead"};
        }
    }
    const auto how = how_of(name);
    return Attached{name, {target.interface, direction, how, note_of(how), true}, {}};
}

Result<void> Attachments::create_link(const LinkName &name, int program_fd, int type,
                                      unsigned flags) const
{
    bpf_link_create_opts options{};
    options.sz = sizeof(options);
    options.flags = flags;
    const Fd link{
        bpf_link_create(program_fd, name.ifindex, static_cast<bpf_attach_type>(type), &options)};

    if (!link)
        return Error::system("attach");
    if (bpf_obj_pin(link.get(), pin_path(name).c_str()) != 0)
        return Error::system("pin " + pin_path(name));
    return {};
}

Result<Attachments::Attached> Attachments::attach_xdp(const Target &target, Attach attach) const
{
    const LinkName name{netns_, target.ifindex, "xdp"};
    std::string note;

    if (attach != Attach::generic) {
        const auto native = create_link(name, program_->xdp_fd(), BPF_XDP, XDP_FLAGS_DRV_MODE);
        if (native)
            return Attached{name, {target.interface, "ingress", "native", "", false}, {}};
        if (native.error().code == EBUSY || native.error().code == EEXIST)
            return refuse_occupied(target.interface, target.ifindex);
        if (attach == Attach::native)
            return Error{"native XDP on " + target.interface + ": " + native.error().message +
                             ": set gate.attach = \"auto\" to take the next best",
                         native.error().code};
        note = "native XDP refused: " + std::string(strerror(native.error().code)) + "; ";
    }

    const auto generic = create_link(name, program_->xdp_fd(), BPF_XDP, XDP_FLAGS_SKB_MODE);
    if (generic)
        return Attached{
            name, {target.interface, "ingress", "generic", note + note_of("generic"), false}, {}};
    if (generic.error().code == EBUSY || generic.error().code == EEXIST)
        return refuse_occupied(target.interface, target.ifindex);
    return Error{"generic XDP on " + target.interface + ": " + generic.error().message,
                 generic.error().code};
}

Result<Attachments::Attached> Attachments::attach_tc(const Target &target,
                                                     const std::string &direction) const
{
    const int type = direction == "egress" ? attach_tcx_egress : attach_tcx_ingress;
    const LinkName tcx{netns_, target.ifindex, "tcx_" + direction};
    const LinkName clsact{netns_, target.ifindex, "clsact_" + direction};

    if (tcx_ == Tcx::allowed && create_link(tcx, program_for(tcx.kind), type, 0))
        return Attached{tcx, {target.interface, direction, "tcx", "", false}, {}};

    const auto put = put_clsact(clsact, program_for(clsact.kind));
    if (!put)
        return Error{put.error().message + " (" + target.interface + ")", put.error().code};
    if (bpf_obj_pin(program_for(clsact.kind), pin_path(clsact).c_str()) != 0) {
        const auto error = Error::system("pin " + pin_path(clsact));
        take_off(clsact);
        return error;
    }
    return Attached{clsact, {target.interface, direction, "clsact", "no tcx here", false}, {}};
}

Result<Attachments::Attached> Attachments::attach_ingress(const Target &target, Attach attach) const
{
    for (const char *kind : {"xdp", "tcx_ingress", "clsact_ingress"}) {
        auto adopted = adopt(target, kind);
        if (!adopted)
            continue;
        if (satisfies(kind, adopted->status.how, attach))
            return adopted;
        return exchange_ingress(target, *adopted, attach);
    }
    return attach_new_ingress(target, attach);
}

/// Another way onto the card. If it cannot be had, the old one comes back.
Result<Attachments::Attached>
Attachments::exchange_ingress(const Target &target, const Attached &old, Attach attach) const
{
    spdlog::info("{}: taking off the {} program to attach as configured", target.interface,
                 old.status.how);
    take_off(old.name);
    auto attached = attach_new_ingress(target, attach);
    if (attached)
        attached->replaced = attach_of(old.status.how);
    else
        restore_ingress(target, attach_of(old.status.how));
    return attached;
}

void Attachments::restore_ingress(const Target &target, Attach attach) const
{
    const auto restored = attach_new_ingress(target, attach);
    if (!restored)
        spdlog::error("attach to {} again as it was: {}", target.interface,
                      restored.error().message);
}

Result<Attachments::Attached> Attachments::attach_new_ingress(const Target &target,
                                                              Attach attach) const
{
    if (attach == Attach::tc)
        return attach_tc(target, "ingress");
    auto xdp = attach_xdp(target, attach);
    if (xdp || attach != Attach::automatic || xdp.error().code == EBUSY)
        return xdp;
    auto tc = attach_tc(target, "ingress");
    if (tc)
        tc->status.note = xdp.error().message;
    return tc;
}

Result<Attachments::Attached> Attachments::attach_egress(const Target &target) const
{
    for (const char *kind : {"tcx_egress", "clsact_egress"}) {
        auto adopted = adopt(target, kind);
        if (adopted)
            return adopted;
    }
    return attach_tc(target, "egress");
}

void Attachments::take_off_unwanted() const
{
    for (const auto &text : list_directory(pins_->links_path())) {
        const auto name = LinkName::parse(text);
        if (!name || name->netns != netns_)
            continue;
        const bool wanted = std::any_of(attached_.begin(), attached_.end(),
                                        [&](const auto &one) { return one.name.text() == text; });
        if (wanted)
            continue;
        spdlog::info("interface {} is no longer configured: taking off its {} program",
                     name->ifindex, name->kind);
        take_off(*name);
    }
}

Result<void> Attachments::apply(const std::vector<std::string> &interfaces, Attach attach)
{
    std::vector<Attached> now;
    const auto keep = [&now](Result<Attached> attached) -> Result<void> {
        if (!attached)
            return attached.error();
        now.push_back(std::move(*attached));
        return {};
    };
    const auto give_up = [&](const Error &error) {
        for (const auto &one : now) {
            if (!one.status.adopted)
                take_off(one.name);
            if (one.replaced)
                restore_ingress({one.status.interface, one.name.ifindex}, *one.replaced);
        }
        return error;
    };

    for (const auto &interface : interfaces) {
        const Target target{interface, static_cast<int>(::if_nametoindex(interface.c_str()))};
        if (target.ifindex == 0)
            return give_up(Error{"interface " + interface + " does not exist", ENODEV});
        if (const auto in = keep(attach_ingress(target, attach)); !in)
            return give_up(in.error());
        if (const auto out = keep(attach_egress(target)); !out)
            return give_up(out.error());
    }
    attached_ = std::move(now);
    take_off_unwanted();
    return {};
}

/// Empty if the attachment is what it was.
std::string Attachments::problem_of(const Attached &one) const
{
    const auto what = one.status.interface + " " + one.status.direction;

    if (!is_pinned(one.name))
        return what + ": our program was detached; restart tallygated to attach";
    if (one.name.kind.starts_with("clsact")) {
        if (has_clsact(one.name))
            return "";
        return what + ": the interface is gone, or our filter was removed from it; " +
               "`tallygate reload` attaches again";
    }
    const Fd link{bpf_obj_get(pin_path(one.name).c_str())};
    const auto ifindex = link_ifindex(link.get());
    if (ifindex && *ifindex == one.name.ifindex)
        return "";
    return what + ": the interface is gone, or our program was taken off it; " +
           "`tallygate reload` attaches again";
}

std::vector<core::AttachmentStatus> Attachments::status() const
{
    std::vector<core::AttachmentStatus> all;
    for (const auto &one : attached_) {
        all.push_back(one.status);
        all.back().in_place = problem_of(one).empty();
    }
    return all;
}

std::vector<std::string> Attachments::problems() const
{
    std::vector<std::string> sentences;
    for (const auto &one : attached_)
        if (auto problem = problem_of(one); !problem.empty())
            sentences.push_back(std::move(problem));
    return sentences;
}

} // namespace tallygate::kernel
