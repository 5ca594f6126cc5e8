# SPDX-License-Identifier: BSD-2-Clause
"""scripts/bench's flood reaches its receiver to the last frame, and a run leaves nothing."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest

from bench_lib.flood_part import Round, Row
from bench_lib.guards import DropAll, Nothing
from bench_lib.main import PINS, PREFIX, WORK_DIR
from lab import machine
from lab.gate import TREE

RUN = [sys.executable, "-m", "bench_lib.main", "--quick", "--quiet"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(TREE / "scripts"), "PYTHONDONTWRITEBYTECODE": "1"}


def bench(*options):
    return subprocess.run([*RUN, *options], env=ENVIRONMENT, capture_output=True, text=True,
                          timeout=60, check=False)


def leftovers():
    return [str(path) for path in (WORK_DIR, PINS, *machine.NETNS.glob(f"{PREFIX}*"))
            if path.exists()]


class Bench(unittest.TestCase):
    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        self.addCleanup(bench, "--clean")

    def test_every_frame_that_is_sent_is_received(self):
        done = bench("--json", "--parts", "flood", "--receivers", "drop")
        self.assertEqual(done.returncode, 0, done.stderr)
        result = json.loads(done.stdout)
        self.assertEqual([part["distribution"] for part in result["flood"]],
                         ["random", "hot", "64k"])
        for part in result["flood"]:
            [row] = part["rows"]
            self.assertEqual((row["received"], row["dropped"], row["void"]),
                             (row["sent"], row["sent"], ""), part)
            self.assertGreater(row["sent"], 0)
        self.assertEqual(leftovers(), [])

    def test_clients_of_either_kind_are_served(self):
        done = bench("--json", "--parts", "goodput", "--receivers", "clients", "--rates", "0",
                     "--sessions", "message,quit")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = json.loads(done.stdout)["goodput"]["rows"]
        self.assertEqual([(row["session"], row["failed"], row["void"]) for row in rows],
                         [("message", 0, ""), ("quit", 0, "")])
        for row in rows:
            self.assertGreater(row["sessions_per_second"], 0)

    def test_the_run_after_a_killed_one_cleans_up(self):
        killed = subprocess.Popen([*RUN, "--parts", "flood", "--receivers", "drop",
                                   "--seconds", "20"], env=ENVIRONMENT)
        self.addCleanup(killed.wait)
        self.addCleanup(killed.kill)
        deadline = time.monotonic() + 10
        record = WORK_DIR / "processes"
        while time.monotonic() < deadline and not (
                record.exists() and len(record.read_text().splitlines()) >= 3):
            time.sleep(0.05)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        started = [json.loads(line)["pid"] for line in record.read_text().splitlines()]
        self.assertEqual(bench("--clean").returncode, 0)
        self.assertEqual(leftovers(), [])
        self.assertEqual([pid for pid in started if is_alive(pid)], [])


class Void(unittest.TestCase):
    """Which rows of a flood say nothing."""

    ROWS = [
        ("all received, all dropped", DropAll, Round(10, 1.0, 10, 10), ""),
        ("one lost", DropAll, Round(10, 1.0, 9, 9),
         "void: 19 of 20 frames were received"),
        ("nothing dropped by what drops", DropAll, Round(10, 1.0, 10, 0),
         "void: no frame met the rule"),
        ("nothing dropped by no filter", Nothing, Round(10, 1.0, 10, 0), ""),
    ]

    def test_rows(self):
        for name, guard, measured, wanted in self.ROWS:
            with self.subTest(name):
                row = Row(guard(None, None))
                row.rounds = [Round(10, 1.0, 10, 10), measured]
                self.assertEqual(row.void, wanted)


def is_alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


if __name__ == "__main__":
    unittest.main()
