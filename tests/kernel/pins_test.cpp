// SPDX-License-Identifier: BSD-2-Clause
//
// The pin directory: one daemon at a time, all maps or none, and nothing but ours removed.
#include "kernel/pins.hpp"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "kernel/sandbox.hpp"

namespace tallygate::test {
namespace {

using kernel::LinkName;
using kernel::PinDir;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string layout = "v" + std::to_string(TG_ABI_VERSION);

Fd make_number_map()
{
    return Fd{bpf_map_create(BPF_MAP_TYPE_ARRAY, "tgunit", 4, 8, 1, nullptr)};
}

std::uint32_t map_id(int fd)
{
    bpf_map_info info{};
    std::uint32_t size = sizeof(info);
    EXPECT_EQ(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
    return info.id;
}

class Pins : public PinTest {
protected:
    void make_directory(const std::string &below) const
    {
        ASSERT_EQ(::mkdir((pin_dir() + below).c_str(), 0700), 0) << below;
    }

    void pin_number_map(const std::string &below) const
    {
        const auto fd = make_number_map();
        ASSERT_EQ(bpf_obj_pin(fd.get(), (pin_dir() + below).c_str()), 0) << below;
    }
};

TEST_F(Pins, AreLockedAgainstASecondDaemon)
{
    {
        const auto first = must(PinDir::lock(pin_dir()));
        const auto second = PinDir::lock(pin_dir());
        EXPECT_EQ(message_of(second), "another tallygated holds " + pin_dir() +
                                          ": stop it, or give this one a gate.pin_dir of its own");
    }
    EXPECT_TRUE(PinDir::lock(pin_dir())) << "the first has ended";
}

TEST_F(Pins, StayLockedWhenTheOwnerMoves)
{
    auto first = must(PinDir::lock(pin_dir()));
    const auto moved = std::make_unique<PinDir>(std::move(first));
    EXPECT_FALSE(PinDir::lock(pin_dir()));
}

TEST_F(Pins, NeedABpfFileSystem)
{
    for (const std::string path : {"/tmp", "/tmp/not/there", "/proc/pins"}) {
        EXPECT_THAT(message_of(PinDir::lock(path)), HasSubstr("mount -t bpf bpf /sys/fs/bpf"));
        EXPECT_THAT(message_of(kernel::detach_all(path)), HasSubstr("is not on a BPF file system"));
    }
    EXPECT_FALSE(std::filesystem::exists("/tmp/not"));
}

TEST_F(Pins, NeedADirectoryToBeMadeIn)
{
    EXPECT_THAT(message_of(PinDir::lock(pin_dir() + "/deep/deeper")),
                HasSubstr("make directory " + pin_dir() + "/deep/deeper"));
    must(PinDir::lock(pin_dir()));
    pin_number_map("/file");
    EXPECT_THAT(message_of(PinDir::lock(pin_dir() + "/file")), HasSubstr("/file"));
}

TEST_F(Pins, PublishTheirMapsAtOnce)
{
    const auto pins = must(PinDir::lock(pin_dir()));
    EXPECT_FALSE(pins.has_layout());
    EXPECT_EQ(pins.layout_path(), pin_dir() + "/" + layout);

    const auto one = make_number_map();
    const auto two = make_number_map();
    must(pins.publish({{"one", one.get()}, {"two", two.get()}}));
    EXPECT_TRUE(pins.has_layout());
    EXPECT_THAT(kernel::list_directory(pin_dir()), ElementsAre(layout));
    EXPECT_THAT(kernel::list_directory(pins.layout_path()), ElementsAre("links", "one", "two"));
    EXPECT_THAT(kernel::list_directory(pins.links_path()), IsEmpty());

    const Fd again{bpf_obj_get(pins.map_path("two").c_str())};
    EXPECT_EQ(map_id(again.get()), map_id(two.get()));
}

TEST_F(Pins, AreNotPublishedByHalves)
{
    const auto pins = must(PinDir::lock(pin_dir()));
    const auto one = make_number_map();
    const auto refused = pins.publish({{"one", one.get()}, {"two", -1}});
    EXPECT_THAT(message_of(refused), HasSubstr("pin map two"));
    EXPECT_FALSE(pins.has_layout());
}

TEST_F(Pins, ReplaceWhatACrashLeftHalfDone)
{
    const auto pins = must(PinDir::lock(pin_dir()));
    make_directory("/" + layout + "-new");
    make_directory("/" + layout + "-new/links");
    pin_number_map("/" + layout + "-new/one");
    pin_number_map("/" + layout + "-new/stale");

    const auto one = make_number_map();
    must(pins.publish({{"one", one.get()}}));
    EXPECT_THAT(kernel::list_directory(pin_dir()), ElementsAre(layout));
    EXPECT_THAT(kernel::list_directory(pins.layout_path()), ElementsAre("links", "one"));
    const Fd again{bpf_obj_get(pins.map_path("one").c_str())};
    EXPECT_EQ(map_id(again.get()), map_id(one.get()));
}

TEST_F(Pins, ReplaceAnEmptyDirectoryOfACrash)
{
    const auto pins = must(PinDir::lock(pin_dir()));
    make_directory("/" + layout + "-new");
    must(pins.publish({}));
    EXPECT_TRUE(pins.has_layout());
}

TEST_F(Pins, TellOfOtherLayouts)
{
    const auto pins = must(PinDir::lock(pin_dir()));
    for (const auto *name : {"/v0", "/v99", "/v98-new", "/vx", "/v", "/1v", "/v1b", "/others"})
        make_directory(name);
    make_directory("/" + layout);
    make_directory("/" + layout + "-new");
    EXPECT_THAT(pins.other_layouts(), ElementsAre("v0", "v98-new", "v99"));
}

TEST_F(Pins, AreAllRemovedByDetach)
{
    {
        const auto pins = must(PinDir::lock(pin_dir()));
        const auto one = make_number_map();
        must(pins.publish({{"one", one.get()}}));
        make_directory("/v99");
        make_directory("/v99/links");
        pin_number_map("/v99/old");
        make_directory("/v99-new");
    }
    const auto done = must(kernel::detach_all(pin_dir()));
    EXPECT_EQ(done.size(), 3U);
    EXPECT_THAT(done, testing::Contains("removed the maps in " + pin_dir() + "/" + layout));
    EXPECT_FALSE(std::filesystem::exists(pin_dir())) << "it was ours alone";
}

TEST_F(Pins, LeaveStrangersBesideThemAlone)
{
    must(PinDir::lock(pin_dir()));
    make_directory("/" + layout);
    pin_number_map("/" + layout + "/one");
    make_directory("/others");
    pin_number_map("/others/theirs");
    pin_number_map("/v1file");

    must(kernel::detach_all(pin_dir()));
    EXPECT_THAT(kernel::list_directory(pin_dir()), ElementsAre("others", "v1file"));
    EXPECT_THAT(kernel::list_directory(pin_dir() + "/others"), ElementsAre("theirs"));
}

TEST_F(Pins, ThatAreNotThereNeedNoDetaching)
{
    EXPECT_THAT(must(kernel::detach_all(pin_dir())), IsEmpty());
    EXPECT_THAT(must(kernel::detach_all(pin_dir() + "/below")), IsEmpty());
    must(PinDir::lock(pin_dir()));
    EXPECT_THAT(must(kernel::detach_all(pin_dir())), IsEmpty());
    EXPECT_TRUE(std::filesystem::exists(pin_dir())) << "nothing in it says that it is ours";
}

TEST(LinkNames, ReadBackAsTheyAreWritten)
{
    const LinkName name{4026531840, 7, "tcx_egress"};
    EXPECT_EQ(name.text(), "4026531840-7-tcx_egress");
    const auto read = must(LinkName::parse(name.text()));
    EXPECT_EQ(read.netns, name.netns);
    EXPECT_EQ(read.ifindex, 7);
    EXPECT_EQ(read.kind, "tcx_egress");
}

TEST(LinkNames, AreNothingElse)
{
    for (const auto *text : {"", "xdp", "7", "7-", "7-8", "7-8-", "-7-8-xdp", "7-x-xdp", "x-8-xdp",
                             "99999999999999999999-8-xdp", "7-99999999999-xdp"})
        EXPECT_FALSE(LinkName::parse(text)) << text;
}

TEST(NetworkNamespaces, HaveNumbersOfTheirOwn)
{
    const auto home = must(kernel::current_netns());
    EXPECT_EQ(must(kernel::current_netns()), home);
    {
        const OwnNetwork network;
        EXPECT_NE(must(kernel::current_netns()), home);
    }
    EXPECT_EQ(must(kernel::current_netns()), home);
}

} // namespace
} // namespace tallygate::test
