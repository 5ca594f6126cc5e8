// SPDX-License-Identifier: BSD-2-Clause
//
// Which cards need which programs, and that they stay there. A card, which may lose its link for
// seconds when XDP comes or goes, notices nothing of a daemon that ends or begins: see hooks.hpp.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "core/seams.hpp"
#include "kernel/hooks.hpp"
#include "kernel/options.hpp"
#include "kernel/pins.hpp"
#include "kernel/program.hpp"

namespace tallygate::kernel {

/// Interfaces by their roles. On a host clients come in and answers go out by the same card.
/// With cards `inside` it is a gateway: answers come in there, and nothing watches them leave.
struct Cards {
    std::vector<std::string> interfaces;
    std::vector<std::string> inside;
    Attach attach = Attach::automatic;
};

/// That all of them exist, and carry frames that the gate can read.
Result<void> check_cards(const Cards &cards);

/// All attachments in one network namespace. Borrows the pins and the program.
class Attachments {
public:
    using Tcx = Hooks::Tcx;

    static Result<Attachments> open(const PinDir &pins, const Program &program,
                                    Tcx tcx = Tcx::allowed);

    /// Makes the attachments be exactly these: adopts what is in place, attaches what is
    /// missing, and then takes off what else is ours. After an error all is as it was before:
    /// the programs of another daemon, or of another layout, are back as well.
    Result<void> apply(const Cards &cards);

    enum class Occasion : std::uint8_t {
        news, ///< something happened to some interface
        time, ///< as it is done again and again
    };
    /// Attaches again where an attachment is lost and its interface is there; what cannot be had
    /// is tried again each `time`. The log is told once of a loss, of a reason why there is no
    /// way back, and of the return. Nothing is done after `tallygated detach`.
    void repair(Occasion occasion);

    /// As it is at this moment: looks at every attachment.
    std::vector<core::AttachmentStatus> status() const;
    bool empty() const { return cards_.empty(); }
    /// A sentence for each attachment that is not what it was.
    std::vector<std::string> problems() const;

private:
    struct Card {
        std::string interface;
        std::vector<Duty> duties;
        std::vector<Attached> attached{}; ///< one for each duty
        std::vector<std::string> told{};  ///< what is wrong with it, as it was logged
        std::string refusal{};            ///< why it could not be attached again, as it was logged
        int refused_ifindex = 0;          ///< the interface that this is about
    };

    Attachments(const PinDir &pins, Hooks hooks) : pins_(&pins), hooks_(hooks) {}

    using Undo = std::vector<std::function<void()>>;
    Result<void> attach(Card &card, Undo &undo) const;
    std::vector<std::string> problems_of(const Card &card) const;
    bool repair_card(Card &card, Occasion occasion);
    void take_off_unwanted() const;

    const PinDir *pins_;
    Hooks hooks_;
    Attach attach_ = Attach::automatic;
    std::vector<Card> cards_;
};

} // namespace tallygate::kernel
