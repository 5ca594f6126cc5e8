# SPDX-License-Identifier: BSD-2-Clause
"""How figures are put: medians, Markdown, and where they were measured."""
import datetime
import os
import pathlib
import platform
import statistics


def median(values):
    return statistics.median(values) if values else 0


def header():
    """Where and when, for whoever reads the figures later."""
    return {"kernel": platform.release(), "cpu": cpu_model(),
            "cpus": len(os.sched_getaffinity(0)),
            "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30),
            "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")}


def cpu_model():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def header_text(about):
    return (f"Kernel {about['kernel']}, {about['cpu']}, {about['cpus']} CPUs, "
            f"{about['memory_gib']} GiB, {about['date']}.")


def table(columns, rows):
    """Markdown; the first column is text, the others are figures and stand to the right."""
    cells = [[str(cell) for cell in row] for row in [columns, *rows]]
    widths = [max(len(row[at]) for row in cells) for at in range(len(columns))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = []
    for row in [cells[0], rule, *cells[1:]]:
        padded = [row[0].ljust(widths[0]), *(cell.rjust(width)
                                             for cell, width in zip(row[1:], widths[1:]))]
        lines.append("| " + " | ".join(padded) + " |")
    return "\n".join(lines)


def millions(per_second):
    return f"{per_second / 1e6:.2f} M"


def times(ratio):
    return f"{ratio:.2f} x" if ratio else "-"


def percent(part, whole):
    """Never rounded to all or to nothing when it is not."""
    if not whole or part == 0:
        return "0 %"
    share = 100 * part / whole
    if part != whole and share > 99.9:
        return f"{min(share, 99.99):.2f} %"
    return f"{share:.3g} %"
