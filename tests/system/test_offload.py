# SPDX-License-Identifier: BSD-2-Clause
"""Super-packets of the kernel's own making: GSO on the way out, GRO and TSO on the way in.

No test-run can build them: a FIN behind 64 KiB of data of which a program reads the headers.
"""
import json
import pathlib
import sys
import unittest

from fixture import SERVER_IPV4, SERVER_IPV6, GateTest, server_for
from lab import machine
from lab.machine import Link
from lab.processes import Process

BULK = pathlib.Path(__file__).parent / "bulk.py"
IPV4, IPV6 = "192.0.2.1", "2001:db8:1:7::25"
CONNECTIONS = 10
BYTES = 4 << 20
LARGEST_FRAME = 1514


class Offload(GateTest):
    addresses = [IPV4, IPV6]

    def setUp(self):
        super().setUp()
        self.server.stop()
        self.bulk = self.helper("the bulk server", self.link.server, "serve", SERVER_IPV4,
                                SERVER_IPV6)
        self.assertEqual(self.bulk.read_line(), "ready")

    def helper(self, name, namespace, *words):
        process = Process(name, namespace, [sys.executable, BULK, *words], self.record,
                          self.work_dir / "bulk.log")
        self.addCleanup(process.stop)
        return process

    def card(self, direction):
        """Packets and bytes as the server's card has counted them."""
        done = machine.run("ip", "-n", self.link.server, "-json", "-stats", "link", "show",
                           Link.SERVER_SIDE)
        counts = json.loads(done.stdout)[0]["stats64"][direction]
        return counts["packets"], counts["bytes"]

    def closed_by_fin(self):
        verdicts = self.gate.ask_json("status")["verdicts"]
        return sum(hook.get("pass_closed_fin", 0) for hook in verdicts.values())

    def move(self, verb, direction):
        """All connections of both families at once; super-packets are what moves the bytes."""
        clients = [self.helper(verb, self.link.clients, verb, address, server_for(address),
                               CONNECTIONS, BYTES) for address in self.addresses]
        for client in clients:
            self.assertEqual(client.read_line(), "open")
        for address in self.addresses:
            self.assert_soon(CONNECTIONS, lambda: self.gate.live(address), "live while open")

        packets, size = self.card(direction)
        for client in clients:
            client.write_line("go")
        for client in clients:
            self.assertEqual(client.read_line(), "done")
        packets_after, size_after = self.card(direction)
        self.assertGreater((size_after - size) / (packets_after - packets), 2 * LARGEST_FRAME,
                           "the kernel built no super-packets, so this proves nothing")

    def check(self, attach, verb, direction):
        self.start_gate(gate=f'attach = "{attach}"')
        self.move(verb, direction)
        total = CONNECTIONS * len(self.addresses)
        self.assert_soon((total, 0), lambda: (self.service()["opened"], self.service()["live"]),
                         "opened and live")
        self.assertEqual(self.closed_by_fin(), total, "no close was missed, and none mended")
        for address in self.addresses:
            self.assertEqual(self.gate.live(address), 0)

    def test_a_server_that_sends_megabytes_and_closes_first(self):
        for attach in ("native", "generic", "tc"):
            with self.subTest(attach):
                self.check(attach, "download", "tx")
                self.gate.stop()
                self.gate.detach()

    def test_a_client_that_sends_megabytes_and_closes_first(self):
        """Native XDP takes no super-packets, and turns them off on the other side."""
        for attach in ("generic", "tc"):
            with self.subTest(attach):
                self.check(attach, "upload", "rx")
                self.gate.stop()
                self.gate.detach()


if __name__ == "__main__":
    unittest.main()
