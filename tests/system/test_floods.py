# SPDX-License-Identifier: BSD-2-Clause
"""Floods at full speed: who is dropped, who gets through, and what is counted of it."""
import json
import os
import random
import signal
import sys
import time
import unittest

from fixture import SERVER_IPV4, SERVER_IPV6
from flooding import HOT_SOURCES, FloodTest, limit
from lab import machine
from lab.gate import TREE, settle

ENFORCE = 'mode = "enforce"'
GOOD = [f"192.0.2.{host}" for host in range(1, 201)]
PER_SOURCE = limit("per-source", syn_rate="10/s", syn_burst=20)
NEWCOMERS = limit("newcomers", per=["0.0.0.0/0"], who="claimed", syn_rate="5000/s",
                  syn_burst=5000)
SYNS_FROM = """
from scapy.all import Ether, IP, IPv6, TCP, sendp
def frame(source, port):
    network = IPv6(src=source, dst="{ipv6}") if ":" in source else IP(src=source, dst="{ipv4}")
    return Ether(dst="{card}") / network / TCP(sport=port, dport=25, flags="S", seq=port)
frames = [frame(source, 40000 + number) for number, source in enumerate({sources})]
sendp(frames, iface="world0", verbose=False)
"""
FLOOD_SECONDS = float(os.environ.get("TALLYGATE_FLOOD_SECONDS", "8"))


def readme_limits():
    """The limits as an operator copies them from the README, without the lists behind them."""
    section = (TREE / "README.md").read_text("utf-8").split("## Limits and lists\n")[1]
    lines = [line[4:] for line in section.split("\n## ")[0].splitlines() if line.startswith("    ")]
    return "\n" + "\n".join(lines).split("[[block]]", maxsplit=1)[0]


class HotFlood(FloodTest):
    """Three sources send as fast as they can; two hundred others mean well."""

    addresses = GOOD

    def test_good_clients_finish_and_bad_sources_get_their_rate(self):
        self.start_gate(gate=ENFORCE, more=PER_SOURCE)
        flood = self.begin_flood("hot", seconds=4)
        for address in GOOD:
            self.connect(address)
        sent = self.end_flood(flood)
        self.assertGreater(sent, 100_000, "that was no flood")

        for address in GOOD:
            self.assertEqual(self.gate.count(f"{address}/32"), 1, address)
        self.assert_soon(sent + len(GOOD), self.syn_total, "every SYN is counted")
        passed = {source: self.count_syn(source)["value"] -
                  self.count_syn(source, "dropped")["value"] for source in HOT_SOURCES}
        for source, count in passed.items():
            # Twenty at once and ten a second, for the four seconds and for as long as the flood
            # took to end.
            self.assertGreaterEqual(count, 20 + 40 - 1, passed)
            self.assertLessEqual(count, 20 + 40 + 2, passed)
        limits = {each["name"]: each for each in self.gate.ask_json("limits")["limits"]}
        self.assertEqual(limits["per-source"]["dropped"], sent - sum(passed.values()))

    def test_observing_drops_nothing_and_says_what_it_would(self):
        self.start_gate(more=PER_SOURCE)
        sent = self.flood("hot", seconds=2, rate=2000)
        self.assert_soon(sent, self.syn_total, "all are counted")
        self.assertEqual(self.service()["dropped"], 0)
        self.assertEqual(self.verdict("drop_source_rate"), 0)
        passed = sent - self.service()["would_drop"]
        self.assertTrue(3 * (20 + 20 - 1) <= passed <= 3 * (20 + 20 + 2), passed)


