// SPDX-License-Identifier: BSD-2-Clause
//
// Asks the ledger what the configured checks count of a client, and says what policy is advised
// to do. Pure.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/check.hpp"
#include "core/question.hpp"

namespace tallygate::core {

/// Whom a policy is about to let in, as far as it is known when it asks.
struct CheckSubject {
    Address address;
    std::optional<std::string> service = {}; ///< none: nobody knows
    std::string state = {};                  ///< empty: any
    std::string sender = {};
    std::string recipient = {};
    std::string user = {};
    /// The same for all questions about one message; empty: none yet.
    std::string instance = {};
};

/// What one check found.
struct CheckFinding {
    std::string check = {}; ///< its name; empty: no check is exceeded
    CheckAction action = CheckAction::pass;
    std::chrono::seconds delay{0};
    std::string of = {}; ///< the block or the key: "192.0.2.0/24"; printable ASCII
    std::int64_t count = 0;
    std::uint64_t max = 0;
    std::string text = {}; ///< names all of that; printable ASCII

    bool is_exceeded() const { return !check.empty(); }
};

struct CheckDecision {
    CheckFinding finding = {};
    CheckFinding reported = {}; ///< the first that is exceeded of those that only report
};

struct CheckCounts {
    std::uint64_t exceeded_total = 0;
    std::uint64_t failed_total = 0; ///< passed, because there was no answer
};

/// Borrows everything. The first check that is exceeded and refuses is the one that counts; if
/// none refuses, the first that is exceeded. Where an answer has bounds it is the lower one that
/// must be over the limit, and what has no answer passes.
///
/// All questions about one message get the same answer, apart from checks by recipient: what was
/// found for an instance is remembered, of the last messages_max.
class Checks {
public:
    static constexpr std::size_t checks_max = 100;
    static constexpr std::size_t messages_max = 10'000;
    static constexpr std::size_t instance_bytes_max = 128; ///< a longer one is not remembered

    /// What the checks need to know besides what the ledger counts.
    struct Others {
        std::function<bool(const Address &)> is_allowed;
        /// Adds one to the check's series under that key, and answers what its windows have then.
        std::function<Result<std::int64_t>(const Check &, const std::string &key)> add_and_count;
    };

    Checks(Questions &questions, Others others);

    /// Replaced at a reload. At most checks_max. Counts of those whose names stay go on.
    void set_checks(std::vector<Check> checks);

    CheckDecision decide(const CheckSubject &subject);

    /// In the order of the configuration, by name.
    std::vector<std::pair<std::string, CheckCounts>> counts() const;

private:
    struct Slot {
        Check check;
        CheckCounts counts;
    };
    /// What was counted for a message, by the check's place.
    struct Message {
        std::string instance;
        std::vector<std::optional<std::int64_t>> counted;
    };
    using Messages = std::list<Message>; ///< the one asked about last first

    bool applies(const Check &check, const CheckSubject &subject, bool is_allowed) const;
    Message *message_of(const CheckSubject &subject);
    std::optional<std::int64_t> count(std::size_t place, const CheckSubject &subject,
                                      Message *message);
    Result<std::int64_t> ask(const Check &check, const CheckSubject &subject);

    Questions &questions_;
    Others others_;
    std::vector<Slot> slots_;
    Messages messages_;
    std::unordered_map<std::string_view, Messages::iterator> by_instance_;
};

} // namespace tallygate::core
