// SPDX-License-Identifier: BSD-2-Clause
//
// How many ways of the claims are taken, of tables that are pinned: a figure about the gate says
// nothing if that table was empty.
//
//     claims_fill PIN_DIR
#include <bpf/bpf.h>
#include <sys/mman.h>
#include <tallygate/abi.h>

#include <cstdint>
#include <cstdio>
#include <string>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace tallygate::bench {
namespace {

Result<void> print_fill(const std::string &pin_dir)
{
    const auto path = pin_dir + "/v" + std::to_string(TG_ABI_VERSION) + "/claims";
    const Fd map(bpf_obj_get(path.c_str()));
    bpf_map_info info{};
    std::uint32_t info_bytes = sizeof(info);

    if (!map)
        return Error::system("open " + path);
    if (bpf_obj_get_info_by_fd(map.get(), &info, &info_bytes) != 0)
        return Error::system("ask about " + path);
    const std::size_t bytes = info.max_entries * sizeof(tg_claims);
    void *memory = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, map.get(), 0);
    if (memory == MAP_FAILED)
        return Error::system("map " + path);
    const auto *buckets = static_cast<const tg_claims *>(memory);
    std::uint64_t taken = 0;
    for (std::uint32_t index = 0; index < info.max_entries; index++)
        for (const auto &state : buckets[index].states)
            taken += state.word != 0;
    std::printf("{\"taken\": %llu, \"ways\": %llu}\n", static_cast<unsigned long long>(taken),
                static_cast<unsigned long long>(info.max_entries) * TG_BUCKET_WAYS);
    ::munmap(memory, bytes);
    return {};
}

} // namespace
} // namespace tallygate::bench

int main(int count, char **words)
{
    if (count != 2) {
        std::fprintf(stderr, "usage: claims_fill PIN_DIR\n");
        return 2;
    }
    const auto done = tallygate::bench::print_fill(words[1]);
    if (done)
        return 0;
    std::fprintf(stderr, "claims_fill: %s\n", done.error().message.c_str());
    return 1;
}
