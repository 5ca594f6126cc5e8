// SPDX-License-Identifier: BSD-2-Clause
//
// Views over maps made for the test: what is found, walked and refused.
#include "kernel/map_view.hpp"

#include <gmock/gmock.h>
#include <tallygate/abi.h>

#include <algorithm>
#include <map>
#include <stdexcept>

#include "base/fd.hpp"

namespace tallygate::kernel {
namespace {

using testing::HasSubstr;

using Number = std::uint32_t;
using Wide = std::uint64_t;

Fd make_map(bpf_map_type type, std::size_t key_bytes, std::size_t value_bytes, Number entries_max,
            Number flags = 0)
{
    bpf_map_create_opts options{};
    options.sz = sizeof(options);
    options.map_flags = flags;
    Fd fd{bpf_map_create(type, "tgunit", static_cast<Number>(key_bytes),
                         static_cast<Number>(value_bytes), entries_max, &options)};
    EXPECT_TRUE(fd) << "are we root?";
    return fd;
}

TEST(MapViews, FindPutAndRemove)
{
    const auto fd = make_map(BPF_MAP_TYPE_HASH, 4, 8, 2);
    const auto view = MapView<Number, Wide>::open(fd.get(), "numbers");
    ASSERT_TRUE(view);
    EXPECT_EQ(view->entries_max(), 2U);

    ASSERT_TRUE(view->put(7, 70));
    ASSERT_TRUE(view->put(7, 71)) << "a second time replaces";
    EXPECT_EQ(**view->find(7), 71U);
    EXPECT_FALSE(view->find(8)->has_value());

    ASSERT_TRUE(view->put(8, 80));
    const auto full = view->put(9, 90);
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().message, "write to numbers: Argument list too long");

    EXPECT_TRUE(view->remove(7));
    EXPECT_TRUE(view->remove(7)) << "what is gone is gone";
    EXPECT_FALSE(view->find(7)->has_value());
}

TEST(MapViews, NameTheMapThatFails)
{
    const auto refused = MapView<Number, Wide>::open(-1, "numbers");
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("inspect map numbers"));

    auto fd = make_map(BPF_MAP_TYPE_HASH, 4, 8, 2);
    const auto view = MapView<Number, Wide>::open(fd.get(), "numbers");
    fd = Fd{};
    EXPECT_THAT(view->find(1).error().message, HasSubstr("look up in numbers"));
    EXPECT_THAT(view->remove(1).error().message, HasSubstr("remove from numbers"));
    EXPECT_THAT(view->for_each([](Number, Wide) {}).error().message, HasSubstr("walk numbers"));
}

TEST(MapViews, RefuseAnotherShape)
{
    const auto fd = make_map(BPF_MAP_TYPE_ARRAY, 4, 16, 2);
    const auto another = MapView<Number, Wide>::open(fd.get(), "numbers");
    ASSERT_FALSE(another);
    EXPECT_EQ(another.error().code, EPROTO);
    EXPECT_THAT(another.error().message, HasSubstr("another version"));
    EXPECT_FALSE((MapView<Wide, tg_pending>::open(fd.get(), "numbers")));
    EXPECT_FALSE(PerCpuView<Wide>::open(fd.get(), "numbers"));
    EXPECT_FALSE(MappedArray<Wide>::open(fd.get(), "numbers"));
}

MapView<Number, Wide> open_numbers(int fd)
{
    auto view = MapView<Number, Wide>::open(fd, "numbers");
    if (!view)
        throw std::runtime_error(view.error().message);
    return std::move(*view);
}

struct WalkCase {
    const char *name;
    bpf_map_type type;
    Number entries;
    Number batch;
};

class Walks : public testing::TestWithParam<WalkCase> {};

TEST_P(Walks, VisitEveryEntryOnce)
{
    const auto &row = GetParam();
    const auto fd = make_map(row.type, 4, 8, std::max(row.entries, 1U));
    const auto view = open_numbers(fd.get());
    for (Number i = 0; i < row.entries; i++)
        ASSERT_TRUE(view.put(i, Wide{i} * 3));

    std::map<Number, Wide> seen;
    Number visits = 0;
    MapView<Number, Wide>::Position position;
    while (!position.finished) {
        ASSERT_TRUE(view.visit_some(position, row.batch, [&](Number key, Wide value) {
            seen[key] = value;
            visits++;
        }));
        ASSERT_LE(visits, row.entries);
    }
    EXPECT_EQ(visits, row.entries);
    ASSERT_EQ(seen.size(), row.entries);
    for (Number i = 0; i < row.entries; i++)
        EXPECT_EQ(seen.at(i), Wide{i} * 3);
}

