// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/list_groups.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "base/log.hpp"
#include "config/list_file.hpp"
#include "daemon/machine.hpp"

namespace tallygate::daemon {
namespace {

core::Grounds grounds_of(const config::Config &config, const config::ListSource &source,
                         core::ListKind kind, core::UnixTime now)
{
    core::Grounds grounds{.kind = kind,
                          .origin = core::ListOrigin::configuration,
                          .place = config.file + ":" + source.position.text(),
                          .reason = source.reason,
                          .added = now};
    if (source.until)
        grounds.until = *source.until;
    return grounds;
}

/// What the configuration may list, and how that comes about.
struct Room {
    std::size_t entries_max;
    std::string setting;

    explicit Room(const core::ListPolicy &policy)
    {
        const auto kept = core::places_kept(policy);
        entries_max = policy.entries_max - kept;
        setting = "gate.lists_max";
        if (kept != 0)
            setting += " less " + std::to_string(kept) + " kept for protection and control";
    }
};

/// A mistake in the list has its place there; of a list that cannot be read, the place is that of
/// its name.
std::string list_mistake(const config::Config &config, const config::ListSource &source,
                         const Error &error)
{
    if (!error.message.starts_with("read " + *source.file))
        return error.message;
    return config.where(source.file_position) + error.message + ": expected a file of CIDR blocks";
}

Result<config::ListFile> load_file(const config::Config &config, const config::ListSource &source,
                                   core::ListKind kind, const core::ListPolicy &policy,
                                   const Room &room)
{
    const std::string &path = *source.file;
    config::ListRules rules{.blocks_max = room.entries_max, .blocks_setting = room.setting};
    if (kind == core::ListKind::block)
        rules.check = [&](const Block &block) { return core::check_width(block, policy); };
    auto file = config::load_list(path, rules);
    if (!file)
        return Error{list_mistake(config, source, file.error()), bad_configuration};
    if (file->blocks.empty())
        spdlog::warn("{}: there is no block in it", path);
    if (file->folded != 0)
        spdlog::info("{}: {} entries had host bits set, which were cleared", path, file->folded);
    return file;
}

Result<void> check_room(const config::Config &config, const config::ListSource &source,
                        std::size_t entries, const Room &room)
{
    if (entries <= room.entries_max)
        return {};
    return Error{config.where(source.position) + (source.file ? "with " + *source.file : "here") +
                     " there are " + std::to_string(entries) + " listed blocks: expected at most " +
                     room.setting + ", " + std::to_string(room.entries_max),
                 bad_configuration};
}

} // namespace

core::ListPolicy list_policy(const config::Config &config)
{
    return {.widest_ipv4 = config.lists.widest_ipv4,
            .widest_ipv6 = config.lists.widest_ipv6,
            .blocks_max = config.lists.blocks_max,
            .entries_max = config.gate.lists_max};
}

Result<ListsKeeper::Groups> load_list_groups(const config::Config &config,
                                             const core::ListPolicy &policy, core::UnixTime now)
{
    ListsKeeper::Groups groups;
    std::size_t entries = 0;
    const Room room{policy};
    const auto take = [&](const config::ListSource &source, core::ListKind kind) -> Result<void> {
        auto grounds = grounds_of(config, source, kind, now);
        groups.push_back({grounds, source.cidrs});
        entries += source.cidrs.size();
        if (!source.file)
            return check_room(config, source, entries, room);
        auto file = load_file(config, source, kind, policy, room);
        if (!file)
            return file.error();
        entries += file->blocks.size();
        if (const auto fits = check_room(config, source, entries, room); !fits)
            return fits;
        grounds.origin = core::ListOrigin::file;
        grounds.place = *source.file + " (" + grounds.place + ")";
        groups.push_back({std::move(grounds), std::move(file->blocks)});
        return {};
    };

    for (const auto &[sources, kind] : {std::pair{&config.allows, core::ListKind::allow},
                                        std::pair{&config.blocks, core::ListKind::block}})
        for (const auto &source : *sources)
            if (const auto taken = take(source, kind); !taken)
                return taken.error();
    return groups;
}

} // namespace tallygate::daemon
