// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/attachment.hpp"

#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/fd.hpp"
#include "base/log.hpp"

namespace tallygate::kernel {
namespace {

int index_of(const std::string &interface)
{
    return static_cast<int>(::if_nametoindex(interface.c_str()));
}

/// The gate reads frames that begin with an Ethernet header. A tunnel's begin with IP, and it
/// would count nothing there without a word.
Result<void> check_ethernet(const std::string &interface)
{
    const Fd any{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    ifreq request{};

    interface.copy(request.ifr_name, sizeof(request.ifr_name) - 1);
    if (::ioctl(any.get(), SIOCGIFHWADDR, &request) != 0)
        return Error::system("look at interface " + interface);
    const auto kind = request.ifr_hwaddr.sa_family;
    if (kind != ARPHRD_ETHER && kind != ARPHRD_LOOPBACK)
        return Error{"interface " + interface + " carries packets without an Ethernet header, as " +
                         "tunnels do: guard the card beneath it",
                     EOPNOTSUPP};
    return {};
}

Result<void> check_interface(const std::string &interface)
{
    if (index_of(interface) == 0)
        return Error{"interface " + interface + " does not exist", ENODEV};
    return check_ethernet(interface);
}

std::string list_ways(const std::vector<Attached> &attached)
{
    std::string text;
    for (const auto &one : attached)
        text += (text.empty() ? "" : ", ") + one.status.direction + " " + one.status.how;
    return text;
}

} // namespace

Result<void> check_cards(const Cards &cards)
{
    for (const auto *list : {&cards.interfaces, &cards.inside})
        for (const auto &interface : *list)
            if (const auto fits = check_interface(interface); !fits)
                return fits;
    return {};
}

Result<Attachments> Attachments::open(const PinDir &pins, const Program &program, Tcx tcx)
{
    const auto netns = current_netns();
    if (!netns)
        return netns.error();
    if (const auto opened = pins.open_links(); !opened)
        return opened.error();
    return Attachments{pins, Hooks{pins, program, *netns, tcx}};
}

Result<void> Attachments::attach(Card &card, Undo &undo) const
{
    if (const auto fits = check_interface(card.interface); !fits)
        return fits;
    const int ifindex = index_of(card.interface);

    card.attached.clear();
    // The last duty, which is on tc, first: XDP that comes and has to go again resets some cards.
    for (auto duty = card.duties.rbegin(); duty != card.duties.rend(); ++duty) {
        auto change = hooks_.put({card.interface, ifindex, *duty}, attach_);
        if (!change)
            return change.error();
        card.attached.insert(card.attached.begin(), std::move(change->attached));
        undo.push_back(std::move(change->undo));
    }
    return {};
}

Result<void> Attachments::apply(const Cards &wanted)
{
    const auto attach_before = attach_;
    std::vector<Card> cards;
    Undo undo;

    if (pins_->is_detached())
        return Error{"`tallygated detach` has taken the gate off: restart tallygated to attach"};
    for (const auto &interface : wanted.interfaces)
        cards.push_back({.interface = interface,
                         .duties = wanted.inside.empty() ? std::vector{Duty::ingress, Duty::egress}
                                                         : std::vector{Duty::ingress}});
    for (const auto &interface : wanted.inside)
        cards.push_back({.interface = interface, .duties = {Duty::inside}});

    attach_ = wanted.attach;
    for (auto &card : cards) {
        const auto attached = attach(card, undo);
        if (attached)
            continue;
        for (auto step = undo.rbegin(); step != undo.rend(); ++step)
            (*step)();
        attach_ = attach_before;
        return attached;
    }
    cards_ = std::move(cards);
    take_off_unwanted();
    return {};
}

void Attachments::take_off_unwanted() const
{
    std::vector<LinkName> kept;
    for (const auto &card : cards_)
        for (const auto &one : card.attached)
            kept.push_back(one.name);
    hooks_.take_off_all_but(kept);
}

/// None if the card is guarded as it was. An interface that has another name now still is.
std::vector<std::string> Attachments::problems_of(const Card &card) const
{
    const int ifindex = index_of(card.interface);
    std::vector<std::string> sentences;

    for (const auto &one : card.attached) {
        const bool is_ours = ifindex == 0 || ifindex == one.name.ifindex;
        if (is_ours && hooks_.is_in_place(one))
            continue;
        if (pins_->is_detached())
            return {card.interface +
                    ": `tallygated detach` has taken the gate off; restart tallygated to attach"};
        if (ifindex == 0)
            return {card.interface +
                    ": the interface is gone; nothing is counted until it is back"};
        if (!is_ours)
            return {card.interface + ": the interface is another one now"};
        sentences.push_back(card.interface + " " + one.status.direction +
                            ": our program was taken off");
    }
    return sentences;
}

void Attachments::repair(Occasion occasion)
{
    bool repaired = false;
    for (auto &card : cards_)
        repaired = repair_card(card, occasion) || repaired;
    // What was on the interface that is gone has pins yet.
    if (repaired)
        take_off_unwanted();
}

/// Whether anything was attached.
bool Attachments::repair_card(Card &card, Occasion occasion)
{
    const auto problems = problems_of(card);
    const int ifindex = index_of(card.interface);

    if (problems.empty() && !card.told.empty())
        spdlog::info("{} is guarded again", card.interface);
    if (!problems.empty() && card.told.empty()) {
        card.refusal.clear();
        for (const auto &one : card.attached)
            hooks_.unpin_dead(one);
    }
    if (problems.empty()) {
        card.told.clear();
        return false;
    }
    // An interface that goes may lose our program a moment before: then there is more to tell.
    if (card.told.empty() || ifindex == 0) {
        for (const auto &problem : problems)
            if (std::find(card.told.begin(), card.told.end(), problem) == card.told.end())
                spdlog::warn("{}", problem);
        card.told = problems;
    }
    if (ifindex == 0)
        card.refusal.clear();
    // An attempt may be news itself, and must not be the cause of the next one.
    const bool is_refused = card.refused_ifindex == ifindex && occasion == Occasion::news;
    if (ifindex == 0 || is_refused || pins_->is_detached())
        return false;

    Card again = card;
    Undo undo;
    const auto attached = attach(again, undo);
    // It may have begun meanwhile, and missed what is new.
    if (!attached || pins_->is_detached()) {
        for (auto step = undo.rbegin(); step != undo.rend(); ++step)
            (*step)();
        card.refused_ifindex = ifindex;
        if (!attached && attached.error().message != card.refusal) {
            card.refusal = attached.error().message;
            spdlog::warn("{} cannot be guarded again: {}", card.interface, card.refusal);
        }
        return false;
    }
    spdlog::info("{} is guarded again: {}", card.interface, list_ways(again.attached));
    card = Card{.interface = card.interface, .duties = card.duties, .attached = again.attached};
    return true;
}

std::vector<core::AttachmentStatus> Attachments::status() const
{
    std::vector<core::AttachmentStatus> all;
    for (const auto &card : cards_)
        for (const auto &one : card.attached) {
            const int ifindex = index_of(card.interface);
            all.push_back(one.status);
            all.back().in_place =
                (ifindex == 0 || ifindex == one.name.ifindex) && hooks_.is_in_place(one);
        }
    return all;
}

std::vector<std::string> Attachments::problems() const
{
    std::vector<std::string> all;
    for (const auto &card : cards_) {
        auto sentences = problems_of(card);
        if (!sentences.empty() && !card.refusal.empty())
            sentences.push_back(card.interface + " cannot be guarded again: " + card.refusal);
        all.insert(all.end(), sentences.begin(), sentences.end());
    }
    return all;
}

} // namespace tallygate::kernel
