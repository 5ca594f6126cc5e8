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

#include "gate.skel.h"
#include "kernel/convert.hpp"
#include "reconcile.skel.h"

namespace tallygate::kernel {
namespace {

// A slice: what fits into the kernel's buffer for iterators, 32 KiB, with whole records.
constexpr std::size_t slice_records = 512;
// Beyond these bounds a difference waits for a later round.
constexpr std::size_t without_flow_max = 1U << 16;
constexpr std::size_t ends_here_max = 1U << 12;

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

Result<Fd> open_pass(const Fd &iterator, const char *what)
{
    Fd pass{bpf_iter_create(iterator.get())};
    if (!pass)
        return Error::system(std::string("begin to read the ") + what);
    return pass;
}

/// Calls `look` for the next slice of records, and says whether they were the last.
template <typename Record, typename Look>
Result<bool> read_slice(const Fd &pass, const char *what, Look &&look)
{
    std::array<Record, slice_records> records;
    const auto bytes = ::read(pass.get(), records.data(), sizeof(records));

    if (bytes < 0 && errno == EAGAIN)
        return false; // a million of them, and none of ours
    if (bytes < 0)
        return Error::system(std::string("read the ") + what);
    if (static_cast<std::size_t>(bytes) % sizeof(Record) != 0)
        return Error{std::string("read the ") + what + ": a record came in parts", EPROTO};
    for (std::size_t i = 0; i < static_cast<std::size_t>(bytes) / sizeof(Record); i++)
        if (auto looked = look(records[i]); !looked)
            return looked.error();
    return bytes == 0;
}

/// Runs one of our programs with `letter` in the place of a packet.
template <typename Letter>
Result<tg_mended> send(const bpf_program *program, Letter letter)
{
    bpf_test_run_opts run{};
    run.sz = sizeof(run);
    run.data_in = &letter;
    run.data_size_in = sizeof(letter);
    if (bpf_prog_test_run_opts(bpf_program__fd(program), &run) != 0)
        return Error::system("run " + std::string(bpf_program__name(program)));
    return static_cast<tg_mended>(run.retval);
}

Result<void> take_maps(const bpf_object *object, const Program &program)
{
    bpf_map *map = nullptr;
    bpf_object__for_each_map(map, object)
    {
        if (bpf_map__is_internal(map))
            continue;
        const auto *name = bpf_map__name(map);
        if (bpf_map__reuse_fd(map, program.map_fd(name)) != 0)
            return Error::system("take over map " + std::string(name));
    }
    return {};
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

    const auto &gate = *program.skeleton().rodata;
    auto &constants = *made.skeleton_->rodata;
    constants.hash_seed = gate.hash_seed;
    constants.pending_mask = gate.pending_mask;
    constants.sources_max = gate.sources_max;
    std::memcpy(const_cast<__be32 *>(constants.ipv6_source_mask), gate.ipv6_source_mask,
                sizeof(gate.ipv6_source_mask));

    const int loaded = reconcile::load(made.skeleton_.get());
    if (loaded != 0) {
        auto error = Error::system("load reconcile's programs", -loaded);
        error.message += " (" + last_libbpf_words() + ")";
        return error;
    }
    if (const auto attached = made.attach_iterators(); !attached)
        return attached.error();
    return made;
}

Result<void> Reconcile::attach_iterators()
{
    auto sockets = open_iterator(skeleton_->progs.list_sockets, nullptr);
    if (!sockets)
        return sockets.error();
    socket_iterator_ = std::move(*sockets);

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

void Reconcile::take_arrivals(std::set<std::uint32_t> interfaces)
{
    arrivals_ = std::move(interfaces);
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
    so_far_ = {};
    skeleton_->bss->round_number = static_cast<std::uint32_t>(now / std::chrono::milliseconds{1});
    skeleton_->bss->round_seconds = seconds_since_last(now);
    skeleton_->bss->round_begun_ns = static_cast<std::uint64_t>(now.count());
    skeleton_->bss->sockets_looked_at = sockets_ == Sockets::here ? 1 : 0;
    return sockets_ == Sockets::here ? open_sockets() : open_flows();
}

Result<void> Reconcile::open_sockets()
{
    phase_ = Phase::idle;
    auto pass = open_pass(socket_iterator_, "kernel's sockets");
    if (!pass)
        return pass.error();
    pass_ = std::move(*pass);
    phase_ = Phase::sockets;
    return {};
}

Result<void> Reconcile::open_flows()
{
    phase_ = Phase::idle;
    auto pass = open_pass(flow_iterator_, "flows");
    if (!pass)
        return pass.error();
    pass_ = std::move(*pass);
    phase_ = Phase::flows;
    return {};
}

Result<bool> Reconcile::step()
{
    const auto look = [this](const auto &record) { return look_at(record); };

    if (phase_ == Phase::idle)
        return true;
    if (phase_ == Phase::sockets) {
        const auto done = read_slice<tg_socket>(pass_, "kernel's sockets", look);
        if (!done || !*done)
            return done;
        if (const auto opened = open_flows(); !opened)
            return opened.error();
        return false;
    }
    const auto done = read_slice<tg_flow_age>(pass_, "flows", look);
    if (done && *done)
        finish_round();
    return done;
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

Result<void> Reconcile::look_at(const tg_socket &socket)
{
    if (socket.flow_known) {
        if (ends_here_.size() < ends_here_max)
            ends_here_.insert(listener_of(socket.ends));
        return {};
    }
    // On its last steps: its flow has closed, and the last ACK did not reach the socket.
    if (socket.client_fin_seen && socket.server_fin_seen)
        return {};
    if (socket.arrived_on != 0 && !arrivals_.contains(socket.arrived_on))
        return {};
    if (without_flow_.size() < without_flow_max)
        without_flow_.insert(socket.ends);
    if (adopt_ != Adopt::at_once && !without_flow_before_.contains(socket.ends)) {
        so_far_.doubts++;
        return {};
    }

    const auto mended = send(skeleton_->progs.adopt_flow, socket);
    if (!mended)
        return mended.error();
    if (*mended == TG_MENDED_FULL)
        so_far_.unadopted++;
    return {};
}

/// Whether a flow without a socket tells something: it had one, or its like have.
bool Reconcile::ends_here(const tg_flow_age &age) const
{
    return age.socket_seen || ends_here_.contains(listener_of(age.ends));
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
    if (age.quiet_seconds < quiet_seconds_min)
        return std::nullopt;
    if (sockets_ == Sockets::here) {
        if (age.absent_rounds < absent_rounds_min)
            return std::nullopt;
        if (ends_here(age))
            return TG_CLOSING_SOCKET_GONE;
    }
    return is_idle(age) ? std::optional{TG_CLOSING_IDLE} : std::nullopt;
}

Result<void> Reconcile::look_at(const tg_flow_age &age)
{
    if (age.client_fin_seen + age.server_fin_seen == 1)
        so_far_.half_closed++;
    if (sockets_ == Sockets::here && age.absent_rounds >= absent_rounds_min && !ends_here(age))
        so_far_.elsewhere++;
    if (sockets_ == Sockets::here && age.absent_rounds == 1 && ends_here(age))
        so_far_.doubts++;

    const auto reason = reason_to_close(age);
    if (!reason)
        return {};
    const auto mended = send(skeleton_->progs.end_flow,
                             tg_closing{.state = age.state, .ends = age.ends, .reason = *reason});
    return mended ? Result<void>{} : mended.error();
}

} // namespace tallygate::kernel
