// SPDX-License-Identifier: BSD-2-Clause
#include "config/config_toml.hpp"

#include <algorithm>
#include <utility>

#include "config/draft.hpp"
#include "config/file.hpp"
#include "config/rules.hpp"
#include "config/toml_reader.hpp"

namespace tallygate::config {
namespace {

using namespace std::chrono_literals;
using std::chrono::days;

constexpr std::size_t services_max = 255; ///< ids 1 to 255 in the kernel's tables
constexpr std::size_t tunnels_max = 1000; ///< the kernel's table has room for a few more
constexpr std::uint32_t entries_min = 16;
constexpr std::uint32_t entries_max = 1U << 26;
constexpr std::uint32_t network_entries_max = 1U << 20;
constexpr std::uint32_t list_entries_max = 1U << 24;

Rule<std::uint32_t> entries()
{
    return number("a number", entries_min, entries_max);
}

void read_interfaces(TableReader &table, Draft &draft)
{
    const auto rule = interface_name();
    Seen<std::string> seen; // a card has one role

    for (auto &item : table.list("interfaces", rule, seen)) {
        draft.config.gate.interfaces.push_back(item.value);
        draft.config.gate.interface_positions.push_back(item.position);
    }
    for (auto &item : table.list("inside", rule, seen)) {
        draft.config.gate.inside.push_back(item.value);
        draft.config.gate.inside_positions.push_back(item.position);
    }
    if (draft.purpose == Purpose::daemon && !table.has("interfaces"))
        table.note_missing("interfaces", "at least one interface such as [\"eth0\"]");
}

void read_tunnels(TableReader &table, Draft &draft)
{
    Seen<Block> seen;

    draft.config.gate.tunnels_from = values(table.list("tunnels_from", block(), seen));
    if (draft.config.gate.tunnels_from.size() > tunnels_max)
        table.note("tunnels_from",
                   "has too many CIDR blocks: expected at most " + std::to_string(tunnels_max));
}

void read_gate(TableReader &table, Draft &draft)
{
    Gate &gate = draft.config.gate;

    read_interfaces(table, draft);
    read_tunnels(table, draft);
    gate.attach = table.value("attach",
                              choice<Attach>({{"auto", Attach::automatic},
                                              {"native", Attach::native},
                                              {"generic", Attach::generic},
                                              {"tc", Attach::tc}}),
                              gate.attach);
    gate.mode = table.value(
        "mode", choice<Mode>({{"observe", Mode::observe}, {"enforce", Mode::enforce}}), gate.mode);
    gate.strict = table.value("strict", flag(), gate.strict);
    gate.lease = table.value("lease", duration(1s, 24h), gate.lease);
    gate.pin_dir = table.value("pin_dir", absolute_path(path_bytes_max), gate.pin_dir);
    gate.ipv6_source_bits =
        table.value("ipv6_source_bits", number("a number", 64U, 128U), gate.ipv6_source_bits);
    gate.sources_max = table.value("sources_max", entries(), gate.sources_max);
    gate.claims_max =
        table.value("claims_max", power_of_two(entries_min, entries_max), gate.claims_max);
    gate.rates_max =
        table.value("rates_max", power_of_two(entries_min, entries_max), gate.rates_max);
    gate.flows_max = table.value("flows_max", entries(), gate.flows_max);
    gate.pending_max =
        table.value("pending_max", power_of_two(entries_min, entries_max), gate.pending_max);
    gate.networks_max =
        table.value("networks_max", number("a number", 1U, network_entries_max), gate.networks_max);
    gate.lists_max =
        table.value("lists_max", number("a number", 1U, list_entries_max), gate.lists_max);
}

void read_reconcile(TableReader &table, Draft &draft)
{
    Reconcile &reconcile = draft.config.reconcile;

    reconcile.interval = table.value("interval", duration_or_off(1s, 1h), reconcile.interval);
    reconcile.idle_open = table.value("idle_open", duration(1s, 12h), reconcile.idle_open);
    reconcile.idle_half_closed =
        table.value("idle_half_closed", duration(1s, 12h), reconcile.idle_half_closed);
    reconcile.idle_closing = table.value("idle_closing", duration(1s, 12h), reconcile.idle_closing);
}

void read_state(TableReader &table, Draft &draft)
{
    State &state = draft.config.state;

    state.dir = table.value("dir", absolute_path(path_bytes_max), state.dir);
    state.remember_proven =
        table.value("remember_proven", duration_or_off(1min, days{365}), state.remember_proven);
}

void read_control(TableReader &table, Draft &draft)
{
    Control &control = draft.config.control;

    control.socket = table.value("socket", absolute_path(socket_bytes_max), control.socket);
    take_socket(table, draft, "control", control.socket);
}

void read_http(TableReader &table, Draft &draft)
{
    if (const auto listen = table.find("listen", endpoint()))
        draft.config.http.listen = listen->value;
}

void read_windows(TableReader &table, Draft &draft)
{
    Seen<core::Monitor> seen;

    if (table.has("monitors"))
        draft.config.windows.monitors = values(table.list("monitors", monitor(), seen));
}

void read_ports(TableReader &table, Draft &draft, Service &service)
{
    if (!table.is_text("ports", "any"))
        service.ports = values(table.list("ports", port(), draft.ports));
    else if (draft.purpose == Purpose::replay)
        service.any_port = true;
    else
        table.note("ports", "is \"any\", which is for replay alone: "
                            "expected an array of ports such as [25]");
}

void read_service(TableReader &table, Draft &draft)
{
    Service service;

    if (const auto found = table.require_unique("name", name(), draft.service_names))
        service.name = found->value;
    read_ports(table, draft, service);
    service.listeners = values(table.list("listeners", listener(), draft.listeners));
    if (!table.has("ports") && !table.has("listeners"))
        table.note("service has neither ports nor listeners: expected one of them");
    if (table.has("ports") && table.has("listeners"))
        table.note("service has both ports and listeners: expected one of them");
    if (!draft.config.services.empty() &&
        (service.any_port || draft.config.services.back().any_port))
        table.note("service stands beside one whose ports are \"any\": expected that one alone");
    draft.config.services.push_back(std::move(service));
    if (draft.config.services.size() == services_max + 1)
        table.note("service is one too many: expected at most " + std::to_string(services_max));
}

void read_network(TableReader &table, Draft &draft)
{
    const std::size_t blocks_max = draft.config.gate.networks_max;
    const std::size_t blocks_before = draft.blocks.size();
    Network network;

    if (const auto found = table.require_unique("name", name(), draft.network_names))
        network.name = found->value;
    network.cidrs = values(table.list("cidrs", block(), draft.blocks));
    if (!table.has("cidrs"))
        table.note_missing("cidrs", "an array of CIDR blocks such as [\"192.0.2.0/24\"]");
    if (blocks_before <= blocks_max && draft.blocks.size() > blocks_max)
        table.note("cidrs", "makes more blocks than gate.networks_max: expected at most " +
                                std::to_string(blocks_max));
    draft.config.networks.push_back(std::move(network));
}

/// [one] or [[many]].
enum class Shape : std::uint8_t { one, many };

struct Section {
    const char *name;
    Shape shape;
    /// Called for each table of the section; for an absent one of Shape::one with an empty
    /// table. None: the section belongs to a later version, and is refused.
    void (*read)(TableReader &table, Draft &draft);
};

constexpr Section gate_section = {"gate", Shape::one, read_gate};

/// In the order of reading: what is held against bounds and names stands after them.
constexpr Section sections[] = {
    gate_section,
    {"reconcile", Shape::one, read_reconcile},
    {"state", Shape::one, read_state},
    {"control", Shape::one, read_control},
    {"service", Shape::many, read_service},
    {"windows", Shape::one, read_windows},
    {"network", Shape::many, read_network},
    {"limit", Shape::many, read_limit},
    {"lists", Shape::one, read_lists},
    {"block", Shape::many, read_block},
    {"allow", Shape::many, read_allow},
    {"check", Shape::many, read_check},
    {"http", Shape::one, read_http},
    {"ask", Shape::one, read_ask},
    {"line", Shape::one, read_line},
    {"anvil", Shape::one, read_anvil},
    {"policy", Shape::one, read_policy},
    {"sessions", Shape::one, read_sessions},
};

std::string header(const Section &section)
{
    const std::string name = section.name;
    return section.shape == Shape::one ? "[" + name + "]" : "[[" + name + "]]";
}

void read_table(const Section &section, const toml::table &table, Draft &draft, Mistakes &mistakes)
{
    TableReader reader{section.name, table, mistakes};

    section.read(reader, draft);
    reader.finish();
}

/// `node` is not what the header of the section makes.
void note_wrong_shape(const Section &section, std::string_view verb, const toml::node &node,
                      Mistakes &mistakes)
{
    mistakes.add(mistakes.place(node.source()), std::string(section.name) + " " +
                                                    std::string(verb) + " " + written(node) +
                                                    ": expected " + header(section));
}

void read_array(const Section &section, const toml::array &array, Draft &draft, Mistakes &mistakes)
{
    if (array.empty())
        mistakes.add(mistakes.place(array.source()),
                     std::string(section.name) + " is empty: expected " + header(section));
    for (const auto &element : array) {
        if (const auto *table = element.as_table())
            read_table(section, *table, draft, mistakes);
        else
            note_wrong_shape(section, "has", element, mistakes);
    }
}

void read_section(const Section &section, const toml::table &root, Draft &draft, Mistakes &mistakes)
{
    const toml::node *node = root.get(section.name);

    if (node == nullptr) {
        if (section.read != nullptr && section.shape == Shape::one)
            read_table(section, toml::table{}, draft, mistakes);
    } else if (section.read == nullptr) {
        mistakes.add(mistakes.place(node->source()), header(section) +
                                                         " is not in this version yet: expected "
                                                         "a file without it");
    } else if (section.shape == Shape::one && node->is_table()) {
        read_table(section, *node->as_table(), draft, mistakes);
    } else if (section.shape == Shape::many && node->is_array()) {
        read_array(section, *node->as_array(), draft, mistakes);
    } else {
        note_wrong_shape(section, "is", *node, mistakes);
    }
}

void note_unknown_sections(const toml::table &root, Mistakes &mistakes)
{
    std::vector<std::string> names;
    std::string headers;

    for (const auto &section : sections) {
        names.emplace_back(section.name);
        if (section.read != nullptr)
            headers += (headers.empty() ? "" : ", ") + header(section);
    }
    for (const auto &[key, node] : root) {
        if (std::find(names.begin(), names.end(), key.str()) != names.end())
            continue;
        const auto meant = nearest(key.str(), names);
        mistakes.add(mistakes.place(key.source()),
                     written_key(key.str()) + " is no section: " +
                         (meant ? "did you mean " + *meant + "?" : "expected one of " + headers));
    }
}

} // namespace

Result<Config> parse_config(std::string_view text, std::string file, Purpose purpose)
{
    auto document = parse_toml(text, file);
    Draft draft;

    if (!document)
        return document.error();
    const auto &root = document->root;
    Mistakes mistakes{file, std::move(document->columns)};
    draft.config.file = std::move(file);
    draft.purpose = purpose;
    for (const auto &section : sections)
        read_section(section, root, draft, mistakes);
    check_limited_networks(draft, mistakes);
    note_unknown_sections(root, mistakes);
    if (!root.contains("service"))
        mistakes.add({}, "no service is named: expected at least one [[service]]");
    if (!mistakes.none())
        return mistakes.error();
    return std::move(draft.config);
}

Result<Config> load_config(const std::string &path, Purpose purpose)
{
    const auto text = read_file(path, file_bytes_max, "a configuration");
    if (!text)
        return text.error();
    return parse_config(*text, path, purpose);
}

Result<std::string> load_pin_dir(const std::string &path)
{
    const auto text = read_file(path, file_bytes_max, "a configuration");
    if (!text)
        return text.error();
    auto document = parse_toml(*text, path);
    if (!document) {
        // Whoever must take the gate off has no time to mend what stands behind its section.
        auto before = parse_toml_before_mistake(*text);
        if (!before || !before->root.at_path("gate.pin_dir"))
            return document.error();
        document = std::move(*before);
    }
    const toml::node *gate = document->root.get("gate");
    if (gate == nullptr)
        return Gate{}.pin_dir;
    Mistakes mistakes{path, std::move(document->columns)};
    if (!gate->is_table()) {
        note_wrong_shape(gate_section, "is", *gate, mistakes);
        return mistakes.error();
    }
    auto pin_dir = TableReader{"gate", *gate->as_table(), mistakes}.value(
        "pin_dir", absolute_path(path_bytes_max), Gate{}.pin_dir);
    if (!mistakes.none())
        return mistakes.error();
    return pin_dir;
}

} // namespace tallygate::config
