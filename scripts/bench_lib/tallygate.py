# SPDX-License-Identifier: BSD-2-Clause
"""tallygate in the flood's way: the daemon as it is installed, enforcing, its tables filled."""
import contextlib
import os
import pathlib
import signal
import time

from bench_lib import programs, road
from bench_lib.guards import SYN_BURST, SYN_RATE, TOTAL_RATE, Counts, Guard
from lab.gate import Gate
from lab.machine import LabError

PROVEN = 1_000_000
PROVEN_FIRST = "10.0.0.1"
PROVEN_NETWORK = "10.0.0.0/8"
PROVEN_CONNECTIONS = 256
FILLING_FRAMES = 4_000_000  # 15 new sources for each bucket of 4: hardly a way stays free
QUICK_PART = 100  # of that in a quick run, whose rows are void for it
CLAIMS_PERCENT_MIN = 90
LISTED = 100
LIVE_MAX = 50
WAKING_SECONDS = 0.5  # two walks
WAKING_SECONDS_MAX = 10
WAKING_CPU_MAX = 0.05  # of a CPU, when it has nothing to make up for

NO_NEWCOMERS = 1  # a second: who is forged is dropped

LIMITS = f"""
[[limit]]
name = "per-source"
per = ["0.0.0.0/32", "::/64"]
syn_rate = "{SYN_RATE}/s"
syn_burst = {SYN_BURST}
live_max = {LIVE_MAX}

[[limit]]
name = "newcomers"
per = ["0.0.0.0/0", "::/0"]
who = "claimed"
syn_rate = "NEWCOMERS/s"
"""
# While the tables fill, what gets through the gate needs not reach the server.
NFT_FILLING = f"""
table netdev filling {{
  chain ingress {{
    type filter hook ingress device {road.INSIDE} priority 0; policy accept;
    tcp dport {road.PORT} drop
  }}
}}
"""


def listed_blocks():
    """Blocks all over the space, none where clients of ours are."""
    return [f"{1 + number * 2}.{number * 7 % 256}.{number}.0/24"
            for number in range(LISTED) if 1 + number * 2 not in (127, 10, 198)]