class ForgedFlood(FloodTest):
    """Every SYN has another sender, and none of them is there."""

    addresses = GOOD

    def test_counts_are_exact_and_the_proven_do_not_notice(self):
        self.start_gate(gate=ENFORCE, more=NEWCOMERS)
        proven = GOOD[:100]
        for address in proven:
            self.connect(address)
        before = self.syn_total()
        self.flood("random", seconds=2)
        begun_at = self.syn_total() - before
        self.wait_for_a_round()  # so that all memory is in use
        memory = self.daemon_rss_bytes()

        flood = self.begin_flood("random", seconds=FLOOD_SECONDS)
        for address in proven:
            self.connect(address)
        sent = self.end_flood(flood)
        self.wait_for_a_round()
        grown = self.daemon_rss_bytes() - memory

        self.check_counts(begun_at, sent)
        for address in proven:
            self.assertEqual(self.gate.count(f"{address}/32"), 2, address)
        self.assertLess(grown, 64 << 20, f"after {sent} forged sources")
        self.assertGreater(self.verdict("drop_service_rate"), sent / 2)

    def wait_for_a_round(self):
        """Until the daemon has read from every prefix what it has counted by now."""
        now = time.time()
        deadline = time.monotonic() + 30
        while self.count_syn("0.0.0.0/1")["as_of"] < now:
            self.assertLess(time.monotonic(), deadline, "the daemon's rounds")
            time.sleep(0.05)

    def check_counts(self, first, second):
        """Both floods begin with the same seed."""
        chosen = random.Random(25)
        blocks = [f"{chosen.choice([4, 60, 130, 201])}.{chosen.randrange(256)}."
                  f"{chosen.randrange(256)}.0/24" for _ in range(10)]
        one, two = self.forged(first, *blocks), self.forged(second, *blocks)
        wanted = {block: one[block] + two[block] for block in blocks}
        found = settle(lambda: {block: self.count_syn(block)["value"] for block in blocks}, wanted,
                       seconds=20)
        self.assertEqual(found, wanted)
        for block in blocks:
            self.assertTrue(self.count_syn(block)["exact"], block)

        self.assert_soon(first + second + 200, lambda: self.count_syn("0.0.0.0/0")["value"],
                         "and a hundred clients, twice")
        self.assertTrue(self.count_syn("0.0.0.0/0")["exact"])

    def test_a_victim_whose_name_is_forged_is_not_locked_out(self):
        """No block rests on SYNs alone: there is no list entry, and the proven are exempt."""
        self.start_gate(gate=ENFORCE, more=NEWCOMERS)
        victim = "192.0.2.1"
        self.connect(victim)
        self.link.add_clients([f"{source}/32" for source in HOT_SOURCES])
        self.connect(HOT_SOURCES[0])
        self.flood("hot", seconds=1)
        self.connect(HOT_SOURCES[0], times=5)
        self.connect(victim, times=5)
        lists = self.gate.ask_json("block", "list")
        self.assertEqual(lists["entries"], [])

    def test_nor_by_the_limits_that_the_readme_recommends(self):
        self.start_gate(gate=ENFORCE, more=readme_limits())
        victim = HOT_SOURCES[0]
        self.link.add_clients([f"{source}/32" for source in HOT_SOURCES])
        self.connect(victim)
        flood = self.begin_flood("hot", seconds=4, rate=3000)
        self.assert_soon(True, lambda: self.verdict("drop_source_rate") > 100,
                         "those who have proven nothing are held")
        self.connect(victim, times=20)
        self.assertIsNone(flood.poll(), "while it lasted")
        self.end_flood(flood)
        self.assertEqual(self.gate.count(f"{victim}/32"), 21)
        self.assertEqual(self.count_syn(victim, "dropped")["value"], 0)


class Lease(FloodTest):
    """A daemon that is gone stops nobody's mail for long."""

    addresses = GOOD[:1]

    def test_limits_hold_until_the_lease_ends_and_again_after_a_restart(self):
        self.start_gate(gate=ENFORCE + '\nlease = "5s"', more=PER_SOURCE)
        held = self.flood("hot", seconds=0.5, rate=1000)
        self.assertGreater(self.verdict("drop_source_rate"), held - 200)
        self.gate.stop(signal.SIGKILL)
        killed_at = time.monotonic()
        held += self.flood("hot", seconds=1, rate=1000)  # still within the lease
        self.assertLess(time.monotonic() - killed_at, 4.5)
        time.sleep(max(0, killed_at + 5.5 - time.monotonic()))
        sent = self.flood("hot", seconds=1, rate=1000)  # after it
        self.gate.start()

        dropped = self.verdict("drop_source_rate")
        self.assertGreater(dropped, held - 200, "while the lease held")  # but for bursts and rates
        self.assertLess(dropped, held, "and not after it")
        self.assertGreater(self.verdict("would_drop_source_rate"), sent - 100)
        self.flood("hot", seconds=0.5, rate=1000)
        self.assertGreater(self.verdict("drop_source_rate"), dropped + 300, "it holds again")


