// SPDX-License-Identifier: BSD-2-Clause
//
// Nanoseconds per packet, by BPF_PROG_TEST_RUN: the work of the programs, without a card's
// driver. Each row stands beside programs that only parse the same packets, or count their
// sources in one of the kernel's tables, in the same rounds. What a program that does nothing
// costs is the loop of the test run, and is in every figure.
//
// The packet is the same each time, but for its sender where the row says so: with one sender all
// that it touches is in the cache, and with random ones hardly anything is.
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
    std::uint32_t entries = 1'000'000; ///< proven sources and half as many flows
    int cpu = 1;
    std::string only; ///< rows whose name and senders hold this
    bool json = false;
};

/// What the gate is measured against.
struct Baseline {
    const char *name;
    const bpf_program *program;
};

/// One packet through the gate, and through what it is measured against.
struct Row {
    const char *name;
    const char *senders_name;
    Packet packet;
    std::uint32_t senders;
    tg_verdict verdict;
    std::vector<Baseline> baselines;
};

struct Times {
    std::string name;
    std::vector<double> nanoseconds{};

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
    std::string senders;
    Times gate{};
    std::vector<Times> baselines{};
    bool as_intended = true;
};

struct Table {
    Fill fill;
    double claims_percent = 0;
    Times nothing{"nothing"};
    std::vector<Measured> rows{};
};

Packet from_client(const char *client, const Tcp &tcp)
{
    return Ethernet{} / Ipv4{.from = client} / tcp;
}

std::vector<Row> rows_of(const gate_bench &skeleton)
{
    const auto &programs = skeleton.progs;
    const Baseline pass{"parse and pass", programs.parse_and_pass};
    const Baseline drop{"parse and drop", programs.parse_and_drop};
    const Baseline lru{"LRU_HASH", programs.count_in_lru};
    const Baseline hash{"HASH", programs.count_in_hash};
    const std::vector<Baseline> counting{drop, lru, hash};
    const Tcp data{.flags = ack | psh, .seq = 1001, .ack_seq = 5001, .payload_bytes = 100};
    const auto to_limited = from_client("192.0.2.9", {.to = limited_port});
    const auto to_source_limited = from_client("192.0.2.9", {.to = source_limited_port});
    const auto to_unlimited = from_client("192.0.2.9", {.to = unlimited_port});
    constexpr auto own = DISTRIBUTION_COUNT;

    return {
        {"not our port",
         "one",
         from_client("192.0.2.9", {.to = 22}),
         own,
         TG_PASS_NOT_WATCHED,
         {pass}},
        {"data of an open flow",
         "one",
         from_client("192.0.2.1", data),
         own,
         TG_PASS_OPEN_FLOW,
         {pass}},
        {"SYN, no limit", "one", to_unlimited, own, TG_PASS_SYN, {pass, lru, hash}},
        {"SYN over its limit", "one", to_source_limited, own, TG_DROP_SOURCE_RATE, counting},
        {"SYN over its limit, of a proven source", "one",
         from_client("192.0.2.1", {.to = limited_port}), own, TG_DROP_SOURCE_RATE, counting},
        {"SYN over the newcomers' limit", "64k", to_limited, DISTRIBUTION_64K, TG_DROP_SERVICE_RATE,
         counting},
        {"SYN over the newcomers' limit", "random", to_limited, DISTRIBUTION_RANDOM,
         TG_DROP_SERVICE_RATE, counting},
        {"SYN, no limit", "64k", to_unlimited, DISTRIBUTION_64K, TG_PASS_SYN, {pass, lru, hash}},
        /* Last, because it fills the claims of a table that was empty. */
        {"SYN, no limit",
         "random",
         to_unlimited,
         DISTRIBUTION_RANDOM,
         TG_PASS_SYN,
         {pass, lru, hash}},
    };
}

Result<void> measure_row(BenchGate &gate, const Row &row, std::uint32_t repeat, Measured &into)
{
    Load load{gate.skeleton().progs.gate, &row.packet, row.senders, row.verdict};

    for (std::size_t i = 0; i < row.baselines.size(); i++) {
        const auto run = gate.run({row.baselines[i].program, &row.packet, row.senders}, repeat);
        if (!run)
            return run.error();
        into.baselines[i].nanoseconds.push_back(run->nanoseconds);
    }
    const auto judged = gate.run(load, repeat);
    if (!judged)
        return judged.error();
    into.gate.nanoseconds.push_back(judged->nanoseconds);
    into.as_intended = into.as_intended && judged->as_intended;
    return {};
}

/// All that a limit lets through at once is let through before the first run.
Result<void> use_up_bursts(BenchGate &gate, const std::vector<Row> &rows)
{
    for (const auto &row : rows)
        if (tg_verdict_drops(row.verdict))
            if (auto done = gate.run({gate.skeleton().progs.gate, &row.packet}, 100); !done)
                return done.error();
    return {};
}

