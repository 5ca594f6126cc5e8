# SPDX-License-Identifier: BSD-2-Clause
"""Who connects in the demo, how often, and what of it tallygate ought to say."""
import dataclasses
import ipaddress
import itertools

SERVER_IPV4 = "198.51.100.25"
SERVER_IPV6 = "2001:db8:25::25"
ROUNDS = 12

NETWORKS = [
    ("busy-24", ["203.0.113.0/24"]),
    ("busy-provider", ["203.0.112.0/23"]),
    ("busy-64", ["2001:db8:bad:1::/64"]),
    ("busy-site", ["2001:db8:bad::/48"]),
    ("documentation-v6", ["2001:db8::/32"]),
]

# What the demo asks about, in words and as a block.
BLOCKS = [
    ("all of IPv4", "0.0.0.0/0"),
    ("all of IPv6", "::/0"),
    ("the busy /24", "203.0.113.0/24"),
    ("one address of it", "203.0.113.17/32"),
    ("a quiet /24", "192.0.2.0/24"),
    ("a part of it", "192.0.2.16/29"),
    ("those who stay", "198.51.100.96/27"),
    ("the busy /64", "2001:db8:bad:1::/64"),
    ("the /48 around it", "2001:db8:bad::/48"),
]


@dataclasses.dataclass
class Client:
    address: str
    times: int
    keep: int = 0

    @property
    def server(self):
        return SERVER_IPV6 if ":" in self.address else SERVER_IPV4


def everybody():
    """The groups by name: 50 well-behaved sources, two crowds, and a handful who stay.

    None is a sender of the second act's flood, which has a neighbour in the busy /24.
    """
    return {
        "well-behaved, IPv4": [Client(f"192.0.2.{host}", 4) for host in range(1, 26)],
        "well-behaved, IPv6": [Client(f"2001:db8:1:{site:x}::25", 4) for site in range(1, 26)],
        "a busy IPv4 /24": [Client(f"203.0.113.{host}", ROUNDS - host % 5)
                            for host in range(11, 41)],
        "a busy IPv6 /64": [Client(f"2001:db8:bad:1::{host:x}", ROUNDS)
                            for host in range(1, 31)],
        "who keep theirs open": [Client(f"198.51.100.{host}", 2, 2) for host in (101, 102, 103)] +
                                [Client(f"2001:db8:2:{site}::25", 2, 2) for site in (1, 2)],
    }


def in_turn():
    """Everybody, one of each group after the other."""
    rows = itertools.zip_longest(*everybody().values())
    return [client for row in rows for client in row if client]


def source_of(address):
    """What tallygate calls a source: an IPv4 address, and in IPv6 a whole /64."""
    parsed = ipaddress.ip_address(address)
    return parsed if parsed.version == 4 else ipaddress.ip_network((parsed, 64), strict=False)


class Truth:
    """What the clients' process says it did. Nothing in here comes from tallygate."""

    def __init__(self, report):
        self._opened = report["opened"]
        self._live = report["live"]

    def sources(self):
        return len({source_of(address) for address, count in self._opened.items() if count})

    def opened(self, block=None):
        return self._sum(self._opened, block)

    def live(self, block=None):
        return self._sum(self._live, block)

    @staticmethod
    def _sum(counts, block):
        network = ipaddress.ip_network(block) if block else None
        return sum(count for address, count in counts.items()
                   if network is None or ipaddress.ip_address(address) in network)
