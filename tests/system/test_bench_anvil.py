# SPDX-License-Identifier: BSD-2-Clause
"""scripts/bench-anvil runs, and leaves nothing."""
import json
import os
import sys
import unittest

from bench_lib.anvil import PINS, PREFIX, WORK_DIR
from lab import machine
from lab.gate import TREE
from lab.machine import NETNS

RUN = [sys.executable, "-m", "bench_lib.anvil", "--quiet", "--json", "--rounds", "1", "--seconds",
       "0.2", "--idle", "0,100", "--busy-seconds", "0.2", "--proven", "1000", "--events", "1000"]


class BenchAnvil(unittest.TestCase):
    def test_measures_and_cleans_up(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        done = machine.run("env", f"PYTHONPATH={TREE / 'scripts'}", "PYTHONDONTWRITEBYTECODE=1",
                           *RUN, timeout=240)
        result = json.loads(done.stdout)
        self.assertEqual([(row["idle"], row["streams"]) for row in result["throughput"]],
                         [(0, 1), (0, 50), (100, 1), (100, 50)])
        for row in result["throughput"]:
            self.assertGreater(row["per_second"]["tallygate"], 0)
        self.assertEqual(result["busy"]["proven"], 1000)
        answering = [row["answering"] for row in result["busy"]["rows"]]
        self.assertEqual(answering.count("tallygate"), 3)
        self.assertEqual(answering.count("tallygate's policy"), 3)
        for row in result["busy"]["rows"]:
            self.assertGreater(row["per_second"], 0)
        self.assertEqual(list(NETNS.glob(f"{PREFIX}*")), [])
        self.assertFalse(PINS.exists() or WORK_DIR.exists())
