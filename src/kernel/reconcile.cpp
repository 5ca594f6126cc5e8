// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/reconcile.hpp"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "kernel/constants.hpp"
#include "kernel/convert.hpp"
#include "kernel/letter.hpp"
#include "kernel/map_view.hpp"
#include "reconcile.skel.h"

namespace tallygate::kernel {
namespace {

// A slice: what fits into the kernel's buffer for iterators, 32 KiB, with whole records.
constexpr std::size_t slice_records = 512;
// Beyond these bounds a difference waits for a later round.
constexpr std::size_t without_flow_max = 1U << 16;
constexpr std::size_t listened_to_max = 1U << 12;

// A difference lasts two rounds before it is mended, and no packet passes between them.
constexpr std::uint8_t absent_rounds_min = 2;
constexpr std::uint16_t quiet_seconds_min = 2; // quiet in two rounds, which differ by one or more
constexpr std::chrono::seconds round_seconds_max{UINT16_MAX};

Endpoint listener_of(const tg_flow_key &ends)
{
    return {to_address(ends.server), ntohs(ends.server_port)};
}

Result<Fd> open_iterator(bpf_program *program, const bpf_iter_attach_opts *options)
{
    bpf_link *const link = bpf_program__attach_iter(program, options);
    if (link == nullptr)
        return Error::system("attach the iterator " + std::string(bpf_program__name(program)));
    Fd fd{::fcntl(bpf_link__fd(link), F_DUPFD_CLOEXEC, 0)};
    bpf_link__destroy(link);
    if (!fd)
        return Error::system("keep the iterator " + std::string(bpf_program__name(program)));
    return fd;
}

/// Calls `look` for the next slice of flows, and says whether they were the last.
template <typename Look>
Result<bool> read_flows(const Fd &pass, Look &&look)
{
    std::array<tg_flow_age, slice_records> records;
    const auto bytes = ::read(pass.get(), records.data(), sizeof(records));

    if (bytes < 0)
        return Error::system("read the flows");
    if (static_cast<std::size_t>(bytes) % sizeof(tg_flow_age) != 0)
        return Error{"read the flows: a record came in parts", EPROTO};
    for (std::size_t i = 0; i < static_cast<std::size_t>(bytes) / sizeof(tg_flow_age); i++)
        if (auto looked = look(records[i]); !looked)
            return looked.error();
    return bytes == 0;
}

} // namespace

void Reconcile::Destroy::operator()(reconcile *skeleton) const
{
    reconcile::destroy(skeleton);
}

bool Reconcile::EndsOrder::operator()(const tg_flow_key &one, const tg_flow_key &other) const
{
    return std::memcmp(&one, &other, sizeof(one)) < 0;
}

Reconcile::Reconcile(Reconcile &&) noexcept = default;
Reconcile::~Reconcile() = default;

Result<Reconcile> Reconcile::load(const Program &program)
{
    Reconcile made;
    made.skeleton_.reset(reconcile::open());
    if (!made.skeleton_)
        return Error::system("open reconcile's programs");
    if (const auto taken = take_maps(made.skeleton_->obj, program); !taken)
        return taken.error();

    set_constants(*made.skeleton_->rodata, program.constants());

    const int loaded = reconcile::load(made.skeleton_.get());
    if (loaded != 0) {
        auto error = Error::system("load reconcile's programs", -loaded);
        error.message += " (" + last_libbpf_words() + ")";
        return error;
    }
    made.program_ = &program;
    auto table = SocketTable::open();
    if (!table)
        return table.error();
    made.socket_table_ = std::move(*table);
    if (const auto attached = made.attach_iterator(); !attached)
        return attached.error();
    return made;
}

Result<void> Reconcile::attach_iterator()
{
    bpf_iter_link_info target{};
    bpf_iter_attach_opts options{};
    target.map.map_fd = static_cast<std::uint32_t>(bpf_map__fd(skeleton_->maps.flows));
    options.sz = sizeof(options);
    options.link_info = &target;
    options.link_info_len = sizeof(target);
    auto flows = open_iterator(skeleton_->progs.age_flows, &options);
    if (!flows)
        return flows.error();
    flow_iterator_ = std::move(*flows);
    return {};
}

void Reconcile::configure(const ReconcileOptions &options, Sockets sockets)
{
    options_ = options;
    sockets_ = sockets;
}

void Reconcile::take_arrivals(const std::set<std::uint32_t> &interfaces)
{
    auto &arrivals = skeleton_->bss->arrivals;
    std::size_t count = 0;

    for (const auto interface : interfaces)
        if (count < std::size(arrivals))
            arrivals[count++] = interface;
    std::fill(arrivals + count, std::end(arrivals), 0);
}

/// For ageing. One second where nobody knows: the last round was another daemon's.
std::uint32_t Reconcile::seconds_since_last(std::chrono::nanoseconds now)
{
    using std::chrono::seconds;
    const auto since =
        last_begun_ ? std::chrono::duration_cast<seconds>(now - *last_begun_) : seconds{1};
    last_begun_ = now;
    return static_cast<std::uint32_t>(std::clamp(since, seconds{1}, round_seconds_max).count());
}

Result<void> Reconcile::begin(std::chrono::nanoseconds now, Adopt adopt)
{
    adopt_ = adopt;
    without_flow_.clear();
    listened_to_.clear();
    so_far_ = {};
    skeleton_->bss->round_number = static_cast<std::uint32_t>(now / std::chrono::milliseconds{1});
    skeleton_->bss->round_seconds = seconds_since_last(now);
    skeleton_->bss->round_begun_ns = static_cast<std::uint64_t>(now.count());
    skeleton_->bss->adopts_orphans = adopt == Adopt::at_once ? 1 : 0;
    skeleton_->bss->sockets_looked_at = sockets_ == Sockets::here ? 1 : 0;
    return sockets_ == Sockets::here ? open_sockets() : open_flows();
}

Result<void> Reconcile::open_sockets()
{
    phase_ = Phase::idle;
    if (const auto read = read_guarded_ports(); !read)
        return read;
    if (const auto begun = socket_table_->begin(); !begun)
        return begun;
    phase_ = Phase::sockets;
    return {};
}

/// So that sockets which are none of ours cost no system call.
Result<void> Reconcile::read_guarded_ports()
{
    const auto ports = MapView<std::uint32_t, tg_port>::open(program_->map_fd("ports"), "ports");
    if (!ports)
        return ports.error();
    guarded_ports_.assign(ports->entries_max(), false);
    return ports->for_each([this](std::uint32_t port, const tg_port &entry) {
        guarded_ports_[port] = entry.service != 0 || entry.listed != 0;
    });
}

Result<void> Reconcile::open_flows()
{
    phase_ = Phase::idle;
    pass_ = Fd{bpf_iter_create(flow_iterator_.get())};
    if (!pass_)
        return Error::system("begin to read the flows");
    phase_ = Phase::flows;
    return {};
}

Result<bool> Reconcile::step()
{
    if (phase_ == Phase::idle)
        return true;
    if (phase_ == Phase::sockets)
        return step_sockets();
    const auto done = read_flows(pass_, [this](const tg_flow_age &age) { return look_at(age); });
    if (done && *done)
        finish_round();
    return done;
}

Result<bool> Reconcile::step_sockets()
{
    std::vector<Socket> sockets;
    const auto done = socket_table_->read_some(sockets);
    if (!done)
        return done;
    for (const auto &socket : sockets)
        if (guarded_ports_[ntohs(socket.ends.server_port)])
            if (const auto looked = look_at(socket); !looked)
                return looked.error();
    if (*done)
        if (const auto opened = open_flows(); !opened)
            return opened.error();
    return false;
}

void Reconcile::finish_round()
{
    phase_ = Phase::idle;
    pass_ = {};
    without_flow_before_ = std::move(without_flow_);
    without_flow_.clear();
    half_closed_ = so_far_.half_closed;
    unadopted_ = so_far_.unadopted;
    elsewhere_ = so_far_.elsewhere;
    doubts_ = so_far_.doubts;
    rounds_++;
}

Result<void> Reconcile::look_at(const Socket &socket)
{
    if (socket.stage == SocketStage::listening) {
        if (listened_to_.size() < listened_to_max)
            listened_to_.insert(listener_of(socket.ends));
        return {};
    }
    const auto stage = socket.stage == SocketStage::handshake ? TG_SOCKET_HANDSHAKE
                       : socket.stage == SocketStage::over    ? TG_SOCKET_OVER
                                                              : TG_SOCKET_CONNECTED;
    const auto noted =
        run_with<tg_noted>(skeleton_->progs.note_socket, tg_socket{socket.ends, stage});
    if (!noted)
        return noted.error();
    return *noted == TG_NOTED_NO_FLOW && stage == TG_SOCKET_CONNECTED ? adopt(socket)
                                                                      : Result<void>{};
}

Result<void> Reconcile::adopt(const Socket &socket)
{
    // On its last steps its flow may have closed, and the last ACK not have reached the socket.
    if (adopt_ != Adopt::at_once && socket.stage == SocketStage::ending)
        return {};
    if (!is_listened_to(socket.ends))
        return {};
    if (without_flow_.size() < without_flow_max)
        without_flow_.insert(socket.ends);
    if (adopt_ != Adopt::at_once && !without_flow_before_.contains(socket.ends)) {
        so_far_.doubts++;
        return {};
    }

    const auto mended = run_with<tg_mended>(skeleton_->progs.adopt_flow,
                                            tg_socket{socket.ends, TG_SOCKET_CONNECTED});
    if (!mended)
        return mended.error();
    if (*mended == TG_MENDED_FULL)
        so_far_.unadopted++;
    return {};
}

/// Else it is one that this host made, from a port that happens to be guarded.
bool Reconcile::is_listened_to(const tg_flow_key &ends) const
{
    const auto listener = listener_of(ends);
    const auto any_ipv6 = Endpoint{Address{}, listener.port};
    const auto any_ipv4 = Endpoint{Address::from_ipv4(0), listener.port};

    return listened_to_.contains(listener) || listened_to_.contains(any_ipv6) ||
           (listener.address.is_ipv4() && listened_to_.contains(any_ipv4));
}

bool Reconcile::is_idle(const tg_flow_age &age) const
{
    const auto fins = age.client_fin_seen + age.server_fin_seen;
    const auto idle = fins == 0   ? options_.idle_open
                      : fins == 1 ? options_.idle_half_closed
                                  : options_.idle_closing;
    return std::chrono::seconds{age.quiet_seconds - 1} >= idle;
}

std::optional<tg_closing_reason> Reconcile::reason_to_close(const tg_flow_age &age) const
{
    if ((age.state & 0xff) != TG_FLOW_OPEN)
        return TG_CLOSING_IDLE; // its removal failed when it closed
    if (age.quiet_seconds < quiet_seconds_min)
        return std::nullopt;
    if (sockets_ == Sockets::here) {
        if (age.absent_rounds < absent_rounds_min)
            return std::nullopt;
        if (age.socket_seen)
            return TG_CLOSING_SOCKET_GONE;
    }
    return is_idle(age) ? std::optional{TG_CLOSING_IDLE} : std::nullopt;
}

Result<void> Reconcile::look_at(const tg_flow_age &age)
{
    if (age.client_fin_seen + age.server_fin_seen == 1)
        so_far_.half_closed++;
    if (sockets_ == Sockets::here && age.absent_rounds >= absent_rounds_min && !age.socket_seen)
        so_far_.elsewhere++;
    if (sockets_ == Sockets::here && age.absent_rounds == 1 && age.socket_seen)
        so_far_.doubts++;

    const auto reason = reason_to_close(age);
    if (!reason)
        return {};
    const auto mended =
        run_with<tg_mended>(skeleton_->progs.end_flow,
                            tg_closing{.state = age.state, .ends = age.ends, .reason = *reason});
    return mended ? Result<void>{} : mended.error();
}

} // namespace tallygate::kernel
