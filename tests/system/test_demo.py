# SPDX-License-Identifier: BSD-2-Clause
"""scripts/demo agrees with its clients, says so when it cannot, and leaves nothing behind."""
import json
import os
import pathlib
import signal
import subprocess
import time
import unittest

from lab import machine
from lab.demo import PIN_DIR, PREFIX, WORK_DIR
from lab.gate import PROGRAMS, TREE

DEMO = TREE / "scripts/demo"
BUILD_SECONDS = 900  # the demo builds first what has changed


def leftovers():
    return [str(path) for path in (WORK_DIR, PIN_DIR, *machine.NETNS.glob(f"{PREFIX}*"))
            if path.exists()]


class Demo(unittest.TestCase):
    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        self.addCleanup(machine.run, DEMO, "--clean", check=False)

    def begin(self):
        """A demo that is under way, and has counted something."""
        demo = subprocess.Popen([DEMO, "--once", "--json"], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
        self.addCleanup(demo.kill)
        deadline = time.monotonic() + BUILD_SECONDS
        while time.monotonic() < deadline and demo.poll() is None:
            done = machine.run(PROGRAMS / "tallygate", "--socket", WORK_DIR / "control.sock",
                               "live", "198.51.100.0/24", check=False)
            if done.returncode == 0 and int(done.stdout) > 0:
                return demo
            time.sleep(0.02)
        self.fail(f"the demo never began: {demo.communicate()[1]}")

    def check_a_whole_run(self):
        done = machine.run(DEMO, "--once", "--json", check=False, timeout=BUILD_SECONDS)
        self.assertEqual(done.returncode, 0, done.stderr)
        [line] = done.stdout.splitlines()
        result = json.loads(line)
        self.assertEqual(set(result), {"sources", "opened", "live", "expected", "attach"})
        self.assertEqual(result["attach"], "native")
        self.assertEqual({key: result[key] for key in result["expected"]}, result["expected"])
        self.assertGreater(result["sources"], 50)
        self.assertGreater(result["opened"], result["live"])
        self.assertGreater(result["live"], 0)
        self.assertEqual(leftovers(), [])

    def test_twice_in_a_row(self):
        self.check_a_whole_run()
        self.check_a_whole_run()

    def test_a_gate_detached_in_the_middle_is_told(self):
        demo = self.begin()
        machine.run(PROGRAMS / "tallygated", "detach", "--pin-dir", PIN_DIR)
        out, err = demo.communicate(timeout=60)
        self.assertEqual(demo.returncode, 1, err)
        self.assertIn("The gate was detached while the demo ran", err)
        result = json.loads(out)
        self.assertLess(result["opened"], result["expected"]["opened"])
        self.assertEqual(leftovers(), [])

    def test_the_run_after_a_killed_one_cleans_up(self):
        demo = self.begin()
        demo.send_signal(signal.SIGKILL)
        demo.wait()
        self.assertNotEqual(leftovers(), [])
        self.check_a_whole_run()

    def test_an_ended_one_cleans_up_itself(self):
        demo = self.begin()
        demo.send_signal(signal.SIGTERM)
        demo.communicate(timeout=60)
        self.assertEqual(demo.returncode, 128 + signal.SIGTERM)
        self.assertEqual(leftovers(), [])

    def test_the_hosts_interfaces_are_untouched(self):
        def look():
            links = sorted(path.name for path in pathlib.Path("/sys/class/net").iterdir())
            return links, machine.run("bpftool", "--json", "net", "show").stdout
        before = look()
        machine.run(DEMO, "--once", "--json", check=False, timeout=BUILD_SECONDS)
        self.assertEqual(look(), before)


if __name__ == "__main__":
    unittest.main()
