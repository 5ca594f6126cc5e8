# SPDX-License-Identifier: BSD-2-Clause
"""Connections at full speed that end in every way there is: the gate's counts are the kernel's."""
import collections
import random
import signal
import unittest

from churning import ChurnTest
from lab.gate import settle

PAUSES = 10
HELD = 400
PARKED = 100  # connections that stand still at the server, half-ended; fewer than are under way
DOOMED_SERVERS = ["198.51.100.27", "2001:db8:25::27"]


class Churn(ChurnTest):
    def assert_live_is_what_the_sockets_say(self, when):
        """Who stands still here is the client; what the server owes it is still on its way."""
        def differences():
            sockets, live = self.sockets(), collections.Counter(self.live_by_source())
            live.subtract(sockets)
            return {source: count for source, count in live.items() if count}
        self.assertEqual(settle(differences, {}), {}, f"gate minus sockets {when}")
        self.assertGreater(sum(self.sockets().values()), 0, f"nothing is open {when}")

    def kill_a_client_and_a_server(self):
        """Both with open connections, which the kernel then ends."""
        for address in DOOMED_SERVERS:
            self.add_server_address(address)
        doomed = self.start_server(addresses=DOOMED_SERVERS)
        left = self.start_client("--first-port", 30000, servers=DOOMED_SERVERS)
        killed = self.start_client("--first-port", 40000, servers=DOOMED_SERVERS)
        self.assertEqual(left.ask("hold", HELD)["held"], HELD)
        self.assertEqual(killed.ask("hold", HELD)["held"], HELD)
        killed.stop(signal.SIGKILL)
        doomed.stop(signal.SIGKILL)
        self.assert_soon({"FIN-WAIT-2": HELD}, self.socket_states, "half closed by the kernel")
        left.stop()
        self.assert_soon(0, lambda: sum(self.sockets().values()), "what the killed ones had open")

    def check_churn(self, connections, pauses=0):
        seed = random.SystemRandom().randrange(1 << 32)
        print(f"    churn of {connections} with seed {seed}", flush=True)
        server = self.start_server("--park", PARKED, "--hasty", 8, "--seed", seed)
        client = self.start_client("--park", 3 * PARKED, "--seed", seed)
        for stop in sorted(random.Random(seed).sample(range(1000, connections), pauses)):
            self.assertFalse(client.ask("run", stop)["late"])
            self.assert_live_is_what_the_sockets_say(f"after {stop} connections, seed {seed}")
            server.ask("go", PARKED)
        self.assertFalse(client.ask("run", connections)["late"])
        server.ask("go", 0)
        done = client.ask("drain")
        self.assertEqual((done["refused"], done["late"]), (0, False), done)
        server.ask("drain")
        self.kill_a_client_and_a_server()
        self.assertGreaterEqual(self.kernel_totals()[0], connections)
        self.assert_all_closed()

    def test_100000_connections(self):
        self.start_gate()
        self.check_churn(100_000, PAUSES)
        done = self.reconciled()
        mended = sum(done.get(key, 0) for key in ("adopted", "closed", "idle_closed"))
        self.assertLess(mended * 10_000, self.totals()[1], done)

    def test_20000_connections_without_reconcile(self):
        self.start_gate(more='\n[reconcile]\ninterval = "off"\n')
        self.check_churn(20_000)


if __name__ == "__main__":
    unittest.main()