/// The rows in turn, and again: whatever else the machine does meets them all.
Result<void> measure_rows(BenchGate &gate, const std::vector<Row> &rows, const Settings &settings,
                          Table &table)
{
    for (const auto &row : rows) {
        Measured measured{.name = row.name, .senders = row.senders_name};
        for (const auto &baseline : row.baselines)
            measured.baselines.push_back({baseline.name});
        table.rows.push_back(std::move(measured));
    }
    for (std::uint32_t round = 0; round < settings.rounds; round++) {
        const auto nothing =
            gate.run({gate.skeleton().progs.pass_all, &rows[0].packet}, settings.repeat);
        if (!nothing)
            return nothing.error();
        table.nothing.nanoseconds.push_back(nothing->nanoseconds);
        for (std::size_t i = 0; i < rows.size(); i++)
            if (auto done = measure_row(gate, rows[i], settings.repeat, table.rows[i]); !done)
                return done;
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
    const auto claimed = gate->claims_percent();
    if (!claimed)
        return claimed.error();

    Table table{.fill = fill, .claims_percent = *claimed};
    auto rows = rows_of(gate->skeleton());
    std::erase_if(rows, [&](const Row &row) {
        const auto name = std::string(row.name) + ", " + row.senders_name;
        return name.find(settings.only) == std::string::npos;
    });
    if (rows.empty())
        return Error{"no row has " + settings.only + " in its name"};
    if (auto done = use_up_bursts(*gate, rows); !done)
        return done.error();
    if (auto done = measure_rows(*gate, rows, settings, table); !done)
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

void print_row(const Measured &row)
{
    std::printf("%-40s %-6s %9.1f %9.1f", row.name.c_str(), row.senders.c_str(), row.gate.best(),
                row.gate.median());
    for (const auto &baseline : row.baselines)
        std::printf("  %s %.1f = %.2fx", baseline.name.c_str(), baseline.best(),
                    row.gate.best() / baseline.best());
    std::printf("%s\n", row.as_intended ? "" : "  VOID: another verdict");
}

void print_text(const std::vector<Table> &tables, const Settings &settings)
{
    std::printf("kernel %s, %s, CPU %d; %u packets a run, %u rounds\n", kernel_release().c_str(),
                cpu_model().c_str(), settings.cpu, settings.repeat, settings.rounds);
    for (const auto &table : tables) {
        const auto &fill = table.fill;
        std::printf("\n%s tables: claims %.1f %% full, %u proven sources, %u flows, %u networks, "
                    "%u listed prefixes\n",
                    fill.name.c_str(), table.claims_percent, fill.proven, fill.flows, fill.networks,
                    fill.listed);
        std::printf("%-40s %-6s %9s %9s  others' best\n", "ns per packet", "from", "best",
                    "median");
        std::printf("%-40s %-6s %9.1f %9.1f\n", "a program that does nothing", "",
                    table.nothing.best(), table.nothing.median());
        for (const auto &row : table.rows)
            print_row(row);
    }
}

boost::json::object to_json(const Times &times)
{
    return {{"name", times.name}, {"best_ns", times.best()}, {"median_ns", times.median()}};
}

boost::json::object to_json(const Table &table)
{
    boost::json::array rows;
    for (const auto &row : table.rows) {
        boost::json::array baselines;
        for (const auto &baseline : row.baselines)
            baselines.push_back(to_json(baseline));
        rows.push_back({{"name", row.name},
                        {"senders", row.senders},
                        {"best_ns", row.gate.best()},
                        {"median_ns", row.gate.median()},
                        {"baselines", std::move(baselines)},
                        {"as_intended", row.as_intended}});
    }
    return {{"name", table.fill.name},           {"claims_percent", table.claims_percent},
            {"proven", table.fill.proven},       {"flows", table.fill.flows},
            {"networks", table.fill.networks},   {"listed", table.fill.listed},
            {"nothing", to_json(table.nothing)}, {"rows", std::move(rows)}};
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
    for (const auto &fill : {Fill{.name = "empty"}, Fill{"filled", 6 * n, n, n / 2, 100, 100}}) {
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
    app.add_option("--entries", settings.entries, "proven sources in filled tables");
    app.add_option("--cpu", settings.cpu, "the CPU to run on");
    app.add_option("--only", settings.only, "rows whose name, senders hold this");
    app.add_flag("--json", settings.json, "one object instead of a table");
    CLI11_PARSE(app, argc, argv);

    const auto as_intended = tallygate::bench::run(settings);
    if (!as_intended) {
        std::fprintf(stderr, "gate_bench: %s\n", as_intended.error().message.c_str());
        return 1;
    }
    return *as_intended ? 0 : 1;
}
