# SPDX-License-Identifier: BSD-2-Clause
"""Nanoseconds of a packet in the programs alone, by test-run: tests/bench/gate_bench."""
from bench_lib import programs, report

CLAIMS_PERCENT_MIN = 90
PROVEN_MIN = 1_000_000


def measure(bench):
    flood_cpu, _ = programs.cpus()
    options = ["--json", "--cpu", flood_cpu, "--rounds", 3 * bench.rounds]
    if bench.options.quick:
        options += ["--repeat", 20_000, "--entries", 20_000]
    bench.say("packets: filling tables, and running programs")
    return programs.run_json("gate_bench", *options)


def void(table):
    """Why the figures of filled tables say nothing; empty if they do."""
    if table["name"] == "empty":
        return ""
    if table["claims_percent"] <= CLAIMS_PERCENT_MIN or table["proven"] < PROVEN_MIN:
        return "Void: these tables are not full enough to be called filled."
    return ""


def beside(row, names):
    """(the baseline's time, how many of it the gate takes), as text; dashes if it has none."""
    for baseline in row["baselines"]:
        if baseline["name"] in names:
            return (f"{baseline['median_ns']:.0f}",
                    report.times(row["median_ns"] / baseline["median_ns"]))
    return "-", "-"


def table_text(table, rounds):
    rows = []
    for row in table["rows"]:
        parse = beside(row, ("parse and pass", "parse and drop"))
        name = row["name"] if row["as_intended"] else row["name"] + " (void: another verdict)"
        rows.append((name, row["senders"], f"{row['median_ns']:.0f}", *parse,
                     *beside(row, ("LRU_HASH",)), *beside(row, ("HASH",))))
    lines = [f"### Nanoseconds a packet, {table['name']} tables", "",
             f"Claims {table['claims_percent']:.1f} % full, {table['proven']:,} proven sources, "
             f"{table['flows']:,} flows, {table['networks']} networks, {table['listed']} listed "
             f"prefixes. By test-run; median of {rounds} interleaved runs each; a program that "
             f"does nothing takes {table['nothing']['median_ns']:.0f}.", ""]
    if void(table):
        lines += [void(table), ""]
    lines.append(report.table(["packet", "senders", "gate", "parse", "ratio", "LRU_HASH", "ratio",
                               "HASH", "ratio"], rows))
    return "\n".join(lines)


def to_text(part):
    return "\n\n".join(table_text(table, part["rounds"]) for table in part["tables"])
