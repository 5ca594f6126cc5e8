// SPDX-License-Identifier: BSD-2-Clause
#include "config/list_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <boost/json.hpp>
#include <cerrno>
#include <cstdint>
#include <numeric>
#include <optional>

#include "config/file.hpp"

namespace tallygate::config {
namespace {

namespace json = boost::json;

constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
constexpr std::string_view blanks = " \t";
constexpr std::string_view token_ends = " \t;#";
constexpr std::size_t quoted_bytes_max = 60;

std::string_view trimmed(std::string_view text)
{
    const auto first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos)
        return {};
    return text.substr(first, text.find_last_not_of(blanks) + 1 - first);
}

/// Of a file that may be anything: what is not printable ASCII as "\xNN", and not much of it.
std::string printable(std::string_view text)
{
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string result;

    for (const char c : text.substr(0, quoted_bytes_max)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte < 0x7f)
            result += c;
        else
            result += std::string("\\x") + digits[byte >> 4U] + digits[byte & 0xfU];
    }
    return result + (text.size() > quoted_bytes_max ? "..." : "");
}

Address next(Address address)
{
    for (auto byte = address.bytes.rbegin(); byte != address.bytes.rend(); byte++)
        if (++*byte != 0)
            break;
    return address;
}

/// The upper and the lower half of an address as a number.
struct Halves {
    std::uint64_t upper = 0;
    std::uint64_t lower = 0;
};

Halves halves(const Address &address)
{
    Halves result;

    for (std::size_t i = 0; i < 8; i++) {
        result.upper = result.upper << 8U | address.bytes[i];
        result.lower = result.lower << 8U | address.bytes[i + 8];
    }
    return result;
}

int trailing_zeros(const Halves &number)
{
    return number.lower != 0 ? std::countr_zero(number.lower) : 64 + std::countr_zero(number.upper);
}

/// Of last - first + 1, which may be 2^128: how often two divides it, rounded down.
int log2_of_size(const Halves &first, const Halves &last)
{
    Halves size{last.upper - first.upper - (last.lower < first.lower ? 1 : 0),
                last.lower - first.lower};

    size.lower++;
    if (size.lower == 0)
        size.upper++;
    if (size.upper != 0)
        return 63 + static_cast<int>(std::bit_width(size.upper));
    return size.lower != 0 ? static_cast<int>(std::bit_width(size.lower)) - 1 : 128;
}

/// The largest block that begins at `first` and does not reach beyond `last`.
Block largest_block(const Address &first, const Address &last)
{
    const auto begin = halves(first);
    const auto bits = std::min(trailing_zeros(begin), log2_of_size(begin, halves(last)));

    return {first, 128U - static_cast<unsigned>(bits)};
}

/// What one line gave.
struct Entry {
    std::vector<Block> blocks; ///< none: it is a comment or the like
    bool was_folded = false;
};

/// Nothing if the ends are no addresses of one family, in order.
std::optional<Entry> range_entry(std::string_view first_text, std::string_view last_text)
{
    const auto first = Address::parse(first_text);
    const auto last = Address::parse(last_text);
    Entry entry;

    if (!first || !last || first->family() != last->family() || *last < *first)
        return std::nullopt;
    for (Address at = *first;; at = next(entry.blocks.back().last())) {
        entry.blocks.push_back(largest_block(at, *last));
        // IPv4 lies within the numbers of IPv6, and a range of IPv6 must not take it.
        if (entry.blocks.back().family() != first->family())
            return std::nullopt;
        if (entry.blocks.back().last() == *last)
            return entry;
    }
}

std::optional<Entry> block_entry(std::string_view text)
{
    const auto block = Block::parse(text);

    if (!block)
        return std::nullopt;
    return Entry{{*block}, Block::has_host_bits(text)};
}

std::optional<Entry> json_entry(std::string_view line)
{
    json::error_code error;
    const auto value = json::parse({line.data(), line.size()}, error);
    const auto *object = error ? nullptr : value.if_object();
    if (object == nullptr)
        return std::nullopt;

    const auto text = [object](const char *key) -> std::optional<std::string_view> {
        const auto *found = object->if_contains(key);
        const auto *string = found != nullptr ? found->if_string() : nullptr;
        if (string == nullptr)
            return std::nullopt;
        return std::string_view{string->data(), string->size()};
    };
    if (text("type") == "metadata")
        return Entry{};
    const auto cidr = text("cidr");
    return cidr ? block_entry(*cidr) : std::nullopt;
}

/// DShield: first address, last address, prefix length, and what `rest` has besides. The three
/// must agree.
std::optional<Entry> row_entry(std::string_view first, std::string_view last, std::string_view rest)
{
    const auto length = trimmed(rest.substr(0, rest.find('\t')));
    auto entry = block_entry(std::string(first) + "/" + std::string(length));
    const auto end = Address::parse(last);

    if (!entry || entry->was_folded || !end || entry->blocks.front().last() != *end)
        return std::nullopt;
    return entry;
}

/// Whether a tab and an address stand behind the first: a CIDR list may have anything there, but
/// an address alone would lose the rest of a row's block.
bool is_row(std::string_view token, std::string_view second)
{
    return token.find('/') == std::string_view::npos && Address::parse(second);
}

std::string_view first_token(std::string_view text)
{
    return text.substr(0, text.find_first_of(token_ends));
}

/// Whether behind a bare address and blanks there is what makes it more than one address: a
/// length, a mask or a last address, as in "203.0.113.0 /24".
bool loses_more(std::string_view token, std::string_view behind)
{
    const auto length = behind.starts_with('/') ? trimmed(behind.substr(1)) : std::string_view{};
    const bool is_length = !length.empty() && length.front() >= '0' && length.front() <= '9';

    return token.find('/') == std::string_view::npos &&
           (is_length || Address::parse(first_token(behind)));
}

