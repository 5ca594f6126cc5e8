# SPDX-License-Identifier: BSD-2-Clause
"""A gateway in front of the mail server: native XDP on both of its cards."""
import unittest

from fixture import SERVER_ADDRESSES, GateTest
from lab import machine
from lab.machine import Link, run

CLIENT = "192.0.2.1"
CLIENT_IPV6 = "2001:db8:1::1"
OUTSIDE = "outer0"
INSIDE = "inner0"


class Road(Link):
    """From the clients by a gateway to the server: three namespaces, and a cable between each."""

    GATEWAY = {OUTSIDE: ("192.0.2.254", "2001:db8:1::fe"),
               INSIDE: ("198.51.100.1", "2001:db8:25::1")}

    def __init__(self, prefix):
        super().__init__(prefix)
        self.guarded = f"{prefix}gateway"

    def create(self, server_addresses):
        for name in (self.server, self.clients, self.guarded):
            run("ip", "netns", "add", name)
            self._quiet(name)
        for key in ("ipv4.ip_forward", "ipv6.conf.all.forwarding"):
            self.set_sysctl(self.guarded, f"net.{key}", 1)
        self.plug_in_side(OUTSIDE, self.clients, self.CLIENT_SIDE, [])
        self.plug_in_side(INSIDE, self.server, self.SERVER_SIDE, server_addresses)

    def plug_in_side(self, card, namespace, end, addresses):
        """A cable from a card of the gateway to a namespace's end, whose way out it is."""
        ipv4, ipv6 = self.GATEWAY[card]
        run("ip", "-n", self.guarded, "link", "add", card, "type", "veth",
            "peer", "name", end, "netns", namespace)
        # Neighbours are asked for by an address of the link's own.
        self._batch(self.guarded, [f"addr add {ipv4}/24 dev {card}",
                                   f"addr add {ipv6}/64 dev {card} nodad",
                                   f"addr add fe80::1/64 dev {card} nodad",
                                   f"link set {card} up"])
        self._batch(namespace, ["link set lo up",
                                *(f"addr add {each} dev {end} {machine.no_detection(each)}"
                                  for each in addresses),
                                f"link set {end} up",
                                f"route add default via {ipv4} dev {end} onlink",
                                f"route add ::/0 via {ipv6} dev {end} onlink"])

    def remove(self):
        super().remove()
        machine.remove_namespace(self.guarded)


class Gateway(GateTest):
    addresses = [CLIENT, CLIENT_IPV6]
    link_type = Road

    def write_config(self, inside=True):
        self.gate.write_config([], interfaces=[OUTSIDE],
                               gate=f'inside = ["{INSIDE}"]' if inside else "")

    def ways(self):
        return [(each["interface"], each["direction"], each["how"])
                for each in self.gate.ask_json("status")["attachments"]]

    def in_place(self):
        return [each["in_place"] for each in self.gate.ask_json("status")["attachments"]]

    def check_counts(self, opened, live):
        for block in (CLIENT, CLIENT_IPV6):
            self.assert_soon(opened, lambda block=block: self.gate.count(block), block)
            self.assert_soon(live, lambda block=block: self.gate.live(block), block)
        self.assertEqual(self.service()["opened"], 2 * opened)

    def test_it_counts_what_it_forwards(self):
        self.write_config()
        self.gate.start()
        self.assertEqual(self.ways(), [(OUTSIDE, "ingress", "native"),
                                       (INSIDE, "egress", "native")])
        for client in (CLIENT, CLIENT_IPV6):
            self.connect(client, times=200, keep=7)
        self.check_counts(200, 7)
        self.clients.close(CLIENT)
        self.assert_soon(0, lambda: self.gate.live(CLIENT), "its own are closed")
        self.assertEqual(self.gate.live(CLIENT_IPV6), 7)
        self.clients.close()
        self.check_counts(200, 0)

    def test_a_server_that_dies(self):
        self.write_config()
        self.gate.start()
        for client in (CLIENT, CLIENT_IPV6):
            self.connect(client, times=5, keep=5)
        self.check_counts(5, 5)
        self.server.stop()
        self.clients.stop()
        self.check_counts(5, 0)

    def test_a_host_becomes_a_gateway_and_a_host(self):
        self.write_config(inside=False)
        self.gate.start()
        opened = 0
        for inside in (True, False, True):
            for client in (CLIENT, CLIENT_IPV6):
                self.connect(client, times=4, keep=2)
            opened += 4
            self.check_counts(opened, 2)
            self.write_config(inside)
            self.gate.ask("reload")
            kinds = [[kind for kind, _ in self.attached(card)] for card in (OUTSIDE, INSIDE)]
            self.assertEqual("xdp" in kinds[1], inside)
            self.assertEqual(len(kinds[0]), 1 if inside else 2, "who watches the answers")
            self.clients.close()
            self.check_counts(opened, 0)

    def test_the_inner_card_comes_back(self):
        self.write_config()
        self.gate.start()
        machine.run("ip", "-n", self.link.guarded, "link", "delete", INSIDE)
        self.assert_soon([True, False], self.in_place, "one is gone")
        self.link.plug_in_side(INSIDE, self.link.server, Link.SERVER_SIDE, SERVER_ADDRESSES)
        self.assert_soon([True, True], self.in_place, "it is back")
        for client in (CLIENT, CLIENT_IPV6):
            self.connect(client, times=4, keep=2)
        self.check_counts(4, 2)


if __name__ == "__main__":
    unittest.main()
