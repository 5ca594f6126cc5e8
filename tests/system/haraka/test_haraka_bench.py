# SPDX-License-Identifier: BSD-2-Clause
"""scripts/bench compares the plugin with the original and its Redis, and leaves nothing."""
import json
import os
import subprocess
import sys
import unittest

from lab.gate import TREE
from test_bench import leftovers

BENCH_SECONDS = 200


class HarakaBench(unittest.TestCase):
    def test_a_quick_run(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        done = subprocess.run(
            [sys.executable, "-m", "bench_lib.main", "--quick", "--quiet", "--json", "--parts",
             "haraka"], capture_output=True, text=True, timeout=BENCH_SECONDS, check=False,
            env={**os.environ, "PYTHONPATH": str(TREE / "scripts")})
        self.assertEqual(done.returncode, 0, done.stderr)
        part = json.loads(done.stdout)["haraka"]
        if not part["rows"]:
            self.skipTest(part["void"])
        self.assertEqual([row["key"] for row in part["rows"]], ["none", "tallygate", "redis"])
        for row in part["rows"]:
            self.assertGreater(row["practice_sessions_per_second"], 0, row)
            self.assertGreater(row["median_us"], 0, row)
        self.assertEqual(leftovers(), [])
