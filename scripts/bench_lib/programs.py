# SPDX-License-Identifier: BSD-2-Clause
"""The programs of tests/bench, each run in a namespace, on CPUs of its own."""
import contextlib
import json
import os
import random
import subprocess

from bench_lib import road
from lab.gate import PROGRAMS
from lab.machine import LabError, run
from lab.processes import STOP_SECONDS, Process

TESTS = PROGRAMS.parent / "tests"
PROVING_CONNECTIONS = 64


def cpus():
    """(the flood's CPU, everybody else's), as taskset takes them. With one CPU they share it."""
    usable = sorted(os.sched_getaffinity(0))
    flood, others = usable[-1], usable[:-1] or usable
    return str(flood), ",".join(str(cpu) for cpu in others)


def on_cpus(chosen, *command):
    """Ahead of whatever else this machine does: it would be measured, too."""
    return ["taskset", "-c", chosen, "nice", "-n", "-20", *command]


class Helper(Process):
    """A program that answers a line of JSON, or of words, when there is something to say."""

    def __init__(self, namespace, command, bench, chosen=None):
        name = str(command[0])
        super().__init__(name, namespace, on_cpus(chosen or cpus()[1], TESTS / name, *command[1:]),
                         bench.record, bench.log)

    def read_json(self):
        return json.loads(self.read_line())

    def ask(self):
        self.write_line("")
        return self.read_json()

    def finish(self):
        """What it says at its end, once it has ended."""
        answer = self.read_json()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.child.wait(STOP_SECONDS)
        if self.stop() != 0:
            raise LabError(f"{self.name} failed: {self.last_words()}")
        return answer


def start_flood(bench, way, seconds, rate=0, distribution="random"):
    """Its frames are all sent when `finish()` returns; the last may still be on their way. Each
    flood has senders of its own: those of one before are in the tables."""
    return Helper(way.world, ["flood", "--interface", road.OUTSIDE, "--mac", road.SERVER_MAC,
                              "--destination", f"{road.SERVER}:{road.PORT}",
                              "--distribution", distribution, "--seconds", seconds,
                              "--rate", rate, "--seed", random.getrandbits(32)], bench, cpus()[0])


def start_clients(bench, way, *options, first=road.CLIENTS_FIRST, count=road.CLIENTS_COUNT):
    return Helper(way.world, ["mail_client", "--server", f"{road.SERVER}:{road.PORT}",
                              "--first", first, "--sources", count, *options], bench)


def prove_clients(bench, way):
    """Each of their addresses is served once, if none has been yet."""
    if way.clients_are_known:
        return
    said = start_clients(bench, way, "--connections", PROVING_CONNECTIONS).finish()
    if said["failed"] or not said["completed"]:
        bench.say(f"of the clients that come before the flood {said['failed']} failed")
    way.clients_are_known = True


def start_server(bench, way):
    server = Helper(way.server, ["mail_server", f"{road.SERVER}:{road.PORT}"], bench)
    server.read_line()
    return server


def run_json(name, *options):
    """A program of tests/bench that needs no namespace, run to its end."""
    return json.loads(run(TESTS / name, *options, timeout=600).stdout)
