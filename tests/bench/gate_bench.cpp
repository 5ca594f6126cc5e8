// SPDX-License-Identifier: BSD-2-Clause
//
// Nanoseconds per packet, by BPF_PROG_TEST_RUN. One packet is repeated, so what it touches is
// in the cache: this is the work of the programs, and not the memory's. Each row stands beside
// a program that only parses the same packet, in the same rounds; ratios are of those two. What
// a program that does nothing costs is the loop of the test run, and is in every figure.
#include <sched.h>
#include <sys/utsname.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <fstream>
#include <vector>

#include "bench/bench_gate.hpp"

namespace tallygate::bench {
namespace {

using namespace test;

struct Settings {
    std::uint32_t repeat = 300'000;
    std::uint32_t rounds = 9;
    std::uint32_t entries = 240'000; ///< 92 % of the claims
    int cpu = 1;
    bool json = false;
};

/// One packet through the gate, and through the program that it is measured against.
struct Row {
    const char *name;
    Packet packet;
    tg_verdict verdict;
    const bpf_program *gate;
    const bpf_program *parse;
};

struct Times {
    std::vector<double> nanoseconds;

    [[nodiscard]] double best() const
    {
        return *std::min_element(nanoseconds.begin(), nanoseconds.end());
    }
    [[nodiscard]] double median() const
    {
        auto sorted = nanoseconds;
        std::sort(sorted.begin(), sorted.end());
        return sorted[sorted.size() / 2];
    }
};

struct Measured {
    std::string name;
    Times gate{};
    Times parse{};
    bool as_intended = true;
};

struct Table {
    Fill fill;
    Times nothing{};
    std::vector<Measured> rows{};
};

Packet client_packet(const char *client, const Tcp &tcp)
{
    return Ethernet{} / Ipv4{.from = client} / tcp;
}

std::vector<Row> known_ends(const gate_bench &skeleton)
{
    const auto &programs = skeleton.progs;
    const auto *gate = programs.gate_xdp;
    const auto *parse = programs.parse_only;
    const Tcp data{.flags = ack | psh, .seq = 1001, .ack_seq = 5001, .payload_bytes = 100};
    return {
        {"not our port", client_packet("192.0.2.1", {.to = 22}), TG_PASS_NOT_WATCHED, gate, parse},
        {"data of an open flow", client_packet("192.0.2.1", data), TG_PASS_OPEN_FLOW, gate, parse},
        {"SYN of a proven source", client_packet("192.0.2.1", {}), TG_PASS_SYN, gate, parse},
        {"SYN of a claimed source", client_packet("192.0.2.2", {}), TG_PASS_SYN, gate, parse},
    };
}

std::vector<Row> new_ends(const gate_bench &skeleton)
{
    const auto &programs = skeleton.progs;
    return {{"SYN of a new source", client_packet("192.0.2.3", {}), TG_PASS_SYN,
             programs.gate_new_source, programs.parse_new_source}};
}

Result<void> measure_row(BenchGate &gate, const Row &row, std::uint32_t repeat, Measured &into)
{
    const auto parsed = gate.run(row.parse, row.packet, repeat, TG_UNDECIDED);
    if (!parsed)
        return parsed.error();
    const auto judged = gate.run(row.gate, row.packet, repeat, row.verdict);
    if (!judged)
        return judged.error();
    into.parse.nanoseconds.push_back(parsed->nanoseconds);
    into.gate.nanoseconds.push_back(judged->nanoseconds);
    into.as_intended = into.as_intended && judged->as_intended;
    return {};
}

/// Some rows in turn, and again: whatever else the machine does meets them all.
Result<void> measure_rows(BenchGate &gate, const std::vector<Row> &rows, const Settings &settings,
                          Table &table)
{
    const auto first = table.rows.size();
    for (const auto &row : rows)
        table.rows.push_back({.name = row.name});
    for (std::uint32_t round = 0; round < settings.rounds; round++) {
        const auto nothing =
            gate.run(gate.skeleton().progs.pass_all, rows[0].packet, settings.repeat, TG_UNDECIDED);
        if (!nothing)
            return nothing.error();
        table.nothing.nanoseconds.push_back(nothing->nanoseconds);
        for (std::size_t i = 0; i < rows.size(); i++) {
            auto done = measure_row(gate, rows[i], settings.repeat, table.rows[first + i]);
            if (!done)
                return done;
        }
    }
    return {};
}

Result<Table> measure(const Fill &fill, const Settings &settings)
{
    auto gate = BenchGate::load(fill);
    if (!gate)
        return gate.error();
    if (auto opened = gate->open_flow("192.0.2.1"); !opened)
        return opened.error();

    Table table{.fill = fill};
    const auto &skeleton = gate->skeleton();
    if (auto done = measure_rows(*gate, known_ends(skeleton), settings, table); !done)
        return done.error();
    /* Last, because it fills the claims of a table that was empty. */
    if (auto done = measure_rows(*gate, new_ends(skeleton), settings, table); !done)
        return done.error();
    return table;
}

std::string cpu_model()
{
    std::ifstream cpus("/proc/cpuinfo");
    for (std::string line; std::getline(cpus, line);)
        if (line.rfind("model name", 0) == 0)
            return line.substr(line.find(':') + 2);
    return "unknown";
}

std::string kernel_release()
{
    utsname name{};
    return uname(&name) == 0 ? name.release : "unknown";
}

void print_text(const std::vector<Table> &tables, const Settings &settings)
{
    std::printf("kernel %s, %s, CPU %d; %u packets a run, %u rounds; one packet repeated\n",
                kernel_release().c_str(), cpu_model().c_str(), settings.cpu, settings.repeat,
                settings.rounds);
    for (const auto &table : tables) {
        const auto &fill = table.fill;
        std::printf("\n%s tables: %u claims, %u proven sources, %u flows, %u networks\n",
                    fill.name.c_str(), fill.claims, fill.proven, fill.flows, fill.networks);
        std::printf("%-26s %9s %9s %9s %9s %9s\n", "ns per packet", "best", "median", "parse best",
                    "median", "gate/parse");
        std::printf("%-26s %9.1f %9.1f\n", "a program that does nothing", table.nothing.best(),
                    table.nothing.median());
        for (const auto &row : table.rows)
            std::printf("%-26s %9.1f %9.1f %10.1f %9.1f %9.2fx%s\n", row.name.c_str(),
                        row.gate.best(), row.gate.median(), row.parse.best(), row.parse.median(),
                        row.gate.best() / row.parse.best(),
                        row.as_intended ? "" : "  VOID: another verdict");
    }
}

boost::json::object to_json(const Table &table)
{
    boost::json::array rows;
    for (const auto &row : table.rows)
        rows.push_back({{"name", row.name},
                        {"best_ns", row.gate.best()},
                        {"median_ns", row.gate.median()},
                        {"parse_best_ns", row.parse.best()},
                        {"parse_median_ns", row.parse.median()},
                        {"ratio", row.gate.best() / row.parse.best()},
                        {"as_intended", row.as_intended}});
    return {{"name", table.fill.name},         {"claims", table.fill.claims},
            {"proven", table.fill.proven},     {"flows", table.fill.flows},
            {"networks", table.fill.networks}, {"nothing_best_ns", table.nothing.best()},
            {"rows", std::move(rows)}};
}

void print_json(const std::vector<Table> &tables, const Settings &settings)
{
    boost::json::array all;
    for (const auto &table : tables)
        all.push_back(to_json(table));
    const boost::json::object report{{"schema", 1},
                                     {"kernel", kernel_release()},
                                     {"cpu_model", cpu_model()},
                                     {"cpu", settings.cpu},
                                     {"repeat", settings.repeat},
                                     {"rounds", settings.rounds},
                                     {"keys", "one packet repeated"},
                                     {"tables", std::move(all)}};
    std::printf("%s\n", boost::json::serialize(report).c_str());
}

Result<void> pin_to(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set) != 0)
        return Error::system("pin this thread to CPU " + std::to_string(cpu));
    return {};
}

