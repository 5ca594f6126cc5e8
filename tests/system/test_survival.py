# SPDX-License-Identifier: BSD-2-Clause
"""Live counts through a daemon's death, a full table, and sockets that go without a word."""
import os
import signal
import time
import unittest

from churning import SOURCES, ChurnTest
from lab import machine
from lab.gate import settle

ROUND_SECONDS = 1
WAIT_SECONDS = 20
QUICK_ROUNDS = f'\n[reconcile]\ninterval = "{ROUND_SECONDS}s"\n'
NO_ROUNDS = '\n[reconcile]\ninterval = "off"\n'
IPV4_SOURCES = [source for source in SOURCES if "." in source]
INNER = "203.0.113.25"  # a container behind the server


class Death(ChurnTest):
    """What the gate counts needs no daemon, and what is open when it comes, it learns."""

    def assert_live_is_what_the_sockets_say(self, about, what):
        """A client's RST may be lost before the card; then both still have that connection."""
        def both():
            return self.service()["live"], sum(self.sockets().values())
        live, sockets = settle(lambda: len(set(both())) == 1, True) and both()
        self.assertEqual(live, sockets, f"{what}; {self.evidence()}")
        self.assertAlmostEqual(live, about, delta=about / 50, msg=f"{what}; {self.evidence()}")

    def test_connections_that_were_there_first(self):
        server = self.start_server()
        client = self.start_client()
        self.assertEqual(client.ask("hold", 300)["held"], 300)
        self.start_gate()
        self.assert_soon(300, lambda: self.service()["live"], "adopted at the start")
        self.assertEqual(self.live_by_source(), dict(self.sockets()))
        adopted = self.reconciled()
        self.assertEqual((adopted["adopted"], adopted["closed"]), (300, 0), adopted)

        self.assertFalse(client.ask("release", 150)["late"])
        self.assert_live_is_what_the_sockets_say(150, "half of them have ended")
        self.assertFalse(client.ask("release", 150)["late"])
        server.ask("drain")
        self.assert_soon(0, lambda: self.service()["live"], "their ends are seen")
        self.assertEqual(self.reconciled()["closed"], 0, self.evidence())

    def test_half_ended_connections_that_were_there_first(self):
        """Every stage in which a connection can be when the gate comes."""
        server = self.start_server("--park", 100)
        client = self.start_client("--park", 300, "--at-once", 400)
        client.ask("run", 10_000)
        self.assert_soon(True, lambda: {"ESTAB", "CLOSE-WAIT", "FIN-WAIT-2"} <=
                         set(self.socket_states()), "stages")
        before = sum(self.sockets().values())
        self.start_gate()
        self.assert_soon(dict(self.sockets()), self.live_by_source, f"of {before} at the start")
        # One or the other may have ended just before the gate came, or since.
        adopted, after = self.reconciled()["adopted"], sum(self.sockets().values())
        self.assertTrue(before * 0.9 < after <= adopted <= before, (before, adopted, after))

        client.ask("run", 12_000)
        server.ask("go", 0)
        self.assertFalse(client.ask("drain")["late"])
        server.ask("drain")
        self.assert_soon({}, lambda: dict(self.sockets()), "the kernel has none left")
        self.assert_soon(0, lambda: self.service()["live"], self.evidence())
        self.assertEqual(self.reconciled()["closed"], 0, self.evidence())

    def check_10000_open(self, number):
        self.start_gate()
        server = self.start_server()
        client = self.start_client()
        self.assertEqual(client.ask("hold", 10_000)["held"], 10_000)
        self.assert_soon(10_000, lambda: self.service()["live"], "before")
        self.gate.stop(number)
        self.assertFalse(client.ask("release", 5_000)["late"])
        self.assertFalse(client.ask("run", 12_000)["late"])
        self.assertFalse(client.ask("drain")["late"])
        self.assert_soon({"ESTAB"}, lambda: set(self.socket_states()), "the others have closed")
        self.gate.start()
        live = self.service()["live"]
        self.assert_live_is_what_the_sockets_say(5_000, "half of them have ended")
        self.assertEqual(live, self.service()["live"], "not at once")
        self.assertEqual(self.totals()[0], self.kernel_totals()[0])
        mended = self.reconciled()
        self.assertEqual((mended.get("adopted", 0), mended.get("closed", 0)), (0, 0), mended)
        self.assertFalse(client.ask("release", 5_000)["late"])
        server.ask("drain")
        self.assert_all_closed()

    def test_10000_open_a_killed_daemon_and_5000_closed_meanwhile(self):
        self.check_10000_open(signal.SIGKILL)

    def test_10000_open_a_stopped_daemon_and_5000_closed_meanwhile(self):
        self.check_10000_open(signal.SIGTERM)

    def test_a_daemon_that_is_suspended(self):
        self.start_gate()
        server = self.start_server("--hasty", 8)
        client = self.start_client()
        os.kill(self.gate.process.child.pid, signal.SIGSTOP)
        try:
            done = client.ask("run", 10_000)
            time.sleep(2)
        finally:
            os.kill(self.gate.process.child.pid, signal.SIGCONT)
        self.assertFalse(done["late"])
        client.ask("drain")
        server.ask("drain")
        self.assert_all_closed()


