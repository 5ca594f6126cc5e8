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
                          f'time_unit = {TIME_UNIT}\n[[block]]\nfile = "{blocks}"\n')
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
        """What an answer takes while the daemon does nothing but reload a long list."""
        ours = self.contenders[-1]
        rows = [{"daemon": "idle", **ours.measure(1, 0, self.options.seconds)}]
        ended = threading.Event()

        def reload():
            while not ended.is_set():
                self.gate.ask("reload")
        reloading = threading.Thread(target=reload)
        reloading.start()
        try:
            rows.append({"daemon": f"reloads {LISTED:,} blocks",
                         **ours.measure(1, 0, self.options.seconds)})
        finally:
            ended.set()
            reloading.join()
        return rows


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
    busy = [[row["daemon"], *[f"{row[key]:,.0f}" for key in ("p50_us", "p99_us", "p999_us",
                                                            "max_us")]]
            for row in result["busy"]]
    return "\n\n".join([
        report.header_text(result["about"]),
        "Requests a second:",
        report.table(["", *names, "ratio"], rows),
        "Microseconds for an answer on one stream, the scheduler's included:",
        report.table(["the daemon", "half", "99 %", "99.9 %", "longest"], busy)])


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/bench-anvil", description="Measures tallygate's anvil beside Postfix's own.")
    parser.add_argument("--json", action="store_true", help="one JSON object, not Markdown")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, interleaved")
    parser.add_argument("--seconds", type=float, default=2, help="of a run")
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
