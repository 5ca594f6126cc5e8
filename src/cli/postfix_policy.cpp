// SPDX-License-Identifier: BSD-2-Clause
#include "cli/postfix_policy.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

namespace tallygate::cli {
namespace {

constexpr std::string_view verb = "check_policy_service";
constexpr std::string_view server = "unix:tallygate/policy";
// Without default_action Postfix refuses everybody while nobody answers.
constexpr std::string_view question =
    "check_policy_service { unix:tallygate/policy, timeout=5s, try_limit=1, default_action=DUNNO }";
constexpr std::string_view separator = ", ";
// No comma in between: so this is told from what its operator wrote, when it is taken out. With
// two blanks it stands in a setting that was there, and empty.
constexpr std::string_view alone_before = "permit_mynetworks ";
constexpr std::string_view alone_in_empty_before = "permit_mynetworks  ";
// Nothing that stands behind one of these is asked.
constexpr std::array<std::string_view, 3> last_words = {"permit", "reject", "defer"};

bool is_blank(char each)
{
    return each == ' ' || each == '\t' || each == '\r' || each == '\n';
}

bool is_separator(char each)
{
    return is_blank(each) || each == ',';
}

/// A part of a text, by its places.
struct Span {
    std::size_t begin = 0;
    std::size_t end = 0;

    std::string_view of(std::string_view text) const { return text.substr(begin, end - begin); }
};

/// From the place on, with its end.
Span line_at(std::string_view text, std::size_t begin)
{
    const auto end = text.find('\n', begin);
    return {begin, end == std::string_view::npos ? text.size() : end + 1};
}

/// Comments and empty lines may stand between the lines of a setting.
bool says_nothing(std::string_view line)
{
    const auto first = std::ranges::find_if_not(line, is_blank);
    return first == line.end() || *first == '#';
}

/// Whether the setting begins in the line; if so, where its value does.
std::optional<std::size_t> value_in(std::string_view line, std::string_view name)
{
    if (!line.starts_with(name))
        return std::nullopt;
    const auto equals = line.find_first_not_of(" \t", name.size());
    if (equals == std::string_view::npos || line[equals] != '=')
        return std::nullopt;
    return equals + 1;
}

struct Setting {
    Span all;
    Span value;
};

/// The last of that name, which is the one that counts.
std::optional<Setting> find_setting(std::string_view text, std::string_view name)
{
    std::optional<Setting> found;
    bool is_ours = false;

    for (std::size_t at = 0; at < text.size();) {
        const auto line = line_at(text, at);
        at = line.end;
        if (says_nothing(line.of(text)))
            continue;
        if (!is_blank(text[line.begin])) {
            const auto value = value_in(line.of(text), name);
            is_ours = value.has_value();
            if (is_ours)
                found = {line, {line.begin + *value, line.end}};
        } else if (is_ours) {
            found->all.end = found->value.end = line.end;
        }
    }
    return found;
}

std::size_t end_of_word(std::string_view text, std::size_t at, std::size_t end)
{
    int depth = 0;

    for (; at < end; at++) {
        if (text[at] == '{')
            depth++;
        else if (text[at] == '}' && depth > 0)
            depth--;
        else if (depth == 0 && is_separator(text[at]))
            break;
    }
    return at;
}

/// What stands between the commas, or the blanks; what is in braces is one word.
std::vector<Span> words_in(std::string_view text, Span value)
{
    std::vector<Span> words;

    for (std::size_t at = value.begin; at < value.end;) {
        const bool begins_line = at > 0 && text[at - 1] == '\n';
        if (const auto line = line_at(text, at); begins_line && says_nothing(line.of(text))) {
            at = line.end;
        } else if (is_separator(text[at])) {
            at++;
        } else {
            words.push_back({at, end_of_word(text, at, value.end)});
            at = words.back().end;
        }
    }
    return words;
}

bool names_server(std::string_view word)
{
    const auto at = word.find(server);
    if (at == std::string_view::npos)
        return false;
    const auto behind = word.substr(at + server.size());
    return behind.empty() || is_separator(behind.front()) || behind.front() == '}';
}

/// The number of the word with which a question of ours begins.
std::optional<std::size_t> find_question(std::string_view text, const std::vector<Span> &words)
{
    for (std::size_t i = 0; i + 1 < words.size(); i++)
        if (words[i].of(text) == verb && names_server(words[i + 1].of(text)))
            return i;
    return std::nullopt;
}

std::string alone_in_empty()
{
    return std::string(alone_in_empty_before) + std::string(question);
}

/// What goes with the question: the separator that came with it, and else the one before it,
/// unless a comment stands there.
Span with_separator(std::string_view text, const std::vector<Span> &words, std::size_t at)
{
    const Span asked{words[at].begin, words[at + 1].end};
    const bool has_next = at + 2 < words.size();

    if (has_next && Span{asked.end, words[at + 2].begin}.of(text) == separator)
        return {asked.begin, words[at + 2].begin};
    if (at == 0)
        return asked;
    const Span before{words[at - 1].end, asked.begin};
    return std::ranges::all_of(before.of(text), is_separator) ? Span{before.begin, asked.end}
                                                              : asked;
}

} // namespace

std::string restrictions_at(const std::string &when)
{
    return when == "rcpt" ? "smtpd_recipient_restrictions" : "smtpd_client_restrictions";
}

bool asks_policy(const std::string &restrictions)
{
    return find_question(restrictions, words_in(restrictions, {0, restrictions.size()}))
        .has_value();
}

std::string_view setting_in(std::string_view main_cf, std::string_view name)
{
    const auto setting = find_setting(main_cf, name);
    return setting ? setting->all.of(main_cf) : std::string_view();
}

std::string restrictions_alone()
{
    return std::string(alone_before) + std::string(question);
}

std::optional<std::string> with_policy(const std::string &main_cf, const std::string &name)
{
    const auto setting = find_setting(main_cf, name);
    if (!setting)
        return std::nullopt;
    const auto words = words_in(main_cf, setting->value);
    auto text = main_cf;
    if (words.empty())
        return text.insert(setting->value.begin, " " + alone_in_empty());
    const auto &last = words.back();
    if (std::ranges::find(last_words, last.of(main_cf)) != last_words.end())
        text.insert(last.begin, std::string(question) + std::string(separator));
    else
        text.insert(last.end, std::string(separator) + std::string(question));
    return text;
}

std::optional<std::string> without_policy(const std::string &main_cf, const std::string &name)
{
    const auto setting = find_setting(main_cf, name);
    if (!setting)
        return std::nullopt;
    const auto words = words_in(main_cf, setting->value);
    const auto asked = find_question(main_cf, words);
    if (!asked)
        return main_cf;
    const Span all{words.front().begin, words.back().end};
    if (words.size() == 2 || all.of(main_cf) == restrictions_alone())
        return std::nullopt;
    const auto span = all.of(main_cf) == alone_in_empty() ? Span{setting->value.begin, all.end}
                                                          : with_separator(main_cf, words, *asked);
    return main_cf.substr(0, span.begin) + main_cf.substr(span.end);
}

} // namespace tallygate::cli