class Upgrade(ChurnTest):
    """Another daemon takes over the pins of one that was killed, while mail flows on."""

    CONNECTIONS = 80_000

    def test_no_packet_is_unguarded_and_no_total_goes_back(self):
        self.start_gate()
        server = self.start_server("--hasty", 8)
        client = self.start_client()
        totals = []
        attached = self.attached()
        client.write_line(f"run {self.CONNECTIONS}")
        for _ in range(4):
            time.sleep(0.3)
            totals.append(self.totals())
            self.gate.stop(signal.SIGKILL)
            self.gate.start()
            totals.append(self.totals())
        self.assertFalse(client.read_answer()["late"])
        self.assertNotEqual(self.attached(), attached, "the programs are other ones now")
        client.ask("drain")
        server.ask("drain")
        self.assert_all_closed()
        totals.append(self.totals())
        for before, after in zip(totals, totals[1:]):
            self.assertLessEqual(before[:2], after[:2], totals)
            self.assertGreaterEqual(after[2], 0, totals)
        self.assertLess(totals[1][0], self.CONNECTIONS, "it took longer than the traffic")


class FullTable(ChurnTest):
    FLOWS_MAX = 500
    HELD = 800

    def check_full(self, more):
        self.start_gate(gate=f"flows_max = {self.FLOWS_MAX}", more=more)
        server = self.start_server()
        client = self.start_client()
        self.assertEqual(client.ask("hold", self.HELD)["held"], self.HELD, "mail keeps flowing")
        self.assertEqual(sum(self.sockets().values()), self.HELD)
        self.assert_soon(self.FLOWS_MAX, lambda: self.service()["live"], "the table is full")
        status = self.gate.ask_json("status")
        self.assertGreaterEqual(status["verdicts"]["ingress"]["pass_flows_full"],
                                self.HELD - self.FLOWS_MAX)
        self.assertTrue(any("table flows" in warning for warning in status["warnings"]),
                        status["warnings"])
        return server, client

    def check_emptied(self, server, client):
        """Those beyond the table may find room at a later word, and are counted from then on."""
        self.assertFalse(client.ask("release", self.HELD)["late"])
        server.ask("drain")
        self.assert_soon(0, lambda: self.service()["live"], self.evidence())
        opened, closed, _ = self.totals()
        self.assertEqual(opened, closed)
        self.assertGreaterEqual(opened, self.FLOWS_MAX)
        self.assertLessEqual(opened, self.HELD)

        # What comes now has room, and is counted to the last.
        self.assertFalse(client.ask("hold", 400)["late"])
        self.assert_soon(opened + 400, lambda: self.totals()[0], self.evidence())
        self.assertEqual(self.live_by_source(), dict(self.sockets()))
        self.assertFalse(client.ask("release", 400)["late"])
        server.ask("drain")
        self.assert_soon((opened + 400, 0), lambda: self.totals()[::2], self.evidence())

    def test_connections_go_on_without_being_counted(self):
        self.check_emptied(*self.check_full(NO_ROUNDS))

    def test_reconcile_adopts_no_more_than_there_is_room_for(self):
        server, client = self.check_full(QUICK_ROUNDS)
        self.wait_for_rounds(3)
        self.assertEqual(self.reconciled()["adopted"], 0, self.evidence())
        self.assertEqual(self.service()["live"], self.FLOWS_MAX)

        # Those that have a flow end first. Then there is room for the others.
        self.assertFalse(client.ask("release", 400)["late"])
        self.wait_for_rounds(2)
        self.assert_soon(sum(self.sockets().values()), lambda: self.service()["live"],
                         self.evidence())
        self.assertEqual(self.reconciled()["adopted"], self.HELD - self.FLOWS_MAX)
        self.assertFalse(client.ask("release", self.HELD)["late"])
        server.ask("drain")
        self.assert_all_closed()


