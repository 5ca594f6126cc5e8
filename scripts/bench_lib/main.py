# SPDX-License-Identifier: BSD-2-Clause
"""The benchmarks, as scripts/bench runs them: parts, options, and cleaning up."""
import argparse
import contextlib
import fcntl
import json
import pathlib
import shutil
import signal
import sys

from bench_lib import (flood_part, goodput_part, guards, haraka_part, packet_part, programs,
                       questions_part, report)
from bench_lib.road import Road
from bench_lib.tallygate import (Tallygate, TallygateEmpty, TallygateFilled,
                                 TallygateNewcomers)
from lab import machine
from lab.machine import BPFFS, NETNS, LabError
from lab.processes import Record

PREFIX = "tgbench-"
WORK_DIR = pathlib.Path("/run/tallygate-bench")
LOCK = pathlib.Path("/run/tallygate-bench.lock")
PINS = BPFFS / "tallygate-bench"

PARTS = ("packet", "flood", "goodput", "haraka", "questions")
DISTRIBUTIONS = ("random", "hot", "64k")
RATES = (0, 100_000, 300_000, 1_000_000, 3_000_000)
ALL = (guards.DropAll, guards.ParseAndDrop, TallygateFilled, TallygateEmpty, TallygateNewcomers,
       guards.NftTotal, guards.Iptables, guards.NftSource, guards.IptablesSource,
       guards.NftCtCount, guards.Nothing, guards.DropAllButClients)
FLOOD = ("drop", "parse", "tallygate", "tallygate-empty", "nft", "iptables", "nft-source",
         "iptables-source", "ct", "none")
GOODPUT = ("clients", "tallygate", "tallygate-newcomers", "tallygate-empty", "none", "nft-source",
           "nft", "iptables")


class Bench:
    """What the parts share: how long, how often, and where things are written down."""

    def __init__(self, options):
        self.options = options
        self.rounds = options.rounds
        self.seconds = options.seconds
        self.record = Record(WORK_DIR / "processes")
        self.work_dir = WORK_DIR
        self.log = WORK_DIR / "helpers.log"
        self.pins = PINS
        self.roads = []
        self.guards = []

    def say(self, text):
        if not self.options.quiet:
            print(text, file=sys.stderr, flush=True)

    def remove_everything(self):
        """Of this run, or of one that was killed."""
        for guard in self.guards:
            guard.tear_down()
        self.record.end_leftovers()
        for path in sorted(NETNS.glob(f"{PREFIX}*")):
            machine.remove_namespace(path.name)
        machine.remove_pins(PINS)
        shutil.rmtree(WORK_DIR, ignore_errors=True)

    def set_up(self):
        self.remove_everything()
        WORK_DIR.mkdir(mode=0o700)
        machine.mount_bpffs()

    def new_road(self, name):
        way = Road(f"{PREFIX}{name}-")
        way.create()
        self.roads.append(way)
        return way

    def make_guards(self, keys):
        """Those that are asked for; tallygate has a road of its own each time, and stays on it."""
        plain = self.new_road("plain")
        for kind in ALL:
            if kind.key in (self.options.receivers or keys):
                way = self.new_road(kind.key) if issubclass(kind, Tallygate) else plain
                guard = kind(self, self.find_guard(kind.beside) if kind.beside else way)
                self.guards.append(guard)
                guard.set_up()

    def find_guard(self, kind):
        for guard in self.guards:
            if type(guard) is kind:
                return guard
        raise LabError(f"beside it --receivers needs {kind.key}")

    def chosen(self, keys):
        """The guards of a part, in its order, as far as they were asked for."""
        wanted = self.options.receivers or keys
        found = [guard for key in keys for guard in self.guards if guard.key == key]
        return [guard for guard in found if guard.key in wanted]

    @contextlib.contextmanager
    def standing(self, guard):
        try:
            guard.start()
            yield
        finally:
            guard.stop()

    @contextlib.contextmanager
    def mail_server(self, way):
        server = programs.start_server(self, way)
        try:
            yield server
        finally:
            server.stop()


