// SPDX-License-Identifier: BSD-2-Clause
//
// What a verb of the command line is: a request to the daemon, and a way to show its answer.
// Each verb is a constant in a file of its own; verb.cpp has the table of them.
#pragma once

#include <boost/json/fwd.hpp>

#include <map>
#include <span>
#include <string>
#include <vector>

#include "cli/command_line.hpp"

namespace tallygate::cli {

/// What is wrong with the text of an argument, in a sentence; empty if nothing is.
using Check = std::string (*)(const std::string &text);

struct Argument {
    enum class Given { must, may };

    const char *shown;     ///< "CIDR", "--service S", or "--dry-run", which is given or not
    const char *parameter; ///< its name in the daemon's query
    const char *help;
    Given given = Given::may;
    Check check = nullptr;
    const char *excludes = nullptr; ///< another option: "--service"

    bool is_option() const { return shown[0] == '-'; }
    bool is_flag() const
    {
        return is_option() && std::string(shown).find(' ') == std::string::npos;
    }
};

/// A word before several verbs: "block" of "block add" and "block remove".
struct Group {
    const char *name;
    const char *help;
};

class Talk;

/// Arguments that were given, by their parameter's name.
using Values = std::map<std::string, std::string>;

struct Verb {
    enum class Method { get, post, put, remove };

    const char *name;
    const char *help;
    Method method;
    const char *path; ///< with what is asked in any case: "/v1/lists?kind=block"
    std::vector<Argument> arguments;
    /// Plain text for a reader, with its last newline.
    std::string (*show)(const boost::json::object &answer);
    const Group *group = nullptr;
    /// A write tells the daemon where whoever is at work here comes from, so that it never drops
    /// him. Not what programs write.
    bool tells_operator = true;
    /// All of it, for a verb that asks more than once, or not the daemon alone: in place of method,
    /// path and show.
    Outcome (*act)(Talk &talk, const Values &values, bool as_json) = nullptr;

    /// "block add"
    std::string full_name() const;
};

/// All verbs, in the order of the help.
std::span<const Verb *const> all_verbs();

extern const Verb status_verb;
extern const Verb live_verb;
extern const Verb count_verb;
extern const Verb event_verb;
extern const Verb top_verb;
extern const Verb watch_verb;
extern const Verb networks_verb;
extern const Verb limits_verb;
extern const Verb explain_verb;
extern const Verb block_add_verb;
extern const Verb block_remove_verb;
extern const Verb block_list_verb;
extern const Verb allow_add_verb;
extern const Verb allow_remove_verb;
extern const Verb allow_list_verb;
extern const Verb mode_verb;
extern const Verb reload_verb;
extern const Verb audit_show_verb;
extern const Verb audit_count_verb;
extern const Verb audit_add_verb;
extern const Verb audit_subtract_verb;
extern const Verb audit_delete_verb;
extern const Verb audit_define_verb;
extern const Verb audit_undefine_verb;
extern const Verb audit_load_verb;
extern const Verb postfix_enable_anvil_verb;
extern const Verb postfix_disable_anvil_verb;
extern const Verb postfix_status_verb;
extern const Verb postfix_enable_policy_verb;
extern const Verb postfix_disable_policy_verb;
/// "audit"
extern const Group audit_group;
/// "postfix"
extern const Group postfix_group;

/// Checks for arguments that need no daemon to be found wrong.
std::string check_block(const std::string &text);
std::string check_listener(const std::string &text);
/// How large a number may be, the daemon knows and says.
std::string check_number(const std::string &text);
std::string check_address(const std::string &text);
std::string check_span(const std::string &text);
std::string check_mode(const std::string &text);
std::string check_reason(const std::string &text);

} // namespace tallygate::cli