TEST_P(Walks, AnswerAsForEachDoes)
{
    const auto &row = GetParam();
    const auto fd = make_map(row.type, 4, 8, std::max(row.entries, 1U));
    const auto view = open_numbers(fd.get());
    Wide expected = 0;
    for (Number i = 0; i < row.entries; i++) {
        ASSERT_TRUE(view.put(i, Wide{i} + 1));
        expected += Wide{i} + 1;
    }
    Wide sum = 0;
    ASSERT_TRUE(view.for_each([&](Number, Wide value) { sum += value; }));
    EXPECT_EQ(sum, expected);
}

// clang-format off
const WalkCase walk_cases[] = {
    {"an empty hash",                           BPF_MAP_TYPE_HASH,         0,    16},
    {"a hash of one",                           BPF_MAP_TYPE_HASH,         1,    16},
    {"a hash in many slices",                   BPF_MAP_TYPE_HASH,      3000,    64},
    {"slices that are smaller than a bucket",   BPF_MAP_TYPE_HASH,      3000,     1},
    {"a slice larger than the hash",            BPF_MAP_TYPE_HASH,        10,  4096},
    {"the claims' kind of table",               BPF_MAP_TYPE_LRU_HASH,   100,     7},
    {"an array in even slices",                 BPF_MAP_TYPE_ARRAY,       64,    16},
    {"an array with a rest",                    BPF_MAP_TYPE_ARRAY,       65,    16},
    {"an array of one slice",                   BPF_MAP_TYPE_ARRAY,     4096,  4096},
};
// clang-format on

std::string words_of(const testing::TestParamInfo<WalkCase> &row)
{
    std::string words = row.param.name;
    std::replace_if(
        words.begin(), words.end(), [](char c) { return c == ' ' || c == '\''; }, '_');
    return words;
}

INSTANTIATE_TEST_SUITE_P(MapViews, Walks, testing::ValuesIn(walk_cases), words_of);

TEST(MapViews, SumOverTheCpus)
{
    const auto fd = make_map(BPF_MAP_TYPE_PERCPU_ARRAY, 4, sizeof(tg_tally), 3);
    const auto view = PerCpuView<tg_tally>::open(fd.get(), "tallies");
    ASSERT_TRUE(view);
    const auto cpus = static_cast<std::size_t>(libbpf_num_possible_cpus());
    std::vector<tg_tally> values(cpus);
    for (std::size_t i = 0; i < cpus; i++)
        values[i].syn = i + 1;
    const Number second = 1;
    ASSERT_EQ(bpf_map_update_elem(fd.get(), &second, values.data(), BPF_ANY), 0);

    ASSERT_EQ(view->at(1).size(), cpus);
    for (std::size_t i = 0; i < cpus; i++)
        EXPECT_EQ(view->at(1)[i].syn, i + 1);
    EXPECT_EQ(view->at(0)[0].syn, 0U);
    EXPECT_TRUE(view->at(3).empty()) << "out of range";
}

TEST(MappedArrays, AreTheMapItself)
{
    const Number count = 1000; // more than a page, and not a whole number of pages
    const auto fd = make_map(BPF_MAP_TYPE_ARRAY, 4, sizeof(tg_source), count, BPF_F_MMAPABLE);
    auto array = MappedArray<tg_source>::open(fd.get(), "sources");
    ASSERT_TRUE(array);
    EXPECT_EQ(array->entries_max(), count);

    tg_source source{};
    source.tally.opened = 9;
    for (const Number slot : {0U, 77U, count - 1}) {
        ASSERT_EQ(bpf_map_update_elem(fd.get(), &slot, &source, BPF_ANY), 0);
        EXPECT_EQ((*array)[slot].tally.opened, 9U) << slot;
        (*array)[slot].used = 5;
        tg_source read{};
        ASSERT_EQ(bpf_map_lookup_elem(fd.get(), &slot, &read), 0);
        EXPECT_EQ(read.used, 5U) << slot;
    }

    const auto moved = std::move(*array);
    EXPECT_EQ(moved[77].tally.opened, 9U);
}

TEST(MappedArrays, NeedAMapThatCanBeMapped)
{
    const auto fd = make_map(BPF_MAP_TYPE_ARRAY, 4, sizeof(tg_source), 10);
    const auto refused = MappedArray<tg_source>::open(fd.get(), "sources");
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("map sources into memory"));
}

} // namespace
} // namespace tallygate::kernel
