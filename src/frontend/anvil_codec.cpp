// SPDX-License-Identifier: BSD-2-Clause
#include "frontend/anvil_codec.hpp"

#include <algorithm>
#include <array>

namespace tallygate::frontend {
namespace {

struct NamedAction {
    std::string_view name;
    AnvilAction action;
};

constexpr std::array<NamedAction, 10> actions{{
    {"connect", {AnvilVerb::connect, AnvilRate::connection}},
    {"disconnect", {AnvilVerb::disconnect, AnvilRate::connection}},
    {"message", {AnvilVerb::add, AnvilRate::message}},
    {"recipient", {AnvilVerb::add, AnvilRate::recipient}},
    {"newtls", {AnvilVerb::add, AnvilRate::newtls}},
    {"newtls_status", {AnvilVerb::read, AnvilRate::newtls}},
    // The manual's name for it, which Postfix's own anvil does not know.
    {"newtls_report", {AnvilVerb::read, AnvilRate::newtls}},
    {"auth", {AnvilVerb::add, AnvilRate::auth}},
    {"lookup", {AnvilVerb::lookup, AnvilRate::connection}},
    {"tlstr", {AnvilVerb::add, AnvilRate::tlstr}},
}};

/// Postfix keeps what it reads as C strings.
std::string_view before_nul(std::string_view text)
{
    return text.substr(0, text.find('\0'));
}

/// For a message: short, and printable.
std::string shown(std::string_view text)
{
    constexpr std::size_t bytes_max = 60;
    std::string result{text.substr(0, bytes_max)};

    for (char &each : result)
        if (static_cast<unsigned char>(each) < 0x20 || static_cast<unsigned char>(each) >= 0x7f)
            each = '?';
    if (text.size() > bytes_max)
        result += "...";
    return result;
}

/// Takes names and values off the front, and remembers how far it came.
class Scanner {
public:
    enum class End : std::uint8_t { missing, equals, newline };

    explicit Scanner(std::string_view input) : input_(input) {}

    std::size_t taken() const { return taken_; }

    /// Up to an "=" or the end of the line, which are taken too.
    std::pair<std::string_view, End> name()
    {
        const auto end = input_.find_first_of("=\n", taken_);
        if (end == std::string_view::npos)
            return {{}, End::missing};
        return {before_nul(take_to(end)), input_[end] == '=' ? End::equals : End::newline};
    }

    /// The rest of the line; nothing if its end has not come.
    std::optional<std::string_view> value()
    {
        const auto end = input_.find('\n', taken_);
        if (end == std::string_view::npos)
            return std::nullopt;
        return before_nul(take_to(end));
    }

private:
    std::string_view take_to(std::size_t end)
    {
        const auto text = input_.substr(taken_, end - taken_);
        taken_ = end + 1;
        return text;
    }

    std::string_view input_;
    std::size_t taken_ = 0;
};

struct Attribute {
    AnvilDecoded::Kind kind = AnvilDecoded::Kind::incomplete;
    std::string_view value;
    std::string wrong;
};

Attribute take_attribute(Scanner &scanner, std::string_view wanted)
{
    using Kind = AnvilDecoded::Kind;
    const auto [name, end] = scanner.name();
    const auto malformed = [](std::string why) { return Attribute{Kind::malformed, {}, why}; };

    if (end == Scanner::End::missing)
        return {};
    if (name.empty() && end == Scanner::End::newline)
        return malformed("missing attribute " + std::string(wanted));
    if (name != wanted)
        return malformed("unexpected attribute " + shown(name) +
                         " (expecting: " + std::string(wanted) + ")");
    if (end == Scanner::End::newline)
        return malformed("missing value for attribute " + std::string(wanted));
    const auto value = scanner.value();
    if (!value)
        return {};
    return {Kind::request, *value, {}};
}

std::string line(std::string_view name, std::uint32_t value)
{
    return std::string(name) + "=" + std::to_string(value) + "\n";
}

constexpr std::string_view status_ok = "status=0\n";

} // namespace

std::optional<AnvilAction> find_anvil_action(std::string_view request)
{
    const auto found = std::ranges::find(actions, request, &NamedAction::name);
    return found != actions.end() ? std::optional(found->action) : std::nullopt;
}

AnvilDecoded decode_anvil(std::string_view input)
{
    using Kind = AnvilDecoded::Kind;
    Scanner scanner{input};
    AnvilDecoded decoded;

    for (auto [name, place] : {std::pair{"request", &decoded.request.request},
                               std::pair{"ident", &decoded.request.ident}}) {
        auto attribute = take_attribute(scanner, name);
        if (attribute.kind != Kind::request) {
            decoded.kind = attribute.kind;
            decoded.wrong = std::move(attribute.wrong);
            return decoded;
        }
        *place = attribute.value;
    }
    const auto [name, end] = scanner.name();
    if (end == Scanner::End::missing)
        return {};
    decoded.kind = Kind::request;
    decoded.taken = scanner.taken();
    if (!name.empty() || end != Scanner::End::newline) {
        decoded.wrong = "unexpected attribute " + shown(name) + " (expecting: (list terminator))";
        decoded.taken = input.size();
    }
    return decoded;
}

std::string encode_anvil_failure()
{
    return "status=4294967295\n\n"; // -1, as an unsigned number
}

std::string encode_anvil_done()
{
    return std::string(status_ok) + "\n";
}

std::string encode_anvil_rate(std::uint32_t rate)
{
    return std::string(status_ok) + line("rate", rate) + "\n";
}

std::string encode_anvil_connected(const AnvilCounts &counts)
{
    return std::string(status_ok) + line("count", counts.count) +
           line("rate", counts.rate(AnvilRate::connection)) + "\n";
}

std::string encode_anvil_lookup(const AnvilCounts &counts)
{
    return std::string(status_ok) + line("count", counts.count) +
           line("rate", counts.rate(AnvilRate::connection)) +
           line("mail", counts.rate(AnvilRate::message)) +
           line("rcpt", counts.rate(AnvilRate::recipient)) +
           line("newtls", counts.rate(AnvilRate::newtls)) +
           line("auth", counts.rate(AnvilRate::auth)) + "\n";
}

} // namespace tallygate::frontend
