# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of floods stand on: a generator of forged SYNs on the clients' side."""
import json
import os
import pathlib
import subprocess

from fixture import GateTest, SERVER_IPV4
from lab import machine
from lab.gate import PROGRAMS
from lab.machine import Link

TOOLS = PROGRAMS.parent / "tests"
SEED = 7
HOT_SOURCES = ["203.0.113.7", "203.0.114.8", "203.0.115.9"]


def limit(name, **settings):
    """A [[limit]] as TOML; per-source unless told otherwise."""
    values = {"name": name, "per": ["0.0.0.0/32", "::/64"], **settings}
    if "networks" in settings:
        del values["per"]
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    return "\n[[limit]]\n" + "\n".join(lines) + "\n"


class FloodTest(GateTest):
    """The generator's frames come in by the guarded card, like anybody's.

    Whoever sends is on one CPU: a card whose packets come from two loses some of a flood, and
    then nobody knows which.
    """

    def setUp(self):
        everywhere = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(everywhere)})
        try:
            super().setUp()
        finally:
            os.sched_setaffinity(0, everywhere)
        shown = machine.run("ip", "-n", self.link.server, "-json", "link", "show",
                            Link.SERVER_SIDE)
        self.mac = json.loads(shown.stdout)[0]["address"]

    def begin_flood(self, distribution="random", seconds=2.0, rate=0):
        words = machine.inside(
            self.link.clients, "taskset", "-c", min(os.sched_getaffinity(0)),
            TOOLS / "flood", "--interface", Link.CLIENT_SIDE, "--mac", self.mac,
            "--destination", f"{SERVER_IPV4}:25", "--distribution", distribution,
            "--seconds", seconds, "--rate", rate, "--seed", SEED)
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self._end, process)
        return process

    def end_flood(self, process):
        """How many SYNs it has sent."""
        out, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, err)
        return json.loads(out)["sent"]

    def flood(self, *arguments, **options):
        return self.end_flood(self.begin_flood(*arguments, **options))

    def forged(self, sent, *blocks):
        """How many of the first `sent` random SYNs came from each block."""
        done = machine.run(TOOLS / "flood_counter", SEED, sent, *blocks)
        return json.loads(done.stdout)

    def verdict(self, name):
        """Packets that came in and left under it."""
        return self.gate.ask_json("status")["verdicts"]["ingress"].get(name, 0)

    def syn_total(self):
        return self.service()["syn"]

    def count_syn(self, block, event="syn"):
        """Of two hours, lest one ends meanwhile."""
        return self.gate.ask_json("count", block, "--monitor", "3600,24", "--start", "0",
                                  "--end", "1", "--event", event)

    def daemon_rss_bytes(self):
        status = pathlib.Path(f"/proc/{self.gate.process.child.pid}/status").read_text("ascii")
        return int(status.split("VmRSS:")[1].split()[0]) * 1024

    @staticmethod
    def _end(process):
        if process.poll() is None:
            process.kill()
            process.communicate()
