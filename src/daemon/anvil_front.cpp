// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/anvil_front.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <random>
#include <utility>

#include "base/log.hpp"
#include "frontend/anvil_saved.hpp"

namespace tallygate::daemon {
namespace {

using namespace std::chrono_literals;

constexpr auto tick_interval = 1s;
// How much a daemon that is killed forgets. Where there are many idents it is more, lest saving
// take more of a core than answering: a million take half a second.
constexpr auto save_interval = 2s;
constexpr std::size_t idents_a_second = 50'000;
// Each slice takes a fraction of a millisecond, with a client's turn in between.
constexpr std::size_t slots_a_slice = 1'000;
constexpr auto forget_interval = 100ms;
constexpr std::size_t forgotten_a_time = 2'000;
// A client of the socket that errs once a second errs often.
constexpr auto warn_interval = 1s;
constexpr auto patience = 10s;
// Ahead of whatever else keeps the machine busy: mail waits for each answer, and an answer takes
// microseconds.
constexpr int thread_nice = -10;
// A Postfix before 3.6 speaks as soon as it is connected.
constexpr std::chrono::milliseconds greeting_wait{20};
// Names of clients are shorter by far; a longer request is noise.
constexpr std::size_t request_bytes_max = 16 * 1024;

std::uint64_t random_seed()
{
    std::random_device device;
    return std::uint64_t{device()} << 32 | device();
}

frontend::AnvilTable::Options table_options(const config::Anvil &config)
{
    return {
        .time_unit = config.time_unit, .idents_max = config.idents_max, .hash_seed = random_seed()};
}

net::StreamLimits limits_of(const config::Anvil &config)
{
    net::StreamLimits limits;

    limits.input_bytes_max = request_bytes_max;
    limits.connections_max = config.streams_max;
    if (config.before_3_6)
        limits.greeting_wait = greeting_wait;
    return limits;
}

} // namespace

AnvilFront::AnvilFront(net::Listener listener, const config::Anvil &config, const Parts &parts)
    : clock_(parts.clock), reports_(parts.loop, parts.reporter),
      gate_counter_(parts.loop, parts.questions), socket_(listener.name()),
      table_(table_options(config)),
      file_(SnapshotFile{parts.state_dir, "anvil"}, "what Postfix's clients did is"),
      statistics_interval_(config.statistics_interval), until_statistics_(statistics_interval_)
{
    if (const auto given = give_to_owner_of_directory(listener.name()); !given)
        spdlog::warn("{}", given.error().message);
    frontend::AnvilService::Options options;
    options.warn = [this](const std::string &sentence) { warn(sentence); };
    if (config.count_from == config::Anvil::CountFrom::gate)
        options.live = [this](const Block &client, std::uint32_t own) {
            return gate_counter_.live(client, own);
        };
    service_ = std::make_unique<frontend::AnvilService>(table_, reports_, clock_, options);
    server_ = std::make_unique<net::StreamServer>(
        loop_, std::move(listener), [this](const auto &) { return service_->open(); },
        limits_of(config));
    restore();
    parts.watchdog.watch(loop_, "anvil", patience);
    schedule();
    tell();
}

AnvilFront::~AnvilFront()
{
    stop();
}

void AnvilFront::start()
{
    thread_ = std::thread([this] {
        // Of this thread alone. Where it is not permitted, the thread waits its turn.
        ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), thread_nice);
        loop_.run();
    });
    spdlog::info("answering anvil on {}", server_->name());
}

void AnvilFront::stop()
{
    if (!server_)
        return;
    loop_.stop();
    if (thread_.joinable())
        thread_.join();
    // Before the streams end: whose sessions they hold is to be known again.
    std::deque<frontend::AnvilSaved> saved;
    table_.save(0, SIZE_MAX, now(), saved);
    file_.write(frontend::encode_anvil_saved(saved));
    server_.reset();
    log_peaks();
    reports_.finish();
}

