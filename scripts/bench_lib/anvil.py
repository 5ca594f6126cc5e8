# SPDX-License-Identifier: BSD-2-Clause
"""anvil: requests a second and what one takes, beside Postfix's own in the same run.

Every request is a connect. With idle clients it is that of one of them, chosen at random, so that
another becomes idle; without, each stream has a client of its own.
"""
import argparse
import contextlib
import json
import pathlib
import shutil
import sys
import threading
import time
import zlib

from bench_lib import report
from bench_lib.main import take_lock
from lab import machine, servers
from lab.gate import PROGRAMS, Gate
from lab.machine import BPFFS, LabError, Link
from lab.postfix import SPOOL, Postfix, make_home
from lab.processes import Record

LOAD = PROGRAMS.parent / "tests/anvil_load"
PREFIX = "tgbench-anvil-"
WORK_DIR = pathlib.Path("/run/tallygate-bench-anvil")
PINS = BPFFS / f"{PREFIX}pins"
TIME_UNIT = 3600  # nobody is forgotten meanwhile
IDLE = (0, 40_000, 1_000_000)
STOCK_IDLE_MAX = 40_000  # filling it with a million takes hours
STREAMS = (1, 50)
LISTED = 200_000
PROVEN = 786_432  # what a table of a million takes in at a start
PACE = 500  # requests a second, where what an answer takes is measured
PAUSE_SECONDS = 4  # between reloads, and between changes of the lists
SNAPSHOT_SECONDS = 12  # one comes every ten
CHECK = """
[[check]]
name = "open"
count = "live"
per = ["0.0.0.0/24", "::/48"]
max = 1000
action = "disconnect"
"""


def load(path, *words, timeout=600):
    done = machine.run(LOAD, "--socket", path, *words, timeout=timeout)
    return json.loads(done.stdout) if done.stdout else None


class Contender:
    """One of the two; `fill` makes it know so many idle clients."""

    def __init__(self, name, path, idle_max):
        self.name, self.path, self.idle_max = name, path, idle_max

    def fill(self, idle):
        load(self.path, "--fill", "--idents", idle, timeout=3600)

    def measure(self, streams, idle, seconds):
        return load(self.path, "--streams", streams, "--idents", idle, "--seconds", seconds)


class Bench:
    def __init__(self, options, stack):
        self.options = options
        self.work_dir = WORK_DIR
        self.record = Record(self.work_dir / "processes")
        self.link = Link(PREFIX)
        stack.callback(self.remove_everything)
        self.remove_everything()
        self.work_dir.mkdir(mode=0o755)
        machine.mount_bpffs()
        self.link.create(["198.51.100.25/24"])
        self.policy = self.work_dir / "policy"
        self.gate = self.start_gate(stack)
        self.contenders = [Contender("tallygate", self.work_dir / "anvil", max(IDLE))]
        with contextlib.suppress(servers.Unavailable):
            self.contenders.insert(0, self.start_stock(stack))

    def remove_everything(self):
        """Of this run, or of one that was killed."""
        self.record.end_leftovers()
        self.link.remove()
        machine.remove_pins(PINS)
        shutil.rmtree(self.work_dir, ignore_errors=True)

    def start_gate(self, stack):
        gate = Gate(self.link.server, self.work_dir, PINS, self.record)
        stack.callback(lambda: (gate.stop(), gate.detach(check=False)))
        blocks = self.work_dir / "blocks.txt"
        blocks.write_text("".join(f"100.{number >> 16}.{number >> 8 & 255}.{number & 255}\n"
                                  for number in range(LISTED)))
        gate.write_config([], more=f'\n[anvil]\nsocket = "{self.work_dir}/anvil"\n'
                          f'time_unit = {TIME_UNIT}\n[policy]\nsocket = "{self.policy}"\n'
                          f'{CHECK}\n[[block]]\nfile = "{blocks}"\n')
        write_proven(self.work_dir / "state/proven", self.options.proven)
        gate.start()
        return gate

    def start_stock(self, stack):
        home = make_home(self.link.server, self.work_dir, self.record)
        stack.callback(home.stop)
        postfix = Postfix(home, {"anvil_rate_time_unit": f"{TIME_UNIT}s"})
        postfix.start()
        stack.callback(postfix.stop)
        return Contender("Postfix's own", home.path(f"{SPOOL}/private/anvil"), STOCK_IDLE_MAX)

    def say(self, text):
        if not self.options.quiet:
            print(text, file=sys.stderr, flush=True)

    def throughput(self):
        rows = []
        for idle in self.options.idle:
            playing = [each for each in self.contenders if idle <= each.idle_max]
            for each in playing:
                self.say(f"{each.name}: {idle} idle clients")
                each.fill(idle)
            for streams in STREAMS:
                rates = {each.name: [] for each in playing}
                for _ in range(self.options.rounds):
                    for each in playing:
                        rates[each.name].append(
                            each.measure(streams, idle, self.options.seconds)["per_second"])
                rows.append({"idle": idle, "streams": streams, "per_second": {
                    name: report.median(each) for name, each in rates.items()}})
        return rows

    def busy(self):
        """What an answer takes, asked at set times, while the daemon is at something."""
        ours = self.contenders[-1]
        self.say(f"tallygate: messages of {self.options.events:,} clients")
        load(ours.path, "--fill", "--request", "message", "--idents", self.options.events,
             timeout=3600)
        answering = [(each.name, each.path, ()) for each in self.contenders]
        answering.append(("tallygate's policy", self.policy, ("--policy",)))
        rows = []
        for daemon, act in (("walks and saves snapshots", lambda: None),
                            (f"reloads {LISTED:,} blocks now and then as well",
                             lambda: self.gate.ask("reload")),
                            ("changes its lists now and then as well", self.swap_lists)):
            for name, path, words in answering:
                self.say(f"{name}: while tallygated {daemon}")
                with self.repeated(act):
                    found = load(path, "--per-second", PACE, "--seconds",
                                 self.options.busy_seconds, *words)
                rows.append({"daemon": daemon, "answering": name, **found})
        tables = {table["name"]: table for table in self.gate.ask_json("status")["tables"]}
        return {"proven": tables["sources"]["entries"], "events": self.options.events,
                "per_second": PACE, "rows": rows}

    def swap_lists(self):
        self.gate.ask("block", "add", "192.0.2.1/32")
        self.gate.ask("block", "remove", "192.0.2.1/32")

    @staticmethod
    @contextlib.contextmanager
    def repeated(act):
        ended = threading.Event()

        def repeat():
            while not ended.is_set():
                act()
                ended.wait(PAUSE_SECONDS)
        thread = threading.Thread(target=repeat)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def write_proven(path, count):
    """Sources that have proven themselves, as a daemon saves them (core/proven.cpp)."""
    def number(value):
        text = bytearray()
        while value >= 0x80:
            text.append(value & 0x7f | 0x80)
            value >>= 7
        return bytes(text) + bytes([value])
    seen = number(int(time.time()))
    ipv4 = bytes(10) + b"\xff\xff"
    body = b"".join([number(1), number(4), b"smtp", number(count),
                     *(ipv4 + (0x0b000000 + each).to_bytes(4, "big") + seen
                       for each in range(count))])
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_bytes(b"tgproven" + (1).to_bytes(4, "little") + len(body).to_bytes(8, "little") +
                     zlib.crc32(body).to_bytes(4, "little") + body)


