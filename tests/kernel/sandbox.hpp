// SPDX-License-Identifier: BSD-2-Clause
//
// What the tests of src/kernel/ stand on: pin directories and network namespaces of their own,
// and packets through programs that were loaded. No interface of the host is touched. Names
// carry the process id, so that two runs do not meet and a run removes what a killed one left.
#pragma once

#include <bpf/bpf.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <sched.h>
#include <signal.h>
#include <tallygate/abi.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.hpp"
#include "kernel/conversation.hpp"
#include "kernel/convert.hpp"
#include "kernel/networks.hpp"
#include "kernel/options.hpp"
#include "kernel/pins.hpp"
#include "kernel/program.hpp"

namespace tallygate::test {

inline const std::string bpffs = "/sys/fs/bpf";
inline const std::string unit_prefix = "tgunit-";

inline std::string own_name(const std::string &what)
{
    return unit_prefix + std::to_string(::getpid()) + "-" + what;
}

/// Whether this names something of a test run whose process is gone.
inline bool is_leftover(const std::string &name)
{
    pid_t owner = 0;
    if (!name.starts_with(unit_prefix))
        return false;
    std::from_chars(name.data() + unit_prefix.size(), name.data() + name.size(), owner);
    return owner > 0 && ::kill(owner, 0) != 0 && errno == ESRCH;
}

/// Runs a command in the namespace of this thread.
inline void run(const std::string &command)
{
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
}

inline void remove_leftovers()
{
    std::error_code ignored;
    for (const auto &name : kernel::list_directory(bpffs))
        if (is_leftover(name))
            std::filesystem::remove_all(bpffs + "/" + name, ignored);
    for (const auto &name : kernel::list_directory("/run/netns"))
        if (is_leftover(name))
            run("ip netns delete " + name);
}

/// The value, or the test's failure in the words of the error.
template <typename T>
T must(Result<T> result)
{
    if (!result)
        throw std::runtime_error(result.error().message);
    return std::move(*result);
}

inline void must(const Result<void> &result)
{
    if (!result)
        throw std::runtime_error(result.error().message);
}

template <typename T>
std::string message_of(const Result<T> &result)
{
    return result ? "no error" : result.error().message;
}

inline Block block(const std::string &text)
{
    return must(Block::parse(text));
}

inline Address address(const std::string &text)
{
    return must(Address::parse(text));
}

inline Endpoint endpoint(const std::string &text)
{
    return must(Endpoint::parse(text));
}

/// Small tables: made in no time, and filled in no time.
inline kernel::TableSizes small_sizes()
{
    return {.sources_max = 64,
            .claims_max = 1024,
            .rates_max = 256,
            .lists_max = 64,
            .ipv6_prefixes_max = 256,
            .flows_max = 256,
            .pending_max = 1024,
            .networks_max = 16,
            .ipv6_source_bits = 64};
}

/// Somebody else's XDP program, which passes everything.
inline Fd load_stranger()
{
    bpf_insn pass{};
    pass.code = BPF_ALU64 | BPF_MOV | BPF_K; // r0 = XDP_PASS
    pass.imm = XDP_PASS;
    bpf_insn exit{};
    exit.code = BPF_JMP | BPF_EXIT;
    const bpf_insn instructions[] = {pass, exit};
    Fd fd{bpf_prog_load(BPF_PROG_TYPE_XDP, "stranger", "GPL", instructions, 2, nullptr)};
    EXPECT_TRUE(fd);
    return fd;
}

/// This thread in an empty network namespace of its own, which ends with it.
class OwnNetwork {
public:
    OwnNetwork() : home_(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC))
    {
        if (::unshare(CLONE_NEWNET) != 0)
            throw std::runtime_error("make a network namespace: are we root?");
    }
    OwnNetwork(const OwnNetwork &) = delete;
    ~OwnNetwork() { ::setns(home_.get(), CLONE_NEWNET); }

private:
    Fd home_;
};

/// A pin directory of the test's own, removed with all that is attached through it.
class PinTest : public testing::Test {
protected:
    PinTest() { remove_leftovers(); }
    ~PinTest() override
    {
        std::error_code ignored;
        (void)kernel::detach_all(pin_dir_);
        std::filesystem::remove_all(pin_dir_, ignored);
    }

    const std::string &pin_dir() const { return pin_dir_; }

private:
    std::string pin_dir_ = bpffs + "/" + own_name("pins");
};

/// Pins every map, as a first start does.
inline void publish_maps(const kernel::PinDir &pins, const kernel::Program &program)
{
    must(pins.publish(program.maps()));
}