def words_of(known):
    def parse(text):
        words = text.split(",")
        for word in words:
            if word not in known:
                raise argparse.ArgumentTypeError(f"'{word}' is none of {', '.join(known)}")
        return words
    return parse


def parse_arguments(arguments):
    receivers = sorted({*FLOOD, *GOODPUT})
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="Builds tallygate, and measures what it costs and saves "
        "beside Linux's own firewalls, in network namespaces of its own. Prints Markdown.")
    parser.add_argument("--json", action="store_true", help="one JSON object instead")
    parser.add_argument("--quick", action="store_true", help="one short run each: a try")
    parser.add_argument("--parts", type=words_of(PARTS), default=PARTS, help=",".join(PARTS))
    parser.add_argument("--distributions", type=words_of(DISTRIBUTIONS), default=DISTRIBUTIONS,
                        help="of floods: " + ",".join(DISTRIBUTIONS))
    parser.add_argument("--receivers", type=words_of(receivers), help=",".join(receivers))
    parser.add_argument("--rates", type=lambda text: [int(word) for word in text.split(",")],
                        default=RATES, help="of goodput: forged SYNs a second, with commas")
    parser.add_argument("--sessions", type=words_of(goodput_part.SESSIONS),
                        default=["message"],
                        help="of goodput: " + ",".join(goodput_part.SESSIONS))
    parser.add_argument("--rounds", type=int, help="runs of each, interleaved; 3 if not given")
    parser.add_argument("--seconds", type=float, help="of a run; 2 if not given")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    parser.add_argument("--clean", action="store_true", help="only remove what a run has left")
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.seconds = options.seconds or (0.5 if options.quick else 2)
    return options


def take_lock():
    lock = LOCK.open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise LabError("another benchmark is running on this machine") from None
    return lock


def measure_floods(bench):
    chosen = bench.chosen(FLOOD)
    with contextlib.ExitStack() as servers:
        for way in {guard.road for guard in chosen}:
            servers.enter_context(bench.mail_server(way))
        return [flood_part.to_json(each, flood_part.measure(bench, chosen, each))
                for each in bench.options.distributions]


def measure(bench):
    """The tables of the parts that were asked for, by part."""
    options = bench.options
    found = {}
    if "packet" in options.parts:
        found["packet"] = packet_part.measure(bench)
    needed = {*(FLOOD if "flood" in options.parts else ()),
              *(GOODPUT if "goodput" in options.parts else ())}
    if needed:
        bench.make_guards(needed)
    if "questions" in options.parts:
        found["questions"] = questions_part.measure(bench)
    if "flood" in options.parts:
        found["flood"] = measure_floods(bench)
    if "goodput" in options.parts:
        found["goodput"] = goodput_part.to_json(
            goodput_part.measure(bench, bench.chosen(GOODPUT), options.rates, options.sessions))
    if "haraka" in options.parts:
        found["haraka"] = haraka_part.measure_if_possible(bench)
    return found


def to_text(result):
    blocks = [report.header_text(result["about"])]
    if "packet" in result:
        blocks.append(packet_part.to_text(result["packet"]))
    blocks += [flood_part.to_text(part) for part in result.get("flood", [])]
    if "goodput" in result:
        blocks.append(goodput_part.to_text(result["goodput"]))
    if "haraka" in result:
        blocks.append(haraka_part.to_text(result["haraka"]))
    if "questions" in result:
        blocks.append(questions_part.to_text(result["questions"]))
    return "\n\n".join(blocks)


def perform(options):
    bench = Bench(options)
    try:
        bench.set_up()
        if options.clean:
            return
        result = {"schema": 1, "about": report.header(), "rounds": bench.rounds,
                  "seconds": bench.seconds, **measure(bench)}
        print(json.dumps(result) if options.json else to_text(result))
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        bench.remove_everything()


def end_by_signal(number, _frame):
    sys.exit(128 + number)


def main(arguments=None):
    options = parse_arguments(arguments)
    signal.signal(signal.SIGTERM, end_by_signal)
    signal.signal(signal.SIGINT, end_by_signal)
    try:
        with take_lock():
            perform(options)
    except LabError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
