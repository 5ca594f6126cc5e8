// SPDX-License-Identifier: BSD-2-Clause
//
// Brings the lists to the gate: those of the configuration all at once, made aside and swapped;
// those of control one by one, kept over a restart and taken off when they end; and above them
// the addresses that are never dropped.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <future>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "core/audit.hpp"
#include "core/lists.hpp"
#include "core/policy.hpp"
#include "core/seams.hpp"
#include "daemon/audit_log.hpp"
#include "daemon/state_file.hpp"
#include "frontend/actions.hpp"
#include "frontend/daemon_facts.hpp"

namespace tallygate::daemon {

class ListsKeeper {
public:
    using Groups = std::vector<core::FixedLists::Group>;
    /// Puts what was built in force. On the loop.
    using Publish = std::function<Result<void>()>;
    /// Builds, beside the lists in force. On any thread.
    using Build = std::function<Result<Publish>(const std::vector<core::ListNode> &)>;
    struct Protected {
        Block block;
        std::string reason; ///< "address of eth0"
    };

    static constexpr std::size_t operators_max = 64;

    /// Borrows clock and audit log.
    ListsKeeper(const std::string &dir, const core::Clock &clock, AuditLog &audit);

    /// Takes up what control had set, and brings everything to the gate before it returns.
    /// Borrows the gate.
    Result<void> start(core::Gate &gate, Build build, core::ListPolicy policy, Groups groups);
    /// At a reload: the new lists are made by a thread, and in force some ticks later.
    void take(core::ListPolicy policy, Groups groups);

    /// Puts these in the place of those it was told before.
    void protect(std::vector<Protected> addresses);
    /// For as long as this lives, besides. Of too many those are forgotten that were told longest
    /// ago.
    void protect_operator(const Address &address);

    /// As frontend::Actions has them.
    Result<core::ListEntry> add(const frontend::WantedEntry &wanted, const core::Requester &who);
    Result<core::ListEntry> remove(core::ListKind kind, const Block &block,
                                   const core::Requester &who);

    /// To be called several times in a second: what has ended goes, what is built is swapped.
    void tick();
    /// Waits for what is under way. Before the daemon ends, and for tests.
    void finish();

    const core::Lists &lists() const { return lists_; }
    /// What was taken last.
    bool are_in_force() const { return !swap_.valid() && !problem_; }
    frontend::ListFacts facts() const;
    std::vector<std::string> warnings() const;

private:
    struct Built {
        core::Lists lists; ///< as they were when it began, with the new fixed ones
        Result<Publish> publish;
        std::chrono::nanoseconds took{0};
    };

    static Built make(core::Lists lists, Groups groups, const Build &build);
    void begin_swap(Groups groups);
    void end_swap(Built built);
    Result<void> put_in_force(Built &built);
    Result<void> catch_up();
    Result<void> tell_gate(const core::Lists::Change &change, const std::vector<Block> &touched);
    std::string counts_text() const;
    std::vector<core::ListEntry> protection() const;
    void apply_protection();
    void expire();
    void watch_breaker();
    void load();
    void drop_too_wide(std::vector<core::ListEntry> &entries);
    void save();
    void note(const core::Requester &who, const char *action, const Block &block,
              std::pair<std::string, std::string> from_to, std::string result);

    StateFile file_;
    const core::Clock &clock_;
    AuditLog &audit_;
    core::Gate *gate_ = nullptr; ///< borrowed
    Build build_;
    core::ListPolicy policy_;
    core::Lists lists_;
    std::vector<Protected> own_;
    std::deque<Address> operators_; ///< who was told last is the last
    core::UnixTime begun_;

    std::future<Built> swap_;
    std::optional<Groups> next_groups_;  ///< came while a swap was under way
    std::vector<Block> touched_;         ///< changed since the swap began, and not yet in it
    std::optional<std::string> problem_; ///< of the last swap
    std::optional<std::string> protection_problem_;
    std::optional<std::string> loading_problem_; ///< until a reload
    std::optional<core::UnixTime> swapped_at_;
    std::chrono::nanoseconds swap_last_{0};
    bool was_breaker_open_ = false;
};

} // namespace tallygate::daemon
