# SPDX-License-Identifier: BSD-2-Clause
"""The demo: real connections in, true counts out; then a flood dies (flood_act.py).

`scripts/demo` builds, and runs this.
"""
import argparse
import contextlib
import fcntl
import json
import pathlib
import shutil
import signal
import sys
import time

from lab import machine, story
from lab.flood_act import FloodAct, cannot_flood, complaint_about
from lab.gate import Gate
from lab.machine import BPFFS, LabError, Link
from lab.processes import BannerServer, Clients, Record

PREFIX = "tgdemo-"
WORK_DIR = pathlib.Path("/run/tallygate-demo")
LOCK = pathlib.Path("/run/tallygate-demo.lock")
PIN_DIR = BPFFS / "tallygate-demo"
ROUND_SECONDS = 0.15  # slow enough to be watched
SETTLE_SECONDS = 5


class Pen:
    """Where the prose goes: stdout, unless that belongs to the result."""

    def __init__(self, stream):
        self.stream = stream
        self.step_number = 0

    def line(self, text=""):
        print(text, file=self.stream, flush=True)

    def step(self, text):
        self.step_number += 1
        self.line(f"\n{self.step_number}. {text}")

    def progress(self, text):
        if self.stream.isatty():
            print(f"\r   {text:<60}", end="", file=self.stream, flush=True)


