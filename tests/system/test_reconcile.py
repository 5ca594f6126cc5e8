# SPDX-License-Identifier: BSD-2-Clause
"""Reconcile against the real socket table: what it takes in, and what it leaves alone."""
import sys

from fixture import SERVER_IPV4, SERVER_IPV6, GateTest
from lab.processes import Process

CLIENT = "192.0.2.1"
EVERY_SECOND = '\n[reconcile]\ninterval = "1s"\n'

# The host speaks with itself over its own addresses.
TO_ITSELF = """
import socket, sys
held = [socket.create_connection((address, 25)) for address in {addresses!r}]
print("open", flush=True)
sys.stdin.read()
"""


class Reconcile(GateTest):
    addresses = [CLIENT]

    def reconcile(self):
        return self.gate.ask_json("status")["reconcile"]

    def wait_rounds(self, count):
        """Until so many more rounds are complete."""
        wanted = self.reconcile()["rounds"] + count
        self.assert_soon(True, lambda: self.reconcile()["rounds"] >= wanted, "rounds go on")

    def test_connections_of_a_new_service_are_taken_in(self):
        self.start_gate(more=EVERY_SECOND, guards="ports = [587]")
        self.connect(CLIENT, times=3, keep=3)
        self.assertEqual(self.gate.live("0.0.0.0/0"), 0)
        self.gate.write_config([], more=EVERY_SECOND)
        self.gate.ask("reload")
        self.assert_soon(3, lambda: self.gate.live("0.0.0.0/0"), "adopted")
        self.clients.close()
        self.assert_soon(0, lambda: self.gate.live("0.0.0.0/0"), "their ends are seen")
        self.assertEqual((self.reconcile()["adopted"], self.reconcile()["closed"]), (3, 0))

    def test_what_the_host_says_to_itself_is_left_alone(self):
        self.start_gate(more=EVERY_SECOND)
        script = TO_ITSELF.format(addresses=[SERVER_IPV4, SERVER_IPV6])
        talk = Process("a talk with itself", self.link.server, [sys.executable, "-c", script],
                       self.record, self.work_dir / "helpers.log")
        self.addCleanup(talk.stop)
        self.assertEqual(talk.read_line().strip(), "open")
        self.wait_rounds(3)
        self.assertEqual((self.gate.live("0.0.0.0/0"), self.gate.live("::/0")), (0, 0))
        self.assertEqual(self.reconcile()["adopted"], 0)

    def test_off_is_off(self):
        self.start_gate(more='\n[reconcile]\ninterval = "off"\n')
        self.assertEqual(self.reconcile()["how"], "off")
        self.connect(CLIENT, times=3, keep=2)
        self.assert_soon(2, lambda: self.gate.live("0.0.0.0/0"), "live")
        self.assertEqual(self.reconcile()["rounds"], 0)
