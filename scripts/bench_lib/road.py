# SPDX-License-Identifier: BSD-2-Clause
"""A server and the world, each in a namespace, and the cable between them."""
import json
import os

from lab.machine import inside, network_counters, remove_namespace, run

SERVER = "198.51.100.25"
SERVER_MAC = "02:00:00:00:00:19"
GATEWAY = "198.51.100.1"
GATEWAY_MAC = "02:00:00:00:00:01"
PORT = 25
INSIDE = "mail0"   # the server's end: what is measured stands there
OUTSIDE = "world0"  # where the flood and the clients come from
CLIENTS = "198.18.0.0/18"  # RFC 2544: for benchmarks
CLIENTS_FIRST = "198.18.0.1"
CLIENTS_COUNT = 16_382
CPU_COUNT = os.cpu_count()


class Road:
    """Names are known, not asked for: a flood must not fill the table of neighbours."""

    def __init__(self, prefix):
        self.server = f"{prefix}server"
        self.world = f"{prefix}world"
        self.clients_are_known = False  # each of their addresses has been served once

    def create(self):
        for name in (self.server, self.world):
            run("ip", "netns", "add", name)
            for key in ("ipv6.conf.all.disable_ipv6", "ipv6.conf.default.disable_ipv6"):
                self.set_sysctl(name, f"net.{key}", 1)
            for key in ("all.rp_filter", "default.rp_filter", "all.forwarding"):
                self.set_sysctl(name, f"net.ipv4.conf.{key}", 0)
        queues = ["numtxqueues", CPU_COUNT, "numrxqueues", CPU_COUNT]
        run("ip", "-n", self.server, "link", "add", INSIDE, "address", SERVER_MAC, *queues, "type",
            "veth", "peer", "name", OUTSIDE, "netns", self.world, "address", GATEWAY_MAC, *queues)
        self._batch(self.server, "link set lo up", f"addr add {SERVER}/24 dev {INSIDE}",
                    f"link set {INSIDE} up",
                    f"neigh replace {GATEWAY} lladdr {GATEWAY_MAC} nud permanent dev {INSIDE}",
                    f"route add default via {GATEWAY}")
        self._batch(self.world, "link set lo up", f"addr add {GATEWAY}/24 dev {OUTSIDE}",
                    f"link set {OUTSIDE} up",
                    f"neigh replace {SERVER} lladdr {SERVER_MAC} nud permanent dev {OUTSIDE}")
        self.add_clients(CLIENTS)
        # Frames that are sent by redirection reach a veth's peer only if it polls, with an XDP
        # program or with GRO.
        self.on_server("ethtool", "-K", INSIDE, "gro", "on")
        self.spread()

    def spread(self):
        """What a CPU sends arrives on that CPU, as with a card that has a queue for each: else
        one poll takes the flood and the mail, and goes to the CPU of whoever sent last."""
        for name, interface in ((self.server, INSIDE), (self.world, OUTSIDE)):
            for cpu in range(CPU_COUNT):
                run("ip", "netns", "exec", name, "sh", "-c",
                    f"echo {1 << cpu:x} >/sys/class/net/{interface}/queues/tx-{cpu}/xps_cpus")

    def add_clients(self, block):
        """The world has every address of the block."""
        self._batch(self.world, f"route add local {block} dev lo")

    def remove_clients(self, block):
        self._batch(self.world, f"route del local {block} dev lo")

    def on_server(self, *command, **options):
        return run(*inside(self.server, *command), **options)

    def set_sysctl(self, namespace, key, value):
        path = "/proc/sys/" + key.replace(".", "/")
        run(*inside(namespace, "sh", "-c", f"echo {value} >{path}"))

    def received(self):
        """Frames that the server's end has counted itself since it was made."""
        done = run("ip", "-n", self.server, "-json", "-stats", "link", "show", INSIDE)
        return json.loads(done.stdout)[0]["stats64"]["rx"]["packets"]

    def delivered(self):
        """IPv4 packets that no filter kept from the server's TCP."""
        return network_counters(self.server)["Ip:InDelivers"]

    def lost(self):
        """Forged frames that found no room in the queue, since the cable was made."""
        done = run(*inside(self.world, "ethtool", "-S", OUTSIDE))
        return sum(int(line.split()[-1]) for line in done.stdout.splitlines()
                   if "xdp_xmit_errors" in line)

    def remove(self):
        for name in (self.server, self.world):
            remove_namespace(name)

    @staticmethod
    def _batch(namespace, *lines):
        run("ip", "-n", namespace, "-batch", "-", stdin="\n".join(lines) + "\n")
