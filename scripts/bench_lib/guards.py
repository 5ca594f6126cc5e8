# SPDX-License-Identifier: BSD-2-Clause
"""What stands in the flood's way: XDP programs to compare with, and the firewalls of Linux.

All that can be told to, hold every source to 10 SYNs a second with a burst of 20, and what is left
to 5,000 a second in all: under that every forged frame is dropped, whoever it names.
"""
import dataclasses

from bench_lib import programs, road

SOURCES_MAX = 4_194_304
SYN_RATE = 10
SYN_BURST = 20
TOTAL_RATE = 5000

NFT_INGRESS = f"""
table netdev bench {{
  set sources {{
    type ipv4_addr
    size {SOURCES_MAX}
    flags dynamic
  }}
  chain ingress {{
    type filter hook ingress device {road.INSIDE} priority 0; policy accept;
    tcp dport {road.PORT} tcp flags & (syn | ack) == syn jump syns
  }}
  chain syns {{
    add @sources {{ ip saddr limit rate over {SYN_RATE}/second burst {SYN_BURST} packets }} drop
    TOTAL
  }}
}}
"""
NFT_TOTAL = f"limit rate over {TOTAL_RATE}/second burst {TOTAL_RATE} packets drop"
NFT_CT_COUNT = f"""
table ip bench {{
  set sources {{
    type ipv4_addr
    size {SOURCES_MAX}
    flags dynamic
  }}
  chain input {{
    type filter hook input priority 0; policy accept;
    tcp dport {road.PORT} ct state new add @sources {{ ip saddr ct count over {SYN_BURST} }} drop
  }}
}}
"""
# The most that hashlimit takes. A random flood fills it in a second; from then on it drops every
# newcomer unasked, mail too, which costs it little.
HASHLIMIT_MAX = 1_048_576
IPTABLES_SYN = ["-p", "tcp", "--dport", road.PORT, "--syn", "-m", "hashlimit"]

IPTABLES_SOURCE = [*IPTABLES_SYN, "--hashlimit-name", "tgbench", "--hashlimit-mode", "srcip",
                   "--hashlimit-above", f"{SYN_RATE}/sec", "--hashlimit-burst", SYN_BURST,
                   "--hashlimit-htable-size", HASHLIMIT_MAX, "--hashlimit-htable-max",
                   HASHLIMIT_MAX, "-j", "DROP"]
IPTABLES_TOTAL = [*IPTABLES_SYN, "--hashlimit-name", "tgbenchall",
                  "--hashlimit-above", f"{TOTAL_RATE}/sec", "--hashlimit-burst", TOTAL_RATE,
                  "-j", "DROP"]


@dataclasses.dataclass
class Counts:
    received: int
    dropped: int

    def since(self, before):
        return Counts(self.received - before.received, self.dropped - before.dropped)


class Guard:
    """Stands on a road from start() to stop(), perhaps often; set_up() and tear_down() are around
    all that. `drops` says whether it should drop a flood, whatever its sources."""

    key = ""   # for --receivers
    name = ""  # for people
    fill = "-"
    drops = True
    beside = None  # another kind, whose road it shares

    def __init__(self, bench, way):
        self.bench = bench
        self.road = way

    def set_up(self):
        pass

    def start(self):
        pass

    def stop(self):
        pass

    def tear_down(self):
        pass

    def meet_mail(self):
        """Before the first of goodput's runs: whoever can tell clients from others may do so."""

    def void(self):
        """Why figures of it say nothing, whatever was measured; empty if they do."""
        return ""

    def counts(self):
        return Counts(self.road.received(), self.dropped())

    def dropped(self):
        return 0


class Nothing(Guard):
    key = "none"
    name = "no filter"
    drops = False


class Sink(Guard):
    """One of tests/bench/sink.bpf.c."""

    program = ""
    options = ()

    def __init__(self, bench, way):
        super().__init__(bench, way)
        self.process = None

    def start(self):
        self.process = programs.Helper(self.road.server, [
            "sink", "--interface", road.INSIDE, "--program", self.program, *self.options],
            self.bench)
        self.process.read_line()

    def stop(self):
        if self.process:
            self.process.stop()

    def counts(self):
        return Counts(**self.process.ask())


class DropAll(Sink):
    key = "drop"
    name = "bare XDP_DROP"
    program = "drop_all"


class ParseAndDrop(Sink):
    key = "parse"
    name = "XDP, parse and drop"
    program = "parse_and_drop"


class DropAllButClients(Sink):
    key = "clients"
    name = "XDP, drop all but the client"
    program = "drop_all_but_clients"
    options = ("--clients", road.CLIENTS)


class Firewall(Guard):
    """Not counted by its own counters: to tell them, nft first reads all elements of its sets,
    which takes a minute for four million, and what a full hashlimit drops is in none."""

    def counts(self):
        received = self.road.received()
        return Counts(received, received - self.road.delivered())


class Nft(Firewall):
    ruleset = ""
    family = ""

    def start(self):
        self.road.on_server("nft", "-f", "-", stdin=self.ruleset)

    def stop(self):
        self.road.on_server("nft", "delete", "table", self.family, "bench", check=False)


class NftSource(Nft):
    """A forged flood of random senders meets none of its limits: what that costs, and lets in."""

    key = "nft-source"
    name = "nft netdev, per source only"
    family = "netdev"
    ruleset = NFT_INGRESS.replace("TOTAL", "")
    drops = False


class NftTotal(Nft):
    key = "nft"
    name = "nft netdev, per source and in all"
    family = "netdev"
    ruleset = NFT_INGRESS.replace("TOTAL", NFT_TOTAL)


class NftCtCount(Nft):
    key = "ct"
    name = "nft input, ct count"
    family = "ip"
    ruleset = NFT_CT_COUNT
    drops = False


class Iptables(Firewall):
    key = "iptables"
    name = "iptables raw hashlimit, 1 M sources and in all"
    rules = (IPTABLES_SOURCE, IPTABLES_TOTAL)

    def start(self):
        for rule in self.rules:
            self._iptables("-A", "PREROUTING", *rule)

    def stop(self):
        self._iptables("-F", "PREROUTING", check=False)

    def _iptables(self, *words, check=True):
        return self.road.on_server("iptables", "-w", "-t", "raw", *words, check=check)


class IptablesSource(Iptables):
    key = "iptables-source"
    name = "iptables raw hashlimit, 1 M sources only"
    rules = (IPTABLES_SOURCE,)
    drops = False
