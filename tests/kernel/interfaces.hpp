// SPDX-License-Identifier: BSD-2-Clause
//
// What tests of attachments stand on: veth pairs in a network namespace of the test's own. What
// is where is asked of the kernel, and not of the class under test.
#pragma once

#include <bpf/libbpf.h>
#include <gmock/gmock.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <spdlog/sinks/ostream_sink.h>

#include <optional>
#include <sstream>

#include "base/log.hpp"
#include "kernel/attachment.hpp"
#include "kernel/sandbox.hpp"

namespace tallygate::test {

using kernel::Attach;
using kernel::Attachments;
using kernel::Program;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Tcx = Attachments::Tcx;

// "lo" of the test's namespace is an interface whose driver has no native XDP.
inline constexpr int tcx_ingress = 46;
inline constexpr int tcx_egress = 47;

inline int index_of(const std::string &interface)
{
    return static_cast<int>(::if_nametoindex(interface.c_str()));
}

/// The XDP program on an interface; 0: none.
inline std::uint32_t xdp_program(const std::string &interface)
{
    std::uint32_t id = 0;
    bpf_xdp_query_id(index_of(interface), 0, &id);
    return id;
}

inline std::vector<std::uint32_t> tcx_programs(const std::string &interface, int direction)
{
    std::vector<std::uint32_t> ids(8);
    auto count = static_cast<std::uint32_t>(ids.size());
    if (bpf_prog_query(index_of(interface), static_cast<bpf_attach_type>(direction), 0, nullptr,
                       ids.data(), &count) != 0)
        count = 0;
    ids.resize(count);
    return ids;
}

/// Our filter on clsact; 0: none.
inline std::uint32_t clsact_program(const std::string &interface, bpf_tc_attach_point direction)
{
    bpf_tc_hook hook{};
    hook.sz = sizeof(hook);
    hook.ifindex = index_of(interface);
    hook.attach_point = direction;
    bpf_tc_opts filter{};
    filter.sz = sizeof(filter);
    filter.handle = 0x7467;
    filter.priority = 0x7467;
    return bpf_tc_query(&hook, &filter) == 0 ? filter.prog_id : 0;
}

inline std::uint32_t program_id(int fd)
{
    bpf_prog_info info{};
    std::uint32_t size = sizeof(info);
    EXPECT_EQ(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
    return info.id;
}

inline bool has_tcx()
{
    const OwnNetwork network;
    std::uint32_t count = 0;
    return bpf_prog_query(1, static_cast<bpf_attach_type>(tcx_ingress), 0, nullptr, nullptr,
                          &count) == 0;
}

/// Each row: "<interface> <direction> <how>[ adopted]".
inline std::vector<std::string> rows(const Attachments &attachments)
{
    std::vector<std::string> texts;
    for (const auto &one : attachments.status())
        texts.push_back(one.interface + " " + one.direction + " " + one.how +
                        (one.adopted ? " adopted" : ""));
    return texts;
}

/// What is logged while this lives, instead of being printed.
class LogLines {
public:
    LogLines() : before_(spdlog::default_logger())
    {
        auto logger = std::make_shared<spdlog::logger>(
            "lines", std::make_shared<spdlog::sinks::ostream_sink_st>(text_));
        logger->set_pattern("%l: %v");
        spdlog::set_default_logger(std::move(logger));
    }
    LogLines(const LogLines &) = delete;
    ~LogLines() { spdlog::set_default_logger(before_); }

    /// Those since the last call.
    std::vector<std::string> take()
    {
        std::vector<std::string> lines;
        std::istringstream text{text_.str()};
        for (std::string line; std::getline(text, line);)
            lines.push_back(line);
        text_.str("");
        return lines;
    }

private:
    std::ostringstream text_;
    std::shared_ptr<spdlog::logger> before_;
};

class OnInterfaces : public PinTest {
protected:
    void SetUp() override
    {
        if (!has_tcx())
            GTEST_SKIP() << "this kernel has no tcx";
        kernel::capture_libbpf_log();
        run("ip link add tg0 type veth peer name tg0peer");
        run("ip link add tg1 type veth peer name tg1peer");
        start_daemon();
    }

    /// Another daemon over the same pins, perhaps of another layout: the last one has ended.
    void start_daemon(Tcx tcx = Tcx::allowed, unsigned layout = TG_ABI_VERSION)
    {
        attachments_.reset();
        program_.reset();
        pins_.reset();
        pins_.emplace(must(kernel::PinDir::lock(pin_dir(), layout)));
        program_.emplace(must(Program::load(*pins_, small_sizes())));
        if (!pins_->has_layout())
            publish_maps(*pins_, *program_);
        attachments_.emplace(must(Attachments::open(*pins_, *program_, tcx)));
    }

    Result<void> apply(const std::vector<std::string> &interfaces,
                       Attach attach = Attach::automatic)
    {
        return attachments_->apply({interfaces, {}, attach});
    }

    Result<void> apply_gateway(const std::vector<std::string> &outside,
                               const std::vector<std::string> &inside,
                               Attach attach = Attach::automatic)
    {
        return attachments_->apply({outside, inside, attach});
    }

    std::vector<std::string> links() const { return kernel::list_directory(pins_->links_path()); }

    std::string link_path(const std::string &interface, const std::string &kind) const
    {
        const kernel::LinkName name{must(kernel::current_netns()), index_of(interface), kind};
        return pins_->links_path() + "/" + name.text();
    }

    std::uint32_t link_id(const std::string &interface, const std::string &kind) const
    {
        const Fd fd{bpf_obj_get(link_path(interface, kind).c_str())};
        bpf_link_info info{};
        std::uint32_t size = sizeof(info);
        EXPECT_EQ(bpf_obj_get_info_by_fd(fd.get(), &info, &size), 0) << kind;
        return info.id;
    }

    void expect_nothing_on(const std::string &interface) const
    {
        EXPECT_EQ(xdp_program(interface), 0U) << interface;
        expect_nothing_on_tc(interface);
    }

    void expect_nothing_on_tc(const std::string &interface) const
    {
        EXPECT_THAT(tcx_programs(interface, tcx_ingress), IsEmpty()) << interface;
        EXPECT_THAT(tcx_programs(interface, tcx_egress), IsEmpty()) << interface;
        EXPECT_EQ(clsact_program(interface, BPF_TC_INGRESS), 0U) << interface;
        EXPECT_EQ(clsact_program(interface, BPF_TC_EGRESS), 0U) << interface;
    }

    OwnNetwork network_;
    std::optional<kernel::PinDir> pins_;
    std::optional<Program> program_;
    std::optional<Attachments> attachments_;
};

/// A process in a network namespace of its own, with an interface, until it is destroyed.
class NamedNetwork {
public:
    NamedNetwork() : name_(own_name("net")) { run("ip netns add " + name_); }
    NamedNetwork(const NamedNetwork &) = delete;
    ~NamedNetwork() { run("ip netns delete " + name_); }

    /// Runs `act` inside.
    template <typename Act>
    void visit(Act act) const
    {
        const Fd home{::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)};
        const Fd there{::open(("/run/netns/" + name_).c_str(), O_RDONLY | O_CLOEXEC)};
        ASSERT_EQ(::setns(there.get(), CLONE_NEWNET), 0);
        act();
        ASSERT_EQ(::setns(home.get(), CLONE_NEWNET), 0);
    }

private:
    std::string name_;
};

} // namespace tallygate::test
