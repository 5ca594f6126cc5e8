# SPDX-License-Identifier: BSD-2-Clause
"""Floods through a veth: frames a second that each receiver takes, all of them dropped or not.

Generator and receiver are on one CPU, as a packet and the interrupt that takes it are; so a
frame's time is the sending of it (about 100 ns) and the receiving.
"""
import dataclasses
import time

from bench_lib import programs, report

DRAIN_SECONDS = 0.1
NAMES = {"random": "every frame from a random source", "hot": "three sources",
         "64k": "65,536 sources"}


@dataclasses.dataclass
class Round:
    sent: int
    seconds: float
    received: int
    dropped: int

    @property
    def rate(self):
        return self.sent / self.seconds


class Row:
    def __init__(self, guard):
        self.guard = guard
        self.rounds = []

    @property
    def rate(self):
        return report.median([each.rate for each in self.rounds])

    def sum(self, field):
        return sum(getattr(each, field) for each in self.rounds)

    @property
    def void(self):
        """Why this row says nothing; empty if it does."""
        if any(each.received != each.sent for each in self.rounds):
            return f"void: {self.sum('received')} of {self.sum('sent')} frames were received"
        if self.guard.drops and not all(each.dropped for each in self.rounds):
            return "void: no frame met the rule"
        return self.guard.void()

    def to_json(self, baseline):
        return {"receiver": self.guard.key, "name": self.guard.name, "fill": self.guard.fill,
                "frames_per_second": round(self.rate), "nanoseconds": self.nanoseconds,
                "ratio_to_drop": self.rate / baseline if baseline else None,
                "rounds": len(self.rounds), "sent": self.sum("sent"),
                "received": self.sum("received"), "dropped": self.sum("dropped"),
                "rates": [round(each.rate) for each in self.rounds], "void": self.void}

    @property
    def nanoseconds(self):
        return 1e9 / self.rate if self.rate else 0


def flood_once(bench, guard, distribution, seconds):
    before = guard.counts()
    said = programs.start_flood(bench, guard.road, seconds, distribution=distribution).finish()
    time.sleep(DRAIN_SECONDS)
    seen = guard.counts().since(before)
    return Round(said["sent"], said["seconds"], seen.received, seen.dropped)


def measure(bench, guards, distribution):
    """Each receiver in turn, and again: whatever else the machine does meets them all."""
    rows = [Row(guard) for guard in guards]
    for number in range(bench.rounds):
        for row in rows:
            bench.say(f"flood, {distribution}, round {number + 1}: {row.guard.name}")
            with bench.standing(row.guard):
                row.rounds.append(flood_once(bench, row.guard, distribution, bench.seconds))
    return rows


def to_json(distribution, rows):
    baseline = baseline_of(rows)
    return {"distribution": distribution, "rows": [row.to_json(baseline) for row in rows]}


def baseline_of(rows):
    return next((row.rate for row in rows if row.guard.key == "drop"), 0)


def to_text(part):
    rows = [(row["name"], row["fill"], report.millions(row["frames_per_second"]),
             f"{row['nanoseconds']:.0f}", report.times(row["ratio_to_drop"]),
             report.percent(row["dropped"], row["received"]), row["void"] or "yes")
            for row in part["rows"]]
    rounds = max((row["rounds"] for row in part["rows"]), default=0)
    return (f"### A flood of SYNs, {NAMES[part['distribution']]}\n\n"
            f"60-byte frames through a veth; median of {rounds} interleaved runs each.\n\n" +
            report.table(["receiver", "tables", "frames/s", "ns a frame", "of XDP_DROP", "dropped",
                          "received = sent"], rows))