class Tallygate(Guard):
    """On a road of its own, where it stays: its tables are filled once. Between its runs it is
    stopped, so that others have the machine for themselves."""

    key = "tallygate"
    name = "tallygate"
    proven = 0
    filling_frames = 0

    def __init__(self, bench, way):
        super().__init__(bench, way)
        self.gate = None
        self.fill = "empty"
        if bench and bench.options.quick:
            self.proven //= QUICK_PART
            self.filling_frames //= QUICK_PART
        self.claims_percent = 0
        self.proven_count = 0
        self.newcomers_rate = None
        self.mail_rate = TOTAL_RATE

    def set_up(self):
        directory = self.bench.work_dir / self.key
        directory.mkdir()
        self.bench.pins.mkdir(exist_ok=True)
        self.gate = Gate(self.road.server, directory, self.bench.pins / self.key,
                         self.bench.record)
        self.write_config("")  # the limits would keep most newcomers out of the claims
        self.gate.start()
        os.setpriority(os.PRIO_PROCESS, self.gate.process.child.pid, -20)
        with self.bench.mail_server(self.road):
            self.prove()
        if self.filling_frames:
            self.fill_claims()
        self.hold_newcomers_to(TOTAL_RATE)
        self.look_at_tables()
        self.gate.ask("mode", "enforce")
        self.stop()

    def write_config(self, limits):
        blocks = ", ".join(f'"{block}"' for block in listed_blocks())
        self.gate.write_config([], interfaces=(road.INSIDE,), gate='lease = "1d"',
                               more=f"{limits}\n[[block]]\ncidrs = [{blocks}]\n")

    def hold_newcomers_to(self, rate):
        if rate == self.newcomers_rate:
            return
        self.write_config(LIMITS.replace("NEWCOMERS", str(rate)))
        self.gate.ask("reload")
        self.newcomers_rate = rate

    def meet_mail(self):
        """Its clients prove themselves, and from then on every forged SYN is dropped: so does the
        program that it is held against."""
        self.start()
        with self.bench.mail_server(self.road):
            programs.prove_clients(self.bench, self.road)
        self.stop()
        self.mail_rate = NO_NEWCOMERS

    def prove(self):
        """Sources prove themselves as they do in earnest: by connecting."""
        if not self.proven:
            return
        self.bench.say(f"tallygate: {self.proven:,} sources connect, once each")
        self.road.add_clients(PROVEN_NETWORK)
        said = programs.start_clients(self.bench, self.road, "--connections", PROVEN_CONNECTIONS,
                                      first=PROVEN_FIRST, count=self.proven).finish()
        if said["failed"]:
            raise LabError(f"{said['failed']} of {self.proven} sources could not connect")
        # They would answer what the server answers to forged SYNs in their names.
        self.road.remove_clients(PROVEN_NETWORK)

    def fill_claims(self):
        self.bench.say(f"tallygate: {self.filling_frames:,} forged SYNs fill the claims")
        self.road.on_server("nft", "-f", "-", stdin=NFT_FILLING)
        sent = 0
        while sent < self.filling_frames:
            sent += programs.start_flood(self.bench, self.road, 1).finish()["sent"]
        self.road.on_server("nft", "delete", "table", "netdev", "filling")

    def look_at_tables(self):
        tables = {table["name"]: table for table in self.gate.ask_json("status")["tables"]}
        claims = programs.run_json("claims_fill", self.gate.pin_dir)
        self.proven_count = tables["sources"]["entries"]
        self.claims_percent = 100 * claims["taken"] / claims["ways"]
        if self.proven:
            self.fill = f"claims {self.claims_percent:.0f} %, {self.proven_count:,} proven"

    def void(self):
        if self.proven and (self.claims_percent <= CLAIMS_PERCENT_MIN or
                            self.proven_count < PROVEN):
            return f"void: its tables are not full ({self.fill})"
        return ""

    def start(self):
        os.kill(self.gate.process.child.pid, signal.SIGCONT)
        self.hold_newcomers_to(self.mail_rate)
        self.wait_until_calm()

    def wait_until_calm(self):
        """What came due while it was stopped (a snapshot, a round of reconcile) it does now."""
        deadline = time.monotonic() + WAKING_SECONDS_MAX
        spent = self.cpu_seconds()
        while time.monotonic() < deadline:
            time.sleep(WAKING_SECONDS)
            before, spent = spent, self.cpu_seconds()
            if spent - before <= WAKING_CPU_MAX * WAKING_SECONDS:
                return

    def cpu_seconds(self):
        stat = pathlib.Path(f"/proc/{self.gate.process.child.pid}/stat").read_text()
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        os.kill(self.gate.process.child.pid, signal.SIGSTOP)

    def tear_down(self):
        if self.gate and self.gate.process:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.gate.process.child.pid, signal.SIGCONT)
            self.gate.stop()
            self.gate.detach(check=False)

    def counts(self):
        verdicts = self.gate.ask_json("status")["verdicts"]["ingress"]
        dropped = sum(count for verdict, count in verdicts.items() if verdict.startswith("drop_"))
        return Counts(sum(verdicts.values()), dropped)


class TallygateFilled(Tallygate):
    key = "tallygate"
    name = "tallygate"
    proven = PROVEN
    filling_frames = FILLING_FRAMES


class TallygateEmpty(Tallygate):
    key = "tallygate-empty"
    name = "tallygate, empty"


class TallygateNewcomers(Guard):
    """The same tallygate, as it stands where newcomers are welcome: the server answers some of the
    forged."""

    key = "tallygate-newcomers"
    name = f"tallygate, {TOTAL_RATE:,} newcomers a second"
    beside = TallygateFilled

    def __init__(self, bench, gate):
        super().__init__(bench, gate.road)
        self.gate = gate
        self.fill = gate.fill

    def start(self):
        self.gate.mail_rate = TOTAL_RATE
        self.gate.start()

    def stop(self):
        self.gate.stop()
        self.gate.mail_rate = NO_NEWCOMERS

    def void(self):
        return self.gate.void()