class Silence(ChurnTest):
    """Sockets that go without a packet: only the socket table tells."""

    HELD = 20

    def open_some(self, more):
        self.start_gate(more=more)
        server = self.start_server()
        client = self.start_client(sources=IPV4_SOURCES)
        self.assertEqual(client.ask("hold", self.HELD)["held"], self.HELD)
        self.assert_soon(self.HELD, lambda: self.service()["live"], "all are live")
        if more == QUICK_ROUNDS:
            self.wait_for_rounds(1)  # a socket that was never seen is not missed
        return server, client

    def kill_sockets(self):
        machine.run("ss", "-K", "-N", self.link.server, "sport = :25", "and", "dport", "ge",
                    ":1024")

    def check_closed_after_two_rounds(self, rounds):
        """Not in the first round that misses the socket, which may be one in between."""
        self.assertEqual(sum(self.sockets().values()), 0)
        status = self.gate.ask_json("status")
        live = sum(each["live"] for each in status["services"])
        deadline = time.monotonic() + WAIT_SECONDS
        while live == self.HELD and time.monotonic() < deadline:
            time.sleep(ROUND_SECONDS / 20)
            status = self.gate.ask_json("status")
            live = sum(each["live"] for each in status["services"])
        self.assertGreaterEqual(status["reconcile"]["rounds"], rounds + 2, status["reconcile"])
        self.assert_soon(0, lambda: self.service()["live"], self.evidence())
        self.assertEqual(self.reconciled()["closed"], self.HELD, self.evidence())

    def test_a_socket_that_is_killed_says_so_with_a_reset(self):
        self.open_some(NO_ROUNDS)
        self.kill_sockets()
        self.assert_soon(0, lambda: self.service()["live"], self.evidence())

    def test_a_socket_that_is_killed_without_a_word(self):
        """Half closed by the kernel, it has no one left who would send a RST."""
        server, _ = self.open_some(QUICK_ROUNDS)
        server.stop(signal.SIGKILL)
        self.assert_soon({"FIN-WAIT-2": self.HELD}, self.socket_states, "half closed")
        rounds = self.reconciled()["rounds"]
        self.kill_sockets()
        self.check_closed_after_two_rounds(rounds)

    def test_a_client_that_vanishes(self):
        server, _ = self.open_some(QUICK_ROUNDS)
        self.link.set_sysctl(self.link.server, "net.ipv4.tcp_orphan_retries", 1)
        machine.run("ip", "-n", self.link.clients, "link", "set", self.link.CLIENT_SIDE, "down")
        rounds = self.reconciled()["rounds"]
        server.stop(signal.SIGKILL)
        self.assertEqual(self.service()["live"], self.HELD, "nobody knows yet")
        self.assertEqual(settle(lambda: sum(self.sockets().values()), 0, WAIT_SECONDS), 0)
        self.check_closed_after_two_rounds(rounds)

    def test_a_socket_in_another_namespace_is_not_missed(self):
        """Forwarded connections pass the card, and have no socket in the daemon's namespace."""
        container = f"{self.link.server}-inner"
        machine.run("ip", "netns", "add", container)
        self.addCleanup(machine.remove_namespace, container)
        machine.run("ip", "-n", self.link.server, "link", "add", "inner0", "type", "veth", "peer",
                    "name", "eth0", "netns", container)
        machine.run("ip", "-n", self.link.server, "-batch", "-", stdin="\n".join([
            "link set inner0 up", f"route add {INNER} dev inner0"]) + "\n")
        machine.run("ip", "-n", container, "-batch", "-", stdin="\n".join([
            "link set lo up", f"addr add {INNER}/32 dev eth0", "link set eth0 up",
            "route add default dev eth0"]) + "\n")
        self.link.set_sysctl(self.link.server, "net.ipv4.ip_forward", 1)
        self.link.set_sysctl(self.link.server, "net.ipv4.conf.all.proxy_arp", 1)
        self.link.set_sysctl(self.link.server, "net.ipv4.conf.inner0.proxy_arp", 1)

        self.start_gate(more=QUICK_ROUNDS)
        server = self.start_server(addresses=[INNER], namespace=container)
        client = self.start_client(sources=IPV4_SOURCES, servers=[INNER])
        self.assertEqual(client.ask("hold", self.HELD)["held"], self.HELD)
        self.assert_soon(self.HELD, lambda: self.service()["live"], "all are live")
        self.wait_for_rounds(3)
        self.assertEqual(self.service()["live"], self.HELD, self.evidence())
        self.assertFalse(client.ask("release", self.HELD)["late"])
        server.ask("drain")
        self.assert_soon(0, lambda: self.service()["live"], self.evidence())
        self.assertEqual(self.reconciled()["closed"], 0, self.evidence())


if __name__ == "__main__":
    unittest.main()
