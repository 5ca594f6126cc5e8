# SPDX-License-Identifier: BSD-2-Clause
"""The demo's second act: a flood dies at the card while mail goes on.

The flood is made by the project's own generator (tests/bench/flood.cpp). What it says it sent, and
what the kernel of the clients says that they sent, is what the gate has to agree with.
"""
import contextlib
import dataclasses
import json
import os
import subprocess
import time

from lab import machine, story
from lab.gate import PROGRAMS, settle
from lab.machine import LabError, Link
from lab.processes import STOP_SECONDS, Process

GENERATOR = PROGRAMS.parent / "tests/flood"
FLOOD_SECONDS = 3.0
VISITS_SECONDS = 2.2  # over which the clients come: while the flood runs, and no /64 all at once
VISITS_SECONDS_MAX = 30
START_SECONDS = 5
SETTLE_SECONDS = 5
FAILURES_MAX = 3  # each may take ten seconds
HOT_SOURCE = "203.0.113.7"  # one of the generator's three

ENFORCE = 'mode = "enforce"'
LIMITS = """
[[limit]]
name = "per-source"
per = ["0.0.0.0/32", "::/64"]
syn_rate = "10/s"
syn_burst = 20

[[limit]]
name = "newcomers"
per = ["0.0.0.0/0"]
who = "claimed"
syn_rate = "1000/s"
syn_burst = 1000
"""


@dataclasses.dataclass
class Visits:
    """What the clients did while a flood ran."""

    tried: int = 0
    finished: int = 0
    slowest_seconds: float = 0
    in_flood: int = 0  # of those tried, how many came before its end

    def in_words(self):
        when = "" if self.in_flood == self.tried else f" ({self.in_flood} before its end)"
        return (f"{self.tried} tried{when}, {self.finished} finished, the slowest in "
                f"{self.slowest_seconds * 1000:.0f} ms")


@dataclasses.dataclass
class Outcome:
    """One flood. `sent` is the generator's word, `own_syns` that of the clients' kernel, the rest
    the gate's."""

    name: str
    sent: int
    own_syns: int
    counted: int
    dropped: dict  # by limit
    visits: Visits
    explained: str  # a sender's next SYN, while it was sending

    @property
    def dropped_total(self):
        return sum(self.dropped.values())


class Generator(Process):
    """A flood towards the server's card, from its start to the end of its time."""

    def __init__(self, link, mac, distribution, cpu, record, log):
        super().__init__("the flood", link.clients,
                         ["taskset", "-c", cpu, GENERATOR, "--interface", Link.CLIENT_SIDE,
                          "--mac", mac, "--destination", f"{story.SERVER_IPV4}:25",
                          "--distribution", distribution, "--seconds", FLOOD_SECONDS,
                          "--seed", os.getpid()], record, log)

    def finish(self):
        """How many SYNs it has sent."""
        sent = json.loads(self.read_line())["sent"]
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.child.wait(STOP_SECONDS)
        return sent


def cannot_flood(namespace):
    """Why this kernel cannot make live frames, in its own words; empty if it can.

    Tried on the loopback interface, which takes none of them: nobody is hurt.
    """
    if not GENERATOR.exists():
        raise LabError(f"there is no program {GENERATOR}: build it first")
    done = machine.run(*machine.inside(namespace, GENERATOR, "--interface", "lo", "--mac",
                                       "02:00:00:00:00:01", "--destination", "192.0.2.1:25",
                                       "--seconds", 0.05), check=False)
    if done.returncode == 0:
        return ""
    reason = done.stderr.strip()
    if "Invalid argument" not in reason:
        raise LabError(f"no flood can be made: {reason}")
    return reason


def sum_up(outcomes):
    """For the demo's result. `counted` is without the clients' own SYNs: it ought to be `sent`."""
    def total(field):
        return sum(getattr(each, field) for each in outcomes)
    return {"sent": total("sent"), "counted": total("counted") - total("own_syns"),
            "dropped": total("dropped_total"),
            "clients": {"tried": sum(each.visits.tried for each in outcomes),
                        "finished": sum(each.visits.finished for each in outcomes)}}


def complaint_about(found):
    """What went wrong by a sum, as a sentence; empty if nothing did."""
    if found["clients"]["finished"] != found["clients"]["tried"]:
        return "Not every client got through the flood."
    if found["counted"] != found["sent"]:
        return (f"The flood had {found['sent']:,} SYNs, and the gate has counted "
                f"{found['counted']:,}.")
    if found["dropped"] * 2 < found["sent"]:
        return "The gate has let most of the flood pass."
    return ""


