# SPDX-License-Identifier: BSD-2-Clause
"""Floods at full speed: who is dropped, who gets through, and what is counted of it."""
import os
import random
import signal
import time
import unittest

from flooding import HOT_SOURCES, FloodTest, limit
from lab.gate import settle

ENFORCE = 'mode = "enforce"'
GOOD = [f"192.0.2.{host}" for host in range(1, 201)]
PER_SOURCE = limit("per-source", syn_rate="10/s", syn_burst=20)
NEWCOMERS = limit("newcomers", per=["0.0.0.0/0"], who="claimed", syn_rate="5000/s",
                  syn_burst=5000)
FLOOD_SECONDS = float(os.environ.get("TALLYGATE_FLOOD_SECONDS", "8"))


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


class Lease(FloodTest):
    """A daemon that is gone stops nobody's mail for long."""

    addresses = GOOD[:1]

    def test_limits_hold_until_the_lease_ends_and_again_after_a_restart(self):
        self.start_gate(gate=ENFORCE + '\nlease = "5s"', more=PER_SOURCE)
        self.flood("hot", seconds=0.5, rate=1000)
        self.assertGreater(self.verdict("drop_source_rate"), 300)
        self.gate.stop(signal.SIGKILL)
        killed_at = time.monotonic()
        self.flood("hot", seconds=1, rate=1000)  # still within the lease
        self.assertLess(time.monotonic() - killed_at, 4.5)
        time.sleep(max(0, killed_at + 5.5 - time.monotonic()))
        sent = self.flood("hot", seconds=1, rate=1000)  # after it
        self.gate.start()

        dropped = self.verdict("drop_source_rate")
        self.assertGreater(dropped, 1200, "while the lease held")
        self.assertLess(dropped, 1500, "and not after it")
        self.assertGreater(self.verdict("would_drop_source_rate"), sent - 100)
        self.flood("hot", seconds=0.5, rate=1000)
        self.assertGreater(self.verdict("drop_source_rate"), dropped + 300, "it holds again")


if __name__ == "__main__":
    unittest.main()
