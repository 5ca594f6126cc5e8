# SPDX-License-Identifier: BSD-2-Clause
"""The gate outlives its daemon, belongs to one daemon, and leaves only when it is told to."""
import signal
import threading
import unittest

from fixture import GateTest
from lab.gate import Gate
from lab.story import Truth

ADDRESSES = [f"192.0.2.{host}" for host in range(1, 11)] + \
            [f"2001:db8:1:{site:x}::25" for site in range(1, 11)]
NETWORKS = [("quiet", ["192.0.2.0/24"]), ("site", ["2001:db8:1::/48"])]


class Traffic(threading.Thread):
    """Connections that go on until they are told to end."""

    def __init__(self, connect):
        super().__init__()
        self._connect = connect
        self._end = threading.Event()
        self.rounds = 0
        self.error = None

    def run(self):
        try:
            while not self._end.is_set():
                for address in ADDRESSES:
                    self._connect(address, times=2, keep=1 if self.rounds == 0 else 0)
                self.rounds += 1
                self._end.wait(0.02)
        except Exception as error:  # Told to the test, which is in another thread.
            self.error = error

    def finish(self):
        self._end.set()
        self.join()
        if self.error:
            raise self.error


class Restart(GateTest):
    addresses = ADDRESSES

    def check_nothing_is_lost(self):
        truth = Truth(self.clients.report())
        self.assert_soon((truth.opened(), truth.live()),
                         lambda: (self.service()["opened"], self.service()["live"]), "totals")
        for block in ("0.0.0.0/0", "::/0", "192.0.2.7", "2001:db8:1:7::/64"):
            with self.subTest(block):
                self.assert_soon(truth.live(block), lambda: self.gate.live(block), "live")
                self.assert_soon(truth.opened(block), lambda: self.gate.count(block), "opened")
        for name, cidrs in NETWORKS:
            with self.subTest(name):
                self.assert_soon((truth.opened(cidrs[0]), truth.live(cidrs[0])),
                                 lambda: (self.network(name)["opened"],
                                          self.network(name)["live"]), "network")

    def check_restart(self, number):
        self.start_gate(NETWORKS)
        traffic = Traffic(self.connect)
        traffic.start()
        try:
            self.assert_soon(True, lambda: traffic.rounds >= 3, "traffic before")
            self.gate.stop(number)
            rounds = traffic.rounds
            self.assert_soon(True, lambda: traffic.rounds >= rounds + 5, "traffic without daemon")
            self.gate.start()
            rounds = traffic.rounds
            self.assert_soon(True, lambda: traffic.rounds >= rounds + 3, "traffic after")
        finally:
            traffic.finish()
        self.check_nothing_is_lost()
        self.assertTrue(all(each["adopted"]
                            for each in self.gate.ask_json("status")["attachments"]))
        self.clients.close()
        self.check_nothing_is_lost()

    def test_a_killed_daemon_loses_nothing(self):
        self.check_restart(signal.SIGKILL)

    def test_a_stopped_daemon_loses_nothing(self):
        self.check_restart(signal.SIGTERM)

    def test_it_stays_attached_when_the_daemon_stops(self):
        self.start_gate()
        attached = self.attached()
        self.assertGreaterEqual(len(attached), 2)
        self.assertEqual(self.gate.stop(), 0)
        self.assertEqual(self.attached(), attached)

    def test_a_second_daemon_is_refused(self):
        self.start_gate(NETWORKS)
        self.connect("192.0.2.1", times=3, keep=1)
        attached, pins = self.attached(), self.pins()

        (self.work_dir / "second").mkdir()
        second = Gate(self.link.server, self.work_dir / "second", self.gate.pin_dir, self.record)
        second.write_config(NETWORKS)
        done = second.daemon("run")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(str(self.gate.pin_dir), done.stderr)
        self.assertEqual((self.attached(), self.pins()), (attached, pins))

        self.connect("192.0.2.1", times=2)
        self.assert_soon(5, lambda: self.gate.count("192.0.2.1"), "the first one goes on")

    def test_a_socket_that_answers_is_not_taken_over(self):
        self.start_gate()
        other = Gate(self.link.server, self.work_dir, f"{self.gate.pin_dir}-other", self.record)
        self.addCleanup(other.detach, check=False)
        other.config = self.work_dir / "other.toml"
        other.write_config([])
        done = other.daemon("run")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(str(self.gate.socket), done.stderr)
        self.assertEqual(self.gate.ask("status").returncode, 0)

    def test_a_socket_that_nobody_answers_is_replaced(self):
        self.start_gate()
        self.gate.stop(signal.SIGKILL)
        self.assertTrue(self.gate.socket.exists())
        self.gate.start()
        self.assertEqual(self.gate.ask("status").returncode, 0)

    def test_detach_needs_neither_daemon_nor_configuration(self):
        self.start_gate()
        self.gate.stop(signal.SIGKILL)
        self.gate.config.unlink()
        self.assertEqual(self.gate.detach().returncode, 0)
        self.assertEqual((self.attached(), self.pins()), ([], []))
        self.connect("192.0.2.1")  # mail flows on

    def test_detach_where_nothing_is_attached(self):
        done = self.gate.detach(check=False)
        self.assertIn(done.returncode, (0, 5), done.stderr)
        self.assertIn(str(self.gate.pin_dir), done.stdout + done.stderr)

    def test_detach_reads_the_pin_dir_of_a_configuration(self):
        self.start_gate()
        self.gate.stop()
        self.gate.write_config([], interfaces=["gone0"])
        done = self.gate.daemon("detach")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((self.attached(), self.pins()), ([], []))


if __name__ == "__main__":
    unittest.main()
