// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/socket_table.hpp"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <string>

namespace tallygate::kernel {
namespace {

constexpr std::uint32_t bit(int state)
{
    return 1U << state;
}

constexpr std::uint32_t others = bit(TCP_ESTABLISHED) | bit(TCP_SYN_RECV) | bit(TCP_FIN_WAIT1) |
                                 bit(TCP_FIN_WAIT2) | bit(TCP_TIME_WAIT) | bit(TCP_CLOSE_WAIT) |
                                 bit(TCP_LAST_ACK) | bit(TCP_CLOSING);

/// What a pass asks for, in turn.
constexpr struct {
    std::uint8_t family;
    std::uint32_t states;
} questions[] = {
    {AF_INET, bit(TCP_LISTEN)},
    {AF_INET6, bit(TCP_LISTEN)},
    {AF_INET, others},
    {AF_INET6, others},
};

constexpr auto act = "list the kernel's sockets";

Error refused()
{
    if (errno == ENOENT)
        return Error{std::string(act) + ": the kernel has no tcp_diag: `modprobe tcp_diag`",
                     ENOENT};
    return Error::system(act);
}

/// IPv4 in the first of four words, or IPv6 in all of them.
tg_addr to_addr(std::uint8_t family, const __be32 (&words)[4])
{
    tg_addr addr{};
    if (family == AF_INET) {
        addr.words[2] = htonl(0x0000ffff);
        addr.words[3] = words[0];
    } else {
        std::memcpy(&addr, words, sizeof(addr));
    }
    return addr;
}

SocketStage stage_of(std::uint8_t state)
{
    switch (state) {
    case TCP_LISTEN:
        return SocketStage::listening;
    case TCP_SYN_RECV:
        return SocketStage::handshake;
    case TCP_TIME_WAIT:
        return SocketStage::over;
    case TCP_LAST_ACK:
    case TCP_CLOSING:
        return SocketStage::ending;
    default:
        return SocketStage::connected;
    }
}

int read_socket(const nlmsghdr *message, void *sockets)
{
    if (mnl_nlmsg_get_payload_len(message) < sizeof(inet_diag_msg))
        return MNL_CB_OK;
    const auto &found = *static_cast<const inet_diag_msg *>(mnl_nlmsg_get_payload(message));
    const auto &id = found.id;
    static_cast<std::vector<Socket> *>(sockets)->push_back(
        {.ends = {.client = to_addr(found.idiag_family, id.idiag_dst),
                  .server = to_addr(found.idiag_family, id.idiag_src),
                  .client_port = id.idiag_dport,
                  .server_port = id.idiag_sport},
         .stage = stage_of(found.idiag_state)});
    return MNL_CB_OK;
}

} // namespace

void SocketTable::Close::operator()(mnl_socket *socket) const
{
    mnl_socket_close(socket);
}

SocketTable::SocketTable(SocketTable &&) noexcept = default;
SocketTable &SocketTable::operator=(SocketTable &&) noexcept = default;
SocketTable::~SocketTable() = default;

Result<SocketTable> SocketTable::open()
{
    SocketTable table;
    table.socket_.reset(mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC));
    if (!table.socket_ || mnl_socket_bind(table.socket_.get(), 0, MNL_SOCKET_AUTOPID) != 0)
        return Error::system(act);
    return table;
}

Result<void> SocketTable::begin()
{
    // A pass that was given up would go on speaking: another socket hears nothing of it.
    auto fresh = open();
    if (!fresh)
        return fresh.error();
    socket_ = std::move(fresh->socket_);
    question_ = 0;
    return ask();
}

Result<void> SocketTable::ask()
{
    alignas(nlmsghdr) std::array<char, 256> buffer{};
    nlmsghdr *const header = mnl_nlmsg_put_header(buffer.data());
    header->nlmsg_type = SOCK_DIAG_BY_FAMILY;
    header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    header->nlmsg_seq = ++sequence_;
    auto *const request = static_cast<inet_diag_req_v2 *>(
        mnl_nlmsg_put_extra_header(header, sizeof(inet_diag_req_v2)));
    request->sdiag_family = questions[question_].family;
    request->sdiag_protocol = IPPROTO_TCP;
    request->idiag_states = questions[question_].states;
    if (mnl_socket_sendto(socket_.get(), header, header->nlmsg_len) < 0)
        return Error::system(act);
    return {};
}

Result<bool> SocketTable::read_some(std::vector<Socket> &sockets)
{
    // As large as the kernel fills it.
    alignas(nlmsghdr) std::array<char, 32768> buffer;
    const auto bytes = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
    if (bytes < 0)
        return Error::system(act);
    const int more = mnl_cb_run(buffer.data(), static_cast<std::size_t>(bytes), sequence_,
                                mnl_socket_get_portid(socket_.get()), read_socket, &sockets);
    if (more == MNL_CB_ERROR)
        return refused();
    if (more > MNL_CB_STOP)
        return false;
    if (++question_ == std::size(questions))
        return true;
    if (const auto asked = ask(); !asked)
        return asked.error();
    return false;
}

} // namespace tallygate::kernel
