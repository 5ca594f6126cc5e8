# SPDX-License-Identifier: BSD-2-Clause
"""What a flood leaves of a mail server: sessions finished a second by clients in a closed loop.

The clients' sources were there before the flood, so that a guard that can tell may know them.
Every guard is held against a program that drops all but the clients' packets, under the same
flood in the same round: that is what this machine can do at all while it makes the flood.
"""
import dataclasses
import time

from bench_lib import programs, report

LEAD_SECONDS = 0.2
WARMUP_SECONDS = 0.3
DRAIN_SECONDS = 0.3
CONNECTIONS = 64
# What a client does, by name, and how it is told to.
SESSIONS = {"message": ("hands over a message", ["--message"]), "quit": ("says QUIT at once", [])}
NORMALISER = "clients"
SENT_MIN = 0.9  # of the flood that was asked for
LOST_MAX = 0.01


@dataclasses.dataclass
class Round:
    sessions_per_second: float
    p99_us: float
    failed: int
    offered: float  # forged frames a second
    lost: float     # of them, those that the queue had no room for


class Cell:
    """One guard under one flood, with clients of one kind."""

    def __init__(self, guard, rate, session):
        self.guard = guard
        self.rate = rate
        self.session = session
        self.rounds = []

    def median(self, field):
        return report.median([getattr(each, field) for each in self.rounds])

    @property
    def void(self):
        """A guard that is too slow for the flood makes it slower here; cards do not wait."""
        offered, lost = self.median("offered"), self.median("lost")
        if offered < SENT_MIN * self.rate:
            return f"void: only {report.millions(offered)} a second could be sent"
        if lost > LOST_MAX * self.rate:
            return f"void: {report.percent(lost, offered)} of the flood was lost on the way"
        return self.guard.void()

    def to_json(self, normaliser):
        ratios = [mine.sessions_per_second / theirs.sessions_per_second
                  for mine, theirs in zip(self.rounds, normaliser.rounds)
                  if theirs.sessions_per_second] if normaliser else []
        return {"receiver": self.guard.key, "name": self.guard.name, "fill": self.guard.fill,
                "session": self.session, "rate": self.rate,
                "offered": round(self.median("offered")),
                "sessions_per_second": round(self.median("sessions_per_second"), 1),
                "ratio": report.median(ratios) if ratios else None,
                "p99_us": self.median("p99_us"), "failed": sum(r.failed for r in self.rounds),
                "lost": round(self.median("lost")), "rounds": len(self.rounds), "void": self.void}


def run_once(bench, guard, rate, session):
    flood, lost_before = None, guard.road.lost()
    if rate:
        whole = LEAD_SECONDS + WARMUP_SECONDS + bench.seconds + DRAIN_SECONDS
        flood = programs.start_flood(bench, guard.road, whole, rate=rate)
        time.sleep(LEAD_SECONDS)
    clients = programs.start_clients(bench, guard.road, "--connections", CONNECTIONS, "--warmup",
                                     WARMUP_SECONDS, "--seconds", bench.seconds,
                                     *SESSIONS[session][1])
    said = clients.finish()
    forged = flood.finish() if flood else {"sent": 0, "seconds": 1}
    return Round(said["completed"] / said["seconds"], said["p99_us"], said["failed"],
                 forged["sent"] / forged["seconds"],
                 (guard.road.lost() - lost_before) / forged["seconds"])


def measure(bench, guards, rates, sessions):
    cells = [Cell(guard, rate, session)
             for session in sessions for rate in rates for guard in guards]
    for guard in guards:
        guard.meet_mail()
    for number in range(bench.rounds):
        for cell in cells:
            guard, rate = cell.guard, cell.rate
            bench.say(f"goodput, {rate / 1e6:g} M forged SYNs/s, round {number + 1}: {guard.name}, "
                      f"{cell.session}")
            with bench.standing(guard), bench.mail_server(guard.road):
                programs.prove_clients(bench, guard.road)
                cell.rounds.append(run_once(bench, guard, rate, cell.session))
    return cells


def to_json(cells):
    normalisers = {(cell.rate, cell.session): cell
                   for cell in cells if cell.guard.key == NORMALISER}
    return {"connections": CONNECTIONS,
            "rows": [cell.to_json(normalisers.get((cell.rate, cell.session))) for cell in cells]}


def to_text(part):
    rows = [(row["name"], row["fill"], SESSIONS[row["session"]][0], f"{row['rate'] / 1e6:g} M",
             report.millions(row["offered"]), f"{row['sessions_per_second']:,.0f}",
             report.times(row["ratio"]), f"{row['p99_us'] / 1000:.1f} ms", row["void"] or "yes")
            for row in part["rows"]]
    rounds = max((row["rounds"] for row in part["rows"]), default=0)
    return ("### Mail sessions finished under a forged flood\n\n"
            f"{part['connections']} clients at a time. Median of {rounds} interleaved runs each; "
            "the ratio is to a program that drops all but the client, in the same round.\n\n" +
            report.table(["guard", "tables", "a client", "flood asked", "flood sent", "sessions/s",
                          "ratio", "p99", "all of it received"], rows))
