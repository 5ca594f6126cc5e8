// SPDX-License-Identifier: BSD-2-Clause
//
// `audit load SERIES FILE`: adds what a file has to a series, a line at a time.
#include <boost/json.hpp>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/address.hpp"
#include "base/utf8.hpp"
#include "cli/render.hpp"
#include "cli/talk.hpp"
#include "cli/verb.hpp"
#include "client/query.hpp"

namespace tallygate::cli {
namespace {

constexpr std::size_t lines_max = 10'000'000;
constexpr std::size_t line_bytes_max = 1'024;
constexpr std::size_t key_bytes_max = 256;
constexpr std::size_t mistakes_max = 10; ///< that are shown
constexpr std::int64_t amount_max = 1'000'000'000;

struct Line {
    std::size_t number = 0;
    std::string key;
    std::int64_t amount = 1;
};

struct File {
    std::vector<Line> lines;
    std::vector<std::string> mistakes;
};

/// A field of a line in CSV, and where the next one begins; nothing if its quotes do not end.
struct Field {
    std::string text;
    std::size_t next = 0; ///< behind the comma, or past the end
};

std::optional<Field> take_field(const std::string &line, std::size_t begin)
{
    Field field;
    if (begin >= line.size() || line[begin] != '"') {
        const auto comma = std::min(line.find(',', begin), line.size());
        return Field{line.substr(begin, comma - begin), comma + 1};
    }
    for (std::size_t i = begin + 1; i < line.size(); i++) {
        if (line[i] != '"') {
            field.text += line[i];
        } else if (i + 1 < line.size() && line[i + 1] == '"') {
            field.text += line[i++];
        } else {
            field.next = i + 2;
            return i + 1 == line.size() || line[i + 1] == ',' ? std::optional{field} : std::nullopt;
        }
    }
    return std::nullopt;
}

/// Of a series and the one of the other family beside it, as Sieve makes them: the daemon takes the
/// one that holds the key.
constexpr const char *both_families = "";

/// What is wrong with a key; empty if nothing is.
std::string wrong_key(const std::string &key, const std::string &type)
{
    if (key.empty())
        return "the key is empty";
    if (key.size() > key_bytes_max)
        return "the key has more than " + std::to_string(key_bytes_max) + " bytes";
    if (!is_plain_text(key))
        return "the key is not text in UTF-8, or has control characters";
    if (type == "string")
        return "";
    const auto block = Block::parse(key);
    if (!block)
        return block.error().message;
    if (type != both_families && (block->family() == Family::ipv4) != (type == "cidr"))
        return "'" + key + "' is not of the family of a series of type " + type;
    return "";
}

Result<Line> read_line(const std::string &text, const std::string &type)
{
    if (text.size() > line_bytes_max)
        return Error{"more than " + std::to_string(line_bytes_max) + " bytes"};
    const auto key = take_field(text, 0);
    if (!key)
        return Error{"quotes that do not end"};
    if (const auto wrong = wrong_key(key->text, type); !wrong.empty())
        return Error{wrong};
    Line line{.key = key->text};
    if (key->next > text.size())
        return line;
    const std::string amount = text.substr(key->next);
    const auto [end, error] =
        std::from_chars(amount.data(), amount.data() + amount.size(), line.amount);
    if (error != std::errc{} || end != amount.data() + amount.size() || line.amount < -amount_max ||
        line.amount > amount_max)
        return Error{"'" + amount + "' is no amount: expected a number from " +
                     std::to_string(-amount_max) + " to " + std::to_string(amount_max)};
    return line;
}

Result<File> read_file(const std::string &path, const std::string &type)
{
    std::ifstream stream{path};
    if (!stream)
        return Error::system("open " + path);
    File file;
    std::size_t number = 0;
    for (std::string text; std::getline(stream, text);) {
        number++;
        if (!text.empty() && text.back() == '\r')
            text.pop_back();
        if (text.empty() || text.front() == '#')
            continue;
        auto line = read_line(text, type);
        if (!line) {
            file.mistakes.push_back(path + ":" + std::to_string(number) + ": " +
                                    line.error().message);
            continue;
        }
        if (file.lines.size() == lines_max)
            return Error{path + ": more than " + std::to_string(lines_max) + " lines"};
        line->number = number;
        file.lines.push_back(std::move(*line));
    }
    if (stream.bad())
        return Error::system("read " + path);
    return file;
}

/// Whether they differ in their family alone.
bool is_one_pair(const std::vector<const boost::json::object *> &found)
{
    return std::ranges::all_of(found, [&](const auto *series) {
        return text_at(*series, "type") != "string" &&
               text_at(*series, "monitor") == text_at(*found.front(), "monitor");
    });
}

/// The definition of a series, of which there is one, or the one of that monitor.
std::variant<boost::json::object, Outcome> find_series(Talk &talk, const Values &values)
{
    auto all = talk.ask("GET", "/v1/series");
    if (auto *const outcome = std::get_if<Outcome>(&all))
        return std::move(*outcome);
    const auto monitor = values.find("monitor");
    std::vector<const boost::json::object *> found;
    for (const auto *const series : objects_at(std::get<Talk::Answer>(all).object, "series"))
        if (text_at(*series, "name") == values.at("name") &&
            (monitor == values.end() || text_at(*series, "monitor") == monitor->second))
            found.push_back(series);
    if (found.empty())
        return failure(ExitCode::not_found, "there is no series '" + values.at("name") +
                                                "': tallygate audit define defines one");
    if (found.size() == 1)
        return *found.front();
    if (is_one_pair(found))
        return boost::json::object{{"monitor", text_at(*found.front(), "monitor")},
                                   {"type", both_families}};
    return usage("there are several series '" + values.at("name") +
                     "': expected --parameters to say which",
                 talk.verb());
}

/// Nothing is added before all lines are read: whoever mends a mistake loads the whole again, and
/// no line counts twice.
Outcome load(Talk &talk, const Values &values, bool)
{
    auto series = find_series(talk, values);
    if (auto *const outcome = std::get_if<Outcome>(&series))
        return std::move(*outcome);
    const auto &definition = std::get<boost::json::object>(series);
    const auto &path = values.at("file");
    const auto file = read_file(path, text_at(definition, "type"));
    if (!file)
        return failure(ExitCode::failed, file.error().message);
    if (const auto &mistakes = file->mistakes; !mistakes.empty()) {
        Outcome wrong{ExitCode::failed, "", ""};
        for (std::size_t i = 0; i < std::min(mistakes.size(), mistakes_max); i++)
            wrong.err += "tallygate: " + mistakes[i] + "\n";
        wrong.err += "tallygate: " + std::to_string(mistakes.size()) +
                     " lines have mistakes; nothing was added\n";
        return wrong;
    }

    std::size_t added = 0;
    for (const auto &line : file->lines) {
        const auto target = client::Query("/v1/series/add")
                                .with("name", values.at("name"))
                                .with("monitor", text_at(definition, "monitor"))
                                .with("key", line.key)
                                .with("amount", std::to_string(line.amount));
        auto reply = talk.ask("POST", target.text());
        if (auto *const outcome = std::get_if<Outcome>(&reply)) {
            outcome->err += "tallygate: the " + std::to_string(added) + " lines before " + path +
                            ":" + std::to_string(line.number) + " were added\n";
            return std::move(*outcome);
        }
        added++;
    }
    return {ExitCode::ok, "added " + std::to_string(added) + " lines\n", ""};
}

} // namespace

const Verb audit_load_verb = {
    .name = "load",
    .help = "Add the lines of a file, KEY or KEY,COUNT, to a series",
    .method = Verb::Method::post,
    .path = "",
    .arguments = {{"SERIES", "name", "The series' name", Argument::Given::must},
                  {"FILE", "file", "# begins a comment", Argument::Given::must},
                  {"--parameters P", "monitor", "Its monitor, where the name has several"}},
    .show = nullptr,
    .group = &audit_group,
    .act = load,
};

} // namespace tallygate::cli
