# SPDX-License-Identifier: BSD-2-Clause
"""The daemon as its unit runs it: what it tells systemd, and that the rights that the unit leaves
it are enough for what it does."""
import os
import pathlib
import signal
import socket
import time

from fixture import NOBODY, GateTest
from lab.gate import Gate
from lab.processes import Process

UNIT = pathlib.Path(__file__).resolve().parents[2] / "src/daemon/tallygated.service.in"
NOTIFY_SECONDS = 20
WATCHDOG_MICROSECONDS = 3_000_000


def values_of(directive):
    """All that the unit says of it, word by word."""
    lines = UNIT.read_text().splitlines()
    return [word for line in lines if line.startswith(f"{directive}=")
            for word in line.partition("=")[2].split()]


class UnitGate(Gate):
    """A daemon with the unit's rights, and with systemd's socket if there is one."""

    notify = None

    def _daemon(self, verb):
        if verb != "run":
            return super()._daemon(verb)
        rights = [f"+{name.removeprefix('CAP_').lower()}"
                  for name in values_of("CapabilityBoundingSet")]
        words = ["setpriv", "--no-new-privs", "--bounding-set=" + ",".join(["-all", *rights]), "--"]
        if self.notify:
            words = ["env", f"NOTIFY_SOCKET={self.notify}",
                     f"WATCHDOG_USEC={WATCHDOG_MICROSECONDS}", *words]
        return [*words, *super()._daemon(verb)]


class Systemd(GateTest):
    addresses = ["192.0.2.1"]

    def setUp(self):
        super().setUp()
        self.gate = UnitGate(self.link.guarded, self.work_dir, self.gate.pin_dir, self.record)
        self.gate.notify = self.work_dir / "notify"
        self.systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.systemd.close)
        self.systemd.bind(str(self.gate.notify))
        self.systemd.settimeout(NOTIFY_SECONDS)

    def hear(self, wanted):
        """Until it is said; what else is said before."""
        heard = []
        while wanted not in heard:
            heard += self.systemd.recv(4096).decode().splitlines()
        return heard[:-1]

    def test_is_ready_when_it_answers_and_says_that_it_stops(self):
        self.gate.write_config([])
        self.gate.process = Process("tallygated", self.gate.namespace,
                                    self.gate._daemon("run"),  # pylint: disable=protected-access
                                    self.record, self.gate.log)
        self.assertEqual(self.hear("READY=1"), [])
        self.assertEqual(self.gate.ask("status").returncode, 0)
        self.connect("192.0.2.1", keep=1)
        self.hear("WATCHDOG=1")
        self.hear("WATCHDOG=1")

        self.assertEqual(self.gate.ask("reload").returncode, 0)
        self.gate.write_config([("broken", ["192.0.2.0/33"])])
        self.assertEqual(self.gate.ask("reload", check=False).returncode, 78)

        attached, pins = self.attached(), self.pins()
        self.gate.process.child.send_signal(signal.SIGTERM)
        self.hear("STOPPING=1")
        self.assertEqual(self.gate.process.child.wait(NOTIFY_SECONDS), 0)
        self.assertEqual((self.attached(), self.pins()), (attached, pins), "it is not detached")

    def test_a_process_that_stands_still_tells_nothing(self):
        self.start_gate()
        self.hear("WATCHDOG=1")
        self.gate.process.child.send_signal(signal.SIGSTOP)
        self.addCleanup(self.gate.process.child.send_signal, signal.SIGCONT)
        time.sleep(0.2)
        self.systemd.setblocking(False)
        with self.assertRaises(BlockingIOError):
            while True:
                self.systemd.recv(4096)
        self.systemd.settimeout(2 * WATCHDOG_MICROSECONDS / 1e6)
        with self.assertRaises(TimeoutError):
            self.systemd.recv(4096)
        self.gate.process.child.send_signal(signal.SIGCONT)
        self.hear("WATCHDOG=1")

    def test_the_rights_of_the_unit_are_enough(self):
        """With sockets in a directory that is Postfix's own, lists, limits, and what was left."""
        private = self.work_dir / "private"
        private.mkdir(mode=0o700)
        os.chown(private, NOBODY, NOBODY)
        self.work_dir.chmod(0o755)
        more = (f'[anvil]\nsocket = "{private}/anvil"\n'
                f'[policy]\nsocket = "{self.work_dir}/tallygate/policy"\nsocket_mode = "0666"\n'
                '[[block]]\ncidrs = ["203.0.113.0/24"]\n'
                '[[limit]]\nname = "open"\nper = ["0.0.0.0/32", "::/64"]\nlive_max = 50\n')
        for turn in ("begins", "takes over", "takes over again"):
            with self.subTest(turn):
                self.start_gate(gate='mode = "enforce"', more="\n" + more)
                self.connect("192.0.2.1", keep=1)
                self.assertEqual(self.gate.ask("reload").returncode, 0, self.gate.log.read_text())
                self.gate.ask("block", "add", "203.0.114.9", "--for", "1h")
                self.gate.ask("explain", "203.0.113.9")
                self.assertEqual((private / "anvil").stat().st_uid, NOBODY)
                self.assertEqual((self.work_dir / "tallygate/policy").stat().st_mode & 0o777, 0o666)
                self.assert_soon(False, lambda: self.gate.ask_json("status")["lists"]
                                 ["swap_under_way"], "the reload's lists")
                self.assertNotIn("Operation not permitted", self.gate.log.read_text())
                self.gate.stop(signal.SIGKILL if turn == "begins" else signal.SIGTERM)
        self.assertTrue(self.attached(), "the programs stay")