/// The programs with tables of their own, attached to nothing, and packets through them.
class ProgramTest : public PinTest {
protected:
    void SetUp() override
    {
        pins_ = std::make_unique<kernel::PinDir>(must(kernel::PinDir::lock(pin_dir())));
        program_ = std::make_unique<kernel::Program>(must(kernel::Program::load(*pins_, sizes())));
    }

    /// For tests of other sizes, to override.
    virtual kernel::TableSizes sizes() const { return small_sizes(); }

    const kernel::PinDir &pins() const { return *pins_; }
    const kernel::Program &program() const { return *program_; }

    template <typename Key, typename Value>
    void put(const char *map, const Key &key, const Value &value) const
    {
        ASSERT_EQ(bpf_map_update_elem(program_->map_fd(map), &key, &value, BPF_ANY), 0) << map;
    }

    template <typename Value, typename Key>
    Value get(const char *map, const Key &key) const
    {
        Value value{};
        EXPECT_EQ(bpf_map_lookup_elem(program_->map_fd(map), &key, &value), 0) << map;
        return value;
    }

    /// Where a source has its claim: bucket * TG_BUCKET_WAYS + way; none if it has none.
    std::optional<std::uint32_t> find_claim(const std::string &source,
                                            std::uint16_t service = 1) const
    {
        const auto wanted = must(Address::parse(source));
        for (std::uint32_t i = 0; i < program_->entries_max("claims"); i++) {
            const auto bucket = get<tg_claims>("claims", i);
            for (std::uint32_t way = 0; way < TG_BUCKET_WAYS; way++)
                if ((bucket.states[way].word & 0xff) == service &&
                    kernel::to_address(bucket.sources[way]) == wanted)
                    return i * TG_BUCKET_WAYS + way;
        }
        return std::nullopt;
    }

    /// SYNs of a source that its claim has.
    std::uint32_t claimed_syn(const std::string &source, std::uint16_t service = 1) const
    {
        const auto place = find_claim(source, service);
        return place ? get<tg_claims>("claims", *place / TG_BUCKET_WAYS)
                           .states[*place % TG_BUCKET_WAYS]
                           .syn
                     : 0;
    }

    /// Every port that the tests speak of is guarded, as service 1.
    void watch(std::uint32_t port, std::uint16_t service = 1) const
    {
        put("ports", port, tg_port{.service = service, .listed = 0, .leaving = 0});
    }

private:
    std::unique_ptr<kernel::PinDir> pins_;
    std::unique_ptr<kernel::Program> program_;
};

/// Clients of a mail server, whose packets pass the programs by BPF_PROG_TEST_RUN.
class Traffic {
public:
    Traffic(int ingress_fd, int egress_fd) : ingress_fd_(ingress_fd), egress_fd_(egress_fd) {}
    explicit Traffic(const kernel::Program &program)
        : Traffic(program.xdp_fd(), program.tc_egress_fd())
    {
    }

    void send_syn(const std::string &client, unsigned server_port = 25)
    {
        begin(client, server_port);
    }

    Conversation connect(const std::string &client, unsigned server_port = 25)
    {
        const auto conversation = begin(client, server_port);
        pass(conversation, {Side::server, syn | ack, 0, 1, 0, TG_PASS_SYN_ACK});
        pass(conversation, {Side::client, ack, 1, 1, 0, TG_PASS_OPENED});
        return conversation;
    }

    void send(const Conversation &conversation, const Segment &segment) const
    {
        pass(conversation, segment);
    }

    void disconnect(const Conversation &conversation)
    {
        pass(conversation, {Side::client, rst, 1, 0, 0, TG_PASS_CLOSED_RST});
    }

    /// Not for a service of ours.
    void send_stranger()
    {
        pass(Conversation{.server_port = 443}, {Side::client, syn, 0, 0, 0, TG_PASS_NOT_WATCHED});
    }

private:
    Conversation begin(const std::string &client, unsigned server_port)
    {
        auto conversation =
            client.find(':') == std::string::npos ? Conversation{} : ipv6_conversation();
        conversation.client_address = client;
        conversation.client_port = next_port_++;
        conversation.server_port = server_port;
        pass(conversation, {Side::client, syn, 0, 0, 0, TG_PASS_SYN});
        return conversation;
    }

    void pass(const Conversation &conversation, const Segment &segment) const
    {
        auto wire = conversation.packet(segment).wire();
        bpf_test_run_opts options{};
        options.sz = sizeof(options);
        options.data_in = wire.data();
        options.data_size_in = static_cast<std::uint32_t>(wire.size());
        const int fd = segment.from == Side::client ? ingress_fd_ : egress_fd_;
        ASSERT_EQ(bpf_prog_test_run_opts(fd, &options), 0);
    }

    int ingress_fd_;
    int egress_fd_;
    unsigned next_port_ = 20000;
};

} // namespace tallygate::test
