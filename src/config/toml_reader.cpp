// SPDX-License-Identifier: BSD-2-Clause
#define TOML_IMPLEMENTATION
#include "config/toml_reader.hpp"

#include <algorithm>
#include <numeric>

namespace tallygate::config {
namespace {

constexpr std::size_t written_bytes_max = 60;

/// Without characters that would break a message's line.
std::string one_line(std::string_view text)
{
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string result;

    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte != 0x7f)
            result += c;
        else
            result += std::string("\\u00") + digits[byte >> 4U] + digits[byte & 0xfU];
    }
    return result;
}

/// As TOML writes it.
std::string escaped(std::string_view text)
{
    std::string result;

    for (const char c : text) {
        if (c == '"' || c == '\\')
            result += '\\';
        result += c;
    }
    return one_line(result);
}

/// At most `written_bytes_max` bytes, cut between characters of UTF-8.
std::string quoted(std::string_view text)
{
    std::size_t end = written_bytes_max;

    if (text.size() <= end)
        return "\"" + escaped(text) + "\"";
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80)
        end--;
    return "\"" + escaped(text.substr(0, end)) + "...\"";
}

bool is_bare_key(std::string_view key)
{
    return !key.empty() && key.size() <= written_bytes_max &&
           std::all_of(key.begin(), key.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '_';
           });
}

/// How many characters must be put in, left out or changed to make one word the other.
std::size_t distance(std::string_view left, std::string_view right)
{
    std::vector<std::size_t> row(right.size() + 1);

    std::iota(row.begin(), row.end(), 0);
    for (std::size_t i = 1; i <= left.size(); i++) {
        std::size_t diagonal = std::exchange(row[0], i);
        for (std::size_t j = 1; j <= right.size(); j++) {
            const std::size_t changed = diagonal + (left[i - 1] == right[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, changed});
        }
    }
    return row.back();
}

/// With the fraction of its second left out. The parser has checked that the day exists.
std::chrono::sys_seconds unix_time(const toml::date_time &moment)
{
    using namespace std::chrono;
    const year_month_day date{year{moment.date.year}, month{moment.date.month},
                              day{moment.date.day}};

    return sys_days{date} + hours{moment.time.hour} + minutes{moment.time.minute} +
           seconds{moment.time.second} - minutes{moment.offset->minutes};
}

std::string joined(const std::vector<std::string> &words)
{
    std::string text;

    for (const auto &word : words)
        text += (text.empty() ? "" : ", ") + word;
    return text;
}

SourcePosition first_position(const toml::source_region &region)
{
    // A node that toml++ made for us, and not from text, has neither line nor column.
    return {std::max(region.begin.line, 1U), std::max(region.begin.column, 1U)};
}

std::variant<Document, Refusal> parse(std::string_view text)
{
    auto guarded = guard(text);
    if (const auto *const refusal = std::get_if<Refusal>(&guarded))
        return *refusal;
    auto &[shown, columns] = std::get<Guarded>(guarded);
    auto parsed = toml::parse(shown);
    if (parsed)
        return Document{std::move(parsed).table(), std::move(columns)};
    return Refusal{columns.in_file(first_position(parsed.error().source())),
                   "not valid TOML: " + one_line(parsed.error().description())};
}

/// Lines are counted from 1.
std::string_view lines_before(std::string_view text, std::uint32_t line)
{
    std::size_t end = 0;
    for (std::uint32_t i = 1; i < line && end < text.size(); i++)
        end = std::min(text.find('\n', end), text.size() - 1) + 1;
    return text.substr(0, end);
}

} // namespace

SourcePosition Mistakes::place(const toml::source_region &region) const
{
    return columns_.in_file(first_position(region));
}

void Mistakes::add(SourcePosition position, std::string what)
{
    list_.emplace_back(position, std::move(what));
}

Error Mistakes::error() const
{
    const auto where = [this](SourcePosition position) {
        return file_ + ":" + position.text() + ": ";
    };
    auto sorted = list_;
    std::string lines;

    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const auto &left, const auto &right) { return left.first < right.first; });
    for (std::size_t i = 0; i < std::min(sorted.size(), lines_max); i++)
        lines += (i == 0 ? "" : "\n") + where(sorted[i].first) + sorted[i].second;
    if (sorted.size() > lines_max)
        lines += "\n" + where(sorted[lines_max].first) + "and " +
                 std::to_string(sorted.size() - lines_max) + " more from here on";
    return Error{lines};
}

TableReader::TableReader(std::string name, const toml::table &table, Mistakes &mistakes)
    : name_(std::move(name)), table_(table), mistakes_(mistakes)
{
}

SourcePosition TableReader::position() const
{
    return position_of(table_);
}

SourcePosition TableReader::position(std::string_view key) const
{
    return position_of(*table_.get(key));
}

bool TableReader::has(std::string_view key)
{
    return get(key) != nullptr;
}

bool TableReader::is_text(std::string_view key, std::string_view text)
{
    const toml::node *node = get(key);
    return node != nullptr && node->is_string() && node->as_string()->get() == text;
}

