// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/program.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/random.h>
#include <tallygate/abi.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdarg>
#include <cstdio>
#include <deque>

#include "base/fd.hpp"
#include "base/log.hpp"
#include "gate.skel.h"
#include "kernel/dirty_bits.hpp"
#include "kernel/map_view.hpp"
#include "kernel/program_tag.hpp"

namespace tallygate::kernel {
namespace {

/// The libbpf callback takes no context, so this is the one place that cannot be a parameter.
std::deque<std::string> &libbpf_words()
{
    static std::deque<std::string> words;
    return words;
}

int keep_libbpf_words(libbpf_print_level level, const char *format, va_list arguments)
{
    constexpr std::size_t lines_kept = 6;
    std::array<char, 1024> line{};

    if (level == LIBBPF_DEBUG)
        return 0;
    std::vsnprintf(line.data(), line.size(), format, arguments);
    std::string text{line.data()};
    text.erase(text.find_last_not_of('\n') + 1);
    spdlog::debug("{}", text);
    libbpf_words().push_back(std::move(text));
    if (libbpf_words().size() > lines_kept)
        libbpf_words().pop_front();
    return 0;
}

// Tables by a network's number have a place for 0, which is no network.
constexpr std::uint32_t number_0 = 1;

/// A map whose size is configuration. All others must have the size that we were compiled with.
struct SizedMap {
    const char *map;
    const char *shown; ///< its name to operators; none: its size follows from another's
    std::uint32_t of_each = 1;
    std::uint32_t beside = 0;      ///< entries that the operator did not ask for
    bool is_found_by_mask = false; ///< so its size must be a power of two
};

// clang-format off
constexpr SizedMap sized_maps[] = {
    {"sources",         "sources"},
    {"source_index",    nullptr},
    {"freed_slots",     nullptr},
    {"dirty_sources",   nullptr},
    {"proven_filter",   nullptr,         1, 0, true},
    {"claims",          "claims",        TG_BUCKET_WAYS, 0, true},
    {"dirty_claims",    nullptr},
    {"rates",           "rates",         TG_BUCKET_WAYS, 0, true},
    {"ipv6_prefixes",   "ipv6_prefixes", TG_BUCKET_WAYS, 0, true},
    {"flows",           "flows"},
    {"pending",         "pending",       TG_PENDING_WAYS, 0, true},
    {"networks",        nullptr},
    {"network_tallies", nullptr},
    {"network_nodes",   nullptr},
    {"network_records", "networks",      1, number_0},
};
// clang-format on

const SizedMap *find_sized(const std::string &name)
{
    const auto found =
        std::ranges::find_if(sized_maps, [&](const SizedMap &sized) { return name == sized.map; });
    return found == std::end(sized_maps) ? nullptr : found;
}

/// Two bits of sixteen or more for each source: of a full table one look in some sixty at a source
/// that never came asks the index in vain.
std::uint32_t filter_words(std::uint32_t sources_max)
{
    constexpr std::uint32_t words_min = 64;
    return std::bit_ceil(std::max(sources_max / 4, words_min));
}

/// A bit for each place of a table.
std::uint32_t dirty_words(std::uint32_t places)
{
    constexpr auto each = DirtyBits::word_places;
    return places / each + (places % each != 0 ? 1 : 0);
}

std::uint32_t buckets(std::uint32_t entries, std::uint32_t ways = TG_BUCKET_WAYS)
{
    return std::max(entries / ways, 1U);
}

/// .bss and .rodata belong to one load of the programs and are not pinned.
bool is_pinned(const bpf_map *map)
{
    return !bpf_map__is_internal(map);
}

constexpr auto made_elsewhere = "was not made by this version of tallygate";

Error not_ours(const PinDir &pins, const std::string &map, const std::string &why)
{
    return Error{pins.map_path(map) + " " + why + ": `tallygated detach --pin-dir " + pins.path() +
                 "` removes it, with its counts"};
}

/// A pinned map. One that is missing is told apart: the others are then of no use.
Result<Fd> open_pinned(const PinDir &pins, const std::string &name)
{
    Fd fd{bpf_obj_get(pins.map_path(name).c_str())};
    if (fd)
        return fd;
    if (errno == ENOENT)
        return not_ours(pins, name, "is missing from the pinned maps");
    return Error::system("open " + pins.map_path(name));
}

/// The settings as the pinned maps have them; zeros if there are none yet.
Result<tg_settings> pinned_settings(const PinDir &pins)
{
    if (!pins.has_layout())
        return tg_settings{};
    const auto fd = open_pinned(pins, "settings");
    if (!fd)
        return fd.error();
    const auto view = MapView<std::uint32_t, tg_settings>::open(fd->get(), "settings");
    if (!view)
        return not_ours(pins, "settings", made_elsewhere);
    const auto value = view->find(0);
    if (!value)
        return value.error();
    const auto settings = value->value_or(tg_settings{});
    const auto bits = settings.ipv6_source_bits;
    if (bits != 0 && (bits < 64 || bits > 128))
        return not_ours(pins, "settings", made_elsewhere);
    return settings;
}

} // namespace

void capture_libbpf_log()
{
    libbpf_set_print(keep_libbpf_words);
}

std::string last_libbpf_words()
{
    std::string all;
    for (const auto &line : libbpf_words())
        all += (all.empty() ? "" : " | ") + line;
    return all;
}

Result<bpf_map_info> inspect_map(int fd, const std::string &name, std::size_t key_bytes,
                                 std::size_t value_bytes)
{
    bpf_map_info info{};
    std::uint32_t size = sizeof(info);

    if (bpf_obj_get_info_by_fd(fd, &info, &size) != 0)
        return Error::system("inspect map " + name);
    if (info.key_size != key_bytes || info.value_size != value_bytes)
        return Error{"map " + name + " was built by another version of tallygate", EPROTO};
    return info;
}

void Program::Destroy::operator()(gate *skeleton) const
{
    gate::destroy(skeleton);
}

Program::Program(Program &&) noexcept = default;
Program::~Program() = default;

Result<void> Program::open(const TableSizes &sizes, bool fragments)
{
    skeleton_.reset(gate::open());
    if (!skeleton_)
        return Error::system("open the gate's programs");

    auto &maps = skeleton_->maps;
    const std::pair<bpf_map *, std::uint32_t> entries_max[] = {
        {maps.sources, sizes.sources_max},
        {maps.source_index, sizes.sources_max},
        {maps.freed_slots, sizes.sources_max},
        {maps.dirty_sources, dirty_words(sizes.sources_max)},
        {maps.proven_filter, filter_words(sizes.sources_max)},
        {maps.claims, buckets(sizes.claims_max)},
        {maps.dirty_claims, dirty_words(buckets(sizes.claims_max))},
        {maps.rates, buckets(sizes.rates_max)},
        {maps.ipv6_prefixes, buckets(sizes.ipv6_prefixes_max)},
        {maps.repeats, static_cast<std::uint32_t>(libbpf_num_possible_cpus()) * TG_REPEATS},
        {maps.batches, static_cast<std::uint32_t>(libbpf_num_possible_cpus())},
        {maps.flows, sizes.flows_max},
        {maps.pending, buckets(sizes.pending_max, TG_PENDING_WAYS)},
        // And the place of IPv4, see networks.cpp; and one that kernels before 6.13 ask for when
        // an entry of a full trie is replaced.
        {maps.networks, sizes.networks_max + 2},
        {maps.network_tallies, sizes.networks_max + number_0},
        {maps.network_nodes, sizes.networks_max + number_0},
        {maps.network_records, sizes.networks_max + number_0},
    };
    for (const auto &[map, count] : entries_max)
        bpf_map__set_max_entries(map, count);
    ipv6_source_bits_ = sizes.ipv6_source_bits;

    skeleton_->rodata->has_fragments = fragments;
    if (fragments)
        for (auto *program : {skeleton_->progs.gate_xdp, skeleton_->progs.gate_xdp_inside})
            bpf_program__set_flags(program, xdp_has_fragments);
    return {};
}

Result<void> Program::adopt_map(const PinDir &pins, const std::string &name)
{
    bpf_map *const map = bpf_object__find_map_by_name(skeleton_->obj, name.c_str());
    const auto fd = open_pinned(pins, name);
    bpf_map_info info{};
    std::uint32_t size = sizeof(info);

    if (!fd)
        return fd.error();
    if (bpf_obj_get_info_by_fd(fd->get(), &info, &size) != 0)
        return Error::system("inspect " + pins.map_path(name));

    const bool same_shape =
        info.type == bpf_map__type(map) && info.key_size == bpf_map__key_size(map) &&
        info.value_size == bpf_map__value_size(map) && info.map_flags == bpf_map__map_flags(map);
    const auto wanted = bpf_map__max_entries(map);
    const SizedMap *const sized = find_sized(name);
    const bool fits_mask =
        !sized || !sized->is_found_by_mask || std::has_single_bit(info.max_entries);
    if (!same_shape || !fits_mask || (!sized && info.max_entries != wanted))
        return not_ours(pins, name, made_elsewhere);
    if (info.max_entries != wanted && sized->shown) {
        const auto shown = [sized](std::uint32_t entries) {
            return std::to_string((entries - sized->beside) * sized->of_each);
        };
        warnings_.push_back("table " + std::string(sized->shown) + " keeps room for " +
                            shown(info.max_entries) + " entries; the configured " + shown(wanted) +
                            " take effect after `tallygated detach`");
    }
    bpf_map__set_max_entries(map, info.max_entries);
    if (bpf_map__reuse_fd(map, fd->get()) != 0)
        return Error::system("take over " + pins.map_path(name));
    return {};
}

Result<void> Program::adopt_maps(const PinDir &pins)
{
    bpf_map *map = nullptr;
    bpf_object__for_each_map(map, skeleton_->obj)
    {
        if (!is_pinned(map))
            continue;
        const auto adopted = adopt_map(pins, bpf_map__name(map));
        if (!adopted)
            return adopted;
    }
    maps_adopted_ = true;
    return {};
}

void Program::set_constants(const std::array<std::uint64_t, 2> &hash_seed)
{
    constants_ = table_constants(skeleton_->obj, hash_seed, ipv6_source_bits_);
    kernel::set_constants(*skeleton_->rodata, constants_);
}

Result<Program> Program::load(const PinDir &pins, const TableSizes &sizes)
{
    auto settings = pinned_settings(pins);
    if (!settings)
        return settings.error();
    if (settings->hash_seed[0] == 0 &&
        ::getrandom(settings->hash_seed, sizeof(settings->hash_seed), 0) < 0)
        return Error::system("get a random seed");

    // Probed by loading: a kernel that refuses large frames takes the programs without them.
    Error refused{""};
    for (const bool fragments : {true, false}) {
        Program program;
        auto step = program.open(sizes, fragments);
        if (!step)
            return step.error();
        if (settings->ipv6_source_bits != 0 &&
            settings->ipv6_source_bits != sizes.ipv6_source_bits) {
            program.warnings_.push_back(
                "sources of IPv6 stay /" + std::to_string(settings->ipv6_source_bits) +
                " as in the pinned maps; the configured /" +
                std::to_string(sizes.ipv6_source_bits) + " takes effect after `tallygated detach`");
            program.ipv6_source_bits_ = settings->ipv6_source_bits;
        }
        if (pins.has_layout()) {
            step = program.adopt_maps(pins);
            if (!step)
                return step.error();
        }
        program.set_constants({settings->hash_seed[0], settings->hash_seed[1]});

        const int loaded = gate::load(program.skeleton_.get());
        if (loaded != 0) {
            refused = Error::system("load the gate's programs", -loaded);
            refused.message += " (" + last_libbpf_words() + ")";
            continue;
        }
        program.takes_fragments_ = fragments;
        settings->ipv6_source_bits = program.ipv6_source_bits_;
        const auto view =
            MapView<std::uint32_t, tg_settings>::open(program.map_fd("settings"), "settings");
        if (!view)
            return view.error();
        if (const auto written = view->put(0, *settings); !written)
            return written.error();
        return program;
    }
    return refused;
}

Result<void> take_maps(const bpf_object *object, const Program &program)
{
    bpf_map *map = nullptr;
    bpf_object__for_each_map(map, object)
    {
        if (!is_pinned(map))
            continue;
        const auto *name = bpf_map__name(map);
        if (bpf_map__reuse_fd(map, program.map_fd(name)) != 0)
            return Error::system("take over map " + std::string(name));
    }
    return {};
}

const bpf_object *Program::object() const
{
    return skeleton_->obj;
}

int Program::map_fd(const char *name) const
{
    return bpf_object__find_map_fd_by_name(skeleton_->obj, name);
}

std::uint32_t Program::entries_max(const char *map) const
{
    return bpf_map__max_entries(bpf_object__find_map_by_name(skeleton_->obj, map));
}

std::vector<std::pair<std::string, int>> Program::maps() const
{
    std::vector<std::pair<std::string, int>> maps;
    bpf_map *map = nullptr;
    bpf_object__for_each_map(map, skeleton_->obj)
    {
        if (is_pinned(map))
            maps.emplace_back(bpf_map__name(map), bpf_map__fd(map));
    }
    return maps;
}

int Program::xdp_fd() const
{
    return bpf_program__fd(skeleton_->progs.gate_xdp);
}

int Program::tc_ingress_fd() const
{
    return bpf_program__fd(skeleton_->progs.gate_tc_ingress);
}

int Program::tc_egress_fd() const
{
    return bpf_program__fd(skeleton_->progs.gate_tc_egress);
}

int Program::xdp_inside_fd() const
{
    return bpf_program__fd(skeleton_->progs.gate_xdp_inside);
}

int Program::tc_inside_fd() const
{
    return bpf_program__fd(skeleton_->progs.gate_tc_inside);
}

std::string Program::tag() const
{
    return program_tag(xdp_fd());
}

} // namespace tallygate::kernel