class FloodAct:
    """Two floods at the demo's server, and the demo's clients in between."""

    def __init__(self, demo):
        self.pen, self.link, self.gate, self.record = demo.pen, demo.link, demo.gate, demo.record
        self.clients, self.server = demo.clients, demo.server
        self.log = self.gate.work_dir / "helpers.log"
        self.cpu = min(os.sched_getaffinity(0))

    def run(self):
        """Answers the sum of both."""
        self._enforce()
        self._share_a_cpu()
        self.pen.step(f"Two floods of forged SYNs, {FLOOD_SECONDS:g} s each, as fast as one CPU "
                      "can make them:")
        self.pen.line("   from three senders, then each SYN from another. While they last, every "
                      "client of before")
        self.pen.line("   connects, hears the banner, and says QUIT.")
        outcomes = [self._flood("hot", "three senders"), self._flood("random", "random senders")]
        self._print_outcomes(outcomes)
        self._show("limits", self.gate.ask("limits").stdout)
        if outcomes[0].explained:
            self._show(f"explain {HOT_SOURCE}     (asked while it was sending)",
                       outcomes[0].explained)
        return sum_up(outcomes)

    def _enforce(self):
        self.gate.write_config(story.NETWORKS, gate=ENFORCE, more=LIMITS)
        self.gate.ask("reload")
        self.pen.step("So far the gate has only counted. Now its configuration says "
                      "mode = \"enforce\", and two limits:")
        self.pen.line("   per-source  each IPv4 address and each IPv6 /64 may send 20 SYNs at "
                      "once, then 10 a second")
        self.pen.line("   newcomers   IPv4 senders that have never finished a handshake share "
                      "1,000 SYNs a second")

    def _share_a_cpu(self):
        """A card whose packets come from two CPUs loses some of a flood, and nobody knows whose."""
        for process in (self.clients, self.server):
            os.sched_setaffinity(process.child.pid, {self.cpu})

    def _flood(self, distribution, name):
        counted, dropped = self._counted(), self._dropped()
        syns = machine.syns_sent(self.link.clients)
        generator = Generator(self.link, self._mac(), distribution, self.cpu, self.record, self.log)
        try:
            self._wait_for(generator, counted)
            visits = self._visit(generator, name)
            explained = self._explain() if generator.is_running() else ""
            sent = generator.finish()
        finally:
            generator.stop()
        self.pen.progress("")
        own_syns = machine.syns_sent(self.link.clients) - syns
        counted = settle(lambda: self._counted() - counted, sent + own_syns, SETTLE_SECONDS)
        dropped = {limit: now - dropped[limit] for limit, now in self._dropped().items()}
        return Outcome(name, sent, own_syns, counted, dropped, visits, explained)

    def _wait_for(self, generator, counted):
        """Until its first SYNs have been counted."""
        deadline = time.monotonic() + START_SECONDS
        while self._counted() == counted and time.monotonic() < deadline:
            if not generator.is_running():
                raise LabError(f"there was no flood: {generator.last_words()}")

    def _visit(self, generator, name):
        clients, visits = story.in_turn(), Visits()
        begun = time.monotonic()
        for number, client in enumerate(clients):
            time.sleep(max(0.0, begun + VISITS_SECONDS * number / len(clients) - time.monotonic()))
            if time.monotonic() > begun + VISITS_SECONDS_MAX:
                raise LabError(f"in {VISITS_SECONDS_MAX} s only {visits.tried} clients got through")
            visits.tried += 1
            visits.in_flood += generator.is_running()
            try:
                report = self.clients.connect(client.address, client.server)
                visits.finished += 1
                visits.slowest_seconds = max(visits.slowest_seconds, report["seconds"])
            except LabError as error:
                self.pen.line(f"   {error}")
                if visits.tried - visits.finished == FAILURES_MAX:
                    break
            self.pen.progress(f"{name}: {visits.finished} clients have finished")
        return visits

    def _explain(self):
        return self.gate.ask("explain", HOT_SOURCE).stdout

    def _counted(self):
        [service] = self.gate.ask_json("status")["services"]
        return service["syn"]

    def _dropped(self):
        return {each["name"]: each["dropped"] for each in self.gate.ask_json("limits")["limits"]}

    def _mac(self):
        shown = machine.run("ip", "-n", self.link.server, "-json", "link", "show",
                            Link.SERVER_SIDE)
        return json.loads(shown.stdout)[0]["address"]

    def _print_outcomes(self, outcomes):
        limits = list(outcomes[0].dropped)
        self.pen.line(f"\n   {'SYNs':16}{'SENT BY':>11}{'SENT BY':>9}{'COUNTED BY':>12}"
                      f"{'DROPPED BY THE LIMIT':>26}{'PASSED':>12}")
        self.pen.line(f"   {'':16}{'the flood':>11}{'clients':>9}{'the gate':>12}"
                      + "".join(f"{limit:>13}" for limit in limits))
        for each in outcomes:
            same = "same" if each.counted == each.sent + each.own_syns else "DIFFERENT"
            self.pen.line(f"   {each.name:16}{each.sent:11,}{each.own_syns:9,}{each.counted:12,}"
                          + "".join(f"{each.dropped[limit]:13,}" for limit in limits)
                          + f"{each.counted - each.dropped_total:12,}  {same}")
        self.pen.line()
        for each in outcomes:
            self.pen.line(f"   clients, {each.name + ':':16} {each.visits.in_words()}")

    def _show(self, words, text):
        self.pen.line(f"\n   $ tallygate {words}")
        for line in text.splitlines():
            self.pen.line(f"   {line}".rstrip())
