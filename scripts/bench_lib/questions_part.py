# SPDX-License-Identifier: BSD-2-Clause
"""What questions cost, and events into the ledger, at size: tests/bench/ledger_bench."""
from bench_lib import programs, report

SIZES = (10_000, 1_000_000)


def measure(bench):
    tables = []
    for sources in SIZES[:1] if bench.options.quick else SIZES:
        bench.say(f"questions: {sources:,} sources")
        questions = 1_000 if bench.options.quick else 20_000
        tables.append(programs.run_json("ledger_bench", "--sources", sources,
                                        "--questions", questions))
    return tables


def mebibytes(size):
    return f"{size / 2**20:,.0f} MiB"


def table_text(table):
    rows = [(row["question"], f"{row['inside']['per_second']:,.0f}",
             f"{row['inside']['median_us']:.1f}", f"{row['inside']['p99_us']:.1f}",
             f"{row['socket']['per_second']:,.0f}", f"{row['socket']['median_us']:.1f}",
             f"{row['socket']['p99_us']:.1f}") for row in table["rows"]]
    return "\n".join([
        f"### Questions, {table['sources']:,} sources, {table['monitors']} monitors", "",
        f"Events into the ledger: {table['events_per_second']:,.0f} a second of connections, "
        f"{table['reports_per_second']:,.0f} of reports. Memory: "
        f"{mebibytes(table['ledger_bytes'])} by its own account, of which "
        f"{mebibytes(table['reported_bytes'])} are reports; the process grew by "
        f"{mebibytes(table['resident_bytes'])}. Microseconds, inside the daemon and over the "
        "control socket on one kept connection, client included.", "",
        report.table(["question", "inside, a second", "median", "p99", "socket, a second",
                      "median", "p99"], rows)])


def to_text(tables):
    return "\n\n".join(table_text(table) for table in tables)