void TableReader::note_missing(std::string_view key, std::string_view expected)
{
    mistakes_.add(position(), full_name(key) + " is missing: expected " + std::string(expected));
}

void TableReader::note(std::string_view key, std::string_view what)
{
    note(key, position(key), what);
}

void TableReader::note(std::string_view key, SourcePosition position, std::string_view what)
{
    mistakes_.add(position, full_name(key) + " " + std::string(what));
}

void TableReader::note(std::string what)
{
    mistakes_.add(position(), std::move(what));
}

void TableReader::finish()
{
    for (const auto &[key, node] : table_) {
        if (std::find(known_.begin(), known_.end(), key.str()) != known_.end())
            continue;
        const auto meant = nearest(key.str(), known_);
        mistakes_.add(
            mistakes_.place(key.source()),
            full_name(key.str()) + " is no setting: " +
                (meant ? "did you mean " + *meant + "?" : "expected one of " + joined(known_)));
    }
}

const toml::node *TableReader::get(std::string_view key)
{
    if (std::find(known_.begin(), known_.end(), key) == known_.end())
        known_.emplace_back(key);
    return table_.get(key);
}

std::string TableReader::full_name(std::string_view key) const
{
    return name_ + "." + written_key(key);
}

std::vector<const toml::node *> TableReader::elements(std::string_view key,
                                                      std::string_view expected)
{
    std::vector<const toml::node *> nodes;
    const toml::node *node = get(key);
    const toml::array *array = node != nullptr ? node->as_array() : nullptr;

    if (node != nullptr && array == nullptr)
        note_wrong(key, "is", *node, "an array, each element " + std::string(expected));
    if (array == nullptr)
        return nodes;
    if (array->empty())
        note(key, "is empty: expected at least one element, " + std::string(expected));
    for (const auto &element : *array)
        nodes.push_back(&element);
    return nodes;
}

void TableReader::note_wrong(std::string_view key, std::string_view verb, const toml::node &node,
                             std::string_view expected)
{
    mistakes_.add(position_of(node), full_name(key) + " " + std::string(verb) + " " +
                                         written(node) + ": expected " + std::string(expected));
}

void TableReader::note_repeated(std::string_view key, std::string_view verb, const toml::node &node,
                                SourcePosition first)
{
    mistakes_.add(position_of(node), full_name(key) + " " + std::string(verb) + " " +
                                         written(node) + ": line " + std::to_string(first.line) +
                                         " has it already, expected it once in the file");
}

Scalar TableReader::scalar(const toml::node &node)
{
    if (const auto *text = node.as_string())
        return text->get();
    if (const auto *integer = node.as_integer())
        return integer->get();
    if (const auto *boolean = node.as_boolean())
        return boolean->get();
    if (const auto *moment = node.as_date_time(); moment != nullptr && moment->get().offset)
        return unix_time(moment->get());
    return std::monostate{};
}

SourcePosition TableReader::position_of(const toml::node &node) const
{
    return mistakes_.place(node.source());
}

Result<Document> parse_toml(std::string_view text, const std::string &file)
{
    auto parsed = parse(text);
    if (auto *const document = std::get_if<Document>(&parsed))
        return std::move(*document);
    Mistakes mistakes{file};
    const auto &refusal = std::get<Refusal>(parsed);
    mistakes.add(refusal.position, refusal.reason);
    return mistakes.error();
}

std::optional<Document> parse_toml_before_mistake(std::string_view text)
{
    constexpr int mistakes_max = 100;

    for (int i = 0; i < mistakes_max && !text.empty(); i++) {
        auto parsed = parse(text);
        if (auto *const document = std::get_if<Document>(&parsed))
            return std::move(*document);
        const auto shorter = lines_before(text, std::get<Refusal>(parsed).position.line);
        // The end of the text, where something has not ended, is behind its last line.
        text = shorter.size() < text.size()
                   ? shorter
                   : text.substr(0, text.find_last_of('\n', text.size() - 2) + 1);
    }
    return std::nullopt;
}

std::string written(const toml::node &node)
{
    switch (node.type()) {
    case toml::node_type::string:
        return quoted(node.as_string()->get());
    case toml::node_type::integer:
        return std::to_string(node.as_integer()->get());
    case toml::node_type::boolean:
        return node.as_boolean()->get() ? "true" : "false";
    case toml::node_type::floating_point:
        return "a number with a fraction";
    case toml::node_type::array:
        return "an array";
    case toml::node_type::table:
        return "a table";
    default:
        return "a date or time";
    }
}

std::string written_key(std::string_view key)
{
    return is_bare_key(key) ? std::string(key) : quoted(key);
}

std::optional<std::string> nearest(std::string_view word, const std::vector<std::string> &known)
{
    constexpr std::size_t distance_max = 2;
    std::optional<std::string> best;
    std::size_t best_distance = std::min(distance_max + 1, word.size());

    // A key may be as long as a line, and nothing so long is near.
    for (const auto &candidate : known) {
        if (word.size() > candidate.size() + distance_max)
            continue;
        const auto far = distance(word, candidate);
        if (far < best_distance) {
            best = candidate;
            best_distance = far;
        }
    }
    return best;
}

} // namespace tallygate::config