class Blocks(FloodTest):
    """SYNs that nobody answers for: what each block of their senders has had of them."""

    NESTED = [("net-8", ["10.0.0.0/8"]), ("net-16", ["10.1.0.0/16"]), ("net-24", ["10.1.2.0/24"])]
    HOST = ("host", ["10.1.2.3/32"])

    def send_syns(self, *sources):
        script = SYNS_FROM.format(card=self.mac, ipv4=SERVER_IPV4, ipv6=SERVER_IPV6,
                                  sources=json.dumps(sources))
        machine.run(*machine.inside(self.link.clients, sys.executable, "-c", script))

    def assert_syns(self, rows):
        for block, wanted in rows.items():
            with self.subTest(block):
                self.assert_soon(wanted, lambda: self.count_syn(block)["value"], block)
                self.assertTrue(self.count_syn(block)["exact"], block)

    def network_syns(self):
        return {name: self.network(name)["syn"] for name, _ in self.NESTED}

    def test_nested_networks_and_blocks_that_nobody_named(self):
        self.start_gate(self.NESTED)
        self.send_syns("10.1.2.3", "10.1.9.9", "10.200.0.1")
        self.assert_soon({"net-24": 1, "net-16": 2, "net-8": 3}, self.network_syns, "nested")
        self.assert_syns({"10.1.2.0/24": 1, "10.1.0.0/16": 2, "10.0.0.0/8": 3,
                          "10.1.2.0/23": 1, "10.1.8.0/21": 1, "10.1.0.0/23": 0,
                          "::ffff:10.1.2.3": 1, "::ffff:10.1.0.0/112": 2})

    def test_everybody_is_the_total_of_the_family(self):
        self.start_gate()
        self.send_syns("10.1.2.3", "192.0.2.9", "10.1.2.3", "2001:db8:1::1", "2001:db8:1::2")
        self.assert_soon(5, self.syn_total, "both families")
        self.assert_syns({"0.0.0.0/0": 3, "::/0": 2, "2001:db8:1::/64": 2, "2001:db8:1::/48": 2})

    def test_a_network_that_leaves_takes_nothing_from_the_one_around_it(self):
        self.start_gate([*self.NESTED, self.HOST])
        self.send_syns("10.1.2.3", "10.1.2.3", "10.1.2.4")
        self.assert_soon(2, lambda: self.network("host")["syn"], "in the /32")
        before = {"net-24": 3, "net-16": 3, "net-8": 3}
        self.assert_soon(before, self.network_syns, "around it")
        self.gate.write_config(self.NESTED)
        self.gate.ask("reload")
        self.assertIsNone(self.network("host"))
        self.assertEqual(self.network_syns(), before, "nothing begins anew")
        self.send_syns("10.1.2.3")
        self.assert_soon({"net-24": 4, "net-16": 4, "net-8": 4}, self.network_syns, "goes on")
        self.assert_syns({"10.1.2.0/24": 4, "10.1.2.3": 3})


class SmallTable(FloodTest):
    """More forged sources than there is room for, and nothing that stops them."""

    addresses = GOOD[:20]
    CLAIMS_MAX = 1 << 12

    def test_a_forged_flood_pushes_out_forged_sources_alone(self):
        self.start_gate(gate=f"claims_max = {self.CLAIMS_MAX}")
        for address in self.addresses:
            self.connect(address, times=2, keep=1)
        memory = self.map_bytes()
        sent = self.flood("random", seconds=3)
        self.assertGreater(sent, 20 * self.CLAIMS_MAX, "that was no flood")
        syns = sent + 2 * len(self.addresses)
        self.assert_soon(syns, self.syn_total, "every SYN is counted")
        self.assertEqual(self.map_bytes(), memory)
        events = self.gate.ask_json("status")["table_events"]
        evicted = sum(count for name, count in events.items() if name.startswith("claim_evicted"))
        self.assertGreater(evicted, sent / 2)
        for address in self.addresses:
            self.assertEqual(self.gate.live(f"{address}/32"), 1, address)
        self.assertEqual(self.service()["live"], len(self.addresses))

        blocks = ["60.0.0.0/16", "60.7.0.0/17", "130.0.0.0/8", "201.9.8.0/24"]
        truth = self.forged(sent, *blocks)
        self.assert_soon(truth["130.0.0.0/8"], lambda: self.count_syn("130.0.0.0/8")["value"],
                         "the daemon has read it")
        for block in blocks:
            answer = self.count_syn(block)
            self.assertEqual((answer["value"], answer["exact"]), (truth[block], True), block)
        self.check_halves(sent)

    def check_halves(self, sent):
        """Finer blocks than the gate counts: what was pushed out unread is in the bounds."""
        blocks = [f"60.{second}.{third}" for second in (7, 8) for third in range(256)]
        hits = self.forged(sent, *[f"{block}.0/24" for block in blocks])
        halves = [f"{block}.{half}/25" for block in blocks if hits[f"{block}.0/24"]
                  for half in (0, 128)]
        truth = self.forged(sent, *halves)
        answers = {half: self.count_syn(half) for half in halves}
        for half, answer in answers.items():
            self.assertLessEqual(answer["lower"], truth[half], answer)
            self.assertGreaterEqual(answer["upper"], truth[half], answer)
            self.assertEqual(answer["exact"], answer["lower"] == answer["upper"], answer)
        self.assertIn(False, [answer["exact"] for answer in answers.values()], truth)

    def map_bytes(self):
        """What the kernel has set aside for each pinned map."""
        shown = {pin: machine.run("bpftool", "--json", "map", "show", "pinned",
                                  self.gate.pin_dir / pin, check=False).stdout
                 for pin in self.pins() if "/links/" not in pin}
        maps = {pin: json.loads(text).get("bytes_memlock") for pin, text in shown.items()}
        self.assertTrue(any(pin.endswith("/claims") and maps[pin] for pin in maps), maps)
        return maps


