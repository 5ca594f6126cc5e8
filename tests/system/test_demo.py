# SPDX-License-Identifier: BSD-2-Clause
"""scripts/demo agrees with its clients, says so when it cannot, and leaves nothing behind."""
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time
import unittest
import unittest.mock

from lab import machine
from lab.demo import PIN_DIR, PREFIX, WORK_DIR
from lab.flood_act import GENERATOR, complaint_about
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

    def run_to_its_end(self, code):
        done = machine.run(DEMO, "--once", "--json", check=False, timeout=BUILD_SECONDS)
        self.assertEqual(done.returncode, code, done.stderr)
        [line] = done.stdout.splitlines()
        return json.loads(line), done.stderr

    def with_generator(self, script):
        """What runs from now on finds this shell script in the generator's place."""
        folder = tempfile.TemporaryDirectory(prefix="tgtest-")
        self.addCleanup(folder.cleanup)
        place = pathlib.Path(folder.name)
        (place / "bin").symlink_to(PROGRAMS)
        (place / "tests").mkdir()
        generator = place / "tests/flood"
        generator.write_text(f"#!/bin/sh\n{script}\n")
        generator.chmod(0o755)
        changed = unittest.mock.patch.dict(os.environ, TALLYGATE_PROGRAMS=str(place / "bin"))
        changed.start()
        self.addCleanup(changed.stop)

    def check_a_whole_run(self):
        result, told = self.run_to_its_end(0)
        self.assertEqual(set(result), {"sources", "opened", "live", "expected", "attach", "flood"})
        self.assertEqual(result["attach"], "native")
        self.assertEqual({key: result[key] for key in result["expected"]}, result["expected"])
        self.assertGreater(result["sources"], 50)
        self.assertGreater(result["opened"], result["live"])
        self.assertGreater(result["live"], 0)
        self.check_the_flood(result["flood"], told)
        self.assertEqual(leftovers(), [])

    def check_the_flood(self, flood, told):
        self.assertEqual(flood["counted"], flood["sent"])
        self.assertGreater(flood["sent"], 100_000, "that was no flood")
        # What passes is 50 SYNs of each hot sender, and 4,000 of the newcomers' budget.
        self.assertGreater(flood["dropped"], flood["sent"] - 10_000)
        self.assertEqual(flood["clients"], {"tried": 230, "finished": 230})
        self.assertIn("The flood was dropped, and every client got through.", told)
        self.assertIn("is DROPPED (drop_source_rate)", told)

    def test_a_kernel_without_live_frames_has_no_second_act(self):
        self.with_generator("echo 'flood: send frames: Invalid argument' >&2; exit 1")
        result, told = self.run_to_its_end(0)
        self.assertIsNone(result["flood"])
        self.assertIn("this kernel cannot make live frames, which came with Linux 5.18", told)
        self.assertEqual(leftovers(), [])

    def test_a_flood_of_which_some_is_not_counted_is_told(self):
        self.with_generator(f"{GENERATOR} \"$@\" | sed 's/\"sent\": /&1/'")
        result, told = self.run_to_its_end(1)
        self.assertLess(result["flood"]["counted"], result["flood"]["sent"])
        self.assertIn("DIFFERENT", told)
        self.assertIn(f"and the gate has counted {result['flood']['counted']:,}.", told)
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


class FloodComplaints(unittest.TestCase):
    def test_rows(self):
        rows = [("all is well", 1000, 1000, 900, 5, 5, ""),
                ("a SYN is not counted", 1000, 999, 900, 5, 5, "the gate has counted 999"),
                ("a SYN is counted twice", 1000, 1001, 900, 5, 5, "the gate has counted 1,001"),
                ("nothing is dropped", 1000, 1000, 0, 5, 5, "let most of the flood pass"),
                ("a client gave up", 1000, 1000, 900, 5, 4, "Not every client")]
        for name, sent, counted, dropped, tried, finished, wanted in rows:
            with self.subTest(name):
                found = complaint_about({"sent": sent, "counted": counted, "dropped": dropped,
                                         "clients": {"tried": tried, "finished": finished}})
                self.assertIn(wanted, found)
                self.assertEqual(bool(wanted), bool(found))


if __name__ == "__main__":
    unittest.main()