/// "mx.example", and no address with a mistake in it.
bool is_host_name(std::string_view token)
{
    constexpr std::string_view no_digits_of_ipv6 = "ghijklmnopqrstuvwxyzGHIJKLMNOPQRSTUVWXYZ";

    return (token.front() < '0' || token.front() > '9') &&
           token.find_first_of(":[") == std::string_view::npos &&
           token.find_first_of(no_digits_of_ipv6) != std::string_view::npos;
}

/// A line that is neither blank nor a comment.
std::optional<Entry> plain_entry(std::string_view line)
{
    const auto token = first_token(line);
    const auto rest = line.substr(token.size());
    const auto behind = trimmed(rest);

    if (const auto dash = token.find('-');
        dash != std::string_view::npos && dash + 1 < token.size())
        return range_entry(token.substr(0, dash), token.substr(dash + 1));
    if (token.ends_with('-'))
        return range_entry(token.substr(0, token.size() - 1), first_token(behind));
    // "192.0.2.1 - seen in May" is an address with a comment.
    if (behind.starts_with('-')) {
        const auto last = first_token(trimmed(behind.substr(1)));
        if (last.find_first_of(".:") != std::string_view::npos && !is_host_name(last))
            return range_entry(token, last);
    }
    if (rest.starts_with('\t')) {
        const auto second = behind.substr(0, behind.find('\t'));
        if (is_row(token, trimmed(second)))
            return row_entry(token, trimmed(second), trimmed(behind.substr(second.size())));
    }
    if (loses_more(token, behind))
        return std::nullopt;
    return block_entry(token);
}

/// DShield's names of its columns.
bool is_heading(std::string_view line)
{
    return first_token(line) == "Start" && trimmed(line.substr(5)).starts_with("End");
}

std::optional<Entry> parse_line(std::string_view line)
{
    if (line.empty() || line.starts_with('#') || line.starts_with(';') || line.starts_with("//"))
        return Entry{};
    if (line.starts_with('{'))
        return json_entry(line);
    if (is_heading(line))
        return Entry{};
    return plain_entry(line);
}

/// Keeps the first of equal ones. Sorts indices, not a set of blocks: five million fit.
void drop_repeated(std::vector<Block> &blocks)
{
    std::vector<std::uint32_t> order(blocks.size());
    std::vector<bool> is_repeated(blocks.size());
    std::size_t kept = 0;

    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&blocks](std::uint32_t left, std::uint32_t right) {
        const auto sign = blocks[left] <=> blocks[right];
        return sign == 0 ? left < right : sign < 0;
    });
    for (std::size_t i = 1; i < order.size(); i++)
        is_repeated[order[i]] = blocks[order[i]] == blocks[order[i - 1]];
    for (std::size_t i = 0; i < blocks.size(); i++)
        if (!is_repeated[i])
            blocks[kept++] = blocks[i];
    blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(kept), blocks.end());
}

std::string where(const std::string &file, std::size_t line)
{
    return file + ":" + std::to_string(line) + ": ";
}

Error too_many(const std::string &place, const char *what, std::size_t max,
               const std::string &setting)
{
    return Error{place + "the list has too many " + what + ": expected at most " +
                     (setting.empty() ? "" : setting + ", ") + std::to_string(max),
                 EFBIG};
}

/// Takes what a line gave into the list.
Result<void> take(ListFile &list, const Entry &entry, const ListRules &rules,
                  const std::string &file, std::size_t line)
{
    if (list.blocks.size() + entry.blocks.size() > rules.blocks_max)
        return too_many(where(file, line), "blocks", rules.blocks_max, rules.blocks_setting);
    if (rules.check)
        for (const auto &block : entry.blocks)
            if (const auto fits = rules.check(block); !fits)
                return Error{where(file, line) + fits.error().message};
    list.blocks.insert(list.blocks.end(), entry.blocks.begin(), entry.blocks.end());
    list.folded += entry.was_folded ? 1 : 0;
    return {};
}

} // namespace

Result<ListFile> parse_list(std::string_view text, const std::string &file, const ListRules &rules)
{
    ListFile list;

    if (text.starts_with(byte_order_mark))
        text.remove_prefix(byte_order_mark.size());
    for (std::size_t number = 1; !text.empty(); number++) {
        const auto end = std::min(text.find('\n'), text.size());
        auto line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (number > list_lines_max)
            return too_many(where(file, number), "lines", list_lines_max, "");
        if (line.ends_with('\r'))
            line.remove_suffix(1);
        line = trimmed(line);
        const auto entry = parse_line(line);
        if (!entry)
            return Error{where(file, number) + "expected a CIDR block, not '" + printable(line) +
                         "'"};
        if (const auto taken = take(list, *entry, rules, file, number); !taken)
            return taken.error();
    }
    drop_repeated(list.blocks);
    return list;
}

Result<ListFile> load_list(const std::string &path, const ListRules &rules)
{
    // A pipe would keep the daemon waiting for whoever writes it.
    const Fd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    struct stat status {};

    if (!file || ::fstat(file.get(), &status) != 0)
        return Error::system("read " + path);
    if (S_ISDIR(status.st_mode))
        return Error::system("read " + path, EISDIR);
    if (!S_ISREG(status.st_mode))
        return Error{"read " + path + ": not a regular file", EINVAL};
    const auto text = read_all(file, path, list_bytes_max, "a list");
    if (!text)
        return text.error();
    return parse_list(*text, path, rules);
}

} // namespace tallygate::config