class Upgrade(FloodTest):
    """Another daemon puts its programs in place of those that a killed one has left."""

    addresses = GOOD[:1]
    BLOCKED = '\n[[block]]\ncidrs = ["203.0.112.0/20"]\n'

    def test_no_packet_of_a_flood_is_unguarded_and_no_count_goes_back(self):
        self.start_gate(gate=ENFORCE, more=self.BLOCKED)
        flood = self.begin_flood("hot", seconds=6, rate=100_000)
        settle(lambda: self.verdict("drop_blocked") > 0, True)
        programs, totals = [self.attached()], [self.totals()]
        while flood.poll() is None and len(programs) < 4:
            time.sleep(0.3)
            totals.append(self.totals())
            self.gate.stop(signal.SIGKILL)
            self.gate.start()
            totals.append(self.totals())
            programs.append(self.attached())
        self.connect(GOOD[0])
        sent = self.end_flood(flood)

        self.assertGreater(sent, 100_000, "that was no flood")
        self.assertGreater(len(programs), 2, "upgrades while it lasted")
        for before, after in zip(programs, programs[1:]):
            self.assertNotEqual(before, after, "the programs are other ones now")
        for before, after in zip(totals, totals[1:]):
            self.assertTrue(all(one <= two for one, two in zip(before, after)), totals)
        self.assert_soon((sent + 1, sent, sent), self.totals, "each of the blocked is dropped")
        self.assertEqual(self.count_syn("0.0.0.0/0")["value"], sent + 1)

    def totals(self):
        service = self.service()
        return service["syn"], service["dropped"], self.verdict("drop_blocked")


class Readers(FloodTest):
    """Whoever asks while a flood comes in sees counts that only grow, to what was sent."""

    addresses = HOT_SOURCES[:1]

    def check(self, distribution, blocks):
        self.start_gate(gate=ENFORCE, more=PER_SOURCE)
        self.connect(HOT_SOURCES[0])  # one of the sources is proven
        flood = self.begin_flood(distribution, seconds=4)
        seen = [self.read(blocks)]
        while flood.poll() is None:
            seen.append(self.read(blocks))
        sent = self.end_flood(flood)
        self.assertGreater(len(seen), 10, "questions while it lasted")
        for before, after in zip(seen, seen[1:]):
            for what, count in before.items():
                self.assertLessEqual(count, after[what], what)
        self.assert_soon(sent + 1, lambda: self.read(blocks)["0.0.0.0/0"], "all are counted")
        return sent

    def read(self, blocks):
        counts = {block: self.count_syn(block)["value"] for block in ["0.0.0.0/0", *blocks]}
        service = self.service()
        return counts | {event: service[event] for event in ("syn", "dropped", "opened")}

    def test_of_a_few_hot_sources(self):
        blocks = [*HOT_SOURCES, "203.0.113.0/24", "203.0.112.0/20"]
        sent = self.check("hot", blocks)
        self.assert_soon(sent + 1, lambda: sum(self.read(blocks)[each] for each in HOT_SOURCES),
                         "by source")

    def test_of_forged_sources(self):
        self.check("random", ["60.7.0.0/24", "130.0.0.0/8"])


if __name__ == "__main__":
    unittest.main()
