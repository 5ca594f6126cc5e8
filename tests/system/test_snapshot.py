# SPDX-License-Identifier: BSD-2-Clause
"""Windows survive what the daemon does not: a stop, a kill, and taking the gate off."""
import signal
import time
import unittest

from fixture import GateTest
from lab.story import Truth
from test_restart import ADDRESSES, Traffic

BLOCKS = ("0.0.0.0/0", "::/0", "192.0.2.7", "192.0.2.0/29", "2001:db8:1:7::/64")


class Snapshot(GateTest):
    addresses = ADDRESSES

    def setUp(self):
        super().setUp()
        self.snapshot = self.work_dir / "state" / "snapshot"

    def count_all(self, block, event="connections"):
        """In every window that the monitor keeps."""
        return int(self.gate.ask("count", block, "--monitor", "3600,24", "--end", "23",
                                 "--event", event).stdout)

    def check_windows(self, forgotten=None):
        """All that the clients opened, but what `forgotten` says; and all that is open."""
        truth = Truth(self.clients.report())
        for block in BLOCKS:
            with self.subTest(block):
                opened = truth.opened(block) - (forgotten.opened(block) if forgotten else 0)
                self.assert_soon(opened, lambda: self.count_all(block), "connections")
                self.assert_soon(truth.live(block), lambda: self.gate.live(block), "live")

    def connect_all(self, times, keep=0):
        for address in ADDRESSES:
            self.connect(address, times, keep)

    def wait_for_next_snapshot(self):
        before = self.snapshot.stat().st_mtime_ns
        deadline = time.monotonic() + 20
        while self.snapshot.stat().st_mtime_ns == before:
            self.assertLess(time.monotonic(), deadline, "a snapshot about every 10 s")
            time.sleep(0.1)

    def since(self):
        return self.gate.ask_json("count", "0.0.0.0/0", "--monitor", "3600,24")["since"]

    def check_restarts(self, number, snapshot_in_between):
        self.start_gate()
        since = self.since()
        traffic = Traffic(self.connect)
        traffic.start()
        try:
            self.assert_soon(True, lambda: traffic.rounds >= 3, "traffic before")
            if snapshot_in_between:
                self.wait_for_next_snapshot()
            self.gate.stop(number)
            rounds = traffic.rounds
            self.assert_soon(True, lambda: traffic.rounds >= rounds + 5, "traffic without daemon")
            self.gate.start()
            rounds = traffic.rounds
            self.assert_soon(True, lambda: traffic.rounds >= rounds + 3, "traffic after")
        finally:
            traffic.finish()
        self.check_windows()
        self.assertEqual(self.since(), since)
        self.gate.stop(number)
        self.clients.close()
        self.connect_all(times=1, keep=1)
        self.gate.start()
        self.check_windows()

    def test_a_daemon_killed_before_its_second_snapshot(self):
        self.check_restarts(signal.SIGKILL, snapshot_in_between=False)

    def test_a_daemon_killed_after_its_second_snapshot(self):
        self.check_restarts(signal.SIGKILL, snapshot_in_between=True)

    def test_a_daemon_that_was_stopped(self):
        self.check_restarts(signal.SIGTERM, snapshot_in_between=False)

    def test_what_was_told_is_not_news_again(self):
        """Nothing that was counted before may land in the windows of now."""
        self.gate.write_config([], monitors=["1,60", "3600,24"])
        self.gate.start()
        self.connect_all(times=3, keep=1)
        self.check_windows()
        syns = Truth(self.clients.report()).opened("0.0.0.0/0")
        self.assert_soon(syns, lambda: self.count_all("0.0.0.0/0", "syn"), "SYNs")
        self.gate.stop()
        time.sleep(2.1)
        self.gate.start()
        for event in ("connections", "syn"):
            time.sleep(0.3)  # A walk, and a round over the claims.
            newest = self.gate.ask("count", "0.0.0.0/0", "--monitor", "1,60", "--end", "1",
                                   "--event", event)
            self.assertEqual(newest.stdout, "0", event)
        self.assertEqual(self.count_all("0.0.0.0/0", "syn"), syns)
        self.check_windows()

    def test_windows_are_history_after_detach(self):
        self.start_gate()
        self.connect_all(times=3, keep=1)
        self.check_windows()
        before = Truth(self.clients.report())
        self.gate.stop()
        self.gate.detach()
        self.clients.close()
        self.gate.start()
        for block in BLOCKS:
            self.assertEqual(self.gate.live(block), 0)
            self.assertEqual(self.count_all(block), before.opened(block))
        self.connect_all(times=2, keep=1)
        self.check_windows()

    def test_a_damaged_snapshot_is_set_aside(self):
        self.start_gate()
        self.connect_all(times=3, keep=1)
        self.check_windows()
        self.gate.stop()
        damaged = self.snapshot.read_bytes()[:-1]
        self.snapshot.write_bytes(damaged)
        forgotten = Truth(self.clients.report())
        lines = len(self.gate.log.read_text().splitlines())
        self.gate.start()

        told = [line for line in self.gate.log.read_text().splitlines()[lines:]
                if str(self.snapshot) in line]
        self.assertEqual(len(told), 1, told)
        self.assertIn(f"{self.snapshot}.damaged", told[0])
        aside = self.snapshot.with_name("snapshot.damaged")
        self.assertEqual(aside.read_bytes(), damaged)
        self.check_windows(forgotten)
        self.connect_all(times=2, keep=1)
        self.check_windows(forgotten)
        self.assertEqual(self.count_all("0.0.0.0/0", "dropped"), 0)

    def test_without_its_snapshot_a_daemon_tells_nothing_old_as_new(self):
        self.start_gate()
        self.connect_all(times=3, keep=1)
        self.check_windows()
        self.gate.stop()
        self.snapshot.unlink()
        forgotten = Truth(self.clients.report())
        self.gate.start()
        self.check_windows(forgotten)
        time.sleep(0.6)
        self.assertEqual(self.count_all("0.0.0.0/0", "syn"), 0)
        self.assertEqual(self.service()["opened"], forgotten.opened())

    def test_a_state_directory_that_cannot_be_written(self):
        (self.work_dir / "state").write_text("a file, not a directory")
        self.start_gate()
        windows, proven = self.gate.ask_json("status")["warnings"]
        for what, warning in (("windows are", windows), ("who has proven himself", proven)):
            self.assertTrue(warning.startswith(what), warning)
            self.assertIn(str(self.work_dir / "state"), warning)
        self.connect_all(times=1)
        self.check_windows()

    def test_the_directory_is_nobody_elses(self):
        self.start_gate()
        self.assertEqual(self.snapshot.parent.stat().st_mode & 0o777, 0o700)
        self.assertEqual(self.snapshot.stat().st_mode & 0o777, 0o600)


if __name__ == "__main__":
    unittest.main()