def to_text(result):
    names = [name for name in ("Postfix's own", "tallygate")
             if any(name in row["per_second"] for row in result["throughput"])]
    rows = []
    for row in result["throughput"]:
        rates = row["per_second"]
        ratio = (rates["tallygate"] / rates["Postfix's own"]
                 if "Postfix's own" in rates else None)
        rows.append([f"{row['idle']:,} idle, {row['streams']} streams",
                     *[f"{rates[name]:,.0f}" if name in rates else "-" for name in names],
                     report.times(ratio)])
    busy = result["busy"]
    waits = [[f"{row['answering']}, while it {row['daemon']}",
              *[f"{row[key]:,.0f}" for key in ("p50_us", "p99_us", "p999_us", "max_us")],
              f"{row['over_1ms_percent']:.2f} %"] for row in busy["rows"]]
    return "\n\n".join([
        report.header_text(result["about"]),
        "Requests a second:",
        report.table(["", *names, "ratio"], rows),
        f"Microseconds for an answer, asked {busy['per_second']:,} times a second on one stream, "
        f"the scheduler's included, with {busy['proven']:,} proven sources and the messages of "
        f"{busy['events']:,} clients. Postfix's own has nothing to do with tallygated: what it "
        "takes is what sharing the machine takes.",
        report.table(["who answers", "half", "99 %", "99.9 %", "longest", "over 1 ms"], waits)])


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/bench-anvil", description="Measures tallygate's anvil beside Postfix's own.")
    parser.add_argument("--json", action="store_true", help="one JSON object, not Markdown")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, interleaved")
    parser.add_argument("--seconds", type=float, default=2, help="of a run")
    parser.add_argument("--busy-seconds", type=float, default=SNAPSHOT_SECONDS,
                        help="of a run beside something else")
    parser.add_argument("--proven", type=int, default=PROVEN, help="sources that are walked")
    parser.add_argument("--events", type=int, default=max(IDLE), help="clients in snapshots")
    parser.add_argument("--idle", default=IDLE, help="idle clients, with commas",
                        type=lambda text: [int(word) for word in text.split(",")])
    options = parser.parse_args()
    with take_lock(), contextlib.ExitStack() as stack:
        bench = Bench(options, stack)
        result = {"schema": 1, "about": report.header(), "rounds": options.rounds,
                  "throughput": bench.throughput(), "busy": bench.busy()}
    print(json.dumps(result) if options.json else to_text(result))


if __name__ == "__main__":
    try:
        main()
    except LabError as error:
        sys.exit(f"bench-anvil: {error}")
