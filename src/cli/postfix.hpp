// SPDX-License-Identifier: BSD-2-Clause
//
// A Postfix of this machine, as its own tools tell of it, and the change that lets another program
// answer on its anvil socket. docs/anvil.md.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace tallygate::cli {

/// How a path that should lead to anvil is answered.
enum class AnvilSocket { missing, nobody, silent, other_anvil, tallygate };

struct PostfixFacts {
    std::string version;
    std::string config_directory;
    std::string queue_directory;
    std::string time_unit;  ///< anvil_rate_time_unit, as it is written
    std::string anvil_line; ///< of master.cf, if it is in force
    /// Lines that keep others from adding anvil again, by their service: which are there.
    std::vector<std::string> guards;
    bool is_running = false;

    std::string master_cf() const { return config_directory + "/master.cf"; }
    std::string socket() const { return queue_directory + "/private/anvil"; }
    bool has_guards() const;
    /// master.cf has Postfix's own anvil, and neither nothing nor something that leads to us.
    bool has_own_anvil() const { return anvil_line.ends_with(" anvil"); }
    bool is_enabled() const { return anvil_line.empty() && has_guards(); }
    /// Nothing of ours is in it.
    bool is_stock() const { return !anvil_line.empty() && guards.empty(); }
    /// Since 3.6 Postfix waits for a greeting.
    bool waits_for_greeting() const;
};

class Postfix {
public:
    /// Of the instance with this configuration directory, or of the default one.
    explicit Postfix(std::string config_directory) : config_directory_(std::move(config_directory))
    {
    }

    /// Error code ENOENT: there is no Postfix.
    Result<PostfixFacts> look() const;

    /// What is to be done, in the words of a shell.
    std::vector<std::string> steps_to_enable(const PostfixFacts &facts) const;
    std::vector<std::string> steps_to_disable(const PostfixFacts &facts) const;

    /// Takes anvil out of master.cf, and puts lines there that keep `postfix upgrade-configuration`
    /// and Debian's package from adding it again. What fails leaves master.cf as it was.
    Result<void> enable(const PostfixFacts &facts) const;
    /// Puts master.cf back as it was; where somebody has changed it since, anvil's line alone.
    Result<void> disable(const PostfixFacts &facts) const;

    /// What one of its tools says; its own words are the error.
    Result<std::string> ask(std::vector<std::string> words) const;
    /// If it runs.
    Result<void> reload(const PostfixFacts &facts) const;

private:
    using Words = std::vector<std::string>;
    Result<void> make_edits(const std::vector<Words> &edits) const;
    std::vector<Words> edits_to_enable(const PostfixFacts &facts) const;
    std::vector<Words> edits_to_disable(const PostfixFacts &facts) const;

    std::string config_directory_;
};

/// Whether the daemon says that it answers on that socket.
enum class Claimed { no, yes };

/// Where master.cf has Postfix's own anvil it is asked nothing, unless the daemon claims the
/// socket: it would log each question as one that it does not know.
AnvilSocket look_at_socket(const PostfixFacts &facts, Claimed claimed = Claimed::no);

} // namespace tallygate::cli
