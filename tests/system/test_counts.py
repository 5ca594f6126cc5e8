# SPDX-License-Identifier: BSD-2-Clause
"""What clients did is what tallygate says: every block, both families, every way to attach."""
import sys
import time
import unittest

from fixture import SERVER_IPV4, GateTest
from lab import machine
from lab.story import Truth

IPV4 = [f"192.0.2.{host}" for host in range(1, 26)] + [f"203.0.113.{host}" for host in range(1, 26)]
IPV6 = [f"2001:db8:1:{site:x}::25" for site in range(1, 26)] + \
       [f"2001:db8:bad:1::{host:x}" for host in range(1, 26)]
IPV4_BLOCKS = ["192.0.2.1", "192.0.2.7/32", "203.0.113.0/24", "203.0.113.16/28", "192.0.0.0/16",
               "203.0.0.0/8", "0.0.0.0/0", "198.51.100.0/24"]
IPV6_BLOCKS = ["2001:db8:bad:1::/64", "2001:db8:1:7::/64", "2001:db8:1::/48", "2001:db8::/32",
               "2000::/3", "::/0", "2001:db8:ffff::/48"]
NESTED = [("net-8", ["10.0.0.0/8"]), ("net-16", ["10.1.0.0/16"]), ("net-24", ["10.1.2.0/24"]),
          ("site", ["2001:db8::/32"]), ("site-48", ["2001:db8:1::/48"])]

FORGED_SYNS = """
from scapy.all import Ether, IP, TCP, get_if_hwaddr, sendp
frames = [Ether(dst="{card}") / IP(src=f"203.0.113.{{host}}", dst="{server}") /
          TCP(sport=40000 + host, dport=25, flags="S", seq=host) for host in range(1, 101)]
sendp(frames, iface="world0", verbose=False)
"""

# Nobody listens there: the server answers with ICMP.
NOT_MAIL = """
import socket
for port in range(9000, 9003):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"hello", ("{server}", port))
"""


class Counts(GateTest):
    addresses = [*IPV4, *IPV6, "10.1.2.3", "10.1.9.9", "10.7.7.7"]

    def check_blocks(self, blocks):
        truth = Truth(self.clients.report())
        for block in blocks:
            with self.subTest(block):
                self.assert_soon(truth.live(block), lambda: self.gate.live(block), "live")
                self.assert_soon(truth.opened(block), lambda: self.gate.count(block), "opened")

    def check_family(self, addresses, blocks):
        """2,000 connections from 50 addresses, 100 of them kept open, and then closed."""
        self.start_gate()
        for address in addresses:
            self.connect(address, times=40, keep=2)
        self.check_blocks(blocks)
        self.clients.close()
        self.check_blocks(blocks)

    def test_2000_connections_over_ipv4(self):
        self.check_family(IPV4, IPV4_BLOCKS)

    def test_2000_connections_over_ipv6(self):
        self.check_family(IPV6, IPV6_BLOCKS)

    def test_every_way_to_attach_counts(self):
        for attach, how in (("native", "native"), ("generic", "generic"), ("tc", None)):
            with self.subTest(attach):
                self.start_gate(gate=f'attach = "{attach}"')
                before = self.gate.count("192.0.2.1")
                self.connect("192.0.2.1", times=5, keep=1)
                self.assert_soon(before + 5, lambda: self.gate.count("192.0.2.1"), "opened")
                self.assert_soon(1, lambda: self.gate.live("192.0.2.1"), "live")
                ingress = next(each["how"] for each in self.gate.ask_json("status")["attachments"]
                               if each["direction"] == "ingress")
                self.assertIn(ingress, {how} if how else {"tcx", "clsact"})
                self.clients.close()
                self.gate.stop()
                self.gate.detach()

    def test_nested_networks_add_up(self):
        self.start_gate(NESTED)
        for address, times, keep in (("10.1.2.3", 5, 2), ("10.1.9.9", 7, 1), ("10.7.7.7", 11, 3),
                                     ("2001:db8:1:1::25", 3, 1),
                                     ("2001:db8:bad:1::1", 2, 0)):
            self.connect(address, times, keep)
        for name, opened, live in (("net-24", 5, 2), ("net-16", 12, 3), ("net-8", 23, 6),
                                   ("site-48", 3, 1), ("site", 5, 1)):
            with self.subTest(name):
                self.assert_soon({"opened": opened, "syn": opened, "live": live},
                                 lambda: {key: self.network(name)[key]
                                          for key in ("opened", "syn", "live")}, name)

    def test_a_syn_without_an_answer_opens_nothing(self):
        self.start_gate()
        show = machine.run("ip", "-n", self.link.server, "-brief", "link", "show", "mail0")
        card = show.stdout.split()[2]
        script = FORGED_SYNS.format(card=card, server=SERVER_IPV4)
        machine.run(*machine.inside(self.link.clients, sys.executable, "-c", script))
        self.assert_soon("100", lambda: self.gate.ask(
            "count", "203.0.113.0/24", "--monitor", "3600,24", "--end", "1", "--event",
            "syn").stdout, "every SYN is counted")
        self.assertEqual(self.gate.count("0.0.0.0/0"), 0)
        self.assertEqual(self.gate.live("0.0.0.0/0"), 0)

    def test_syn_cookies_count_exactly(self):
        self.link.set_sysctl(self.link.server, "net.ipv4.tcp_syncookies", 2)
        self.start_gate()
        for address in IPV4[:10] + IPV6[:10]:
            self.connect(address, times=20, keep=1)
        self.check_blocks(["0.0.0.0/0", "192.0.2.1", "::/0", "2001:db8:1:1::/64"])

    def test_host_bits_are_folded_and_told(self):
        self.start_gate()
        self.connect("192.0.2.9", times=3)
        self.assert_soon(3, lambda: self.gate.count("192.0.2.77/24"), "host bits")
        self.assert_soon(3, lambda: self.gate.count("::ffff:192.0.2.9"), "IPv4 in IPv6 form")
        answer = self.gate.ask_json("live", "192.0.2.77/24")
        self.assertEqual((answer["folded"], answer["cidr"]), (True, "192.0.2.0/24"))


class Verdicts(GateTest):
    addresses = [*IPV4[:5], *IPV6[:5]]
    HOOKS = {"ingress": "rx", "egress": "tx"}

    def card(self):
        return {hook: self.link.packets(way) for hook, way in self.HOOKS.items()}

    def calm_card(self):
        """The card's own counts, once they have stopped moving."""
        before = self.card()
        for _ in range(50):
            time.sleep(0.1)
            after = self.card()
            if after == before:
                return after
            before = after
        self.fail("the card does not come to rest, though nobody uses it")

    def gate_packets(self):
        verdicts = self.gate.ask_json("status")["verdicts"]
        return {hook: sum(verdicts[hook].values()) for hook in self.HOOKS}

    def test_verdicts_add_up_to_the_packets_of_the_card(self):
        self.start_gate()
        card, gate = self.calm_card(), self.gate_packets()
        for address in self.addresses:
            self.connect(address, times=20, keep=2)
        machine.run(*machine.inside(self.link.clients, sys.executable, "-c",
                                    NOT_MAIL.format(server=SERVER_IPV4)))
        self.clients.close()
        card_after, gate_after = self.calm_card(), self.gate_packets()
        for hook in self.HOOKS:
            with self.subTest(hook):
                seen = card_after[hook] - card[hook]
                self.assertGreater(seen, 1000)
                self.assertEqual(gate_after[hook] - gate[hook], seen)


if __name__ == "__main__":
    unittest.main()
