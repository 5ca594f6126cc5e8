// SPDX-License-Identifier: BSD-2-Clause
//
// Reads TOML tables key by key, and turns all that is wrong into lines with a place. What the
// keys mean is left to config_toml.cpp, and what a value may be to rules.hpp.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "config/config.hpp"
#include "config/rules.hpp"
#include "config/toml.hpp"
#include "config/toml_guard.hpp"

namespace tallygate::config {

/// What is wrong in one file. Reading goes on after a mistake, so that all are told at once.
class Mistakes {
public:
    static constexpr std::size_t lines_max = 20;

    explicit Mistakes(std::string file, Columns columns = {})
        : file_(std::move(file)), columns_(std::move(columns))
    {
    }

    /// Where in the file stands what the parser has read.
    [[nodiscard]] SourcePosition place(const toml::source_region &region) const;
    void add(SourcePosition position, std::string what);
    [[nodiscard]] bool none() const { return list_.empty(); }
    /// The first `lines_max` in the file's order, one line each, and how many more there are.
    [[nodiscard]] Error error() const;

private:
    std::string file_;
    Columns columns_;
    std::vector<std::pair<SourcePosition, std::string>> list_;
};

template <typename T>
struct Placed {
    T value;
    SourcePosition position;
};

/// Where each value was seen first, for values that may stand in the file only once.
template <typename T>
using Seen = std::map<T, SourcePosition>;

/// One table of the file. Keys that nobody asked for are mistakes, told by finish().
/// Borrows the table and the mistakes.
class TableReader {
public:
    /// `name` is the section's, without brackets: "gate".
    TableReader(std::string name, const toml::table &table, Mistakes &mistakes);

    [[nodiscard]] SourcePosition position() const;
    /// Of the key's value; the key must be there.
    [[nodiscard]] SourcePosition position(std::string_view key) const;
    bool has(std::string_view key);
    bool is_text(std::string_view key, std::string_view text);

    /// Nothing if the key is absent, or if its value breaks the rule, which is noted.
    template <typename T>
    std::optional<Placed<T>> find(std::string_view key, const Rule<T> &rule)
    {
        const toml::node *node = get(key);
        return node != nullptr ? read(key, "is", *node, rule) : std::nullopt;
    }

    /// As find(), and an absent key is noted.
    template <typename T>
    std::optional<Placed<T>> require(std::string_view key, const Rule<T> &rule)
    {
        if (!has(key))
            note_missing(key, rule.expected);
        return find(key, rule);
    }

    template <typename T>
    T value(std::string_view key, const Rule<T> &rule, T fallback)
    {
        auto found = find(key, rule);
        return found ? std::move(found->value) : std::move(fallback);
    }

    /// The elements of an array, each under the rule and not in `seen` before. Empty if the key
    /// is absent. What is no array, an empty one, or has wrong elements is noted.
    template <typename T>
    std::vector<Placed<T>> list(std::string_view key, const Rule<T> &rule, Seen<T> &seen)
    {
        std::vector<Placed<T>> items;

        for (const toml::node *node : elements(key, rule.expected)) {
            auto item = read(key, "has", *node, rule);
            if (!item)
                continue;
            const auto [first, added] = seen.emplace(item->value, item->position);
            if (added)
                items.push_back(std::move(*item));
            else
                note_repeated(key, "has", *node, first->second);
        }
        return items;
    }

    /// As require(), for a value that must not be in `seen` before.
    template <typename T>
    std::optional<Placed<T>> require_unique(std::string_view key, const Rule<T> &rule,
                                            Seen<T> &seen)
    {
        auto item = require(key, rule);
        if (!item)
            return std::nullopt;
        const auto [first, added] = seen.emplace(item->value, item->position);
        if (!added)
            note_repeated(key, "is", *get(key), first->second);
        return item;
    }

    /// Notes an absent key.
    void note_missing(std::string_view key, std::string_view expected);
    /// Notes "SECTION.KEY <what>" at the key's value; the key must be there.
    void note(std::string_view key, std::string_view what);
    /// Notes "SECTION.KEY <what>" at a value that was read, such as an element of an array.
    void note(std::string_view key, SourcePosition position, std::string_view what);
    /// Notes `what` at the table.
    void note(std::string what);

    /// Notes the keys that nobody asked for. Call it after the last question.
    void finish();

private:
    const toml::node *get(std::string_view key);
    [[nodiscard]] std::string full_name(std::string_view key) const;
    std::vector<const toml::node *> elements(std::string_view key, std::string_view expected);
    void note_wrong(std::string_view key, std::string_view verb, const toml::node &node,
                    std::string_view expected);
    void note_repeated(std::string_view key, std::string_view verb, const toml::node &node,
                       SourcePosition first);
    static Scalar scalar(const toml::node &node);
    [[nodiscard]] SourcePosition position_of(const toml::node &node) const;

    template <typename T>
    std::optional<Placed<T>> read(std::string_view key, std::string_view verb,
                                  const toml::node &node, const Rule<T> &rule)
    {
        auto value = rule.read(scalar(node));
        if (value)
            return Placed<T>{std::move(*value), position_of(node)};
        note_wrong(key, verb, node, rule.expected);
        return std::nullopt;
    }

    std::string name_;
    const toml::table &table_;
    Mistakes &mistakes_;
    std::vector<std::string> known_; ///< the keys that were asked for
};

struct Document {
    toml::table root;
    Columns columns; ///< for Mistakes
};

/// The whole text, or the place where it is no TOML.
Result<Document> parse_toml(std::string_view text, const std::string &file);

/// What stands before the first line that is no TOML; nothing if that is not to be found.
std::optional<Document> parse_toml_before_mistake(std::string_view text);

/// A node for a message: "\"fast\"", "25", "an array". One line, and not a long one.
std::string written(const toml::node &node);

/// A key for a message: bare if TOML allows that, else in quotes.
std::string written_key(std::string_view key);

/// The one of `known` that `word` may have meant, if one is close.
std::optional<std::string> nearest(std::string_view word, const std::vector<std::string> &known);

} // namespace tallygate::config