Result<bool> run(const Settings &settings)
{
    if (auto pinned = pin_to(settings.cpu); !pinned)
        return pinned.error();
    const auto n = settings.entries;
    std::vector<Table> tables;
    bool as_intended = true;
    for (const auto &fill : {Fill{.name = "empty"}, Fill{"filled", n, n, n, 100}}) {
        auto table = measure(fill, settings);
        if (!table)
            return table.error();
        for (const auto &row : table->rows)
            as_intended = as_intended && row.as_intended;
        tables.push_back(std::move(*table));
    }
    if (settings.json)
        print_json(tables, settings);
    else
        print_text(tables, settings);
    return as_intended;
}

} // namespace
} // namespace tallygate::bench

int main(int argc, char **argv)
{
    tallygate::bench::Settings settings;
    CLI::App app("What a packet costs in the gate. Needs root; attaches nothing.");
    app.add_option("--repeat", settings.repeat, "packets a run")->check(CLI::PositiveNumber);
    app.add_option("--rounds", settings.rounds, "runs of each row")->check(CLI::PositiveNumber);
    app.add_option("--entries", settings.entries, "claims, sources and flows in filled tables");
    app.add_option("--cpu", settings.cpu, "the CPU to run on");
    app.add_flag("--json", settings.json, "one object instead of a table");
    CLI11_PARSE(app, argc, argv);

    const auto as_intended = tallygate::bench::run(settings);
    if (!as_intended) {
        std::fprintf(stderr, "gate_bench: %s\n", as_intended.error().message.c_str());
        return 1;
    }
    return *as_intended ? 0 : 1;
}