class Demo:
    def __init__(self, pen):
        self.pen = pen
        self.link = Link(PREFIX)
        self.record = Record(WORK_DIR / "processes")
        self.gate = Gate(self.link.server, WORK_DIR, PIN_DIR, self.record)
        self.server = None
        self.clients = None

    def remove_everything(self):
        """Of this run, or of one that was killed. Answers whether there was anything."""
        found = self.record.end_leftovers() > 0 or WORK_DIR.exists()
        for process in (self.clients, self.server, self.gate.process):
            if process:
                process.stop()
        if PIN_DIR.exists():
            found = True
            self.gate.detach(check=False)
            machine.remove_pins(PIN_DIR)
        self.link.remove()
        shutil.rmtree(WORK_DIR, ignore_errors=True)
        return found

    def set_up(self):
        if self.remove_everything():
            self.pen.line("Removed what an earlier run had left behind.")
        WORK_DIR.mkdir(mode=0o700)
        machine.mount_bpffs()

        self.pen.step(f"A mail server on port 25 of {story.SERVER_IPV4} and {story.SERVER_IPV6},")
        self.pen.line(f"   in network namespaces of its own ({self.link.server}, "
                      f"{self.link.clients}); your interfaces take no part.")
        self.link.create([f"{story.SERVER_IPV4}/24", f"{story.SERVER_IPV6}/64"])
        self.link.add_clients([client.address + ("/128" if ":" in client.address else "/32")
                               for group in story.everybody().values() for client in group])
        log = WORK_DIR / "helpers.log"
        self.server = BannerServer(self.link.server, [story.SERVER_IPV4, story.SERVER_IPV6],
                                   self.record, log)
        self.clients = Clients(self.link.clients, self.record, log)

    def start_gate(self):
        self.gate.write_config(story.NETWORKS)
        self.gate.start()
        self.pen.step(f"The gate is on the server's card {Link.SERVER_SIDE}:")
        for attachment in self.gate.ask_json("status")["attachments"]:
            note = f" ({attachment['note']})" if attachment["note"] else ""
            self.pen.line(f"   {attachment['direction']:8} {attachment['how']}{note}")

    def connect_everybody(self):
        groups = story.everybody()
        self.pen.step("Clients connect, hear the banner, and say QUIT:")
        for name, group in groups.items():
            self.pen.line(f"   {len(group):3} addresses, {sum(c.times for c in group):3} "
                          f"connections   {name}")
        for number in range(story.ROUNDS):
            report = self._connect_round(number, groups)
            self.pen.progress(f"{sum(report['opened'].values())} connections opened")
            time.sleep(ROUND_SECONDS)
        self.pen.progress("")
        return story.Truth(self.clients.report())

    def _connect_round(self, number, groups):
        report = {"opened": {}}
        for group in groups.values():
            for client in group:
                if number < client.times:
                    report = self.clients.connect(client.address, client.server,
                                                  keep=int(number < client.keep))
        return report

    def show(self):
        self.pen.step("What tallygate says:")
        for words in (["status"], ["top"], ["networks"], ["live", "203.0.113.0/24"],
                      ["count", "203.0.113.0/24", "--monitor", "60,10", "--end", "9"],
                      ["live", "2001:db8::/32"]):
            self.pen.line(f"\n   $ tallygate {' '.join(words)}")
            for line in self.gate.ask(*words).stdout.splitlines():
                self.pen.line(f"   {line}".rstrip())

    def rows(self, truth):
        """One (words, block, opened, live) a block; both are (clients did, tallygate says)."""
        gate = self.gate
        rows = [("everybody", "", (truth.opened(), gate.both_families(gate.count)),
                 (truth.live(), gate.both_families(gate.live)))]
        for words, block in story.BLOCKS:
            rows.append((words, block, (truth.opened(block), gate.count(block)),
                         (truth.live(block), gate.live(block))))
        return rows

    def sources(self, truth):
        """(clients did, tallygate says), for sources that opened a connection."""
        top = self.gate.ask_json("top", "--monitor", "3600,24", "--rows", "1000")["rows"]
        return truth.sources(), sum(1 for row in top if row["connections"])

    def compare(self, truth):
        """Sources and rows once they agree, or as they still are when the time is up."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            sources, rows = self.sources(truth), self.rows(truth)
            pairs = [sources, *(pair for row in rows for pair in row[2:])]
            agree = all(did == says for did, says in pairs)
            if agree or time.monotonic() > deadline:
                return sources, rows, agree
            time.sleep(0.1)

    def print_comparison(self, sources, rows):
        self.pen.step("The same, beside what the clients counted themselves:")
        self.pen.line(f"   {'':37}{'OPENED':>18}{'OPEN NOW':>20}")
        self.pen.line(f"   {'':37}{'clients  tallygate':>18}{'clients  tallygate':>20}")
        for words, block, opened, live in rows:
            same = "same" if opened[0] == opened[1] and live[0] == live[1] else "DIFFERENT"
            self.pen.line(f"   {words:17} {block:20}{opened[0]:6}{opened[1]:11}"
                          f"{live[0]:9}{live[1]:11}  {same}")
        same = "same" if sources[0] == sources[1] else "DIFFERENT"
        self.pen.line(f"   {'sources':17} {'(a /64 is one)':20}{sources[0]:6}{sources[1]:11}"
                      f"{'':20}  {same}")

    def is_attached(self):
        return any(path.is_file() or path.is_symlink() for path in PIN_DIR.rglob("*"))

    def how_attached(self):
        if not self.is_attached():
            return "none"
        attachments = self.gate.ask_json("status")["attachments"]
        return next((each["how"] for each in attachments if each["direction"] == "ingress"), "none")

    def run(self):
        self.set_up()
        self.start_gate()
        truth = self.connect_everybody()
        if self.is_attached():
            self.show()
        sources, rows, agree = self.compare(truth)
        self.print_comparison(sources, rows)
        _, _, opened, live = rows[0]
        result = {"sources": sources[1], "opened": opened[1], "live": live[1],
                  "expected": {"sources": sources[0], "opened": opened[0], "live": live[0]},
                  "attach": self.how_attached(), "flood": None}
        if agree and result["attach"] != "none" and self.can_flood():
            result["flood"] = FloodAct(self).run()
        return result, agree

    def can_flood(self):
        reason = cannot_flood(self.link.clients)
        if reason:
            self.pen.step("The second act, a flood, is left out: this kernel cannot make live "
                          f"frames, which came with Linux 5.18 ({reason}).")
        return not reason


def complaint_about_run(result, agree):
    """What went wrong, as a sentence; empty if nothing did."""
    if result["attach"] == "none":
        return f"The gate was detached while the demo ran: nothing is pinned in {PIN_DIR}."
    if not agree:
        return "The clients and the gate do not agree."
    return complaint_about(result["flood"]) if result["flood"] else ""


def praise(result):
    words = "The clients and the gate agree on every line."
    if result["flood"]:
        words += " The flood was dropped, and every client got through."
    return words


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/demo", description="Builds tallygate, sends real connections through "
        "network namespaces of its own, compares the counts with what the clients did, and lets a "
        "flood be dropped.")
    parser.add_argument("--once", action="store_true", help="ask nothing, end at once")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--keep", action="store_true",
                        help="leave it all running; the next run, or --clean, removes it")
    parser.add_argument("--clean", action="store_true", help="only remove what a run has left")
    return parser.parse_args()


def take_lock():
    lock = LOCK.open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise LabError("another demo is running on this machine") from None
    return lock


def linger(demo, options, pen):
    """On a terminal, the person may look around before it is all removed."""
    programs = demo.gate.programs
    if options.keep:
        pen.line("\nLeft running, until `scripts/demo --clean`. Ask it something:")
    elif not options.once and not options.json and sys.stdin.isatty() and sys.stdout.isatty():
        pen.line("\nStill running. From another terminal:")
    else:
        return
    pen.line(f"   {programs}/tallygate --socket {demo.gate.socket} live 192.0.2.0/24")
    if not options.keep:
        with contextlib.suppress(EOFError):
            input("Press Enter to end and to clean up. ")


def perform(options, pen):
    """Answers (the result, did all go well)."""
    demo = Demo(pen)
    kept = False
    try:
        result, agree = demo.run()
        complaint = complaint_about_run(result, agree)
        pen.line("\n" + (complaint or praise(result)))
        linger(demo, options, pen)
        kept = options.keep
        return result, not complaint
    finally:
        if not kept:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            demo.remove_everything()
            pen.line("Cleaned up: processes, pins and namespaces are gone.")


def end_by_signal(number, _frame):
    sys.exit(128 + number)


def main():
    options = parse_arguments()
    pen = Pen(sys.stderr if options.json else sys.stdout)
    signal.signal(signal.SIGTERM, end_by_signal)
    signal.signal(signal.SIGINT, end_by_signal)
    try:
        lock = take_lock()
        if options.clean:
            found = Demo(pen).remove_everything()
            pen.line("Removed what a run had left." if found else "There was nothing to remove.")
            return 0
        result, went_well = perform(options, pen)
        lock.close()
    except LabError as error:
        print(f"demo: {error}", file=sys.stderr)
        result, went_well = {"error": str(error)}, False
    if options.json:
        print(json.dumps(result))
    return 0 if went_well else 1


if __name__ == "__main__":
    sys.exit(main())
