// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/repeats.hpp"

#include <algorithm>
#include <optional>

#include "kernel/convert.hpp"

namespace tallygate::kernel {
namespace {

/// A SYN of a batch. Its IPv6 prefix has heard of it, its claim perhaps not.
Residual residual_of(const tg_waiting_syn &syn)
{
    const auto address = to_address(syn.key.addr);
    const bool is_rejected = syn.bucket != Residual::no_bucket;
    return {.prefix = prefix_word(address),
            .prefix_syn = address.is_ipv4() ? 1U : 0U,
            .source = syn.key,
            .place = RepeatsReader::no_place,
            .bucket = syn.bucket,
            .rejected = is_rejected ? 1U : 0U};
}

void add_waiting(const volatile tg_batch &batch, std::vector<Residual> &found)
{
    const auto count = __atomic_load_n(&batch.count, __ATOMIC_ACQUIRE);

    for (std::uint32_t i = 0; i < std::min<std::uint32_t>(count, TG_BATCH_SYNS); i++) {
        tg_waiting_syn syn{};
        for (std::size_t word = 0; word < 4; word++)
            syn.key.addr.words[word] = batch.syns[i].key.addr.words[word];
        syn.key.service = batch.syns[i].key.service;
        syn.bucket = batch.syns[i].bucket;
        found.push_back(residual_of(syn));
    }
}

} // namespace

std::optional<tg_repeat> read_repeat(const volatile tg_repeat &repeat)
{
    const auto sequence = __atomic_load_n(&repeat.sequence, __ATOMIC_ACQUIRE);
    tg_repeat copy{};

    // The counts first: as long as one is not 0, whose it is does not change but under another
    // sequence number.
    copy.prefix_syn = __atomic_load_n(&repeat.prefix_syn, __ATOMIC_ACQUIRE);
    copy.rejected = __atomic_load_n(&repeat.rejected, __ATOMIC_ACQUIRE);
    copy.prefix = repeat.prefix;
    for (std::size_t i = 0; i < 4; i++)
        copy.client.words[i] = repeat.client.words[i];
    copy.service = repeat.service;
    copy.network = repeat.network;
    copy.place = repeat.place;
    copy.verdict = repeat.verdict;
    copy.limit = repeat.limit;
    copy.is_proven = repeat.is_proven;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (sequence % 2 != 0 || repeat.sequence != sequence)
        return std::nullopt;
    return copy;
}

std::uint64_t prefix_word(const Address &address)
{
    std::uint64_t word = 0;
    if (address.is_ipv4()) {
        for (std::size_t i = 12; i < 15; i++)
            word = word << 8 | address.bytes[i];
        return word << 8 | is_ipv4_bit;
    }
    for (std::size_t i = 0; i < 6; i++)
        word = word << 8 | address.bytes[i];
    return word << 16 | 1;
}

Result<RepeatsReader> RepeatsReader::open(const Program &program)
{
    auto repeats = MappedArray<tg_repeat>::open(program.map_fd("repeats"), "repeats");
    if (!repeats)
        return repeats.error();
    auto batches = MappedArray<tg_batch>::open(program.map_fd("batches"), "batches");
    if (!batches)
        return batches.error();
    return RepeatsReader{std::move(*repeats), std::move(*batches),
                         program.constants().ipv6_source_mask};
}

/// As source_key_of() in bpf/sources.h.
tg_source_key RepeatsReader::cut_to_source(tg_source_key client) const
{
    if (!to_address(client.addr).is_ipv4())
        for (std::size_t i = 0; i < ipv6_source_mask_.size(); i++)
            client.addr.words[2 + i] &= ipv6_source_mask_[i];
    return client;
}

std::vector<Residual> RepeatsReader::read() const
{
    std::vector<Residual> found;
    for (std::uint32_t i = 0; i < repeats_.entries_max(); i++) {
        if (repeats_[i].prefix_syn == 0 && repeats_[i].rejected == 0)
            continue;
        const auto slot = read_repeat(repeats_[i]);
        if (!slot)
            continue;
        if (slot->prefix_syn != 0)
            found.push_back({.prefix = slot->prefix, .prefix_syn = slot->prefix_syn});
        if (slot->rejected != 0)
            found.push_back({.prefix = prefix_word(to_address(slot->client)),
                             .prefix_syn = slot->rejected,
                             .source = cut_to_source(
                                 {.addr = slot->client, .service = slot->service, .reserved = 0}),
                             .place = slot->place,
                             .is_proven = slot->is_proven != 0,
                             .rejected = slot->rejected});
    }
    for (std::uint32_t cpu = 0; cpu < batches_.entries_max(); cpu++)
        read_batch(batches_[cpu], found);
    return found;
}

/// All of a batch. One that is just moving is waited for: that takes microseconds. If the CPU that
/// moves it has been stopped meanwhile, it is left out.
void RepeatsReader::read_batch(const volatile tg_batch &batch, std::vector<Residual> &found) const
{
    constexpr int tries_max = 64;
    const auto before = found.size();

    for (int i = 0; i < tries_max; i++) {
        const auto sequence = __atomic_load_n(&batch.sequence, __ATOMIC_ACQUIRE);
        add_waiting(batch, found);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (sequence % 2 == 0 && batch.sequence == sequence)
            return;
        found.resize(before);
    }
}

} // namespace tallygate::kernel