void AnvilFront::restore()
{
    const auto bytes = file_.file().read();
    if (!bytes)
        spdlog::warn("{}; anvil begins anew", bytes.error().message);
    if (!bytes || !*bytes)
        return;
    const auto saved = frontend::decode_anvil_saved(**bytes);
    if (!saved) {
        const auto moved = file_.file().set_aside();
        spdlog::warn("{} is of no use: {}; anvil begins anew, and the file {}", file_.file().path(),
                     saved.error().message,
                     moved ? "is now " + file_.file().damaged_path()
                           : "stays: " + moved.error().message);
        return;
    }
    for (const auto &each : *saved)
        table_.restore(each, now());
}

void AnvilFront::schedule()
{
    loop_.every(tick_interval, [this] { tick(); });
    loop_.every(forget_interval, [this] { table_.forget(forgotten_a_time, now()); });
    loop_.every(save_interval, [this] { begin_saving(); });
}

void AnvilFront::tick()
{
    socket_.look();
    tell();
    until_statistics_ -= tick_interval;
    if (until_statistics_ > 0s)
        return;
    until_statistics_ = statistics_interval_;
    log_peaks();
}

void AnvilFront::log_peaks()
{
    for (const auto &line : table_.take_peaks().lines(table_.time_unit()))
        spdlog::info("{}", line);
}

void AnvilFront::begin_saving()
{
    const auto requests = service_->totals().requests;

    const auto pause = std::chrono::seconds{table_.size() / idents_a_second};
    if (saving_ || file_.is_busy() || requests == requests_saved_ ||
        Steady::now() < saved_at_ + pause)
        return;
    requests_saved_ = requests;
    saved_at_ = Steady::now();
    saving_ = std::make_shared<std::deque<frontend::AnvilSaved>>();
    save_slice(0);
}

void AnvilFront::save_slice(std::size_t from)
{
    if (const auto next = table_.save(from, slots_a_slice, now(), *saving_)) {
        loop_.post([this, next] { save_slice(*next); });
        return;
    }
    file_.write_aside(
        [saved = std::exchange(saving_, nullptr)] { return frontend::encode_anvil_saved(*saved); });
}

void AnvilFront::warn(const std::string &sentence)
{
    if (clock_.now() - warned_at_ < warn_interval) {
        warnings_withheld_++;
        return;
    }
    warned_at_ = clock_.now();
    spdlog::warn("anvil: {}{}", sentence,
                 warnings_withheld_ > 0
                     ? " (and " + std::to_string(std::exchange(warnings_withheld_, 0)) + " more)"
                     : "");
}

void AnvilFront::tell()
{
    const auto &totals = service_->totals();
    const auto &streams = server_->counts();
    frontend::AnvilFacts facts{.socket = socket_.path(),
                               .socket_is_ours = socket_.is_ours(),
                               .streams = streams.connection_count,
                               .idents = table_.size(),
                               .events = {{"request", totals.requests},
                                          {"unrecognized", totals.unrecognized},
                                          {"malformed", totals.malformed},
                                          {"oversized", streams.oversized_total},
                                          {"stream_accepted", streams.accepted_total},
                                          {"stream_refused", streams.refused_total},
                                          {"ident_evicted", table_.evicted_total()},
                                          {"ident_opaque", totals.opaque},
                                          {"counted_by_gate", totals.counted_by_gate},
                                          {"gate_busy", gate_counter_.busy_total()},
                                          {"report_lost", reports_.lost_total()}}};
    std::vector<std::string> warnings;
    if (!socket_.is_ours())
        warnings.push_back(socket_.warning());
    if (file_.warning())
        warnings.push_back(*file_.warning());

    const std::lock_guard guard{told_mutex_};
    told_ = std::move(facts);
    told_warnings_ = std::move(warnings);
}

void AnvilFront::configure(const config::Anvil &config)
{
    loop_.post([this, config] {
        table_.set_time_unit(config.time_unit);
        statistics_interval_ = config.statistics_interval;
        until_statistics_ = std::min(until_statistics_, statistics_interval_);
    });
}

frontend::AnvilFacts AnvilFront::facts() const
{
    const std::lock_guard guard{told_mutex_};
    return told_;
}

std::vector<std::string> AnvilFront::warnings() const
{
    const std::lock_guard guard{told_mutex_};
    return told_warnings_;
}

std::chrono::sys_seconds AnvilFront::now() const
{
    return std::chrono::floor<std::chrono::seconds>(clock_.now());
}

} // namespace tallygate::daemon
